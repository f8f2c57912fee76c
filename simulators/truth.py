"""The truth file: all that a played scenario did, one JSON object a line, for `vigie check` and for whoever judges a detector.

The first line is the play, then one line per fault, per terminal, per update and per call, and the totals last: a file
without its last line was cut short, and is refused.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from fleet.errors import VigieError

Range = tuple[int, int]


class TruthError(VigieError):
    """A truth file cannot be read; the text names file and line."""


class Play(msgspec.Struct, tag="play", tag_field="kind", frozen=True):
    """What was played, and when, in the simulated clock (which ran `clock_offset_s` ahead of the machine's)."""

    scenario: str
    seed: int
    terminals: int
    start_ms: int
    end_ms: int
    clock_offset_s: int


class Fault(msgspec.Struct, tag="fault", tag_field="kind", frozen=True):
    """What a fault did: whom it reached, when each first felt it, when anyone could first notice, when its cause ended."""

    order: int
    fault: str
    expect: str
    scope: dict[str, str] | None
    terminals: list[str]
    onset_ms: list[int]
    first_effect_ms: int | None
    end_ms: int


class Boot(msgspec.Struct, frozen=True):
    """One boot's numbers: 1 to `last` were produced; some were pushed out of a full journal, or are still unacknowledged.

    `misdated`: told with a clock so wrong that the fleet may have refused them.
    """

    boot: int
    last: int
    dropped: list[Range] = []
    left: list[Range] = []
    misdated: list[Range] = []


class Terminal(msgspec.Struct, tag="terminal", tag_field="kind", frozen=True):
    """What one terminal produced, boot by boot."""

    terminal: str
    boots: list[Boot]


class Call(msgspec.Struct, tag="call", tag_field="kind", frozen=True):
    """One call as it went. `words` is what the shopkeeper says; telephony does not carry it.

    `fault` is the order of its cause, -1 for none. `statuses` are the HTTP answers to what was posted, 0 for none at all.
    """

    call_id: str
    caller: str
    point_of_sale: str
    subject: str
    words: str
    fault: int
    rang_ms: int
    answered_ms: int | None
    ended_ms: int | None
    outcome: str
    statuses: list[int]


class Update(msgspec.Struct, tag="update", tag_field="kind", frozen=True):
    """What an update made of a terminal: what it runs since then, from which slot; `effect` is what went wrong, or empty."""

    terminal: str
    at_ms: int
    firmware: str
    slot: str
    effect: str = ""


class Total(msgspec.Struct, tag="total", tag_field="kind", frozen=True):
    """Sums, and how often connections were lost or refused and why."""

    produced: int
    dropped: int
    left: int
    misdated: int
    messages: int
    entries_sent: int
    entries_sent_again: int
    acknowledged: int
    connections: int
    connections_lost: int
    connections_refused: int
    failures: dict[str, int]
    calls: int
    calls_not_delivered: int


Record = Play | Fault | Terminal | Update | Call | Total


class Truth(msgspec.Struct, frozen=True):
    """A truth file, read."""

    play: Play
    faults: list[Fault]
    terminals: list[Terminal]
    calls: list[Call]
    total: Total
    updates: list[Update] = []


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a truth file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    encode = msgspec.json.Encoder().encode
    with temporary.open("wb") as file:
        for record in records:
            file.write(encode(record) + b"\n")
    temporary.rename(path)


def read(path: Path) -> Truth:
    """Read a truth file.

    Raises:
        TruthError: it is missing, is not one, or its end is.
    """
    decode = msgspec.json.Decoder(Record).decode
    found: list[Record] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    found.append(decode(line))
                except msgspec.DecodeError as error:
                    raise TruthError(f"{path}, line {number}: not a line of a truth file ({error})") from None
    except OSError as error:
        raise TruthError(f"{path} cannot be read: {error.strerror}") from None
    if not found or not isinstance(found[0], Play) or not isinstance(found[-1], Total):
        raise TruthError(f"{path} is not a whole truth file: the play did not come to its end")
    return Truth(
        found[0],
        [record for record in found if isinstance(record, Fault)],
        [record for record in found if isinstance(record, Terminal)],
        [record for record in found if isinstance(record, Call)],
        found[-1],
        [record for record in found if isinstance(record, Update)],
    )
