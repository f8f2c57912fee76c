"""What is judged of a sample: which fields, on which scale, in which direction they are bad, and how much of it can be felt.

A *gauge* is compared with the terminal's own usual figure. A *count* is judged against what it is counted over (bets
tried, slips tried, hours), so that a rush is no trouble. The practical floors say what nobody would feel: statistics alone
would cry at a millisecond.
"""

from typing import Final, NamedTuple

import numpy as np

from diagnostics.snapshot import F32, Bool
from diagnostics.troubles import Trouble
from fleet.contract import OPEN_CADENCE_S, SAMPLE_FIELDS

COLUMN: Final = {name: position for position, name in enumerate(SAMPLE_FIELDS)}


class Gauge(NamedTuple):
    """One measured field; `floor_*` and `spread` are on the transformed scale, the floors of losses and load in percent."""

    field: str
    trouble: Trouble
    scale: str  # "log" or "plain"
    direction: int  # +1: high is bad, -1: low is bad, 0: both
    spread: float  # an ordinary terminal's own standard deviation
    floor_sign: float  # less than this nobody can feel, even where many share it
    floor_symptom: float  # from here on it is worth a call
    pace: float  # weight of the newest of the smoothed readings
    lasts_s: int  # a reading older than this says nothing about now


_FRESH_S: Final = 5 * OPEN_CADENCE_S
# A transaction's duration is measured when a bet is made: a small shop makes one every few minutes.
_TX_FRESH_S: Final = 900

GAUGES: Final = (
    # A third more round trip is nothing a shopkeeper sees; at half as much again bets begin to drag.
    Gauge("rtt_ms", Trouble.NETWORK, "log", +1, 0.13, 0.30, 0.42, 0.6, _FRESH_S),
    # Losses are felt by what they add, on whichever line: one percent is a bet in a hundred that is tried again.
    Gauge("loss_pct", Trouble.NETWORK, "log", +1, 0.6, 1.2, 1.5, 0.35, _FRESH_S),
    Gauge("signal_dbm", Trouble.RADIO, "plain", -1, 2.6, 6.5, 8.0, 0.5, _FRESH_S),
    Gauge("tx_ms", Trouble.TX_SLOW, "log", +1, 0.25, 0.30, 0.45, 0.5, _TX_FRESH_S),
    Gauge("mem_mb", Trouble.MEMORY, "log", -1, 0.017, 0.025, 0.10, 0.4, _FRESH_S),
    Gauge("disk_mb", Trouble.DISK, "log", -1, 0.005, 0.03, 0.10, 0.6, _FRESH_S),
    Gauge("board_c", Trouble.HEAT, "plain", +1, 1.1, 3.5, 7.0, 0.5, _FRESH_S),
    # A time service keeps a tenth of a second; bets close to the second.
    Gauge("clock_ms", Trouble.CLOCK, "plain", 0, 20.0, 400.0, 1500.0, 0.8, _FRESH_S),
    # A load far off the usual, up or down, is no trouble by itself: it tells why nothing is sold.
    Gauge("cpu_pct", Trouble.NO_SALES, "plain", 0, 3.0, 15.0, 20.0, 0.35, _FRESH_S),
)
GAUGE_COLUMNS: Final = np.array([COLUMN[gauge.field] for gauge in GAUGES])

RTT, LOSS, SIGNAL, TX, MEM, DISK, BOARD, CLOCK, CPU = range(len(GAUGES))
_LOGS: Final = np.array([index for index, gauge in enumerate(GAUGES) if gauge.scale == "log"])
# Round trips and durations below this are not told apart; it also keeps the logarithm finite.
_LEAST: Final = np.float32(0.1)
# Losses are told to a tenth of a percent, and are mostly less.
_LOSS_STEP: Final = np.float32(0.1)
# A load this far below the usual, as a share of it, and at least so much, is a program that waits for ever.
_CPU_FALL, _CPU_FALL_LEAST = np.float32(0.35), np.float32(4.0)
SPREAD: Final = np.array([gauge.spread for gauge in GAUGES], np.float32)
DIRECTION: Final = np.array([gauge.direction for gauge in GAUGES], np.float32)
PACE: Final = np.array([gauge.pace for gauge in GAUGES], np.float32)
# A median of k transactions varies less than a single one: this share of the variance stays however many there are.
_TX_COMMON: Final = np.float32(0.3)
# A board warms by this much for each percent of load, °C: a busy hour is no failing fan. At most so much is explained.
_BOARD_C_PER_PCT: Final = np.float32(0.12)
_BOARD_C_EXPLAINED: Final = np.float32(6.0)
# ... and a machine labours for its customers: by so many percent for a bet a second. A rush is no spinning program. These slopes
# belong to the machines that stand in the shops: those of the simulated models are taken, and a fleet of others has its own.
_CPU_PCT_PER_BET_S, _CPU_PCT_EXPLAINED = 300.0, 30.0
# Customers take memory as well: a rush that adds 30 % of load takes some 15 MB of 400. At most so much of it (log) is explained.
_MEM_PER_PCT: Final = np.float32(0.0013)
_MEM_EXPLAINED: Final = np.float32(0.035)


class Count(NamedTuple):
    """Something that goes wrong now and then: `rate` is an ordinary terminal's, per unit of exposure."""

    name: str
    trouble: Trouble
    rate: float
    prior: float  # events that the peers' rate is worth beside the terminal's own history


COUNTS: Final = (
    Count("tx_failures", Trouble.TX_FAILING, 0.008, 2.0),  # of bets tried
    Count("print_errors", Trouble.PRINTER, 0.0013, 1.5),  # of tickets
    Count("scan_errors", Trouble.SCANNER, 0.013, 2.0),  # of slips tried
    Count("crashes", Trouble.CRASHES, 0.006 / 86_400, 1.0),  # of seconds
)
TX_FAILURES, PRINT_ERRORS, SCAN_ERRORS, CRASHES = range(len(COUNTS))
_COUNTED_COLUMNS: Final = [COLUMN[name] for name in ("tickets", "rejects", "tx_timeouts", "print_errors", "scans", "scan_errors")]
# A device may fail its own test with no customer about: time is a small exposure of its own, in tickets or slips.
_IDLE_PER_S: Final = np.float32(1 / 6000)


def transform(values: F32) -> F32:
    """Put the gauges of samples on the scales on which they are judged: float32 (samples, len(GAUGES)), NaN: not measured."""
    out = values[:, GAUGE_COLUMNS]
    with np.errstate(invalid="ignore"):
        out[:, LOSS] += _LOSS_STEP
        out[:, _LOGS] = np.log(np.maximum(out[:, _LOGS], _LEAST))
    return out


def spread_factor(tickets: F32) -> F32:
    """What the spread of a transaction's duration is multiplied with when `tickets` made the median: float32 (samples,)."""
    factor: F32 = np.sqrt(_TX_COMMON + (1 - _TX_COMMON) / np.maximum(np.nan_to_num(tickets), 1)).astype(np.float32)
    return factor


def explain_heat(deviation: F32) -> None:
    """Take out of the deviations of board and free memory, in place, what the processor's load explains."""
    load = np.nan_to_num(deviation[:, CPU])
    deviation[:, BOARD] -= np.clip(load * _BOARD_C_PER_PCT, -_BOARD_C_EXPLAINED, _BOARD_C_EXPLAINED)
    deviation[:, MEM] += np.clip(load * _MEM_PER_PCT, 0, _MEM_EXPLAINED)


def explain_load(deviation: F32, custom: F32, *, now: float, before: float) -> None:
    """Take out of a load off the usual, in place, what customers may cause.

    Above it, as many as are expected now; below it, the lack of as many as there were before. `custom` (rows,) is what each
    terminal sells against an average one, `now` and `before` an average one's bets a second.
    """
    load = deviation[:, CPU]
    more = np.minimum(custom * np.float32(now * _CPU_PCT_PER_BET_S), np.float32(_CPU_PCT_EXPLAINED))
    less = np.minimum(custom * np.float32(before * _CPU_PCT_PER_BET_S), np.float32(_CPU_PCT_EXPLAINED))
    deviation[:, CPU] = np.where(load > 0, np.maximum(load - more, 0), np.minimum(load + less, 0))


def magnitude(smooth: F32, level: F32, floor: F32) -> F32:
    """How much of the smoothed deviation can be felt, in units of `floor` (gauges,); negative in the good direction."""
    with np.errstate(invalid="ignore", over="ignore"):
        size = smooth * DIRECTION
        size[:, CLOCK] = np.abs(smooth[:, CLOCK])
        size /= floor
        usual_loss = np.exp(level[:, LOSS])
        size[:, LOSS] = usual_loss * np.expm1(smooth[:, LOSS]) / floor[LOSS]
        fall = np.maximum(level[:, CPU] * _CPU_FALL, _CPU_FALL_LEAST)
        load = smooth[:, CPU]
        size[:, CPU] = np.where(load > 0, load / floor[CPU], -load / fall)
    # Nothing is felt where nothing is usual yet; a sum that took such a figure in would never be one again.
    for gauge in (LOSS, CPU):
        size[np.isnan(level[:, gauge]), gauge] = 0
    return size


def counted(values: F32, over_s: F32 | float) -> tuple[F32, F32]:
    """What went wrong in samples that cover `over_s` seconds, out of how many: two float32 (samples, 3), all but crashes."""
    filled = np.nan_to_num(values[:, _COUNTED_COLUMNS].T)
    tickets, rejects, timeouts, print_errors, scans, scan_errors = np.maximum(filled, 0, out=filled)
    failures = rejects + timeouts
    idle = _IDLE_PER_S * np.asarray(over_s, np.float32)
    wrong = np.stack([failures, print_errors, scan_errors], axis=1)
    # A bet that failed on its way was handled as well: while the centre is gone printers are not worse than ever.
    handled = tickets + failures
    tried = np.stack([handled, handled + idle, scans + scan_errors + idle], axis=1)
    return wrong, tried


def activity(values: F32) -> Bool:
    """Whether anything at all was done at the counter: a bet sold, refused or unanswered, a slip tried."""
    columns = [COLUMN[name] for name in ("tickets", "rejects", "tx_timeouts", "scans", "scan_errors")]
    return np.asarray(np.nan_to_num(values[:, columns]).sum(axis=1) > 0)
