"""Brings a batch into the database whatever happens: waits out a lost server, tries again, and isolates a poison message.

Until `commit` returns, nothing may be acknowledged. It returns only when every message of the batch is stored or kept as
a dead letter, and raises `StoppedError` when the program must end first (the broker will send the batch again).
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event
from typing import TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray

from fleet.clock import Clock, to_ms
from fleet.database import Connection, connect
from fleet.errors import VigieError
from fleet.ingest.decode import DeadLetter, Decoded, Reason, decode
from fleet.ingest.fresh import Freshness
from fleet.ingest.metrics import IngestMetrics
from fleet.ingest.packets import Arrivals
from fleet.ingest.terminals import Terminals, registered
from fleet.ingest.writer import prepare, store_batch

log = logging.getLogger(__name__)

Done = TypeVar("Done")

_BACK_OFF_FIRST_S = 0.2
_BACK_OFF_MOST_S = 10.0
# The registry changes by imports, a few times a week. A topic not found makes us look at once, but not for each message.
_LOOK_AGAIN_S = 60.0
_LOOK_AGAIN_MISSED_S = 1.0
# Two batches with one time of receipt, or a repeat that was thought fresh, cost one more attempt each.
_MOST_CLASHES = 3


class StoppedError(VigieError):
    """The program was told to end while a batch could not be stored."""


class Store:
    """One connection and what is known of the terminals; used by one thread."""

    def __init__(self, url: str, *, worker: str, clock: Clock, stop: Event, metrics: IngestMetrics) -> None:
        self._url = url
        self._worker = worker
        self._clock = clock
        self._stop = stop
        self._metrics = metrics
        self._conn: Connection | None = None
        self._fresh = Freshness()
        self._looked_at = -_LOOK_AGAIN_S
        self._received_at = clock()
        self.terminals = Terminals()

    def open(self) -> None:
        """Wait for the database and read the registry; raises `StoppedError`."""
        self._persist(lambda: self._look(self._connection()))

    def close(self) -> None:
        """Close the connection."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def commit(self, arrivals: Arrivals) -> NDArray[np.void]:
        """Store a batch and commit; returns what terminals may forget (`SETTLED_DTYPE`)."""
        try:
            return self._persist(lambda: self._attempt(arrivals))
        except (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError, LookupError, ArithmeticError) as error:
            if len(arrivals) > 1:
                # One message holds something that neither we nor the contract foresaw: halve until it stands alone.
                middle = len(arrivals) // 2
                return np.concatenate([self.commit(part) for part in (arrivals.part(0, middle), arrivals.part(middle, None))])
            # Its kind only: the text of a database's error may quote what the message held.
            log.error("a message was refused and becomes a dead letter: %s", type(error).__name__, extra={"action": "refuse"})
            refused = _refused(arrivals, error)
            return self._persist(lambda: self._write(self._connection(), refused, 1))

    def _persist(self, attempt: Callable[[], Done]) -> Done:
        """Try until it succeeds, with growing pauses while the server is away; errors of the data are raised."""
        pause_s, clashes = _BACK_OFF_FIRST_S, 0
        while True:
            try:
                return attempt()
            except psycopg.errors.UniqueViolation:
                # Fresh was guessed wrong, or two workers had the same microsecond: both are different next time.
                self._metrics.failed()
                self._fresh = Freshness()
                self._roll_back()
                clashes += 1
                if clashes > _MOST_CLASHES:
                    raise
            except (psycopg.DataError, psycopg.IntegrityError):
                self._roll_back()
                raise
            except psycopg.Error as error:
                self._metrics.failed()
                self.close()
                log.warning("the database cannot store now, again in %.1f s: %s", pause_s, error, extra={"action": "store_retry"})
                if self._stop.wait(pause_s * random.uniform(0.5, 1.0)):
                    raise StoppedError("told to stop while the database was away") from error
                pause_s = min(2 * pause_s, _BACK_OFF_MOST_S)

    def _attempt(self, arrivals: Arrivals) -> NDArray[np.void]:
        conn = self._connection()
        if time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
            self._look(conn)
        received_at = self._next_receipt()
        decoded = decode(arrivals, self.terminals, received_ms=to_ms(received_at))
        if self.terminals.missed and time.monotonic() - self._looked_at > _LOOK_AGAIN_MISSED_S and self._look(conn):
            decoded = decode(arrivals, self.terminals, received_ms=to_ms(received_at))
        return self._write(conn, decoded, len(arrivals), received_at)

    def _write(self, conn: Connection, decoded: Decoded, messages: int, received_at: datetime | None = None) -> NDArray[np.void]:
        started = time.monotonic()
        fresh = self._fresh.judge(decoded.samples, terminals=len(self.terminals))
        with conn.transaction():
            stored = store_batch(
                conn,
                decoded,
                self.terminals,
                worker=self._worker,
                messages=messages,
                received_at=received_at or self._next_receipt(),
                fresh=fresh,
            )
        self._fresh.stored(decoded.samples, terminals=len(self.terminals))
        reasons = [letter.reason.value for letter in decoded.dead]
        self._metrics.committed(stored, messages=messages, reasons=reasons, seconds=time.monotonic() - started)
        for letter in decoded.dead[:10]:
            log.warning(
                "dead letter: %s",
                letter.reason,
                extra={"action": "dead_letter", "reason": letter.reason, "terminal": letter.terminal},
            )
        return decoded.settled

    def _connection(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._conn = connect(self._url, program="ingest", autocommit=True)
            prepare(self._conn)
        return self._conn

    def _roll_back(self) -> None:
        """Leave a failed transaction behind; a connection that cannot is given up."""
        if self._conn is not None and self._conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self.close()

    def _look(self, conn: Connection) -> int:
        """Read the registry again; returns how many terminals are new."""
        self._looked_at = time.monotonic()
        self.terminals.missed = 0
        return self.terminals.learn(registered(conn))

    def _next_receipt(self) -> datetime:
        """Now, or a microsecond after the last one: each batch has a time of its own."""
        self._received_at = max(self._clock(), self._received_at + timedelta(microseconds=1))
        return self._received_at


def _refused(arrivals: Arrivals, error: Exception) -> Decoded:
    """The one message of a batch as a dead letter."""
    # A database's error may quote the row; its first line says what is wrong.
    detail = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    letter = DeadLetter(arrivals.topics[0], arrivals.payloads[0], None, Reason.REFUSED, detail[:300])
    return Decoded.of_dead([letter])
