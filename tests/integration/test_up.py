"""`vigie up` and `vigie demo` as a person runs them: real engines, real programs, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_broker import Broker
from vigie.engines.layout import Layout
from vigie.engines.process import wait_until

START_S = 60.0
PARTS = ("postgres", "mosquitto", "ingest", "watch", "rollout", "web")


class Run:
    """A running `vigie` command and what it has said so far."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        own = {name: value for name, value in os.environ.items() if name not in ("VIGIE_DATABASE_URL", "VIGIE_MQTT_URL")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vigie", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**own, **(environment or {})},
            start_new_session=True,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def wait_for(self, pattern: str, timeout_s: float = START_S) -> str:
        """Wait until it has said this; the first group, or the whole match."""
        wait_until(lambda: bool(re.search(pattern, self.said)) or self.process.poll() is not None, timeout_s=timeout_s)
        found = re.search(pattern, self.said)
        assert found is not None, self.said
        return found[1] if found.re.groups else found[0]

    def pids(self) -> dict[str, int]:
        """The newest process of each part that it told of."""
        return {name: int(pid) for name, pid in re.findall(r"^(\w+) (?:re)?started \(pid (\d+)\)", self.said, flags=re.MULTILINE)}

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(60)
        self._reader.join(10)
        return status


@pytest.fixture
def up(engines: Layout) -> Iterator[Run]:
    run = Run("up", "--throw-away")
    run.wait_for(r"console +(http://\S+)")
    yield run
    if run.process.poll() is None:
        run.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def shared_up(engines: Layout) -> Iterator[Run]:
    """One house for the tests that leave it running."""
    run = Run("up", "--throw-away")
    run.wait_for(r"console +(http://\S+)")
    yield run
    assert run.end(signal.SIGTERM) == 0
    assert not any(map(_runs, run.pids().values()))


def test_up_starts_all_and_leaves_nothing_after_ctrl_c(up: Run) -> None:
    home = Path(up.wait_for(r"logs, data +(\S+)"))
    pids = up.pids()
    assert tuple(pids) == PARTS
    assert all(map(_runs, pids.values()))
    assert up.end(signal.SIGINT) == 0
    assert not any(map(_runs, pids.values()))
    assert not home.exists()
    stopped = re.findall(r"^(\w+) stopped", up.said, flags=re.MULTILINE)
    assert tuple(stopped) == tuple(reversed(PARTS))


def test_up_restarts_whatever_is_killed(shared_up: Run) -> None:
    up = shared_up
    first = up.pids()
    for name in ("ingest", "mosquitto", "postgres"):
        os.kill(first[name], signal.SIGKILL)
    for name in ("ingest", "mosquitto", "postgres"):
        up.wait_for(rf"{name} restarted", timeout_s=45)
    assert wait_until(lambda: all(map(_runs, up.pids().values())), timeout_s=60), up.said


def test_a_killed_up_takes_everything_with_it(up: Run) -> None:
    pids = up.pids()
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    assert wait_until(lambda: not any(map(_runs, pids.values())), timeout_s=30), pids


def test_a_terminal_imported_later_is_let_in(shared_up: Run, engines: Layout, tmp_path: Path) -> None:
    home, port = shared_up.wait_for(r"logs, data +(\S+)"), shared_up.wait_for(r"terminals +mqtt://127.0.0.1:(\d+)")
    beside = {**os.environ, "VIGIE_STATE_DIR": home}
    beside.pop("VIGIE_DATABASE_URL", None)
    _vigie("world", "--folder", str(tmp_path), "--terminals", "5", environment=beside)
    files = [str(tmp_path / name) for name in ("points_of_sale.csv", "terminals.csv", "passwords.csv")]
    _vigie("registry", "import", *files[:2], "--passwords", files[2], environment=beside)
    terminal, password = Path(files[2]).read_text().splitlines()[1].split(",")

    def let_in() -> bool:
        where = ("-h", "127.0.0.1", "-p", port, "-V", "5", "-u", terminal, "-P", password, "-q", "1")
        command = [str(engines.mosquitto_pub), *where, "-t", f"pmu/v1/t/{terminal}/event", "-m", "{}"]
        return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0

    assert wait_until(let_in, timeout_s=30)


def test_existing_engines_are_used_where_settings_name_them(database_url: str, broker: Broker) -> None:
    environment = {"VIGIE_DATABASE_URL": database_url, "VIGIE_MQTT_URL": broker.url("vigie-ingest")}
    run = Run("up", "--throw-away", environment=environment)
    run.wait_for(r"console +(http://\S+)")
    assert set(run.pids()) == {"ingest", "watch", "rollout", "web"}
    assert run.end(signal.SIGTERM) == 0


def test_a_demonstration_of_a_small_fleet_ends_by_itself_with_nothing_missing(engines: Layout, tmp_path: Path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text(
        'name = "small"\nseed = 3\nterminals = 200\nstart = "2026-11-26T14:00:00+01:00"\nminutes = 60\n'
        '[[fault]]\nkind = "power_cut"\nat_min = 0.2\nminutes = 5\nscope = {}\nfraction = 0.3\nexpect = "incident"\n'
    )
    run = Run("demo", "--scenario", str(scenario), "--minutes", "0.7")
    home = Path(run.wait_for(r"VIGIE_STATE_DIR=(\S+)", timeout_s=90))
    pids = run.pids()
    assert run.process.wait(150) == 0, run.said
    assert re.search(r"missing +│ +0 ", run.said)
    assert re.search(r"twice +│ +0 ", run.said)
    produced = re.search(r"produced +│ +([\d,]+) ", run.said)
    assert produced is not None
    assert int(produced[1].replace(",", "")) > 100
    assert not any(map(_runs, pids.values()))
    assert not home.exists()


def _vigie(*arguments: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "vigie", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _runs(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has buried yet does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
