"""A campaign's gate in motion: what it has counted so far, and a reading at the end of each day (or less)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from firmware_rollout.gate import watching
from firmware_rollout.gate.evidence import none_yet
from firmware_rollout.gate.judging import Reading, Situation, judge
from firmware_rollout.gate.policy import GatePolicy, Metric, check_policy
from firmware_rollout.gate.watching import Cell

Bool = NDArray[np.bool_]


class Gate:
    """Counts and judges; the same days in the same order give the same readings, live, replayed or simulated.

    `strata`: for each metric the stratum of each shop, int64 (shops,), known before the first wave.
    """

    def __init__(self, policy: GatePolicy, strata: Mapping[Metric, NDArray[np.int64]]) -> None:
        check_policy(policy)
        self.policy = policy
        self._watches = {one.metric: watching.begin(strata[one.metric]) for one in policy.metrics}
        self._evidence = {one.metric: none_yet(one) for one in policy.metrics}
        self._pending: dict[Metric, Bool] = {}

    def begin_wave(self, shops: Bool) -> None:
        """A wave reaches `shops`, bool (shops,): from now on they count as updated, whether or not they have been."""
        for one in self.policy.metrics:
            # A wave that begins in the grace of the one before takes its shops along.
            held = self._pending.get(one.metric)
            self._pending[one.metric] = shops if held is None else shops | held

    def close(self, marks: Mapping[Metric, Bool | None], situation: Situation) -> Reading:
        """Count what a day (or less) brought and judge; `marks`: bool (shops,) for each metric, None where it was not measured.

        `situation.days` is the wave's age at the end of what is counted. Each moment is counted by one call and only one: a day
        that is still running is not read and then read again.
        """
        cells: dict[Metric, tuple[Cell, ...] | None] = {}
        for one in self.policy.metrics:
            marked = marks.get(one.metric)
            cells[one.metric] = None if marked is None else self._count(one.metric, marked, situation.days > one.grace_days)
        reading = judge(self.policy, situation, self._evidence, cells)
        self._evidence = {one.metric: one.after for one in reading.metrics}
        return reading

    def _count(self, metric: Metric, marked: Bool, past_grace: bool) -> tuple[Cell, ...]:
        if metric in self._pending:
            if not past_grace:
                return ()
            self._watches[metric] = watching.begin_wave(self._watches[metric], self._pending.pop(metric))
        self._watches[metric], cells = watching.count(self._watches[metric], marked)
        return cells
