"""Time as an argument: every program reads the clock through one callable, so that a demonstration can move it.

Durations inside a program use `time.monotonic`; this clock is for the times that are stored and shown.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock(offset_s: int = 0) -> Clock:
    """A clock of aware UTC times, `offset_s` seconds ahead of the machine's (negative: behind)."""
    offset = timedelta(seconds=offset_s)
    return lambda: datetime.now(UTC) + offset


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since the epoch, the contract's form of a time."""
    # In whole numbers: through a float, one time in eight would lose a millisecond.
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    """The aware UTC time of milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)
