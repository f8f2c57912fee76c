"""The fleet in one line, for the screen of `vigie up`: cheap enough to be asked every few seconds."""

from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg.rows import class_row

from fleet.clock import Clock
from fleet.database import Connection, connect

WINDOW = timedelta(seconds=10)
# A second shown late is no loss; a query that hangs must not keep the supervisor from its work.
STATEMENT_TIMEOUT = "2s"


@dataclass(frozen=True)
class Figures:
    """What the fleet does now."""

    terminals: int
    online: int
    samples_per_s: float
    dead_letters: int
    calls: int

    def line(self) -> str:
        """For people."""
        return (
            f"fleet        {self.online:,} of {self.terminals:,} terminals online, {self.samples_per_s:,.0f} samples/s, "
            f"{self.calls:,} calls, {self.dead_letters:,} dead letters"
        )


class FigureReader:
    """Reads the figures over one connection of its own, opened again when it was lost."""

    def __init__(self, database_url: str, clock: Clock) -> None:
        self._url = database_url
        self._clock = clock
        self._conn: Connection | None = None

    def read(self) -> Figures | None:
        """The figures now; None while the database cannot answer."""
        try:
            if self._conn is None or self._conn.closed:
                self._conn = connect(self._url, program="up", autocommit=True)
                self._conn.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'")
            return self._query(self._conn)
        except psycopg.Error:
            self.close()
            return None

    def close(self) -> None:
        """Give the connection back."""
        if self._conn is not None:
            self._conn.close()
        self._conn = None

    def _query(self, conn: Connection) -> Figures:
        now = self._clock()
        with conn.cursor(row_factory=class_row(Figures)) as cursor:
            row = cursor.execute(
                """
                SELECT (SELECT count(*) FROM fleet.terminal) AS terminals,
                    (SELECT count(*) FROM fleet.presence WHERE online) AS online,
                    (SELECT coalesce(sum(samples), 0)::float8 / %(window_s)s FROM fleet.ingest_batch
                     WHERE received_at > %(since)s AND received_at <= %(now)s) AS samples_per_s,
                    (SELECT count(*) FROM fleet.dead_letter) AS dead_letters,
                    (SELECT count(*) FROM hotline.call) AS calls
                """,
                {"window_s": WINDOW.total_seconds(), "since": now - WINDOW, "now": now},
            ).fetchone()
        assert row is not None
        return row
