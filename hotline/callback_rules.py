"""When a shop is to be called back, and when not any more. Pure.

Exchanges tell of calls late and in any order, so this is decided from what is known of a call as a whole, and again each
time more is known: deciding twice harms nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from hotline.call_events import Direction
from hotline.call_state import State
from hotline.opening import Opening

# A shop that gave up is called back soon: long enough for it to ring again by itself, which most do within minutes.
DUE_AFTER: Final = timedelta(minutes=30)


class Dropped(StrEnum):
    """Why a callback is not to be made any more."""

    RANG_AGAIN = "rang_again"
    ANSWERED_AFTER_ALL = "answered_after_all"
    REQUALIFIED = "requalified"
    NOT_NEEDED = "not_needed"
    INCIDENT_OVER = "incident_over"


class Step(StrEnum):
    """What a call means for the callback that it may have made."""

    NOTHING = "nothing"
    MAKE = "make"
    DROP_ANSWERED = "drop_answered"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call by now."""

    direction: Direction | None
    state: State
    number: str
    answered_at: datetime | None


def step(call: CallFacts, *, has_one: bool) -> Step:
    """Say what becomes of the callback of a call that came in; `has_one`: it has made one before."""
    if call.direction == "out":
        return Step.NOTHING
    if call.answered_at is not None:
        return Step.DROP_ANSWERED if has_one else Step.NOTHING
    # Who hides the number cannot be called.
    if has_one or call.state is not State.ENDED or not call.number:
        return Step.NOTHING
    return Step.MAKE


def due_at(ended_at: datetime, opening: Opening) -> datetime:
    """When a shop is called back that gave up at this moment: soon, but not while the hotline is closed.

    >>> from datetime import UTC, time
    >>> due_at(datetime(2026, 11, 23, 21, 20, tzinfo=UTC), Opening(usual_end=time(22, 30))).isoformat()
    '2026-11-24T06:00:00+00:00'
    """
    due = ended_at + DUE_AFTER
    return due if opening.is_open(due) else opening.next_start(due)
