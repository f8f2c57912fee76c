"""Stores one decoded batch in one transaction: all of it or nothing, and what is already there not twice.

Samples go by COPY into a temporary table and from there by `INSERT … ON CONFLICT DO NOTHING`; where no sample of the batch
can be a repeat (`fresh.py`), straight into the hypertable, at half the cost. The caller owns the transaction.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet import presence
from fleet.clock import from_ms, to_ms
from fleet.database import Connection
from fleet.ingest.decode import DeadLetter, Decoded
from fleet.ingest.rows import SAMPLE_COLUMNS, copy_rows
from fleet.ingest.terminals import Terminals
from fleet.rollup import BUCKET, GRACE

_BUCKET_MS = int(BUCKET.total_seconds() * 1000)
_GRACE_MS = int(GRACE.total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch came to: rows stored, rows that were there already, messages that were not taken."""

    samples: int
    events: int
    repeats: int
    dead_letters: int


def prepare(conn: Connection) -> None:
    """Make this connection's staging table; once after connecting."""
    conn.execute("CREATE TEMP TABLE staged_sample (LIKE fleet.sample) ON COMMIT DELETE ROWS")


def store_batch(
    conn: Connection,
    decoded: Decoded,
    terminals: Terminals,
    *,
    worker: str,
    messages: int,
    received_at: datetime,
    fresh: NDArray[np.bool_],
) -> Stored:
    """Store a batch; commits nothing.

    Args:
        conn: a connection that `prepare` has seen.
        decoded: the batch.
        terminals: whose numbers the batch uses.
        worker: whose batch this is.
        messages: how many messages it was made from.
        received_at: the batch's time of receipt; no other batch may have the same.
        fresh: which samples cannot be there already; where that is wrong, `psycopg.errors.UniqueViolation` is raised.
    """
    row = conn.execute("SELECT fleet.open_batch()").fetchone()
    samples = _store_samples(conn, decoded, terminals, received_at, fresh)
    events = _store_events(conn, decoded, terminals, received_at) if decoded.events else 0
    if decoded.presence:
        said = [(terminals.name_of(each.terminal), each.body) for each in decoded.presence]
        presence.store(conn, said, received_at=received_at)
    if decoded.reported:
        _store_reported(conn, decoded, terminals, received_at)
    if decoded.results:
        _store_results(conn, decoded, terminals, received_at)
    if decoded.dead:
        _store_dead_letters(conn, decoded.dead, received_at)
    _mark_rollups(conn, decoded, terminals, to_ms(received_at))
    stored = Stored(samples, events, len(decoded.samples) - samples + len(decoded.events) - events, len(decoded.dead))
    at = np.concatenate([decoded.samples["at"], np.array([event.at for _, _, event in decoded.events], np.int64)])
    conn.execute(
        """
        INSERT INTO fleet.ingest_batch
            (id, xid, worker, received_at, messages, samples, events, repeats, dead_letters, at_min, at_max)
        VALUES (%(id)s, pg_current_xact_id(), %(worker)s, %(received)s, %(messages)s, %(samples)s, %(events)s, %(repeats)s,
            %(dead)s, %(at_min)s, %(at_max)s)
        """,
        {
            "id": row[0] if row else None,
            "worker": worker,
            "received": received_at,
            "messages": messages,
            "samples": stored.samples,
            "events": stored.events,
            "repeats": stored.repeats,
            "dead": stored.dead_letters,
            "at_min": from_ms(int(at.min())) if len(at) else None,
            "at_max": from_ms(int(at.max())) if len(at) else None,
        },
    )
    return stored


def _store_samples(
    conn: Connection, decoded: Decoded, terminals: Terminals, received_at: datetime, fresh: NDArray[np.bool_]
) -> int:
    if len(decoded.samples) == 0:
        return 0
    received_us = _micros(received_at)
    stored = 0
    with conn.cursor() as cursor:
        for target, rows in (("fleet.sample", decoded.samples[fresh]), ("staged_sample", decoded.samples[~fresh])):
            if len(rows) == 0:
                continue
            with cursor.copy(f"COPY {target} ({SAMPLE_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
                copy.write(copy_rows(rows, names=terminals.names, received_us=received_us))
            if target == "staged_sample":
                cursor.execute(
                    f"INSERT INTO fleet.sample ({SAMPLE_COLUMNS}) SELECT {SAMPLE_COLUMNS} FROM staged_sample ON CONFLICT DO NOTHING"
                )
            stored += cursor.rowcount
    return stored


def _store_events(conn: Connection, decoded: Decoded, terminals: Terminals, received_at: datetime) -> int:
    events = decoded.events
    return conn.execute(
        """
        INSERT INTO fleet.event (terminal_id, at, received_at, boot, seq, code, detail)
        SELECT terminal, to_timestamp(at / 1000.0), %(received)s, boot, seq, code, detail
        FROM unnest(%(terminals)s::text[], %(at)s::bigint[], %(boots)s::bigint[], %(seqs)s::bigint[], %(codes)s::text[],
            %(details)s::text[]) AS said (terminal, at, boot, seq, code, detail)
        ON CONFLICT DO NOTHING
        """,
        {
            "received": received_at,
            "terminals": [terminals.name_of(terminal) for terminal, _, _ in events],
            "at": [event.at for _, _, event in events],
            "boots": [boot for _, boot, _ in events],
            "seqs": [event.seq for _, _, event in events],
            "codes": [event.code.value for _, _, event in events],
            "details": [storable(event.detail) for _, _, event in events],
        },
    ).rowcount


def _store_reported(conn: Connection, decoded: Decoded, terminals: Terminals, received_at: datetime) -> None:
    """Store what each terminal reported last."""
    last = {terminals.name_of(each.terminal): each.body for each in decoded.reported}
    names = sorted(last)
    conn.execute(
        """
        INSERT INTO fleet.reported (terminal_id, received_at, rev, firmware, slot, config)
        SELECT terminal, %(received)s, rev, firmware, slot, config::jsonb
        FROM unnest(%(terminals)s::text[], %(revs)s::bigint[], %(firmware)s::text[], %(slots)s::text[], %(configs)s::text[])
            AS said (terminal, rev, firmware, slot, config)
        ON CONFLICT (terminal_id) DO UPDATE SET received_at = excluded.received_at, rev = excluded.rev,
            firmware = excluded.firmware, slot = excluded.slot, config = excluded.config
        """,
        {
            "received": received_at,
            "terminals": names,
            "revs": [last[name].rev for name in names],
            "firmware": [storable(last[name].firmware) for name in names],
            "slots": [storable(last[name].slot) for name in names],
            "configs": [msgspec.json.encode(last[name].config).decode() for name in names],
        },
    )


def _store_results(conn: Connection, decoded: Decoded, terminals: Terminals, received_at: datetime) -> None:
    results = sorted(((terminals.name_of(each.terminal), each.body) for each in decoded.results), key=lambda r: (r[0], r[1].id))
    conn.execute(
        """
        INSERT INTO fleet.command_result (terminal_id, id, received_at, ok, detail)
        SELECT terminal, id, %(received)s, ok, detail
        FROM unnest(%(terminals)s::text[], %(ids)s::bigint[], %(ok)s::bool[], %(details)s::text[])
            AS said (terminal, id, ok, detail)
        ON CONFLICT DO NOTHING
        """,
        {
            "received": received_at,
            "terminals": [name for name, _ in results],
            "ids": [result.id for _, result in results],
            "ok": [result.ok for _, result in results],
            "details": [storable(result.detail) for _, result in results],
        },
    )


def _store_dead_letters(conn: Connection, dead: list[DeadLetter], received_at: datetime) -> None:
    """Store each different message once, and count how often it came."""
    digests = [hashlib.sha256(letter.topic + b"\0" + letter.payload).digest() for letter in dead]
    times = Counter(digests)
    letters = dict(sorted(zip(digests, dead, strict=True), key=lambda pair: pair[0]))
    conn.execute(
        """
        INSERT INTO fleet.dead_letter (digest, received_at, last_at, times, topic, terminal_id, reason, detail, payload)
        SELECT digest, %(received)s, %(received)s, times, topic, terminal, reason, detail, payload
        FROM unnest(%(digests)s::bytea[], %(times)s::int[], %(topics)s::text[], %(terminals)s::text[], %(reasons)s::text[],
            %(details)s::text[], %(payloads)s::bytea[]) AS said (digest, times, topic, terminal, reason, detail, payload)
        ON CONFLICT (digest) DO UPDATE SET times = dead_letter.times + excluded.times, last_at = excluded.last_at
        """,
        {
            "received": received_at,
            "digests": list(letters),
            "times": [times[digest] for digest in letters],
            "topics": [letter.topic.decode("utf-8", "replace") for letter in letters.values()],
            "terminals": [letter.terminal for letter in letters.values()],
            "reasons": [letter.reason.value for letter in letters.values()],
            "details": [storable(letter.detail) for letter in letters.values()],
            "payloads": [letter.payload for letter in letters.values()],
        },
    )


def _mark_rollups(conn: Connection, decoded: Decoded, terminals: Terminals, received_ms: int) -> None:
    """Say which 5-minute buckets the batch touched: a bucket not yet rolled up as a whole, a past one terminal by terminal."""
    if len(decoded.samples) == 0:
        return
    buckets = decoded.samples["at"] // _BUCKET_MS * _BUCKET_MS
    past = buckets + _BUCKET_MS + _GRACE_MS <= received_ms
    marks: list[tuple[int, str | None]] = [(bucket, None) for bucket in np.unique(buckets[~past]).tolist()]
    marks += _past_marks(buckets[past], decoded.samples["terminal"][past], terminals)
    conn.execute(
        "INSERT INTO fleet.rollup_due (bucket, terminal_id)"
        " SELECT to_timestamp(bucket / 1000.0), terminal FROM unnest(%(buckets)s::bigint[], %(terminals)s::text[])"
        " AS due (bucket, terminal)",
        {"buckets": [bucket for bucket, _ in marks], "terminals": [terminal for _, terminal in marks]},
    )


def _past_marks(buckets: NDArray[np.int64], numbers: NDArray[np.int32], terminals: Terminals) -> list[tuple[int, str | None]]:
    if len(buckets) == 0:
        return []
    pairs = np.unique(np.stack([buckets, numbers.astype(np.int64)], axis=1), axis=0)
    return [(bucket, terminals.name_of(number)) for bucket, number in pairs.tolist()]


def storable(text: str) -> str:
    """The text without the one character that PostgreSQL cannot store."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _micros(moment: datetime) -> int:
    return to_ms(moment) * 1000 + moment.microsecond % 1000
