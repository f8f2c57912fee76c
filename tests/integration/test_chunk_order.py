"""Closed hours of samples are put in the order of terminals, open ones are left alone."""

from datetime import UTC, datetime, timedelta

import psycopg

from fleet import chunk_order

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_closed_hour_is_ordered_once_and_keeps_every_sample(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        fill(conn, NOON - timedelta(hours=1), NOON + timedelta(minutes=20))
        before = conn.execute("SELECT * FROM fleet.sample ORDER BY terminal_id, at").fetchall()
        pages_before = pages(conn)

        assert not chunk_order.step(conn, now=NOON + timedelta(minutes=5)), "the hour may still fill"
        assert chunk_order.step(conn, now=NOON + timedelta(minutes=15))
        assert not chunk_order.step(conn, now=NOON + timedelta(minutes=20)), "once is enough"

        assert conn.execute("SELECT * FROM fleet.sample ORDER BY terminal_id, at").fetchall() == before
        assert pages(conn) <= pages_before / 5


def test_a_chunk_in_use_waits_for_another_time(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn, psycopg.connect(database_url) as reader:
        fill(conn, NOON - timedelta(hours=1), NOON)
        reader.execute("SELECT count(*) FROM fleet.sample")
        assert not chunk_order.step(conn, now=NOON + timedelta(hours=1))
        reader.rollback()
        assert chunk_order.step(conn, now=NOON + timedelta(hours=1))


def fill(conn: psycopg.Connection, start: datetime, end: datetime) -> None:
    """A sample of each of 200 terminals every 30 s, in the order of time."""
    conn.execute(
        """
        INSERT INTO fleet.sample (at, received_at, boot, seq, terminal_id, paper_pct)
        SELECT at, at, 1, 1, 'T' || lpad(n::text, 5, '0'), n
        FROM generate_series(%(start)s::timestamptz, %(end)s - interval '1 second', interval '30 seconds') at,
             generate_series(1, 200) n
        ORDER BY at, n
        """,
        {"start": start, "end": end},
    )


def pages(conn: psycopg.Connection) -> int:
    """How many pages one terminal's rows of the closed hour lie in."""
    row = conn.execute(
        "SELECT count(DISTINCT (ctid::text::point)[0]) FROM fleet.sample WHERE terminal_id = 'T00077' AND at < %(noon)s",
        {"noon": NOON},
    ).fetchone()
    assert row is not None
    return int(row[0])
