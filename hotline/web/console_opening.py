"""The console's race calendar: when the hotline closes on each day."""

from collections.abc import Mapping
from datetime import date, time, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from hotline.accounts import agents
from hotline.figures_words import day_text
from hotline.opening import OPENS, ZONE
from hotline.race_days import RaceDayError, RaceDaysChangedError, race_days, set_race_days
from hotline.roles import Right
from hotline.sessions import Session
from hotline.translations import mark as _
from hotline.web.context import Web, web
from hotline.web.figures_query import read_day
from hotline.web.guards import Editor, Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
EditingSession = Annotated[Session, Depends(Editor(Right.EDIT_RACE_DAYS))]
Program = Annotated[Web, Depends(web)]

SHOWN: Final = timedelta(days=28)
_BEFORE: Final = timedelta(days=7)
_REFUSED: Final = _("A time is written as 22:15, and the races cannot end when the hotline opens. Nothing was saved.")
_CHANGED: Final = _("Somebody else has changed %(days)s meanwhile. Nothing was saved; what stands there now is shown.")


@router.get("/console/opening")
def calendar(request: Request, session: ReadingSession, first: str = "") -> Response:
    """Four weeks of the calendar, from a week ago on where nothing else is asked."""
    return _page(request, session, first=read_day(first))


@router.post("/console/opening")
def save_calendar(
    *,
    request: Request,
    session: EditingSession,
    program: Program,
    day: Annotated[list[str] | None, Form()] = None,
    ends: Annotated[list[str] | None, Form()] = None,
    was: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Save the end of each day that was changed here, an empty one as the usual one; `was` is what each field held before."""
    fields = zip(map(read_day, day or []), ends or [], was or [], strict=False)
    every = {one: (text, before) for one, text, before in fields if one is not None}
    typed = {one: texts for one, texts in every.items() if texts[0].strip() != texts[1].strip()}
    first = min(every, default=None)
    translate = program.pages.translate(session.agent.language)
    try:
        if not len(day or []) == len(ends or []) == len(was or []):
            raise ValueError("a day without its end")
        said = {one: _clock(text) for one, (text, _before) in typed.items()}
        seen = {one: _clock(before) for one, (_text, before) in typed.items()}
        with program.pool.connection() as conn:
            set_race_days(conn, ends=said, by=session.agent.login, now=program.now(), seen=seen)
    except (ValueError, RaceDayError):
        return _page(request, session, first=first, typed=typed, error=translate(_REFUSED), status=422)
    except RaceDaysChangedError as changed:
        days = ", ".join(day_text(one, session.agent.language) for one in changed.days)
        kept = {one: texts for one, texts in typed.items() if one not in changed.days}
        return _page(request, session, first=first, typed=kept, error=translate(_CHANGED) % {"days": days}, status=409)
    return RedirectResponse(f"/console/opening?first={first}" if first else "/console/opening", status_code=303)


def _page(
    request: Request,
    session: Session,
    *,
    first: date | None,
    typed: Mapping[date, tuple[str, str]] | None = None,
    error: str | None = None,
    status: int = 200,
) -> Response:
    """The calendar from a day on; where that was refused, with what was typed and what had stood there before."""
    program = web(request)
    today = program.now().astimezone(ZONE).date()
    first = first or today - _BEFORE
    shown = [first + timedelta(days=count) for count in range(SHOWN.days)]
    with program.pool.connection() as conn:
        known = race_days(conn, first=first, last=shown[-1])
        names = {agent.login: agent.name for agent in agents(conn)}
    clocks = {day: (f"{one.clock:%H:%M}",) * 2 for day, one in known.items()} | dict(typed or {})
    return page(
        request,
        "opening.html",
        session=session,
        here="figures",
        status=status,
        days=[(day, *clocks.get(day, ("", "")), known.get(day)) for day in shown],
        today=today,
        earlier=first - SHOWN,
        later=first + SHOWN,
        names=names,
        edits=session.may(Right.EDIT_RACE_DAYS),
        opens=session.may(Right.SEE_FIGURES),
        opens_at=f"{OPENS:%H:%M}",
        usual_end=f"{program.settings.usual_end:%H:%M}",
        error=error,
    )


def _clock(text: str) -> time | None:
    """A time of day as the browser's field gives it; None where the field is empty."""
    if not text.strip():
        return None
    return time.fromisoformat(text.strip()).replace(second=0, microsecond=0, tzinfo=None)
