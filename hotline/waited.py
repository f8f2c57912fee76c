"""How long a caller has waited in all, on every way through the hotline. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]


def waited(spans: Iterable[Span]) -> timedelta:
    """The time that these spans cover together: who waits in a queue while being passed on waits once.

    >>> noon = datetime(2026, 11, 23, 12)
    >>> minute = timedelta(minutes=1)
    >>> waited([(noon, noon + 3 * minute), (noon + 2 * minute, noon + 4 * minute), (noon + 9 * minute, noon + 10 * minute)])
    datetime.timedelta(seconds=300)
    """
    total = timedelta(0)
    covered: datetime | None = None
    for begun, ended in sorted(spans):
        begun_new = begun if covered is None else max(begun, covered)
        if ended > begun_new:
            total += ended - begun_new
            covered = ended
    return total
