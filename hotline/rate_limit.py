"""How often somebody may: a bucket of tokens for each, filled at a steady rate. Pure; the time comes from the caller."""

from collections import OrderedDict
from dataclasses import dataclass

# Sources are remembered so far; beyond, the one unused for longest is forgotten, which gives it a full bucket.
MOST_SOURCES = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class RateLimit:
    """Lets each source do something `per_s` times a second on average and `burst` times at once; not for several threads."""

    def __init__(self, *, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, source: str, *, now_s: float) -> float:
        """0 where the source may now, which is counted; else how many seconds it has to wait."""
        bucket = self._buckets.get(source)
        if bucket is None:
            bucket = self._buckets[source] = _Bucket(self._burst, now_s)
            if len(self._buckets) > MOST_SOURCES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(source)
        bucket.tokens = min(self._burst, bucket.tokens + max(0.0, now_s - bucket.at_s) * self._per_s)
        bucket.at_s = max(bucket.at_s, now_s)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_s
        bucket.tokens -= 1
        return 0.0
