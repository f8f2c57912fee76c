"""Tells terminals what is committed: gathered over seconds, as ranges of sequence numbers, one message to a terminal.

The `ack` is what lets a terminal forget. It goes out at QoS 0: one that is lost costs a repeat, which the key refuses.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.contract import Ack, Channel, topic
from fleet.ingest.decode import SETTLED_DTYPE
from fleet.ingest.packets import publish_qos0
from fleet.ingest.terminals import Terminals

# An ack's ranges at most: some 10 KB. More go into a second message.
_MOST_RANGES = 500
# While the broker is away acks wait; beyond so many the oldest are given up, and their terminals send again.
_MOST_WAITING = 2_000_000

_encode = msgspec.json.Encoder().encode


class AckGatherer:
    """What was committed and not yet told; used by one thread."""

    def __init__(self) -> None:
        self._waiting: list[NDArray[np.void]] = []
        self._count = 0

    def add(self, settled: NDArray[np.void]) -> None:
        """Remember numbers (`SETTLED_DTYPE`) whose transaction is committed."""
        if len(settled) == 0:
            return
        self._waiting.append(settled)
        self._count += len(settled)
        while self._count > _MOST_WAITING and len(self._waiting) > 1:
            self._count -= len(self._waiting.pop(0))

    def __len__(self) -> int:
        return self._count

    def take(self) -> NDArray[np.void]:
        """Everything gathered, which is forgotten here; give it back by `add` when it could not be sent."""
        taken = np.concatenate(self._waiting) if self._waiting else np.empty(0, SETTLED_DTYPE)
        self._waiting, self._count = [], 0
        return taken


def packets(settled: NDArray[np.void], terminals: Terminals) -> bytes:
    """The PUBLISH packets that tell each terminal of its numbers, as one run of bytes."""
    return b"".join(
        publish_qos0(topic(terminals.name_of(terminal), Channel.ACK).encode(), _encode(ack)) for terminal, ack in acks_of(settled)
    )


def acks_of(settled: NDArray[np.void]) -> Iterator[tuple[int, Ack]]:
    """Each terminal's number with what it may forget, one `Ack` per boot; ranges ascend and do not touch."""
    if len(settled) == 0:
        return
    order = np.lexsort((settled["seq"], settled["boot"], settled["terminal"]))
    terminal, boot, seq = (settled[name][order] for name in ("terminal", "boot", "seq"))
    new_ack = np.ones(len(order), np.bool_)
    new_ack[1:] = (terminal[1:] != terminal[:-1]) | (boot[1:] != boot[:-1])
    new_range = new_ack.copy()
    new_range[1:] |= seq[1:] > seq[:-1] + 1
    starts = np.flatnonzero(new_range)
    ends = np.append(starts[1:], len(order)) - 1
    ranges = list(zip(seq[starts].tolist(), seq[ends].tolist(), strict=True))
    # Where each ack begins among the ranges.
    cuts = np.flatnonzero(new_ack[starts]).tolist()
    heads = zip(terminal[starts[cuts]].tolist(), boot[starts[cuts]].tolist(), cuts, [*cuts[1:], len(ranges)], strict=True)
    for number, of_boot, begin, end in heads:
        for part in range(begin, end, _MOST_RANGES):
            yield number, Ack(boot=of_boot, seq=ranges[part : min(part + _MOST_RANGES, end)])
