"""Draws the waves of a campaign: by lot within strata, so that every wave is a small fleet."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Steps of this part of a circle fall on it more evenly than those of any other, however many are taken.
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


def draw_in_strata(strata: NDArray[np.int64], shares_pct: Sequence[float], *, seed: int) -> NDArray[np.int64]:
    """The wave of each shop, int64 (shops,): from 1; those beyond the last share are held back and get `len(shares_pct)` + 1.

    `strata`: int (shops,). `shares_pct`: how many percent of the shops each wave and those before it reach, rising. Within a
    stratum the order of shops is drawn by lot, so that its shops are interchangeable; strata stand one after the other, and waves
    are dealt to the places in golden steps (a low-discrepancy sequence), so that every stratum has its share in every wave, up to
    rounding, and the fleet exactly.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(strata)), strata))
    # Where the circle begins is drawn too: else the same places would always come first.
    steps = (np.arange(len(strata)) * _GOLDEN + rng.random()) % 1.0
    place = np.empty(len(strata), np.int64)
    place[order] = np.argsort(np.argsort(steps))
    # Rounded up: the first wave of a small campaign has at least one shop.
    ends = [math.ceil(len(strata) * share / 100) for share in shares_pct]
    waves: NDArray[np.int64] = np.searchsorted(ends, place, side="right").astype(np.int64) + 1
    return waves
