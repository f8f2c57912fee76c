"""What a channel does: it sends one notice and says how that ended. Each channel implements `Sender`."""

from typing import NamedTuple, Protocol
from uuid import UUID

from diagnostics.notices.body import Body


class Parcel(NamedTuple):
    """One notice as a channel gets it.

    `thread` and `first` are the id and body of the first notice that this channel was told of the same incident.
    """

    uid: UUID
    body: Body
    thread: UUID
    first: Body


class Sent(NamedTuple):
    """The receiver has it; `note` is for people, where something was not quite right."""

    note: str = ""


class Failed(NamedTuple):
    """It may work later; `wait_s` is what the receiver asked for."""

    error: str
    wait_s: float | None = None


class Refused(NamedTuple):
    """It will never work: no further attempt."""

    error: str


Outcome = Sent | Failed | Refused


class Sender(Protocol):
    """One channel."""

    def send(self, parcel: Parcel) -> Outcome:
        """Send a notice; expected failures are outcomes, not exceptions."""

    def close(self) -> None:
        """Let go of what it holds open."""
