"""Who can still be counted: the shops without a mark, by arm, and the cells that a day's marks make of them.

Pure values: each function returns a new `Watch`. The argument for its rules stands in the package's docstring.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]

# Of one stratum and one day: updated shops without a mark so far, others, and the first marks of each.
Cell = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Watch:
    """One metric's shops; arrays of shape (shops,).

    `wave`: the number of the wave that reached the shop, 0 = none yet. `counted`: it can still be counted. `last`: the wave during
    which it had its last mark while it waited (0: before the first).
    """

    stratum: I64
    wave: I64
    counted: Bool
    last: I64
    waves_begun: int = 0


def begin(stratum: I64) -> Watch:
    """Watch shops of these strata; none is updated."""
    return Watch(stratum, np.zeros_like(stratum), np.zeros(len(stratum), bool), np.zeros_like(stratum))


def begin_wave(watch: Watch, shops: Bool) -> Watch:
    """Reach `shops` by the next wave: they and all that still wait count anew; those of earlier waves go on as they were."""
    number = watch.waves_begun + 1
    waiting = watch.wave == 0
    return replace(watch, wave=np.where(shops & waiting, number, watch.wave), counted=watch.counted | waiting, waves_begun=number)


def count(watch: Watch, marked: Bool) -> tuple[Watch, tuple[Cell, ...]]:
    """Count the marks of one day (or less): the cells with any, in the order of their strata, and who is left to be counted.

    `marked`: bool (shops,), who had at least one. A cell needs both arms: marks of one alone say nothing of the other.
    """
    cells: tuple[Cell, ...] = ()
    first = watch.counted & marked
    reached = watch.wave > 0
    if first.any():
        # Who last had a mark equally long ago is interchangeable; who had one in a later wave is not.
        place = watch.stratum * (watch.waves_begun + 1) + watch.last
        of_cell = (place * 4 + 2 * reached + first)[watch.counted]
        size = 4 * (int(place.max()) + 1)
        table = np.bincount(of_cell, minlength=size).reshape(-1, 2, 2)[:, ::-1]
        # At risk are those with a mark and those without.
        table = np.concatenate([table.sum(axis=2), table[:, :, 1]], axis=1)
        useful = (table[:, 0] > 0) & (table[:, 1] > 0) & (table[:, 2] + table[:, 3] > 0)
        cells = tuple((t, c, x, y) for t, c, x, y in table[useful].tolist())
    # A waiting shop's mark counts among its history even on a day on which it was not to be counted.
    noted = np.where(marked & ~reached, watch.waves_begun, watch.last)
    return replace(watch, counted=watch.counted & ~marked, last=noted), cells
