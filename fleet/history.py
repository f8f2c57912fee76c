"""What one terminal has said over a span of time: raw samples, or a coarser series for plots.

The unique key (terminal, at, boot, seq) is the index that serves both; see benchmarks/lookup.py.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import dict_row

from fleet.contract import COUNTERS, SAMPLE_FIELDS
from fleet.database import Connection
from fleet.feed import SAMPLE_COLUMNS, copy_samples

# From this step on the 5-minute roll-up serves: it is a tenth of the rows.
ROLLUP_STEP = timedelta(minutes=5)


def samples_between(conn: Connection, *, terminal_id: str, start: datetime, end: datetime) -> NDArray[np.void]:
    """The terminal's samples with `start <= at < end`, oldest first, as `fleet.feed.SAMPLE_DTYPE` (NaN: not measured)."""
    return copy_samples(
        conn,
        f"SELECT {SAMPLE_COLUMNS} FROM fleet.sample WHERE terminal_id = %(terminal_id)s AND at >= %(start)s AND at < %(end)s"
        " ORDER BY at, boot, seq",
        {"terminal_id": terminal_id, "start": start, "end": end},
    )


def series_between(conn: Connection, *, terminal_id: str, start: datetime, end: datetime, step: timedelta) -> list[dict[str, Any]]:
    """The same span in steps: `at` (start of the step), `samples`, counters summed, gauges averaged.

    Steps without samples are absent. Steps of five minutes or more are read from the roll-up, which follows the samples by
    a few minutes.
    """
    return series_of(conn, terminals=[terminal_id], fields=SAMPLE_FIELDS, start=start, end=end, step=step)[terminal_id]


def series_of(
    conn: Connection, *, terminals: Sequence[str], fields: Sequence[str], start: datetime, end: datetime, step: timedelta
) -> dict[str, list[dict[str, Any]]]:
    """The series of each of these terminals, as `series_between` has them, with these fields of a sample only."""
    rolled_up = step >= ROLLUP_STEP
    time, table = ("bucket", "sample_5min") if rolled_up else ("at", "sample")
    weight = sql.SQL("samples" if rolled_up else "1")
    query = sql.SQL(
        """
        SELECT terminal_id, time_bucket(%(step)s, {time}) AS at, sum({weight})::integer AS samples {fields} FROM fleet.{table}
        WHERE terminal_id = ANY(%(terminals)s) AND {time} >= %(start)s AND {time} < %(end)s
        GROUP BY 1, 2 ORDER BY 2
        """
    ).format(
        time=sql.Identifier(time),
        table=sql.Identifier(table),
        weight=weight,
        fields=sql.SQL("").join(sql.SQL(", {}").format(_aggregate(name, weight)) for name in fields),
    )
    found: dict[str, list[dict[str, Any]]] = {terminal: [] for terminal in terminals}
    with conn.cursor(row_factory=dict_row, binary=True) as cursor:
        parameters = {"terminals": list(found), "start": start, "end": end, "step": step}
        for row in cursor.execute(query, parameters):
            found[row.pop("terminal_id")].append(row)
    return found


def events_between(
    conn: Connection, *, terminal_id: str, start: datetime, end: datetime, limit: int
) -> list[tuple[datetime, str, str]]:
    """The terminal's events with `start <= at < end`, newest first: when, by its own clock; which; its detail."""
    return conn.execute(
        "SELECT at, code, detail FROM fleet.event WHERE terminal_id = %(terminal_id)s AND at >= %(start)s AND at < %(end)s"
        " ORDER BY at DESC, boot DESC, seq DESC LIMIT %(limit)s",
        {"terminal_id": terminal_id, "start": start, "end": end, "limit": limit},
    ).fetchall()


def _aggregate(name: str, weight: sql.Composable) -> sql.Composable:
    """A counter's sum, or a gauge's mean weighted by the samples behind each row that measured it."""
    field = sql.Identifier(name)
    if name in COUNTERS:
        return sql.SQL("sum({field}) AS {field}").format(field=field)
    return sql.SQL(
        "(sum({field} * {weight}) / nullif(sum({weight}) FILTER (WHERE {field} IS NOT NULL), 0))::real AS {field}"
    ).format(field=field, weight=weight)
