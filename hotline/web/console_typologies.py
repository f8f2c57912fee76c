"""The console's typologies: which there are and which grow, one with its editor, groups that may be new, matched notes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from diagnostics.incidents import IncidentError, incident
from diagnostics.plot import BarMark, Bars, Look, bar_chart
from diagnostics.plot_axes import day_label
from diagnostics.typologies import candidates, matches, store
from diagnostics.typologies.daily import ZONE, day_of
from diagnostics.typologies.overview import Counts, changes_of, counts_of, overview
from diagnostics.typologies.sparkline import sparkline
from diagnostics.typologies.things import LOOKED_BACK
from diagnostics.wording import title
from fleet.database import Connection
from hotline import typology_words
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import language_of, page
from hotline.words import Translate

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
BrowsingSession = Annotated[Session, Depends(Reader(Right.BROWSE))]
EditingSession = Annotated[Session, Depends(Editor(Right.EDIT_TYPOLOGIES))]
Program = Annotated[Web, Depends(web)]
Name = Annotated[str, Form(max_length=120)]
Text = Annotated[str, Form(max_length=4000)]

HOME: Final = "/console/typologies"
EXAMPLES_SHOWN, MEMBERS_SHOWN, NOTES_SHOWN = 6, 8, 60


@router.get("/console/typologies")
def typologies(request: Request, session: ReadingSession, program: Program) -> Response:
    """Every typology with its days, those that grow first."""
    with program.pool.connection() as conn:
        found = overview(conn, last=day_of(program.now()))
        waiting = len(candidates.offered(conn))
        dismissed = store.typologies(conn, states=("dismissed",))
    return _page(request, "typologies.html", session, counts=found, spark=_spark, waiting=waiting, dismissed=dismissed)


@router.get("/console/typologies/candidates")
def groups(request: Request, session: BrowsingSession, program: Program) -> Response:
    """Groups of what matches nothing, to be named, merged or dismissed."""
    return _groups(request, session, program)


@router.post("/console/typologies/candidates/{candidate}")
def decide_group(
    *,
    request: Request,
    candidate: int,
    session: EditingSession,
    program: Program,
    do: Annotated[str, Form(pattern="^(name|merge|dismiss)$")],
    name_fr: Name = "",
    name_en: Name = "",
    description_fr: Text = "",
    description_en: Text = "",
    answer_fr: Text = "",
    answer_en: Text = "",
    into: Annotated[int, Form()] = 0,
) -> Response:
    """Name a group, merge it into a typology, or dismiss it."""
    texts = _texts(name=(name_fr, name_en), description=(description_fr, description_en), answer=(answer_fr, answer_en))
    by: Any = {"actor": session.agent.login, "now": program.now()}
    try:
        with _known_only(but=("name", "into")), program.pool.connection() as conn:
            if do == "name":
                return _to(f"{HOME}/{candidates.name_candidate(conn, candidate, **texts, **by)}")
            if do == "merge":
                candidates.merge_candidate(conn, candidate, into=_in_use(conn, into), **by)
            else:
                group = candidates.candidate(conn, candidate)
                candidates.dismiss_candidate(conn, candidate, name=name_fr or name_en or _default_name(group), **by)
    except store.TypologyError as error:
        return _groups(request, session, program, refused=candidate, error=error.field, filled=_filled(texts), status=422)
    return _to(f"{HOME}/candidates")


@router.get("/console/typologies/notes")
def notes(request: Request, session: BrowsingSession, program: Program) -> Response:
    """The newest call notes with what they were matched to; who may edit says where the matching was wrong."""
    with program.pool.connection() as conn:
        found = matches.newest_notes(conn, since=program.now() - LOOKED_BACK, limit=NOTES_SHOWN)
        known = store.typologies(conn)
    return _page(request, "typology_notes.html", session, notes=found, known=known, names={one.id: one for one in known})


@router.post("/console/typologies/matches/{kind}/{ref}")
def decide_match(
    *,
    kind: str,
    ref: int,
    session: EditingSession,
    program: Program,
    typology: Annotated[int, Form()] = 0,
    back: Annotated[str, Form(max_length=200)] = HOME,
) -> Response:
    """Say what a thing is of (0: of no typology)."""
    with _known_only(), program.pool.connection() as conn:
        if typology:
            store.typology(conn, typology)
        matches.decide(conn, kind=kind, ref=ref, typology_id=typology or None, actor=session.agent.login, now=program.now())
    return _to(back if back.startswith(HOME) else HOME)


@router.get("/console/typologies/{typology}")
def one_typology(request: Request, typology: int, session: ReadingSession, program: Program) -> Response:
    """One typology: what it is, what to answer, its days, what was done and what that changed, its members."""
    return _one(request, typology, session, program)


@router.post("/console/typologies/{typology}")
def edit(
    *,
    request: Request,
    typology: int,
    session: EditingSession,
    program: Program,
    name_fr: Name = "",
    name_en: Name = "",
    description_fr: Text = "",
    description_en: Text = "",
    answer_fr: Text = "",
    answer_en: Text = "",
) -> Response:
    """Change what a typology is called, what is said of it, and what agents answer (as a new version)."""
    texts = _texts(name=(name_fr, name_en), description=(description_fr, description_en), answer=(answer_fr, answer_en))
    by: Any = {"actor": session.agent.login, "now": program.now()}
    try:
        with _known_only(but=("name",)), program.pool.connection() as conn:
            store.typology(conn, typology)
            store.describe(conn, typology, name=texts["name"], description=texts["description"], **by)
            store.set_answer(conn, typology, answer=texts["answer"], **by)
    except store.TypologyError as error:
        return _one(request, typology, session, program, error=error.field, filled=_filled(texts), status=422)
    return _to(f"{HOME}/{typology}")


@router.post("/console/typologies/{typology}/actions")
def mark_action(
    *,
    request: Request,
    typology: int,
    session: EditingSession,
    program: Program,
    what: Annotated[str, Form(max_length=200)] = "",
    at: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Mark that something was done about it, now or at a time of Paris."""
    try:
        moment = datetime.fromisoformat(at).replace(tzinfo=ZONE) if at else program.now()
        with _known_only(but=("what",)), program.pool.connection() as conn:
            store.typology(conn, typology)
            store.mark_action(conn, typology, what=what, at=moment, actor=session.agent.login)
    except (store.TypologyError, ValueError) as error:
        field = error.field if isinstance(error, store.TypologyError) else "at"
        return _one(request, typology, session, program, error=field, status=422)
    return _to(f"{HOME}/{typology}")


@router.post("/console/typologies/{typology}/state")
def change_state(
    *,
    request: Request,
    typology: int,
    session: EditingSession,
    program: Program,
    do: Annotated[str, Form(pattern="^(merge|dismiss|restore)$")],
    into: Annotated[int, Form()] = 0,
) -> Response:
    """Merge a typology into another, take it out of use, or back."""
    by: Any = {"actor": session.agent.login, "now": program.now()}
    try:
        with _known_only(but=("into",)), program.pool.connection() as conn:
            if do == "merge":
                store.merge(conn, typology, into=_in_use(conn, into), **by)
                return _to(f"{HOME}/{into}")
            (store.dismiss if do == "dismiss" else store.restore)(conn, typology, **by)
    except store.TypologyError as error:
        return _one(request, typology, session, program, error=error.field, status=422)
    return _to(HOME if do == "dismiss" else f"{HOME}/{typology}")


def _groups(request: Request, session: Session, program: Web, *, refused: int = 0, **more: Any) -> Response:
    """The page of the groups; of the refused one, which comes first, `more` is what is wrong (`error`) and typed (`filled`)."""
    with program.pool.connection() as conn:
        waiting = sorted(candidates.offered(conn), key=lambda one: one.id != refused)
        found = [(one, _examples(conn, one, language_of(request, session), now=program.now())) for one in waiting]
        known = store.typologies(conn)
    return _page(request, "typology_candidates.html", session, groups=found, known=known, refused=refused, **more)


def _one(
    request: Request,
    number: int,
    session: Session,
    program: Web,
    *,
    error: str | None = None,
    filled: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    now, language = program.now(), language_of(request, session)
    with _known_only(), program.pool.connection() as conn:
        found = store.typology(conn, number)
        values: dict[str, Any] = {
            "typology": found,
            "filled": filled or found,
            "answers": store.answers_of(conn, number),
            "events": store.events_of(conn, number),
            "changes": changes_of(conn, found, today=day_of(now)),
            "incidents": _incidents(conn, matches.of_typology(conn, number, kind="incident", limit=MEMBERS_SHOWN), language),
            "notes": matches.newest_notes(conn, since=now - LOOKED_BACK, typology_id=number, limit=MEMBERS_SHOWN),
            "known": [one for one in store.typologies(conn) if one.id != number],
            "into": store.typology(conn, found.merged_into) if found.merged_into else None,
        }
        counts = counts_of(conn, found, last=day_of(now))
    translate = program.pages.translate(language)
    values["plot"] = _plot(counts, values, translate, language)
    return _page(request, "typology.html", session, counts=counts, error=error, status=status, **values)


def _plot(counts: Counts, values: Mapping[str, Any], translate: Translate, language: str) -> str:
    """The typology's things per day, with its answers and actions."""
    place = {day: index for index, day in enumerate(counts.days)}
    marks = [
        BarMark(place[day_of(change.event.at)], translate(typology_words.STEPS[change.event.kind]) + " " + change.event.detail)
        for change in values["changes"]
        if day_of(change.event.at) in place
    ]
    shown = [kind for kind in matches.KINDS if counts.by_kind[kind].any()] or ["incident"]
    flagged = [day for day in range(len(counts.days)) if any(counts.grew[kind][day] for kind in shown)]
    bars = [
        Bars(translate(typology_words.KINDS[kind]), [count or None for count in counts.by_kind[kind].tolist()]) for kind in shown
    ]
    name = values["typology"].name(language)
    return bar_chart(
        [day_label(day, language=language) for day in counts.days],
        bars,
        title=name,
        description=translate(typology_words.A_DAY) % {"name": name},
        flagged=flagged,
        marks=marks,
        look=Look(width=1180, height=260, language=language),
    )


def _examples(conn: Connection, group: candidates.Candidate, language: str, *, now: datetime) -> list[Any]:
    refs = candidates.members(conn, group.id)[: 4 * EXAMPLES_SHOWN]
    if group.kind == "note":
        return matches.newest_notes(conn, since=now - LOOKED_BACK - timedelta(days=1), refs=refs, limit=EXAMPLES_SHOWN)
    if group.kind == "incident":
        found = matches.of_refs(conn, kind="incident", refs=refs)
        return _incidents(conn, list(found.values())[:EXAMPLES_SHOWN], language)
    return matches.lone_symptoms(conn, refs)[:EXAMPLES_SHOWN]


def _incidents(conn: Connection, found: list[matches.Stored], language: str) -> list[tuple[matches.Stored, str]]:
    told = []
    for one in found:
        try:
            stored = incident(conn, one.ref)
        except IncidentError:
            continue
        told.append((one, stored.title or (title(stored.trouble, stored.scope, language) if stored.trouble else str(one.ref))))
    return told


def _default_name(group: candidates.Candidate) -> str:
    return ", ".join(group.shared.get("terms", ())[:3]) or f"{group.kind} {group.id}"


def _page(request: Request, template: str, session: Session, **values: Any) -> Response:
    may_edit = session.may(Right.EDIT_TYPOLOGIES)
    translate = web(request).pages.translate(language_of(request, session))
    return page(
        request,
        template,
        session=session,
        here="typologies",
        may_edit=may_edit,
        typology_words=typology_words,
        translate=translate,
        **values,
    )


def _spark(counts: Counts, label: str) -> str:
    return sparkline(counts.total.tolist(), [any(days) for days in zip(*counts.grew.values(), strict=True)], title=label)


def _to(path: str) -> Response:
    return RedirectResponse(path, status_code=303)


def _texts(**fields: tuple[str, str]) -> dict[str, Any]:
    """Each field's French and English text, as the packages take them."""
    return {field: dict(zip(store.LANGUAGES, texts, strict=True)) for field, texts in fields.items()}


def _filled(texts: Mapping[str, store.Texts]) -> dict[str, str]:
    """The same as the form names them."""
    return {f"{field}_{language}": text for field, by_language in texts.items() for language, text in by_language.items()}


def _in_use(conn: Connection, into: int) -> int:
    """The typology chosen to merge into; `TypologyError` of `into` where none was, or it is there no more."""
    try:
        return store.typology(conn, into).id
    except store.TypologyError:
        raise store.TypologyError("into", "choose a typology") from None


@contextmanager
def _known_only(*, but: Sequence[str] = ()) -> Iterator[None]:
    """What is not there, or cannot be done any more, is a page that says so; an error of the fields `but` goes on to the form."""
    try:
        yield
    except store.TypologyError as error:
        if error.field in but:
            raise
        raise HTTPException(404) from None
