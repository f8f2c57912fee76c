"""REST: the knowledge base, and what of it helps with a call."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from hotline.calls import find_call
from hotline.knowledge import articles
from hotline.knowledge.articles import Article, ArticleError, Draft
from hotline.knowledge.suggest import Why, suggest
from hotline.qualification import Subject
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError

router = APIRouter(prefix="/api/v1", tags=["articles"])

Program = Annotated[Web, Depends(web)]
Reading = Depends(ApiGuard(Right.READ))
Editing = Annotated[Caller, Depends(ApiGuard(Right.EDIT_ARTICLES))]


class TitleTexts(BaseModel):
    """A title in both languages; one that is empty is told in the other."""

    model_config = ConfigDict(extra="forbid")

    fr: str = Field("", max_length=articles.LONGEST_TITLE)
    en: str = Field("", max_length=articles.LONGEST_TITLE)


class BodyTexts(BaseModel):
    """A text in both languages; one that is empty is told in the other."""

    model_config = ConfigDict(extra="forbid")

    fr: str = Field("", max_length=articles.LONGEST_BODY)
    en: str = Field("", max_length=articles.LONGEST_BODY)


class ArticleIn(BaseModel):
    """What an article is to say."""

    model_config = ConfigDict(extra="forbid")

    subject: Subject
    title: TitleTexts
    body: BodyTexts
    typologies: list[int] = Field(default_factory=list, max_length=100, description="Typologies it helps with, by id.")

    def draft(self) -> Draft:
        """As the package takes it."""
        return Draft(self.subject, self.title.model_dump(), self.body.model_dump(), tuple(self.typologies))


class ArticleChange(ArticleIn):
    """The same, and the version that was read before."""

    seen: int = Field(description="The version this was made of; refused where another holds by now.")


class Restoring(BaseModel):
    """Which old version is to hold again."""

    model_config = ConfigDict(extra="forbid")

    version: int
    seen: int


class StateIn(BaseModel):
    """Whether an article is in use."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["published", "withdrawn"]


class ArticleOut(BaseModel):
    """An article as one of its versions has it; `newest` is the version that holds."""

    id: int
    code: str | None
    state: str
    subject: Subject
    title: TitleTexts
    body: BodyTexts
    typologies: list[int]
    version: int
    newest: int
    author: str
    at: datetime
    restored_from: int | None


class SuggestionOut(BaseModel):
    """An article that helps with a call, and why: `detail` is the terminals it concerns, or the note's words."""

    article: ArticleOut
    why: Why
    detail: list[str]


@router.get("/articles", summary="Articles in use, or those that hold words", dependencies=[Reading])
def get_articles(
    program: Program,
    q: Annotated[str, Query(max_length=200, description="Words, with or without accents; the last may be unfinished.")] = "",
    subject: Subject | None = None,
    limit: Annotated[int, Query(ge=1, le=articles.MOST_FOUND)] = 50,
) -> list[ArticleOut]:
    """With `q` the best first, else by subject and title."""
    with program.pool.connection() as conn:
        found = articles.search(conn, q, subject=subject, limit=limit) if q.strip() else articles.articles(conn, subject=subject)
    return [_out(one) for one in found[:limit]]


@router.post("/articles", summary="Write an article", status_code=201)
def post_article(new: ArticleIn, program: Program, caller: Editing) -> ArticleOut:
    """Keep a new article."""
    try:
        with program.pool.connection() as conn:
            made = articles.write(conn, new.draft(), author=caller.name, now=program.now())
            return _out(articles.find(conn, made))
    except ArticleError as error:
        raise _problem(error) from None


@router.get("/articles/{article}", summary="One article", dependencies=[Reading])
def get_article(article: int, program: Program, version: int | None = None) -> ArticleOut:
    """As it holds, or as one of its versions had it."""
    try:
        with program.pool.connection() as conn:
            return _out(articles.find(conn, article, version=version))
    except ArticleError as error:
        raise _problem(error, missing=True) from None


@router.get("/articles/{article}/versions", summary="Every version of an article", dependencies=[Reading])
def get_versions(article: int, program: Program) -> list[ArticleOut]:
    """The newest first."""
    with program.pool.connection() as conn:
        found = articles.versions(conn, article)
    if not found:
        raise ProblemError(404, "no such article", field="article")
    return [_out(one) for one in found]


@router.put("/articles/{article}", summary="Change an article")
def put_article(article: int, change: ArticleChange, program: Program, caller: Editing) -> ArticleOut:
    """Keep the change as a new version; 409 where another version than the one seen holds by now."""
    try:
        with program.pool.connection() as conn:
            articles.change(conn, article, change.draft(), seen=change.seen, author=caller.name, now=program.now())
            return _out(articles.find(conn, article))
    except ArticleError as error:
        raise _problem(error) from None


@router.post("/articles/{article}/restore", summary="Let an old version hold again")
def post_restore(article: int, old: Restoring, program: Program, caller: Editing) -> ArticleOut:
    """Its words become a new version."""
    try:
        with program.pool.connection() as conn:
            articles.restore(conn, article, version=old.version, seen=old.seen, author=caller.name, now=program.now())
            return _out(articles.find(conn, article))
    except ArticleError as error:
        raise _problem(error) from None


@router.put("/articles/{article}/state", summary="Take an article out of use, or back")
def put_state(article: int, new: StateIn, program: Program, caller: Editing) -> ArticleOut:
    """Its versions stay."""
    del caller
    try:
        with program.pool.connection() as conn:
            articles.set_state(conn, article, new.state)
            return _out(articles.find(conn, article))
    except ArticleError as error:
        raise _problem(error) from None


@router.get("/calls/{call}/articles", summary="What helps with a call", dependencies=[Reading])
def get_suggestions(call: int, program: Program) -> list[SuggestionOut]:
    """By what is wrong at the shop's terminals, by the note's typology, by the note's words."""
    with program.pool.connection() as conn:
        found = find_call(conn, call=call)
        if found is None:
            raise ProblemError(404, "no such call", field="call")
        return [SuggestionOut(article=_out(one.article), why=one.why, detail=list(one.detail)) for one in suggest(conn, call=found)]


def _problem(error: ArticleError, *, missing: bool = False) -> ProblemError:
    statuses = {"id": 404, "version": 404 if missing else 409}
    return ProblemError(statuses.get(error.field, 422), str(error), field="article" if error.field == "id" else error.field)


def _out(article: Article) -> ArticleOut:
    return ArticleOut(
        id=article.id,
        code=article.code,
        state=article.state,
        subject=article.subject,
        title=TitleTexts(fr=article.title_fr, en=article.title_en),
        body=BodyTexts(fr=article.body_fr, en=article.body_en),
        typologies=article.typologies,
        version=article.version,
        newest=article.newest,
        author=article.author,
        at=article.at,
        restored_from=article.restored_from,
    )
