"""When each device was last there: gathered in memory, and written together every few seconds.

A crash loses the last seconds of it, which every device's next poll makes good.
"""

import logging
import threading
from datetime import datetime
from typing import Final

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from firmware_rollout.ddi.store import save_visits
from fleet.database import Connection

log = logging.getLogger(__name__)

WRITE_EVERY_S: Final = 5.0


class Visits:
    """Gathers visits; a thread of its own writes them."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._seen: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def saw(self, terminal_id: str, now: datetime) -> None:
        """A device was there."""
        with self._lock:
            self._seen[terminal_id] = now

    def start(self) -> None:
        """Begin to write."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="device visits", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(WRITE_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            with self._pool.connection() as conn:
                save_visits(conn, seen)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("%s visits of devices wait: %s", len(seen), type(error).__name__, extra={"action": "device_visits"})
            with self._lock:
                self._seen = {**seen, **self._seen}
