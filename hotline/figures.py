"""The figures of a period, whole and by half-hour, day, floor, level or agent: read in one go, the same for pages and programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from fleet.database import Connection
from hotline.accounts import Agent, agents
from hotline.attendance import attendance
from hotline.floors import Floor
from hotline.kpi import CallRow, Figures, Picked, Policy, figures_of, grouped, pick
from hotline.kpi_rows import busy_spans, read_rows
from hotline.occupancy import Occupied, Slot, occupancy, slot_of, together
from hotline.opening import ZONE, day_bounds
from hotline.race_days import opening
from hotline.roles import Role

# Rows are counted in memory, some nine hundred a day.
LONGEST_PERIOD: Final = timedelta(days=92)


class Grouping(StrEnum):
    """By what figures are told apart."""

    HALF_HOUR = "half_hour"
    DAY = "day"
    FLOOR = "floor"
    LEVEL = "level"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which calls: of which days (both included, by the clock in Paris), floor, level, agent; and by what they are told apart."""

    first: date
    last: date
    floor: Floor | None = None
    level: int | None = None
    agent: int | None = None
    by: Grouping = Grouping.HALF_HOUR

    @property
    def period(self) -> tuple[datetime, datetime]:
        """From when, and until just before when."""
        return day_bounds(self.first)[0], day_bounds(self.last)[1]

    def takes(self, row: CallRow) -> bool:
        """Whether a call of the period is among those asked for."""
        return (
            (self.floor is None or row.floor == self.floor)
            and (self.level is None or row.level == self.level)
            and (self.agent is None or row.agent == self.agent)
        )


@dataclass(frozen=True, slots=True)
class House:
    """By which rules calls are counted.

    `usual_end`: when the hotline closes on a day that the race calendar does not name; `wrap_up`: the longest work after a call.
    """

    policy: Policy
    usual_end: time
    wrap_up: timedelta


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one half-hour, day, floor, level or agent; `key` names it, empty for all together."""

    key: str
    figures: Figures
    occupied: Occupied


@dataclass(frozen=True, slots=True)
class Period:
    """What happened in a period, to be looked at in every way: its calls, oldest first, and its agents' half-hours."""

    asked: Asked
    policy: Policy
    rows: Sequence[CallRow]
    slots: Mapping[Slot, Occupied]
    staff: Mapping[int, Agent]

    def whole(self) -> Group:
        """All together."""
        return Group("", figures_of(self.rows, self.policy), together(self.slots.values()))

    def groups(self, by: Grouping) -> list[Group]:
        """Told apart, in order of their keys."""
        occupied: dict[str, list[Occupied]] = {}
        for slot, one in self.slots.items():
            occupied.setdefault(_slot_key(slot, self.staff[slot.agent], by), []).append(one)
        calls = grouped(self.rows, lambda row: key_of(row, by))
        return [
            Group(key, figures_of(calls.get(key, []), self.policy), together(occupied.get(key, [])))
            for key in sorted(calls.keys() | occupied.keys(), key=_in_order)
        ]

    def calls(self, what: Picked, *, key: str = "") -> list[CallRow]:
        """The calls that a figure counted, newest first; of one group of those asked for where `key` names it."""
        rows = [row for row in self.rows if not key or key_of(row, self.asked.by) == key]
        return pick(rows, what, self.policy)[::-1]


def read_period(conn: Connection, *, asked: Asked, house: House, now: datetime) -> Period:
    """Read what happened; counting is the period's own business."""
    since, until = asked.period
    hours = opening(conn, first=asked.first, last=asked.last, usual_end=house.usual_end)
    found = read_rows(conn, since=since, until=until, opening=hours, wrap_up=house.wrap_up, now=now)
    staff = {agent.id: agent for agent in agents(conn)}
    busy, there = (
        busy_spans(conn, since=since, until=until, wrap_up=house.wrap_up, now=now),
        attendance(conn, since=since, until=until),
    )
    slots = occupancy(busy, there, since=since, until=min(until, now))
    taken = {slot: one for slot, one in slots.items() if slot.agent in staff and _is_asked(staff[slot.agent], asked)}
    return Period(asked, house.policy, [row for row in found if asked.takes(row)], taken, staff)


def key_of(row: CallRow, by: Grouping) -> str:
    """The group a call belongs to; empty where it belongs to none."""
    match by:
        case Grouping.HALF_HOUR:
            return f"{slot_of(row.rang_at).astimezone(ZONE):%H:%M}"
        case Grouping.DAY:
            return row.rang_at.astimezone(ZONE).date().isoformat()
        case Grouping.FLOOR:
            return row.floor
        case Grouping.LEVEL:
            return str(row.level)
        case Grouping.AGENT:
            return str(row.agent or "")


def level_of(agent: Agent) -> int:
    """The level an agent works at."""
    return 2 if agent.role is Role.LEVEL2 else 1


def _in_order(key: str) -> tuple[int, str]:
    """Our own floor comes first; all other keys are in order by themselves."""
    return (list(Floor).index(Floor(key)) if key in set(Floor) else 0), key


def _is_asked(agent: Agent, asked: Asked) -> bool:
    return (
        (asked.floor is None or agent.floor == asked.floor)
        and (asked.level is None or level_of(agent) == asked.level)
        and (asked.agent is None or agent.id == asked.agent)
    )


def _slot_key(slot: Slot, agent: Agent, by: Grouping) -> str:
    local = slot.start.astimezone(ZONE)
    match by:
        case Grouping.HALF_HOUR:
            return f"{local:%H:%M}"
        case Grouping.DAY:
            return local.date().isoformat()
        case Grouping.FLOOR:
            return agent.floor
        case Grouping.LEVEL:
            return str(level_of(agent))
        case Grouping.AGENT:
            return str(agent.id)
