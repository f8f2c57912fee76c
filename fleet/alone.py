"""Runs a program's work in one process at a time: a second instance stands by and takes over when the first ends.

The lead is an advisory lock of the database session that does the work: when the process or its connection ends, the
server frees it. Faults end the session, are logged and counted, and the work begins anew after a growing pause.
"""

import logging
import random
import signal
import threading
from collections.abc import Callable
from types import FrameType

import psycopg

from fleet.database import Connection, connect

log = logging.getLogger(__name__)

# How often a stand-by asks for the lead: a take-over is noticed within the tick of any of the programs.
STAND_BY_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; the second one interrupts as ever. For the main thread of a program."""
    stop = threading.Event()

    def ask(signum: int, _: FrameType | None) -> None:
        log.info("%s: ending after the step under way", signal.Signals(signum).name, extra={"action": "stop"})
        stop.set()
        signal.signal(signum, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def run_alone(
    url: str,
    work: Callable[[Connection], None],
    *,
    program: str,
    lock: int,
    stop: threading.Event,
    on_lead: Callable[[bool], None] = lambda _: None,
    on_fault: Callable[[], None] = lambda: None,
) -> None:
    """Call `work` on an autocommit connection that holds the lead, again after each fault, until `stop` is set.

    `work` loops until `stop` is set, or raises; it opens its own transactions. `on_lead` hears when the lead is won and lost.
    """
    faults = 0
    while not stop.is_set():
        try:
            with connect(url, program=program, autocommit=True) as conn:
                if _wait_for_lead(conn, program=program, lock=lock, stop=stop):
                    on_lead(True)
                    faults = 0
                    work(conn)
        except psycopg.OperationalError as error:
            log.warning("%s lost the database: %s", program, error, extra={"action": "reconnect"})
            faults += 1
        except Exception:
            # The outermost loop: whatever went wrong, the next attempt starts from what is stored.
            log.exception("%s: a step failed", program, extra={"action": "restart"})
            on_fault()
            faults += 1
        on_lead(False)
        if faults:
            stop.wait(pause_s(faults, jitter=random.random()))


class Repeating:
    """A thread of a program that takes a step now and every so often; of several programs one does it."""

    def __init__(self, url: str, step: Callable[[Connection], None], *, every_s: float, program: str, lock: int) -> None:
        """Prepare without connecting; `step` gets an autocommit connection and may be repeated after a fault."""
        self._url = url
        self._step = step
        self._every_s = every_s
        self._program = program
        self._lock = lock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=program, daemon=True)

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End after the step under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        run_alone(self._url, self._work, program=self._program, lock=self._lock, stop=self._stop)

    def _work(self, conn: Connection) -> None:
        while not self._stop.is_set():
            self._step(conn)
            self._stop.wait(self._every_s)


def pause_s(faults: int, *, jitter: float) -> float:
    """How long to wait after so many faults in a row: doubling, bounded, and spread by `jitter` in [0, 1)."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(faults - 1, 16)) * (0.5 + 0.5 * jitter))


def _wait_for_lead(conn: Connection, *, program: str, lock: int, stop: threading.Event) -> bool:
    """Wait until this session holds the lead; False when stopped before."""
    stood_by = False
    while not stop.is_set():
        row = conn.execute("SELECT pg_try_advisory_lock(%(lock)s)", {"lock": lock}).fetchone()
        if row and row[0]:
            log.info("%s leads", program, extra={"action": "lead"})
            return True
        if not stood_by:
            log.info("another %s leads; standing by", program, extra={"action": "stand_by"})
            stood_by = True
        stop.wait(STAND_BY_S)
    return False
