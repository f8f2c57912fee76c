"""A call as it is stored: what the telephone system told, and what Vigie knows about it besides."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hotline.call_events import Direction
from hotline.call_state import State

# A hangup can get lost: after this long, a call is taken for ended on the screens; `hotline.lost_hangups` ends it.
LONGEST_RING = timedelta(minutes=15)
# A source that tells of each phone tells of the end as well, and its callers may wait long on a bad day.
LONGEST_WAIT = timedelta(hours=2)
LONGEST_TALK = timedelta(hours=4)
# So long an ended call comes back to the pages that its agent opens, until the work after it is finished.
LONGEST_FINISH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call with what Vigie knows about it besides."""

    id: int
    call_id: str
    version: int
    direction: Direction | None
    state: State
    from_number: str
    to_number: str
    queue: str
    rang_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    cause: str
    users: list[str]
    answered_as: str
    called: list[int]
    answered_by: int | None
    answered_by_name: str | None
    point_of_sale: str | None
    # The shops the number belongs to.
    candidates: list[str]
    # Its source tells at whose phone it rings.
    offers: bool = False
    # Our agents at whose phone it rings now, and who have it or have not finished the work after it.
    ringing: list[int] = field(default_factory=list)
    handling: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))

    @property
    def number(self) -> str:
        """The shop's side of the call: who rings us, or whom we ring."""
        return self.to_number if self.direction == "out" else self.from_number


def believed_until(call: StoredCall) -> datetime:
    """Until when the call can be believed to ring or be spoken, though nothing more is heard of it; its end, if that is known."""
    if call.ended_at is not None:
        return call.ended_at
    if call.state is State.RINGING:
        return call.rang_at + (LONGEST_WAIT if call.offers else LONGEST_RING)
    return (call.answered_at or call.rang_at) + LONGEST_TALK


def is_live(call: StoredCall, *, now: datetime) -> bool:
    """Whether the call still rings or is spoken, as far as can be believed."""
    return call.state is not State.ENDED and now < believed_until(call)


def finishing_left(call: StoredCall, *, now: datetime) -> timedelta:
    """How long the agents of an ended call are still waited for to finish the work after it; nothing where there is none."""
    if call.ended_at is None or not call.handling:
        return timedelta(0)
    return max(call.ended_at + LONGEST_FINISH - now, timedelta(0))
