"""Shows what `vigie up` does: a live table on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vigie.up.supervisor import State, Watched

# A screen that is drawn oftener costs more than the programs it shows.
REFRESH_PER_S = 2
# How often a log is told what the fleet does.
FIGURES_EVERY_S = 30.0
COLOURS = {State.RUNNING: "green", State.WAITING: "bold yellow", State.STOPPING: "cyan", State.STOPPED: "dim"}
MB = 1024 * 1024
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """What a process uses, its children included: processor seconds so far, memory now."""

    cpu_s: float
    memory_mb: float


class Screen(Protocol):
    """Where the supervisor speaks and is seen."""

    def say(self, line: str) -> None:
        """Show one line of what happens."""

    def show(self, watched: Sequence[Watched], facts: Sequence[str], figures: str = "") -> None:
        """Show the parts, lines of facts below, and what the fleet does now."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class PlainScreen:
    """For a log or a pipe: one line per event and fact, and the figures now and then."""

    def __init__(self) -> None:
        self._facts: set[str] = set()
        self._next_figures = 0.0

    def say(self, line: str) -> None:
        """Print it."""
        print(line, flush=True)

    def show(self, watched: Sequence[Watched], facts: Sequence[str], figures: str = "") -> None:  # noqa: ARG002 - told by events
        """Print the facts that are new, and the figures when their time has come."""
        for fact in facts:
            if fact not in self._facts:
                self._facts.add(fact)
                self.say(fact)
        now = time.monotonic()
        if figures and now >= self._next_figures:
            self._next_figures = now + FIGURES_EVERY_S
            self.say(figures)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


class LiveScreen:
    """For people: a table that keeps still while lines scroll above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=REFRESH_PER_S, transient=False)
        self._next_drawing = 0.0
        self._before: dict[int, tuple[float, float]] = {}
        self._cpu: dict[int, float] = {}

    def say(self, line: str) -> None:
        """Print it above the table."""
        self._console.print(Text(line))

    def show(self, watched: Sequence[Watched], facts: Sequence[str], figures: str = "") -> None:
        """Draw the table anew."""
        now = time.monotonic()
        if now < self._next_drawing and all(entry.state is State.RUNNING for entry in watched):
            return
        self._next_drawing = now + 1 / REFRESH_PER_S
        table = Table(expand=False, pad_edge=False, box=None)
        for column, justify in (("part", "left"), ("state", "left"), ("for", "right"), ("pid", "right")):
            table.add_column(column, justify="right" if justify == "right" else "left")
        for column in ("restarts", "cpu", "memory"):
            table.add_column(column, justify="right")
        for entry in watched:
            table.add_row(*self._row(entry, now))
        self._live.update(Group(table, *(Text(fact) for fact in facts), Text(figures, style="bold")))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _row(self, entry: Watched, now: float) -> tuple[Text | str, ...]:
        pid = entry.part.pid
        spent = cost(pid) if pid is not None else None
        cpu = self._load(pid, spent.cpu_s, now) if pid is not None and spent is not None else None
        return (
            entry.name,
            Text(entry.state, style=COLOURS[entry.state]),
            duration(now - entry.since),
            str(pid or ""),
            str(entry.restarts or ""),
            "" if cpu is None else f"{cpu:.0f} %",
            "" if spent is None else f"{spent.memory_mb:.0f} MB",
        )

    def _load(self, pid: int, cpu_s: float, now: float) -> float:
        """Per cent of one core, over at least a second."""
        at, before = self._before.setdefault(pid, (now, cpu_s))
        if now - at >= 1.0:
            self._cpu[pid] = 100 * max(cpu_s - before, 0.0) / (now - at)
            self._before[pid] = (now, cpu_s)
        return self._cpu.get(pid, 0.0)


def make_screen() -> Screen:
    """The screen that suits where standard output goes."""
    return LiveScreen(Console()) if sys.stdout.isatty() else PlainScreen()


def cost(pid: int) -> Cost | None:
    """What a process and its direct children (PostgreSQL's sessions) use; None when it is gone.

    Shared memory counts once, with the parent.
    """
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        cpu_s, memory = _own_cost(pid, shared=True)
    except (OSError, ValueError, IndexError):
        return None
    for child in children:
        try:
            child_cpu_s, child_memory = _own_cost(int(child), shared=False)
        except (OSError, ValueError, IndexError):
            continue
        cpu_s += child_cpu_s
        memory += child_memory
    return Cost(cpu_s, memory / MB)


def duration(seconds: float) -> str:
    """A duration for people: 42 s, 3 min 05, 2 h 07."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02}"
    return f"{whole // 3600} h {whole % 3600 // 60:02}"


def _own_cost(pid: int, *, shared: bool) -> tuple[float, int]:
    # The command's name, in parentheses, may hold anything: fields are counted after it. Buried children's time counts.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_s = sum(int(fields[i]) for i in (11, 12, 13, 14)) / _CLOCK_TICKS
    resident, in_common = (int(v) for v in Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    return cpu_s, (resident if shared else resident - in_common) * _PAGE
