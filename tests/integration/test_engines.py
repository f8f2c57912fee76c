"""The embedded engines serve, restart on their data, refuse strangers, and never outlive who runs them."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from fleet.settings import read
from tests.running_broker import Broker
from vigie.engines.apt import AptError
from vigie.engines.certificates import make_certificates
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings, EnginesMissingError, Layout, find_layout
from vigie.engines.mosquitto import Door, EmbeddedMosquitto
from vigie.engines.postgres import FOR_TESTS, EmbeddedPostgres
from vigie.engines.process import EngineError, free_port, wait_until


@pytest.fixture
def home(engine_home: Path) -> Path:
    """A folder of this test's own that engines reach."""
    folder = Path(tempfile.mkdtemp(dir=engine_home))
    folder.chmod(0o755)
    return folder


def test_a_cloned_database_is_migrated_and_takes_commits(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        tables = conn.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname IN ('fleet', 'diagnostics', 'firmware_rollout', 'hotline')"
        ).fetchone()
        conn.execute("CREATE TABLE fleet.scratch (v int)")
        conn.commit()
    assert tables is not None
    assert tables[0] > 10


def test_a_rolled_back_connection_knows_hypertables(conn: Connection) -> None:
    found = conn.execute("SELECT count(*) FROM timescaledb_information.hypertables").fetchone()
    assert found is not None
    assert found[0] >= 3


def test_times_of_paris_are_known(conn: Connection) -> None:
    found = conn.execute("SELECT timestamptz '2026-07-14T12:00:00Z' AT TIME ZONE 'Europe/Paris'").fetchone()
    assert found is not None
    assert found[0].hour == 14


def test_data_survives_a_killed_server(engines: Layout, home: Path) -> None:
    server = EmbeddedPostgres(engines, home / "postgres", tuning=FOR_TESTS)
    server.start()
    with psycopg.connect(server.url) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    _kill(server.pid)
    assert wait_until(lambda: not server.alive(), timeout_s=10)

    def restarted() -> bool:
        try:
            server.start()
        except EngineError:
            # The old server's children hold its memory for a moment.
            return False
        return True

    assert wait_until(restarted, timeout_s=30)
    with psycopg.connect(server.url) as conn:
        assert conn.execute("SELECT answer FROM kept").fetchone() == (42,)
    server.stop()


def test_an_engine_refuses_a_port_in_use(engines: Layout, postgres: EmbeddedPostgres, home: Path) -> None:
    with pytest.raises(EngineError, match=f"port {postgres.port} .* in use"):
        EmbeddedPostgres(engines, home / "postgres", port=postgres.port).start()


def test_a_terminal_with_its_password_publishes_and_a_stranger_does_not(engines: Layout, broker: Broker) -> None:
    assert _publish(engines, broker, "T00001", broker.terminal_passwords["T00001"]) == 0
    assert _publish(engines, broker, "T00001", "wrong") != 0
    assert _publish(engines, broker, "T99999", broker.terminal_passwords["T00001"]) != 0


def test_new_accounts_are_known_after_a_reload(engines: Layout, broker: Broker) -> None:
    broker.set_terminals(["T04242"])
    assert wait_until(lambda: _publish(engines, broker, "T04242", broker.terminal_passwords["T04242"]) == 0, timeout_s=10)


def test_terminals_connect_by_tls_where_it_is_set(engines: Layout, home: Path, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    running = Broker(EmbeddedMosquitto(engines, home, terminals=Door(free_port(), tls=certificates)))
    running.set_terminals(["T00001"])
    running.mosquitto.start()
    try:
        password = running.terminal_passwords["T00001"]
        assert _publish(engines, running, "T00001", password, "--cafile", str(certificates.ca)) == 0
        assert _publish(engines, running, "T00001", password) != 0
    finally:
        running.mosquitto.stop()


def test_engines_die_with_a_killed_parent(home: Path) -> None:
    script = f"""
import time
from pathlib import Path
from fleet.settings import read
from tests.running_broker import Broker
from vigie.engines.layout import EngineSettings, find_layout
from vigie.engines.mosquitto import EmbeddedMosquitto
from vigie.engines.postgres import FOR_TESTS, EmbeddedPostgres

layout = find_layout(read(EngineSettings))
database = EmbeddedPostgres(layout, Path({str(home)!r}) / "postgres", tuning=FOR_TESTS)
database.start()
broker = Broker(EmbeddedMosquitto(layout, Path({str(home)!r}) / "mosquitto"))
broker.set_terminals(["T00001"])
broker.mosquitto.start()
print(database.pid, broker.mosquitto.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    assert wait_until(lambda: not any(map(_runs, pids)), timeout_s=15)


def test_engines_that_are_there_are_not_fetched_again(engines: Layout) -> None:
    said: list[str] = []
    assert fetch_engines(read(EngineSettings, debian_mirror="file:///nowhere"), said.append) == engines
    assert said == []


def test_a_failed_download_leaves_nothing_half_made(tmp_path: Path) -> None:
    settings = read(EngineSettings, cache_dir=tmp_path, debian_mirror=f"file://{tmp_path}/nowhere", engines_from="private")
    with pytest.raises(AptError, match="update failed"):
        fetch_engines(settings, lambda _line: None)
    assert [path.name for path in (tmp_path / "engines").iterdir()] == [".lock"]
    with pytest.raises(EnginesMissingError):
        find_layout(settings)


def test_left_overs_of_a_killed_fetch_are_removed(tmp_path: Path) -> None:
    (tmp_path / "engines/.unpacking-dead/root").mkdir(parents=True)
    settings = read(EngineSettings, cache_dir=tmp_path, debian_mirror=f"file://{tmp_path}/nowhere", engines_from="private")
    with pytest.raises(AptError):
        fetch_engines(settings, lambda _line: None)
    assert not (tmp_path / "engines/.unpacking-dead").exists()


def _publish(engines: Layout, broker: Broker, terminal: str, password: str, *options: str) -> int:
    topic = f"pmu/v1/t/{terminal}/event"
    where = ("-h", broker.host, "-p", str(broker.port), "-V", "5", "-q", "1")
    who = ("-u", terminal, "-P", password)
    command = [str(engines.mosquitto_pub), *where, *who, *options, "-t", topic, "-m", "{}"]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode


def _kill(pid: int) -> None:
    subprocess.run(["kill", f"-{int(signal.SIGKILL)}", str(pid)], check=True)


def _runs(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has buried yet does not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "\nState:\tZ" not in status.read_text()
