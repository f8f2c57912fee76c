"""Remote commands: what agents order terminals to do, and what became of each.

An order is a row first. `hotline.command_publisher` sends it, and what the terminal answers is stored by ingest, so an order's
state is read from what is known of it, never written down.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from psycopg.rows import class_row

from fleet.contract import COMMAND_EXPIRY_S
from fleet.database import Connection

# Hears the terminal of every order that is to be sent.
CHANNEL: Final = "vigie_command"
EXPIRY: Final = timedelta(seconds=COMMAND_EXPIRY_S)
# A terminal that was told in the last second still does it, and its answer takes a moment to be stored.
ANSWERS_WITHIN: Final = timedelta(seconds=10)


class Order(StrEnum):
    """What a terminal can be told from the console."""

    PING = "ping"
    PRINT_TEST = "print_test"
    REBOOT = "reboot"


class Fate(StrEnum):
    """What became of an order."""

    WAITING = "waiting"  # to be sent
    SENT = "sent"  # no answer yet
    DONE = "done"
    FAILED = "failed"  # the terminal says that it could not
    UNHEARD = "unheard"  # nobody listened: it is not connected
    UNANSWERED = "unanswered"
    UNSENT = "unsent"  # the broker was away, or would not have it


ON_ITS_WAY: Final = frozenset({Fate.WAITING, Fate.SENT})


@dataclass(frozen=True, slots=True)
class Command:
    """An order as it is stored, with the terminal's answer if one came (`ok` and `detail` are the terminal's)."""

    id: int
    terminal_id: str
    name: Order
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    heard: bool | None
    answered_at: datetime | None
    ok: bool | None
    detail: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", Order(self.name))


def fate_of(command: Command, *, now: datetime) -> Fate:
    """What became of an order by now; an answer counts whenever it came."""
    if command.answered_at is not None:
        return Fate.DONE if command.ok else Fate.FAILED
    if command.sent_at is None:
        return Fate.WAITING if now < command.expires_at else Fate.UNSENT
    if not command.heard:
        return Fate.UNHEARD
    return Fate.SENT if now < command.expires_at + ANSWERS_WITHIN else Fate.UNANSWERED


_SELECT = """
    SELECT c.id, c.terminal_id, c.name, c.asked_by, c.asked_at, c.expires_at, c.sent_at, c.heard,
        r.received_at AS answered_at, r.ok, r.detail
    FROM hotline.command c
    -- An answer from before the order is that of an older database's.
    LEFT JOIN fleet.command_result r ON r.terminal_id = c.terminal_id AND r.id = c.id AND r.received_at >= c.asked_at
"""


def ask(conn: Connection, *, terminal_id: str, name: Order, asked_by: str, now: datetime) -> Command:
    """Order a terminal to do something; while the same is on its way already, that order stands for this one."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))", {"key": f"command {terminal_id}"})
    for one in commands_of(conn, terminal_id=terminal_id):
        if one.name is name and fate_of(one, now=now) in ON_ITS_WAY:
            return one
    row = conn.execute(
        "INSERT INTO hotline.command (terminal_id, name, asked_by, asked_at, expires_at)"
        " VALUES (%(terminal)s, %(name)s, %(by)s, %(now)s, %(expires)s) RETURNING id",
        {"terminal": terminal_id, "name": name, "by": asked_by, "now": now, "expires": now + EXPIRY},
    ).fetchone()
    assert row is not None
    conn.execute("SELECT pg_notify(%(channel)s, %(terminal)s)", {"channel": CHANNEL, "terminal": terminal_id})
    return _select(conn, "WHERE c.id = %(id)s", {"id": row[0]})[0]


def commands_of(conn: Connection, *, terminal_id: str, limit: int = 10) -> list[Command]:
    """A terminal's last orders, newest first."""
    return _select(
        conn,
        "WHERE c.terminal_id = %(terminal)s ORDER BY c.id DESC LIMIT %(limit)s",
        {"terminal": terminal_id, "limit": limit},
    )


def next_unsent(conn: Connection, *, now: datetime) -> Command | None:
    """The oldest order that is still worth sending and that no other program is sending; locked until the transaction ends."""
    found = _select(
        conn,
        "WHERE c.sent_at IS NULL AND c.expires_at > %(now)s ORDER BY c.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED",
        {"now": now},
    )
    return found[0] if found else None


def mark_sent(conn: Connection, *, command: int, heard: bool, now: datetime) -> None:
    """Say that the broker took an order, and whether anybody listened."""
    conn.execute(
        "UPDATE hotline.command SET sent_at = %(now)s, heard = %(heard)s WHERE id = %(id)s",
        {"id": command, "heard": heard, "now": now},
    )


def give_up(conn: Connection, *, command: int, now: datetime) -> None:
    """Try an order no more: the broker would refuse it again, and it would hold up those of other terminals."""
    conn.execute("UPDATE hotline.command SET expires_at = %(now)s WHERE id = %(id)s", {"id": command, "now": now})


def _select(conn: Connection, rest: str, parameters: dict[str, object]) -> list[Command]:
    with conn.cursor(row_factory=class_row(Command)) as cursor:
        return cursor.execute(_SELECT + rest, parameters).fetchall()
