"""One machine's house: its engines and its programs, brought up in order under one supervisor.

    with House(options, settings, screen) as house:
        house.start_database()          # the demonstration imports its registry after this
        house.start_broker()
        house.start_programs()
        house.watch(minutes=0)

Leaving the context stops everything, last started first.
"""

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from fleet.database import connect
from fleet.errors import VigieError
from fleet.migrate import migrate
from vigie.engines.accounts import Accounts, registry_state, write_accounts
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings, Layout, make_folder
from vigie.engines.mosquitto import Door, EmbeddedMosquitto, terminals_tls
from vigie.engines.postgres import EmbeddedPostgres
from vigie.engines.process import EngineError, hold_port, port_answers, tail
from vigie.running import forget_environment, save_environment
from vigie.up.device_key import SETTING, device_key
from vigie.up.plan import ACCOUNTS, Ports, Program, firmware_places, programs
from vigie.up.screen import Screen
from vigie.up.supervisor import STOP_TIMEOUT_S, TICK_S, ProgramPart, StopRequestedError, Supervisor, Watched

# How often a changed registry is looked for: a new terminal connects within this time.
REGISTRY_CHECK_S = 10.0
READY_TIMEOUT_S = 60.0
# A program that dies so often in a row before it was ever ready is broken or wrongly set: trying on would hide it.
HOPELESS = 3
THROW_AWAY = "vigie-throw-away-"


@dataclass(frozen=True)
class Options:
    """How this house is brought up."""

    ports: Ports = field(default_factory=Ports)
    listen: str = "127.0.0.1"
    clock_offset_s: int = 0
    throw_away: bool = False
    device_poll_s: int = 0
    """How often terminals ask for updates, s; 0: as the settings say."""
    database_url: str = ""
    """An existing TimescaleDB instead of the embedded one."""
    mqtt_url: str = ""
    """An existing broker instead of the embedded one; the programs share its account."""
    exchange: bool = False
    """Whether settings name a telephone exchange to listen to."""


def free_ports() -> Ports:
    """Ports that are all this process's own, for throw-away houses side by side."""
    return Ports(hold_port(), hold_port(), hold_port(), hold_port(), {name: hold_port() for name in Ports().metrics})


class House:
    """Engines and programs of one machine; use it as a context."""

    def __init__(self, options: Options, settings: EngineSettings, screen: Screen) -> None:
        self.options = options
        self.ports = options.ports
        self.screen = screen
        self.supervisor = Supervisor(screen.say)
        self.database_url = options.database_url
        self.facts: list[str] = []
        """Lines shown under the table: addresses, figures."""
        self._settings = settings
        self._broker: EmbeddedMosquitto | None = None
        # The watch tells incidents at an existing broker only where VIGIE_NOTICE_MQTT_URL, which it inherits, says so.
        shared = [name for name in ACCOUNTS if name != "watch"]
        self._mqtt_urls: Mapping[str, str] = dict.fromkeys(shared, options.mqtt_url) if options.mqtt_url else {}
        self._accounts: Accounts | None = None
        self._saved = False
        self._next_check = 0.0
        self.home = _throw_away_folder() if options.throw_away else make_folder(settings.state())
        self.firmware = firmware_places(self.home, {} if options.throw_away else os.environ)
        self.device_key = device_key(self.home, {} if options.throw_away else os.environ)
        self.logs = make_folder(self.home / "logs")

    def __enter__(self) -> Self:
        self.screen.__enter__()
        self.supervisor.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.supervisor.__exit__(kind, error, trace)
        finally:
            with contextlib.suppress(OSError):
                self.screen.show(self.supervisor.watched, self.facts)
                self.screen.__exit__(kind, error, trace)
            if self._saved:
                forget_environment(self.home)
            if self.options.throw_away and isinstance(error, VigieError) and not isinstance(error, StopRequestedError):
                self.screen.say(f"what was written is in {self.home} until the next start")
            elif self.options.throw_away:
                shutil.rmtree(self.home, ignore_errors=True)

    @property
    def terminals_url(self) -> str:
        """The terminals' door, without an account."""
        return f"{'mqtts' if terminals_tls(self._settings) else 'mqtt'}://{self.options.listen}:{self.ports.terminals}"

    @property
    def console_url(self) -> str:
        """The console's address."""
        return f"http://{self.options.listen}:{self.ports.web}"

    def start_database(self) -> None:
        """Start the database (unless an existing one is used) and bring it to this release's schema."""
        if not self.database_url:
            postgres = EmbeddedPostgres(self._layout(), self.home / "postgres", port=self.ports.database)
            self.supervisor.start("postgres", postgres)
            self.database_url = postgres.url
        self._show()
        applied = migrate(self.database_url)
        self.screen.say(f"schema is up to date ({len(applied)} migrations applied)")
        self._saved = True
        save_environment(
            self.home,
            {
                "VIGIE_DATABASE_URL": self.database_url,
                "VIGIE_CLOCK_OFFSET_S": str(self.options.clock_offset_s),
                **self.firmware,
                SETTING: self.device_key,
            },
        )

    def start_broker(self) -> None:
        """Write the broker's accounts from the registry and start it (unless an existing one is used)."""
        if self._mqtt_urls:
            return
        doors = Door(self.ports.terminals, self.options.listen, terminals_tls(self._settings)), Door(self.ports.services)
        self._broker = EmbeddedMosquitto(self._layout(), self.home / "mosquitto", *doors)
        self._accounts = self._write_accounts(self._broker)
        passwords = self._accounts.passwords
        self.supervisor.start("mosquitto", self._broker)
        self._mqtt_urls = {name: self._broker.url(account, passwords[account]) for name, account in ACCOUNTS.items()}
        self._show()

    def start_programs(self) -> None:
        """Start the four programs and wait until the console answers."""
        planned = programs(
            database_url=self.database_url,
            mqtt_urls=self._mqtt_urls,
            ports=self.ports,
            listen=self.options.listen,
            clock_offset_s=self.options.clock_offset_s,
            exchange=self.options.exchange,
            firmware=self.firmware,
            device_key=self.device_key,
            device_poll_s=self.options.device_poll_s,
        )
        for program in planned:
            self.start_program(program)
        self.watch(until=lambda: not silent(planned) or bool(self._hopeless()), timeout_s=READY_TIMEOUT_S)
        if hopeless := self._hopeless():
            raise EngineError(f"{hopeless.name} does not start: {tail(hopeless.part.log, lines=3)}")
        if not self.supervisor.stop_requested and (late := silent(planned)):
            raise EngineError(f"{late} did not answer within {READY_TIMEOUT_S:g} s; the logs are in {self.logs}")

    def start_program(self, program: Program, *, keep: bool = True, stop_timeout_s: float = STOP_TIMEOUT_S) -> ProgramPart:
        """Start one program of the house and watch it from now on; with `keep` false it may end by itself."""
        part = ProgramPart(
            [sys.executable, "-m", "vigie", *program.arguments],
            environment={**program.environment, "PYTHONUNBUFFERED": "1"},
            log=self.logs / f"{program.name}.log",
            stop_timeout_s=stop_timeout_s,
        )
        self.supervisor.start(program.name, part, keep=keep)
        return part

    def watch(
        self,
        *,
        until: Callable[[], bool] = lambda: False,
        timeout_s: float | None = None,
        figures: Callable[[], str] = lambda: "",
    ) -> None:
        """Keep everything running until a condition holds, the time is over, or the end is asked for."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.supervisor.stop_requested and not until():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return
            self.supervisor.tick(now)
            self._follow_registry(now)
            self._show(figures())
            time.sleep(TICK_S)

    def _hopeless(self) -> Watched | None:
        return next((entry for entry in self.supervisor.watched if entry.failures >= HOPELESS), None)

    def _show(self, figures: str = "") -> None:
        try:
            self.screen.show(self.supervisor.watched, self.facts, figures)
        except OSError:
            # The terminal or pipe is gone: nobody is there to stop us later.
            self.supervisor.stop_requested = True

    def _layout(self) -> Layout:
        return fetch_engines(self._settings, lambda line: self.screen.say(f"engines: {line}"))

    def _write_accounts(self, broker: EmbeddedMosquitto) -> Accounts:
        with connect(self.database_url, program="up") as conn:
            accounts = write_accounts(conn, broker)
        self.screen.say(f"broker accounts written for {accounts.terminals:,} terminals")
        return accounts

    def _follow_registry(self, now: float) -> None:
        """Tell the broker of terminals and passwords that changed since it last read them."""
        if self._broker is None or now < self._next_check:
            return
        self._next_check = now + REGISTRY_CHECK_S
        try:
            with connect(self.database_url, program="up") as conn:
                current = registry_state(conn)
            if self._accounts is None or current != self._accounts.registry:
                self._accounts = self._write_accounts(self._broker)
                self._broker.reload()
        except psycopg.OperationalError:
            # The database is being restarted; the next look sees the same change.
            return


def silent(planned: Sequence[Program]) -> str:
    """The programs that do not answer yet, for a message; empty when all do."""
    return ", ".join(p.name for p in planned if p.ready is not None and not port_answers(*p.ready))


def _throw_away_folder() -> Path:
    """A new folder whose name tells our process, after removing those whose process is gone (it was killed)."""
    base = Path(tempfile.gettempdir())
    for left_over in base.glob(f"{THROW_AWAY}*"):
        pid = left_over.name.removeprefix(THROW_AWAY).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and left_over.stat().st_uid == os.geteuid():
            shutil.rmtree(left_over, ignore_errors=True)
    folder = base / f"{THROW_AWAY}{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    # Whatever the umask: the engines' user passes through it.
    folder.chmod(0o755)
    return folder
