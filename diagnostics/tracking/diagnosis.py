"""The one composition of judging, detecting, scanning and tracking: the live watch and the evaluator both drive it.

Arrays and `now` in, a `Step` out; no database, no clock. The caller brings the snapshot's presence up to date before `step`.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.detector import Detector
from diagnostics.detector.metrics import GAUGES
from diagnostics.detector.observed import Calls, Fleet, Layer, Observed, Signs
from diagnostics.judge import Held, judge_by_hours, with_reasons
from diagnostics.judgement import Judgement, rearranged
from diagnostics.limits import METRICS as LIMIT_METRICS
from diagnostics.limits import Policy
from diagnostics.reasons import REASON_INDEX, REASON_OF_TROUBLE, Reason
from diagnostics.snapshot import F32, I64, Bool, Index, Snapshot
from diagnostics.tracking.calls import CallDesk
from diagnostics.tracking.case import moved
from diagnostics.tracking.learnt import Learnt
from diagnostics.tracking.looks import Looks
from diagnostics.tracking.maintenance import Window, muted_terminals
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.tracking.series import Series
from diagnostics.tracking.tracked import Said, Step, Tracked
from diagnostics.tracking.tracker import Sight, Tracker
from diagnostics.troubles import TROUBLE_INDEX
from fleet.contract import SAMPLE_FIELDS

_CALLS_EVERY_MS: Final = 60_000
_NO_CALLS: Final = Calls(np.zeros(0, np.int32), np.zeros(0, np.int64))
_LIMIT_COLUMNS: Final = [SAMPLE_FIELDS.index(name) for name in LIMIT_METRICS]
# The columns of the signs' z.
_METRICS: Final = tuple(gauge.field for gauge in GAUGES)
_TICKETS, _SCANS = SAMPLE_FIELDS.index("tickets"), SAMPLE_FIELDS.index("scans")


class Diagnosis:
    """The fleet's present and everything that is known of it, moved on by `step`.

    A step that could not be stored is not taken back: build a new diagnosis from what is stored.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        policy: Policy,
        calibration: Calibration,
        learnt: Learnt | None,
        tracked: Sequence[Tracked],
        snapshot: Snapshot,
        judgement: Judgement,
        tracking: TrackingPolicy | None = None,
    ) -> None:
        """`learnt`: what `learnt` of an earlier one gave (None: nothing yet); `tracked`: incidents that live or closed lately."""
        self.fleet, self.snapshot, self.judgement = fleet, snapshot, judgement
        self._policy, self._calibration = policy, calibration
        self._tracking = tracking or TrackingPolicy(open_score=calibration.open_score)
        self.detector = Detector(fleet, calibration=calibration, baseline=learnt.baseline_for(fleet) if learnt else None)
        self._desk = CallDesk(fleet.shop, learnt.habits_for(fleet) if learnt else None)
        self._start(tracked)
        if learnt:
            self.looks.firmware_changed_ms = learnt.firmware_changed_for(fleet)

    def _start(self, tracked: Sequence[Tracked]) -> None:
        self.looks = Looks(self.fleet, self._calibration, _METRICS)
        self._series = Series(len(self.fleet), _METRICS)
        self._tracker: Tracker | None = None
        self._told = tracked
        self._rang: list[Calls] = []
        self._rung_ms = 0
        self._call_layers: list[Layer] = []

    @property
    def tracked(self) -> Sequence[Tracked]:
        """Everything followed: candidates, living and lately closed incidents."""
        return self._tracker.tracked if self._tracker else self._told

    def learn(self, *, at_s: int, rows: Index, values: F32, is_open: Bool, calls: Calls | None = None) -> None:
        """Warm up on history at coarse steps (300 s), oldest first: baselines and calling habits only, nothing is judged."""
        self.detector.learn(at_s=at_s, rows=rows, values=values, is_open=is_open)
        if calls is not None:
            self._desk.observe(calls, at_s=at_s, is_open=is_open)

    def step(
        self,
        seen: Observed,
        *,
        now_ms: int,
        scheduled: Bool,
        boundary_ms: I64,
        maintenance: Sequence[Window] = (),
        said: Sequence[Said] = (),
    ) -> Step:
        """Take in what this tick brought, judge, detect, scan and track; `said` is what people did to incidents since the last."""
        feed(self.snapshot, seen)
        self.snapshot.set_opening(scheduled=scheduled, boundary_ms=boundary_ms)
        previous = self.judgement
        judged, hours = judge_by_hours(self.snapshot, now_ms, self._policy, previous)
        muted = muted_terminals(self.fleet, maintenance, now_ms=now_ms, grace_ms=self._tracking.maintenance_grace_ms)
        signs = self.detector.observe(seen, now_ms=now_ms, judged=judged, is_open=hours.is_open, muted=muted)
        judged = with_reasons(judged, symptom_reasons(signs), now_ms=now_ms, previous=previous)
        tracker = self._tracker_at(now_ms)
        layers = [*signs.layers, *self._calls(seen.calls, tracker, now_ms=now_ms, is_open=hours.is_open)]
        self.looks.see(signs, now_ms=now_ms)
        sight = Sight(
            layers=layers,
            now_ms=now_ms,
            muted=muted,
            down=self._long_down(judged, muted, now_ms),
            since_ms=signs.since_ms,
            frozen=judged.late,
        )
        changes = tracker.step(sight, said=said)
        kept = self._series.keep(signs, layers, now_ms=now_ms)
        series = self._series.points(tracker.living, now_ms=now_ms) if kept or changes else []
        self.judgement = judged
        return Step(judged, signs, changes, series)

    def resume(self, *, tracked: Sequence[Tracked], judgement: Judgement) -> None:
        """After steps that only warmed it up: go on from these incidents and this judgement, and forget what the steps said."""
        self.judgement, self._tracker, self._told = judgement, None, tracked

    def learnt(self) -> Learnt:
        """Everything worth keeping across restarts: `Learnt.to_bytes`, `Learnt.from_bytes`, `Learnt.LAYOUT`."""
        changed_ms = self.looks.firmware_changed_ms
        return Learnt.of(self.detector.baseline, self._desk.habits(), self.fleet, firmware_changed_ms=changed_ms)

    def carried_to(self, fleet: Fleet, *, models: Sequence[str], now_ms: int) -> "Diagnosis":
        """The same on a changed registry: rows move by terminal id, snapshot and judgement with them; new ones start from peers."""
        new = object.__new__(Diagnosis)
        new.fleet, new._policy, new._calibration, new._tracking = fleet, self._policy, self._calibration, self._tracking
        new.snapshot, old_rows = self.snapshot.carried_to(fleet.terminals.astype("U6").tolist(), models)
        new.judgement = rearranged(self.judgement, old_rows, policy=self._policy, now_ms=now_ms)
        new.detector = self.detector.carried_to(fleet, old_rows)
        new._desk = self._desk.carried_to(fleet.shop, old_rows)
        new._start([moved(one, old_rows) for one in self.tracked])
        new._series.carry(self._series, old_rows)
        new._rang, new._rung_ms = self._rang, self._rung_ms
        if self._tracker:
            new._tracker = self._tracker.carried_to(fleet, old_rows, scan=new.looks.scan, explain=new.looks.explain)
        new.looks.carried_from(self.looks, old_rows, now_ms=now_ms)
        return new

    def _tracker_at(self, now_ms: int) -> Tracker:
        """The tracker; it begins with the first step, so that what was told before is not believed well at once."""
        if self._tracker is None:
            self._tracker = Tracker(
                self.fleet,
                scan=self.looks.scan,
                explain=self.looks.explain,
                policy=self._tracking,
                tracked=self._told,
                started_ms=now_ms,
            )
            self._series.resume(self._tracker.living, now_ms=now_ms)
        return self._tracker

    def _calls(self, calls: Calls, tracker: Tracker, *, now_ms: int, is_open: Bool) -> list[Layer]:
        """The layers of calls, anew each minute."""
        if len(calls.shop):
            self._rang.append(calls)
        if now_ms - self._rung_ms >= _CALLS_EVERY_MS:
            explained = tracker.calls_explained(now_ms=now_ms)
            rang = Calls(*(np.concatenate(parts) for parts in zip(_NO_CALLS, *self._rang, strict=True)))
            self._desk.observe(rang, at_s=now_ms // 1000, is_open=is_open, explained=explained)
            self._call_layers = self._desk.layers(now_ms=now_ms)
            self._rang, self._rung_ms = [], now_ms
        return self._call_layers

    def _long_down(self, judged: Judgement, muted: Bool, now_ms: int) -> Bool:
        """Who is offline or silent under announced work for longer than a restart takes."""
        down = np.zeros(len(self.fleet), bool)
        if muted.any():
            for reason in (Reason.OFFLINE, Reason.SILENT):
                since_ms = judged.reason_since_ms[:, REASON_INDEX[reason]]
                down |= judged.has(reason) & (now_ms - since_ms >= self._tracking.maintenance_down_ms)
        return down & muted


def feed(snapshot: Snapshot, seen: Observed) -> None:
    """Take samples and events into the snapshot."""
    snapshot.update_samples(
        seen.rows,
        at_ms=seen.at_ms,
        received_ms=seen.received_ms,
        values=seen.values[:, _LIMIT_COLUMNS],
        tickets=seen.values[:, _TICKETS],
        scans=seen.values[:, _SCANS],
    )
    snapshot.update_events(seen.event_rows, at_ms=seen.event_at_ms, received_ms=seen.event_received_ms, codes=seen.event_codes)


def symptom_reasons(signs: Signs) -> dict[Reason, Held]:
    """The symptoms as reasons of health."""
    return {
        reason: Held(signs.symptom[:, column], signs.since_ms[:, column], signs.value[:, column])
        for trouble, reason in REASON_OF_TROUBLE.items()
        if signs.symptom[:, (column := TROUBLE_INDEX[trouble])].any()
    }
