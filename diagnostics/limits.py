"""The plain limits of health: what is too little, too hot, too late, with where each figure comes from.

These are the first floor: what no shop should ever reach, whatever its habits. What is unusual *for this terminal*
is the statistical detector's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diagnostics.reasons import Reason
from fleet.contract import CLOSED_CADENCE_S, OPEN_CADENCE_S

F32 = NDArray[np.float32]


class Bounds(NamedTuple):
    """Hysteresis: a reason begins at `enter` and ends at `leave`, both included; the room between keeps it from flapping."""

    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit on one field of the samples; `enter < leave` means that low is bad, `enter > leave` that high is bad."""

    reason: Reason
    metric: str
    bounds: Bounds
    # How long the field must stay beyond `enter`: one odd reading is not a fault.
    hold_s: int
    # A stored value is told anew only when it moved by this much: a row is not rewritten for noise.
    step: float
    # Both directions count (a clock may be early or late).
    absolute: bool = False
    by_model: Mapping[str, Bounds] = field(default_factory=dict)


# Two samples at the open cadence: the second reading confirms the first.
CONFIRMED_S: Final = 2 * OPEN_CADENCE_S

LIMITS: Final = (
    # Half a percent of an 80 m roll is five tickets, less than the sensor can tell; a changed roll reads near 100.
    Limit(Reason.PAPER_OUT, "paper_pct", Bounds(0.5, 3.0), hold_s=0, step=1.0),
    # Many shopkeepers change the roll at about 5 %. Three percent are some 35 tickets: the next rush may use them up.
    Limit(Reason.PAPER_LOW, "paper_pct", Bounds(3.0, 5.0), hold_s=0, step=1.0),
    # An update needs room for its image beside the journal of unsent samples; below this neither is sure.
    Limit(Reason.DISK_LOW, "disk_mb", Bounds(200.0, 300.0), hold_s=CONFIRMED_S, step=20.0),
    # A fanless board in a 30 °C room runs at 50 to 55 °C under load, the old model's 5 °C warmer; 10 °C above, a fan or vent fails.
    Limit(Reason.OVERHEATING, "board_c", Bounds(65.0, 60.0), hold_s=CONFIRMED_S, step=2.0, by_model={"A": Bounds(70.0, 65.0)}),
    # Thermal heads stop printing at 60 to 65 °C to protect themselves.
    Limit(Reason.HEAD_HOT, "head_c", Bounds(62.0, 56.0), hold_s=CONFIRMED_S, step=2.0),
    # Bets close to the second, and a clock that is kept stays within a tenth of one: five seconds off, a bet is disputed.
    Limit(Reason.CLOCK_OFF, "clock_ms", Bounds(5_000.0, 2_000.0), hold_s=CONFIRMED_S, step=2_000.0, absolute=True),
)

# The sample fields that limits read, in the order of the snapshot's columns.
METRICS: Final = tuple(dict.fromkeys(limit.metric for limit in LIMITS))


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that judging health may choose; durations in seconds."""

    limits: tuple[Limit, ...] = LIMITS
    # A terminal is silent after this many missed reports: one may be lost, two may be a reboot, four are neither.
    silent_cadences: int = 4
    # ... and talks again when the last report is at most this many cadences old.
    talking_cadences: int = 2
    open_cadence_s: int = OPEN_CADENCE_S
    closed_cadence_s: int = CLOSED_CADENCE_S
    # A mobile link changes cell, a box renews its address: a loss of connection shorter than this is nobody's business.
    offline_grace_s: int = 60
    # Back means connected for this long: a flapping link stays one outage.
    back_after_s: int = 30
    # Shopkeepers unlock late: until the shop shows itself open, its terminal may sleep on for so long.
    late_opening_s: int = 15 * 60
    # ... and early: an OPEN this long before the usual hour is today's opening.
    early_opening_s: int = 3 * 3600
    # ... and lock late: without a CLOSE, a shop that still talks stays open this long after its usual end.
    late_closing_s: int = 2 * 3600
    # A reading older than this says nothing about now: four reports at the closed cadence.
    value_lasts_s: int = 4 * CLOSED_CADENCE_S
    # A crash or a reader's failure is told for a quarter of an hour: long enough for the shopkeeper to ring about it.
    event_lasts_s: int = 15 * 60
    # A jam, a failed scanner and an empty roll end by the next bet or slip; without one, at this age.
    unresolved_lasts_s: int = 4 * 3600
    # Our own pipeline is late when nothing was committed for so long although so many messages were due ...
    feed_late_s: int = 45
    feed_due_messages: int = 20
    # ... or when half of the terminals just heard (at least so many) told us of things this old, until half as old.
    lag_late_s: int = 90
    lag_terminals: int = 20


class LimitTable(NamedTuple):
    """The limits as arrays, one row per model: (models, limits) float32, signed so that beyond is always `>=`."""

    enter: F32
    leave: F32
    sign: F32  # (limits,): +1 where high is bad, -1 where low is bad


def limit_table(limits: Sequence[Limit], models: Sequence[str]) -> LimitTable:
    """Lay the limits out for these models; a model without figures of its own takes the limit's common ones."""
    bounds = np.array([[limit.by_model.get(model, limit.bounds) for limit in limits] for model in models], np.float32)
    bounds = bounds.reshape(len(models), len(limits), 2)
    sign = np.array([1.0 if limit.bounds.enter > limit.bounds.leave else -1.0 for limit in limits], np.float32)
    return LimitTable(enter=bounds[:, :, 0] * sign, leave=bounds[:, :, 1] * sign, sign=sign)
