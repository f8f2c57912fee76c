"""Start and stop a child process that cannot outlive us, whoever it runs as.

The kernel sends the death signal when the *thread* that started the child ends: start children from the main thread.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fleet.errors import VigieError
from vigie.engines import tether
from vigie.engines.layout import RunAs

POLL_S = 0.05
EVERYWHERE = "0.0.0.0"
# A log that has grown beyond this is put aside when its program starts again; the one put aside before is dropped.
LARGEST_LOG = 20 * 1024 * 1024


class EngineError(VigieError):
    """An engine did not start or stop; the text ends with its log's last lines."""


def command_line(command: Sequence[str | Path], *, user: RunAs | None, death_signal: signal.Signals | None) -> list[str]:
    """The command, wrapped so that it runs as `user` and gets `death_signal` when this process dies."""
    uid, gid = ("-", "-") if user is None or user.uid is None else (str(user.uid), str(user.gid))
    wanted = "-" if death_signal is None else str(int(death_signal))
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), wanted, uid, gid, *map(str, command)]


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    user: RunAs | None = None,
    death_signal: signal.Signals | None = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, output appended to `log`.

    A session of its own keeps a terminal's Ctrl-C from reaching it: its supervisor stops it in order.
    With `death_signal` None it outlives us (a daemon).
    """
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        return subprocess.Popen(
            command_line(command, user=user, death_signal=death_signal),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment) if environment is not None else None,
            cwd=cwd,
            start_new_session=True,
        )


def run_as(command: Sequence[str | Path], *, user: RunAs, cwd: Path) -> str:
    """Run a short command to its end as `user`; its output, or an error that quotes it."""
    wrapped = command_line(command, user=user, death_signal=signal.SIGTERM)
    done = subprocess.run(wrapped, cwd=cwd, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise EngineError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def wait_until(condition: Callable[[], bool], *, timeout_s: float) -> bool:
    """Poll a condition until it holds or the time is over; whether it held."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return ""
    return " / ".join(log.read_text(errors="replace").strip().splitlines()[-lines:])


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Bound and never listened on: whoever sets SO_REUSEADDR, as servers do, may still listen there.
_held: list[socket.socket] = []


def hold_port(port: int = 0, host: str = "127.0.0.1") -> int:
    """A TCP port that nobody else is given until this process ends, for a program that it starts later.

    Without `port` a free one. Raises `OSError` where another program has it.
    """
    held = socket.socket()
    try:
        held.bind((host, port))
        # Only now: at the bind above it would have let two of us have one port.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        held.close()
        raise
    _held.append(held)
    return int(held.getsockname()[1])


def insist_free(port: int, host: str = "127.0.0.1") -> None:
    """Refuse to start beside another program: its open door would look like ours."""
    if port_answers(port, host):
        raise EngineError(f"port {port} of {host} is in use by another program")


def port_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there; a program that listens everywhere is asked on this machine."""
    try:
        with socket.create_connection(("127.0.0.1" if host == EVERYWHERE else host, port), timeout=1):
            return True
    except OSError:
        return False
