"""The fleet in one line, for the screen of `vigie up`: cheap enough to be asked every few seconds."""

import time
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg.rows import class_row

from fleet.clock import Clock
from fleet.database import Connection, connect

WINDOW = timedelta(seconds=10)
READ_EVERY_S = 2.0
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
    """Reads the figures over one connection of its own, opened again when it was lost, no oftener than a screen needs."""

    def __init__(self, database_url: str, clock: Clock) -> None:
        self._url = database_url
        self._clock = clock
        self._conn: Connection | None = None
        self._next_s = 0.0
        self._last: Figures | None = None

    def recent(self) -> Figures | None:
        """The figures of a moment ago; None before the database first answered."""
        if time.monotonic() >= self._next_s:
            self._last = self._read() or self._last
            self._next_s = time.monotonic() + READ_EVERY_S
        return self._last

    def line(self) -> str:
        """The figures for a screen; empty before there are any."""
        figures = self.recent()
        return "" if figures is None else figures.line()

    def _read(self) -> Figures | None:
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
