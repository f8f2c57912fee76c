"""Who is connected: births and wills become the current state of each terminal, and each change a row of history.

A terminal numbers its connections (`session`). Its will may arrive after its next birth, since the broker notices a lost
connection late: an offline counts only for the session that is current. Births are retained, so they come again whenever
a worker subscribes anew: a repeated one is no change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from psycopg.rows import class_row

from fleet.clock import from_ms
from fleet.contract import Presence
from fleet.database import Connection

# Birth times beyond year 9999 cannot be stored: such a clock says nothing.
_LATEST_MS = 253_402_300_799_000


class Outcome(StrEnum):
    """What a presence message means for its terminal."""

    CAME_ONLINE = "came_online"
    WENT_OFFLINE = "went_offline"
    REPEATED = "repeated"
    OTHER_SESSION = "other_session"


@dataclass(frozen=True, slots=True)
class State:
    """A terminal's presence, as `fleet.presence` holds it; `at` is the terminal's time of birth, `changed_at` ours."""

    terminal_id: str
    online: bool
    session: int
    changed_at: datetime
    boot: int | None = None
    at: datetime | None = None
    firmware: str | None = None
    slot: str | None = None
    model: str | None = None
    hw: str | None = None


class Change(NamedTuple):
    """One row of history."""

    terminal_id: str
    changed_at: datetime
    online: bool
    session: int


def decide(current: State | None, said: Presence) -> Outcome:
    """Say what a birth or a will means, given the terminal's state."""
    same_session = current is not None and current.session == said.session
    if said.state == "offline":
        if current is not None and not same_session:
            # The will of a connection that another has replaced.
            return Outcome.OTHER_SESSION
        return Outcome.REPEATED if current is not None and not current.online else Outcome.WENT_OFFLINE
    if current is None or not same_session:
        return Outcome.CAME_ONLINE
    # After an offline the same birth, word for word, is an old one sent again; with another time it is a new connection.
    same_birth = (current.boot, current.at) == (said.boot, _time(said.at))
    return Outcome.REPEATED if current.online or same_birth else Outcome.CAME_ONLINE


def fold(
    current: Mapping[str, State], said: Iterable[tuple[str, Presence]], *, received_at: datetime
) -> tuple[dict[str, State], list[Change]]:
    """Apply messages in their order; returns the states that changed and the history of changes."""
    changed: dict[str, State] = {}
    history: list[Change] = []
    for terminal, message in said:
        before = changed.get(terminal) or current.get(terminal)
        outcome = decide(before, message)
        if outcome is Outcome.CAME_ONLINE:
            changed[terminal] = _born(terminal, message, received_at)
        elif outcome is Outcome.WENT_OFFLINE:
            known = before or State(terminal, False, message.session, received_at)
            changed[terminal] = replace(known, online=False, changed_at=received_at)
        else:
            continue
        history.append(Change(terminal, received_at, outcome is Outcome.CAME_ONLINE, message.session))
    return changed, history


def load(conn: Connection, terminals: Iterable[str], *, lock: bool = False) -> dict[str, State]:
    """The states of these terminals that have one; `lock` holds them until the transaction ends."""
    with conn.cursor(row_factory=class_row(State)) as cursor:
        rows = cursor.execute(
            "SELECT terminal_id, online, session, changed_at, boot, at, firmware, slot, model, hw FROM fleet.presence"
            # In order of id, so that two workers cannot wait for each other.
            f" WHERE terminal_id = ANY(%(terminals)s) ORDER BY terminal_id{' FOR UPDATE' if lock else ''}",
            {"terminals": list(terminals)},
        ).fetchall()
    return {row.terminal_id: row for row in rows}


def store(conn: Connection, said: list[tuple[str, Presence]], *, received_at: datetime) -> int:
    """Store births and wills in their order of arrival; returns the number of changes.

    Several workers may store the same messages: the first makes the change, for the others it is none.
    """
    terminals = sorted({terminal for terminal, _ in said})
    # A terminal's first message has no row to lock yet; this lock is held for a few milliseconds.
    conn.execute("SELECT pg_advisory_xact_lock(7350419002)")
    states, history = fold(load(conn, terminals, lock=True), said, received_at=received_at)
    if not history:
        return 0
    rows = [states[terminal] for terminal in sorted(states)]
    conn.execute(
        """
        INSERT INTO fleet.presence (terminal_id, online, session, changed_at, boot, at, firmware, slot, model, hw)
        SELECT * FROM unnest(%(terminals)s::text[], %(online)s::bool[], %(sessions)s::bigint[], %(changed)s::timestamptz[],
            %(boots)s::bigint[], %(at)s::timestamptz[], %(firmware)s::text[], %(slots)s::text[], %(models)s::text[], %(hw)s::text[])
        ON CONFLICT (terminal_id) DO UPDATE SET online = excluded.online, session = excluded.session,
            changed_at = excluded.changed_at, boot = excluded.boot, at = excluded.at, firmware = excluded.firmware,
            slot = excluded.slot, model = excluded.model, hw = excluded.hw
        """,
        {
            "terminals": [row.terminal_id for row in rows],
            "online": [row.online for row in rows],
            "sessions": [row.session for row in rows],
            "changed": [row.changed_at for row in rows],
            "boots": [row.boot for row in rows],
            "at": [row.at for row in rows],
            "firmware": [row.firmware for row in rows],
            "slots": [row.slot for row in rows],
            "models": [row.model for row in rows],
            "hw": [row.hw for row in rows],
        },
    )
    conn.execute(
        "INSERT INTO fleet.presence_change (terminal_id, changed_at, online, session)"
        " SELECT * FROM unnest(%(terminals)s::text[], %(changed)s::timestamptz[], %(online)s::bool[], %(sessions)s::bigint[])"
        " ON CONFLICT DO NOTHING",
        {
            "terminals": [change.terminal_id for change in history],
            "changed": [change.changed_at for change in history],
            "online": [change.online for change in history],
            "sessions": [change.session for change in history],
        },
    )
    return len(history)


def changes_between(
    conn: Connection, *, terminal_id: str, start: datetime, end: datetime, limit: int
) -> list[tuple[datetime, bool]]:
    """When the terminal connected (True) and was lost (False), newest first."""
    return conn.execute(
        "SELECT changed_at, online FROM fleet.presence_change"
        " WHERE terminal_id = %(terminal_id)s AND changed_at >= %(start)s AND changed_at < %(end)s"
        " ORDER BY changed_at DESC, session DESC LIMIT %(limit)s",
        {"terminal_id": terminal_id, "start": start, "end": end, "limit": limit},
    ).fetchall()


def _born(terminal: str, said: Presence, received_at: datetime) -> State:
    words = (said.firmware, said.slot, said.model, said.hw)
    firmware, slot, model, hw = (word and word.replace("\0", "\N{REPLACEMENT CHARACTER}") for word in words)
    return State(terminal, True, said.session, received_at, said.boot, _time(said.at), firmware, slot, model, hw)


def _time(ms: int | None) -> datetime | None:
    return from_ms(ms) if ms is not None and ms <= _LATEST_MS else None
