"""Throw-away engines for benchmarks: a durable TimescaleDB with a registry, and a broker with an account for the load."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.processes import descendants
from fleet.broker_access import SERVICE_RULES, acl_file, hash_service_password, new_password, password_file
from fleet.contract import ROOT
from fleet.database import connect
from fleet.migrate import migrate
from fleet.settings import read
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings, Layout
from vigie.engines.mosquitto import EmbeddedMosquitto
from vigie.engines.postgres import EmbeddedPostgres

LOAD_USER = "benchmark"
_INGEST = "import logging; logging.basicConfig(level='INFO'); from vigie.commands.programs import ingest; ingest()"


@dataclass
class Machine:
    """Running engines and their addresses."""

    home: Path
    layout: Layout
    postgres: EmbeddedPostgres
    mosquitto: EmbeddedMosquitto
    passwords: Mapping[str, str]

    def mqtt(self, user: str) -> str:
        """The broker's address with an account's password."""
        return self.mosquitto.url(user, self.passwords[user])

    def ingest_environment(self) -> dict[str, str]:
        """The environment of a `vigie ingest` on these engines."""
        return {
            **os.environ,
            "VIGIE_DATABASE_URL": self.postgres.url,
            "VIGIE_MQTT_URL": self.mqtt("vigie-ingest"),
            "VIGIE_METRICS_PORT": "0",
        }

    def parts(self, ingest: int) -> dict[str, list[int]]:
        """The processes of each part at work, by name."""
        postgres, mosquitto = self.postgres.pid or 0, self.mosquitto.pid or 0
        return {"ingest": [ingest], "mosquitto": [mosquitto], "postgres": [postgres, *descendants(postgres)]}

    def ingest_log(self) -> str:
        """What the ingest that was started last has said."""
        log = self.home / "ingest.log"
        return log.read_text() if log.exists() else ""

    @contextlib.contextmanager
    def ingest(self, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """A `vigie ingest` process that is stopped at the end."""
        with (self.home / "ingest.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _INGEST],
                env=self.ingest_environment() | settings,
                stderr=log,
                stdout=log,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def machine(*, terminals: int) -> Iterator[Machine]:
    """Start engines with a registry of so many terminals; everything is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="vigie-bench-"))
    home.chmod(0o755)
    layout = fetch_engines(read(EngineSettings), lambda line: print(line, file=sys.stderr))
    postgres = EmbeddedPostgres(layout, home / "postgres")
    passwords = {name: new_password() for name in (*SERVICE_RULES, LOAD_USER)}
    mosquitto = EmbeddedMosquitto(layout, home / "mosquitto")
    mosquitto.passwords.write_text(password_file((name, hash_service_password(word)) for name, word in passwords.items()))
    mosquitto.acl.write_text(acl_file() + f"\nuser {LOAD_USER}\ntopic readwrite {ROOT}/#\n")
    try:
        postgres.start()
        migrate(postgres.url)
        register(postgres.url, terminals)
        mosquitto.start()
        yield Machine(home, layout, postgres, mosquitto, passwords)
    finally:
        mosquitto.stop()
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


def register(url: str, terminals: int) -> None:
    """Put terminals T00000 and on into the registry, in one shop."""
    with connect(url, program="benchmark") as conn:
        conn.execute("INSERT INTO fleet.point_of_sale VALUES ('P1', 'Bar', '75', '11', 'AG01', 'Europe/Paris', '24/7')")
        conn.execute(
            "INSERT INTO fleet.terminal SELECT 'T' || lpad(n::text, 5, '0'), 'P1', 'B', '2', '4.2.1', 'adsl', 'alpha', 'L01', 'x'"
            " FROM generate_series(0, %(last)s) n",
            {"last": terminals - 1},
        )


def described() -> dict[str, Any]:
    """The machine and the day, for the head of a table of figures."""
    model = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
