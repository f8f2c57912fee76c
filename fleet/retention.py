"""Forgets what is older than the settings say: whole chunks of time series, and rows of the small tables beside them.

`drop_chunks` is a plain step that every edition of TimescaleDB has. Where the edition allows, samples too old to be
written any more are kept compressed.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from fleet.contract import OLDEST_SAMPLE_S
from fleet.database import Connection
from fleet.settings import RetentionSettings

log = logging.getLogger(__name__)

# Hypertables of what terminals said, kept by `keep_samples_days`.
SERIES = ("sample", "event", "signal")
# Tables beside them and the column that tells a row's age, kept as long as the series they belong to.
ROWS = {
    "ingest_batch": "received_at",
    "dead_letter": "last_at",
    "presence_change": "changed_at",
    "command_result": "received_at",
    "rollup_due": "bucket",
}
# A sample may come OLDEST_SAMPLE_S late; a day more, and no insert ever meets a compressed chunk.
COMPRESS_AFTER = timedelta(seconds=OLDEST_SAMPLE_S) + timedelta(days=1)


@dataclass(frozen=True)
class Forgotten:
    """How many chunks and rows are gone."""

    chunks: int
    rows: int


def forget(conn: Connection, *, settings: RetentionSettings, now: datetime) -> Forgotten:
    """Drop what is past its time; the caller commits.

    The newest rows of small tables stay as long as the samples they tell of: a reader far behind can still catch up.
    """
    samples_before = now - timedelta(days=settings.keep_samples_days)
    rollup_before = now - timedelta(days=settings.keep_rollup_days)
    chunks = sum(_drop_chunks(conn, table, samples_before) for table in SERIES)
    chunks += _drop_chunks(conn, "sample_5min", rollup_before)
    rows = sum(_delete(conn, table, column, samples_before) for table, column in ROWS.items())
    return Forgotten(chunks, rows)


def compress_where_possible(conn: Connection) -> bool:
    """Switch columnstore compression on for samples, if this edition has it; True where it is on.

    The Apache edition has none, and everything works without: a refusal is logged and changes nothing.
    """
    with conn.cursor(row_factory=scalar_row) as cursor:
        edition = cursor.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    if edition != "timescale":
        return False
    try:
        with conn.transaction():
            if not _is_compressed(conn):
                # Unique columns must be among the segmenting or ordering ones.
                conn.execute(
                    "ALTER TABLE fleet.sample SET (timescaledb.compress,"
                    " timescaledb.compress_segmentby = 'terminal_id', timescaledb.compress_orderby = 'at, boot, seq')"
                )
            conn.execute(
                "SELECT add_compression_policy('fleet.sample', %(after)s::interval, if_not_exists => true)",
                {"after": COMPRESS_AFTER},
            )
    except psycopg.Error as error:
        log.warning("samples stay uncompressed: %s", error, extra={"action": "compress"})
        return False
    return True


def _is_compressed(conn: Connection) -> bool:
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(
            "SELECT compression_enabled FROM timescaledb_information.hypertables"
            " WHERE (hypertable_schema, hypertable_name) = ('fleet', 'sample')"
        )
        return bool(cursor.fetchone())


def _drop_chunks(conn: Connection, table: str, before: datetime) -> int:
    return len(
        conn.execute(
            "SELECT drop_chunks(%(table)s::regclass, older_than => %(before)s::timestamptz)",
            {"table": f"fleet.{table}", "before": before},
        ).fetchall()
    )


def _delete(conn: Connection, table: str, column: str, before: datetime) -> int:
    query = sql.SQL("DELETE FROM fleet.{} WHERE {} < %(before)s").format(sql.Identifier(table), sql.Identifier(column))
    return conn.execute(query, {"before": before}).rowcount
