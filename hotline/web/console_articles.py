"""The console's knowledge base: articles found by words, one with its versions, its editor, and what helps with a call."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from diagnostics.typologies.store import typologies
from hotline.calls import find_call
from hotline.knowledge import articles, words
from hotline.knowledge.article_text import blocks, passage
from hotline.knowledge.articles import Article, ArticleError, Draft
from hotline.knowledge.suggest import suggest
from hotline.qualification import Subject
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment, page
from hotline.work_words import SUBJECTS

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
# A call's page asks for it by itself.
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
WriterSession = Annotated[Session, Depends(Reader(Right.EDIT_ARTICLES))]
EditingSession = Annotated[Session, Depends(Editor(Right.EDIT_ARTICLES))]
Program = Annotated[Web, Depends(web)]
Asked = Annotated[str, Query(max_length=200)]
Title = Annotated[str, Form(max_length=2 * articles.LONGEST_TITLE)]
Body = Annotated[str, Form(max_length=2 * articles.LONGEST_BODY)]

HOME: Final = "/console/articles"
FOUND_SHOWN, FOUND_IN_CALL = 50, 4
_EMPTY: Final[Mapping[str, Any]] = {
    "subject": Subject.TECHNICAL,
    "title_fr": "",
    "title_en": "",
    "body_fr": "",
    "body_en": "",
    "typologies": (),
}


@router.get("/console/articles")
def article_list(request: Request, session: ReadingSession, program: Program, q: Asked = "", subject: str = "") -> Response:
    """Every article, or those that hold what was typed, the best first."""
    chosen = Subject(subject) if subject in set(Subject) else None
    with program.pool.connection() as conn:
        if q.strip():
            found = articles.search(conn, q, subject=chosen, limit=FOUND_SHOWN)
        else:
            found = articles.articles(conn, subject=chosen)
        shows_withdrawn = not q.strip() and session.may(Right.EDIT_ARTICLES)
        withdrawn = articles.articles(conn, state="withdrawn") if shows_withdrawn else []
    return _page(
        request, "articles.html", session, articles=found, asked=q.strip(), subject=chosen, withdrawn=withdrawn, passage=passage
    )


@router.get("/console/articles/new")
def blank(request: Request, session: WriterSession, program: Program) -> Response:
    """The form of a new article."""
    return _form(request, session, program, article=None, filled=_EMPTY)


@router.post("/console/articles")
def add(
    *,
    request: Request,
    session: EditingSession,
    program: Program,
    subject: Annotated[Subject, Form()] = Subject.TECHNICAL,
    title_fr: Title = "",
    title_en: Title = "",
    body_fr: Body = "",
    body_en: Body = "",
    typology: Annotated[list[int] | None, Form()] = None,
) -> Response:
    """Keep a new article."""
    draft = _draft(subject, (title_fr, title_en), (body_fr, body_en), typology)
    try:
        with program.pool.connection() as conn:
            made = articles.write(conn, draft, author=session.agent.login, now=program.now())
    except ArticleError as error:
        return _form(request, session, program, article=None, filled=_filled(draft), error=error.field, status=422)
    return RedirectResponse(f"{HOME}/{made}", status_code=303)


@router.get("/console/articles/{article}")
def one_article(request: Request, article: int, session: ReadingSession, program: Program, version: int | None = None) -> Response:
    """One article as it holds, or as one of its versions had it, with its history."""
    try:
        with program.pool.connection() as conn:
            found = articles.find(conn, article, version=version)
            history = articles.versions(conn, article)
            names = {one.id: one for one in typologies(conn)}
    except ArticleError:
        raise HTTPException(404) from None
    return _page(request, "article.html", session, article=found, history=history, typologies=names, blocks=blocks)


@router.get("/console/articles/{article}/edit")
def edit(request: Request, article: int, session: WriterSession, program: Program) -> Response:
    """The form of an article that is there."""
    found = _found(program, article)
    filled = {name: found[name] for name in _EMPTY}
    return _form(request, session, program, article=found, filled=filled)


@router.post("/console/articles/{article}")
def save(
    *,
    request: Request,
    article: int,
    session: EditingSession,
    program: Program,
    seen: Annotated[int, Form()],
    subject: Annotated[Subject, Form()] = Subject.TECHNICAL,
    title_fr: Title = "",
    title_en: Title = "",
    body_fr: Body = "",
    body_en: Body = "",
    typology: Annotated[list[int] | None, Form()] = None,
) -> Response:
    """Keep what was made of an article as its new version."""
    draft = _draft(subject, (title_fr, title_en), (body_fr, body_en), typology)
    try:
        with program.pool.connection() as conn:
            articles.change(conn, article, draft, seen=seen, author=session.agent.login, now=program.now())
    except ArticleError as error:
        found = _found(program, article)
        status = 409 if error.field == "version" else 422
        return _form(request, session, program, article=found, filled=_filled(draft), error=error.field, status=status)
    return RedirectResponse(f"{HOME}/{article}", status_code=303)


@router.post("/console/articles/{article}/restore")
def restore(
    article: int,
    session: EditingSession,
    program: Program,
    version: Annotated[int, Form()],
    seen: Annotated[int, Form()],
) -> Response:
    """Let an old version's words hold again; where somebody was faster, the page shows what they wrote."""
    try:
        with program.pool.connection() as conn:
            articles.restore(conn, article, version=version, seen=seen, author=session.agent.login, now=program.now())
    except ArticleError as error:
        raise HTTPException(409 if error.field == "version" else 404) from None
    return RedirectResponse(f"{HOME}/{article}", status_code=303)


@router.post("/console/articles/{article}/state")
def change_state(
    article: int, session: EditingSession, program: Program, do: Annotated[str, Form(pattern="^(withdraw|publish)$")]
) -> Response:
    """Take an article out of use, or back into it."""
    del session
    try:
        with program.pool.connection() as conn:
            articles.set_state(conn, article, "withdrawn" if do == "withdraw" else "published")
    except ArticleError:
        raise HTTPException(404) from None
    return RedirectResponse(f"{HOME}/{article}", status_code=303)


@router.get("/console/calls/{call}/articles")
def of_call(request: Request, call: int, session: PollingSession, program: Program, q: Asked = "") -> Response:
    """What helps with a call, or what its agent searches for, to be read without leaving it."""
    with program.pool.connection() as conn:
        found = find_call(conn, call=call)
        if found is None:
            raise HTTPException(404)
        suggested = [] if q.strip() else suggest(conn, call=found)
        searched = articles.search(conn, q, limit=FOUND_IN_CALL) if q.strip() else []
    return fragment(
        request,
        "call_articles.html",
        session=session,
        call=call,
        asked=q.strip(),
        suggested=suggested,
        searched=searched,
        blocks=blocks,
        knowledge_words=words,
    )


def _form(
    request: Request,
    session: Session,
    program: Web,
    *,
    article: Article | None,
    filled: Mapping[str, Any],
    error: str = "",
    status: int = 200,
) -> Response:
    """The editor; `filled` is what its fields hold, `error` the field that was refused."""
    with program.pool.connection() as conn:
        known = typologies(conn)
    return _page(request, "article_form.html", session, article=article, filled=filled, known=known, error=error, status=status)


def _page(request: Request, template: str, session: Session, **values: Any) -> Response:
    may_edit = session.may(Right.EDIT_ARTICLES)
    return page(
        request, template, session=session, here="articles", may_edit=may_edit, subjects=SUBJECTS, knowledge_words=words, **values
    )


def _found(program: Web, article: int) -> Article:
    try:
        with program.pool.connection() as conn:
            return articles.find(conn, article)
    except ArticleError:
        raise HTTPException(404) from None


def _draft(subject: Subject, title: tuple[str, str], body: tuple[str, str], chosen: list[int] | None) -> Draft:
    def by_language(texts: tuple[str, str]) -> dict[str, str]:
        return dict(zip(articles.LANGUAGES, texts, strict=True))

    return Draft(subject, by_language(title), by_language(body), tuple(chosen or ()))


def _filled(draft: Draft) -> dict[str, Any]:
    """A draft as the form's fields name it."""
    texts = {"title": draft.title, "body": draft.body}
    by_name = {f"{field}_{language}": text for field, one in texts.items() for language, text in one.items()}
    return {"subject": draft.subject, "typologies": draft.typologies, **by_name}
