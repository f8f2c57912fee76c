"""What each terminal measures now against what is usual for it: smoothed deviations, and how long and far they have lasted.

A single wild reading changes nothing: only the median of the last three is looked at. A terminal that begins, or begins anew
after a silence, begins as usual. What a tick needs of a terminal lies together in memory: it is gathered and put back at once.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from diagnostics.detector.baseline import Usual
from diagnostics.detector.calibration import CUSUM_K, Calibration
from diagnostics.detector.metrics import COLUMN as FIELD
from diagnostics.detector.metrics import (
    CPU,
    DIRECTION,
    GAUGES,
    LOSS,
    PACE,
    RTT,
    SIGNAL,
    TX,
    explain_heat,
    explain_load,
    magnitude,
    spread_factor,
    transform,
)
from diagnostics.detector.sales import Sales
from diagnostics.snapshot import F32, I64, Bool, Index

# One reading adds at most so much to a CUSUM, in standard deviations beyond its reference.
_STEP: Final = np.float32(4.0)
# What is just worth a call adds as so many standard deviations at the most.
_Z_FELT: Final = np.float32(5.0)
# Beside a weak signal: losses of at least so many standard deviations, and of this part of what is worth a call.
_LOSS_BESIDE_Z, _LOSS_BESIDE = 1.5, 0.5
# Beside losses on radio: a round trip longer by this (log).
_RTT_BESIDE: Final = np.float32(0.28)
# ... or losses of so many times what is worth a call.
_LOSS_ALONE: Final = np.float32(2.0)
_Z_SHOWN: Final = np.float32(12.0)
# How long a reading says something about now, ms; a transaction's duration, for which a customer is needed, longer.
_LASTS_MS: Final = min(gauge.lasts_s for gauge in GAUGES) * 1000
_TX_LASTS_MS: Final = GAUGES[TX].lasts_s * 1000
_BOTH_WAYS: Final = np.flatnonzero([gauge.direction == 0 for gauge in GAUGES])
# A machine that starts is busy with itself.
_BOOTING_S: Final = np.float32(420)
# The CUSUM is bounded, so that what was long ago does not hold on for ever.
_HIGHEST: Final = np.float32(200.0)
# What lies together: the two deviations before, the smoothed one, and a CUSUM for each reference value.
_ONE, _TWO, _SMOOTH, _SUMS = 0, 1, 2, 3
_DEPTH: Final = _SUMS + len(CUSUM_K)


class Gauges:
    """The state, float32 or bool (terminals, gauges); `update` changes it in place.

    `z` is the smoothed deviation in standard deviations; `sign` says that it is bad and no trifle; `at_ms` and `tx_ms` (n,) are
    the times of the last sample, and bet.
    """

    TERMINAL_AXIS: ClassVar[Mapping[str, int]] = dict.fromkeys(("_state", "z", "sign", "at_ms", "tx_ms"), 0)

    def __init__(self, n: int, calibration: Calibration) -> None:
        m = len(GAUGES)
        self._state: F32 = np.zeros((n, _DEPTH, m), np.float32)
        self.z: F32 = np.zeros((n, m), np.float32)
        self.sign: Bool = np.zeros((n, m), bool)
        self.at_ms: I64 = np.zeros(n, np.int64)
        self.tx_ms: I64 = np.zeros(n, np.int64)
        self._sign_z = np.array([calibration.sign_z[gauge.trouble] for gauge in GAUGES], np.float32)
        self._floor = np.array([calibration.floor_symptom[gauge.field] for gauge in GAUGES], np.float32)
        self._trifle = np.array([calibration.floor_sign[gauge.field] for gauge in GAUGES], np.float32) / self._floor

    @property
    def smooth(self) -> F32:
        """The smoothed deviation on the gauges' own scales."""
        return self._state[:, _SMOOTH]

    def update(self, rows: Index, values: F32, at_ms: I64, *, usual: Usual, common: F32, sales: Sales) -> tuple[F32, F32]:
        """Take in one sample of each of `rows`; `common` (rows, gauges) is the z that its group shares.

        `sales` says how busy everybody is. Returns x, transformed, and how much of each gauge's smoothed deviation can be felt;
        (rows, gauges) each.
        """
        x = transform(values)
        level, noise = usual.level.take(rows, axis=0), usual.spread.take(rows, axis=0)
        deviation = x - level
        explain_heat(deviation)
        explain_load(deviation, usual.custom[rows], now=sales.busy, before=sales.before)
        (booting,) = np.nonzero(values[:, FIELD["uptime_s"]] < _BOOTING_S)
        x[booting, CPU] = deviation[booting, CPU] = np.nan
        noise[:, TX] *= spread_factor(values[:, FIELD["tickets"]])
        missing = np.isnan(deviation)
        deviation[missing] = 0
        (unsold,) = np.nonzero(missing[:, TX])
        state = self._recent(rows, at_ms)
        # Before its next customer, a shop's transactions are as they were.
        kept = state[unsold, :, TX], self.z[rows[unsold], TX]
        middle, smooth = _advance(state, deviation)
        smooth[unsold, TX] = kept[0][:, _SMOOTH]
        z = smooth / noise
        np.clip(z, -_Z_SHOWN, _Z_SHOWN, out=z)
        z[unsold, TX] = kept[1]
        felt = magnitude(smooth, level, self._floor)
        middle /= noise
        middle -= common
        _sum_up(state, middle, felt)
        state[unsold, :, TX] = kept[0]
        self._state[rows], self.z[rows], self.sign[rows] = state, z, self._signs(z, felt, smooth, known=usual.known[rows, SIGNAL])
        self.at_ms[rows] = at_ms
        sold = ~missing[:, TX]
        self.tx_ms[rows[sold]] = at_ms[sold]
        return x, felt

    def _signs(self, z: F32, felt: F32, smooth: F32, *, known: Bool) -> Bool:
        """What is bad, and no trifle: bool (rows, gauges); `known` (rows,): who is on radio."""
        bad = z * DIRECTION
        for both in _BOTH_WAYS:
            bad[:, both] = np.abs(z[:, both])
        sign: Bool = felt >= self._trifle
        sign &= bad >= self._sign_z
        # A weak signal that loses nothing is felt by nobody.
        sign[:, SIGNAL] &= (z[:, LOSS] >= _LOSS_BESIDE_Z) & (felt[:, LOSS] >= _LOSS_BESIDE)
        # On radio, weather loses packets over a whole region: it is the network's trouble where the way is longer as well.
        sign[:, LOSS] &= ~known | (smooth[:, RTT] >= _RTT_BESIDE) | (felt[:, LOSS] >= _LOSS_ALONE)
        return sign

    def _recent(self, rows: Index, at_ms: I64) -> F32:
        """The state of `rows`, with what is too old to go on from put back to the usual."""
        state = self._state.take(rows, axis=0)
        stale = np.flatnonzero(at_ms - self.at_ms[rows] > _LASTS_MS)
        if len(stale):
            state[stale, :, :TX] = 0
            state[stale, :, TX + 1 :] = 0
        state[np.flatnonzero(at_ms - self.tx_ms[rows] > _TX_LASTS_MS), :, TX] = 0
        return state

    def cusum(self, rows: Index) -> F32:
        """The CUSUM of each reference value: (rows, references, gauges)."""
        return self._state[rows, _SUMS:]

    def fresh(self, now_ms: int, *, usual: Usual, watched: Bool) -> Bool:
        """Which gauges of the `watched` (n,) were measured lately and have something to be held against: bool (n, gauges)."""
        fresh: Bool = usual.known & ((now_ms - self.at_ms <= _LASTS_MS) & watched)[:, None]
        fresh[:, TX] &= now_ms - self.tx_ms <= _TX_LASTS_MS
        return fresh

    def calm(self, rows: Index) -> None:
        """Forget the present of some terminals: what they do next begins as usual."""
        self._state[rows] = 0
        self.z[rows] = 0
        self.sign[rows] = False
        self.tx_ms[rows] = 0


def _advance(state: F32, deviation: F32) -> tuple[F32, F32]:
    """Move the deviations of state (rows, depth, gauges) on by one, in place; returns the median of three, and smoothed."""
    one, two, smooth = state[:, _ONE].copy(), state[:, _TWO].copy(), state[:, _SMOOTH].copy()
    low, high = np.minimum(deviation, one), np.maximum(deviation, one)
    np.minimum(high, two, out=high)
    middle = np.maximum(low, high, out=low)
    smooth += PACE * (middle - smooth)
    state[:, _TWO], state[:, _ONE], state[:, _SMOOTH] = one, deviation, smooth
    return middle, smooth


def _sum_up(state: F32, z: F32, felt: F32) -> None:
    """Move the CUSUM of state (rows, depth, gauges) on, in place; what nobody feels is not much, however regular a terminal is."""
    z *= np.where(DIRECTION == 0, np.sign(z), DIRECTION)
    np.minimum(z, _Z_FELT * felt, out=z)
    for place, reference in enumerate(CUSUM_K):
        total = state[:, _SUMS + place].copy()
        step = z - np.float32(reference)
        total += np.clip(step, -_STEP, _STEP, out=step)
        state[:, _SUMS + place] = np.clip(total, 0, _HIGHEST, out=total)
