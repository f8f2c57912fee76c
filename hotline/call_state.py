"""What an event does to a call: a pure state machine that only ever goes forward.

ringing → answered → ended. Exchanges send events twice, late, and in any order; since a call only climbs, and details
only fill what was empty, any order of the same events ends in the same call. Nothing reopens, nothing doubles.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from hotline.cti import CtiEvent, Direction, Kind


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
    DETAILS_FILLED = "details_filled"
    ANSWER_AFTER_HANGUP = "answer_after_hangup"
    REPEATED = "repeated"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the telephone system told it; times are when we heard of them."""

    call_id: str
    state: State
    rang_at: datetime
    direction: Direction | None = None
    from_number: str = ""
    to_number: str = ""
    queue: str = ""
    users: tuple[str, ...] = field(default=())
    answered_at: datetime | None = None
    answered_as: str = ""
    ended_at: datetime | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """The call after an event (None: there is none), whether the event changed it, and why."""

    call: Call | None
    applied: bool
    reason: Reason


def apply(call: Call | None, event: CtiEvent, *, now: datetime) -> Step:
    """Say what the event does to the call it names, None where that call is not known yet."""
    if event.kind is Kind.OTHER:
        return Step(call, applied=False, reason=Reason.IGNORED)
    known = call or Call(call_id=event.call_id, state=State.RINGING, rang_at=now)
    filled = _fill(known, event)
    match event.kind:
        case Kind.ANSWER:
            after, reason = _answer(filled, event, now=now)
        case Kind.HANGUP:
            after, reason = _hang_up(filled, now=now)
        case _:
            after, reason = filled, None
    if call is None:
        return Step(after, applied=True, reason=_BEGUN_BY[event.kind])
    if reason is not None:
        return Step(after, applied=True, reason=reason)
    changed = after != call
    return Step(after, applied=changed, reason=Reason.DETAILS_FILLED if changed else Reason.REPEATED)


_BEGUN_BY = {
    Kind.NEW_CALL: Reason.STARTED,
    Kind.ANSWER: Reason.STARTED_BY_ANSWER,
    Kind.HANGUP: Reason.STARTED_BY_HANGUP,
}


def _fill(call: Call, event: CtiEvent) -> Call:
    """The call with what the event tells and the call did not know; what is known is never overwritten."""
    # A queue that rings one agent after the other announces the call again for each.
    users = call.users
    if event.kind is Kind.NEW_CALL:
        users = tuple(dict.fromkeys((*call.users, *event.users)))
    return replace(
        call,
        direction=call.direction or event.direction,
        from_number=call.from_number or event.from_number,
        to_number=call.to_number or event.to_number,
        queue=call.queue or event.queue,
        users=users,
        cause=call.cause or (event.cause if event.kind is Kind.HANGUP else ""),
    )


def _answer(call: Call, event: CtiEvent, *, now: datetime) -> tuple[Call, Reason | None]:
    """Somebody took the call; the first who is named stays, a second answer is a repeat."""
    named = call.answered_as or event.answering or (event.users[0] if len(event.users) == 1 else "")
    if call.state is State.RINGING:
        return replace(call, state=State.ANSWERED, answered_at=now, answered_as=named), Reason.ANSWERED
    if call.answered_at is None:
        # The hangup overtook it: the call was answered, at the latest when it ended; it does not reopen.
        return replace(call, answered_at=call.ended_at, answered_as=named), Reason.ANSWER_AFTER_HANGUP
    return replace(call, answered_as=named), None


def _hang_up(call: Call, *, now: datetime) -> tuple[Call, Reason | None]:
    if call.state is State.ENDED:
        return call, None
    return replace(call, state=State.ENDED, ended_at=now), Reason.ENDED
