"""What one terminal has said and not yet seen committed: kept, sent again, forgotten only on `ack`.

A real terminal keeps this on flash, so it outlives a reboot: every boot has its own sequence, the oldest boot is sent first.
Entries are the JSON text that goes out, made once. A long backlog is packed (a sample of 330 bytes becomes about 55), so that
16,000 terminals cut off for hours fit into memory. `tests/unit/simulators/test_journal.py` holds it against a plain model.
"""

import zlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from fleet.contract import MAX_SAMPLES, Channel

# Seven days of a sample every 30 s: what the fleet would refuse as too old need not be kept.
CAPACITY = 7 * 24 * 120
# Entries are packed by 32 once 40 lie open: in ordinary times a terminal holds two or three and packs nothing; with the whole
# fleet cut off for three hours, 16,000 journals need some 500 MB (blocks of 64 would save less than their open entries cost).
_BLOCK = 32
_OPEN = 40
_NO_LIMIT = 2**32


class Batch(NamedTuple):
    """One message to send: its channel and whole payload."""

    channel: Channel
    payload: bytes
    entries: int


class _Packed(NamedTuple):
    """A block of old entries, compressed."""

    seqs: "array[int]"  # four bytes each
    data: bytes

    @classmethod
    def of(cls, entries: list[tuple[int, bytes]]) -> "_Packed":
        # JSON text holds no raw line feed, so a line feed parts the entries.
        return cls(array("I", (seq for seq, _ in entries)), zlib.compress(b"\n".join(text for _, text in entries), 1))

    def entries(self) -> Iterator[tuple[int, bytes]]:
        return zip(self.seqs, zlib.decompress(self.data).split(b"\n"), strict=True)


class _Boot:
    """The unacknowledged entries of one boot, in order of seq: packed blocks first, then the open ones."""

    __slots__ = ("blocks", "events", "number", "open")

    def __init__(self, number: int) -> None:
        self.number = number
        self.blocks: list[_Packed] = []
        self.open: dict[int, bytes] = {}
        # Which seqs are events: they travel on a channel of their own. Few, so a set made only when needed.
        self.events: set[int] | None = None

    def __len__(self) -> int:
        return len(self.open) + sum(len(block.seqs) for block in self.blocks)

    def add(self, seq: int, entry: bytes, *, event: bool) -> None:
        self.open[seq] = entry
        if event:
            if self.events is None:
                self.events = set()
            self.events.add(seq)
        if len(self.open) > _OPEN:
            first = [(s, self.open.pop(s)) for s in list(self.open)[:_BLOCK]]
            self.blocks.append(_Packed.of(first))

    def entries(self, above: int) -> Iterator[tuple[int, bytes]]:
        for block in self.blocks:
            if block.seqs[-1] > above:
                yield from ((seq, text) for seq, text in block.entries() if seq > above)
        yield from ((seq, text) for seq, text in self.open.items() if seq > above)

    def forget(self, low: int, high: int) -> int:
        """Forget the seqs from `low` to `high`; return how many there were."""
        before = len(self)
        if high - low < len(self.open):
            for seq in range(low, high + 1):
                self.open.pop(seq, None)
        else:
            self.open = {seq: text for seq, text in self.open.items() if not low <= seq <= high}
        if self.blocks and self.blocks[0].seqs[0] <= high:
            self.blocks = [kept for block in self.blocks if (kept := _without(block, low, high)) is not None]
        if self.events:
            self.events = {seq for seq in self.events if not low <= seq <= high} or None
        return before - len(self)

    def seqs(self) -> list[int]:
        return [seq for block in self.blocks for seq in block.seqs] + list(self.open)


class Journal:
    """Store and forward for one terminal. Times never enter: `overdue` counts rounds of its caller."""

    __slots__ = ("_boots", "_capacity", "_length", "_patience", "_round", "_sent", "_stale", "dropped", "seq")

    def __init__(self, boot: int, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._boots = [_Boot(boot)]
        self._length = 0
        self.seq = 0
        # (boot, seq) up to which this connection has sent, and up to which it had at the last round.
        self._sent = self._stale = (-1, -1)
        self._round = self._patience = 1
        # Per boot, the ranges pushed out because the journal was full.
        self.dropped: dict[int, list[tuple[int, int]]] = {}

    def __len__(self) -> int:
        """Count the entries not seen acknowledged."""
        return self._length

    @property
    def boot(self) -> int:
        """The current boot's number."""
        return self._boots[-1].number

    def reboot(self, boot: int) -> None:
        """Begin a new sequence; what the boots before left is kept."""
        if boot <= self.boot:
            raise ValueError(f"boot {boot} does not follow boot {self.boot}")
        if not len(self._boots[-1]):
            self._boots.pop()
        self._boots.append(_Boot(boot))
        self.seq = 0

    def next_seq(self) -> int:
        """Draw the next number of this boot, for samples and events alike."""
        self.seq += 1
        return self.seq

    def add(self, seq: int, entry: bytes, *, event: bool = False) -> None:
        """Keep one entry (its JSON object) until it is acknowledged; a full journal drops its oldest."""
        self._boots[-1].add(seq, entry, event=event)
        self._length += 1
        if self._length > self._capacity:
            self._drop_oldest()

    def acknowledge(self, boot: int, ranges: list[tuple[int, int]]) -> int:
        """Forget what is committed; returns how many entries that were. Unknown boots and seqs are passed over."""
        gone = 0
        for kept in self._boots:
            if kept.number == boot:
                gone = sum(kept.forget(low, high) for low, high in ranges)
                if not len(kept) and kept is not self._boots[-1]:
                    self._boots.remove(kept)
                break
        self._length -= gone
        if gone:
            self._round = self._patience = 1
        return gone

    def reconnected(self) -> None:
        """Begin a new connection: all that is unacknowledged counts as unsent."""
        self._sent = self._stale = (-1, -1)
        self._round = self._patience = 1

    def unsent(self) -> list[Batch]:
        """Take what this connection has not sent yet, oldest first, and count it as sent."""
        if self._sent == (self.boot, self.seq) or not self._length:
            return []
        batches = self._batches(self._sent, (self.boot, self.seq))
        self._sent = (self.boot, self.seq)
        return batches

    def overdue(self) -> list[Batch]:
        """Take, once a round, what was sent before the last round and is still unacknowledged, to send it again.

        After each round without any acknowledgement it waits twice as many rounds, eight at most.
        """
        if not self._length:
            self._stale = self._sent
            self._round = self._patience = 1
            return []
        self._round -= 1
        if self._round > 0:
            return []
        batches = self._batches((-1, -1), self._stale)
        self._stale = self._sent
        if batches:
            self._patience = min(8, self._patience * 2)
        self._round = self._patience
        return batches

    def left(self) -> dict[int, list[tuple[int, int]]]:
        """List the unacknowledged seqs as ranges, by boot."""
        return {boot.number: ranges(boot.seqs()) for boot in self._boots if len(boot)}

    def _batches(self, after: tuple[int, int], upto: tuple[int, int]) -> list[Batch]:
        batches: list[Batch] = []
        for boot in self._boots:
            if boot.number < after[0] or boot.number > upto[0]:
                continue
            above = after[1] if boot.number == after[0] else -1
            below = upto[1] if boot.number == upto[0] else _NO_LIMIT
            samples: list[bytes] = []
            events: list[bytes] = []
            for seq, entry in boot.entries(above):
                if seq > below:
                    break
                (events if boot.events and seq in boot.events else samples).append(entry)
            # Events first: they are few, and a reboot or an open door explains the samples that follow.
            batches += _messages(Channel.EVENT, b"events", boot.number, events)
            batches += _messages(Channel.TELEMETRY, b"samples", boot.number, samples)
        return batches

    def _drop_oldest(self) -> None:
        """Drop the oldest entry, or the oldest block where it is packed: opening a block for one entry would cost too much."""
        boot = next(boot for boot in self._boots if len(boot))
        seqs = list(boot.blocks[0].seqs) if boot.blocks else [next(iter(boot.open))]
        gone = self.dropped.setdefault(boot.number, [])
        for low, high in ranges(seqs):
            self._length -= boot.forget(low, high)
            if gone and gone[-1][1] == low - 1:
                gone[-1] = (gone[-1][0], high)
            else:
                gone.append((low, high))
        if not len(boot) and boot is not self._boots[-1]:
            self._boots.remove(boot)


def ranges(seqs: list[int]) -> list[tuple[int, int]]:
    """Write ascending numbers as ranges, both ends included."""
    found: list[tuple[int, int]] = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found


def _without(block: _Packed, low: int, high: int) -> _Packed | None:
    if high < block.seqs[0] or low > block.seqs[-1]:
        return block
    kept = [(seq, text) for seq, text in block.entries() if not low <= seq <= high]
    return _Packed.of(kept) if kept else None


def _messages(channel: Channel, field: bytes, boot: int, entries: list[bytes]) -> list[Batch]:
    parts = [entries[at : at + MAX_SAMPLES] for at in range(0, len(entries), MAX_SAMPLES)]
    return [Batch(channel, b'{"boot":%d,"%s":[%s]}' % (boot, field, b",".join(part)), len(part)) for part in parts]
