"""What the rivals look at, and how odd each of them finds every terminal: arrays over the fleet, no scan.

All rivals see the same readings and the same opening hours. Median/MAD, IsolationForest and ECOD see them as deviations from
each terminal's own usual figure: raw readings of a satellite line and of a fibre have nothing in common, and would do them wrong.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Observed
from diagnostics.judgement import Judgement
from diagnostics.reasons import Reason
from diagnostics.snapshot import Bool
from fleet.contract import SAMPLE_FIELDS

F32 = NDArray[np.float32]

COLUMN: Final = {name: index for index, name in enumerate(SAMPLE_FIELDS)}
_GAUGES: Final = ("rtt_ms", "loss_pct", "signal_dbm", "tx_ms", "mem_mb", "disk_mb", "board_c", "head_c", "clock_ms", "cpu_pct")
_RATIOS: Final = ("failures", "print_errors", "scan_errors")
FEATURES: Final = (*_GAUGES, *_RATIOS, "silent_s", "calls")
_LOGS: Final = [FEATURES.index(name) for name in ("rtt_ms", "tx_ms", "mem_mb", "disk_mb")]
# What a terminal's spread is never taken to be below, on the scale of each feature.
_LEAST_SPREAD: Final = np.array([0.08, 0.15, 1.5, 0.12, 0.01, 0.003, 0.8, 0.8, 15, 2, 0.02, 0.01, 0.03, 20, 0.2], np.float32)
# Errors are counted over about so long, with a little exposure before the first.
_MEMORY_S: Final = 900.0
_PRIOR: Final = np.array([2.0, 4.0, 3.0], np.float32)
_RINGS_S: Final = 3600
_CLIPPED: Final = np.float32(30)
_TRAINED_ON: Final = 6000

# Plain limits as a monitoring system is set up with; beyond them a terminal alarms.
_HIGH: Final = {"rtt_ms": 800.0, "loss_pct": 5.0, "tx_ms": 1500.0, "board_c": 65.0, "head_c": 60.0, "cpu_pct": 95.0,
                "failures": 0.25, "print_errors": 0.12, "scan_errors": 0.30, "silent_s": 90.0, "calls": 0.5}  # fmt: skip
_LOW: Final = {"signal_dbm": -105.0, "mem_mb": 60.0, "disk_mb": 300.0}


class Readings:
    """The fleet's newest readings, (n, FEATURES) by `raw`; errors are counted over the last quarter of an hour."""

    def __init__(self, terminals: int, shop: NDArray[np.int32]) -> None:
        self._shop = shop
        self._values = np.full((terminals, len(_GAUGES)), np.nan, np.float32)
        self._wrong = np.zeros((terminals, len(_RATIOS)), np.float32)
        self._tried = np.zeros((terminals, len(_RATIOS)), np.float32)
        self._heard_s = np.zeros(terminals, np.int64)
        self._rang_s = np.zeros(int(shop.max()) + 1, np.int64)

    def take(self, seen: Observed, *, second: int) -> None:
        """Take in what a step brought; what comes late is passed over, as it is not the present."""
        fresh = seen.received_ms - seen.at_ms < 120_000
        rows, values = seen.rows[fresh], seen.values[fresh]
        newest = values[:, [COLUMN[name] for name in _GAUGES]]
        self._values[rows] = np.where(np.isnan(newest), self._values[rows], newest)
        counts = np.nan_to_num(values)
        tickets, scans, scan_errors = (counts[:, COLUMN[name]] for name in ("tickets", "scans", "scan_errors"))
        failures = counts[:, COLUMN["rejects"]] + counts[:, COLUMN["tx_timeouts"]]
        wrong = np.stack([failures, counts[:, COLUMN["print_errors"]], scan_errors], axis=1)
        tried = np.stack([tickets + failures, tickets, scans + scan_errors], axis=1)
        fade = np.exp(-np.clip(second - self._heard_s[rows], 0, 7200) / _MEMORY_S).astype(np.float32)[:, None]
        self._wrong[rows] = self._wrong[rows] * fade + wrong
        self._tried[rows] = self._tried[rows] * fade + tried
        self._heard_s[seen.rows] = second
        self._rang_s[seen.calls.shop] = second

    def raw(self, second: int) -> F32:
        """(n, FEATURES), NaN: never measured."""
        ratios = self._wrong / (self._tried + _PRIOR)
        silent = np.where(self._heard_s > 0, second - self._heard_s, 0)
        rings = second - self._rang_s[self._shop] < _RINGS_S
        return np.column_stack([self._values, ratios, silent, rings]).astype(np.float32)


def scaled(raw: F32) -> F32:
    """Multiplicative readings on a logarithmic scale."""
    out = raw.copy()
    out[:, _LOGS] = np.log(np.maximum(out[:, _LOGS], 0.1))
    return out


class Usual:
    """Each terminal's own median and spread of every feature, of its history while open."""

    def __init__(self, history: list[tuple[F32, Bool]]) -> None:
        stacked = np.stack([np.where(is_open[:, None], scaled(raw), np.nan) for raw, is_open in history])
        with np.errstate(all="ignore"):
            middle = np.nanmedian(stacked, axis=0)
            spread = 1.4826 * np.nanmedian(np.abs(stacked - middle), axis=0)
        self._middle = np.where(np.isnan(middle), np.nanmedian(middle, axis=0), middle).astype(np.float32)
        self._spread = np.maximum(np.nan_to_num(spread), _LEAST_SPREAD).astype(np.float32)

    def deviation(self, raw: F32) -> F32:
        """(n, FEATURES): in spreads from the terminal's own median; 0 where not measured."""
        own: F32 = np.nan_to_num((scaled(raw) - self._middle) / self._spread)
        return np.clip(own, -_CLIPPED, _CLIPPED)


# From the readings and the deviations, (rows, FEATURES) each, how odd each row is.
Scores = NDArray[np.floating]
Score = Callable[[F32, F32], Scores]


def beyond_limits(raw: F32, deviation: F32) -> Scores:
    """Static limits: how many are passed."""
    del deviation
    high = [raw[:, FEATURES.index(name)] > limit for name, limit in _HIGH.items()]
    low = [raw[:, FEATURES.index(name)] < limit for name, limit in _LOW.items()]
    clock = np.abs(raw[:, FEATURES.index("clock_ms")]) > 5000
    return np.asarray(np.sum([*high, *low, clock], axis=0), np.float32)


def farthest(raw: F32, deviation: F32) -> Scores:
    """Median/MAD: the feature farthest from the terminal's own median."""
    del raw
    return np.asarray(np.abs(deviation).max(axis=1))


def trained(kind: str, history: F32) -> Score:
    """IsolationForest or ECOD, trained on a sample of the quiet fleet's deviations."""
    chosen = np.random.default_rng(1).permutation(len(history))[:_TRAINED_ON]
    model: Any
    if kind == "IsolationForest":
        from sklearn.ensemble import IsolationForest

        model = IsolationForest(n_estimators=60, random_state=1).fit(history[chosen])
        return lambda _, deviation: -model.score_samples(deviation)
    # Not installed but by this benchmark.
    model = importlib.import_module("pyod.models.ecod").ECOD()
    model.fit(history[chosen])
    return lambda _, deviation: model.decision_function(deviation)


def eligible(judged: Judgement) -> Bool:
    """Who could alarm at all: the shop is open and the terminal was seen before; known to all rivals alike."""
    return ~(judged.has(Reason.CLOSED) | judged.has(Reason.CLOSED_BY_SHOP) | judged.has(Reason.NEVER_SEEN))
