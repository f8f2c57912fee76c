"""The one composition of judging, detecting, scanning and tracking: the live watch and the evaluator both drive it.

Arrays and `now` in, a `Step` out; no database, no clock. The caller brings the snapshot's presence up to date before `step`.
"""

from collections.abc import Sequence
from typing import Final

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.observed import Calls, Fleet, Observed
from diagnostics.judgement import Judgement
from diagnostics.limits import Policy
from diagnostics.snapshot import F32, I64, Bool, Index, Snapshot
from diagnostics.tracking.learnt import Learnt
from diagnostics.tracking.maintenance import Window
from diagnostics.tracking.tracked import Said, Step, Tracked


class Diagnosis:
    """The fleet's present and everything that is known of it, moved on by `step`.

    A step that could not be stored is not taken back: build a new diagnosis from what is stored.
    """

    snapshot: Snapshot
    judgement: Judgement  # of the last step

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
    ) -> None:
        """`learnt`: what `learnt` of an earlier one gave (None: nothing yet); `tracked`: incidents that live or closed lately."""

    def learn(self, *, at_s: int, rows: Index, values: F32, is_open: Bool, calls: Calls | None = None) -> None:
        """Warm up on history at coarse steps (300 s), oldest first: baselines and calling habits only, nothing is judged."""

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

    def learnt(self) -> Learnt:
        """Everything worth keeping across restarts: `Learnt.to_bytes`, `Learnt.from_bytes`, `Learnt.LAYOUT`."""

    def carried_to(self, fleet: Fleet, *, models: Sequence[str], now_ms: int) -> "Diagnosis":
        """The same on a changed registry: rows move by terminal id, snapshot and judgement with them; new ones start from peers."""
