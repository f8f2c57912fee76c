"""Groups of what matches no typology, as offered to the veille: found again under their ids, named, merged or dismissed.

Grouping takes seconds, so nothing is written before it is done: a transaction that had would hold back the feed all the while.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from diagnostics.typologies.grouping import (
    FEWEST,
    clusters,
    contrasts,
    in_common,
    same_group,
    signature_points,
)
from diagnostics.typologies.matches import writing
from diagnostics.typologies.notes import NoteSpace
from diagnostics.typologies.signature import Signature, mean_of
from diagnostics.typologies.store import EXAMPLES_KEPT, Texts, TypologyError, add_examples, create, record, typologies, typology
from diagnostics.typologies.things import LOOKED_BACK, MOST_THINGS, notes_of, notes_without_typology
from fleet.database import Connection
from fleet.registry import DIMENSIONS, all_terminals


@dataclass(frozen=True, slots=True)
class Candidate:
    """A group offered; `shared` is what its members have in common, see `regroup`."""

    id: int
    kind: str
    state: str
    found_at: datetime
    seen_at: datetime
    size: int
    shared: dict[str, Any]
    typology_id: int | None
    decided_at: datetime | None
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Members (refs) that lie together, and what they share."""

    members: Sequence[int]
    shared: dict[str, Any]


def regroup(conn: Connection, *, now: datetime) -> int:
    """Look for groups among what matches nothing, anew; returns how many are offered.

    On an autocommit connection no transaction is open while it computes; each kind's groups are then stored by themselves.
    `shared` of signatures: {"troubles", "scope", "z", "events"}, shares and means by name. Of notes: {"terms": the telling
    words, "contrasts": [{"dimension", "value", "inside", "outside"}] of the callers' terminals}.
    """
    offered = 0
    for kind in ("incident", "symptom", "note"):
        groups = _by_words(conn, now=now) if kind == "note" else _by_signature(conn, kind, now=now)
        with writing(conn):
            offered += _save(conn, kind, groups, now=now)
    return offered


def _by_signature(conn: Connection, kind: str, *, now: datetime) -> list[Group]:
    rows = conn.execute(
        "SELECT ref, signature FROM diagnostics.typology_match WHERE kind = %(kind)s AND typology_id IS NULL AND decided_by IS NULL"
        " AND at > %(since)s ORDER BY ref DESC LIMIT %(most)s",
        {"kind": kind, "since": now - LOOKED_BACK, "most": MOST_THINGS},
    ).fetchall()
    signatures = [Signature.from_json(signature) for _, signature in rows]
    if not signatures:
        return []
    return [
        Group([rows[place][0] for place in places], in_common([signatures[place] for place in places]))
        for places in clusters(signature_points(signatures), fewest=FEWEST[kind])
    ]


def _by_words(conn: Connection, *, now: datetime) -> list[Group]:
    notes = notes_without_typology(conn, now=now)
    if len(notes) < FEWEST["note"]:
        return []
    texts = [note.text for note in notes]
    # Few notes span no space: what the known typologies are about gives words their weights.
    examples = [example for one in typologies(conn) for example in one.example_notes]
    space = NoteSpace([*texts, *examples])
    found = clusters(space.points(texts), fewest=FEWEST["note"])
    if not found:
        return []
    fleet = all_terminals(conn)
    registry = {one.id: {name: getattr(one, name) for name in DIMENSIONS} for one in fleet}
    usual = _shares(list(registry.values()))
    rang = _terminals_of_calls(conn, [note.ref for note in notes])
    groups = []
    for places in found:
        inside = set(places)
        callers = [registry[t] for place in places for t in rang.get(notes[place].ref, ()) if t in registry]
        terms = space.terms([texts[place] for place in places], [text for place, text in enumerate(texts) if place not in inside])
        told = [asdict(one) for one in contrasts(callers, usual)] if callers else []
        groups.append(Group([notes[place].ref for place in places], {"terms": terms, "contrasts": told}))
    return groups


def _shares(terminals: Sequence[dict[str, str]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {name: {} for name in DIMENSIONS}
    for one in terminals:
        for name, value in one.items():
            found[name][value] = found[name].get(value, 0.0) + 1 / len(terminals)
    return found


def _terminals_of_calls(conn: Connection, refs: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for ref, terminal in conn.execute(
        "SELECT ref, terminal_id FROM fleet.signal WHERE kind = 'note' AND ref = ANY(%(refs)s) AND terminal_id <> ''",
        {"refs": [str(ref) for ref in refs]},
    ):
        found.setdefault(int(ref), []).append(terminal)
    return found


def _save(conn: Connection, kind: str, groups: Sequence[Group], *, now: datetime) -> int:
    """Store the groups found: one that overlaps an offered one is that one, an offered one that is not found is gone."""
    waiting = conn.execute(
        "SELECT id FROM diagnostics.typology_candidate WHERE state = 'offered' AND kind = %(kind)s ORDER BY id FOR UPDATE",
        {"kind": kind},
    ).fetchall()
    left: dict[int, list[int]] = {row[0]: [] for row in waiting}
    for candidate, ref in conn.execute(
        "SELECT candidate_id, ref FROM diagnostics.typology_match WHERE candidate_id = ANY(%(ids)s)", {"ids": list(left)}
    ):
        left[candidate].append(ref)
    conn.execute("UPDATE diagnostics.typology_match SET candidate_id = NULL WHERE candidate_id = ANY(%(ids)s)", {"ids": list(left)})
    kept = _still_unknown(conn, kind, groups)
    for group in kept:
        same = same_group(group.members, left)
        if same is not None:
            del left[same]
        _store_group(conn, kind, group, candidate=same, now=now)
    conn.execute("UPDATE diagnostics.typology_candidate SET state = 'gone' WHERE id = ANY(%(ids)s)", {"ids": list(left)})
    return len(kept)


def _still_unknown(conn: Connection, kind: str, groups: Sequence[Group]) -> list[Group]:
    """The groups without what was matched or decided while they were computed; one that is left with too few is none."""
    refs = [ref for group in groups for ref in group.members]
    rows = conn.execute(
        "SELECT ref FROM diagnostics.typology_match WHERE kind = %(kind)s AND ref = ANY(%(refs)s) AND typology_id IS NULL"
        " AND decided_by IS NULL ORDER BY ref FOR UPDATE",
        {"kind": kind, "refs": refs},
    ).fetchall()
    unknown = {row[0] for row in rows}
    left = [replace(group, members=[ref for ref in group.members if ref in unknown]) for group in groups]
    return [group for group in left if len(group.members) >= FEWEST[kind]]


def _store_group(conn: Connection, kind: str, group: Group, *, candidate: int | None, now: datetime) -> None:
    values = {"id": candidate, "kind": kind, "now": now, "size": len(group.members), "shared": Jsonb(group.shared)}
    if candidate is None:
        row = conn.execute(
            "INSERT INTO diagnostics.typology_candidate (kind, state, found_at, seen_at, size, shared)"
            " VALUES (%(kind)s, 'offered', %(now)s, %(now)s, %(size)s, %(shared)s) RETURNING id",
            values,
        ).fetchone()
        assert row is not None  # INSERT … RETURNING gives its row
        candidate = row[0]
    else:
        conn.execute(
            "UPDATE diagnostics.typology_candidate SET seen_at = %(now)s, size = %(size)s, shared = %(shared)s WHERE id = %(id)s",
            values,
        )
    conn.execute(
        "UPDATE diagnostics.typology_match SET candidate_id = %(candidate)s WHERE kind = %(kind)s AND ref = ANY(%(refs)s)",
        {"candidate": candidate, "kind": kind, "refs": list(group.members)},
    )


def offered(conn: Connection) -> list[Candidate]:
    """The groups that wait for the veille, the largest first."""
    return _candidates(conn, "WHERE state = 'offered' ORDER BY size DESC, id", {})


def candidate(conn: Connection, candidate_id: int) -> Candidate:
    """One group; `TypologyError` where there is none."""
    found = _candidates(conn, "WHERE id = %(id)s", {"id": candidate_id})
    if not found:
        raise TypologyError("candidate", f"no group {candidate_id}")
    return found[0]


def members(conn: Connection, candidate_id: int) -> list[int]:
    """The refs of a group's members, newest first."""
    rows = conn.execute(
        "SELECT ref FROM diagnostics.typology_match WHERE candidate_id = %(id)s ORDER BY at DESC, ref DESC", {"id": candidate_id}
    ).fetchall()
    return [row[0] for row in rows]


def name_candidate(
    conn: Connection, candidate_id: int, *, name: Texts, description: Texts, answer: Texts, actor: str, now: datetime
) -> int:
    """Make a group a typology; returns the typology's id. Its members are the typology's, by the word of `actor`."""
    group = _waiting(conn, candidate_id)
    notes, signature = _what_it_is(conn, group)
    made = create(
        conn, name=name, description=description, answer=answer, actor=actor, now=now, signature=signature, example_notes=notes
    )
    _close(conn, group, state="named", typology_id=made, actor=actor, now=now)
    return made


def merge_candidate(conn: Connection, candidate_id: int, *, into: int, actor: str, now: datetime) -> None:
    """Say that a group is of a known typology, which learns from it."""
    group, kept = _waiting(conn, candidate_id), typology(conn, into)
    if kept.state != "known":
        raise TypologyError("into", f"typology {into} is not in use")
    notes, _ = _what_it_is(conn, group)
    add_examples(conn, into, notes)
    record(conn, into, kind="joined", actor=actor, detail=", ".join(group.shared.get("terms", ())), now=now)
    _close(conn, group, state="merged", typology_id=into, actor=actor, now=now)


def dismiss_candidate(conn: Connection, candidate_id: int, *, name: str, actor: str, now: datetime) -> None:
    """Say that a group is nothing: what is like it is taken in silence, and not offered again."""
    group = _waiting(conn, candidate_id)
    notes, signature = _what_it_is(conn, group)
    made = create(
        conn,
        name={"fr": name},
        description={},
        answer={},
        actor=actor,
        now=now,
        signature=signature,
        example_notes=notes,
        state="dismissed",
    )
    _close(conn, group, state="dismissed", typology_id=made, actor=actor, now=now)


def _what_it_is(conn: Connection, group: Candidate) -> tuple[list[str], Signature]:
    refs = members(conn, group.id)
    if group.kind == "note":
        return list(dict.fromkeys(note.text for note in notes_of(conn, refs)))[:EXAMPLES_KEPT], Signature()
    rows = conn.execute("SELECT signature FROM diagnostics.typology_match WHERE candidate_id = %(id)s", {"id": group.id}).fetchall()
    return [], mean_of([Signature.from_json(row[0]) for row in rows])


def _waiting(conn: Connection, candidate_id: int) -> Candidate:
    """The group, kept from the next grouping until the caller commits; `TypologyError` where it does not wait."""
    conn.execute("SELECT FROM diagnostics.typology_candidate WHERE id = %(id)s FOR UPDATE", {"id": candidate_id})
    found = candidate(conn, candidate_id)
    if found.state != "offered":
        raise TypologyError("candidate", f"group {candidate_id} was {found.state} before")
    return found


def _close(conn: Connection, group: Candidate, *, state: str, typology_id: int, actor: str, now: datetime) -> None:
    conn.execute(
        "UPDATE diagnostics.typology_match SET typology_id = %(typology)s, decided_by = %(actor)s, matched_at = %(now)s"
        " WHERE candidate_id = %(id)s",
        {"typology": typology_id, "actor": actor, "now": now, "id": group.id},
    )
    conn.execute(
        "UPDATE diagnostics.typology_candidate SET state = %(state)s, typology_id = %(typology)s, decided_at = %(now)s,"
        " decided_by = %(actor)s WHERE id = %(id)s",
        {"state": state, "typology": typology_id, "actor": actor, "now": now, "id": group.id},
    )


def _candidates(conn: Connection, rest: str, parameters: dict[str, object]) -> list[Candidate]:
    with conn.cursor(row_factory=class_row(Candidate)) as cursor:
        return cursor.execute(f"SELECT * FROM diagnostics.typology_candidate {rest}", parameters).fetchall()
