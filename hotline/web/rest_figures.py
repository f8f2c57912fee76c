"""REST: the hotline's figures of a period, the calls behind them, and the race calendar."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from hotline.counted_calls import CallRow
from hotline.figures import LONGEST_PERIOD, Asked, Group, Grouping, Period, read_period
from hotline.floors import Floor
from hotline.intervals import Mean, Share
from hotline.kpi import Outcome, Picked, Reading, told
from hotline.kpi_rows import shops_of
from hotline.opening import ZONE
from hotline.race_days import RaceDayError, opening, race_days, set_race_days
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.figures_query import asks_of_agents, house_of
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_models import Page, from_cursor, to_cursor

router = APIRouter(prefix="/api/v1", tags=["figures"])

Program = Annotated[Web, Depends(web)]
Seeing = Annotated[Caller, Depends(ApiGuard(Right.SEE_FIGURES))]
Editing = Annotated[Caller, Depends(ApiGuard(Right.EDIT_RACE_DAYS))]
_READING = Depends(ApiGuard(Right.READ))

_LONGEST_CALENDAR: Final = timedelta(days=400)


class FigureOut(BaseModel):
    """A share (of one) or a mean (in seconds) of `n` calls, with its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class GroupOut(BaseModel):
    """The figures of one half-hour, day, floor, level or agent (by id); of all together, `key` is empty."""

    key: str
    counts: dict[Picked, int]
    answer_rate: FigureOut
    service_level: dict[Reading, FigureOut]
    abandon_rate: FigureOut
    solved_rate: FigureOut
    repeat_rate: FigureOut
    speed_of_answer_s: FigureOut
    handling_s: FigureOut
    longest_wait_s: float | None
    occupancy: float | None


class FiguresOut(BaseModel):
    """The figures of a period by the clock in Paris, both days included."""

    first: date
    last: date
    by: Grouping
    whole: GroupOut
    groups: list[GroupOut]


class CountedCallOut(BaseModel):
    """A call as the figures count it; no number."""

    call: int
    rang_at: datetime
    point_of_sale: str | None
    outcome: Outcome
    floor: Floor
    level: int
    overflowed: bool
    wait_s: float
    handled_s: float | None
    solved: bool | None
    repeat: bool


class RaceDayOut(BaseModel):
    """When the hotline is open on a day; `named` where the race calendar says so."""

    day: date
    opens_at: datetime
    closes_at: datetime
    named: bool


class RaceDayIn(BaseModel):
    """The end of a day's races."""

    model_config = ConfigDict(extra="forbid")

    ends: time | None = Field(description="By the clock in Paris; before 07:00: the next morning; null: the usual end.")


def asked(
    *,
    program: Program,
    caller: Seeing,
    first: Annotated[date | None, Query(description="First day; without it, today.")] = None,
    last: Annotated[date | None, Query(description="Last day; without it, the first.")] = None,
    floor: Floor | None = None,
    level: Annotated[int | None, Query(ge=1, le=2)] = None,
    agent: int | None = None,
    by: Grouping = Grouping.HALF_HOUR,
) -> Asked:
    """What is asked for; a problem where it cannot be, or may not."""
    first = first or program.now().astimezone(ZONE).date()
    found = Asked(first, last or first, floor, level, agent, by)
    if not timedelta(0) <= found.last - found.first < LONGEST_PERIOD:
        raise ProblemError(422, f"the last day is none of the {LONGEST_PERIOD.days} days from the first on", field="last")
    if asks_of_agents(found) and not caller.may(Right.SEE_AGENT_FIGURES):
        raise ProblemError(403, f"the role {caller.role} may not see figures of single agents")
    return found


AskedFor = Annotated[Asked, Depends(asked)]


@router.get("/figures", summary="Figures of a period, whole and told apart")
def get_figures(asked_for: AskedFor, program: Program) -> FiguresOut:
    """What the console shows: every reading of the service level, and how far chance may have moved each figure."""
    period = _read(program, asked_for)
    groups = [_group_out(group) for group in period.groups(asked_for.by)]
    return FiguresOut(first=asked_for.first, last=asked_for.last, by=asked_for.by, whole=_group_out(period.whole()), groups=groups)


@router.get("/figures/calls", summary="The calls that one figure counted, newest first")
def get_figures_calls(
    *,
    asked_for: AskedFor,
    program: Program,
    what: Picked,
    key: Annotated[str, Query(max_length=40, description="Of one group: its key.")] = "",
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[CountedCallOut]:
    """Calls page by page."""
    skip = from_cursor(cursor) if cursor else "0"
    if not (skip.isascii() and skip.isdigit() and len(skip) < 10):
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    start = int(skip)
    period = _read(program, asked_for)
    found = period.calls(what, key=key)
    shown = found[start : start + limit]
    with program.pool.connection() as conn:
        shops = shops_of(conn, shown.column("call").tolist())
    items = [_call_out(row, shops.get(row.call), outcome) for row, outcome in told(shown, period.policy)]
    return Page(items=items, next=to_cursor(str(start + limit)) if len(found) > start + limit else None)


@router.get("/race-days", summary="When the hotline is open", dependencies=[_READING])
def get_race_days(program: Program, first: date | None = None, last: date | None = None) -> list[RaceDayOut]:
    """Each day from the first (today) to the last (four weeks on)."""
    first = first or program.now().astimezone(ZONE).date()
    last = last or first + timedelta(days=27)
    if not timedelta(0) <= last - first < _LONGEST_CALENDAR:
        raise ProblemError(422, f"the last day is none of the {_LONGEST_CALENDAR.days} days from the first on", field="last")
    return _days(program, first, last)


@router.put("/race-days/{day}", summary="Say when a day's races end")
def put_race_day(day: date, said: RaceDayIn, program: Program, caller: Editing) -> RaceDayOut:
    """The hotline closes with them."""
    ends = said.ends.replace(second=0, microsecond=0, tzinfo=None) if said.ends else None
    try:
        with program.pool.connection() as conn:
            set_race_days(conn, ends={day: ends}, by=caller.name, now=program.now())
    except RaceDayError as error:
        raise ProblemError(422, str(error), field="ends") from None
    (found,) = _days(program, day, day)
    return found


def _read(program: Web, asked_for: Asked) -> Period:
    with program.pool.connection() as conn:
        return read_period(conn, asked=asked_for, house=house_of(program.settings), now=program.now())


def _days(program: Web, first: date, last: date) -> list[RaceDayOut]:
    with program.pool.connection() as conn:
        hours = opening(conn, first=first, last=last, usual_end=program.settings.usual_end)
        named = race_days(conn, first=first, last=last)
    days = [first + timedelta(days=count) for count in range((last - first).days + 1)]
    return [
        RaceDayOut(day=day, opens_at=opens_at, closes_at=closes_at, named=day in named)
        for day, (opens_at, closes_at) in zip(days, map(hours.hours_of, days), strict=True)
    ]


def _group_out(group: Group) -> GroupOut:
    figures = group.figures
    return GroupOut(
        key=group.key,
        counts={what: figures[what] for what in Picked},
        answer_rate=_figure_out(figures.answer_rate),
        service_level={reading: _figure_out(share) for reading, share in figures.service_levels.items()},
        abandon_rate=_figure_out(figures.abandon_rate),
        solved_rate=_figure_out(figures.solved_rate),
        repeat_rate=_figure_out(figures.repeat_rate),
        speed_of_answer_s=_figure_out(figures.speed_of_answer),
        handling_s=_figure_out(figures.handling),
        longest_wait_s=figures.longest_wait_s,
        occupancy=group.occupied.value,
    )


def _figure_out(of: Share | Mean) -> FigureOut:
    low, high = of.interval or (None, None)
    return FigureOut(value=of.value, low=low, high=high, n=of.of if isinstance(of, Share) else of.n)


def _call_out(row: CallRow, shop: str | None, outcome: Outcome) -> CountedCallOut:
    return CountedCallOut(
        call=row.call,
        rang_at=row.rang_at,
        point_of_sale=shop,
        outcome=outcome,
        floor=Floor(row.floor),
        level=row.level,
        overflowed=row.overflowed,
        wait_s=row.wait_s,
        handled_s=row.handled_s,
        solved=row.solved,
        repeat=row.repeat,
    )
