"""`vigie demo` as a benchmark's subject: the whole house and 16,000 live terminals, started as a newcomer would start them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import descendants, part_of
from vigie.engines.process import free_port

START_TIMEOUT_S = 240.0
# The simulator drains its journals, the truth is held against the database, the engines write everything down.
END_TIMEOUT_S = 420.0
_ONLINE = re.compile(r"([\d,]+) terminals online (\d+) s after")


class Demonstration:
    """A running `vigie demo`; its words are kept and echoed to standard error."""

    def __init__(self, scenario: Path, minutes: float) -> None:
        # The demonstration's own campaigns would be one more thing at work: who measures a campaign begins one.
        options = ["--minutes", f"{minutes:g}", "--scenario", str(scenario), "--no-campaigns", "--web-port", str(free_port())]
        command = [sys.executable, "-m", "vigie", "demo", *options]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "COLUMNS": "200"}
        )
        self.words: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_online(self) -> float:
        """Wait for the whole fleet; returns the seconds it took since the engines' start."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in list(self.words):
                if found := _ONLINE.search(line):
                    return float(found[2])
            time.sleep(0.2)
        raise SystemExit("the fleet did not come online:\n" + "".join(self.words[-20:]))

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def parts(self) -> dict[str, list[int]]:
        """The process ids of each part of the house, the first (and for PostgreSQL the parent) first."""
        found: dict[str, list[int]] = {}
        for pid, command in sorted(descendants(self._process.pid).items()):
            if part := part_of(command):
                found.setdefault(part, []).append(pid)
        return found

    def end(self) -> tuple[bool, str]:
        """Wait for the end; whether nothing was missing or twice, and the last words."""
        status = self._process.wait(END_TIMEOUT_S)
        self._reader.join(5)
        return status == 0, "".join(self.words[-25:])

    def stop(self) -> None:
        """Ask it to stop if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(END_TIMEOUT_S)

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self.words.append(line)
                sys.stderr.write(line)


@contextlib.contextmanager
def demonstration(scenario: Path, minutes: float) -> Iterator[Demonstration]:
    """Run `vigie demo` for the context; it is stopped if the context is left early."""
    running = Demonstration(scenario, minutes)
    try:
        yield running
    finally:
        running.stop()
