"""Puts each hour of samples in the order of terminals once it is over, so that one terminal's day lies in few pages.

Samples arrive in the order of time: a terminal's next row lies a whole fleet further on, and its last 24 hours in as many
pages as rows. Rewriting a closed chunk along its key (`CLUSTER`) brings them together: about a fifth of the pages for the
last day, most of them in the hour that is not over yet.

The rewrite locks its chunk for some seconds. Readers of the newest samples never touch a closed chunk; who reads a day, or
stores a sample that comes hours late, waits that long. A chunk is small (an hour) to keep the wait short.
"""

import logging
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fleet.database import Connection

log = logging.getLogger(__name__)

# Samples still come in from terminals that were away for a moment.
GRACE = timedelta(minutes=10)
# Somebody reads the chunk: the next step tries again, nobody queues behind us.
LOCK_TIMEOUT_MS = 1000


class _Chunk(NamedTuple):
    schema_name: str
    table_name: str
    index_name: str


def step(conn: Connection, *, now: datetime) -> bool:
    """Rewrite the newest closed chunk that is not in order yet; True where one was, and there may be more.

    For an autocommit connection: the rewrite is a transaction of its own.
    """
    chunk = _due(conn, now=now)
    if chunk is None:
        return False
    try:
        with conn.transaction():
            conn.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT_MS))
            # One core is enough for it, and leaves the others to those who wait.
            conn.execute("SET LOCAL max_parallel_maintenance_workers = 0")
            table, index = sql.Identifier(chunk.schema_name, chunk.table_name), sql.Identifier(chunk.index_name)
            conn.execute(sql.SQL("CLUSTER {} USING {}").format(table, index))
    except psycopg.errors.LockNotAvailable:
        log.info("%s is being used, its order waits", chunk.table_name, extra={"action": "order", "chunk": chunk.table_name})
        return False
    except psycopg.Error as error:
        if conn.closed:
            raise
        # No room for the copy, say: reading is slower, all else goes on.
        log.warning("%s stays unordered: %s", chunk.table_name, error, extra={"action": "order", "chunk": chunk.table_name})
        return False
    log.info("%s is in order", chunk.table_name, extra={"action": "order", "chunk": chunk.table_name})
    return True


def _due(conn: Connection, *, now: datetime) -> _Chunk | None:
    """PostgreSQL itself remembers which index a table was last ordered by (`indisclustered`)."""
    with conn.cursor(row_factory=class_row(_Chunk)) as cursor:
        return cursor.execute(
            """
            SELECT c.chunk_schema AS schema_name, c.chunk_name AS table_name, name.relname AS index_name
            FROM timescaledb_information.chunks c
            JOIN pg_index i ON i.indrelid = format('%%I.%%I', c.chunk_schema, c.chunk_name)::regclass AND i.indisunique
            JOIN pg_class name ON name.oid = i.indexrelid
            WHERE (c.hypertable_schema, c.hypertable_name) = ('fleet', 'sample')
              AND c.range_end < %(closed_by)s AND NOT i.indisclustered AND c.is_compressed IS NOT TRUE
            ORDER BY c.range_end DESC LIMIT 1
            """,
            {"closed_by": now - GRACE},
        ).fetchone()
