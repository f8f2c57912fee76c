"""Keeps the fleet's tables in order beside the ingest: roll-up every few seconds, retention every few hours.

Each `vigie ingest` runs this as a thread with its own connection. An advisory lock of the session lets one of them work
at a time; when its process or connection ends, the lock is free and another takes over.
"""

import logging
import threading
import time
from collections.abc import Callable

import psycopg

from fleet import retention, rollup
from fleet.clock import Clock
from fleet.database import Connection, connect
from fleet.settings import RetentionSettings

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
_LOCK = 0x7661_6769_0002
ROLLUP_EVERY_S = 10.0
FORGET_EVERY_S = 6 * 3600.0
# After a fault, for instance a server that restarts.
BACK_OFF_S = 5.0


class Maintenance:
    """The housekeeping thread: `start`, later `stop`, which waits for the step under way."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        settings: RetentionSettings,
        on_rollup: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare without connecting.

        Args:
            url: the database.
            clock: the program's clock.
            settings: how long to keep what.
            on_rollup: told the rows of each roll-up step, for metrics.
        """
        self._url = url
        self._clock = clock
        self._settings = settings
        self._on_rollup = on_rollup
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def stop(self, *, timeout_s: float = 30.0) -> None:
        """End after the step under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._url, program="maintenance") as conn:
                    self._work(conn)
            except psycopg.OperationalError as error:
                log.warning("maintenance waits for the database: %s", error, extra={"action": "maintenance"})
            except Exception:
                # The outermost loop: housekeeping must not end because one step failed.
                log.exception("a step of maintenance failed", extra={"action": "maintenance"})
            self._stop.wait(BACK_OFF_S)

    def _work(self, conn: Connection) -> None:
        while not _take_lock(conn):
            # Another worker keeps house; it may end.
            if self._stop.wait(ROLLUP_EVERY_S):
                return
        retention.compress_where_possible(conn)
        conn.commit()
        forget_at = time.monotonic()
        while not self._stop.is_set():
            self.roll_up_due(conn)
            if time.monotonic() >= forget_at:
                gone = retention.forget(conn, settings=self._settings, now=self._clock())
                conn.commit()
                log.info("retention: %s chunks and %s rows dropped", gone.chunks, gone.rows, extra={"action": "forget"})
                forget_at = time.monotonic() + FORGET_EVERY_S
            self._stop.wait(ROLLUP_EVERY_S)

    def roll_up_due(self, conn: Connection) -> int:
        """Roll up all that is due, a transaction per step, until done or stopped; returns the rows written."""
        rows = 0
        more = True
        while more and not self._stop.is_set():
            done = rollup.step(conn, now=self._clock())
            conn.commit()
            self._on_rollup(done.rows)
            rows += done.rows
            more = done.more
        return rows


def _take_lock(conn: Connection) -> bool:
    """Whether this session may work from now on; it keeps the lock until it ends."""
    row = conn.execute("SELECT pg_try_advisory_lock(%(key)s)", {"key": _LOCK}).fetchone()
    conn.commit()
    return bool(row and row[0])
