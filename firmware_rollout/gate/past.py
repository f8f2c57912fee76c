"""What a shop's own past says: how bad its bad days are, and which shops to compare it with."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Four weeks: each weekday four times.
PAST_DAYS: Final = 28
_CLASSES: Final = 20


def own_limits(past: NDArray[np.int64]) -> NDArray[np.int64]:
    """The count that only one day of each shop's past exceeded: int64 (shops,), from daily counts (days, shops).

    A day above it is a mark. For a shop whose days are alike the chance is about two in `days` + 1 at most, whatever its level.
    A shop without two days of past gets 0: any event is a mark.
    """
    if len(past) < 2:
        return np.zeros(past.shape[1], np.int64)
    limits: NDArray[np.int64] = np.partition(past, len(past) - 2, axis=0)[-2].astype(np.int64)
    return limits


def strata_of(kind: NDArray[np.integer], *pasts: NDArray[np.integer]) -> NDArray[np.int64]:
    """The stratum of each shop: int64 (shops,), from its kind (model and volume of custom) and its pasts (counts); all (shops,).

    Twentieths of the fleet by each past; shops with the same past are in the same one, so a metric that most have none of gives
    fewer. A metric that holds another's events (a crash is a reboot too) is compared by both pasts.
    """
    strata: NDArray[np.int64] = kind.astype(np.int64)
    for past in pasts:
        edges = np.unique(np.quantile(past, np.arange(1, _CLASSES) / _CLASSES))
        strata = strata * _CLASSES + np.searchsorted(edges, past, side="left")
    return strata
