"""A small fleet lives for half a minute on real parts: what it said is in the database, once, whoever was killed meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from fleet.database import connect
from fleet.registry_csv import read_files
from fleet.registry_import import import_registry
from simulators.scenario import load
from simulators.truth import Truth, read
from simulators.world import build_world
from tests.running_broker import Broker
from vigie.truth_check import Finding, check

# At two in the afternoon in Paris: the wall clock's hour must not matter. A reboot, a power cut and an outage meet.
SCENARIO = """
name = "24 seconds"
seed = 7
terminals = 200
start = "2026-11-23T14:00:00+01:00"
minutes = 0.4

[[fault]]
kind = "network_outage"
at_min = 0.06
minutes = 0.16
scope = {}
fraction = 0.3
expect = "incident"

[[fault]]
kind = "power_cut"
at_min = 0.06
minutes = 0.16
scope = {}
fraction = 0.1
expect = "incident"
"""


@pytest.fixture
def stage(broker: Broker, database_url: str, tmp_path: Path) -> Path:
    """A folder with the scenario and its terminals' passwords; registry and broker know the terminals."""
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    scenario = load(tmp_path / "scenario.toml")
    files = read_files(*build_world(scenario.seed, scenario.terminals).write_csv(tmp_path))
    with connect(database_url, program="test") as conn:
        passwords = import_registry(conn, points_of_sale=files.points_of_sale, terminals=files.terminals).passwords
        conn.commit()
        broker.read_registry(conn, passwords)
    (tmp_path / "passwords.csv").write_text("terminal,password\n" + "".join(f"{t},{p}\n" for t, p in passwords.items()))
    return tmp_path


@contextmanager
def program(*arguments: str, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the house, which is gone at the end."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "vigie", *arguments], env={**os.environ, **settings}, stdout=out, stderr=out, cwd=log.parent
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def two_in_the_afternoon() -> str:
    return str(13 * 3600 - int(time.time()) % 86_400)


@contextmanager
def ingesting(stage: Path, broker: Broker, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        "VIGIE_DATABASE_URL": database_url,
        "VIGIE_MQTT_URL": broker.url("vigie-ingest"),
        "VIGIE_CLOCK_OFFSET_S": two_in_the_afternoon(),
        "VIGIE_INGEST_ACK_INTERVAL_S": "0.5",
    }
    with program("ingest", log=stage / "ingest.log", **settings) as process:
        yield process


@contextmanager
def playing(stage: Path, broker: Broker) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        "VIGIE_CLOCK_OFFSET_S": two_in_the_afternoon(),
        "VIGIE_SIMULATE_MQTT_URL": f"mqtt://{broker.host}:{broker.port}",
        "VIGIE_SIMULATE_PASSWORDS": str(stage / "passwords.csv"),
        "VIGIE_SIMULATE_TRUTH": str(stage / "truth.jsonl"),
        "VIGIE_SIMULATE_RESEND_S": "6",
    }
    with program("simulate", str(stage / "scenario.toml"), log=stage / "simulate.log", **settings) as process:
        yield process


def judged(stage: Path, database_url: str) -> tuple[Truth, Finding]:
    truth = read(stage / "truth.jsonl")
    with connect(database_url, program="test") as conn:
        return truth, check(conn, truth)


def stored(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM fleet.sample").fetchone()
    assert row is not None
    return int(row[0])


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.1)


def test_a_fleet_with_outages_is_stored_once_and_whole(stage: Path, broker: Broker, database_url: str) -> None:
    with ingesting(stage, broker, database_url), playing(stage, broker) as play:
        assert play.wait(120) == 0, (stage / "simulate.log").read_text()
        truth, finding = judged(stage, database_url)
        # A sample that the simulator makes missing must be found missing, or this test proves nothing.
        with connect(database_url, program="test") as conn:
            conn.execute("DELETE FROM fleet.sample WHERE ctid = (SELECT ctid FROM fleet.sample LIMIT 1)")
            assert check(conn, truth).missing == 1
    assert finding.good, (finding, (stage / "ingest.log").read_text()[-2000:])
    assert finding.produced == finding.stored > 100
    assert truth.total.left == truth.total.dropped == 0
    assert truth.total.connections > 200
    assert {fault.fault: len(fault.terminals) for fault in truth.faults} == {"network_outage": 60, "power_cut": 20}


def test_killed_ingest_and_killed_broker_lose_nothing(stage: Path, broker: Broker, database_url: str) -> None:
    with connect(database_url, program="test", autocommit=True) as conn, playing(stage, broker) as play:
        with ingesting(stage, broker, database_url) as worker:
            wait_until(lambda: stored(conn) > 50)
            worker.kill()
        assert broker.mosquitto.pid is not None
        os.kill(broker.mosquitto.pid, signal.SIGKILL)
        broker.mosquitto.stop()
        broker.mosquitto.start()
        with ingesting(stage, broker, database_url):
            assert play.wait(150) == 0, (stage / "simulate.log").read_text()
            truth, finding = judged(stage, database_url)
    assert finding.good, finding
    assert truth.total.connections_lost > 0
    assert truth.total.left == 0


def test_asked_to_stop_it_drains_says_goodbye_and_writes_the_truth(stage: Path, broker: Broker, database_url: str) -> None:
    with (
        ingesting(stage, broker, database_url),
        playing(stage, broker) as play,
        connect(database_url, program="test", autocommit=True) as conn,
    ):
        wait_until(lambda: stored(conn) > 20)
        play.send_signal(signal.SIGTERM)
        assert play.wait(60) == 0, (stage / "simulate.log").read_text()
        truth, finding = judged(stage, database_url)
        assert finding.good, finding
        assert truth.play.end_ms - truth.play.start_ms < 24_000
        wait_until(lambda: not online(conn))


def online(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM fleet.presence WHERE online").fetchone()
    assert row is not None
    return int(row[0])
