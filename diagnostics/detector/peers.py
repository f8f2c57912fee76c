"""What a group of like terminals shows in common: it tells *this terminal* from *its group*."""

import numpy as np

from diagnostics.detector.metrics import GAUGES
from diagnostics.snapshot import F32, Bool, Index

# So many members say what all would; fewer than so many who are measured say nothing in common.
_MEMBERS, _LEAST = 64, 10


class Peers:
    """`group` (n,) numbers the groups; `common` (groups, gauges) is the median z of each, 0 where too few are measured."""

    def __init__(self, group: Index) -> None:
        self.group = group
        count = int(group.max(initial=-1)) + 1
        self.common: F32 = np.zeros((count, len(GAUGES)), np.float32)
        # A fixed choice, evenly over the group's rows; short groups are filled with -1.
        self._members: Index = np.full((count, _MEMBERS), -1, np.intp)
        for number in range(count):
            rows = np.flatnonzero(group == number)
            rows = rows[:: max(1, -(-len(rows) // _MEMBERS))]
            self._members[number, : len(rows)] = rows

    def meet(self, z: F32, fresh: Bool) -> None:
        """Take the medians anew from `z` (n, gauges), where `fresh`."""
        if not len(self._members):
            return
        held = np.where(fresh[self._members] & (self._members >= 0)[:, :, None], z[self._members], np.float32(np.inf))
        held = np.where(np.isnan(held), np.float32(np.inf), held)
        held.sort(axis=1)
        known = np.isfinite(held).sum(axis=1)
        middle = np.take_along_axis(held, np.maximum(known - 1, 0)[:, None, :] // 2, axis=1)[:, 0]
        self.common[:] = np.where(known >= _LEAST, np.clip(middle, -6, 6), 0)
