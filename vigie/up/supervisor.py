"""Keeps parts running: starts them in order, restarts one that dies, stops them last in, first out.

A part is an engine or a program. What to do about a dead one is a pure policy; time is monotonic and passed in.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType, TracebackType
from typing import Protocol, Self

from fleet.errors import VigieError
from vigie.engines.process import EngineError, spawn, tail

# The first restart is almost at once: a database's clients wait for it.
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
# After this long alive, a death counts as the first again.
STEADY_S = 60.0
TICK_S = 0.25
# A worker ends its batch and commits; a simulator drains its journals first.
STOP_TIMEOUT_S = 30.0


class StopRequestedError(VigieError):
    """Somebody asked for the end while parts were still being started."""


class State(StrEnum):
    """How a part is."""

    RUNNING = "running"
    WAITING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Part(Protocol):
    """What can be supervised; `log` is where it writes what goes wrong."""

    @property
    def log(self) -> Path:
        """The file its output goes to."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""

    def start(self) -> None:
        """Start it; EngineError when it would not."""

    def stop(self) -> None:
        """Stop it cleanly; nothing when it does not run."""

    def alive(self) -> bool:
        """Whether its process runs."""


class ProgramPart:
    """A program of the house as a part; it cannot outlive us."""

    def __init__(
        self,
        command: list[str],
        *,
        environment: dict[str, str],
        log: Path,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        self._command = command
        self._environment = environment
        self._stop_timeout_s = stop_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log = log

    @property
    def log(self) -> Path:
        """The file its output goes to."""
        return self._log

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_status(self) -> int | None:
        """How it ended (negative: the signal), None while it runs or before it started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it."""
        self._process = spawn(self._command, log=self._log, environment={**os.environ, **self._environment})

    def stop(self) -> None:
        """Ask it to end, wait, and kill it if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._stop_timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.pid is not None


@dataclass
class Watched:
    """A part and what has become of it; times are monotonic seconds."""

    name: str
    part: Part
    state: State
    since: float
    failures: int = 0
    """Deaths since it last was steady."""
    restarts: int = 0
    retry_at: float = 0.0
    keep: bool = True
    """Whether its end is a failure; a simulator may end by itself."""


class Supervisor:
    """The parts of one house, in starting order.

    Use it as a context: leaving it stops everything, also after an error.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.watched: list[Watched] = []
        self.stop_requested = False

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop_all()

    def start(self, name: str, part: Part, *, keep: bool = True) -> None:
        """Start one more part.

        Raises:
            EngineError: it did not start.
            StopRequestedError: the end has been asked for meanwhile.
        """
        self.checkpoint()
        entry = Watched(name, part, State.RUNNING, time.monotonic(), keep=keep)
        # Before it starts, so that an interrupted start is stopped as well.
        self.watched.append(entry)
        part.start()
        entry.since = time.monotonic()
        self._tell(f"{name} started (pid {part.pid})")

    def checkpoint(self) -> None:
        """Leave a long preparation once the end has been asked for."""
        if self.stop_requested:
            raise StopRequestedError("stopped")

    def tick(self, now: float) -> None:
        """Restart what has died, when its time has come."""
        for entry in self.watched:
            if entry.state is State.RUNNING and not entry.part.alive():
                self._died(entry, now)
            elif entry.state is State.WAITING and now >= entry.retry_at:
                self._restart(entry)

    def stop_all(self) -> None:
        """Stop every part, the last started first; one that resists does not keep the others running."""
        for entry in reversed(self.watched):
            if entry.state is State.STOPPED:
                continue
            entry.state = State.STOPPING
            try:
                entry.part.stop()
            except (OSError, subprocess.SubprocessError, VigieError) as error:
                self._tell(f"{entry.name} did not stop cleanly: {error}")
            entry.state = State.STOPPED
            self._tell(f"{entry.name} stopped")

    def _died(self, entry: Watched, now: float) -> None:
        if not entry.keep:
            entry.state = State.STOPPED
            self._tell(f"{entry.name} ended")
            return
        entry.failures = 1 if now - entry.since >= STEADY_S else entry.failures + 1
        delay_s = restart_delay_s(entry.failures)
        entry.state, entry.since, entry.retry_at = State.WAITING, now, now + delay_s
        words = tail(entry.part.log, lines=1)
        self._tell(f"{entry.name} died, restarting in {delay_s:g} s{f' (it said: {words})' if words else ''}")

    def _restart(self, entry: Watched) -> None:
        entry.restarts += 1
        try:
            entry.part.start()
        except (EngineError, OSError) as error:
            entry.failures += 1
            delay_s = restart_delay_s(entry.failures)
            entry.retry_at = time.monotonic() + delay_s
            self._tell(f"{entry.name} would not start, trying again in {delay_s:g} s: {error}")
            return
        entry.state, entry.since = State.RUNNING, time.monotonic()
        self._tell(f"{entry.name} restarted (pid {entry.part.pid})")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requested = True

    def _tell(self, line: str) -> None:
        # A closed terminal must not keep us from stopping the parts.
        with contextlib.suppress(OSError):
            self._say(line)


def restart_delay_s(failures: int) -> float:
    """How long to wait before a restart, doubling with each failure in a row."""
    return min(FIRST_DELAY_S * float(2 ** (max(failures, 1) - 1)), LONGEST_DELAY_S)
