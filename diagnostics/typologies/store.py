"""Typologies in the database: what they are called, what agents answer, and every step of their lives.

An answer is never changed: a new version follows it. A typology is never deleted: it is merged into another, or dismissed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from diagnostics.typologies.catalogue import delivered
from diagnostics.typologies.signature import Signature
from fleet.database import Connection
from fleet.errors import VigieError

LANGUAGES: Final = ("fr", "en")
DELIVERY_ACTOR: Final = "vigie"
# Notes that a typology keeps as its examples.
EXAMPLES_KEPT: Final = 40
Texts = Mapping[str, str]


class TypologyError(VigieError):
    """A typology cannot be changed so; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Typology:
    """A typology with the answer that holds; `version` 0: it has none. Descriptions and answers may be empty in a language."""

    id: int
    code: str | None
    state: Literal["known", "dismissed", "merged"]
    merged_into: int | None
    name_fr: str
    name_en: str
    description_fr: str
    description_en: str
    signature: dict[str, Any]
    example_notes: list[str]
    created_at: datetime
    created_by: str
    version: int
    answer_fr: str
    answer_en: str
    answered_at: datetime | None

    def name(self, language: str) -> str:
        """Its name; a language that lacks it lends the other's."""
        return _either(self.name_fr, self.name_en, language)

    def description(self, language: str) -> str:
        """Its description; a language that lacks it lends the other's."""
        return _either(self.description_fr, self.description_en, language)

    def answer(self, language: str) -> str:
        """The answer that holds; a language that lacks it lends the other's."""
        return _either(self.answer_fr, self.answer_en, language)


@dataclass(frozen=True, slots=True)
class Answer:
    """One version of an answer."""

    version: int
    text_fr: str
    text_en: str
    since: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class TypologyEvent:
    """One step of a typology's life."""

    id: int
    at: datetime
    kind: str
    actor: str
    detail: str


_TYPOLOGY = """
    SELECT t.id, t.code, t.state, t.merged_into, t.name_fr, t.name_en, t.description_fr, t.description_en, t.signature,
        t.example_notes, t.created_at, t.created_by, coalesce(a.version, 0) AS version, coalesce(a.text_fr, '') AS answer_fr,
        coalesce(a.text_en, '') AS answer_en, a.since AS answered_at
    FROM diagnostics.typology t
    LEFT JOIN LATERAL (
        SELECT * FROM diagnostics.typology_answer a WHERE a.typology_id = t.id ORDER BY a.version DESC LIMIT 1
    ) a ON true
"""


def deliver(conn: Connection, *, now: datetime) -> int:
    """Add the delivered typologies that are not there yet; what is there stays as people left it. Returns how many were added."""
    added = 0
    for one in delivered():
        row = conn.execute(
            "INSERT INTO diagnostics.typology (code, state, name_fr, name_en, description_fr, description_en, signature,"
            " example_notes, created_at, created_by) VALUES (%(code)s, 'known', %(name_fr)s, %(name_en)s, %(description_fr)s,"
            " %(description_en)s, %(signature)s, %(notes)s, %(now)s, %(actor)s) ON CONFLICT (code) DO NOTHING RETURNING id",
            {
                "code": one.code,
                **_by_language("name", one.name),
                **_by_language("description", one.description),
                "signature": Jsonb(one.signature.to_json()),
                "notes": list(one.notes),
                "now": now,
                "actor": DELIVERY_ACTOR,
            },
        ).fetchone()
        if row is not None:
            record(conn, row[0], kind="delivered", actor=DELIVERY_ACTOR, detail="", now=now)
            set_answer(conn, row[0], answer=one.answer, actor=DELIVERY_ACTOR, now=now)
            added += 1
    return added


def typologies(conn: Connection, *, states: Sequence[str] = ("known",)) -> list[Typology]:
    """The typologies in these states, by name."""
    with conn.cursor(row_factory=class_row(Typology)) as cursor:
        return cursor.execute(
            _TYPOLOGY + "WHERE t.state = ANY(%(states)s) ORDER BY t.name_fr, t.id", {"states": list(states)}
        ).fetchall()


def typology(conn: Connection, typology_id: int) -> Typology:
    """One typology, whatever its state; `TypologyError` where there is none."""
    with conn.cursor(row_factory=class_row(Typology)) as cursor:
        found = cursor.execute(_TYPOLOGY + "WHERE t.id = %(id)s", {"id": typology_id}).fetchone()
    if found is None:
        raise TypologyError("typology", f"no typology {typology_id}")
    return found


def answers_of(conn: Connection, typology_id: int) -> list[Answer]:
    """Every version of a typology's answer, the one that holds first."""
    with conn.cursor(row_factory=class_row(Answer)) as cursor:
        return cursor.execute(
            "SELECT version, text_fr, text_en, since, actor FROM diagnostics.typology_answer WHERE typology_id = %(id)s"
            " ORDER BY version DESC",
            {"id": typology_id},
        ).fetchall()


def events_of(conn: Connection, typology_id: int, *, kinds: Sequence[str] | None = None) -> list[TypologyEvent]:
    """A typology's life, newest first."""
    with conn.cursor(row_factory=class_row(TypologyEvent)) as cursor:
        return cursor.execute(
            "SELECT id, at, kind, actor, detail FROM diagnostics.typology_event WHERE typology_id = %(id)s"
            " AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s)) ORDER BY at DESC, id DESC",
            {"id": typology_id, "kinds": None if kinds is None else list(kinds)},
        ).fetchall()


def create(
    conn: Connection,
    *,
    name: Texts,
    description: Texts,
    answer: Texts,
    actor: str,
    now: datetime,
    signature: Signature | None = None,
    example_notes: Sequence[str] = (),
    state: Literal["known", "dismissed"] = "known",
) -> int:
    """Make a typology that the veille names; returns its id. A name in one language is enough."""
    row = conn.execute(
        "INSERT INTO diagnostics.typology (state, name_fr, name_en, description_fr, description_en, signature, example_notes,"
        " created_at, created_by) VALUES (%(state)s, %(name_fr)s, %(name_en)s, %(description_fr)s, %(description_en)s,"
        " %(signature)s, %(notes)s, %(now)s, %(actor)s) RETURNING id",
        {
            "state": state,
            **_by_language("name", _named(name)),
            **_by_language("description", description),
            "signature": Jsonb((signature or Signature()).to_json()),
            "notes": list(example_notes)[:EXAMPLES_KEPT],
            "now": now,
            "actor": actor,
        },
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    made = int(row[0])
    record(conn, made, kind="named" if state == "known" else "dismissed", actor=actor, detail="", now=now)
    set_answer(conn, made, answer=answer, actor=actor, now=now)
    return made


def describe(conn: Connection, typology_id: int, *, name: Texts, description: Texts, actor: str, now: datetime) -> bool:
    """Change what a typology is called and what is said of it; False where nothing changed."""
    changed = conn.execute(
        "UPDATE diagnostics.typology SET name_fr = %(name_fr)s, name_en = %(name_en)s, description_fr = %(description_fr)s,"
        " description_en = %(description_en)s WHERE id = %(id)s AND (name_fr, name_en, description_fr, description_en)"
        " IS DISTINCT FROM (%(name_fr)s, %(name_en)s, %(description_fr)s, %(description_en)s)",
        {"id": typology_id, **_by_language("name", _named(name)), **_by_language("description", description)},
    ).rowcount
    if changed:
        record(conn, typology_id, kind="described", actor=actor, detail=" / ".join(_named(name).values()), now=now)
    return bool(changed)


def set_answer(conn: Connection, typology_id: int, *, answer: Texts, actor: str, now: datetime) -> int:
    """Attach an answer as a new version, unless it is the one that holds; returns the version (0: none, and none before)."""
    current = conn.execute(
        "SELECT version, text_fr, text_en FROM diagnostics.typology_answer WHERE typology_id = %(id)s"
        " ORDER BY version DESC LIMIT 1",
        {"id": typology_id},
    ).fetchone()
    texts = {language: answer.get(language, "").strip() for language in LANGUAGES}
    version, held = (current[0], {"fr": current[1], "en": current[2]}) if current else (0, {"fr": "", "en": ""})
    if texts == held:
        return int(version)
    conn.execute(
        "INSERT INTO diagnostics.typology_answer (typology_id, version, text_fr, text_en, since, actor)"
        " VALUES (%(id)s, %(version)s, %(fr)s, %(en)s, %(now)s, %(actor)s)",
        {"id": typology_id, "version": version + 1, **texts, "now": now, "actor": actor},
    )
    record(conn, typology_id, kind="answered", actor=actor, detail=str(version + 1), now=now)
    return int(version) + 1


def mark_action(conn: Connection, typology_id: int, *, what: str, at: datetime, actor: str) -> None:
    """Mark that something was done about it in the world at a moment, so that before and after can be compared."""
    if not what.strip():
        raise TypologyError("what", "say in a few words what was done")
    record(conn, typology_id, kind="acted", actor=actor, detail=what.strip(), now=at)


def merge(conn: Connection, typology_id: int, *, into: int, actor: str, now: datetime) -> None:
    """Make a typology part of another: its members, examples and groups become the other's."""
    if typology_id == into:
        raise TypologyError("into", "a typology cannot be merged into itself")
    taken, kept = typology(conn, typology_id), typology(conn, into)
    if kept.state != "known" or taken.state == "merged":
        raise TypologyError("into", "both must be typologies that are in use")
    moved = {"into": into, "id": taken.id}
    for table in ("typology_match", "typology_candidate"):
        conn.execute(
            sql.SQL("UPDATE diagnostics.{} SET typology_id = %(into)s WHERE typology_id = %(id)s").format(sql.Identifier(table)),
            moved,
        )
    conn.execute("UPDATE diagnostics.typology SET state = 'merged', merged_into = %(into)s WHERE id = %(id)s", moved)
    add_examples(conn, into, taken.example_notes)
    record(conn, taken.id, kind="merged", actor=actor, detail=kept.name_fr, now=now)
    record(conn, into, kind="joined", actor=actor, detail=taken.name_fr, now=now)


def dismiss(conn: Connection, typology_id: int, *, actor: str, now: datetime) -> None:
    """Take a typology out of use: nothing is told of it, and what is like it is not offered again."""
    _move(conn, typology_id, "known", "dismissed", actor=actor, now=now)


def restore(conn: Connection, typology_id: int, *, actor: str, now: datetime) -> None:
    """Take a dismissed typology back into use."""
    _move(conn, typology_id, "dismissed", "known", actor=actor, now=now)


def add_examples(conn: Connection, typology_id: int, notes: Sequence[str]) -> None:
    """Keep notes as examples of a typology: the newest stay, each once."""
    held = typology(conn, typology_id).example_notes
    kept = list(dict.fromkeys([*reversed([note.strip() for note in notes if note.strip()]), *reversed(held)]))[:EXAMPLES_KEPT]
    conn.execute(
        "UPDATE diagnostics.typology SET example_notes = %(notes)s WHERE id = %(id)s", {"id": typology_id, "notes": kept[::-1]}
    )


def record(conn: Connection, typology_id: int, *, kind: str, actor: str, detail: str, now: datetime) -> None:
    """Write down a step of a typology's life."""
    conn.execute(
        "INSERT INTO diagnostics.typology_event (typology_id, at, kind, actor, detail)"
        " VALUES (%(id)s, %(now)s, %(kind)s, %(actor)s, %(detail)s)",
        {"id": typology_id, "now": now, "kind": kind, "actor": actor, "detail": detail},
    )


def _move(conn: Connection, typology_id: int, before: str, after: str, *, actor: str, now: datetime) -> None:
    moved = conn.execute(
        "UPDATE diagnostics.typology SET state = %(after)s WHERE id = %(id)s AND state = %(before)s",
        {"id": typology_id, "before": before, "after": after},
    ).rowcount
    if not moved:
        raise TypologyError("typology", f"typology {typology_id} is not {before}")
    record(conn, typology_id, kind="dismissed" if after == "dismissed" else "restored", actor=actor, detail="", now=now)


def _named(name: Texts) -> dict[str, str]:
    """A name in both languages: one that is missing is the other's."""
    found = {language: name.get(language, "").strip() for language in LANGUAGES}
    if not any(found.values()):
        raise TypologyError("name", "a typology needs a name")
    return {language: text or next(filter(None, found.values())) for language, text in found.items()}


def _by_language(field: str, texts: Texts) -> dict[str, str]:
    return {f"{field}_{language}": texts.get(language, "").strip() for language in LANGUAGES}


def _either(french: str, english: str, language: str) -> str:
    return (french or english) if language == "fr" else (english or french)
