"""What is asked of the figures, as addresses spell it: days, floor, level, agent, and by what to tell apart."""

from dataclasses import fields
from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

from fastapi import Request

from hotline.figures import LONGEST_PERIOD, Asked, Grouping, House
from hotline.floors import Floor
from hotline.kpi import Policy
from hotline.opening import ZONE
from hotline.roles import Right
from hotline.sessions import Session
from hotline.settings import WebSettings
from hotline.web.context import web
from hotline.web.guards import ForbiddenError

_LEVELS: Final = {"1": 1, "2": 2}


def house_of(settings: WebSettings) -> House:
    """The rules that the settings say."""
    return House(
        Policy(settings.answer_within_s, settings.short_abandon_s), settings.usual_end, timedelta(seconds=settings.wrap_up_s)
    )


def asked_by_page(request: Request) -> Asked:
    """What a page's address asks; what cannot be read counts as not said: today, of all, by half-hour."""
    query = request.query_params
    today = web(request).now().astimezone(ZONE).date()
    first = read_day(query.get("first", "")) or today
    last = read_day(query.get("last", "")) or max(first, today)
    first, last = min(first, last), max(first, last)
    agent = query.get("agent", "")
    return Asked(
        first=max(first, last - LONGEST_PERIOD + timedelta(days=1)),
        last=last,
        floor=Floor(query["floor"]) if query.get("floor") in set(Floor) else None,
        level=_LEVELS.get(query.get("level", "")),
        agent=int(agent) if agent.isascii() and agent.isdigit() and len(agent) < 18 else None,
        by=Grouping(query["by"]) if query.get("by") in set(Grouping) else Grouping.HALF_HOUR,
    )


def permitted(asked: Asked, *, session: Session) -> Asked:
    """What of it somebody may see; a page of refusal where that is nothing."""
    if asks_of_agents(asked) and not session.may(Right.SEE_AGENT_FIGURES):
        raise ForbiddenError
    return asked


def asks_of_agents(asked: Asked) -> bool:
    """Whether figures of single agents are asked for."""
    return asked.agent is not None or asked.by is Grouping.AGENT


def address(path: str, asked: Asked, **changes: object) -> str:
    """The address that asks the same, but for the changes."""
    values = {one.name: getattr(asked, one.name) for one in fields(asked)} | changes
    told = {name: str(value) for name, value in values.items() if value not in (None, "")}
    return f"{path}?{urlencode(told)}"


def read_day(text: str) -> date | None:
    """A day as addresses and forms spell it, None where it is none of this century."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year < 2100 else None
