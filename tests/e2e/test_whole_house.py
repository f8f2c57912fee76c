"""The whole house as a newcomer starts it: terminals fail, a shopkeeper rings, the pop shows why, the watch finds the incident."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenConsole
from vigie.engines.layout import Layout

# Nearly every roll ends after a minute or two, and shops ring about then: which rings first is the simulator's to say.
SCENARIO = """
name = "paper runs out everywhere"
seed = 11
terminals = 120
start = "2026-11-23T14:00:00+01:00"
minutes = 6
callers_hurry = 3

[[fault]]
kind = "paper_out"
at_min = 0.1
minutes = 5
scope = {}
fraction = 0.9
strength = 20.0
expect = "incident"
"""
STARTED_WITHIN_S = 90
RINGS_WITHIN_S = 210.0
# How long one look takes before things may have changed.
LOOK_MS = 2_000
FOUND_WITHIN_MS = 120_000
ENDS_WITHIN_S = 150


class House:
    """A running `vigie demo` and what it has said."""

    def __init__(self, scenario: Path) -> None:
        self.words = ""
        self._over = False
        self._known = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vigie", "demo", "--scenario", str(scenario)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_for(self, pattern: str, timeout_s: float = STARTED_WITHIN_S) -> str:
        """The first group of a pattern once the house has said it."""
        with self._known:
            self._known.wait_for(lambda: re.search(pattern, self.words) or self._over, timeout_s)
        found = re.search(pattern, self.words)
        assert found, self.words
        return found[1]

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does, and wait; returns its exit status."""
        self._process.terminate()
        return self._process.wait(ENDS_WITHIN_S)

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._process.poll() is None:
            self.stop()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._known:
                self.words += line
                self._known.notify_all()
        with self._known:
            self._over = True
            self._known.notify_all()


@pytest.fixture
def house(engines: Layout, tmp_path: Path) -> Iterator[House]:
    """The demonstration on a scenario of our own."""
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO)
    running = House(scenario)
    yield running
    running.end()


def a_failing_terminal(page: Page) -> str:
    """What a pop says of a failing terminal of a shop that Alix spoke to; of shops that share a number she picks the first.

    The pop renews itself: a shop that rang before the watch had judged its terminal shows the verdict a little later. Calls come
    and go meanwhile, so each look is a new one.
    """
    taken = page.locator(".pop").filter(has_not_text="sonne")
    shared = taken.locator("button").filter(has_text=re.compile(r"P\d{5} ")).first
    failing = page.locator(".pop[data-open] .terminal").filter(has_text="en panne").first
    closed = page.locator(".pop:not([data-open])").filter(has_text="en panne").locator(".call-toggle").first
    deadline = time.monotonic() + RINGS_WITHIN_S
    while time.monotonic() < deadline:
        for other in (shared, closed):
            with suppress(PlaywrightError):
                if other.is_visible():
                    other.click(timeout=LOOK_MS)
        with suppress(AssertionError, PlaywrightError):
            expect(failing).to_be_visible(timeout=LOOK_MS)
            return failing.inner_text(timeout=LOOK_MS)
    raise AssertionError("no failing terminal was shown with a call")


@pytest.mark.timeout(400)
def test_a_failing_terminal_its_call_the_pop_and_the_incident(house: House, open_console: OpenConsole) -> None:
    url = house.wait_for(r"console\s+(http://\S+)")
    alix = open_console(url, login="level1", password=house.wait_for(r"level1 (\S+)"))
    failing = a_failing_terminal(alix.page)
    assert "plus de papier" in failing.lower()
    assert re.search(r"T\d{5}", failing)
    # What so many shops share is an incident, which nobody declared.
    alix.page.goto(f"{url}/console/incidents")
    found = alix.page.locator("#incident-list").get_by_text("Terminaux sans papier").first
    expect(found).to_be_visible(timeout=FOUND_WITHIN_MS)
    assert house.stop() == 0, house.words
    # What the terminals sent is in the database, once; the check is the house's last word.
    assert re.search(r"missing\s*│\s*0\s*│", house.words), house.words
