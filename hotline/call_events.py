"""What can happen to a call, in words of our own: every source of calls (hook, manager connection, keyboard) says only this.

Sources repeat themselves, come late and mix up the order; `hotline.call_state` makes one call of what they say. What an
event leaves out is empty.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Direction = Literal["in", "out"]


class Happening(StrEnum):
    """What happened."""

    # It rings; `users` are whom it rings for. A source that tells of single phones by OFFERED says QUEUED instead for calls
    # that wait for an agent: a call that only rang, for nobody in particular, is shown to all who answer.
    RANG = "rang"
    # The caller waits in `queue`.
    QUEUED = "queued"
    # It rings at `agent`'s phone, for `queue` where it comes from one.
    OFFERED = "offered"
    # `agent` took it.
    CONNECTED = "connected"
    # `agent` (empty: who talks) put the caller on hold, and took them back.
    HELD = "held"
    RESUMED = "resumed"
    # `agent` has nothing to do with the call any more (answered or not); the call goes on.
    RELEASED = "released"
    # The caller left `queue`, whether somebody took the call or not; the call goes on.
    LEFT_QUEUE = "left_queue"
    # The caller is gone.
    ENDED = "ended"
    # Nothing happened: details that may fill in what is not known of a call yet. Begins no call.
    DETAILS = "details"


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One event of a call: what happened, and what its source tells besides."""

    kind: Happening
    # The source's id of the call, the same from the first ring to the end, transfers included.
    call_id: str
    # As the source called it.
    name: str
    direction: Direction | None = None
    from_number: str = ""
    to_number: str = ""
    users: tuple[str, ...] = ()
    # Name, login or extension of the agent.
    agent: str = ""
    queue: str = ""
    cause: str = ""
    # The source's id of this agent's part, or of this wait, where it has one: tells two rings at the same agent, two waits in the
    # same queue, apart.
    leg: str = ""
