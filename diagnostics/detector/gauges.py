"""What each terminal measures now against what is usual for it: smoothed deviations, and how long and far they have lasted.

A single wild reading changes nothing: only the median of the last three is looked at. Arrays are (terminals, gauges), float32.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from diagnostics.detector.baseline import Usual
from diagnostics.detector.calibration import CUSUM_K, Calibration
from diagnostics.detector.metrics import COLUMN as FIELD
from diagnostics.detector.metrics import CPU, DIRECTION, GAUGES, PACE, TX, explain_heat, spread_factor, transform
from diagnostics.snapshot import F32, I64, Bool, Index

_K: Final = np.array(CUSUM_K, np.float32)
# One reading adds at most so much to a CUSUM, in standard deviations beyond its reference.
_STEP: Final = np.float32(4.0)
_Z_SHOWN: Final = np.float32(12.0)
_LASTS_MS: Final = np.array([gauge.lasts_s * 1000 for gauge in GAUGES], np.int64)
_BOTH_WAYS: Final = np.array([gauge.direction == 0 for gauge in GAUGES])
# A machine that starts is busy with itself.
_BOOTING_S: Final = np.float32(420)
# The CUSUM is bounded, so that what was long ago does not hold on for ever.
_HIGHEST: Final = np.float32(60.0)


class Gauges:
    """The state; `update` changes it in place.

    `smooth` is the deviation in the gauge's own scale, `noise` the spread it is held against, `bad` the smoothed z in the bad
    direction. `cusum` is (terminals, gauges, 2). `raw` holds the last values as measured.
    """

    TERMINAL_AXIS: ClassVar[Mapping[str, int]] = {
        "smooth": 0,
        "noise": 0,
        "bad": 0,
        "cusum": 0,
        "raw": 0,
        "at_ms": 0,
        "sign": 0,
        "felt": 0,
        "_before": 1,
    }

    def __init__(self, n: int, calibration: Calibration) -> None:
        m = len(GAUGES)
        self._before: F32 = np.full((2, n, m), np.nan, np.float32)
        self.smooth: F32 = np.full((n, m), np.nan, np.float32)
        self.noise: F32 = np.ones((n, m), np.float32)
        self.bad: F32 = np.zeros((n, m), np.float32)
        self.cusum: F32 = np.zeros((n, m, len(CUSUM_K)), np.float32)
        self.raw: F32 = np.full((n, m), np.nan, np.float32)
        self.at_ms: I64 = np.zeros((n, m), np.int64)
        self.sign: Bool = np.zeros((n, m), bool)
        self.felt: Bool = np.zeros((n, m), bool)
        self._sign_z = np.array([calibration.sign_z[gauge.trouble] for gauge in GAUGES], np.float32)
        self._floor_sign = np.array([calibration.floor_sign[gauge.field] for gauge in GAUGES], np.float32)
        self._floor_symptom = np.array([calibration.floor_symptom[gauge.field] for gauge in GAUGES], np.float32)

    def update(self, rows: Index, values: F32, at_ms: I64, *, usual: Usual, common: F32) -> F32:
        """Take in one sample of each of `rows`; `common` (rows, gauges) is the z that its group shares. Returns x, transformed."""
        x = transform(values)
        booting = values[:, FIELD["uptime_s"]] < _BOOTING_S
        x[booting, CPU] = np.nan
        deviation = x - usual.level[rows]
        explain_heat(deviation)
        noise = usual.spread[rows]
        noise[:, TX] *= spread_factor(values[:, FIELD["tickets"]])
        known = ~np.isnan(deviation)
        at = self.at_ms[rows]
        stale = at_ms[:, None] - at > _LASTS_MS
        middle = self._median(rows, deviation, known, stale)
        smooth = self.smooth[rows]
        # What went stale begins anew, half believed: its first median is a single reading.
        smooth = np.where(stale | np.isnan(smooth), np.float32(0.5) * middle, smooth + PACE * (middle - smooth))
        smooth = np.where(known, smooth, self.smooth[rows])
        self.smooth[rows] = smooth
        self.noise[rows] = np.where(known, noise, self.noise[rows])
        self.raw[rows] = np.where(known, _raw(values), self.raw[rows])
        self.at_ms[rows] = np.where(known, at_ms[:, None], at)
        self._judge(rows, smooth, noise)
        with np.errstate(invalid="ignore"):
            self._sum_up(rows, middle / noise - common, known)
        return x

    def _median(self, rows: Index, deviation: F32, known: Bool, stale: Bool) -> F32:
        """The median of the last three deviations, of the newest two the lesser, of a single one itself."""
        one, two = self._before[0, rows], self._before[1, rows]
        one = np.where(stale, np.nan, one)
        two = np.where(stale, np.nan, two)
        low, high = np.fmin(deviation, one), np.fmax(deviation, one)
        middle = np.where(np.isnan(two), np.where(np.abs(low) < np.abs(high), low, high), np.fmax(low, np.fmin(high, two)))
        self._before[1, rows] = np.where(known, one, self._before[1, rows])
        self._before[0, rows] = np.where(known, deviation, self._before[0, rows])
        return middle

    def _judge(self, rows: Index, smooth: F32, noise: F32) -> None:
        """Weak signs of the rows just measured, and what can be felt."""
        with np.errstate(invalid="ignore"):
            directed = np.where(_BOTH_WAYS, np.abs(smooth), smooth * DIRECTION)
            bad = directed / noise
            self.bad[rows] = np.where(np.isnan(bad), 0, np.clip(bad, -_Z_SHOWN, _Z_SHOWN))
            self.sign[rows] = (directed >= self._floor_sign) & (bad >= self._sign_z)
            self.felt[rows] = directed >= self._floor_symptom

    def _sum_up(self, rows: Index, z: F32, known: Bool) -> None:
        """Move the CUSUM by the newest medians."""
        z = np.where(_BOTH_WAYS, np.abs(z), z * DIRECTION)
        cusum = self.cusum[rows]
        step = np.minimum(z[:, :, None] - _K, _STEP)
        moved = np.clip(cusum + np.maximum(step, -_STEP), 0, _HIGHEST)
        self.cusum[rows] = np.where(known[:, :, None], moved, cusum)

    def fresh(self, now_ms: int) -> Bool:
        """Which gauges were measured lately and have something to be held against: bool (n, gauges)."""
        return np.asarray((now_ms - self.at_ms <= _LASTS_MS) & ~np.isnan(self.smooth))

    def calm(self, rows: Index) -> None:
        """Forget the present of some terminals: what they do next begins anew."""
        self._before[:, rows] = np.nan
        self.smooth[rows] = np.nan
        self.bad[rows] = 0
        self.cusum[rows] = 0
        self.sign[rows] = False
        self.felt[rows] = False

    def shown(self, fresh: Bool) -> F32:
        """The smoothed, clipped, signed z of each gauge: NaN where nothing was measured lately."""
        with np.errstate(invalid="ignore"):
            z = np.clip(self.smooth / self.noise, -_Z_SHOWN, _Z_SHOWN)
        return np.where(fresh, z, np.float32(np.nan))


def _raw(values: F32) -> F32:
    return values[:, [FIELD[gauge.field] for gauge in GAUGES]]
