"""The detector of single terminals: baselines, weak signs for the fleet scan, and symptoms, from what each tick brought.

Pure arrays, changed in place; a tick touches only the rows it brought, and masks. It learns while a terminal is well, its
shop open and nothing announced; it judges only what came in time.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.absence import Absence
from diagnostics.detector.baseline import LEARN_EVERY_S, Baseline, Usual, peer_groups
from diagnostics.detector.calibration import Calibration
from diagnostics.detector.crashes import Crashes
from diagnostics.detector.gauges import Gauges
from diagnostics.detector.metrics import COLUMN as FIELD
from diagnostics.detector.metrics import CRASHES, GAUGES, activity, counted, transform
from diagnostics.detector.observed import Fleet, Observed, Signs
from diagnostics.detector.peers import Peers
from diagnostics.detector.rates import CountWindows, SignRates, shares
from diagnostics.detector.sales import Sales
from diagnostics.detector.signs import gauge_signs, layers_of
from diagnostics.detector.symptoms import Symptoms
from diagnostics.judgement import Judgement
from diagnostics.reasons import Reason
from diagnostics.snapshot import F32, I64, Bool, Index
from diagnostics.troubles import TROUBLE_INDEX, TROUBLES, Trouble

# A sample older than this when it came is history; one from further ahead is a wrong clock's, and still the present.
LATE_S: Final = 120
# Baselines move slowly: what is usual is read anew so often, and whenever an hour turns.
_USUAL_EVERY_S: Final = 1800
# A gauge that was off for so many steps of learning in open hours has changed for good, and is learnt anew.
_CHANGED_STEPS: Final = 288
# More in an hour than this many times the usual is no habit to learn.
_ODD_RATE, _ODD_COUNT = 5.0, 2.0
_HOUR_S: Final = 3600


class _Part(Protocol):
    """A part of the detector's state that a changed registry rearranges: the axis of terminals of each of its arrays."""

    TERMINAL_AXIS: ClassVar[Mapping[str, int]]


class Detector:
    """One fleet's detector. Arrays are over the terminals of `fleet`; `observe` is called once a tick, with time going forward.

    What `observe` returns but the layers, `symptom`, `judged` and `z` are the detector's own arrays: they hold until the next.
    """

    def __init__(self, fleet: Fleet, *, calibration: Calibration, baseline: Baseline | None = None) -> None:
        n = len(fleet)
        self.fleet, self.calibration = fleet, calibration
        self.baseline = baseline if baseline is not None else Baseline(fleet)
        self.symptoms = Symptoms(n, calibration)
        self.gauges = Gauges(n, calibration)
        self.counts = CountWindows(n)
        self.sales = Sales(n)
        self.absence = Absence(n)
        self.crashes = Crashes(n)
        self._peers = Peers(peer_groups(fleet, ("model", "firmware", "access")))
        prior = np.array([calibration.sign_rate[trouble] for trouble in TROUBLES], np.float32)
        self._shares = SignRates(self.baseline, prior, calibration.sign_rate_least)
        self._usual: Usual | None = None
        self._usual_s, self._hour = 0, -1
        self._learnt_ms: I64 = np.zeros(n, np.int64)
        self._learnt_s = 0
        self._off_steps: NDArray[np.uint16] = np.zeros((n, len(GAUGES)), np.uint16)
        self._ticked_ms = 0
        self._was_judged: Bool = np.zeros(n, bool)

    def learn(self, *, at_s: int, rows: Index, values: F32, is_open: Bool) -> None:
        """Learn from one coarse step of history (about 300 s): `values` (rows, 18) as of `at_s`, each row at most once.

        `is_open` is over the fleet. Only open shops teach. Steps must come in order of time.
        """
        over_s = float(min(max(at_s - self._learnt_s, 10), 900)) if self._learnt_s else float(LEARN_EVERY_S)
        self._learnt_s = at_s
        use = (rows >= 0) & is_open[rows]
        rows, values = rows[use], values[use]
        if not len(rows):
            return
        baseline = self.baseline
        baseline.learn(rows, transform(values), buckets=baseline.buckets(at_s))
        wrong, tried = counted(values, over_s)
        whole = np.zeros((len(rows), 1), np.float32)
        baseline.learn_counts(rows, np.hstack([wrong, whole]), np.hstack([tried, whole]), over_s=over_s)
        tickets = np.nan_to_num(values[:, FIELD["tickets"]])
        custom = (baseline.sold[rows] + 3) / (baseline.expected_sold[rows] + 3)
        pace = float(tickets.sum()) / max(float(custom.sum()) * over_s, 1.0)
        baseline.learn_custom(rows, tickets, np.full(len(rows), pace * over_s, np.float32), over_s=over_s)
        self._usual = None

    def observe(self, seen: Observed, *, now_ms: int, judged: Judgement, is_open: Bool, muted: Bool) -> Signs:
        """Take in one tick and say what every terminal shows; `judged`, `is_open` and `muted` (n,) are of this tick."""
        usual = self._usual_at(now_ms)
        self.absence.hear(seen)
        turned = self.counts.turn(now_ms)
        self.sales.fade(now_ms)
        watched = is_open & ~muted
        self._begin_anew(watched)
        for rows, values, at_ms in _in_time(seen):
            self.absence.measure(rows, at_ms)
            use = np.flatnonzero(watched[rows] & (now_ms >= self.absence.settled_ms[rows]))
            whole = len(use) == len(rows)
            present = (rows, values, at_ms) if whole else (rows[use], values[use], at_ms[use])
            self._take(*present, usual=usual, now_ms=now_ms)
        self._take_crashes(seen, usual=usual, watched=watched, now_ms=now_ms)
        fresh = self.gauges.fresh(now_ms, usual=usual, watched=watched)
        signs, can = self._signs(judged, watched, fresh, now_ms=now_ms)
        counted_of = watched & (now_ms - self.absence.heard_ms < LATE_S * 1000) & (not judged.late)
        self._hold(judged, usual, watched=watched, counted_of=counted_of, now_ms=now_ms)
        if turned and now_ms // 60_000 % 2 == 0:
            self._peers.meet(self.gauges.z, fresh)
        hour = now_ms // 1000 // _HOUR_S % 24
        share = self._shares.at(hour)
        if turned and not judged.late:
            self._learn_rates(signs, can, usual, counted_of=counted_of, hour=hour)
        self._ticked_ms = now_ms
        return Signs(
            layers=layers_of(signs, can, share, self.counts, counted_of),
            symptom=self.symptoms.on.copy(),
            since_ms=self.symptoms.since_ms,
            value=self.symptoms.value,
            p=self.symptoms.p,
            judged=can.T,
            z=np.where(fresh, self.gauges.z, np.float32(np.nan)),
        )

    def carried_to(self, fleet: Fleet, old_rows: Index) -> "Detector":
        """The same knowledge on a changed registry: row i was row `old_rows[i]`, or (-1) is new and begins as its peers."""
        new = Detector(fleet, calibration=self.calibration, baseline=self.baseline.carried_to(fleet))
        kept = np.flatnonzero(old_rows >= 0)
        for part in ("symptoms", "gauges", "counts", "sales", "absence", "crashes"):
            _carry(getattr(self, part), getattr(new, part), kept, old_rows[kept])
        for name in ("_learnt_ms", "_off_steps", "_was_judged"):
            getattr(new, name)[kept] = getattr(self, name)[old_rows[kept]]
        new._learnt_s, new._ticked_ms = self._learnt_s, self._ticked_ms
        return new

    def _usual_at(self, now_ms: int) -> Usual:
        now_s = now_ms // 1000
        hour = now_s // _HOUR_S
        if self._usual is None or hour != self._hour or not 0 <= now_s - self._usual_s < _USUAL_EVERY_S:
            self._usual = self.baseline.usual(self.baseline.buckets(now_s))
            self._usual_s, self._hour = now_s, hour
        return self._usual

    def _begin_anew(self, watched: Bool) -> None:
        """Forget the present of shops that closed or came under maintenance: it says nothing about their next opening."""
        gone = np.flatnonzero(self._was_judged & ~watched)
        if len(gone):
            self.gauges.calm(gone)
            self.sales.rest(gone)
            self.counts.forget(gone)
        self._was_judged = watched.copy()

    def _take(self, rows: Index, values: F32, at_ms: I64, *, usual: Usual, now_ms: int) -> None:
        """Take in at most one sample of each terminal."""
        if not len(rows):
            return
        custom = usual.custom[rows]
        common = self._peers.common.take(self._peers.group[rows], axis=0)
        x, felt = self.gauges.update(rows, values, at_ms, usual=usual, common=common, sales=self.sales)
        tickets = np.nan_to_num(values[:, FIELD["tickets"]])
        over_s = self.sales.take(rows, at_ms, tickets, activity(values), custom)
        wrong, tried = counted(values, over_s)
        self.counts.add(rows, wrong, tried * usual.rate[rows, : wrong.shape[1]])
        self.symptoms.take_gauges(rows, values, felt, self.gauges, self.sales, now_ms=now_ms)
        due = at_ms - self._learnt_ms[rows] >= LEARN_EVERY_S * 1000
        if due.any():
            self._learn_gauges(rows[due], x[due], tickets[due], over_s[due], at_ms[due], now_ms=now_ms)

    def _learn_gauges(self, rows: Index, x: F32, tickets: F32, over_s: F32, at_ms: I64, *, now_ms: int) -> None:
        """Learn from who is well; a gauge that is off does not teach, until it has been so for long."""
        self._learnt_ms[rows] = at_ms
        ill: Bool = np.asarray(self.symptoms.on[rows].any(axis=1))
        off = self.gauges.sign[rows] | ill[:, None]
        steps = np.where(off, self._off_steps[rows] + 1, 0).astype(np.uint16)
        changed = steps >= _CHANGED_STEPS
        self._off_steps[rows] = np.where(changed, 0, steps)
        if changed.any():
            self.baseline.relearn(rows, changed)
        self.baseline.learn(rows, np.where(off & ~changed, np.float32(np.nan), x), buckets=self.baseline.buckets(now_ms // 1000))
        expected = (over_s * np.float32(self.sales.pace)).astype(np.float32)
        well = ~self.symptoms.on[rows, TROUBLE_INDEX[Trouble.NO_SALES]]
        # One sample in ten is learnt: it stands for the others.
        self.baseline.learn_custom(rows[well], tickets[well], expected[well], over_s=over_s[well])

    def _take_crashes(self, seen: Observed, *, usual: Usual, watched: Bool, now_ms: int) -> None:
        crashed = self.crashes.take(seen, now_ms=now_ms)
        crashed = crashed[watched[crashed]]
        rows, times = np.unique(crashed, return_counts=True)
        self.counts.add(rows, times[:, None].astype(np.float32), np.zeros((len(rows), 1), np.float32), first=CRASHES)
        over_s = min(max((now_ms - self._ticked_ms) / 1000, 0.0), 60.0)
        self.counts.add_mean(CRASHES, usual.rate[:, CRASHES] * np.float32(over_s) * watched)

    def _signs(self, judged: Judgement, watched: Bool, fresh: Bool, *, now_ms: int) -> tuple[Bool, Bool]:
        """Weak signs and who is judged for each: bool (troubles, n) each."""
        away = self.absence.missing(
            now_ms,
            trusted_ms=judged.trusted_ms,
            after_s=self.calibration.missing_after_s,
            most_s=self.calibration.missing_most_s,
        )
        away |= judged.has(Reason.OFFLINE) | judged.has(Reason.SILENT)
        signs, can = gauge_signs(self.gauges, fresh & ~away[:, None], self.sales.hangs(now_ms))
        alive = watched & (self.absence.heard_ms > 0) & ~judged.has(Reason.NEVER_SEEN)
        offline, paper = TROUBLE_INDEX[Trouble.OFFLINE], TROUBLE_INDEX[Trouble.PAPER]
        can[offline] = alive & (self.absence.hurried | away)
        signs[offline] = away
        can[paper] = alive & ~away
        signs[paper] = judged.has(Reason.PAPER_OUT)
        if judged.late:
            can[:] = False
        signs &= can
        return signs, can

    def _hold(self, judged: Judgement, usual: Usual, *, watched: Bool, counted_of: Bool, now_ms: int) -> None:
        """Move the symptoms on: what was counted, what is judged elsewhere, what is over."""
        self.symptoms.take_counts(self.counts, usual, counted_of, now_ms=now_ms)
        unheard = watched & (now_ms - self.absence.heard_ms > 60_000)
        self.symptoms.keep(unheard, now_ms=now_ms)
        self.symptoms.end(~watched, now_ms=now_ms)
        self.symptoms.take_judgement(judged, watched)

    def _learn_rates(self, signs: Bool, can: Bool, usual: Usual, *, counted_of: Bool, hour: int) -> None:
        """Once a minute: how many show weak signs, and what the minute counted where nothing is wrong."""
        self._shares.learn(hour, *shares(signs, can), over_h=1 / 60)
        hits, means = self.counts.last_minute()
        for index in range(hits.shape[0]):
            hour_hits, hour_means = self.counts.window(index, 60)
            odd = (hour_hits > _ODD_COUNT) & (hour_hits > _ODD_RATE * hour_means)
            well = counted_of & ~odd
            self.baseline.add_counts(index, hits[index] * well, means[index] / usual.rate[:, index] * well)


def _in_time(seen: Observed) -> Iterator[tuple[Index, F32, I64]]:
    """The samples that came in time, in rounds with at most one of each terminal, oldest first: rows, values, times."""
    use = np.flatnonzero((seen.rows >= 0) & (seen.received_ms - seen.at_ms <= LATE_S * 1000))
    if not len(use):
        return
    rows = seen.rows[use]
    if np.bincount(rows).max() == 1:
        yield rows, seen.values[use], seen.at_ms[use]
        return
    use = use[np.lexsort((seen.at_ms[use], seen.rows[use]))]
    rows = seen.rows[use]
    first = np.concatenate([[True], rows[1:] != rows[:-1]])
    turn = np.arange(len(rows)) - np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    for number in range(int(turn.max()) + 1):
        of = use[turn == number]
        yield seen.rows[of], seen.values[of], seen.at_ms[of]


def _carry(old: _Part, new: _Part, rows: Index, old_rows: Index) -> None:
    """Copy what each part knows of the terminals, and its plain figures."""
    for name, axis in old.TERMINAL_AXIS.items():
        before: tuple[slice, ...] = (slice(None),) * axis
        getattr(new, name)[(*before, rows)] = getattr(old, name)[(*before, old_rows)]
    for name, was in vars(old).items():
        if isinstance(was, int | float):
            setattr(new, name, was)
