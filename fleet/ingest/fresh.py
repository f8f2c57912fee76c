"""Tells which samples cannot have been stored before, so that they may skip the search for repeats.

A terminal numbers what it says; a number above the last stored one of the same boot is new. This is a guess that saves
work, never the guard: the unique key is, and a wrong guess costs one more attempt. What is not known (the first
message after a start, another boot, a step back) is not called fresh.
"""

import numpy as np
from numpy.typing import NDArray


class Freshness:
    """The highest number stored of each terminal's current boot."""

    def __init__(self) -> None:
        self._boot: NDArray[np.int64] = np.empty(0, np.int64)
        self._seq: NDArray[np.int64] = np.empty(0, np.int64)

    def judge(self, samples: NDArray[np.void], *, terminals: int) -> NDArray[np.bool_]:
        """Which decoded samples are above all that was stored and all that precedes them in this batch."""
        self._grow(terminals)
        order = np.argsort(samples["terminal"], kind="stable")
        terminal, boot, seq = (samples[name][order] for name in ("terminal", "boot", "seq"))
        first = np.ones(len(order), np.bool_)
        first[1:] = terminal[1:] != terminal[:-1]
        # What each sample must exceed: the stored state for a terminal's first, its predecessor for the others.
        boot_before, seq_before = np.empty_like(boot), np.empty_like(seq)
        boot_before[1:], seq_before[1:] = boot[:-1], seq[:-1]
        boot_before[first], seq_before[first] = self._boot[terminal[first]], self._seq[terminal[first]]
        follows = (boot == boot_before) & (seq > seq_before)
        # Fresh only as long as every earlier one of the terminal is: one step back and the rest is looked up.
        broken = np.cumsum(~follows)
        starts = np.flatnonzero(first)
        at_start = np.repeat(broken[starts] - ~follows[starts], np.diff(np.append(starts, len(order))))
        fresh = np.empty(len(order), np.bool_)
        fresh[order] = broken == at_start
        return fresh

    def stored(self, samples: NDArray[np.void], *, terminals: int) -> None:
        """Take note of samples that are committed."""
        self._grow(terminals)
        terminal, boot, seq = samples["terminal"], samples["boot"], samples["seq"]
        # The last assignment to a place wins, and a batch is in order of arrival.
        self._seq[terminal[boot != self._boot[terminal]]] = -1
        self._boot[terminal] = boot
        current = boot == self._boot[terminal]
        np.maximum.at(self._seq, terminal[current], seq[current])

    def _grow(self, terminals: int) -> None:
        missing = terminals - len(self._boot)
        if missing > 0:
            self._boot = np.concatenate([self._boot, np.full(missing, -1)])
            self._seq = np.concatenate([self._seq, np.full(missing, -1)])
