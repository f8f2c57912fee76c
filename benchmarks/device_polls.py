"""What polling devices cost the web program: `python -m benchmarks.device_polls`.

Starts `vigie web` on a throw-away TimescaleDB with a registry, and polls it as the fleet would: each terminal every five
minutes, evenly spread, by a connection of its own with its own token. Some are asked to update, and fetch the deployment; every
answer must be the right one. The program's processor time is taken while it idles first, and that is subtracted. Then the
campaign is halted, in the midst of the polls: no poll that begins after the commit may offer anything new. At last it is
asked as fast as it answers.
"""

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.engines import described, register
from benchmarks.processes import cpu_s, descendants
from firmware_rollout.ddi.tokens import device_token
from fleet.database import connect
from fleet.migrate import migrate
from fleet.settings import read
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings
from vigie.engines.postgres import EmbeddedPostgres
from vigie.engines.process import free_port, port_answers, wait_until

POLL_EVERY_S: Final = 300.0
IDLE_S: Final = 10.0
HALTED_S: Final = 5.0
READY_WITHIN_S: Final = 60.0
AT_ONCE: Final = 16
BOUND_CORE_PCT: Final = 20.0


@dataclass
class Polls:
    """What polls brought: how long each took in seconds, when each began, and which were wrong."""

    took_s: list[float] = field(default_factory=list)
    offered_to: set[str] = field(default_factory=set)
    offers_began: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Api:
    """The device API of a running web program."""

    port: int
    key: str

    async def poll(self, number: int, polls: Polls) -> None:
        """One terminal's poll; who is offered something for the first time fetches it."""
        terminal = f"T{number:05}"
        path = f"/vigie/controller/v1/{terminal}"
        began = time.monotonic()
        status, answer = await self._get(terminal, path)
        polls.took_s.append(time.monotonic() - began)
        if status != 200 or "config" not in answer:
            polls.wrong.append(f"{terminal}: {status} {answer}")
            return
        if (link := answer.get("_links", {}).get("deploymentBase")) is None:
            return
        polls.offers_began.append(began)
        if terminal not in polls.offered_to:
            polls.offered_to.add(terminal)
            status, deployment = await self._get(terminal, link["href"].partition(f":{self.port}")[2])
            if status != 200 or deployment["deployment"]["chunks"][0]["version"] != "4.3.0":
                polls.wrong.append(f"{terminal}: {status} {deployment}")

    async def _get(self, terminal: str, path: str) -> tuple[int, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        token = device_token(self.key, terminal)
        lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Authorization: TargetToken {token}", "Connection: close")
        writer.write("\r\n".join((*lines, "\r\n")).encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split(b" ", 2)[1]), json.loads(body) if body else {}


def main() -> int:
    """Idle, poll, halt, hurry; exit code 1 where an answer was wrong or a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=16_000)
    parser.add_argument("--updating", type=int, default=500, help="so many of them are asked to update")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    console = Console(stderr=True)
    home = Path(tempfile.mkdtemp(prefix="vigie-polls-"))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(fetch_engines(read(EngineSettings), console.print), home / "postgres")
    try:
        postgres.start()
        migrate(postgres.url)
        register(postgres.url, arguments.terminals)
        _campaign(postgres.url, home / "firmware", arguments.updating, arguments.terminals)
        with _web(postgres.url, home) as (api, process):
            result = asyncio.run(_measure(api, process.pid, postgres, arguments, console))
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps({"benchmark": "device_polls", "machine": described(), **result}))
    return 0 if result["held"] else 1


async def _measure(
    api: Api, web: int, postgres: EmbeddedPostgres, arguments: argparse.Namespace, console: Console
) -> dict[str, Any]:
    def spent() -> tuple[float, float, float]:
        database = postgres.pid or 0
        return time.monotonic(), cpu_s(web), sum(_cpu_s(pid) for pid in (database, *descendants(database)))

    def share_pct(before: tuple[float, float, float], after: tuple[float, float, float], part: int) -> float:
        return 100 * (after[part] - before[part]) / (after[0] - before[0])

    rate = arguments.terminals / POLL_EVERY_S
    # One terminal polled, so that what is loaded at the first request is loaded.
    await api.poll(0, Polls())
    begun = spent()
    await asyncio.sleep(IDLE_S)
    idle = spent()
    console.print(f"idle: {share_pct(begun, idle, 1):.1f} % of a core; {rate:.0f} polls a second for {arguments.seconds:g} s")
    polls = Polls()
    start = spent()
    await _at_rate(api, polls, rate=rate, seconds=arguments.seconds, first=0, terminals=arguments.terminals)
    end = spent()
    before_halt, after_halt, halting = await _halt(
        api, postgres.url, rate=rate, terminals=arguments.terminals, at=int(rate * arguments.seconds)
    )
    fastest, fast = await _hurry(api, terminals=arguments.terminals)
    wrong = [*polls.wrong, *halting.wrong, *fast.wrong]
    web_pct = share_pct(start, end, 1) - share_pct(begun, idle, 1)
    for line in wrong[:5]:
        console.print(f"[red]{line}[/red]")
    return {
        "terminals": arguments.terminals,
        "polls_per_s": round(rate, 1),
        "web_core_pct": round(web_pct, 1),
        "web_ms_per_poll": round(10 * web_pct / rate, 2),
        "idle_core_pct": round(share_pct(begun, idle, 1), 1),
        "postgres_core_pct": round(share_pct(start, end, 2) - share_pct(begun, idle, 2), 1),
        "poll_p50_ms": round(1000 * statistics.median(polls.took_s), 1),
        "poll_p95_ms": round(1000 * statistics.quantiles(polls.took_s, n=20)[-1], 1),
        "offered": len(polls.offered_to),
        "offers_before_halt": before_halt,
        "offers_after_halt": after_halt,
        "most_polls_per_s": round(fastest),
        "wrong": len(wrong),
        "held": not wrong and min(len(polls.offered_to), before_halt) > 0 == after_halt and web_pct <= BOUND_CORE_PCT,
    }


async def _at_rate(api: Api, polls: Polls, *, rate: float, seconds: float, first: int, terminals: int) -> None:
    """Poll one terminal after the other, each when it is due."""
    begun = time.monotonic()
    running = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(begun + number / rate - time.monotonic())
        running.append(asyncio.create_task(api.poll((first + number) % terminals, polls)))
    await asyncio.gather(*running)


async def _halt(api: Api, url: str, *, rate: float, terminals: int, at: int) -> tuple[int, int, Polls]:
    """Halt the campaign amid the polls; how many offers were made by polls that began before, and by those that began later."""
    polls = Polls()
    polling = asyncio.create_task(_at_rate(api, polls, rate=rate, seconds=2 * HALTED_S, first=at, terminals=terminals))
    await asyncio.sleep(HALTED_S)

    def halt() -> None:
        with connect(url, program="benchmark") as conn:
            conn.execute("UPDATE firmware_rollout.campaign SET state = 'halted'")

    await asyncio.to_thread(halt)
    halted_at = time.monotonic()
    await polling
    later = sum(began > halted_at for began in polls.offers_began)
    return len(polls.offers_began) - later, later, polls


async def _hurry(api: Api, *, terminals: int) -> tuple[float, Polls]:
    """Polls a second, at most, with some of them on the way at any time."""
    polls = Polls()
    begun = time.monotonic()

    async def one(worker: int) -> None:
        number = worker
        while time.monotonic() - begun < HALTED_S:
            await api.poll(number % terminals, polls)
            number += AT_ONCE

    await asyncio.gather(*(one(worker) for worker in range(AT_ONCE)))
    return len(polls.took_s) / (time.monotonic() - begun), polls


@contextmanager
def _web(url: str, home: Path) -> Iterator[tuple[Api, subprocess.Popen[bytes]]]:
    """A `vigie web` process that serves devices."""
    api = Api(free_port(), secrets.token_hex(32))
    environment = {
        **os.environ,
        "VIGIE_DATABASE_URL": url,
        "VIGIE_WEB_PORT": str(api.port),
        "VIGIE_DEVICE_KEY": api.key,
        "VIGIE_RELEASE_STORE": str(home / "firmware"),
    }
    with (home / "web.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "vigie", "web"], env=environment, stdout=log, stderr=log)
    try:
        if not wait_until(lambda: port_answers(api.port, "127.0.0.1"), timeout_s=READY_WITHIN_S):
            raise SystemExit((home / "web.log").read_text())
        yield api, process
    finally:
        process.terminate()
        process.wait(30)


def _campaign(url: str, folder: Path, updating: int, terminals: int) -> None:
    """A release with a small file, and a running campaign without a window that asks terminals spread over the fleet."""
    content = b"firmware" * 1000
    hashes = {name: hashlib.new(name, content).hexdigest() for name in ("sha1", "sha256")}
    place = folder / hashes["sha256"][:2] / hashes["sha256"]
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    now = datetime.now(UTC)
    values = {"now": now, "length": len(content), "step": max(terminals // updating, 1), **hashes}
    with connect(url, program="benchmark") as conn:
        for statement in (
            "INSERT INTO firmware_rollout.release (version, models, added_at, filename, length, sha256, sha1)"
            " VALUES ('4.3.0', '{B}', %(now)s, 'fw.swu', %(length)s, %(sha256)s, %(sha1)s)",
            "INSERT INTO firmware_rollout.campaign (name, release, target, seed, deadline_s, created_at, state, policy)"
            " VALUES ('polls', '4.3.0', '{}', 7, 86400, %(now)s, 'running', '{\"window\": null}')",
            "INSERT INTO firmware_rollout.wave (campaign_id, number, planned_at, share_pct) SELECT id, 1, %(now)s, 100"
            " FROM firmware_rollout.campaign",
            "INSERT INTO firmware_rollout.assignment (campaign_id, terminal_id, wave, state, since)"
            " SELECT campaign.id, terminal.id, 1, 'updating', %(now)s FROM firmware_rollout.campaign, fleet.terminal"
            " WHERE substr(terminal.id, 2)::integer %% %(step)s = 0",
            "INSERT INTO firmware_rollout.action (campaign_id, terminal_id, attempt, kind, release, opened_at)"
            " SELECT campaign_id, terminal_id, 1, 'update', '4.3.0', %(now)s FROM firmware_rollout.assignment",
        ):
            conn.execute(statement, values)


def _cpu_s(pid: int) -> float:
    """Of a process that may be gone."""
    try:
        return cpu_s(pid)
    except OSError:
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
