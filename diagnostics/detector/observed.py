"""What the detector is given and what it gives: arrays over the fleet's terminals, row i being terminal i throughout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diagnostics.snapshot import F32, I64, Bool, Ids, Index
from diagnostics.troubles import Trouble

I32 = NDArray[np.int32]
I16 = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Fleet:
    """Who the terminals are: the registry as arrays.

    `codes` (n, dimensions) int16 indexes `levels[dimension]`, in the order of `fleet.registry.DIMENSIONS`. `shop` (n,) numbers
    the points of sale from 0. `zone` (n,) indexes `timezones`.
    """

    terminals: Ids
    codes: I16
    levels: Sequence[Sequence[str]]
    shop: I32
    zone: I16
    timezones: Sequence[str]

    def __len__(self) -> int:
        return len(self.terminals)


class Calls(NamedTuple):
    """Calls of the hotline that named a shop: `shop` as in `Fleet.shop`, each call once."""

    shop: I32
    at_ms: I64


class Observed(NamedTuple):
    """What one tick brought, in any order; times are milliseconds since the epoch, `at` the terminal's, `received` ours.

    `values` (samples, 18) has the columns of `contract.SAMPLE_FIELDS`, NaN: not measured. `event_codes` indexes
    `snapshot.EVENTS`; `event_expected` is true for a REBOOT that was announced as expected. No row is -1.
    """

    rows: Index
    at_ms: I64
    received_ms: I64
    values: F32
    event_rows: Index
    event_codes: Index
    event_at_ms: I64
    event_received_ms: I64
    event_expected: Bool
    calls: Calls


class Layer(NamedTuple):
    """One thing the fleet scan looks at: over one window, what each terminal showed and what a well one would have.

    `hit` and `expected` (n,) float32 are in one unit: 0 or 1 and a probability, or a count (bounded, so that one terminal cannot
    make an incident) and its mean. Who is not judged has 0 in both.
    """

    trouble: Trouble
    window_s: int
    hit: F32
    expected: F32


class Signs(NamedTuple):
    """What the detector says at one tick.

    `symptom` (n, troubles) bool: this terminal is ill, held with hysteresis, since `since_ms`; `value` is the figure to tell
    (NaN: none), `p` the combined evidence as a p-value. `judged` (n, troubles): who could have shown it at all.
    `z` (n, metrics): smoothed, clipped deviation from the terminal's own baseline, NaN: not measured lately.
    """

    layers: Sequence[Layer]
    symptom: Bool
    since_ms: I64
    value: F32
    p: F32
    judged: Bool
    z: F32
