"""The hotline that `benchmarks.hotline_load` rings: `vigie demo` with three months behind it, its agents signed in."""

import random
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from rich.progress import Progress

from benchmarks.demonstration import demonstration
from benchmarks.past_calls import fill_past
from fleet.database import Connection, connect
from hotline.accounts import add_agent, add_token, generate_password
from hotline.roles import Role
from vigie.running import read_environment

SCENARIO: Final = """
name = "a quiet afternoon, and a full floor"
seed = 16
terminals = {terminals}
start = "2026-11-24T14:00:00+01:00"
minutes = {minutes}
"""
# Longer than the measurement: it ends the demonstration when it is done.
MINUTES: Final = 15
# The baseline, caches and the fleet's first samples are behind it then.
SETTLE_S: Final = 45.0
AGENTS: Final = 60
# One in so many leads the others, and opens the figures; the others are level 1 and level 2, half each.
LEADS_EVERY: Final = 15
_ADDRESS = re.compile(r"console\s+(http://\S+)")
_STATE = re.compile(r"VIGIE_STATE_DIR=(\S+)")


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who is signed in: `cookie` is the session's."""

    login: str
    extension: str
    role: Role
    cookie: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop of the registry with a number of its own and one of its terminals."""

    number: str
    code: str
    name: str
    terminal: str


@dataclass(frozen=True, slots=True)
class Hotline:
    """A running hotline: its console, the hook's address, its shops and its agents."""

    console: str
    hook: str
    shops: Sequence[Shop]
    agents: Sequence[Agent]

    def agent(self, order: int) -> Agent:
        """For whom this call rings."""
        return self.agents[order % len(self.agents)]

    def shop(self, order: int) -> Shop:
        """Who rings; numbers come again where there are fewer than calls."""
        return self.shops[order % len(self.shops)]


@contextmanager
def running_house(progress: Progress, *, terminals: int, past_calls: int) -> Iterator[tuple[Connection, Hotline]]:
    """A demonstration whose fleet is online and has been for a while, with so many calls behind it; stopped afterwards."""
    step = progress.add_task(f"starting the house, {terminals:,} terminals", total=None)
    with tempfile.TemporaryDirectory(prefix="vigie-load-") as kept:
        scenario = Path(kept) / "scenario.toml"
        scenario.write_text(SCENARIO.format(terminals=terminals, minutes=MINUTES))
        with demonstration(scenario, minutes=MINUTES) as running:
            running.wait_online()
            words = "".join(running.words)
            console, state = _ADDRESS.search(words), _STATE.search(words)
            if console is None or state is None:
                raise SystemExit("the demonstration did not say where it is")
            settled_s = time.monotonic() + SETTLE_S
            environment = read_environment(Path(state[1]))
            now = datetime.now(UTC) + timedelta(seconds=int(environment["VIGIE_CLOCK_OFFSET_S"]))
            with connect(environment["VIGIE_DATABASE_URL"], program="benchmark", autocommit=True) as conn:
                progress.update(step, description=f"storing {past_calls:,} calls of three months")
                if past_calls:
                    fill_past(conn, until=now, calls=past_calls)
                hotline = furnish(conn, progress, console=console[1])
                progress.update(step, description="letting the house settle")
                time.sleep(max(0.0, settled_s - time.monotonic()))
                progress.update(step, description="the house is ready", total=1, completed=1)
                yield conn, hotline


def furnish(conn: Connection, progress: Progress, *, console: str) -> Hotline:
    """Hire the agents, give the exchange its token, and find shops to ring from, the same each time."""
    with httpx.Client(timeout=10, trust_env=False) as browser:
        orders = progress.track(range(AGENTS), description="signing agents in")
        agents = [hire(conn, browser, console, order) for order in orders]
    token = add_token(conn, name="benchmark", purpose="cti", role=Role.LEVEL1, now=datetime.now(UTC))
    rows = conn.execute(
        "SELECT n.e164, s.code, s.name, min(t.id) FROM fleet.phone_number n JOIN fleet.point_of_sale s ON s.code = n.point_of_sale"
        " JOIN fleet.terminal t ON t.point_of_sale = s.code"
        " WHERE n.e164 IN (SELECT e164 FROM fleet.phone_number GROUP BY e164 HAVING count(*) = 1)"
        " GROUP BY n.e164, s.code, s.name ORDER BY n.e164"
    ).fetchall()
    shops = [Shop(*row) for row in rows]
    random.Random(1).shuffle(shops)
    return Hotline(console, f"{console}/api/v1/cti/{token}", shops, agents)


def hire(conn: Connection, browser: httpx.Client, console: str, order: int) -> Agent:
    """Make an account with an extension, and sign in."""
    role = Role.SUPERVISOR if order % LEADS_EVERY == 0 else (Role.LEVEL1, Role.LEVEL2)[order % 2]
    login, extension, password = f"load{order:02d}", f"{2000 + order}", generate_password()
    add_agent(conn, login=login, name=f"Load {order:02d}", role=role, password=password, extension=extension)
    answer = browser.post(f"{console}/sign-in", data={"login": login, "password": password})
    cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    browser.cookies.clear()
    if answer.status_code != 303 or not cookie:
        raise SystemExit(f"{login} could not sign in: {answer.status_code}")
    return Agent(login, extension, role, cookie)
