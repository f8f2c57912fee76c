"""The console's figures: the wallboard, the figures of a period, and the calls behind each of them, as pages and as files."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from fleet import registry
from fleet.database import Connection
from hotline.accounts import agents
from hotline.counted_calls import CallRow
from hotline.figures import Grouping, Period, read_period
from hotline.figures_plots import FiguresPlots
from hotline.floors import Floor
from hotline.kpi import AGAINST_TARGET, TARGETS, Picked, told
from hotline.kpi_rows import shops_of
from hotline.manual_calls import gaps_between
from hotline.opening import ZONE
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.figures_csv import calls_file, figures_file
from hotline.web.figures_query import address, asked_by_page, house_of, permitted
from hotline.web.guards import Reader
from hotline.web.layout import fragment, language_of, page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
FiguresSession = Annotated[Session, Depends(Reader(Right.SEE_FIGURES))]
Program = Annotated[Web, Depends(web)]

LISTED: Final = 100
# Days before today, both included, that a click asks for.
_PERIODS: Final = {"today": (0, 0), "yesterday": (1, 1), "week": (6, 0), "month": (29, 0)}


@router.get("/console/wallboard")
def wallboard(request: Request, session: ReadingSession) -> Response:
    """The hotline now and today, for the wall and for whoever wants to know."""
    return page(request, "wallboard.html", session=session, here="figures", **_wall(request, session))


@router.get("/console/wallboard/now")
def wallboard_now(request: Request, session: PollingSession) -> Response:
    """The part of the wallboard that renews itself."""
    return fragment(request, "wallboard_now.html", session=session, **_wall(request, session))


@router.get("/console/figures")
def figures(request: Request, session: FiguresSession, program: Program) -> Response:
    """The figures of a period, told apart as asked."""
    asked = permitted(asked_by_page(request), session=session)
    now = program.now()
    with program.pool.connection() as conn:
        period = read_period(conn, asked=asked, house=house_of(program.settings), now=now)
        gaps = gaps_between(conn, since=asked.period[0], until=asked.period[1])
    language = language_of(request, session)
    groups = period.groups(asked.by)
    if asked.by is Grouping.AGENT:
        groups.sort(key=lambda group: period.staff[int(group.key)].name if int(group.key) in period.staff else "")
    today = now.astimezone(ZONE).date()
    return page(
        request,
        "figures.html",
        session=session,
        here="figures",
        asked=asked,
        whole=period.whole(),
        gaps=gaps,
        groups=groups,
        agents=sorted(period.staff.values(), key=lambda agent: agent.name),
        periods={name: (today - timedelta(days=first), today - timedelta(days=last)) for name, (first, last) in _PERIODS.items()},
        plot=FiguresPlots(translate=program.pages.translate(language), language=language),
        **_tools(session, period),
    )


@router.get("/console/figures/calls")
def calls_of_a_figure(
    *, request: Request, session: FiguresSession, program: Program, what: Picked, key: str = "", skip: int = 0
) -> Response:
    """The calls that one figure counted."""
    asked = permitted(asked_by_page(request), session=session)
    with program.pool.connection() as conn:
        period = read_period(conn, asked=asked, house=house_of(program.settings), now=program.now())
        found = period.calls(what, key=key)
        skip = max(0, skip)
        shown = list(told(found[skip : skip + LISTED], period.policy))
        values = _names(conn, [row for row, _ in shown])
    return page(
        request,
        "figures_calls.html",
        session=session,
        here="figures",
        asked=asked,
        what=what,
        key=key,
        total=len(found),
        skip=skip,
        following=skip + LISTED if len(found) > skip + LISTED else None,
        rows=shown,
        **values,
        **_tools(session, period),
    )


@router.get("/console/figures.csv")
def figures_csv(request: Request, session: FiguresSession, program: Program) -> Response:
    """The figures of a period as a file: all together, then told apart."""
    asked = permitted(asked_by_page(request), session=session)
    with program.pool.connection() as conn:
        period = read_period(conn, asked=asked, house=house_of(program.settings), now=program.now())
    return _file(figures_file(period), f"figures-{asked.first}-{asked.last}.csv")


@router.get("/console/figures/calls.csv")
def calls_csv(request: Request, session: FiguresSession, program: Program, what: Picked, key: str = "") -> Response:
    """The calls that one figure counted as a file, without numbers."""
    asked = permitted(asked_by_page(request), session=session)
    with program.pool.connection() as conn:
        period = read_period(conn, asked=asked, house=house_of(program.settings), now=program.now())
        found = period.calls(what, key=key)
        shops = shops_of(conn, found.column("call").tolist())
    return _file(calls_file(found, shops=shops, policy=period.policy), f"{what}-{asked.first}-{asked.last}.csv")


def _wall(request: Request, session: Session) -> dict[str, Any]:
    """What the wallboard shows; the overflow floor, another company's, is shown its own."""
    wall = web(request).wall.look()
    floor = None if session.floor is Floor.OWN else session.floor
    today, language = wall.today[floor], language_of(request, session)
    return {
        "now": wall.at,
        "live": [one for one in wall.live if floor in (None, one.floor)],
        "whole": today.whole,
        "gaps": wall.gaps,
        "by_floor": today.by_floor,
        "by_level": today.by_level,
        "is_open": wall.hours.is_open(wall.at),
        "closes_at": wall.hours.hours_of(wall.at.astimezone(ZONE).date())[1],
        "drawing": FiguresPlots(translate=web(request).pages.translate(language), language=language).by_half_hour(
            today.by_half_hour
        ),
        "asked": today.period.asked,
        **_tools(session, today.period),
    }


def _tools(session: Session, period: Period) -> Mapping[str, Any]:
    """What every template of figures needs."""
    return {
        "address": address,
        "policy": period.policy,
        "targets": TARGETS,
        "strict": AGAINST_TARGET,
        "staff": period.staff,
        "Picked": Picked,
        "Grouping": Grouping,
        "opens": session.may(Right.SEE_FIGURES),
        "sees_agents": session.may(Right.SEE_AGENT_FIGURES),
        "sees_floors": session.floor is Floor.OWN,
    }


def _names(conn: Connection, rows: list[CallRow]) -> dict[str, Any]:
    shops = shops_of(conn, [row.call for row in rows])
    return {
        "shops": shops,
        "shop_names": {shop.code: shop.name for shop in registry.points_of_sale(conn, sorted(set(shops.values())))},
        "agent_names": {agent.id: agent.name for agent in agents(conn)},
    }


def _file(lines: Any, name: str) -> Response:
    return StreamingResponse(
        lines, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
