"""Announced maintenance: what happens in its scope meanwhile is recorded, and told to nobody until it ends."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from diagnostics.detector.observed import Fleet
from diagnostics.snapshot import Bool
from fleet.registry import DIMENSIONS


class Window(NamedTuple):
    """Announced work on the terminals of a scope ({}: the whole fleet), from `starts_ms` until before `ends_ms`."""

    scope: Mapping[str, str]
    starts_ms: int
    ends_ms: int


def in_scope(fleet: Fleet, scope: Mapping[str, str]) -> Bool:
    """Which terminals meet every condition, bool (n,); a value that no terminal has is met by none."""
    inside = np.ones(len(fleet), bool)
    for name, value in scope.items():
        column = DIMENSIONS.index(name)
        levels = fleet.levels[column]
        inside &= fleet.codes[:, column] == (levels.index(value) if value in levels else -1)
    return inside


def muted_terminals(fleet: Fleet, windows: Sequence[Window], *, now_ms: int, grace_ms: int = 0) -> Bool:
    """Which terminals announced work is going on at, or ended less than `grace_ms` ago (who comes back late), bool (n,)."""
    muted = np.zeros(len(fleet), bool)
    for window in windows:
        if window.starts_ms <= now_ms < window.ends_ms + grace_ms:
            muted |= in_scope(fleet, window.scope)
    return muted
