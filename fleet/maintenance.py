"""Keeps the fleet's tables in order beside the ingest: roll-up every few seconds, closed hours sorted, retention now and then.

Each `vigie ingest` runs this as a thread with its own connection; one of them works at a time, and another takes over
when it ends.
"""

import logging
import threading
import time
from collections.abc import Callable

from fleet import chunk_order, retention, rollup
from fleet.alone import run_alone
from fleet.clock import Clock
from fleet.database import Connection
from fleet.settings import RetentionSettings

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK = 0x7661_6769_0002
ROLLUP_EVERY_S = 10.0
FORGET_EVERY_S = 6 * 3600.0


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
        run_alone(self._url, self._work, program="maintenance", lock=LOCK, stop=self._stop)

    def _work(self, conn: Connection) -> None:
        with conn.transaction():
            retention.compress_where_possible(conn)
        forget_at = time.monotonic()
        while not self._stop.is_set():
            self._roll_up_due(conn)
            # One chunk between two roll-ups: the roll-up is awaited, the order is not.
            chunk_order.step(conn, now=self._clock())
            if time.monotonic() >= forget_at:
                with conn.transaction():
                    gone = retention.forget(conn, settings=self._settings, now=self._clock())
                log.info("retention: %s chunks and %s rows dropped", gone.chunks, gone.rows, extra={"action": "forget"})
                forget_at = time.monotonic() + FORGET_EVERY_S
            self._stop.wait(ROLLUP_EVERY_S)

    def _roll_up_due(self, conn: Connection) -> None:
        """Roll up all that is due, a transaction per step, until done or stopped."""
        more = True
        while more and not self._stop.is_set():
            with conn.transaction():
                done = rollup.step(conn, now=self._clock())
            self._on_rollup(done.rows)
            more = done.more
