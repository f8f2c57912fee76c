"""What a play shows while it runs: one live line on a terminal, one plain line every ten seconds elsewhere."""

import time
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from simulators.conduct import Conductor
from simulators.ring import Ring
from simulators.scenario import Scenario
from simulators.swarm import Swarm

PLAIN_EVERY_S = 10.0


class Screen(Protocol):
    """Where a play reports to."""

    def say(self, line: str) -> None:
        """Tell a step."""

    def show(self, swarm: Swarm, conductor: Conductor, ring: Ring | None, *, second: int, scenario: Scenario) -> None:
        """Show the state after a second was lived."""

    def draining(self, terminals: int, entries: int, left_s: float) -> None:
        """Show how far the journals have drained."""


class RichScreen:
    """The screen for people and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._next_s = 0.0
        self._before = (time.monotonic(), 0, 0)
        self._backlog = 0

    def __enter__(self) -> "RichScreen":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Tell a step."""
        self._console.print(f"simulate: {line}", highlight=False, markup=False, soft_wrap=True)

    def show(self, swarm: Swarm, conductor: Conductor, ring: Ring | None, *, second: int, scenario: Scenario) -> None:
        """Show the state: once a second to people, every ten seconds to a log."""
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + (1.0 if self._live else PLAIN_EVERY_S)
        then, sent, acknowledged = self._before
        totals, span = swarm.totals, max(now - then, 1e-3)
        self._before = (now, totals.entries, totals.acknowledged)
        minute, minutes = (second - scenario.start_s) / 60, scenario.minutes
        rows = {
            "minute": f"{minute:.1f} of {minutes:g}",
            "online": f"{swarm.online:,} of {len(swarm.devices):,}",
            "sent": f"{(totals.entries - sent) / span:,.0f}/s",
            "acknowledged": f"{(totals.acknowledged - acknowledged) / span:,.0f}/s",
            "in journals": f"{conductor.produced - totals.acknowledged:,}",
            "sent again": f"{totals.entries_again:,}",
            "lost": f"{totals.lost:,}",
        }
        if swarm.failures and swarm.online < len(swarm.devices) / 2:
            rows["trouble"] = swarm.failures.most_common(1)[0][0]
        if conductor.updates is not None:
            done = conductor.updates.done
            rows["updates"] = f"{done['restarted']:,} restarted, {done['fell back']:,} fell back, {done['visits']:,} visits"
        if ring is not None:
            rows["calls"] = f"{ring.posted['newCall']:,} ({ring.ongoing} now, {ring.posted['failed']} failed)"
        self._put(rows)

    def draining(self, terminals: int, entries: int, left_s: float) -> None:
        """Show how far the journals have drained."""
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + (0.5 if self._live else PLAIN_EVERY_S)
        self._put({"draining": f"{terminals:,} terminals", "in journals": f"{entries:,}", "at most": f"{left_s:.0f} s more"})

    def _put(self, rows: dict[str, str]) -> None:
        if self._live is None:
            self.say(", ".join(f"{name} {value}" for name, value in rows.items()))
            return
        table = Table.grid(padding=(0, 2))
        for name, value in rows.items():
            table.add_row(name, value)
        self._live.update(table, refresh=True)
