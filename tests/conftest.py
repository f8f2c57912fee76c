"""Real engines for tests: one PostgreSQL per session, a migrated template cloned per test, a broker with accounts."""

import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from fleet.migrate import migrate
from fleet.settings import read
from tests.leaving_out import leave_out
from tests.running_asterisk import Asterisk
from tests.running_broker import Broker
from tests.running_sipp import Sipp
from vigie.engines.apt import AptError
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings, Layout
from vigie.engines.mosquitto import EmbeddedMosquitto
from vigie.engines.postgres import FOR_TESTS, EmbeddedPostgres
from vigie.engines.telephony import TelephonyLayout, fetch_telephony

TEMPLATE = "vigie_template"


@pytest.fixture(scope="session")
def engines() -> Layout:
    """The programs of PostgreSQL and Mosquitto; fetched if this machine has none yet."""
    return fetch_engines(read(EngineSettings), lambda line: print(line, file=sys.stderr))


@pytest.fixture(scope="session")
def engine_home() -> Iterator[Path]:
    """A throw-away folder that engines reach when they drop to another user (pytest's own folders are private)."""
    home = Path(tempfile.mkdtemp(prefix="vigie-test-"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(engines: Layout, engine_home: Path) -> Iterator[EmbeddedPostgres]:
    """A running TimescaleDB with an empty database."""
    server = EmbeddedPostgres(engines, engine_home / "postgres", tuning=FOR_TESTS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template_database(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database that nobody connects to, so that it can be cloned."""
    _create(postgres, TEMPLATE, template="template1")
    migrate(postgres.url_of(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """The address of a fresh migrated database, for code that commits."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _create(postgres, name, template=template_database)
    yield postgres.url_of(name)
    _drop(postgres, name)


@pytest.fixture(scope="module")
def module_database_url(postgres: EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """The address of a fresh migrated database that one file's tests share."""
    name = f"module_{uuid.uuid4().hex[:12]}"
    _create(postgres, name, template=template_database)
    yield postgres.url_of(name)
    _drop(postgres, name)


@pytest.fixture(scope="session")
def shared_database_url(postgres: EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """The address of a migrated database that stays empty because every test in it rolls back."""
    _create(postgres, "shared", template=template_database)
    yield postgres.url_of("shared")
    _drop(postgres, "shared")


@pytest.fixture
def conn(shared_database_url: str) -> Iterator[psycopg.Connection]:
    """A connection whose transaction is rolled back at the end."""
    with psycopg.connect(shared_database_url) as connection:
        # Within a transaction that runs already, those of the code under test are savepoints, and commit nothing.
        connection.execute("SELECT")
        yield connection
        connection.rollback()


@pytest.fixture
def broker(engines: Layout, engine_home: Path) -> Iterator[Broker]:
    """A running Mosquitto with accounts for the programs and for terminals T00001 to T00020, and the real rules."""
    running = Broker(EmbeddedMosquitto(engines, Path(tempfile.mkdtemp(dir=engine_home))))
    running.mosquitto.home.chmod(0o755)
    running.set_terminals(f"T{number:05}" for number in range(1, 21))
    running.mosquitto.start()
    yield running
    running.mosquitto.stop()


@pytest.fixture(scope="session")
def telephony_layout() -> TelephonyLayout:
    """The programs of a real telephone exchange; fetched if this machine has none yet."""
    try:
        return fetch_telephony(read(EngineSettings), lambda line: print(line, file=sys.stderr))
    except AptError as error:
        leave_out(f"NO REAL TELEPHONE CALLS ARE TRIED: Debian sid's Asterisk and SIPp cannot be had here ({error})")


@pytest.fixture
def exchange(telephony_layout: TelephonyLayout, engine_home: Path) -> Iterator[Asterisk]:
    """A running Asterisk with the hotline's queues."""
    home = Path(tempfile.mkdtemp(dir=engine_home))
    home.chmod(0o755)
    running = Asterisk(telephony_layout, home / "asterisk")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def sipp(exchange: Asterisk, tmp_path: Path) -> Iterator[Sipp]:
    """Shops and agents that telephone through the exchange."""
    calls = Sipp(exchange, tmp_path)
    yield calls
    calls.stop()


def _create(postgres: EmbeddedPostgres, name: str, *, template: str) -> None:
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as admin:
        # Copying files beats logging every page of a small template.
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


def _drop(postgres: EmbeddedPostgres, name: str) -> None:
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
