"""What ingest has committed, read back exactly once and in order: the seam between `vigie ingest` and its readers.

Every ingest transaction writes one `fleet.ingest_batch` row, and all that it stored carries that row's `received_at`.
A batch's id is drawn together with its transaction id (`fleet.open_batch`), so both have the same order: a reader that
keeps the last id it took, and takes only batches whose transaction every snapshot already sees, misses none and reads none
twice, with any number of workers.

Samples leave the server as binary COPY and become arrays without a Python object per value.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import class_row

from fleet.contract import SAMPLE_FIELDS
from fleet.database import Connection

# `at` and `received_at` are milliseconds since the epoch; `values` has the columns of `contract.SAMPLE_FIELDS`, NaN: not measured.
SAMPLE_DTYPE = np.dtype(
    [
        ("terminal", "S6"),
        ("at", "<i8"),
        ("received_at", "<i8"),
        ("boot", "<i8"),
        ("seq", "<i8"),
        ("values", "<f4", (len(SAMPLE_FIELDS),)),
    ]
)
DEFAULT_LIMIT = 100_000
# PostgreSQL counts microseconds from 2000-01-01.
_PG_EPOCH_US = 946_684_800_000_000
# A tick of a stopped reader may find many batches; so many are looked at in one call.
_MOST_BATCHES = 5_000

# One row of binary COPY with every field at its full width (NULL comes as NaN).
_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("terminal_len", ">i4"),
        ("terminal", "S6"),
        ("at_len", ">i4"),
        ("at", ">i8"),
        ("received_at_len", ">i4"),
        ("received_at", ">i8"),
        ("boot_len", ">i4"),
        ("boot", ">i8"),
        ("seq_len", ">i4"),
        ("seq", ">i8"),
        ("values", [("len", ">i4"), ("value", ">f4")], (len(SAMPLE_FIELDS),)),
    ]
)
_HEADER_BYTES = 19
_TRAILER_BYTES = 2
SAMPLE_COLUMNS = "terminal_id, at, received_at, boot, seq, " + ", ".join(f"coalesce({name}, 'NaN')" for name in SAMPLE_FIELDS)


class EventRow(NamedTuple):
    """One stored event."""

    terminal: str
    at: datetime
    received_at: datetime
    boot: int
    seq: int
    code: str
    detail: str


@dataclass(frozen=True)
class FeedSlice:
    """What was committed after the reader's last batch, in order of commit.

    `samples` has `SAMPLE_DTYPE`; `batch_id` is what to ask with next time; `more` says that the limit cut it short.
    """

    samples: NDArray[np.void]
    events: list[EventRow]
    batch_id: int
    more: bool


class _Batch(NamedTuple):
    id: int
    received_at: datetime
    samples: int
    events: int
    at_min: datetime | None
    at_max: datetime | None


def last_batch(conn: Connection) -> int:
    """The newest batch a reader may take now: where a reader begins that has loaded its start-up state by other means.

    Take it *before* loading that state: what is committed meanwhile is then seen twice rather than not at all.
    """
    row = conn.execute(
        "SELECT coalesce(max(id), 0) FROM fleet.ingest_batch WHERE xid < pg_snapshot_xmin(pg_current_snapshot())"
    ).fetchone()
    return int(row[0]) if row else 0


def last_received(conn: Connection) -> datetime | None:
    """When the newest committed batch was received, None where there was none ever: how late our own pipeline is."""
    row = conn.execute("SELECT received_at FROM fleet.ingest_batch ORDER BY id DESC LIMIT 1").fetchone()
    return row[0] if row else None


def read_since(conn: Connection, *, batch_id: int, limit: int = DEFAULT_LIMIT) -> FeedSlice:
    """Read what was committed after `batch_id`: whole batches, stopping at the first that reaches `limit` samples and events.

    At least one batch comes where there is one. Raises `psycopg.OperationalError` where the server is gone: call again later
    with the same `batch_id`.
    """
    with conn.cursor(row_factory=class_row(_Batch)) as cursor:
        found = cursor.execute(
            "SELECT id, received_at, samples, events, at_min, at_max FROM fleet.ingest_batch"
            " WHERE id > %(id)s AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY id LIMIT %(most)s",
            {"id": batch_id, "most": _MOST_BATCHES},
        ).fetchall()
    taken = _up_to(found, limit)
    if not taken:
        return FeedSlice(np.empty(0, SAMPLE_DTYPE), [], batch_id, more=False)
    more = len(taken) < len(found) or len(found) == _MOST_BATCHES
    return FeedSlice(_samples_of(conn, taken), _events_of(conn, taken), taken[-1].id, more)


def latest_samples(
    conn: Connection,
    *,
    since: datetime,
    until: datetime | None = None,
    received_by: datetime | None = None,
    terminals: list[str] | None = None,
) -> NDArray[np.void]:
    """The newest sample of each terminal measured at or after `since`, as `SAMPLE_DTYPE`, in order of terminal.

    `terminals` None means the whole registry. A terminal without such a sample has no row. `until` bounds the search to
    chunks that can hold one (the newest sample the contract admits lies five minutes ahead). `received_by` leaves out what
    came later: the newest as it was known then.
    """
    chosen = "SELECT id FROM fleet.terminal" if terminals is None else "SELECT unnest(%(terminals)s::text[]) AS id"
    bound = "" if until is None else " AND at <= %(until)s"
    bound += "" if received_by is None else " AND received_at <= %(received_by)s"
    return copy_samples(
        conn,
        f"SELECT s.* FROM ({chosen}) t CROSS JOIN LATERAL (SELECT {SAMPLE_COLUMNS} FROM fleet.sample"
        f" WHERE terminal_id = t.id AND at >= %(since)s{bound} ORDER BY at DESC, boot DESC, seq DESC LIMIT 1) s ORDER BY t.id",
        {"terminals": terminals, "since": since, "until": until, "received_by": received_by},
    )


def samples_from_copy(data: bytes) -> NDArray[np.void]:
    """Binary COPY rows of the feed's columns as `SAMPLE_DTYPE`."""
    rows = np.frombuffer(data, _ROW, count=(len(data) - _HEADER_BYTES - _TRAILER_BYTES) // _ROW.itemsize, offset=_HEADER_BYTES)
    samples = np.empty(len(rows), SAMPLE_DTYPE)
    samples["terminal"] = rows["terminal"]
    samples["at"] = (rows["at"].astype("<i8") + _PG_EPOCH_US) // 1000
    samples["received_at"] = (rows["received_at"].astype("<i8") + _PG_EPOCH_US) // 1000
    samples["boot"] = rows["boot"]
    samples["seq"] = rows["seq"]
    samples["values"] = rows["values"]["value"]
    return samples


def _up_to(batches: list[_Batch], limit: int) -> list[_Batch]:
    total = 0
    for count, batch in enumerate(batches, start=1):
        total += batch.samples + batch.events
        if total >= limit:
            return batches[:count]
    return batches


def _bounds(batches: list[_Batch]) -> dict[str, Any]:
    """Parameters that find the rows of these batches: by block range over `received_at`, in the chunks that `at` names."""
    return {
        "first": batches[0].received_at if len(batches) == 1 else min(b.received_at for b in batches),
        "last": max(b.received_at for b in batches),
        "received": [b.received_at for b in batches],
        "at_min": min(b.at_min for b in batches if b.at_min is not None),
        "at_max": max(b.at_max for b in batches if b.at_max is not None),
    }


_FOUND = (
    " WHERE received_at BETWEEN %(first)s AND %(last)s AND received_at = ANY(%(received)s)"
    " AND at BETWEEN %(at_min)s AND %(at_max)s ORDER BY received_at, at"
)


def _samples_of(conn: Connection, batches: list[_Batch]) -> NDArray[np.void]:
    holding = [b for b in batches if b.samples]
    if not holding:
        return np.empty(0, SAMPLE_DTYPE)
    return copy_samples(conn, f"SELECT {SAMPLE_COLUMNS} FROM fleet.sample{_FOUND}", _bounds(holding))


def _events_of(conn: Connection, batches: list[_Batch]) -> list[EventRow]:
    holding = [b for b in batches if b.events]
    if not holding:
        return []
    rows = conn.execute(
        f"SELECT terminal_id, at, received_at, boot, seq, code, detail FROM fleet.event{_FOUND}, terminal_id, seq",
        _bounds(holding),
    ).fetchall()
    return [EventRow(*row) for row in rows]


def copy_samples(conn: Connection, query: str, params: dict[str, Any]) -> NDArray[np.void]:
    """The rows of a query that selects `SAMPLE_COLUMNS` of `fleet.sample`, as `SAMPLE_DTYPE`, in the query's order."""
    with conn.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", params) as copy:
        return samples_from_copy(b"".join(copy))
