"""The engines as daemons: started once, they outlive the command that started them, until `vigie engines stop`.

`vigie up` does not need this; it serves programs that run one by one, and development.
"""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.database import connect
from fleet.errors import VigieError
from fleet.migrate import migrate
from vigie.engines.accounts import write_accounts
from vigie.engines.layout import Layout, make_folder
from vigie.engines.mosquitto import Door, EmbeddedMosquitto
from vigie.engines.postgres import EmbeddedPostgres
from vigie.engines.process import EngineError, wait_until
from vigie.running import forget_environment, save_environment

PID_FILE = "engines.json"
STOP_TIMEOUT_S = 60.0
# The broker first: nothing is written any more when the database stops.
STOP_SIGNALS: Mapping[str, signal.Signals] = {"mosquitto": signal.SIGTERM, "postgres": signal.SIGINT}

Report = Callable[[str], None]


@dataclass(frozen=True)
class Daemon:
    """One engine that was started; `started` tells it from a process that took over its number."""

    name: str
    pid: int
    started: str
    port: int

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return started_at(self.pid) == self.started

    def gone(self) -> bool:
        """Whether it runs no more."""
        return not self.alive()


def start_daemons(layout: Layout, home: Path, *, database_port: int, doors: tuple[Door, Door], report: Report) -> Mapping[str, str]:
    """Start both engines, migrated and with accounts; returns the settings that programs need.

    Raises:
        VigieError: they run already, or one did not start (then neither stays).
    """
    if any(daemon.alive() for daemon in read_daemons(home)):
        raise VigieError(f"the engines run already, with data in {home}: see `vigie engines status`")
    make_folder(home)
    postgres = EmbeddedPostgres(layout, home / "postgres", port=database_port)
    broker = EmbeddedMosquitto(layout, home / "mosquitto", *doors)
    try:
        postgres.start(daemon=True)
        report(f"TimescaleDB serves on 127.0.0.1:{postgres.port}")
        migrate(postgres.url)
        with connect(postgres.url, program="engines") as conn:
            accounts = write_accounts(conn, broker)
        broker.start(daemon=True)
        report(f"Mosquitto serves terminals on {doors[0].host}:{doors[0].port}, programs on 127.0.0.1:{doors[1].port}")
        _remember(home, [_daemon("postgres", postgres.pid, postgres.port), _daemon("mosquitto", broker.pid, doors[0].port)])
    except BaseException:
        broker.stop()
        postgres.stop()
        raise
    save_environment(home, {"VIGIE_DATABASE_URL": postgres.url})
    return {name: broker.url(name, password) for name, password in accounts.passwords.items()}


def stop_daemons(home: Path, report: Report) -> None:
    """Stop what `start_daemons` started.

    Raises:
        EngineError: one did not stop in time.
    """
    daemons = {daemon.name: daemon for daemon in read_daemons(home)}
    for name, stop_signal in STOP_SIGNALS.items():
        daemon = daemons.get(name)
        if daemon is None or not daemon.alive():
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(daemon.pid, stop_signal)
        if not wait_until(daemon.gone, timeout_s=STOP_TIMEOUT_S):
            raise EngineError(f"{name} (pid {daemon.pid}) did not stop within {STOP_TIMEOUT_S:g} s")
        report(f"{name} stopped")
    if not daemons:
        report("no daemons run")
        return
    (home / PID_FILE).unlink()
    forget_environment(home)


def read_daemons(home: Path) -> list[Daemon]:
    """The engines that were started as daemons on this folder, whether they still run or not."""
    try:
        return [Daemon(**fields) for fields in json.loads((home / PID_FILE).read_text())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise VigieError(f"{home / PID_FILE} cannot be read ({error}): stop the engines by hand and remove it") from None


def started_at(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None when it does not run (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _daemon(name: str, pid: int | None, port: int) -> Daemon:
    started = None if pid is None else started_at(pid)
    if pid is None or started is None:
        raise EngineError(f"{name} ended as soon as it had started")
    return Daemon(name, pid, started, port)


def _remember(home: Path, daemons: list[Daemon]) -> None:
    temporary = home / f".{PID_FILE}"
    temporary.write_text(json.dumps([asdict(daemon) for daemon in daemons]))
    temporary.rename(home / PID_FILE)
