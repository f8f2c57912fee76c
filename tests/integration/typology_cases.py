"""Incidents, symptoms, events and notes as the watch and the hotline leave them, for tests of what sorts them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

Conn = psycopg.Connection[Any]


def add_incident(
    conn: Conn,
    *,
    trouble: str | None,
    scope: Mapping[str, str],
    terminals: Sequence[str],
    at: datetime,
    z: Mapping[str, float] | None = None,
    closed_at: datetime | None = None,
    title: str = "",
) -> int:
    """An incident that the watch found at `at`, with the metrics that led; returns its id."""
    leading = [{"metric": name, "inside": value, "outside": 0.0} for name, value in (z or {}).items()]
    row = conn.execute(
        "INSERT INTO diagnostics.incident"
        " (state, scope, title, opened_at, began_at, closed_at, trouble, evidence, hits, worst_hits)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        [
            "closed" if closed_at else "open",
            Jsonb(dict(scope)),
            title,
            at,
            at - timedelta(minutes=1),
            closed_at,
            trouble,
            Jsonb({} if z is None else {"leading": leading}),
            len(terminals),
            len(terminals),
        ],
    ).fetchone()
    assert row is not None
    conn.cursor().executemany(
        "INSERT INTO diagnostics.incident_terminal (incident_id, terminal_id, joined_at, hit_at) VALUES (%s, %s, %s, %s)",
        [(row[0], terminal, at, at) for terminal in terminals],
    )
    return int(row[0])


def add_symptom(conn: Conn, *, terminal: str, trouble: str, at: datetime) -> int:
    """A symptom of one terminal that lasts; returns its id."""
    row = conn.execute(
        "INSERT INTO diagnostics.symptom (terminal_id, trouble, began_at, found_at, value, p) VALUES (%s, %s, %s, %s, NULL, 0.001)"
        " RETURNING id",
        [terminal, trouble, at, at],
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_events(conn: Conn, *, terminals: Sequence[str], code: str, at: datetime) -> None:
    """One event of each terminal."""
    conn.cursor().executemany(
        "INSERT INTO fleet.event (at, received_at, boot, seq, terminal_id, code, detail) VALUES (%s, %s, 1, %s, %s, %s, '')",
        [(at, at, abs(hash(code)) % 10_000, terminal, code) for terminal in terminals],
    )


def add_note(conn: Conn, *, call: int, text: str, at: datetime, terminals: Sequence[str]) -> None:
    """What an agent wrote of a call, as the hotline passes it on."""
    conn.cursor().executemany(
        "INSERT INTO fleet.signal (at, terminal_id, kind, ref, detail) VALUES (%s, %s, 'note', %s, %s)",
        [(at, terminal, str(call), text) for terminal in terminals],
    )
