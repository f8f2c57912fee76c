"""What is known of every terminal right now, as arrays: the input of judging, updated in place by each tick's new rows.

Row i of every array is terminal i. Times are int64 milliseconds since the epoch, 0 for "never"; values are float32, NaN
for "never measured". Only the newest of each thing is kept, so applying the same rows twice changes nothing.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.limits import METRICS
from fleet.contract import EventCode

I64 = NDArray[np.int64]
I16 = NDArray[np.int16]
I8 = NDArray[np.int8]
F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
Index = NDArray[np.intp]
# Terminal ids as six ASCII bytes, the form in which the feed has them.
Ids = NDArray[np.bytes_]

EVENTS: Final = tuple(EventCode)
EVENT_INDEX: Final = {code: index for index, code in enumerate(EVENTS)}
# What `presence` holds.
NO_PRESENCE, OFFLINE, ONLINE = -1, 0, 1


class Snapshot:
    """The fleet's present.

    `model` int16 (n,) indexes `models`. `heard_ms` is our time of receipt of the newest sample or event; `measured_ms` the
    terminal's time of its newest sample, `before_ms` of the one before. `values` (n, len(METRICS)) with `value_at_ms` of the
    same shape. `event_ms` (n, len(EVENTS)) is the newest of each code, in the terminal's time. `sold_ms` and `scanned_ms`
    are the newest samples that counted a bet or a slip. `presence` is NO_PRESENCE, OFFLINE or ONLINE, since `presence_ms`.
    `scheduled` says whether the usual hours have the shop open, since `boundary_ms` (0: always so). `fed_ms` is our time of
    the newest batch.
    """

    def __init__(self, terminals: Sequence[str], models: Sequence[str]) -> None:
        n = len(terminals)
        self.terminals: Ids = np.array(terminals, dtype="S6").reshape(n)
        self.models, self.model = _coded(models)
        self.heard_ms: I64 = np.zeros(n, np.int64)
        self.measured_ms: I64 = np.zeros(n, np.int64)
        self.before_ms: I64 = np.zeros(n, np.int64)
        self.values: F32 = np.full((n, len(METRICS)), np.nan, np.float32, order="F")
        self.value_at_ms: I64 = np.zeros((n, len(METRICS)), np.int64, order="F")
        self.event_ms: I64 = np.zeros((n, len(EVENTS)), np.int64, order="F")
        self.sold_ms: I64 = np.zeros(n, np.int64)
        self.scanned_ms: I64 = np.zeros(n, np.int64)
        self.presence: I8 = np.full(n, NO_PRESENCE, np.int8)
        self.presence_ms: I64 = np.zeros(n, np.int64)
        self.scheduled: Bool = np.zeros(n, bool)
        self.boundary_ms: I64 = np.zeros(n, np.int64)
        self.fed_ms = 0
        self._order = np.argsort(self.terminals)

    def __len__(self) -> int:
        return len(self.terminals)

    def rows_of(self, terminals: Ids) -> Index:
        """The row of each terminal id; -1 for one that the registry does not have."""
        if not len(self):
            return np.full(len(terminals), -1, np.intp)
        place = np.searchsorted(self.terminals, terminals, sorter=self._order)
        row = self._order[np.minimum(place, len(self) - 1)]
        return np.where(self.terminals[row] == terminals, row, -1)

    def update_samples(self, rows: Index, *, at_ms: I64, received_ms: I64, values: F32, tickets: F32, scans: F32) -> None:
        """Take in samples, in any order; `values` (samples, len(METRICS)), NaN: not measured. Row -1 is passed over."""
        known = rows >= 0
        rows, at_ms, received_ms, values = rows[known], at_ms[known], received_ms[known], values[known]
        # In an ordinary tick each terminal brings one sample at most, and nothing needs to be sorted.
        alone = len(rows) == 0 or int(np.bincount(rows).max()) == 1
        _raise(self.heard_ms, rows, received_ms, alone=alone)
        self._update_pace(rows, at_ms, alone=alone)
        for moments, counted in ((self.sold_ms, tickets[known]), (self.scanned_ms, scans[known])):
            some = counted > 0
            _raise(moments, rows[some], at_ms[some], alone=alone)
        if not alone:
            # Oldest first, so that plain assignment leaves the newest of each terminal.
            order = np.argsort(at_ms, kind="stable")
            rows, at_ms, values = rows[order], at_ms[order], values[order]
        for column in range(len(METRICS)):
            newer = ~np.isnan(values[:, column]) & (at_ms >= self.value_at_ms[rows, column])
            self.values[rows[newer], column] = values[newer, column]
            self.value_at_ms[rows[newer], column] = at_ms[newer]

    def _update_pace(self, rows: Index, at_ms: I64, *, alone: bool) -> None:
        """Keep the two newest times of measurement of each terminal."""
        if alone:
            known = np.stack([at_ms, self.measured_ms[rows], self.before_ms[rows]])
            self.measured_ms[rows] = known.max(axis=0, initial=0)
            self.before_ms[rows] = np.where(known < self.measured_ms[rows], known, 0).max(axis=0, initial=0)
            return
        order = np.lexsort((at_ms, rows))
        row, at = rows[order], at_ms[order]
        distinct = np.ones(len(row), bool)
        distinct[1:] = (row[1:] != row[:-1]) | (at[1:] != at[:-1])
        row, at = row[distinct], at[distinct]
        last = np.flatnonzero(np.append(row[1:] != row[:-1], True)) if len(row) else np.zeros(0, np.intp)
        has_second = (last > 0) & (row[last - 1] == row[last])
        of = row[last]
        known = np.stack([at[last], np.where(has_second, at[last - 1], 0), self.measured_ms[of], self.before_ms[of]])
        self.measured_ms[of] = known.max(axis=0)
        self.before_ms[of] = np.where(known < self.measured_ms[of], known, 0).max(axis=0)

    def update_events(self, rows: Index, *, at_ms: I64, received_ms: I64, codes: Index) -> None:
        """Take in events, in any order; `codes` indexes EVENTS. Row or code -1 is passed over."""
        known = (rows >= 0) & (codes >= 0)
        np.maximum.at(self.heard_ms, rows[known], received_ms[known])
        np.maximum.at(self.event_ms, (rows[known], codes[known]), at_ms[known])

    def update_presence(self, rows: Index, *, online: Bool, changed_ms: I64) -> None:
        """Take in the current presence of some terminals (at most one row each). Row -1 is passed over."""
        known = rows >= 0
        self.presence[rows[known]] = np.where(online[known], ONLINE, OFFLINE)
        self.presence_ms[rows[known]] = changed_ms[known]

    def set_opening(self, *, scheduled: Bool, boundary_ms: I64) -> None:
        """Set what the usual hours say of every terminal at this tick."""
        self.scheduled, self.boundary_ms = scheduled, boundary_ms

    def carried_to(self, terminals: Sequence[str], models: Sequence[str]) -> tuple["Snapshot", Index]:
        """The same knowledge on a changed registry, and the old row of each new one (-1: a new terminal)."""
        new = Snapshot(terminals, models)
        old_rows = self.rows_of(new.terminals)
        kept = np.flatnonzero(old_rows >= 0)
        for name in _PER_TERMINAL:
            getattr(new, name)[kept] = getattr(self, name)[old_rows[kept]]
        new.fed_ms = self.fed_ms
        return new, old_rows


_PER_TERMINAL = (
    "heard_ms", "measured_ms", "before_ms", "values", "value_at_ms", "event_ms", "sold_ms", "scanned_ms", "presence", "presence_ms",
    "scheduled", "boundary_ms",
)  # fmt: skip


def _raise(moments: I64, rows: Index, to_ms: I64, *, alone: bool) -> None:
    """Move moments on, never back; `alone`: no row is given twice."""
    if alone:
        moments[rows] = np.maximum(moments[rows], to_ms)
    else:
        np.maximum.at(moments, rows, to_ms)


def _coded(models: Sequence[str]) -> tuple[tuple[str, ...], I16]:
    """The distinct models, and each terminal's index among them."""
    distinct = tuple(sorted(set(models)))
    index = {model: i for i, model in enumerate(distinct)}
    return distinct, np.fromiter((index[model] for model in models), np.int16, len(models))
