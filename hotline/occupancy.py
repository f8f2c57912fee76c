"""How much of their time agents were on calls: speech, hold and wrap-up, of the time they were there.

An agent is there while a console of theirs is open, and while they are on a call whatever their console says. Time is cut
into half-hours, so that what an agent did in a half-hour adds up to every other way of looking at it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

Span = tuple[datetime, datetime]

# Offsets of French time from UTC are whole half-hours, so that the slots of UTC are those of Paris.
SLOT: Final = timedelta(minutes=30)


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


def together(parts: Iterable[Occupied]) -> Occupied:
    """Several slots as one."""
    found = list(parts)
    return Occupied(sum(one.busy_s for one in found), sum(one.there_s for one in found))


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
