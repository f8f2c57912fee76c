"""An embedded TimescaleDB: one PostgreSQL cluster in one folder, reached on 127.0.0.1 with a password.

    database = EmbeddedPostgres(layout, home, port=5433)
    database.start(); …; database.url; …; database.stop()

`home` holds the cluster, its generated password (0600) and its log; starting on an existing home goes on with its data.
"""

import contextlib
import secrets
import signal
import subprocess
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from vigie.engines.layout import Layout, engine_user, give, make_folder
from vigie.engines.process import EngineError, free_port, insist_free, run_as, spawn, tail, wait_until

ROLE = "vigie"
DATABASE = "vigie"
START_TIMEOUT_S = 60.0
# A fast shutdown writes a checkpoint: a few seconds after heavy ingest.
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class PostgresTuning:
    """What differs between a test's database and one that serves a fleet."""

    shared_buffers: str = "512MB"
    max_wal_size: str = "4GB"
    max_connections: int = 100
    durable: bool = True
    """False trades safety against a crash of the *machine* for speed; a killed process still loses nothing."""


FOR_TESTS = PostgresTuning(shared_buffers="64MB", max_wal_size="1GB", durable=False)


class EmbeddedPostgres:
    """A PostgreSQL with TimescaleDB that this process runs."""

    def __init__(self, layout: Layout, home: Path, port: int | None = None, tuning: PostgresTuning | None = None) -> None:
        self._bin = layout.postgres_bin
        self._home = home
        self._data = home / "data"
        self._tuning = tuning or PostgresTuning()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port or free_port()

    @property
    def url(self) -> str:
        """The address of Vigie's database, with its password."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database of this cluster."""
        password = urllib.parse.quote((self._home / "password").read_text().strip())
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def log(self) -> Path:
        """The file its output goes to."""
        return self._home / "postgres.log"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, *, daemon: bool = False) -> None:
        """Create the cluster if it is new, start the server and wait until it serves queries.

        With `daemon` it outlives this process; otherwise it stops when this process ends, however it ends.

        Raises:
            EngineError: it did not start; the text ends with its log's last lines.
        """
        if self.alive():
            return
        insist_free(self.port)
        if not (self._data / "PG_VERSION").exists():
            self._create()
        user = engine_user(self._data)
        settings = self._home / "vigie.conf"
        settings.write_text(configuration(self._tuning, self.port))
        give(settings, user, mode=0o600)
        self.log.touch()
        give(self.log, user, mode=0o600)
        self._process = spawn(
            [self._bin / "postgres", "-D", self._data, "-c", f"config_file={settings}"],
            log=self.log,
            user=user,
            # A fast shutdown: sessions end, data is safe.
            death_signal=None if daemon else signal.SIGINT,
            cwd=self._home,
        )
        if not self._wait():
            self.stop()
            raise EngineError(f"PostgreSQL did not start on port {self.port}: {tail(self.log)}")
        self._create_database()

    def stop(self) -> None:
        """End sessions, write everything down and stop; stopping a stopped server is fine."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOP_TIMEOUT_S)
        self._process = None

    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self.pid is not None

    def _create(self) -> None:
        make_folder(self._home)
        user = engine_user(self._data)
        make_folder(self._data, user, mode=0o700)
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        # initdb runs as the engine's user and must read it; afterwards it is ours alone.
        for_initdb = self._home / "password.initdb"
        for_initdb.touch(mode=0o600)
        for_initdb.write_text(password.read_text())
        give(for_initdb, user, mode=0o600)
        try:
            run_as(
                [
                    *(self._bin / "initdb", "-D", self._data, "-U", ROLE, "--pwfile", for_initdb),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
                    *("--no-instructions", *(() if self._tuning.durable else ("--no-sync",))),
                ],
                user=user,
                cwd=self._home,
            )
        finally:
            for_initdb.unlink()

    def _wait(self) -> bool:
        """Wait until the server answers, but no longer than it lives."""
        wait_until(lambda: self._answers() or not self.alive(), timeout_s=START_TIMEOUT_S)
        return self.alive() and self._answers()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url_of("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as conn:
            found = conn.execute("SELECT 1 FROM pg_database WHERE datname = %(name)s", {"name": DATABASE}).fetchone()
            if found is None:
                conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def configuration(tuning: PostgresTuning, port: int) -> str:
    """The server's settings: what initdb chose for this machine, then ours."""
    safety = "" if tuning.durable else "fsync = off\nfull_page_writes = off\n"
    return f"""# Written at each start by Vigie.
include 'data/postgresql.conf'
listen_addresses = '127.0.0.1'
port = {port}
# Socket paths are limited to 107 bytes and readable by all in /tmp; TCP with a password serves everyone alike.
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_checkpoints = off
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
# Roll-ups and retention are Vigie's own steps; the extension's workers would only hold databases open.
timescaledb.max_background_workers = 0
max_connections = {tuning.max_connections}
shared_buffers = {tuning.shared_buffers}
max_wal_size = {tuning.max_wal_size}
checkpoint_timeout = 15min
wal_compression = lz4
wal_level = minimal
max_wal_senders = 0
work_mem = 16MB
maintenance_work_mem = 128MB
random_page_cost = 1.1
# Short queries over many chunks: compiling them costs more than running them.
jit = off
# A hypertable query locks every chunk it may touch.
max_locks_per_transaction = 256
{safety}"""
