"""Notes whose console is open, every half minute: what occupancy is a share of, and who the wall says is free."""

import asyncio
import logging
from collections.abc import Callable

import psycopg
from anyio import to_thread
from psycopg_pool import ConnectionPool

from fleet.clock import Clock
from fleet.database import Connection
from hotline.attendance import NOTED_EVERY, note_present

log = logging.getLogger(__name__)


class RollCall:
    """Lives in the web program's event loop; asks who is there, and writes it in a thread."""

    def __init__(self, pool: ConnectionPool[Connection], clock: Clock, *, there: Callable[[], set[int]]) -> None:
        """`there` says whose console is open."""
        self._pool = pool
        self._clock = clock
        self._there = there

    async def run(self) -> None:
        """Take the roll until cancelled; while the database is away, who is there stays unknown."""
        while True:
            try:
                await self.take()
            except psycopg.OperationalError as error:
                log.warning("who is there could not be noted: %s", error, extra={"action": "roll_call"})
            except Exception:
                log.exception("who is there could not be noted", extra={"action": "roll_call"})
            await asyncio.sleep(NOTED_EVERY.total_seconds())

    async def take(self) -> None:
        """Note who is there now."""
        there = self._there()
        if there:
            await to_thread.run_sync(self._note, there)

    def _note(self, there: set[int]) -> None:
        with self._pool.connection() as conn:
            note_present(conn, agents=there, now=self._clock())
