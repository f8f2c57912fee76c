"""One terminal's firmware history: what it was asked, what it answered, and how it moved through its campaigns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from firmware_rollout.attempts import Asked, Moved, asked_of, moves_of
from fleet.database import Connection

ASKED_SHOWN: Final = 20
MOVES_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class TerminalFirmware:
    """Both newest first."""

    asked: Sequence[Asked]
    moves: Sequence[Moved]


def read_firmware(conn: Connection, terminal_id: str) -> TerminalFirmware:
    """The newest of a terminal's firmware history."""
    return TerminalFirmware(asked_of(conn, terminal_id, limit=ASKED_SHOWN), list(moves_of(conn, terminal_id, limit=MOVES_SHOWN)))
