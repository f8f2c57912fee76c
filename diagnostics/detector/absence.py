"""Who owes a report by now, judged by the terminal's own pace: the quickest sign that a line or a mains is gone.

A shop that has not shown itself open yet, or that reports at the closed pace, owes nothing in a hurry. Who comes back is
given a while: what its first reports say is still the outage's tail.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from diagnostics.detector.observed import Observed
from diagnostics.snapshot import EVENT_INDEX, F32, I64, Bool, Index
from fleet.contract import OPEN_CADENCE_S, EventCode

_OPEN, _CLOSE = EVENT_INDEX[EventCode.OPEN], EVENT_INDEX[EventCode.CLOSE]
# A gap up to this still is the pace of an open shop, one report may be lost; s.
_UNHURRIED_S: Final = 2 * OPEN_CADENCE_S + 5
# After a silence longer than this, the first reports speak of the silence.
_AWAY_S: Final = 75
_SETTLE_S: Final = 45
# A fleet is never silent for so long, however few report; s.
_FEED_STILL_S: Final = 10
_PACE: Final = np.float32(0.1)


class Absence:
    """When each terminal was last heard and how evenly it reports; arrays (n,), changed in place.

    `gap_s` and `uneven_s` are the usual time between its reports at the open pace and its usual deviation.
    """

    TERMINAL_AXIS: ClassVar[Mapping[str, int]] = {
        "heard_ms": 0,
        "measured_ms": 0,
        "settled_ms": 0,
        "hurried": 0,
        "gap_s": 0,
        "uneven_s": 0,
    }

    def __init__(self, n: int) -> None:
        self.heard_ms: I64 = np.zeros(n, np.int64)
        self.measured_ms: I64 = np.zeros(n, np.int64)
        self.settled_ms: I64 = np.zeros(n, np.int64)
        self.closed_ms: I64 = np.zeros(n, np.int64)
        self.hurried: Bool = np.zeros(n, bool)
        self.gap_s: F32 = np.full(n, OPEN_CADENCE_S, np.float32)
        self.uneven_s: F32 = np.full(n, 1.5, np.float32)

    def hear(self, seen: Observed) -> None:
        """Take note of everything that came, whatever it says and however old it is."""
        rows, received = seen.rows, seen.received_ms
        known = rows >= 0
        if not known.all():
            rows, received = rows[known], received[known]
        self._return(rows, received)
        events = seen.event_rows >= 0
        event_rows, codes = seen.event_rows[events], seen.event_codes[events]
        self._return(event_rows, seen.event_received_ms[events])
        # In order of the terminals' own time: who closed and opened again is open.
        order = np.argsort(seen.event_at_ms[events], kind="stable")
        event_rows, codes = event_rows[order], codes[order]
        turned = (codes == _OPEN) | (codes == _CLOSE)
        self.hurried[event_rows[turned]] = codes[turned] == _OPEN
        closed = codes == _CLOSE
        self.closed_ms[event_rows[closed]] = seen.event_at_ms[events][order][closed]

    def _return(self, rows: Index, received: I64) -> None:
        away = received - self.heard_ms[rows] > _AWAY_S * 1000
        back = rows[away & self.hurried[rows]]
        self.settled_ms[back] = received[away & self.hurried[rows]] + _SETTLE_S * 1000
        # A late write must not undo a newer one; rows may occur twice.
        np.maximum.at(self.heard_ms, rows, received)

    def measure(self, rows: Index, at_ms: I64) -> None:
        """Learn the pace from samples that came in time; each row once."""
        before = self.measured_ms[rows]
        gap_s = ((at_ms - before) / 1000).astype(np.float32)
        known = before > 0
        # The pace of before closing says nothing about now.
        even = known & (gap_s > 0) & (gap_s <= _UNHURRIED_S) & (before >= self.closed_ms[rows])
        self.hurried[rows] = np.where(known & (gap_s > 0), even, self.hurried[rows])
        usual = self.gap_s[rows]
        off = np.where(even, gap_s - usual, 0)
        self.gap_s[rows] = usual + _PACE * off
        uneven = self.uneven_s[rows]
        self.uneven_s[rows] = uneven + _PACE * np.where(even, np.abs(off) - uneven, 0)
        self.measured_ms[rows] = np.maximum(before, at_ms)

    def missing(self, now_ms: int, *, trusted_ms: int, after_s: float, most_s: float) -> Bool:
        """Who owes a report, and has for longer than its own unevenness explains: bool (n,)."""
        wait_s = np.clip(self.gap_s + 5 * self.uneven_s, after_s, most_s)
        # Where nothing comes from anybody, it is our own feed that stands still, and nobody owes more than before.
        until_ms = min(now_ms, int(self.heard_ms.max(initial=0)) + _FEED_STILL_S * 1000)
        silent_ms = until_ms - np.maximum(self.heard_ms, trusted_ms)
        return np.asarray(self.hurried & (self.heard_ms > 0) & (silent_ms > wait_s * 1000))
