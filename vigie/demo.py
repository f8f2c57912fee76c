"""The demonstration: a generated fleet of 16,000 terminals that lives, fails and rings on this machine, at any hour.

A plan with one more program than `vigie up`: the simulator, which plays a scenario on throw-away data. At the end it
stops first (its journals drain), then its truth is held against the database, then all else stops.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

import psycopg

from diagnostics.baseline_store import save_baseline
from firmware_rollout.actors import DEMO_MAKER
from firmware_rollout.artifacts import FolderStore
from firmware_rollout.campaigns import Wave, create_campaign
from firmware_rollout.ddi.tokens import write_tokens
from firmware_rollout.deeds import Deed, do
from firmware_rollout.settings import DeviceApiSettings
from fleet.clock import Clock, system_clock
from fleet.database import Connection, connect
from fleet.errors import VigieError
from fleet.registry import all_terminals
from fleet.settings import read
from hotline.roles import Role
from simulators.crew import DESKS
from simulators.scenario import load
from vigie.demo_campaigns import COMPRESSED, FIRST_AFTER
from vigie.demo_hotline import AGENTS, STAFF, Access, Presence, furnish
from vigie.demo_releases import add_releases
from vigie.engines.layout import EngineSettings
from vigie.engines.process import hold_port, tail
from vigie.up.figures import FigureReader
from vigie.up.house import House, Options, free_ports
from vigie.up.plan import Program
from vigie.up.run import offset_to
from vigie.up.screen import make_screen
from vigie.up.supervisor import ProgramPart, StopRequestedError

DEMONSTRATION = Path(__file__).resolve().parent.parent / "simulators/scenarios/demo.toml"
# The simulator drains its journals for up to a minute and a half after it was told to stop.
SIMULATOR_STOP_S = 120.0
# Nearly all count as all: a fault of the scenario may already keep some away.
ONLINE_SHARE = 0.99
USUAL_WEB_PORT = 8080
# How often a wait is explained.
TELL_EVERY_S = 3.0

# The scenario says what 4.3.0 does to printers: its campaign stops itself, while the other goes on.
RELEASES = (
    ("4.1.7", ("A", "B", "C"), "the version before"),
    ("4.2.1", ("A", "B", "C"), "the fleet's version"),
    ("4.3.0", ("A", "B", "C"), "faster tickets"),
    ("4.4.0", ("A", "B", "C"), "steadier radio"),
    ("4.5.0", ("A", "B", "C"), "steadier radio, and less memory"),
)
CAMPAIGNS = (("4.3.0, modèle B", "4.3.0", "B"), ("4.4.0, modèle A", "4.4.0", "A"))
# Terminals ask this often in a demonstration: nobody waits for five minutes.
POLL_S = 60


def run_demo(*, minutes: float, scenario: Path, clock: str, listen: str, web_port: int, campaigns: bool) -> bool:
    """Play the demonstration, with its campaigns or without; whether the database holds all that was sent, once.

    Raises:
        VigieError: something did not start, or there is no such scenario.
    """
    script = load(scenario)
    ports = free_ports()
    options = Options(
        ports=replace(ports, web=web_port or _usual_port(listen) or ports.web),
        listen=listen,
        clock_offset_s=offset_to(clock),
        throw_away=True,
        device_poll_s=POLL_S,
    )
    demonstration_clock = system_clock(options.clock_offset_s)
    settings = read(EngineSettings)
    with (
        House(options, settings, make_screen()) as house,
        Past(house, settings, seed=script.seed, terminals=script.terminals) as past,
    ):
        try:
            registry = _make_registry(house, seed=script.seed, terminals=script.terminals)
            house.start_database()
            began = time.monotonic()
            _command(house, "registry", "import", *map(str, registry[:2]), "--passwords", str(registry[2]))
            house.start_broker()
            access, updates = _furnish(house, demonstration_clock, campaigns=campaigns)
            _remember(house, past.wait(), terminals=script.terminals, now=demonstration_clock())
            house.start_programs()
            house.supervisor.checkpoint()
            truth = house.home / "truth.jsonl"
            simulator = _start_simulator(
                house, access, updates, scenario=scenario, minutes=minutes, passwords=registry[2], truth=truth
            )
        except StopRequestedError:
            return True
        house.facts += _welcome(house, access, scenario.name, minutes)
        figures = FigureReader(house.database_url, demonstration_clock)
        presence = Presence(access.simulated, demonstration_clock)
        house.watch(until=lambda: not simulator.alive(), figures=_observer(house, figures, presence, began))
        figures.close()
        return _finish(house, simulator, truth)


def _usual_port(listen: str) -> int:
    """The console's usual port, kept from now on; 0 where another program has it."""
    try:
        return hold_port(USUAL_WEB_PORT, listen)
    except OSError:
        return 0


class Past:
    """What the fleet was like before the demonstration, made by a process of its own while the engines start."""

    def __init__(self, house: House, settings: EngineSettings, *, seed: int, terminals: int) -> None:
        self._house = house
        self._words: list[str] = []
        folder = settings.cache() / "history"
        arguments = ["history", "--folder", str(folder), "--seed", str(seed), "--terminals", str(terminals)]
        self._errors = (house.logs / "history.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "vigie", *arguments],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "VIGIE_CLOCK_OFFSET_S": str(house.options.clock_offset_s)},
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._errors.close()

    def wait(self) -> bytes:
        """Wait for it, saying how far it is; raises `VigieError` where it cannot be made."""
        told_at = time.monotonic()
        while self._process.poll() is None:
            self._house.supervisor.checkpoint()
            if self._words and time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                self._house.screen.say(f"living through the week before, to learn what is usual: {self._words[-1]}")
            time.sleep(0.1)
        self._listener.join()
        if self._process.returncode != 0:
            raise VigieError(f"the past could not be made: {tail(self._house.logs / 'history.log', lines=3)}")
        return Path(self._words[-1]).read_bytes()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._words.append(line.strip())


def _remember(house: House, state: bytes, *, terminals: int, now: datetime) -> None:
    """Let the watch find what is usual."""
    with connect(house.database_url, program="demo") as conn:
        save_baseline(conn, state, terminals=terminals, learnt_until=now, now=now)


def _make_registry(house: House, *, seed: int, terminals: int) -> tuple[Path, Path, Path]:
    folder = house.home / "registry"
    house.screen.say(f"making a registry of {terminals:,} terminals (seed {seed})")
    _command(house, "world", "--folder", str(folder), "--seed", str(seed), "--terminals", str(terminals))
    return folder / "points_of_sale.csv", folder / "terminals.csv", folder / "passwords.csv"


def _furnish(house: House, clock: Clock, *, campaigns: bool) -> tuple[Access, dict[str, str]]:
    """Make what a hotline has besides its fleet: people, queues, a telephone system, releases and campaigns.

    Returns who may come in, and the simulator's settings of terminals that update themselves.
    """
    tokens = house.home / "registry/tokens.csv"
    with connect(house.database_url, program="demo") as conn:
        access = furnish(conn, now=clock())
        store, online = FolderStore(Path(house.firmware["VIGIE_RELEASE_STORE"])), Path(house.firmware["VIGIE_RELEASE_KEYS"])
        root = add_releases(conn, store, RELEASES, home=house.home / "maker", online=online, now=clock())
        if campaigns:
            _begin_campaigns(conn, clock())
        write_tokens(tokens, house.device_key, [one.id for one in all_terminals(conn)])
    return access, {
        "VIGIE_SIMULATE_DDI_URL": f"{house.console_url}/{read(DeviceApiSettings).ddi_tenant}/controller/v1",
        "VIGIE_SIMULATE_TOKENS": str(tokens),
        "VIGIE_SIMULATE_MAKER_ROOT": str(root),
    }


def _begin_campaigns(conn: Connection, now: datetime) -> None:
    """Let calls say something of a rollout: two models get releases, the one that a few terminals of B run already among them."""
    for name, release, model in CAMPAIGNS:
        create_campaign(
            conn,
            name=name,
            release=release,
            where={"model": model},
            waves=[Wave(now + FIRST_AFTER, share_pct) for share_pct in COMPRESSED.shares_pct],
            policy=COMPRESSED,
            seed=1,
            actor=DEMO_MAKER,
            now=now,
        )
        do(conn, name, Deed.APPROVE, actor=Role.ROLLOUT_MANAGER.value, why="", now=now)


def _start_simulator(
    house: House, access: Access, updates: dict[str, str], *, scenario: Path, minutes: float, passwords: Path, truth: Path
) -> ProgramPart:
    program = Program(
        "simulate",
        ("simulate", str(scenario), *(("--minutes", f"{minutes:g}") if minutes else ())),
        {
            "VIGIE_CLOCK_OFFSET_S": str(house.options.clock_offset_s),
            "VIGIE_SIMULATE_MQTT_URL": house.terminals_url,
            "VIGIE_SIMULATE_PASSWORDS": str(passwords),
            "VIGIE_SIMULATE_CTI_URL": _hook(house, access),
            "VIGIE_SIMULATE_API_URL": house.console_url,
            "VIGIE_SIMULATE_API_TOKEN": access.api_token,
            "VIGIE_SIMULATE_TRUTH": str(truth),
            **updates,
            "VIGIE_SIMULATE_AGENTS": str(AGENTS),
            "VIGIE_SIMULATE_STAFF": STAFF,
        },
    )
    return house.start_program(program, keep=False, stop_timeout_s=SIMULATOR_STOP_S)


def _welcome(house: House, access: Access, scenario: str, minutes: float) -> list[str]:
    ending = f"for {minutes:g} minutes" if minutes else "until the scenario ends or Ctrl-C"
    shown = [f"{login} {password}" for login, password in access.passwords.items()]
    lines = ["   ".join(shown[first : first + 3]) for first in range(0, len(shown), 3)]
    return [
        "",
        f"console      {house.console_url}   (a demonstration: {scenario}, {ending})",
        *(f"{'' if number else 'sign in as':13}{line}" for number, line in enumerate(lines)),
        f"calls        come to {', '.join(f'{desk.queue} (level {desk.level}, {desk.floor} floor)' for desk in DESKS)};"
        f" {len(access.simulated)} simulated agents answer beside level1, overflow and level2",
        f'ring         curl -d "event=newCall&from={access.a_phone}&to=3008&direction=in&callId=$RANDOM" {_hook(house, access)}',
        f"also         VIGIE_STATE_DIR={house.home} .venv/bin/vigie status",
        "",
    ]


def _hook(house: House, access: Access) -> str:
    return f"{house.console_url}/api/v1/cti/{access.cti_token}"


def _observer(house: House, figures: FigureReader, presence: Presence, began: float) -> Callable[[], str]:
    """The fleet's figures for the screen; also says that the simulated agents are there, and once that the fleet is online."""
    told = False

    def observe() -> str:
        nonlocal told
        _note(house, presence)
        current = figures.recent()
        if current and not told and current.terminals and current.online >= ONLINE_SHARE * current.terminals:
            told = True
            house.screen.say(f"{current.online:,} terminals online {time.monotonic() - began:.0f} s after the engines' start")
        return figures.line()

    return observe


def _note(house: House, presence: Presence) -> None:
    if not presence.due():
        return
    # While the database is being restarted nobody is counted as there.
    with contextlib.suppress(psycopg.OperationalError), connect(house.database_url, program="demo") as conn:
        presence.note(conn)


def _finish(house: House, simulator: ProgramPart, truth: Path) -> bool:
    house.screen.say("stopping the simulator: its terminals first send what they still hold")
    simulator.stop()
    if simulator.exit_status not in (0, None) or not truth.exists():
        house.screen.say(f"the simulator did not end well ({simulator.exit_status}); its log is {simulator.log}:")
        house.screen.say(simulator.log.read_text(errors="replace")[-1500:])
        return False
    done = _run(house, "check", str(truth))
    house.screen.say(done.stdout.rstrip() or done.stderr.rstrip())
    return done.returncode == 0


def _command(house: House, *arguments: str) -> None:
    """Run a `vigie` command to its end, its words into a log."""
    house.supervisor.checkpoint()
    done = _run(house, *arguments)
    if done.returncode != 0:
        raise VigieError(f"vigie {' '.join(arguments[:2])} failed: {(done.stderr or done.stdout).strip()[-1500:]}")


def _run(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VIGIE_CLOCK_OFFSET_S": str(house.options.clock_offset_s)}
    if house.database_url:
        environment["VIGIE_DATABASE_URL"] = house.database_url
    command = [sys.executable, "-m", "vigie", *arguments]
    # A session of its own: Ctrl-C asks us to stop, and we stop at the next step.
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, start_new_session=True)
