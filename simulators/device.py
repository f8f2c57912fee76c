"""One terminal as the broker knows it: what it says at birth, what it keeps, and how it answers what it is told."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from fleet.contract import (
    COUNTERS,
    SAMPLE_FIELDS,
    Ack,
    Channel,
    Command,
    Desired,
    EventCode,
    Presence,
    Reported,
    Result,
    parse_topic,
    topic,
)
from fleet.errors import ContractError
from simulators import wire
from simulators.journal import Batch, Journal
from simulators.link import Link

KEEPALIVE_S = 40
FIRST_SLOT = "A"

# As precise as a terminal's instruments: what is counted or whole is whole, the rest has one decimal, losses two.
_DECIMALS = tuple({"loss_pct": 2, "clock_ms": 0, "uptime_s": 0}.get(name, 0 if name in COUNTERS else 1) for name in SAMPLE_FIELDS)

_encode = msgspec.json.Encoder().encode
_read_ack = msgspec.json.Decoder(Ack).decode
_read_desired = msgspec.json.Decoder(Desired).decode
_read_command = msgspec.json.Decoder(Command).decode
# The contract's Sample, but without the fields that were not measured.
_Sent = msgspec.defstruct(
    "_Sent",
    [("seq", int), ("at", int), *((name, float | None, None) for name in SAMPLE_FIELDS)],
    omit_defaults=True,
    gc=False,
)


def rounded(values: np.ndarray) -> list[list[float]]:
    """Round samples, float32 (n, fields), as instruments would, as plain numbers that JSON writes short."""
    exact = values.astype(np.float64)
    for column, decimals in enumerate(_DECIMALS):
        np.round(exact[:, column], decimals, out=exact[:, column])
    rows: list[list[float]] = exact.tolist()
    return rows


class Identity(NamedTuple):
    """What does not change while a terminal lives: its registry entry, with the firmware it came with, and its password."""

    id: str
    password: str
    firmware: str
    model: str
    hw: str


class Answer(NamedTuple):
    """What a message from Vigie led to."""

    acknowledged: int = 0
    command: str = ""
    reported: int | None = None
    noise: bool = False  # it could not be read: a terminal passes over it


NOISE = Answer(noise=True)


class Device:
    """A terminal: its journal, its boot and session numbers, its connection."""

    __slots__ = (
        "attempts", "blocked_until", "boots", "configured", "firmware", "identity", "journal", "link", "revision", "session",
        "slot",
    )  # fmt: skip

    def __init__(self, identity: Identity, *, boot: int) -> None:
        self.identity = identity
        # What it runs, and from which of its two places.
        self.firmware, self.slot = identity.firmware, FIRST_SLOT
        self.journal = Journal(boot)
        self.link = Link()
        # Sessions rise from the first boot on, so that those of an earlier run are never met again.
        self.session = boot
        self.revision = 0
        self.configured = b"{}"
        self.attempts = 0  # connections tried in vain since the last success
        self.blocked_until = 0.0  # monotonic: when it may try again
        # (boot, last seq) of the boots before this one, for the truth.
        self.boots: list[tuple[int, int]] = []

    def hello(self) -> bytes:
        """Make the CONNECT of a new session, with its will."""
        self.session += 1
        me = self.identity
        name = me.id.encode()
        will = wire.Will(_topic(me.id, Channel.PRESENCE), b'{"state":"offline","session":%d}' % self.session)
        return wire.connect(
            client_id=name,
            user=name,
            password=me.password.encode(),
            keepalive_s=KEEPALIVE_S,
            session_expiry_s=0,
            clean_start=True,
            will=will,
        )

    def greet(self, *, at_ms: int, now: float) -> None:
        """Once online: listen, tell of the birth and of the firmware."""
        me = self.identity
        downward = ((Channel.ACK, 0), (Channel.DESIRED, 1), (Channel.CMD, 1))
        self.link.subscribe([(_topic(me.id, channel), qos) for channel, qos in downward], now=now)
        birth = Presence(
            "online", self.session, self.journal.boot, at_ms, firmware=self.firmware, slot=self.slot, model=me.model, hw=me.hw
        )
        document = {name: value for name, value in msgspec.structs.asdict(birth).items() if value is not None}
        self.link.publish(self._named(Channel.PRESENCE), _encode(document), now=now, retain=True)
        self.report(now=now)
        self.journal.reconnected()

    def report(self, *, now: float) -> None:
        """Tell which configuration and firmware it has."""
        reported = Reported(self.revision, self.firmware, self.slot, msgspec.json.decode(self.configured))
        document = {name: value for name, value in msgspec.structs.asdict(reported).items() if value is not None}
        self.link.publish(self._named(Channel.REPORTED), _encode(document), now=now)

    def reboot(self, boot: int) -> None:
        """Begin a new boot; the journal outlives it."""
        self.boots.append((self.journal.boot, self.journal.seq))
        self.journal.reboot(max(boot, self.journal.boot + 1))

    def note_sample(self, at_ms: int, values: Sequence[float]) -> None:
        """Write a sample into the journal; values in the order of `SAMPLE_FIELDS`, NaN where not measured."""
        seq = self.journal.next_seq()
        # NaN is the one value that is not itself.
        measured = [value if value == value else None for value in values]  # noqa: PLR0124  # the test for NaN
        self.journal.add(seq, _encode(_Sent(seq, at_ms, *measured)))

    def note_event(self, at_ms: int, code: EventCode, detail: str) -> None:
        """Write an event into the journal."""
        seq = self.journal.next_seq()
        self.journal.add(seq, _encode({"seq": seq, "at": at_ms, "code": code, "detail": detail}), event=True)

    def send(self, batches: list[Batch], *, now: float) -> int:
        """Send what the journal gave; returns the number of messages."""
        for batch in batches:
            self.link.publish(self._named(batch.channel), batch.payload, now=now)
        return len(batches)

    def hear(self, message: wire.Message, *, now: float) -> Answer:
        """Act on a message from Vigie; what cannot be read is passed over, as a terminal in the field must."""
        if message.qos:
            self.link.send(wire.puback(message.packet_id), now=now)
        try:
            terminal, channel = parse_topic(message.topic)
            if terminal != self.identity.id:
                return NOISE
            if channel is Channel.ACK:
                ack = _read_ack(message.payload)
                return Answer(acknowledged=self.journal.acknowledge(ack.boot, ack.seq))
            if channel is Channel.DESIRED:
                return self._configure(_read_desired(message.payload), now)
            if channel is Channel.CMD:
                return self._obey(_read_command(message.payload), message, now)
        except (ContractError, msgspec.DecodeError, UnicodeDecodeError):
            return NOISE
        return NOISE

    def _configure(self, desired: Desired, now: float) -> Answer:
        if desired.rev > self.revision:
            self.revision, self.configured = desired.rev, _encode(desired.config)
            self.report(now=now)
        return Answer(reported=self.revision)

    def _obey(self, command: Command, message: wire.Message, now: float) -> Answer:
        said = {
            "ping": "pong",
            "reboot": "restarting",
            "print_test": "printed",
            "send_logs": f"boot {self.journal.boot}, {self.journal.seq} entries, {len(self.journal)} not acknowledged",
        }[command.name]
        result = Result(command.id, True, said)
        document = {"id": result.id, "ok": result.ok, "detail": result.detail}
        reply_to = message.response_topic or topic(self.identity.id, Channel.RES)
        self.link.publish(wire.text(reply_to.encode()), _encode(document), now=now, correlation=message.correlation)
        return Answer(command=command.name)

    def _named(self, channel: Channel) -> bytes:
        return wire.text(_topic(self.identity.id, channel))


def _topic(terminal: str, channel: Channel) -> bytes:
    return topic(terminal, channel).encode()
