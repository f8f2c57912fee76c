"""What is worth telling, and when a failed attempt is repeated: decisions without clock, database or network.

`decide` answers with a reason, told or not; reasons stand in logs and rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

Kind = Literal["webhook", "mail", "mqtt"]


class Event(StrEnum):
    """What happens to an incident: the kinds of `diagnostics.incident_event`."""

    DECLARED = "declared"
    OPENED = "opened"
    GREW = "grew"
    SCOPE = "scope"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    CLEARING = "clearing"
    FLAPPING = "flapping"
    CLOSED = "closed"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    JOINED = "joined"
    MERGED = "merged"
    PARENT = "parent"
    APART = "apart"
    MUTED = "muted"
    UNMUTED = "unmuted"


class Verdict(StrEnum):
    """Why a channel is told of an event, or is not."""

    FIRST = "first"  # told: the channel hears of this incident, or hears of it again after its end
    CHANGED = "changed"  # told: something that matters changed
    OVER = "over"  # told: it has ended, or goes on as part of another
    CANDIDATE = "candidate"  # not: no incident yet
    MUTED = "muted"  # not: announced maintenance
    CHILD = "child"  # not: its parent is told, with this one's title
    UNTOLD = "untold"  # not: it ended, and the channel never heard of it
    REPLAYED_OVER = "replayed_over"  # not: caught up late, and over by now
    SMALL = "small"  # not: fewer terminals than the channel wants to hear of
    FLAPPING = "flapping"  # not: it comes and goes, which has been told
    SAME = "same"  # not: nothing that the channel was not told already
    UNWANTED = "unwanted"  # not: a kind of event that this channel does not tell
    DUPLICATE = "duplicate"  # not: this event has been put there before

    @property
    def tells(self) -> bool:
        """Whether a notice is to be put."""
        return self in (Verdict.FIRST, Verdict.CHANGED, Verdict.OVER)


ENDS: Final = frozenset({Event.CLOSED, Event.RESOLVED, Event.MERGED, Event.PARENT})
_NEVER_TOLD: Final = frozenset({Event.COMMENTED, Event.JOINED})
# A topic that shows the state of an incident follows it where a message would only be noise.
_STATE_ONLY: Final = frozenset({Event.CLEARING, Event.MUTED})
# Why an end is not told to whoever never heard of the beginning.
_NOT_OVER: Final = {Event.PARENT: Verdict.CHILD, Event.MUTED: Verdict.MUTED}
_WHILE_FLAPPING: Final = frozenset({Event.REOPENED, Event.CLEARING, Event.GREW, Event.FLAPPING})


@dataclass(frozen=True, slots=True)
class Channel:
    """Where notices go; `minimum`: incidents that never had so many terminals are not told."""

    name: str
    kind: Kind
    minimum: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel was told last about an incident, delivered or on its way."""

    event: Event
    event_id: int
    trouble: str | None
    scope: Mapping[str, str]
    hits: int
    latched: bool

    @property
    def over(self) -> bool:
        """Whether that was its end, so that whatever comes is told as new."""
        return self.event in ENDS or self.event is Event.MUTED


@dataclass(frozen=True, slots=True)
class Subject:
    """The incident as it is at the event; `parent`: part of a wider one. `hits` at the last look, `worst_hits` at the worst."""

    state: str
    trouble: str | None
    scope: Mapping[str, str]
    hits: int
    worst_hits: int
    muted: bool
    latched: bool
    parent: bool


@dataclass(frozen=True, slots=True)
class TellingPolicy:
    """When a change matters."""

    growth: float = 1.3
    """Terminals hit now, per terminal hit when last told, from which on growing is news."""


def decide(
    event: Event, event_id: int, incident: Subject, channel: Channel, told: Told | None, *, replayed: bool, policy: TellingPolicy
) -> Verdict:
    """Say whether a channel is told of an event, and why.

    `told` is what it heard last about this incident, None: nothing yet. `replayed`: the event lies in the past, and the incident's
    end may already be known.
    """
    if told is not None and told.event_id >= event_id:
        return Verdict.DUPLICATE
    if event in _NEVER_TOLD or (event in _STATE_ONLY and channel.kind != "mqtt"):
        return Verdict.UNWANTED
    known = told if told is not None and not told.over else None
    if event in ENDS or event is Event.MUTED:
        # Who was told of the beginning is told of the end, whatever else holds by then.
        return Verdict.OVER if known else _NOT_OVER.get(event, Verdict.UNTOLD)
    silenced = _silenced(incident, channel, replayed=replayed)
    if silenced is not None:
        return silenced
    if known is None:
        # What only tells how an incident goes on is no beginning.
        return Verdict.UNTOLD if event is Event.CLEARING else Verdict.FIRST
    return _news(event, incident, channel, known, policy)


def _silenced(incident: Subject, channel: Channel, *, replayed: bool) -> Verdict | None:
    """Why nobody is told of an incident that lives, whatever happens to it; None: they are."""
    if incident.state == "candidate":
        return Verdict.CANDIDATE
    if incident.muted:
        return Verdict.MUTED
    if incident.parent:
        return Verdict.CHILD
    if replayed and incident.state == "closed":
        return Verdict.REPLAYED_OVER
    if incident.worst_hits < channel.minimum:
        return Verdict.SMALL
    return None


def _news(event: Event, incident: Subject, channel: Channel, told: Told, policy: TellingPolicy) -> Verdict:
    """Whether an event says anything to a channel that knows the incident."""
    if told.latched and event in _WHILE_FLAPPING and channel.kind != "mqtt":
        return Verdict.FLAPPING
    # It was clearing, which messages do not tell: for their readers it has been open all along.
    if event is Event.REOPENED and channel.kind != "mqtt":
        return Verdict.SAME
    # It came back in the same step, which told of it.
    if event is Event.APART:
        return Verdict.SAME
    if event is Event.GREW and incident.hits < told.hits * policy.growth:
        return Verdict.SAME
    if event is Event.SCOPE and (incident.scope, incident.trouble) == (told.scope, told.trouble):
        return Verdict.SAME
    return Verdict.CHANGED


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often a notice is tried."""

    first_pause_s: float = 10.0
    longest_pause_s: float = 3600.0
    most_attempts: int = 100
    give_up_after: timedelta = timedelta(hours=24)


class GiveUp(NamedTuple):
    """A notice is tried no more."""

    why: str


def next_attempt(
    attempts: int, *, tried_since: datetime, now: datetime, jitter: float, wait_s: float | None, policy: RetryPolicy
) -> datetime | GiveUp:
    """When a notice is tried again after so many attempts, or that it is given up.

    Pauses double, spread by `jitter` in [0, 1) over a quarter up or down, so that many notices do not come back at once.
    `wait_s` is what the receiver asked for: never sooner, though never later than the longest pause.
    """
    if attempts >= policy.most_attempts:
        return GiveUp(f"given up after {attempts} attempts")
    pause_s = min(policy.first_pause_s * 2 ** min(attempts - 1, 32), policy.longest_pause_s)
    pause_s = min(pause_s * (0.75 + 0.5 * jitter), policy.longest_pause_s)
    if wait_s is not None:
        pause_s = min(max(pause_s, wait_s), policy.longest_pause_s)
    at = now + timedelta(seconds=pause_s)
    if at > tried_since + policy.give_up_after:
        return GiveUp(f"given up after {policy.give_up_after.total_seconds() / 3600:g} h")
    return at


# The watch catches up at least so many times faster than time passes.
_SLOWEST_CATCH_UP: Final = 30.0
_LONGEST_HOLD: Final = timedelta(hours=1)


def hold(at: datetime, now: datetime) -> timedelta:
    """How long a replayed event waits before it is sent: until the watch has caught up, and its end would be known."""
    return min(timedelta(seconds=10) + max(now - at, timedelta(0)) / _SLOWEST_CATCH_UP, _LONGEST_HOLD)
