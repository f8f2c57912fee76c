"""A registry of a few shops, and batches as ingest commits them, for tests of what reads them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

Conn = psycopg.Connection[Any]


class Said(NamedTuple):
    """One sample with the fields that matter here, or (with a code) one event."""

    terminal: str
    at: datetime
    code: str = ""
    paper_pct: float | None = 60.0
    tickets: float = 1.0


def add_shops(
    conn: Conn,
    shops: int,
    *,
    terminals_each: int = 2,
    first: int = 1,
    model: str = "B",
    carrier: str = "alpha",
    firmware: str = "4.2.1",
    hours: str = "Mo-Su 07:00-20:00",
) -> list[str]:
    """Add shops of equal terminals to the registry; returns the terminals' ids."""
    codes = [f"P{number:05}" for number in range(first, first + shops)]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fleet.point_of_sale (code, name, department, region, agency, timezone, opening_hours)"
            " VALUES (%s, 'Le ' || %s, '59', '32', 'AG01', 'Europe/Paris', %s)",
            [(code, code, hours) for code in codes],
        )
        ids = [f"T{(first - 1) * terminals_each + offset:05}" for offset in range(1, shops * terminals_each + 1)]
        cursor.executemany(
            "INSERT INTO fleet.terminal (id, point_of_sale, model, hw, firmware, access, carrier, lot, password_hash)"
            " VALUES (%s, %s, %s, '1', %s, '4g', %s, 'L01', 'x')",
            [(terminal, codes[row // terminals_each], model, firmware, carrier) for row, terminal in enumerate(ids)],
        )
    return ids


def ingest(conn: Conn, said: Sequence[Said], *, received_at: datetime) -> None:
    """What one ingest transaction stores; commits nothing."""
    samples = [one for one in said if not one.code]
    events = [one for one in said if one.code]
    batch = conn.execute("SELECT fleet.open_batch()").fetchone()
    assert batch is not None
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fleet.sample (at, received_at, boot, seq, terminal_id, paper_pct, tickets, disk_mb, board_c, head_c,"
            " clock_ms) VALUES (%s, %s, 1, %s, %s, %s, %s, 5000, 45, 35, 20)",
            [(one.at, received_at, row, one.terminal, one.paper_pct, one.tickets) for row, one in enumerate(samples)],
        )
        cursor.executemany(
            "INSERT INTO fleet.event (at, received_at, boot, seq, terminal_id, code, detail) VALUES (%s, %s, 1, %s, %s, %s, '')",
            [(one.at, received_at, len(samples) + row, one.terminal, one.code) for row, one in enumerate(events)],
        )
    at = [one.at for one in said]
    conn.execute(
        "INSERT INTO fleet.ingest_batch"
        " (id, xid, worker, received_at, messages, samples, events, repeats, dead_letters, at_min, at_max)"
        " VALUES (%s, pg_current_xact_id(), 'test', %s, %s, %s, %s, 0, 0, %s, %s)",
        (batch[0], received_at, len(said), len(samples), len(events), min(at, default=None), max(at, default=None)),
    )


def set_presence(
    conn: Conn, terminals: Iterable[str], *, online: bool, at: datetime, session: int = 1, firmware: str = "4.2.1"
) -> None:
    """What ingest knows of these terminals' connections."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fleet.presence (terminal_id, online, session, changed_at, boot, at, firmware, slot, model, hw)"
            " VALUES (%(id)s, %(online)s, %(session)s, %(at)s, 1, %(at)s, %(firmware)s, 'A', 'B', '1')"
            " ON CONFLICT (terminal_id) DO UPDATE SET online = excluded.online, session = excluded.session,"
            " changed_at = excluded.changed_at, at = excluded.at, firmware = excluded.firmware",
            [{"id": t, "online": online, "session": session, "at": at, "firmware": firmware} for t in terminals],
        )
