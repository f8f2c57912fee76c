"""Symptoms: when what one terminal shows is beyond doubt and beyond what can be borne, and when it is over.

Each way in has another way out. The evidence of a terminal's gauges for one trouble is combined by the Cauchy test (Liu and
Xie 2020), which holds however they hang together; what is counted is judged by the tail of the gamma-Poisson law.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

import numpy as np
from scipy.special import betainc

from diagnostics.detector.baseline import Usual
from diagnostics.detector.calibration import CUSUM_K, Calibration
from diagnostics.detector.gauges import Gauges
from diagnostics.detector.metrics import (
    BOARD,
    CLOCK,
    COUNTS,
    CPU,
    CRASHES,
    DISK,
    GAUGE_COLUMNS,
    GAUGES,
    LOSS,
    MEM,
    PRINT_ERRORS,
    RTT,
    SCAN_ERRORS,
    SIGNAL,
    TX,
    TX_FAILURES,
)
from diagnostics.detector.rates import CountWindows
from diagnostics.detector.sales import Sales
from diagnostics.judgement import Judgement
from diagnostics.reasons import REASON_INDEX, Reason
from diagnostics.snapshot import F32, I64, Bool, Index
from diagnostics.troubles import TROUBLE_INDEX, TROUBLES, Trouble

# The gauges whose evidence is combined for each trouble, and those of which one must be felt as well.
_OF: Final = {
    Trouble.NETWORK: (RTT, LOSS),
    Trouble.RADIO: (SIGNAL, LOSS),
    Trouble.HEAT: (BOARD,),
    Trouble.DISK: (DISK,),
    Trouble.MEMORY: (MEM,),
    Trouble.CLOCK: (CLOCK,),
    Trouble.TX_SLOW: (TX,),
}
_TOLD: Final = {
    Trouble.NETWORK: RTT,
    Trouble.RADIO: SIGNAL,
    Trouble.HEAT: BOARD,
    Trouble.DISK: DISK,
    Trouble.MEMORY: MEM,
    Trouble.CLOCK: CLOCK,
    Trouble.TX_SLOW: TX,
}
_OFFLINE, _PAPER = TROUBLE_INDEX[Trouble.OFFLINE], TROUBLE_INDEX[Trouble.PAPER]
# A symptom goes on while its gauge is still this part of what is felt away from the usual.
_STILL: Final = 0.5
# Exponents beyond this say no more; it also keeps float32 finite.
_MOST: Final = np.float32(60)
# The windows of counted symptoms, in minutes: a single crash is none, several within half an hour are.
_COUNTED_MIN: Final = {TX_FAILURES: 60, PRINT_ERRORS: 60, SCAN_ERRORS: 60, CRASHES: 30}
# A counted symptom is felt from this multiple of the usual on, and is over below this part of the count that began it.
_RATE_FELT: Final = 6.0
# ... and begins where it happened so often in the last quarter of an hour.
_LATELY: Final = 2
# After fewer missed customers, or less time, than this nobody knows that nothing is sold.
_IDLE_LEAST, _IDLE_LEAST_MIN = np.float32(1.5), np.float32(1.9)


class _Look(NamedTuple):
    """What some terminals show of one trouble: enough to begin a symptom, to keep one, how surely, and the figure to tell."""

    enough: Bool
    still: Bool
    p: F32
    value: F32


class Symptoms:
    """Who is ill with what, held with hysteresis; arrays (n, troubles). `seen_ms` is when it last showed."""

    TERMINAL_AXIS: ClassVar[Mapping[str, int]] = {"on": 0, "since_ms": 0, "seen_ms": 0, "value": 0, "p": 0, "_ill": 0}

    def __init__(self, n: int, calibration: Calibration) -> None:
        shape = (n, len(TROUBLES))
        self.on: Bool = np.zeros(shape, bool)
        # (n,): anything of what is judged here.
        self._ill: Bool = np.zeros(n, bool)
        self.since_ms: I64 = np.zeros(shape, np.int64)
        self.seen_ms: I64 = np.zeros(shape, np.int64)
        self.value: F32 = np.full(shape, np.nan, np.float32)
        self.p: F32 = np.ones(shape, np.float32)
        self.lowest: F32 = np.ones(shape, np.float32)
        self._calibration = calibration
        self._rate = np.array([calibration.cusum_rate[gauge.field] for gauge in GAUGES], np.float32).T
        self._p = np.array([calibration.symptom_p[trouble] for trouble in TROUBLES], np.float32)
        self._over_ms = int(calibration.symptom_over_s * 1000)

    def take_gauges(self, rows: Index, values: F32, felt: F32, gauges: Gauges, sales: Sales, *, now_ms: int) -> None:
        """Judge the rows just measured by their gauges: `values` (rows, 18) as measured, `felt` as `Gauges.update` gave it."""
        # Who shows nothing that anybody would feel, and is not ill, has no symptom: that is nearly everybody.
        looked = self._ill[rows]
        looked[np.flatnonzero(felt >= 1) // felt.shape[1]] = True
        (some,) = np.nonzero(looked)
        if not len(some):
            return
        rows, size, told = rows[some], felt[some], values[some][:, GAUGE_COLUMNS]
        tails = np.minimum(gauges.cusum(rows) * self._rate, _MOST)
        # Of the reference values the best one, at the price of having looked with each.
        evidence = tails.max(axis=1) - np.float32(np.log(len(CUSUM_K)))
        enough_of, still = size >= 1, size >= _STILL
        for trouble, parts in _OF.items():
            p = _combined(evidence[:, parts])
            # A weak signal that loses nothing is no symptom; either of round trip and losses is.
            either = trouble is Trouble.NETWORK
            enough = enough_of[:, parts].any(axis=1) if either else enough_of[:, parts[0]]
            goes_on = still[:, parts].any(axis=1) if either else still[:, parts[0]]
            if trouble is Trouble.RADIO:
                enough = enough & still[:, LOSS]
            look = _Look(np.asarray(enough), np.asarray(goes_on), p, told[:, _TOLD[trouble]])
            self._hold(rows, trouble, look, now_ms=now_ms)
        self._judge_sales(rows, evidence[:, CPU], enough_of[:, CPU], sales, now_ms=now_ms)

    def _judge_sales(self, rows: Index, evidence: F32, felt: Bool, sales: Sales, *, now_ms: int) -> None:
        """Nothing is sold, and the processor's load is far off its usual: the application hangs."""
        p = np.exp(-np.maximum(evidence, 0)) * sales.chance(rows)
        minutes = ((now_ms - sales.sold_ms[rows]) / 60_000).astype(np.float32)
        idle = (sales.idle[rows] >= _IDLE_LEAST) & (minutes >= _IDLE_LEAST_MIN)
        self._hold(rows, Trouble.NO_SALES, _Look(idle & felt, idle, p, minutes), now_ms=now_ms)

    def take_counts(self, counts: CountWindows, usual: Usual, counted: Bool, *, now_ms: int) -> None:
        """Judge everybody whose counts are judged by what was counted."""
        for index, count in enumerate(COUNTS):
            column = TROUBLE_INDEX[count.trouble]
            hits, means = counts.window(index, _COUNTED_MIN[index])
            least = self._calibration.symptom_count[count.trouble]
            rows = np.flatnonzero(counted & ((hits >= least) | self.on[:, column]))
            if not len(rows):
                continue
            c, mean, shape = hits[rows], means[rows], usual.shape[rows, index]
            p = _tail(c, mean, shape)
            enough = (c >= least) & (c >= _RATE_FELT * mean)
            # What an hour counted may be over: a symptom goes on while it still happens, and begins where it just did again.
            lately = c if index == CRASHES else counts.window(index, 15)[0][rows]
            begins, goes_on = np.asarray(enough & (lately >= _LATELY)), np.asarray(enough & (lately > 0))
            self._hold(rows, count.trouble, _Look(begins, goes_on, p, c), now_ms=now_ms)

    def take_judgement(self, judged: Judgement, watched: Bool) -> None:
        """Take over what is judged elsewhere of the `watched` (n,): who is offline or silent, and who has no paper."""
        for column, reasons in ((_OFFLINE, (Reason.OFFLINE, Reason.SILENT)), (_PAPER, (Reason.PAPER_OUT,))):
            on = judged.has(reasons[0])
            for reason in reasons[1:]:
                on |= judged.has(reason)
            on &= watched
            was = np.flatnonzero(self.on[:, column])
            rows = np.flatnonzero(on)
            self.on[was, column], self.p[was, column], self.since_ms[was, column] = False, 1, 0
            self.on[rows, column], self.p[rows, column] = True, np.float32(1e-9)
            since = judged.reason_since_ms[rows][:, [REASON_INDEX[reason] for reason in reasons]]
            self.since_ms[rows, column] = since.max(axis=1, initial=0)

    def end(self, gone: Bool, *, now_ms: int) -> None:
        """End what was not seen for a while, and everything of terminals that are not judged any more (`gone`)."""
        rows, columns = np.divmod(np.flatnonzero(self.on), self.on.shape[1])
        over = (now_ms - self.seen_ms[rows, columns] >= self._over_ms) & (columns != _OFFLINE) & (columns != _PAPER)
        over |= gone[rows]
        rows, columns = rows[over], columns[over]
        self.on[rows, columns] = False
        self.value[rows, columns] = np.nan
        self.p[rows, columns] = 1
        self.since_ms[rows, columns] = 0
        self._ill[rows] = self.on[rows].any(axis=1)

    def resume(self, on: Bool, *, since_ms: I64, value: F32, p: F32, now_ms: int) -> None:
        """After a restart: hold these symptoms and no others, all (n, troubles); they end as any does."""
        self.on[:] = on
        self._ill[:] = on.any(axis=1)
        self.since_ms[:] = np.where(on, since_ms, 0)
        self.seen_ms[:] = np.where(on, now_ms, self.seen_ms)
        self.value[:] = np.where(on, value, np.nan)
        self.p[:] = np.where(on, p, 1)

    def keep(self, rows: Bool, *, now_ms: int) -> None:
        """Hold the symptoms of terminals of which nothing is heard: silence is no cure."""
        self.seen_ms[rows] = now_ms

    def take_lowest(self) -> F32:
        """The strongest evidence of whoever could be felt since the last asking (n, troubles), 1: none; for calibration."""
        lowest, self.lowest = self.lowest, np.ones_like(self.lowest)
        return lowest

    def _hold(self, rows: Index, trouble: Trouble, look: "_Look", *, now_ms: int) -> None:
        column = TROUBLE_INDEX[trouble]
        was = self.on[rows, column]
        np.minimum.at(self.lowest[:, column], rows[look.enough], look.p[look.enough])
        starts = look.enough & (look.p <= self._p[column]) & ~was
        held = was & look.still
        if starts.any():
            begun = rows[starts]
            self.on[begun, column] = True
            self._ill[begun] = True
            self.since_ms[begun, column] = now_ms
        shown = starts | held
        if shown.any():
            of = rows[shown]
            self.seen_ms[of, column] = now_ms
            # What is not measured each time is told as it last was.
            value = look.value[shown]
            self.value[of, column] = np.where(np.isnan(value), self.value[of, column], value)
            self.p[of, column] = look.p[shown]


def _combined(evidence: F32) -> F32:
    """The Cauchy combination of p = exp(-evidence): for small p the mean of their inverses, inverted."""
    inverse = np.exp(np.maximum(evidence, 0)).mean(axis=1)
    return np.asarray(1 / inverse, np.float32)


def _tail(counts: F32, means: F32, shape: F32) -> F32:
    """P(at least so many) where the mean is known as surely as `shape` events: gamma-Poisson."""
    share = means / (means + shape)
    return np.asarray(betainc(np.maximum(counts, 1e-3), shape, np.clip(share, 0, 1)), np.float32)
