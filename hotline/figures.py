"""The figures of a period, whole and by half-hour, day, floor, level or agent: read in one go, the same for pages and programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleet.database import Connection
from hotline.accounts import Agent, agents
from hotline.closed_days import counted
from hotline.counted_calls import FLOORS, Calls
from hotline.floors import Floor
from hotline.kpi import Figures, Picked, Policy, figures_of, pick
from hotline.kpi_rows import settle
from hotline.occupancy import SLOT_S, Occupied, together
from hotline.opening import ZONE, day_bounds
from hotline.race_days import opening
from hotline.roles import level_of

# Calls are counted in memory, some nine hundred a day.
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
    rows: Calls
    # Rows of `AGENT_SLOT`, of agents that are known.
    slots: NDArray[np.void]
    staff: Mapping[int, Agent]

    def narrowed(self, asked: Asked) -> "Period":
        """What is asked for of the same days."""
        if (asked.floor, asked.level, asked.agent) == (None, None, None):
            return replace(self, asked=asked)
        calls = np.ones(len(self.rows), dtype=bool)
        if asked.floor is not None:
            calls &= self.rows.column("floor") == FLOORS.index(asked.floor)
        if asked.level is not None:
            calls &= self.rows.column("level") == asked.level
        if asked.agent is not None:
            calls &= self.rows.column("agent") == asked.agent
        agents = [agent.id for agent in self.staff.values() if _is_asked(agent, asked)]
        slots = self.slots[np.isin(self.slots["agent"], agents)]
        return replace(self, asked=asked, rows=self.rows.where(calls), slots=slots)

    def whole(self) -> Group:
        """All together."""
        return Group("", figures_of(self.rows, self.policy), together(self.slots))

    def groups(self, by: Grouping) -> list[Group]:
        """Told apart, in order of their keys."""
        calls, slots = _apart(self._keys(by)), _apart(self._slot_keys(by))
        nothing = np.zeros(0, dtype=np.int64)
        return [
            Group(
                key,
                figures_of(Calls(self.rows.table[calls.get(key, nothing)]), self.policy),
                together(self.slots[slots.get(key, nothing)]),
            )
            for key in sorted(calls.keys() | slots.keys(), key=_in_order)
        ]

    def calls(self, what: Picked, *, key: str = "") -> Calls:
        """The calls that a figure counted, newest first; of one group of those asked for where `key` names it."""
        rows = self.rows
        if key:
            rows = Calls(rows.table[_apart(self._keys(self.asked.by)).get(key, np.zeros(0, dtype=np.int64))])
        return pick(rows, what, self.policy)[::-1]

    def _keys(self, by: Grouping) -> "_Keys":
        """The group each call belongs to; none where its key is empty."""
        column = self.rows.column
        match by:
            case Grouping.HALF_HOUR | Grouping.DAY:
                return _Keys(column("rang_us") // (SLOT_S * 1_000_000), lambda slot: _of_slot(slot, by))
            case Grouping.FLOOR:
                return _Keys(column("floor"), lambda floor: FLOORS[floor])
            case Grouping.LEVEL:
                return _Keys(column("level"), str)
            case Grouping.AGENT:
                return _Keys(column("agent"), lambda agent: str(agent or ""))

    def _slot_keys(self, by: Grouping) -> "_Keys":
        """The group each agent's half-hour belongs to."""
        match by:
            case Grouping.HALF_HOUR | Grouping.DAY:
                return _Keys(self.slots["slot"], lambda slot: _of_slot(slot, by))
            case Grouping.FLOOR:
                return _Keys(self.slots["agent"], lambda agent: self.staff[agent].floor)
            case Grouping.LEVEL:
                return _Keys(self.slots["agent"], lambda agent: str(level_of(self.staff[agent].role)))
            case Grouping.AGENT:
                return _Keys(self.slots["agent"], str)


class _Keys(NamedTuple):
    """A number of each row, and which group such a number belongs to."""

    numbers: NDArray[Any]
    key: Callable[[int], str]


def read_period(conn: Connection, *, asked: Asked, house: House, now: datetime) -> Period:
    """Read what happened; counting is the period's own business."""
    hours = opening(conn, first=asked.first, last=asked.last, usual_end=house.usual_end)
    staff = {agent.id: agent for agent in agents(conn)}
    found = counted(conn, first=asked.first, last=asked.last, wrap_up=house.wrap_up, now=now)
    calls = settle(found.calls, opening=hours, staff=staff, now=now)
    known = found.slots[np.isin(found.slots["agent"], list(staff))]
    return Period(asked, house.policy, calls, known, staff).narrowed(asked)


def _apart(keys: _Keys) -> dict[str, NDArray[np.int64]]:
    """The places of the rows of each group, in order."""
    numbers, of_row = np.unique(keys.numbers, return_inverse=True)
    names = [keys.key(int(number)) for number in numbers]
    groups = {name: order for order, name in enumerate(dict.fromkeys(names))}
    group_of_row = np.array([groups[name] for name in names], dtype=np.int64)[of_row]
    order = np.argsort(group_of_row, kind="stable")
    cuts = np.searchsorted(group_of_row[order], np.arange(1, len(groups)))
    return {name: places for name, places in zip(groups, np.split(order, cuts), strict=False) if name}


def _of_slot(slot: int, by: Grouping) -> str:
    local = datetime.fromtimestamp(slot * SLOT_S, ZONE)
    return f"{local:%H:%M}" if by is Grouping.HALF_HOUR else local.date().isoformat()


def _in_order(key: str) -> tuple[int, str]:
    """Our own floor comes first; all other keys are in order by themselves."""
    return (list(Floor).index(Floor(key)) if key in set(Floor) else 0), key


def _is_asked(agent: Agent, asked: Asked) -> bool:
    return (
        (asked.floor is None or agent.floor == asked.floor)
        and (asked.level is None or level_of(agent.role) == asked.level)
        and (asked.agent is None or agent.id == asked.agent)
    )
