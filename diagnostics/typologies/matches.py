"""What was matched, in the database: kept by thing, counted by day, and corrected by people."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from diagnostics.typologies.daily import bounds_of
from diagnostics.typologies.matching import Known, Match
from diagnostics.typologies.signature import Signature
from diagnostics.typologies.store import TypologyError, add_examples, typologies
from fleet.database import Connection

KINDS: Final = ("incident", "symptom", "note")
# Members that a person confirmed, and strangers, that the matching learns from: the newest of them.
_MEMBERS, _STRANGERS = 50, 300
STRANGERS_BACK: Final = timedelta(days=90)
# The key is arbitrary, but ours alone.
_WRITES: Final = 0x7661_6769_0008


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing with what it was matched to (`typology_id` None: nothing)."""

    kind: str
    ref: int
    at: datetime
    typology_id: int | None
    candidate_id: int | None
    similarity: float
    p: float
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class Matched:
    """A match to be stored; `signature` is what it was found by."""

    kind: str
    ref: int
    at: datetime
    match: Match
    signature: dict[str, Any]


@contextmanager
def writing(conn: Connection) -> Iterator[None]:
    """A short transaction of the sorting's: what is written in it is computed before, and two sorters write in turn.

    One that has written holds back every reader of the feed (`fleet.feed`) until it ends.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": _WRITES})
        yield


def save(conn: Connection, found: Iterable[Matched], *, now: datetime) -> None:
    """Store matches; one that a person decided stays, and one that is matched leaves its group."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO diagnostics.typology_match AS m (kind, ref, at, matched_at, typology_id, similarity, p, signature)"
            " VALUES (%(kind)s, %(ref)s, %(at)s, %(now)s, %(typology)s, %(similarity)s, %(p)s, %(signature)s)"
            " ON CONFLICT (kind, ref) DO UPDATE SET at = excluded.at, matched_at = excluded.matched_at,"
            " typology_id = excluded.typology_id, similarity = excluded.similarity, p = excluded.p, signature = excluded.signature,"
            " candidate_id = CASE WHEN excluded.typology_id IS NULL THEN m.candidate_id END"
            " WHERE m.decided_by IS NULL",
            [
                {
                    "kind": one.kind,
                    "ref": one.ref,
                    "at": one.at,
                    "now": now,
                    "typology": one.match.typology if one.match.matched else None,
                    "similarity": one.match.similarity,
                    "p": one.match.p,
                    "signature": Jsonb(one.signature),
                }
                for one in found
            ],
        )


def known_typologies(conn: Connection) -> list[Known]:
    """The typologies with the signatures of the members that people confirmed; dismissed ones among them: they match in silence."""
    members: dict[int, list[Signature]] = {}
    for typology, signature in conn.execute(
        "SELECT typology_id, signature FROM (SELECT m.*, row_number() OVER (PARTITION BY typology_id ORDER BY at DESC) AS place"
        " FROM diagnostics.typology_match m WHERE decided_by IS NOT NULL AND typology_id IS NOT NULL AND kind <> 'note') newest"
        " WHERE place <= %(most)s ORDER BY typology_id, at",
        {"most": _MEMBERS},
    ):
        members.setdefault(typology, []).append(Signature.from_json(signature))
    return [
        Known(one.id, Signature.from_json(one.signature), members.get(one.id, ()))
        for one in typologies(conn, states=("known", "dismissed"))
    ]


def strangers(conn: Connection, *, now: datetime) -> list[tuple[int, Signature]]:
    """Past incidents that matched nothing, newest first, with their ids."""
    rows = conn.execute(
        "SELECT ref, signature FROM diagnostics.typology_match WHERE kind = 'incident' AND typology_id IS NULL AND at > %(since)s"
        " ORDER BY at DESC LIMIT %(most)s",
        {"since": now - STRANGERS_BACK, "most": _STRANGERS},
    ).fetchall()
    return [(ref, Signature.from_json(signature)) for ref, signature in rows]


def of_typology(conn: Connection, typology_id: int, *, kind: str, limit: int = 20) -> list[Stored]:
    """The newest things of a kind that are of a typology."""
    return _stored(
        conn,
        "WHERE typology_id = %(id)s AND kind = %(kind)s ORDER BY at DESC, ref DESC LIMIT %(limit)s",
        {"id": typology_id, "kind": kind, "limit": limit},
    )


def of_refs(conn: Connection, *, kind: str, refs: Sequence[int]) -> dict[int, Stored]:
    """What these things were matched to; one that was not compared yet is not there."""
    found = _stored(conn, "WHERE kind = %(kind)s AND ref = ANY(%(refs)s)", {"kind": kind, "refs": list(refs)})
    return {one.ref: one for one in found}


def decide(conn: Connection, *, kind: str, ref: int, typology_id: int | None, actor: str, now: datetime) -> None:
    """Say what a thing is of, or that it is of none; the matching leaves it so and learns from it."""
    changed = conn.execute(
        "UPDATE diagnostics.typology_match SET typology_id = %(typology)s, decided_by = %(actor)s, candidate_id = NULL,"
        " matched_at = %(now)s WHERE kind = %(kind)s AND ref = %(ref)s",
        {"kind": kind, "ref": ref, "typology": typology_id, "actor": actor, "now": now},
    ).rowcount
    if not changed:
        raise TypologyError("ref", f"no {kind} {ref} was compared with typologies")
    if kind == "note" and typology_id is not None:
        rows = conn.execute(
            "SELECT detail FROM fleet.signal WHERE kind = 'note' AND ref = %(ref)s LIMIT 1", {"ref": str(ref)}
        ).fetchall()
        add_examples(conn, typology_id, [row[0] for row in rows])


def daily_counts(conn: Connection, *, first: date, last: date) -> list[tuple[int | None, str, date, int]]:
    """Things per day of Paris: typology (None: none), kind, day, count. Incidents that are part of another do not count."""
    return conn.execute(
        "SELECT m.typology_id, m.kind, (m.at AT TIME ZONE 'Europe/Paris')::date, count(*)::integer"
        " FROM diagnostics.typology_match m LEFT JOIN diagnostics.incident i ON m.kind = 'incident' AND i.id = m.ref"
        " WHERE m.at >= %(first)s AND m.at < %(last)s AND i.parent_id IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        {"first": bounds_of(first)[0], "last": bounds_of(last)[1]},
    ).fetchall()


def daily_terminals(conn: Connection, typology_id: int, *, first: date, last: date) -> list[tuple[date, int]]:
    """Terminals per day of Paris that a typology's incidents hit or that had its symptom, each once a day."""
    return conn.execute(
        "SELECT day, count(DISTINCT terminal_id)::integer FROM ("
        " SELECT (n.hit_at AT TIME ZONE 'Europe/Paris')::date AS day, n.terminal_id FROM diagnostics.typology_match m"
        " JOIN diagnostics.incident_terminal n ON n.incident_id = m.ref WHERE m.kind = 'incident' AND m.typology_id = %(id)s"
        " UNION ALL SELECT (s.found_at AT TIME ZONE 'Europe/Paris')::date, s.terminal_id FROM diagnostics.typology_match m"
        " JOIN diagnostics.symptom s ON s.id = m.ref WHERE m.kind = 'symptom' AND m.typology_id = %(id)s"
        ") touched WHERE day BETWEEN %(first)s AND %(last)s GROUP BY day ORDER BY day",
        {"id": typology_id, "first": first, "last": last},
    ).fetchall()


def first_day(conn: Connection) -> date | None:
    """The first day of Paris of which anything was compared."""
    row = conn.execute("SELECT (min(at) AT TIME ZONE 'Europe/Paris')::date FROM diagnostics.typology_match").fetchone()
    return row[0] if row else None


def _stored(conn: Connection, rest: str, parameters: dict[str, object]) -> list[Stored]:
    with conn.cursor(row_factory=class_row(Stored)) as cursor:
        return cursor.execute(
            f"SELECT kind, ref, at, typology_id, candidate_id, similarity, p, decided_by FROM diagnostics.typology_match {rest}",
            parameters,
        ).fetchall()


@dataclass(frozen=True, slots=True)
class MatchedNote:
    """A call note with what it was matched to."""

    ref: int
    at: datetime
    text: str
    typology_id: int | None
    candidate_id: int | None
    p: float
    decided_by: str | None


def newest_notes(
    conn: Connection, *, since: datetime, typology_id: int | None = None, refs: Sequence[int] | None = None, limit: int = 60
) -> list[MatchedNote]:
    """Matched notes since a moment, newest first: all, those of one typology, or those of these calls."""
    with conn.cursor(row_factory=class_row(MatchedNote)) as cursor:
        return cursor.execute(
            "SELECT ref, at, text, typology_id, candidate_id, p, decided_by FROM ("
            " SELECT DISTINCT ON (m.ref) m.ref, m.at, g.detail AS text, m.typology_id, m.candidate_id, m.p, m.decided_by"
            " FROM diagnostics.typology_match m JOIN fleet.signal g ON g.kind = 'note' AND g.ref = m.ref::text AND g.at = m.at"
            " WHERE m.kind = 'note' AND g.at >= %(since)s AND g.detail <> ''"
            " AND (%(typology)s::bigint IS NULL OR m.typology_id = %(typology)s)"
            " AND (%(refs)s::bigint[] IS NULL OR m.ref = ANY(%(refs)s)) ORDER BY m.ref"
            ") one ORDER BY at DESC, ref DESC LIMIT %(limit)s",
            {"since": since, "typology": typology_id, "refs": None if refs is None else list(refs), "limit": limit},
        ).fetchall()


def lone_symptoms(conn: Connection, refs: Sequence[int]) -> list[tuple[str, str, datetime]]:
    """Terminal, trouble and time of these symptoms, newest first."""
    return conn.execute(
        "SELECT terminal_id, trouble, found_at FROM diagnostics.symptom WHERE id = ANY(%(ids)s) ORDER BY found_at DESC, id",
        {"ids": list(refs)},
    ).fetchall()
