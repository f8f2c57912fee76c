"""`vigie status` against a database with known contents."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from typer.testing import CliRunner

from fleet.status import read_status
from vigie.cli import app

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Conn = psycopg.Connection[Any]


def fill(conn: Conn, now: datetime) -> None:
    """Two terminals, one online; three batches, one of them old; dead letters of two reasons."""
    conn.execute("INSERT INTO fleet.point_of_sale VALUES ('P1', 'Bar', '59', '32', 'AG01', 'Europe/Paris', '24/7')")
    for n in (1, 2):
        conn.execute("INSERT INTO fleet.terminal VALUES (%s, 'P1', 'B', '2', '4.2.1', 'fibre', 'alpha', 'L09', '')", (f"T0000{n}",))
        conn.execute(
            "INSERT INTO fleet.presence (terminal_id, online, session, changed_at) VALUES (%s, %s, 1, %s)",
            (f"T0000{n}", n == 1, now),
        )
    for id_, seconds, samples in ((1, 300, 5000), (2, 20, 90), (3, 2, 30)):
        received = now - timedelta(seconds=seconds)
        conn.execute(
            "INSERT INTO fleet.ingest_batch VALUES (%s, '1', 'w1', %s, 12, %s, 6, 0, 0, %s, %s)",
            (id_, received, samples, received, received - timedelta(seconds=1)),
        )
    for n, (reason, minutes) in enumerate((("json", 5), ("json", 300), ("clock", 90), ("clock", 3000))):
        at = now - timedelta(minutes=minutes)
        conn.execute(
            "INSERT INTO fleet.dead_letter (digest, received_at, last_at, topic, reason, detail, payload)"
            " VALUES (%s, %s, %s, %s, %s, %s, '')",
            (bytes([n]), at, at, "pmu/v1/t/T00001/telemetry", reason, f"[red]{minutes}\x1b"),
        )


def test_the_status_tells_rates_lag_presence_and_dead_letters(conn: Conn) -> None:
    fill(conn, NOW)
    status = read_status(conn, now=NOW)
    assert (status.ingest.samples_per_s, status.ingest.messages_per_s, status.ingest.workers) == (2.0, 0.4, ["w1"])
    assert (status.ingest.newest_batch_age_s, status.ingest.newest_sample_age_s) == (2.0, 3.0)
    assert (status.registered, status.online) == (2, 1)
    assert [(d.reason, d.last_hour, d.last_day, d.newest_detail[5:-1]) for d in status.dead_letters] == [
        ("json", 1, 2, "5"),
        ("clock", 0, 1, "90"),
    ]
    assert set(status.table_bytes) == {"sample", "sample_5min", "event", "signal"}
    assert status.database_bytes > 1_000_000


def test_an_empty_house_has_a_status_too(conn: Conn) -> None:
    status = read_status(conn, now=NOW)
    assert (status.ingest.newest_batch_age_s, status.ingest.workers, status.dead_letters, status.registered) == (None, [], [], 0)


def test_the_command_prints_tables_or_json(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        fill(conn, datetime.now(UTC))
    env = {"VIGIE_DATABASE_URL": database_url, "COLUMNS": "160"}
    tables = CliRunner().invoke(app, ["status"], env=env).output
    assert "1 of 2 terminals" in tables
    assert "2.0 samples/s" in tables
    assert "\x1b" not in tables.split("what is wrong")[1]
    assert "[red]5·" in tables
    document = json.loads(CliRunner().invoke(app, ["status", "--json"], env=env).output)
    assert document["online"] == 1
    assert document["dead_letters"][0]["reason"] == "json"
    assert sum(document["health"].values()) == 2
