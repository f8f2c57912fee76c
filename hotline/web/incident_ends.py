"""Closes calls with their incidents: listens for what happens to incidents, whoever ended them."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import psycopg
from anyio import to_thread

from diagnostics.incidents import CHANNEL
from fleet.database import KEEPALIVE

log = logging.getLogger(__name__)

# A storm changes many incidents at once: one look serves for all that came meanwhile.
_PAUSE_S: Final = 0.5
# A notice that got lost is made up for by looking now and then.
_LOOK_EVERY_S: Final = 60.0
_BACK_OFF_S: Final = 5.0


class IncidentEnds:
    """Lives in the web program's event loop; every web process may run one."""

    def __init__(self, *, database_url: str, close: Callable[[], int]) -> None:
        """`close` closes the calls whose incident is over, in a thread, and returns how many."""
        self._url = database_url
        self._close = close

    async def run(self) -> None:
        """Listen until cancelled; a lost connection comes back, and what was missed is made up for."""
        while True:
            try:
                await self._listen()
            except psycopg.OperationalError as error:
                log.warning("listening for incidents failed, again soon: %s", error, extra={"action": "listen"})
            except Exception:
                log.exception("calls could not be closed with their incidents, again soon", extra={"action": "close_calls"})
            await asyncio.sleep(_BACK_OFF_S)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name="vigie web incidents", **KEEPALIVE
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            while True:
                closed = await to_thread.run_sync(self._close)
                if closed:
                    log.info("%d calls closed with their incidents", closed, extra={"action": "close_calls", "calls": closed})
                async for _notice in connection.notifies(timeout=_LOOK_EVERY_S, stop_after=1):
                    await asyncio.sleep(_PAUSE_S)
