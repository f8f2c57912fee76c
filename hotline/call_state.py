"""What an event does to a call: a pure state machine that only ever goes forward.

ringing → answered → ended. Exchanges send events twice, late, and in any order; since a call only climbs, and details
only fill what was empty, any order of the same events ends in the same call. Nothing reopens, nothing doubles. The parts
of a call, its waits and its agents, are in `hotline.call_legs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from hotline.call_events import CallEvent, Direction, Happening
from hotline.call_legs import Legs, heard, holder, settled


class State(StrEnum):
    """How far a call is."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Reason(StrEnum):
    """What became of an event."""

    STARTED = "started"
    ANSWERED = "answered"
    ENDED = "ended"
    STARTED_BY_ANSWER = "started_by_answer"
    STARTED_BY_HANGUP = "started_by_hangup"
    STARTED_LATE = "started_late"
    QUEUED = "queued"
    OFFERED = "offered"
    TAKEN_OVER = "taken_over"
    HELD = "held"
    RESUMED = "resumed"
    RELEASED = "released"
    LEFT_QUEUE = "left_queue"
    DETAILS_FILLED = "details_filled"
    ANSWER_AFTER_HANGUP = "answer_after_hangup"
    REPEATED = "repeated"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its source told it; times are when we heard of them."""

    call_id: str
    state: State
    rang_at: datetime
    direction: Direction | None = None
    from_number: str = ""
    to_number: str = ""
    queue: str = ""
    users: tuple[str, ...] = field(default=())
    # Its source tells at whose phone it rings, so that it rings nowhere until it says so.
    offers: bool = False
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str = ""
    legs: Legs = ()

    @property
    def answered_as(self) -> str:
        """Who has it, or had it last, as the source calls them."""
        last = holder(self.legs)
        return last.agent_as if last else ""


@dataclass(frozen=True, slots=True)
class Step:
    """The call after an event (None: there is none), whether the event changed it, and why."""

    call: Call | None
    applied: bool
    reason: Reason


_NOBODY: Mapping[str, int] = MappingProxyType({})
_BEGUN_BY = {
    Happening.RANG: Reason.STARTED,
    Happening.QUEUED: Reason.STARTED,
    Happening.OFFERED: Reason.STARTED,
    Happening.CONNECTED: Reason.STARTED_BY_ANSWER,
    Happening.RELEASED: Reason.STARTED_LATE,
    Happening.LEFT_QUEUE: Reason.STARTED_LATE,
    Happening.ENDED: Reason.STARTED_BY_HANGUP,
}
_LEGS_CHANGED_BY = {
    Happening.QUEUED: Reason.QUEUED,
    Happening.OFFERED: Reason.OFFERED,
    Happening.CONNECTED: Reason.TAKEN_OVER,
    Happening.HELD: Reason.HELD,
    Happening.RESUMED: Reason.RESUMED,
    Happening.RELEASED: Reason.RELEASED,
    Happening.LEFT_QUEUE: Reason.LEFT_QUEUE,
}
_TELLS_OF_OFFERS = frozenset({Happening.QUEUED, Happening.OFFERED, Happening.RELEASED, Happening.LEFT_QUEUE})


def apply(call: Call | None, event: CallEvent, *, now: datetime, who: Mapping[str, int] = _NOBODY) -> Step:
    """Say what the event does to the call it names, None where that call is not known yet.

    `who` are our agents' ids by the names that the event uses.
    """
    if call is None and event.kind not in _BEGUN_BY:
        return Step(None, applied=False, reason=Reason.IGNORED)
    known = call or Call(call_id=event.call_id, state=State.RINGING, rang_at=now)
    filled = _fill(known, event)
    match event.kind:
        case Happening.CONNECTED:
            after, reason = _answer(filled, now=now)
        case Happening.ENDED:
            after, reason = _hang_up(filled, now=now)
        case _:
            after, reason = filled, None
    # Who is named after somebody answered without a name has been it since then.
    since = known.answered_at if event.kind is Happening.CONNECTED and holder(known.legs) is None else None
    legs = heard(known.legs, event, who=who, now=since or now)
    after = replace(after, legs=settled(legs, answered_at=after.answered_at, ended_at=after.ended_at))
    if call is None:
        return Step(after, applied=True, reason=_BEGUN_BY[event.kind])
    return Step(after, applied=after != call, reason=reason or _changed(call, after, event))


def _changed(before: Call, after: Call, event: CallEvent) -> Reason:
    """What an event did that left the call where it is."""
    if after.legs != before.legs:
        return _LEGS_CHANGED_BY.get(event.kind, Reason.DETAILS_FILLED)
    if after != before:
        return Reason.DETAILS_FILLED
    return Reason.IGNORED if event.kind is Happening.DETAILS else Reason.REPEATED


def _fill(call: Call, event: CallEvent) -> Call:
    """The call with what the event tells and the call did not know; what is known is never overwritten."""
    # A queue that rings one agent after the other announces the call again for each.
    rung = event.users if event.kind is Happening.RANG else (event.agent,) if event.kind is Happening.OFFERED else ()
    return replace(
        call,
        direction=call.direction or event.direction,
        from_number=call.from_number or event.from_number,
        to_number=call.to_number or event.to_number,
        queue=call.queue or event.queue,
        users=tuple(dict.fromkeys((*call.users, *(name for name in rung if name)))),
        offers=call.offers or event.kind in _TELLS_OF_OFFERS,
        cause=call.cause or (event.cause if event.kind is Happening.ENDED else ""),
    )


def _answer(call: Call, *, now: datetime) -> tuple[Call, Reason | None]:
    """Somebody took the call; a second answer leaves it where it is."""
    if call.state is State.RINGING:
        return replace(call, state=State.ANSWERED, answered_at=now), Reason.ANSWERED
    if call.answered_at is None:
        # The hangup overtook it: the call was answered, at the latest when it ended; it does not reopen.
        return replace(call, answered_at=call.ended_at), Reason.ANSWER_AFTER_HANGUP
    return call, None


def _hang_up(call: Call, *, now: datetime) -> tuple[Call, Reason | None]:
    if call.state is State.ENDED:
        return call, None
    return replace(call, state=State.ENDED, ended_at=now), Reason.ENDED
