"""A small fleet whose samples are drawn here, so that a test says in a line what differs from the usual."""

from dataclasses import dataclass, field

import numpy as np

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.detector import Detector
from diagnostics.detector.metrics import COLUMN
from diagnostics.detector.observed import Calls, Fleet, Observed, Signs
from diagnostics.judgement import REASON_BITS, Judgement, unjudged
from diagnostics.limits import Policy
from diagnostics.reasons import REASON_INDEX, Reason
from diagnostics.snapshot import EVENT_INDEX, F32, Bool, Index
from diagnostics.troubles import TROUBLE_INDEX, Trouble
from fleet.contract import SAMPLE_FIELDS, EventCode
from fleet.registry import DIMENSIONS

# 2026-11-23 is a Monday; 10:00 in Paris.
START_S = 1_795_424_400
USUAL = {
    "tickets": 1.0, "rejects": 0.0, "tx_ms": 250.0, "tx_timeouts": 0.0, "rtt_ms": 30.0, "loss_pct": 0.1, "signal_dbm": -80.0,
    "print_errors": 0.0, "paper_pct": 50.0, "head_c": 30.0, "scans": 1.0, "scan_errors": 0.0, "cpu_pct": 12.0, "mem_mb": 600.0,
    "disk_mb": 5000.0, "board_c": 35.0, "clock_ms": 20.0, "uptime_s": 50_000.0,
}  # fmt: skip
_NOISE = {
    "tx_ms": 0.1, "rtt_ms": 0.08, "loss_pct": 0.3, "signal_dbm": 0.02, "cpu_pct": 0.1, "mem_mb": 0.01, "disk_mb": 0.002,
    "board_c": 0.02, "clock_ms": 0.4,
}  # fmt: skip


def fleet_of(n: int, *, models: tuple[str, ...] = ("A", "B")) -> Fleet:
    """Terminals T00001 and on, one a shop, alternating between `models`; everything else they share."""
    codes = np.zeros((n, len(DIMENSIONS)), np.int16)
    codes[:, DIMENSIONS.index("model")] = np.arange(n) % len(models)
    levels = [list(models) if name == "model" else ["x"] for name in DIMENSIONS]
    return Fleet(
        terminals=np.array([f"T{i + 1:05d}" for i in range(n)], "S6"),
        codes=codes,
        levels=levels,
        shop=np.arange(n, dtype=np.int32),
        zone=np.zeros(n, np.int16),
        timezones=["Europe/Paris"],
    )


@dataclass
class DetectorWorld:
    """Plays ticks of ten seconds: a third of the fleet reports in each."""

    n: int = 60
    learnt_steps: int = 40
    models: tuple[str, ...] = ("A", "B")
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(5)
        self.fleet = fleet_of(self.n, models=self.models)
        self.own = {name: np.exp(0.1 * self.rng.standard_normal(self.n)) for name in _NOISE}
        self.detector = Detector(self.fleet, calibration=self.calibration)
        self.everyone: Bool = np.ones(self.n, bool)
        self.is_open, self.muted = self.everyone.copy(), ~self.everyone
        self.now_s = START_S
        self.judged: Judgement = unjudged(self.n, policy=Policy(), now_ms=START_S * 1000)
        self.away: Bool = ~self.everyone
        for step in range(self.learnt_steps):
            at_s = START_S - 300 * (self.learnt_steps - step)
            rows = np.arange(self.n)
            self.detector.learn(at_s=at_s, rows=rows, values=self.sample(rows, over_s=300), is_open=self.everyone)

    def sample(self, rows: Index, *, over_s: int = 30) -> F32:
        """Ordinary samples of `rows`, each with its own habits, that cover `over_s`."""
        values = np.tile(np.array([USUAL[name] for name in SAMPLE_FIELDS], np.float32), (len(rows), 1))
        for name, noise in _NOISE.items():
            values[:, COLUMN[name]] *= self.own[name][rows] * np.exp(noise * self.rng.standard_normal(len(rows)))
        values[:, COLUMN["tickets"]] = values[:, COLUMN["scans"]] = self.rng.poisson(over_s / 30, len(rows))
        for name, rate in (("rejects", 0.008), ("scan_errors", 0.013)):
            values[:, COLUMN[name]] = self.rng.poisson(rate * values[:, COLUMN["tickets"]])
        return values

    def tick(self, change: object = None, *, events: tuple[tuple[int, EventCode], ...] = (), late_s: int = 0) -> Signs:
        """Ten seconds more; `change(values, rows)` alters the samples in place."""
        self.now_s += 10
        rows = np.flatnonzero((np.arange(self.n) % 3 == self.now_s // 10 % 3) & ~self.away)
        values = self.sample(rows)
        if callable(change):
            change(values, rows)
        received = np.full(len(rows), self.now_s * 1000, np.int64)
        codes = np.array([EVENT_INDEX[code] for _, code in events], np.intp)
        told = np.full(len(events), self.now_s * 1000, np.int64)
        seen = Observed(
            rows, received - 1000 * late_s, received, values,
            np.array([row for row, _ in events], np.intp), codes, told, told, np.zeros(len(events), bool),
            Calls(np.zeros(0, np.int32), np.zeros(0, np.int64)),
        )  # fmt: skip
        return self.detector.observe(seen, now_ms=self.now_s * 1000, judged=self.judged, is_open=self.is_open, muted=self.muted)

    def live(self, minutes: float, change: object = None) -> Signs:
        """Several ticks; returns the last one's signs."""
        for _ in range(max(1, round(minutes * 6))):
            signs = self.tick(change)
        return signs

    def judge(self, reason: Reason, rows: Index) -> None:
        """Have these terminals judged so from now on."""
        self.judged.reasons[rows] |= REASON_BITS[REASON_INDEX[reason]]


def hits(signs: Signs, trouble: Trouble, *, window_s: int | None = None) -> F32:
    """What a trouble's layer (of this window, or its first) counts for each terminal."""
    return next(one.hit for one in signs.layers if one.trouble is trouble and window_s in {None, one.window_s})


def expected(signs: Signs, trouble: Trouble, *, window_s: int | None = None) -> F32:
    """What a trouble's layer expects of each terminal."""
    return next(one.expected for one in signs.layers if one.trouble is trouble and window_s in {None, one.window_s})


def ill(signs: Signs, trouble: Trouble) -> list[int]:
    """The rows that have this symptom."""
    return np.flatnonzero(signs.symptom[:, TROUBLE_INDEX[trouble]]).tolist()
