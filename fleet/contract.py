"""The MQTT contract, version 1: the only place with a topic string or a payload field.

`docs/mqtt.md` and `docs/asyncapi.yaml` describe the same and are checked against this module by a test.
Times are integer milliseconds since the epoch, UTC. Payloads are JSON, UTF-8.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from fleet.errors import ContractError

VERSION = 1
ROOT = f"pmu/v{VERSION}/t"
# Beside the terminals: what Vigie tells the IT department's own programs.
INCIDENT_ROOT = f"pmu/v{VERSION}/incident"
TERMINAL_PATTERN = "^T[0-9]{5}$"
MAX_SAMPLES = 500
OPEN_CADENCE_S = 30
CLOSED_CADENCE_S = 300
COMMAND_EXPIRY_S = 60
# A sample outside this window of its receipt is refused (dead letter `clock`): it would open a partition of its own.
OLDEST_SAMPLE_S = 7 * 24 * 3600
NEWEST_SAMPLE_S = 5 * 60

# What a payload may say of its sender; where it names another than its topic, the message is a dead letter.
Claim = str | int | None
U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Ms = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Channel(StrEnum):
    """The last level of a terminal's topics."""

    PRESENCE = "presence"
    TELEMETRY = "telemetry"
    EVENT = "event"
    ACK = "ack"
    DESIRED = "desired"
    REPORTED = "reported"
    CMD = "cmd"
    RES = "res"


UPWARD = (Channel.PRESENCE, Channel.TELEMETRY, Channel.EVENT, Channel.REPORTED, Channel.RES)
DOWNWARD = (Channel.ACK, Channel.DESIRED, Channel.CMD)


class EventCode(StrEnum):
    """What a terminal can report besides samples."""

    PAPER_OUT = "PAPER_OUT"
    PAPER_JAM = "PAPER_JAM"
    COVER_OPEN = "COVER_OPEN"
    SCANNER_FAIL = "SCANNER_FAIL"
    READER_FAIL = "READER_FAIL"
    POWER_LOSS = "POWER_LOSS"
    REBOOT = "REBOOT"
    APP_CRASH = "APP_CRASH"
    NET_FAILOVER = "NET_FAILOVER"
    TAMPER = "TAMPER"
    OPEN = "OPEN"
    CLOSE = "CLOSE"


class Sample(msgspec.Struct, gc=False):
    """One sample of a terminal; a field that is absent was not measured, one we do not know is passed over."""

    seq: U32
    at: Ms
    tickets: float | None = None
    rejects: float | None = None
    tx_ms: float | None = None
    tx_timeouts: float | None = None
    rtt_ms: float | None = None
    loss_pct: float | None = None
    signal_dbm: float | None = None
    print_errors: float | None = None
    paper_pct: float | None = None
    head_c: float | None = None
    scans: float | None = None
    scan_errors: float | None = None
    cpu_pct: float | None = None
    mem_mb: float | None = None
    disk_mb: float | None = None
    board_c: float | None = None
    clock_ms: float | None = None
    uptime_s: float | None = None


SAMPLE_FIELDS: tuple[str, ...] = Sample.__struct_fields__[2:]
# Counted since the last sample (summed by roll-ups); the others are gauges (averaged).
COUNTERS = frozenset({"tickets", "rejects", "tx_timeouts", "print_errors", "scans", "scan_errors"})


class Telemetry(msgspec.Struct, gc=False):
    """`telemetry`: samples of one boot, oldest first."""

    boot: U32
    samples: Annotated[list[Sample], msgspec.Meta(min_length=1, max_length=MAX_SAMPLES)]
    terminal: Claim = None
    terminal_id: Claim = None
    id: Claim = None


class Event(msgspec.Struct, gc=False):
    """One event; `seq` is drawn from the same counter as samples."""

    seq: U32
    at: Ms
    code: EventCode
    detail: str = ""


class Events(msgspec.Struct, gc=False):
    """`event`: events of one boot, oldest first."""

    boot: U32
    events: Annotated[list[Event], msgspec.Meta(min_length=1, max_length=MAX_SAMPLES)]
    terminal: Claim = None
    terminal_id: Claim = None
    id: Claim = None


class Presence(msgspec.Struct):
    """`presence`: a birth (`online`, every field) or the will (`offline`, session only)."""

    state: Literal["online", "offline"]
    session: U32
    boot: U32 | None = None
    at: Ms | None = None
    firmware: str | None = None
    slot: str | None = None
    model: str | None = None
    hw: str | None = None
    terminal: Claim = None
    terminal_id: Claim = None
    id: Claim = None


class Ack(msgspec.Struct):
    """`ack`: these sequence ranges (both ends included) of this boot are committed."""

    boot: U32
    seq: list[tuple[int, int]]


class Desired(msgspec.Struct):
    """`desired`: the configuration a terminal should have."""

    rev: U32
    config: dict[str, Any]


class Reported(msgspec.Struct):
    """`reported`: the configuration and firmware a terminal has."""

    rev: U32
    firmware: str
    slot: str
    config: dict[str, Any] = {}
    terminal: Claim = None
    terminal_id: Claim = None
    id: Claim = None


class Command(msgspec.Struct):
    """`cmd`: an order, answered on the response topic."""

    id: U32
    name: Literal["reboot", "ping", "print_test", "send_logs"]


class Result(msgspec.Struct):
    """`res`: the answer to an order."""

    id: U32
    ok: bool
    detail: str = ""
    terminal: Claim = None
    terminal_id: Claim = None


class IncidentState(msgspec.Struct):
    """An incident that lives, retained at its own topic; empty once it is over.

    `trouble` None: declared by a person, whose words are both titles. `scope` empty: the whole fleet. `at`: of what is told here.
    """

    id: int
    state: Literal["open", "acknowledged", "clearing"]
    scope: dict[str, str]
    title_fr: str
    title_en: str
    began_at: Ms
    opened_at: Ms
    at: Ms
    terminals: U32
    hits: U32
    trouble: str | None = None
    flapping: bool = False
    children: list[int] = []


def incident_topic(incident: int | Literal["+"]) -> str:
    """The topic of one incident's state, or (`+`) of every incident's."""
    return f"{INCIDENT_ROOT}/{incident}"


def topic(terminal: str, channel: Channel) -> str:
    """The topic of one terminal's channel, or (terminal `+`) of every terminal's."""
    return f"{ROOT}/{terminal}/{channel}"


def parse_topic(text: str) -> tuple[str, Channel]:
    """Terminal and channel of a topic; `ContractError` (`topic`) where it is none of ours."""
    head, _, rest = text.partition(f"{ROOT}/")
    terminal, _, channel = rest.partition("/")
    if head or not is_terminal_id(terminal):
        raise ContractError("topic", f"not a terminal's topic: {text[:200]!r}")
    try:
        return terminal, Channel(channel)
    except ValueError:
        raise ContractError("topic", f"unknown channel in {text[:200]!r}") from None


def is_terminal_id(text: str) -> bool:
    """Whether the text is a terminal id, `T` and five digits."""
    return len(text) == 6 and text[0] == "T" and text[1:].isascii() and text[1:].isdigit()
