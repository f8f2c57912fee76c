"""When the usual hours last turned, for every terminal: what tells an early closing from yesterday's."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from diagnostics.snapshot import I64, Bool
from fleet.clock import to_ms
from fleet.opening_hours import FleetHours

_MINUTE: Final = timedelta(minutes=1)
# A week of hours repeats itself: a shop that did not turn in one never does.
_LOOK_BACK: Final = timedelta(days=7)


class UsualHours:
    """Steps through time minute by minute, so that each tick costs next to nothing.

    There are far fewer (hours, time zone) pairs than terminals: the walk is made over the pairs.
    """

    def __init__(self, hours: Sequence[str], timezones: Sequence[str]) -> None:
        pairs, self._pair = np.unique(np.array([hours, timezones], dtype=np.str_), axis=1, return_inverse=True)
        self._hours = FleetHours(pairs[0].tolist(), pairs[1].tolist())
        self._is_open: Bool = np.zeros(pairs.shape[1], bool)
        self._turned_ms: I64 = np.zeros(pairs.shape[1], np.int64)
        self._minute = datetime.min.replace(tzinfo=UTC)

    def at(self, now: datetime) -> tuple[Bool, I64]:
        """Whether each terminal's shop is usually open now, (n,), and since when it is so, ms (n,); 0: always."""
        minute = now.replace(second=0, microsecond=0)
        if minute < self._minute or minute - self._minute > _LOOK_BACK:
            self._minute = minute - _LOOK_BACK
            self._turned_ms[:] = 0
            self._is_open = self._hours.open_at(self._minute)
        while self._minute < minute:
            self._minute += _MINUTE
            is_open = self._hours.open_at(self._minute)
            self._turned_ms[is_open != self._is_open] = to_ms(self._minute)
            self._is_open = is_open
        return self._is_open[self._pair], self._turned_ms[self._pair]
