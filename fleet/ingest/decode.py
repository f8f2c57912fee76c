"""What a batch of MQTT messages says: columns of samples, a few records, and dead letters for what cannot be taken.

Pure: bytes and the time of receipt in, arrays and records out. Each payload is decoded by itself (measured faster than
joining them into one array, and no payload can then speak for its neighbours); from there on samples are columns.
"""

import struct
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from fleet.contract import (
    MAX_SAMPLES,
    NEWEST_SAMPLE_S,
    OLDEST_SAMPLE_S,
    SAMPLE_FIELDS,
    U32,
    Channel,
    Claim,
    Event,
    Events,
    Ms,
    Presence,
    Reported,
    Result,
    parse_topic,
)
from fleet.errors import ContractError
from fleet.ingest.packets import Arrivals
from fleet.ingest.terminals import CHANNELS, Terminals

# Messages read at a time: the objects of so many stay in the processor's cache until they are numbers (a third faster).
_CHUNK = 128
# The words of an error, not the payload: enough to find the fault.
_DETAIL_CHARS = 300

Message = TypeVar("Message")


class Reason(StrEnum):
    """Why a message, or part of it, was not stored where it belongs."""

    TOPIC = "topic"
    UNKNOWN_TERMINAL = "unknown_terminal"
    JSON = "json"
    SCHEMA = "schema"
    CLAIM = "claim"
    RANGE = "range"
    CLOCK = "clock"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was not stored, or not whole; `reason` and `detail` say why."""

    topic: bytes
    payload: bytes
    terminal: str | None
    reason: Reason
    detail: str


# The contract's sample, read with NaN for what is absent so that a row of numbers needs no look at each of them.
_Sample = msgspec.defstruct(
    "_Sample", [("seq", U32), ("at", Ms), *((name, float | None, float("nan")) for name in SAMPLE_FIELDS)], gc=False
)
_Telemetry = msgspec.defstruct(
    "_Telemetry",
    [
        ("boot", U32),
        # A list of our own sample type; the contract's bounds.
        ("samples", list[_Sample]),  # type: ignore[valid-type]  # the type is made above, at run time
        ("terminal", Claim, None),
        ("terminal_id", Claim, None),
        ("id", Claim, None),
    ],
    gc=False,
)
_telemetry: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Telemetry)
_events = msgspec.json.Decoder(Events)
_presence = msgspec.json.Decoder(Presence)
_reported = msgspec.json.Decoder(Reported)
_result = msgspec.json.Decoder(Result)
# seq, at, and the fields.
_WIDTH = 2 + len(SAMPLE_FIELDS)
_pack_sample = struct.Struct(f"<{_WIDTH}d").pack

# Samples of a batch: `terminal` is an index into `Terminals.names`, `message` the message's place in the batch.
DECODED_DTYPE = np.dtype(
    [
        ("terminal", "<i4"),
        ("message", "<i4"),
        ("boot", "<i8"),
        ("seq", "<i8"),
        ("at", "<i8"),
        ("values", "<f4", (len(SAMPLE_FIELDS),)),
    ]
)
# What a terminal may forget once this batch is committed.
SETTLED_DTYPE = np.dtype([("terminal", "<i4"), ("boot", "<i8"), ("seq", "<i8")])


@dataclass(slots=True)
class Said(Generic[Message]):
    """One record of a terminal, in order of arrival."""

    terminal: int
    body: Message


@dataclass(slots=True)
class Decoded:
    """A batch taken apart. `settled` covers every sample and event that is stored or kept as a dead letter by its number."""

    samples: NDArray[np.void]
    settled: NDArray[np.void]
    events: list[tuple[int, int, Event]] = field(default_factory=list)
    presence: list[Said[Presence]] = field(default_factory=list)
    reported: list[Said[Reported]] = field(default_factory=list)
    results: list[Said[Result]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    @classmethod
    def of_dead(cls, dead: list[DeadLetter]) -> "Decoded":
        """A batch of which nothing could be taken."""
        return cls(np.empty(0, DECODED_DTYPE), np.empty(0, SETTLED_DTYPE), dead=dead)


def decode(arrivals: Arrivals, terminals: Terminals, *, received_ms: int) -> Decoded:
    """Take a batch apart; what cannot be taken becomes a dead letter and disturbs nothing else."""
    codes = np.fromiter(map(terminals.code_of, arrivals.topics), np.int64, len(arrivals))
    out = Decoded.of_dead([])
    for place in np.flatnonzero(codes < 0).tolist():
        out.dead.append(_astray(arrivals.topics[place], arrivals.payloads[place]))
    channel_of, terminal_of = codes % len(CHANNELS), codes // len(CHANNELS)
    batch = _Batch(arrivals, terminals, terminal_of, out, received_ms)
    for number, channel in enumerate(CHANNELS):
        places = np.flatnonzero((channel_of == number) & (codes >= 0))
        if len(places) == 0:
            continue
        if channel is Channel.TELEMETRY:
            _take_samples(batch, places)
        elif channel is Channel.EVENT:
            _take_events(batch, places)
        else:
            _take_records(batch, places, channel)
    return out


@dataclass(slots=True)
class _Batch:
    """What the steps of `decode` share."""

    arrivals: Arrivals
    terminals: Terminals
    terminal_of: NDArray[np.int64]
    out: Decoded
    received_ms: int

    def reject(self, place: int, reason: Reason, detail: str) -> None:
        """Make a dead letter of one message."""
        name = self.terminals.name_of(int(self.terminal_of[place]))
        self.out.dead.append(
            DeadLetter(self.arrivals.topics[place], self.arrivals.payloads[place], name, reason, detail[:_DETAIL_CHARS])
        )

    def decode_each(
        self, decoder: "msgspec.json.Decoder[Message]", places: NDArray[np.intp]
    ) -> tuple[list[Message], NDArray[np.intp]]:
        """The messages at `places` that could be read, and the places of those."""
        payloads = self.arrivals.payloads
        try:
            return list(map(decoder.decode, map(payloads.__getitem__, places.tolist()))), places
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        messages: list[Message] = []
        kept: list[int] = []
        for place in places.tolist():
            try:
                messages.append(decoder.decode(payloads[place]))
            except msgspec.ValidationError as error:
                self.reject(place, Reason.SCHEMA, str(error))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                self.reject(place, Reason.JSON, str(error))
            else:
                kept.append(place)
        return messages, np.array(kept, np.intp)

    def claims_other(self, place: int, *claims: Claim) -> bool:
        """Whether the payload names another terminal than its topic; then it is a dead letter."""
        name = self.terminals.name_of(int(self.terminal_of[place]))
        for claim in claims:
            if claim is not None and claim != name:
                self.reject(place, Reason.CLAIM, f"payload names {claim!r}, topic {name}")
                return True
        return False

    def off_clock(self, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which times lie outside the window of receipt."""
        oldest, newest = self.received_ms - OLDEST_SAMPLE_S * 1000, self.received_ms + NEWEST_SAMPLE_S * 1000
        return (at < oldest) | (at > newest)


def _astray(topic: bytes, payload: bytes) -> DeadLetter:
    text = topic.decode("utf-8", "replace")
    try:
        terminal, _ = parse_topic(text)
    except ContractError as error:
        return DeadLetter(topic, payload, None, Reason.TOPIC, error.detail[:_DETAIL_CHARS])
    return DeadLetter(topic, payload, terminal, Reason.UNKNOWN_TERMINAL, "not in the registry")


def _take_samples(batch: _Batch, places: NDArray[np.intp]) -> None:
    parts = [_read_samples(batch, places[begin : begin + _CHUNK]) for begin in range(0, len(places), _CHUNK)]
    numbers = np.concatenate([part.numbers for part in parts])
    if len(numbers) == 0:
        return
    counts = np.concatenate([part.counts for part in parts])
    rows = np.empty(len(numbers), DECODED_DTYPE)
    rows["message"] = np.repeat(np.concatenate([part.places for part in parts]), counts)
    rows["terminal"] = batch.terminal_of[rows["message"]]
    rows["boot"] = np.repeat(np.concatenate([part.boots for part in parts]), counts)
    # Up to 2**53, so exact in a double.
    rows["seq"] = numbers[:, 0]
    rows["at"] = numbers[:, 1]
    with np.errstate(over="ignore"):
        rows["values"] = numbers[:, 2:]
    _settle(batch, rows)
    batch.out.samples = _without_unfit(batch, rows)


@dataclass(frozen=True, slots=True)
class _Read:
    """Telemetry messages as columns: place, boot and number of samples of each; seq, at and fields of every sample."""

    places: NDArray[np.intp]
    boots: NDArray[np.int64]
    counts: NDArray[np.int64]
    numbers: NDArray[np.float64]


_NOTHING_READ = _Read(np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, _WIDTH)))


def _read_samples(batch: _Batch, places: NDArray[np.intp]) -> _Read:
    messages, places = batch.decode_each(_telemetry, places)
    if not messages:
        return _NOTHING_READ
    boots, lists, *claims = zip(*map(astuple, messages), strict=True)
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    claimed = any(column.count(None) < len(column) for column in claims)
    if claimed or counts.min() == 0 or counts.max() > MAX_SAMPLES:
        good = _check_telemetry(batch, messages, places)
        if not good:
            return _NOTHING_READ
        places, counts = places[good], counts[good]
        boots, lists = tuple(boots[i] for i in good), tuple(lists[i] for i in good)
    return _Read(places, np.array(boots, np.int64), counts, _numbers(lists))


def _check_telemetry(batch: _Batch, messages: list[Any], places: NDArray[np.intp]) -> list[int]:
    """The slow look at each message, taken when one of the batch is out of order; returns the good ones' positions."""
    good = []
    for position, (message, place) in enumerate(zip(messages, places.tolist(), strict=True)):
        if not 1 <= len(message.samples) <= MAX_SAMPLES:
            batch.reject(place, Reason.SCHEMA, f"{len(message.samples)} samples, must be 1 to {MAX_SAMPLES}")
        elif not batch.claims_other(place, message.terminal, message.terminal_id, message.id):
            good.append(position)
    return good


def _numbers(lists: tuple[list[Any], ...]) -> NDArray[np.float64]:
    """One row (seq, at, fields) per sample; NaN where a field is absent or null."""
    tuples = list(map(astuple, chain.from_iterable(lists)))
    try:
        packed = b"".join([_pack_sample(*numbers) for numbers in tuples])
    except struct.error:
        # A field said null. NumPy reads None as NaN, at three times the cost.
        return np.array(tuples, np.float64).reshape(-1, _WIDTH)
    return np.frombuffer(packed, "<f8").reshape(-1, _WIDTH)


def _without_unfit(batch: _Batch, rows: NDArray[np.void]) -> NDArray[np.void]:
    """The samples that can be stored; a message that holds others becomes a dead letter besides."""
    off_clock = batch.off_clock(rows["at"])
    off_range = np.isinf(rows["values"]).any(axis=1)
    unfit = off_clock | off_range
    if not unfit.any():
        return rows
    for place in np.unique(rows["message"][unfit]).tolist():
        mine = rows["message"] == place
        clock = rows[mine & off_clock]
        seqs = ", ".join(map(str, rows["seq"][mine & unfit][:20].tolist()))
        counted = f"{int((mine & unfit).sum())} of {int(mine.sum())} samples (seq {seqs})"
        if len(clock):
            batch.reject(place, Reason.CLOCK, f"{counted}: measured at {int(clock['at'][0])}, received at {batch.received_ms}")
        else:
            batch.reject(place, Reason.RANGE, f"{counted}: a number is too large for a 4-byte float")
    fit: NDArray[np.void] = rows[~unfit]
    return fit


def _settle(batch: _Batch, rows: NDArray[np.void]) -> None:
    settled = np.empty(len(rows), SETTLED_DTYPE)
    for name in SETTLED_DTYPE.names or ():
        settled[name] = rows[name]
    batch.out.settled = np.concatenate([batch.out.settled, settled])


def _take_events(batch: _Batch, places: NDArray[np.intp]) -> None:
    messages, places = batch.decode_each(_events, places)
    settled: list[tuple[int, int, int]] = []
    for message, place in zip(messages, places.tolist(), strict=True):
        if batch.claims_other(place, message.terminal, message.terminal_id, message.id):
            continue
        terminal = int(batch.terminal_of[place])
        off_clock = batch.off_clock(np.array([event.at for event in message.events], np.int64))
        settled += [(terminal, message.boot, event.seq) for event in message.events]
        batch.out.events += [
            (terminal, message.boot, event) for event, off in zip(message.events, off_clock.tolist(), strict=True) if not off
        ]
        if off_clock.any():
            count, first = int(off_clock.sum()), message.events[int(off_clock.argmax())]
            batch.reject(
                place,
                Reason.CLOCK,
                f"{count} of {len(message.events)} events (seq {first.seq}): measured at {first.at},"
                f" received at {batch.received_ms}",
            )
    batch.out.settled = np.concatenate([batch.out.settled, np.array(settled, SETTLED_DTYPE)])


def _take_records(batch: _Batch, places: NDArray[np.intp], channel: Channel) -> None:
    """Presence, reported state, results: one record to a message."""
    if channel is Channel.PRESENCE:
        births, places = batch.decode_each(_presence, places)
        for birth, place in zip(births, places.tolist(), strict=True):
            if not batch.claims_other(place, birth.terminal, birth.terminal_id, birth.id):
                batch.out.presence.append(Said(int(batch.terminal_of[place]), birth))
    elif channel is Channel.REPORTED:
        states, places = batch.decode_each(_reported, places)
        for state, place in zip(states, places.tolist(), strict=True):
            if batch.claims_other(place, state.terminal, state.terminal_id, state.id):
                continue
            if b"\\u0000" in msgspec.json.encode(state.config):
                batch.reject(place, Reason.SCHEMA, "config holds the character U+0000, which cannot be stored")
            else:
                batch.out.reported.append(Said(int(batch.terminal_of[place]), state))
    elif channel is Channel.RES:
        results, places = batch.decode_each(_result, places)
        for result, place in zip(results, places.tolist(), strict=True):
            # Here `id` is the order's number, no claim.
            if not batch.claims_other(place, result.terminal, result.terminal_id):
                batch.out.results.append(Said(int(batch.terminal_of[place]), result))
