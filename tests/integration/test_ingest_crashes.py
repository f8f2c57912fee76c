"""Whatever dies, nothing is missing and nothing is there twice: the worker, the database, the broker, mid-batch."""

import contextlib
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from fleet.migrate import migrate
from tests.integration.ingest_house import BOOT, Database, Terminal, ingest, metrics, register, start_ingest, wait_for
from tests.running_broker import Broker
from vigie.engines.layout import Layout
from vigie.engines.postgres import FOR_TESTS, EmbeddedPostgres
from vigie.engines.process import EngineError, free_port

SAMPLES = 3_000


@pytest.fixture
def terminal(broker: Broker) -> Iterator[Terminal]:
    running = Terminal(broker)
    yield running
    running.close()


@pytest.fixture
def own_postgres(engines: Layout, engine_home: Path) -> Iterator[EmbeddedPostgres]:
    """A database server of the test's own, because the test kills it."""
    server = EmbeddedPostgres(engines, engine_home / f"postgres-{uuid.uuid4().hex[:8]}", tuning=FOR_TESTS)
    server.start()
    migrate(server.url)
    register(server.url, 20)
    yield server
    server.stop()


def stream_until_acknowledged(terminal: Terminal, disturb: Callable[[int], None]) -> None:
    """Send every sample, disturb at each third, and send again, as a terminal does, what is not acknowledged."""
    third = SAMPLES // 3
    for part in range(3):
        sender = threading.Thread(target=terminal.stream, args=(part * third + 1, (part + 1) * third))
        sender.start()
        disturb(part)
        sender.join(60)
        assert not sender.is_alive()
    wanted = {(BOOT, seq) for seq in range(1, SAMPLES + 1)}

    def settled() -> bool:
        missing = sorted(seq for _, seq in wanted - terminal.acknowledged)
        for first in range(0, len(missing), 500):
            with contextlib.suppress(RuntimeError, ValueError):
                terminal.sample(*missing[first : first + 500])
        return not missing

    wait_for(settled, timeout_s=60, pause_s=2.0, what="every ack")


def nothing_missing_nothing_twice(database: Database) -> None:
    stored = database.rows("SELECT seq, count(*) FROM fleet.sample GROUP BY seq")
    assert len(stored) == SAMPLES
    assert {times for _, times in stored} == {1}
    assert database.one("SELECT sum(samples) FROM fleet.ingest_batch") == SAMPLES
    assert database.reasons() == []


def test_killed_workers_lose_nothing(database_url: str, broker: Broker, terminal: Terminal) -> None:
    register(database_url, 20)
    workers: list[subprocess.Popen[bytes]] = [start_ingest(database_url, broker, ingest_batch=100)]

    def kill(_part: int) -> None:
        workers[-1].kill()
        assert workers[-1].wait(10) == -signal.SIGKILL
        workers.append(start_ingest(database_url, broker, ingest_batch=100))

    try:
        stream_until_acknowledged(terminal, kill)
    finally:
        workers[-1].terminate()
        workers[-1].wait(20)
    nothing_missing_nothing_twice(Database(database_url))


def test_broker_sends_again_what_a_killed_worker_had_not_committed(
    own_postgres: EmbeddedPostgres, broker: Broker, terminal: Terminal
) -> None:
    port = free_port()
    worker = start_ingest(own_postgres.url, broker, metrics_port=port)
    own_postgres.stop()
    # Once, and never again by the terminal: only the broker can bring these back.
    terminal.stream(1, 200)
    failed = "\nvigie_ingest_store_failures_total 0.0\n"
    wait_for(lambda: failed not in metrics(port), what="ingest to have tried to store them")
    worker.kill()
    worker.wait(10)
    own_postgres.start()
    database = Database(own_postgres.url)
    with ingest(own_postgres.url, broker):
        wait_for(lambda: len(database.samples()) == 200, what="the samples")
    assert terminal.acknowledged == {(BOOT, seq) for seq in range(1, 201)}


def test_killed_database_loses_nothing(own_postgres: EmbeddedPostgres, broker: Broker, terminal: Terminal) -> None:
    def kill(part: int) -> None:
        if part == 0:
            own_postgres.stop()
        elif own_postgres.pid is not None:
            psycopg.connect(own_postgres.url, autocommit=True).execute("CHECKPOINT").connection.close()
            subprocess.run(["kill", "-9", str(own_postgres.pid)], check=True)
            wait_for(lambda: not own_postgres.alive(), what="the database to end")
        wait_for(lambda: starts(own_postgres), what="the database to come back")

    with ingest(own_postgres.url, broker, ingest_batch=100):
        stream_until_acknowledged(terminal, kill)
    nothing_missing_nothing_twice(Database(own_postgres.url))


def test_restarted_broker_loses_nothing(database_url: str, broker: Broker, terminal: Terminal) -> None:
    register(database_url, 20)

    def restart(part: int) -> None:
        if part < 2 and broker.mosquitto.pid is not None:
            subprocess.run(["kill", "-9" if part else "-15", str(broker.mosquitto.pid)], check=True)
            wait_for(lambda: not broker.mosquitto.alive(), what="the broker to end")
            broker.mosquitto.start()

    with ingest(database_url, broker, ingest_batch=100):
        stream_until_acknowledged(terminal, restart)
    nothing_missing_nothing_twice(Database(database_url))


def starts(server: EmbeddedPostgres) -> bool:
    """Whether it runs again; for a moment after a kill its orphans still hold the data."""
    try:
        server.start()
    except EngineError:
        return False
    return True
