"""The 5-minute roll-up against the samples it is made of: late data, repeats, and batches that commit meanwhile."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from fleet import maintenance, rollup
from fleet.contract import SAMPLE_FIELDS
from fleet.retention import compress_where_possible, forget
from fleet.settings import RetentionSettings, read

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DUE = NOON + rollup.BUCKET + rollup.GRACE
Conn = psycopg.Connection[Any]


def store(
    conn: Conn,
    terminal: str,
    at: datetime,
    *,
    seq: int = 1,
    received_at: datetime | None = None,
    late: bool = False,
    **values: float,
) -> None:
    """What an ingest transaction does for one sample."""
    columns = ", ".join(values)
    conn.execute(
        f"INSERT INTO fleet.sample (at, received_at, boot, seq, terminal_id, {columns})"
        f" VALUES (%s, %s, 1, %s, %s, {', '.join(['%s'] * len(values))})",
        (at, received_at or at, seq, terminal, *values.values()),
    )
    bucket = datetime.fromtimestamp(at.timestamp() // 300 * 300, UTC)
    conn.execute("INSERT INTO fleet.rollup_due VALUES (%s, %s)", (bucket, terminal if late else None))


def roll_up(conn: Conn, now: datetime = DUE) -> int:
    rows = 0
    while True:
        done = rollup.step(conn, now=now)
        rows += done.rows
        if not done.more:
            return rows


def buckets(conn: Conn) -> dict[tuple[str, datetime], dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SELECT * FROM fleet.sample_5min")
        return {(row["terminal_id"], row["bucket"].astimezone(UTC)): row for row in cursor}


def test_a_bucket_sums_counters_averages_gauges_and_keeps_the_longest_uptime(conn: Conn) -> None:
    for i in range(10):
        store(conn, "T00001", NOON + timedelta(seconds=30 * i), seq=i + 1, tickets=2.0, rtt_ms=40.0 + i, uptime_s=30.0 * i)
    store(conn, "T00001", NOON + timedelta(minutes=5), seq=11, tickets=100.0)

    assert roll_up(conn) == 1

    row = buckets(conn)["T00001", NOON]
    assert (row["samples"], row["tickets"], row["rtt_ms"], row["uptime_s"]) == (10, 20.0, 44.5, 270.0)
    assert row["paper_pct"] is None


def test_a_bucket_waits_for_its_end_and_the_grace(conn: Conn) -> None:
    store(conn, "T00001", NOON, tickets=1.0)
    assert roll_up(conn, DUE - timedelta(seconds=1)) == 0
    assert rollup.backlog(conn, now=DUE) == 1
    assert roll_up(conn, DUE) == 1
    assert rollup.backlog(conn, now=DUE) == 0


def test_hours_late_samples_change_the_stored_bucket(conn: Conn) -> None:
    store(conn, "T00001", NOON, tickets=1.0)
    store(conn, "T00002", NOON, tickets=5.0)
    roll_up(conn)
    later = NOON + timedelta(hours=9)
    for i in range(1, 4):
        store(conn, "T00001", NOON + timedelta(seconds=30 * i), seq=i + 1, received_at=later, late=True, tickets=1.0)
    store(conn, "T00003", NOON - timedelta(days=5), received_at=later, late=True, tickets=7.0)

    assert roll_up(conn, later) == 2

    stored = buckets(conn)
    assert (stored["T00001", NOON]["samples"], stored["T00001", NOON]["tickets"]) == (4, 4.0)
    assert stored["T00002", NOON]["tickets"] == 5.0
    assert stored["T00003", NOON - timedelta(days=5)]["tickets"] == 7.0


def test_rolling_up_again_changes_nothing(conn: Conn) -> None:
    store(conn, "T00001", NOON, tickets=1.0)
    roll_up(conn)
    before = buckets(conn)
    conn.execute("INSERT INTO fleet.rollup_due VALUES (%s, NULL), (%s, 'T00001'), (%s, 'T00009')", (NOON, NOON, NOON))
    assert roll_up(conn) == 1
    assert buckets(conn) == before


def test_many_late_terminals_are_recomputed_as_a_whole(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "WHOLE_FROM", 3)
    for i in range(1, 4):
        store(conn, f"T0000{i}", NOON, late=True, received_at=NOON + timedelta(hours=2), tickets=float(i))
    done = rollup.step(conn, now=NOON + timedelta(hours=3))
    assert (done.rows, done.more) == (3, False)


def test_a_week_of_late_marks_equals_a_recomputation(conn: Conn) -> None:
    received = NOON + timedelta(days=7)
    for i in range(200):
        at = NOON + timedelta(minutes=47 * i)
        store(conn, f"T0000{i % 3}", at, seq=i, received_at=received, late=True, tickets=1.0, rtt_ms=float(i))
    roll_up(conn, received)
    assert conn.execute("SELECT count(*) FROM fleet.rollup_due").fetchone() == (0,)
    difference = conn.execute(
        """
        WITH fresh AS (
            SELECT time_bucket('5 min', at) AS bucket, terminal_id, count(*) AS samples, sum(tickets)::real AS tickets,
                avg(rtt_ms)::real AS rtt_ms
            FROM fleet.sample GROUP BY 1, 2
        )
        SELECT count(*) FILTER (WHERE (f.samples, f.tickets, f.rtt_ms) IS DISTINCT FROM (s.samples, s.tickets, s.rtt_ms)), count(*)
        FROM fresh f FULL JOIN fleet.sample_5min s USING (bucket, terminal_id)
        """
    ).fetchone()
    assert difference == (0, 200)


@pytest.mark.parametrize("late", [False, True], ids=["current", "late"])
def test_a_batch_that_commits_during_the_roll_up_is_not_lost(database_url: str, late: bool) -> None:
    """Open a batch first, let the roll-up run to just before its commit, commit the batch, and only then the roll-up."""
    with psycopg.connect(database_url) as batch, psycopg.connect(database_url) as worker:
        store(worker, "T00001", NOON, seq=1, tickets=1.0, late=late)
        worker.commit()
        store(batch, "T00001", NOON + timedelta(seconds=30), seq=2, tickets=1.0, late=late)
        roll_up(worker)
        batch.commit()
        worker.commit()
        roll_up(worker)
        worker.commit()
        assert buckets(worker)["T00001", NOON]["tickets"] == 2.0


def test_housekeeping_under_concurrent_batches_ends_with_the_truth(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two houses keep order while four writers commit; what is stored at the end is what a recomputation gives."""
    monkeypatch.setattr(maintenance, "ROLLUP_EVERY_S", 0.01)
    houses = [
        maintenance.Maintenance(database_url, clock=lambda: NOON + timedelta(hours=1), settings=read(RetentionSettings))
        for _ in range(2)
    ]

    def write(first: int) -> None:
        with psycopg.connect(database_url) as conn:
            for i in range(40):
                at = NOON + timedelta(seconds=37 * i)
                store(conn, f"T0000{first}", at, seq=i, tickets=1.0, late=i % 2 == 0)
                conn.commit()

    with psycopg.connect(database_url) as conn:
        store(conn, "T00009", NOON, tickets=1.0)
    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for house in houses:
        house.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    try:
        with psycopg.connect(database_url, autocommit=True) as conn:
            wait_until(lambda: conn.execute("SELECT count(*) FROM fleet.rollup_due").fetchone() == (0,))
            assert sum(row["tickets"] for row in buckets(conn).values()) == 161.0
            locks = conn.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchone()
            assert locks == (1,)
    finally:
        for house in houses:
            house.stop()


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.1)


def test_retention_drops_what_is_past_its_time_and_nothing_else(conn: Conn) -> None:
    settings = read(RetentionSettings, keep_samples_days=8, keep_rollup_days=30)
    for days in (1, 7, 20, 50):
        at = NOON - timedelta(days=days)
        store(conn, "T00001", at, tickets=1.0)
        conn.execute("INSERT INTO fleet.event VALUES (%s, %s, 1, 1, 'T00001', 'OPEN', '')", (at, at))
        conn.execute("INSERT INTO fleet.presence_change VALUES ('T00001', %s, true, 1)", (at,))
        conn.execute("INSERT INTO fleet.sample_5min (bucket, terminal_id, samples) VALUES (%s, 'T00001', 1)", (at,))
    gone = forget(conn, settings=settings, now=NOON)
    counts = [
        conn.execute(f"SELECT count(*) FROM fleet.{table}").fetchone()
        for table in ("sample", "event", "presence_change", "rollup_due", "sample_5min")
    ]
    assert counts == [(2,), (2,), (2,), (2,), (3,)]
    assert gone.chunks > 0
    assert gone.rows == 4
    assert forget(conn, settings=settings, now=NOON).rows == 0


def test_the_apache_edition_goes_without_compression(conn: Conn) -> None:
    edition = conn.execute("SELECT current_setting('timescaledb.license')").fetchone()
    assert compress_where_possible(conn) is (edition == ("timescale",))
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_every_field_of_the_contract_has_its_aggregate_and_its_column(conn: Conn) -> None:
    columns = conn.execute(
        "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = ('fleet', 'sample_5min')"
    ).fetchall()
    assert set(rollup.AGGREGATES) == set(SAMPLE_FIELDS) == {name for (name,) in columns} - {"bucket", "terminal_id", "samples"}
