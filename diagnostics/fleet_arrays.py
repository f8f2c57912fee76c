"""The registry as the detector takes it: who the terminals are, as arrays."""

from collections.abc import Sequence

import numpy as np

from diagnostics.detector.observed import Fleet
from fleet.registry import DIMENSIONS, Terminal


def fleet_arrays(terminals: Sequence[Terminal]) -> Fleet:
    """The terminals in their order, each dimension coded by its sorted values, shops numbered by code."""
    n = len(terminals)
    levels: list[list[str]] = []
    codes = np.zeros((n, len(DIMENSIONS)), np.int16)
    for column, dimension in enumerate(DIMENSIONS):
        values, codes[:, column] = _coded([getattr(terminal, dimension) for terminal in terminals])
        levels.append(values)
    timezones, zone = _coded([terminal.timezone for terminal in terminals])
    _, shop = np.unique(np.array([terminal.point_of_sale for terminal in terminals], np.str_), return_inverse=True)
    return Fleet(
        terminals=np.array([terminal.id for terminal in terminals], dtype="S6").reshape(n),
        codes=codes,
        levels=levels,
        shop=shop.astype(np.int32),
        zone=zone.astype(np.int16),
        timezones=timezones,
    )


def _coded(values: list[str]) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The sorted distinct values, and each value's place among them."""
    distinct, places = np.unique(np.array(values, np.str_), return_inverse=True)
    return [str(value) for value in distinct], places
