"""How much of their time agents were on calls: speech, hold and wrap-up, of the time they were there.

An agent is there while a console of theirs is open, and while they are on a call whatever their console says. Time is cut
into half-hours, so that what an agent did in a half-hour adds up to every other way of looking at it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Span = tuple[datetime, datetime]

# Offsets of French time from UTC are whole half-hours, so that the slots of UTC are those of Paris.
SLOT: Final = timedelta(minutes=30)

SLOT_S: Final = 1800
# An agent's half-hour as closed days keep it: which since 1970, and microseconds on calls and there.
AGENT_SLOT: Final = np.dtype([("agent", "<i8"), ("slot", "<i4"), ("busy_us", "<i4"), ("there_us", "<i4")])


class Slot(NamedTuple):
    """An agent's half-hour."""

    agent: int
    start: datetime


@dataclass(frozen=True, slots=True)
class Occupied:
    """Seconds on calls, of seconds there."""

    busy_s: float = 0.0
    there_s: float = 0.0

    @property
    def value(self) -> float | None:
        """The share of one; None where nobody was there."""
        return self.busy_s / self.there_s if self.there_s else None


def occupancy(
    busy: Mapping[int, Sequence[Span]], there: Mapping[int, Sequence[Span]], *, since: datetime, until: datetime
) -> dict[Slot, Occupied]:
    """What each agent did in each half-hour of the period they were there.

    Two calls at once count once: an agent has one pair of ears.
    """
    slots: dict[Slot, Occupied] = {}
    for agent in busy.keys() | there.keys():
        on_calls = _in_slots(union(busy.get(agent, ())), since, until)
        present = _in_slots(union([*busy.get(agent, ()), *there.get(agent, ())]), since, until)
        slots |= {Slot(agent, start): Occupied(on_calls.get(start, 0.0), seconds) for start, seconds in present.items()}
    return slots


def as_table(slots: Mapping[Slot, Occupied]) -> NDArray[np.void]:
    """These slots as rows of `AGENT_SLOT`, in order of time."""
    rows = [
        (slot.agent, int(slot.start.timestamp()) // SLOT_S, round(one.busy_s * 1e6), round(one.there_s * 1e6))
        for slot, one in slots.items()
    ]
    table = np.array(rows, dtype=AGENT_SLOT)
    return table[np.lexsort((table["agent"], table["slot"]))]


def together(table: NDArray[np.void]) -> Occupied:
    """Several slots as one."""
    return Occupied(int(table["busy_us"].sum(dtype=np.int64)) / 1e6, int(table["there_us"].sum(dtype=np.int64)) / 1e6)


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that neither touch nor overlap, in order; empty and backward ones are no time."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def slot_of(at: datetime) -> datetime:
    """The half-hour a moment lies in."""
    at = at.astimezone(UTC)
    return at.replace(minute=at.minute - at.minute % 30, second=0, microsecond=0)


def _in_slots(spans: Sequence[Span], since: datetime, until: datetime) -> dict[datetime, float]:
    """Seconds in each half-hour of the period."""
    seconds: dict[datetime, float] = {}
    for begun, ended in spans:
        start, end = max(begun, since).astimezone(UTC), min(ended, until).astimezone(UTC)
        while start < end:
            slot = slot_of(start)
            cut = min(slot + SLOT, end)
            seconds[slot] = seconds.get(slot, 0.0) + (cut - start).total_seconds()
            start = cut
    return seconds
