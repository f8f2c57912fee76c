"""From the call hook to the visible pop in a real browser: `python -m benchmarks.pop`.

Brings up `vigie demo` with 16,000 live terminals (or takes a house that already runs, `--state-dir`), signs in with Debian's
Chromium, and lets shops ring. A MutationObserver in the page notes when each pop has been painted; the hook's clock and the
browser's are the same machine's. Every ring must have appeared, with its terminals; else the exit code is 1.
"""

import argparse
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.demonstration import demonstration
from hotline.phone_numbers import show_number
from simulators.scenario import load
from simulators.world import build_world

QUIET = Path(__file__).resolve().parent.parent / "simulators/scenarios/quiet-day.toml"
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
LOGIN = "benchmark"
BOUND_P95_MS = 300.0
SETTLE_S = 45.0
# Each ring is hung up this many rings later, as the stack of a busy hour.
ON_SCREEN = 4
PATIENCE_S = 10.0
_ADDRESS = re.compile(r"console\s+(http://\S+)")
_STATE = re.compile(r"VIGIE_STATE_DIR=(\S+)")

# Notes each new pop's number when the frame that shows it has been painted.
WATCH = """
() => {
  window.seen = [];
  const note = (pop) => requestAnimationFrame(() => setTimeout(() => {
    const box = pop.getBoundingClientRect();
    window.seen.push({
      number: pop.querySelector(".call-number").textContent.trim(),
      at: Date.now(),
      visible: box.width > 0 && box.height > 0,
      terminals: pop.querySelectorAll(".terminal").length,
    });
  }));
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.classList?.contains("pop")) note(node);
  }).observe(document.getElementById("stack"), { childList: true });
}
"""


@dataclass(frozen=True)
class House:
    """A running house: where its console is, and where its commands find it."""

    console: str
    state_dir: str

    def vigie(self, *arguments: str) -> str:
        """One `vigie` command at this house; returns what it printed."""
        command = [sys.executable, "-m", "vigie", *arguments]
        environment = {**os.environ, "VIGIE_STATE_DIR": self.state_dir}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def main() -> int:
    """Ring, watch, print; exit code 1 where a ring did not appear or the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rings", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between rings")
    parser.add_argument("--console", help="console of a house that runs already")
    parser.add_argument("--state-dir", help="state folder of a house that runs already")
    arguments = parser.parse_args()
    if bool(arguments.console) != bool(arguments.state_dir):
        parser.error("--console and --state-dir go together")
    minutes = (SETTLE_S + arguments.rings * (arguments.pause + 0.1)) / 60 + 1.5
    with running_house(arguments, minutes=minutes) as house:
        latencies, missing, empty = measure(house, rings=arguments.rings, pause_s=arguments.pause)
    return report(latencies, rings=arguments.rings, missing=missing, empty=empty)


@contextmanager
def running_house(arguments: argparse.Namespace, *, minutes: float) -> Iterator[House]:
    """The house to ring at: the one given, or a demonstration of our own once its fleet is online and settled."""
    if arguments.console:
        yield House(arguments.console, arguments.state_dir)
        return
    with demonstration(QUIET, minutes=minutes) as running:
        running.wait_online()
        time.sleep(SETTLE_S)
        words = "".join(running.words)
        console, state = _ADDRESS.search(words), _STATE.search(words)
        if console is None or state is None:
            raise SystemExit("the demonstration did not say where it is")
        yield House(console[1], state[1])


def measure(house: House, *, rings: int, pause_s: float) -> tuple[list[float], list[str], list[str]]:
    """Milliseconds of each ring that appeared, the numbers that did not, and those that came without terminals."""
    password = house.vigie("agent", "add", LOGIN, "--name", "Benchmark", "--role", "level1").rsplit(maxsplit=1)[-1]
    token = house.vigie("token", "add", LOGIN, "--purpose", "cti").rsplit(maxsplit=1)[-1]
    numbers = callers(rings)
    rang: dict[str, float] = {}
    with sync_playwright() as playwright, httpx.Client(timeout=10) as hook:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGUMENTS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        sign_in(page, house.console, password)
        page.evaluate(WATCH)
        address = f"{house.console}/api/v1/cti/{token}"
        for ring, number in enumerate(numbers):
            rang[show_number(number)] = time.time() * 1000
            told = {"event": "newCall", "callId": f"benchmark {ring}", "direction": "in", "from": number, "user": [LOGIN]}
            hook.post(address, json=told).raise_for_status()
            if ring >= ON_SCREEN:
                gone = {"event": "hangup", "callId": f"benchmark {ring - ON_SCREEN}", "cause": "cancel"}
                hook.post(address, json=gone).raise_for_status()
            time.sleep(pause_s)
        seen = wait_for_all(page, rang)
        browser.close()
    latencies = [at - rang[number] for number, (at, _) in seen.items()]
    return (
        latencies,
        [number for number in rang if number not in seen],
        [number for number, (_, count) in seen.items() if not count],
    )


def callers(rings: int) -> list[str]:
    """Numbers of shops of the generated world, each of one shop alone, in an order of their own."""
    scenario = load(QUIET)
    shops = build_world(scenario.seed, scenario.terminals).shops
    owners = Counter(phone for phones in shops["phones"] for phone in phones)
    return random.Random(1).sample(sorted(phone for phone, shops_of in owners.items() if shops_of == 1), rings)


def sign_in(page: Page, console: str, password: str) -> None:
    """Sign in and wait for the event stream."""
    page.goto(f"{console}/sign-in")
    page.fill("#login", LOGIN)
    page.fill("#password", password)
    page.click("form[action='/sign-in'] button")
    page.wait_for_selector("#wire[data-state=open]")


def wait_for_all(page: Page, rang: dict[str, float]) -> dict[str, tuple[float, int]]:
    """When each number's pop was painted, and its terminals; waits a while for the last."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        notes = [note for note in page.evaluate("window.seen") if note["visible"] and note["number"] in rang]
        seen = {note["number"]: (float(note["at"]), int(note["terminals"])) for note in reversed(notes)}
        if len(seen) == len(rang) or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def report(latencies: Sequence[float], *, rings: int, missing: Sequence[str], empty: Sequence[str]) -> int:
    """The table for people, the figures for programs."""
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [float("nan")] * 99
    p50, p95, p99 = cuts[49], cuts[94], cuts[98]
    table = Table(title="call hook to visible pop")
    for column in ("rings", "missing", "empty", "p50 ms", "p95 ms", "p99 ms", "largest ms", "bound ms"):
        table.add_column(column, justify="right")
    figures = [f"{value:.0f}" for value in (p50, p95, p99, max(latencies, default=float("nan")), BOUND_P95_MS)]
    table.add_row(str(rings), str(len(missing)), str(len(empty)), *figures)
    Console(stderr=True).print(table)
    result = {"benchmark": "pop", "machine": f"{platform.machine()}, {os.cpu_count()} cores", "rings": rings}
    result |= {"missing": len(missing), "without_terminals": len(empty)}
    result |= {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "p99_ms": round(p99, 1)}
    print(json.dumps(result))
    return 0 if not missing and not empty and p95 <= BOUND_P95_MS else 1


if __name__ == "__main__":
    sys.exit(main())
