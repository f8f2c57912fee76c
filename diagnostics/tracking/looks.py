"""The fleet scan as the tracker uses it: each layer with its own policy, and the evidence of what was found."""

from collections.abc import Callable, Sequence

import numpy as np

from diagnostics.detector.calibration import COUNTED_TROUBLES, Calibration
from diagnostics.detector.observed import Fleet, Layer, Signs
from diagnostics.scan.cells import CellIndex
from diagnostics.scan.search import Finding, ScanPolicy, scan
from diagnostics.scan.why import Evidence, why
from diagnostics.snapshot import F32, I64, Bool, Index
from diagnostics.tracking.case import Case, count
from diagnostics.troubles import Trouble
from fleet.registry import DIMENSIONS


class Looks:
    """Scans layers and explains cases for one fleet."""

    def __init__(self, fleet: Fleet, calibration: Calibration, metrics: Sequence[str]) -> None:
        self._fleet, self._metrics = fleet, metrics
        self.index = CellIndex(fleet.codes, fleet.levels)
        self.policies = {
            trouble: ScanPolicy(
                threshold=calibration.scan_threshold[trouble],
                overdispersion=calibration.overdispersion[trouble],
                counts=trouble in COUNTED_TROUBLES or trouble is Trouble.CALLS,
            )
            for trouble in Trouble
        }
        # Told of every scan, whoever calibrates: the layer, and the terminals left out of it.
        self.listen: Callable[[Layer, Bool | None], None] | None = None
        self._z: F32 | None = None
        self._now_ms = 0
        # (n,), our time: when each terminal's firmware was last seen to change, 0 where unknown.
        self.firmware_changed_ms: I64 = np.zeros(len(fleet), np.int64)

    def see(self, signs: Signs, *, now_ms: int) -> None:
        """Take note of the deviations that evidence is made of."""
        self._z, self._now_ms = signs.z, now_ms

    def carried_from(self, old: "Looks", old_rows: Index, *, now_ms: int) -> None:
        """Take over when firmware changed from the registry before (row i was `old_rows[i]`, -1 is new), and what changed since."""
        changed_ms = np.zeros(len(self._fleet), np.int64)
        kept = np.flatnonzero(old_rows >= 0)
        changed_ms[kept] = old.firmware_changed_ms[old_rows[kept]]
        column = DIMENSIONS.index("firmware")
        now, before = self._fleet, old._fleet
        names, names_before = np.array(now.levels[column]), np.array(before.levels[column])
        other = names[now.codes[kept, column]] != names_before[before.codes[old_rows[kept], column]]
        changed_ms[kept[other]] = now_ms
        self.firmware_changed_ms = changed_ms

    def scan(self, layer: Layer, left_out: Bool | None) -> Sequence[Finding]:
        """What explains the hits of a layer, best first."""
        if self.listen is not None:
            self.listen(layer, left_out)
        policy = self.policies[layer.trouble]
        if np.count_nonzero(layer.hit) < policy.min_observed:
            return ()
        return scan(self.index, layer.hit, layer.expected, policy=policy, excluded=left_out)

    def explain(self, case: Case, layer: Layer) -> Evidence:
        """Why a case has its scope."""
        here = count(layer, case.inside)
        scope = tuple(
            (DIMENSIONS.index(name), self._fleet.levels[DIMENSIONS.index(name)].index(value)) for name, value in case.tracked.scope
        )
        finding = Finding(scope, case.tracked.score, here.hits, here.expected, here.judged, np.flatnonzero(case.inside))
        return why(
            self.index,
            finding,
            names=DIMENSIONS,
            hit=layer.hit,
            expected=layer.expected,
            z=self._z,
            metrics=self._metrics,
            firmware_changed_ms=self.firmware_changed_ms,
            now_ms=self._now_ms,
        )
