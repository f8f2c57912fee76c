"""Derives the thresholds from a replay of quiet history, so that none is guessed.

Telemetry hangs together in time, and no law of independent draws is kind enough to it: tails are measured, and drawn on
only as far as the wanted rate of false alarms needs. What happened in the replay must be quiet: every alarm counts as false.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from diagnostics.detector.calibration import CUSUM_K, Calibration
from diagnostics.detector.detector import Detector
from diagnostics.detector.metrics import GAUGES
from diagnostics.detector.observed import Signs
from diagnostics.snapshot import F32
from diagnostics.troubles import TROUBLE_INDEX, TROUBLES, Trouble

# Heights of the CUSUM are gathered in steps of a half, once a minute; candidates of a symptom by the hour.
_BIN: Final = 0.5
_BINS: Final = 400
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
# The tail of the CUSUM is drawn through these shares of all well terminals, with so many seen beyond at the least.
_TAIL_FROM, _TAIL_TO, _TAIL_LEAST = 3e-4, 1e-6, 20
_RATES: Final = (0.05, 3.0)
# An hour in which fewer than this part of the busiest hour's terminals were judged says little.
_HOUR_COUNTS: Final = 0.1
# A tail is drawn through so many of the largest values.
_LARGEST: Final = 40
# Judged elsewhere, or by calls: no threshold of ours.
_NOT_OURS: Final = frozenset({Trouble.OFFLINE, Trouble.PAPER, Trouble.CALLS})
_SYMPTOM_P: Final = (1e-24, 1e-4)
# What opens an incident is never below this, however quiet the replay was.
_OPEN_LEAST: Final = Calibration().open_score


class Calibrator:
    """Gathers while a quiet history is replayed: `take` after every `Detector.observe`, `result` at the end.

    The replay runs with the calibration given here, whose practical floors, z of weak signs and tails of the CUSUM bear on what
    is gathered. Where these tails are to be measured as well, replay twice: with what `tails` gave the first time. Several
    replays (other days, other seeds) may feed one calibrator, one after the other: call `rest` between them.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._from = calibration
        self._heights = np.zeros((len(CUSUM_K), len(GAUGES), _BINS + 1))
        # By hour of the day: (troubles, 24).
        self._hits, self._judged = np.zeros((len(TROUBLES), 24)), np.zeros((len(TROUBLES), 24))
        self._candidates: list[list[float]] = [[] for _ in TROUBLES]
        self._scores: list[list[float]] = [[] for _ in TROUBLES]
        self._best = np.zeros(len(TROUBLES))
        self._terminal_days = self._days = 0.0
        self._minute_ms = self._hour_ms = self._at_ms = 0
        self._scanned = False

    def take(self, detector: Detector, signs: Signs, *, now_ms: int, scores: Mapping[Trouble, float] | None = None) -> None:
        """Take in one tick; `scores` are the best scores of the fleet scan, by trouble, where it found anything at all."""
        if self._at_ms:
            over_days = (now_ms - self._at_ms) / 86_400_000
            self._days += over_days
            self._terminal_days += over_days * len(detector.fleet)
        else:
            self._minute_ms, self._hour_ms = now_ms, now_ms
        self._at_ms = now_ms
        self._scanned |= scores is not None
        for trouble, score in (scores or {}).items():
            self._best[TROUBLE_INDEX[trouble]] = max(self._best[TROUBLE_INDEX[trouble]], score)
        if now_ms - self._minute_ms >= _MINUTE_MS:
            self._minute_ms = now_ms
            self._take_minute(detector, signs, hour=now_ms // _HOUR_MS % 24)
        if now_ms - self._hour_ms >= _HOUR_MS:
            self._hour_ms = now_ms
            self._close_hour(detector)

    def rest(self) -> None:
        """End one replay: the next begins at another time."""
        self._at_ms = 0

    def result(self) -> Calibration:
        """The calibration with every threshold that the replay can tell, for the rates that it wants."""
        return replace(
            self._from,
            sign_rate={trouble: self._sign_rate(trouble) for trouble in TROUBLES},
            symptom_p={trouble: self._symptom_p(trouble) for trouble in TROUBLES},
            open_score={trouble: self._open_score(trouble) for trouble in TROUBLES},
        )

    def tails(self) -> Calibration:
        """The calibration with the tails of well terminals' CUSUMs as measured; evidence weighed so asks for other thresholds."""
        rates = {
            gauge.field: tuple(_tail_rate(self._heights[reference, place]) for reference in range(len(CUSUM_K)))
            for place, gauge in enumerate(GAUGES)
        }
        return replace(self._from, cusum_rate=rates)

    def _take_minute(self, detector: Detector, signs: Signs, *, hour: int) -> None:
        hits = {layer.trouble: float(layer.hit.sum()) for layer in reversed(signs.layers)}
        judged = np.count_nonzero(signs.judged, axis=0)
        for trouble, hit in hits.items():
            self._hits[TROUBLE_INDEX[trouble], hour] += hit
        self._judged[:, hour] += judged
        measured = ~np.isnan(signs.z)
        heights = detector.gauges.cusum(np.arange(len(detector.fleet)))
        for reference in range(len(CUSUM_K)):
            for gauge in range(len(GAUGES)):
                bins = (heights[measured[:, gauge], reference, gauge] / _BIN).astype(np.int64)
                self._heights[reference, gauge] += np.bincount(np.minimum(bins, _BINS), minlength=_BINS + 1)

    def _close_hour(self, detector: Detector) -> None:
        lowest = detector.symptoms.take_lowest()
        for column in range(len(TROUBLES)):
            found = lowest[:, column]
            self._candidates[column].extend(found[found < 1].tolist())
            self._scores[column].append(float(self._best[column]))
        self._best[:] = 0

    def _sign_rate(self, trouble: Trouble) -> float:
        hits, judged = self._hits[TROUBLE_INDEX[trouble]], self._judged[TROUBLE_INDEX[trouble]]
        if not judged.any():
            return self._from.sign_rate[trouble]
        # The worst hour's: a new house knows none of its hours yet. One more than was seen: what did not happen in this replay
        # may happen in the next.
        busy = judged >= judged.max() * _HOUR_COUNTS
        return float(((hits[busy] + 1) / (judged[busy] + 1)).max())

    def _symptom_p(self, trouble: Trouble) -> float:
        if trouble in _NOT_OURS or not self._days:
            return self._from.symptom_p[trouble]
        shared = len(TROUBLES) - len(_NOT_OURS)
        wanted = self._from.false_symptoms_per_day / shared * self._days
        evidence = -np.log(np.maximum(np.array(self._candidates[TROUBLE_INDEX[trouble]]), 1e-30))
        return float(np.clip(np.exp(-_exceeded(evidence, wanted, least=-np.log(_SYMPTOM_P[1]))), *_SYMPTOM_P))

    def _open_score(self, trouble: Trouble) -> float:
        scores, least = np.array(self._scores[TROUBLE_INDEX[trouble]]), _OPEN_LEAST[trouble]
        if not self._scanned:
            return self._from.open_score[trouble]
        if not scores.any():
            return least
        wanted = self._from.false_incidents_per_day / len(TROUBLES) * self._days
        return float(_exceeded(scores[scores > 0], wanted, least=least))


def _tail_rate(counts: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """The rate of an exponential tail drawn through a histogram of heights; the highest where there is no tail."""
    total = counts.sum()
    if not total:
        return _RATES[0]
    beyond = counts[::-1].cumsum()[::-1] / total
    least = max(_TAIL_TO, _TAIL_LEAST / total)
    inner = np.arange(len(counts))
    part = np.flatnonzero((beyond <= max(_TAIL_FROM, 10 * least)) & (beyond >= least) & (inner > 0) & (inner < _BINS))
    if len(part) < 2:
        reached = np.flatnonzero(beyond > least)
        high = (int(reached[-1]) + 1) * _BIN if len(reached) else _BIN
        return float(np.clip(-np.log(least) / high, *_RATES))
    slope = -np.polyfit(part * _BIN, np.log(beyond[part]), 1)[0]
    return float(np.clip(slope, *_RATES))


def _exceeded(values: F32, wanted: float, *, least: float) -> float:
    """The height that is exceeded `wanted` times in as long a replay: an exponential tail through the largest values."""
    ordered = np.sort(np.asarray(values, np.float64))[::-1]
    if len(ordered) < 5:
        # Next to nothing came near: beyond the largest by a factor of e for each that is wanted less.
        top = ordered[0] if len(ordered) else least
        return float(max(top - min(np.log(wanted), 0.0), least))
    part = ordered[: min(_LARGEST, max(5, len(ordered) // 4))]
    scale = max(float(np.mean(part - part[-1])), 0.2)
    height = float(part[-1]) + scale * np.log(len(part) / wanted)
    return float(max(height, least))
