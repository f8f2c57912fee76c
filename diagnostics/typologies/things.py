"""What is compared with typologies, read from the database as signatures and texts: incidents, lone symptoms, call notes.

A call note is the `detail` of its call's rows in `fleet.signal` of kind `note`, whose `ref` is the call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from diagnostics.troubles import Trouble
from diagnostics.typologies.signature import FEWEST_EVENTS, ONE_TERMINAL, WHOLE_FLEET, Signature
from fleet.database import Connection

# Things older than this are left as they were matched; groups are looked for among younger ones.
LOOKED_BACK: Final = timedelta(days=14)
# Events and calls just before the first sign belong to it; calls come for a while after the end.
_BEFORE, _AFTER = timedelta(minutes=5), timedelta(hours=1)
# A symptom may still turn out to be part of an incident.
_SETTLED: Final = timedelta(minutes=2)
# Of a large incident so many terminals tell how many events one sends.
_TERMINALS_ASKED: Final = 300
# In one step so many of each kind are taken, and so many notes are looked through for groups.
MOST_THINGS, MOST_NOTES, MOST_GROUPED = 500, 2000, 1000
_FEWEST_NOTES: Final = 3


@dataclass(frozen=True, slots=True)
class Thing:
    """An incident or a symptom to be matched; `at` is when it began. `title`: what a person called it who declared it."""

    ref: int
    at: datetime
    signature: Signature
    title: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What agents wrote of one call; `at` is when it rang."""

    ref: int
    at: datetime
    text: str


_INCIDENTS = """
    SELECT i.id, i.began_at, i.trouble, i.scope, i.evidence, i.title
    FROM diagnostics.incident i LEFT JOIN diagnostics.typology_match m ON m.kind = 'incident' AND m.ref = i.id
    WHERE i.began_at > %(since)s AND m.decided_by IS NULL
        AND (m.ref IS NULL OR i.closed_at IS NULL OR i.closed_at + %(after)s > m.matched_at)
    ORDER BY i.id DESC LIMIT %(most)s
"""
_EVENTS = """
    SELECT i.id, e.code, count(*)::float / max(asked.count)
    FROM diagnostics.incident i
    CROSS JOIN LATERAL (
        SELECT n.terminal_id, count(*) OVER () AS count FROM (
            SELECT n.terminal_id FROM diagnostics.incident_terminal n
            WHERE n.incident_id = i.id AND (n.hit_at IS NOT NULL OR i.trouble IS NULL) ORDER BY n.terminal_id LIMIT %(asked)s
        ) n
    ) asked
    JOIN fleet.event e ON e.terminal_id = asked.terminal_id
        AND e.at >= i.began_at - %(before)s AND e.at < coalesce(i.closed_at, %(now)s) AND e.at > %(since)s
    WHERE i.id = ANY(%(ids)s) AND e.code NOT IN ('OPEN', 'CLOSE') AND NOT (e.code = 'REBOOT' AND e.detail LIKE 'expected%%')
    GROUP BY i.id, e.code
"""
_WORDS = """
    SELECT i.id, m.typology_id, count(DISTINCT g.ref)
    FROM diagnostics.incident i
    JOIN fleet.signal g ON g.kind = 'note' AND g.at > %(since)s
        AND g.at >= i.began_at - %(before)s AND g.at < coalesce(i.closed_at, %(now)s) + %(after)s
    JOIN diagnostics.incident_terminal n ON n.incident_id = i.id AND n.terminal_id = g.terminal_id
    JOIN diagnostics.typology_match m ON m.kind = 'note' AND m.ref = g.ref::bigint
    WHERE i.id = ANY(%(ids)s)
    GROUP BY i.id, m.typology_id
"""
# An incident explains its terminals' symptoms.
_EXPLAINED = """
    EXISTS (
        SELECT FROM diagnostics.incident_terminal n JOIN diagnostics.incident i ON i.id = n.incident_id
        WHERE n.terminal_id = s.terminal_id AND n.hit_at IS NOT NULL
            AND i.began_at <= s.found_at + interval '10 minutes' AND coalesce(i.closed_at, 'infinity') >= s.began_at
    )
"""


def incidents_to_match(conn: Connection, *, now: datetime) -> list[Thing]:
    """Incidents that are not matched yet, or that may have changed since; what a person decided stays."""
    times = {"now": now, "since": now - LOOKED_BACK, "before": _BEFORE, "after": _AFTER}
    rows = conn.execute(_INCIDENTS, {**times, "most": MOST_THINGS}).fetchall()
    ids = [row[0] for row in rows]
    events = _shares(conn.execute(_EVENTS, {**times, "ids": ids, "asked": _TERMINALS_ASKED}).fetchall()) if ids else {}
    words = _shares(conn.execute(_WORDS, {**times, "ids": ids}).fetchall()) if ids else {}
    return [
        Thing(
            number,
            began_at,
            signature_of(trouble, scope, evidence, events=events.get(number, {}), notes=words.get(number, {})),
            title="" if trouble else title,
        )
        for number, began_at, trouble, scope, evidence, title in rows
    ]


def signature_of(
    trouble: str | None,
    scope: Mapping[str, str],
    evidence: Mapping[str, Any],
    *,
    events: Mapping[str, float],
    notes: Mapping[int | None, float],
) -> Signature:
    """`notes` counts the calls' notes by typology, None for those that match none."""
    leading = evidence.get("leading")
    matched = {typology: count for typology, count in notes.items() if typology is not None}
    # A surge of calls is what most of its calls are about. Beside telemetry a few notes about one thing support it.
    total = sum((notes if trouble == Trouble.CALLS else matched).values())
    telling = trouble == Trouble.CALLS or total >= _FEWEST_NOTES
    return Signature(
        troubles={trouble: 1.0} if trouble else {},
        scope=frozenset(scope) or frozenset({WHOLE_FLEET}),
        # Without evidence nothing is known of the metrics, which is not the same as all being well.
        z=None if leading is None else {one["metric"]: one["inside"] - one["outside"] for one in leading},
        events={code: rate for code, rate in events.items() if rate >= FEWEST_EVENTS},
        words={typology: count / total for typology, count in matched.items()} if total and telling else None,
    )


def symptoms_to_match(conn: Connection, *, now: datetime, back: timedelta = LOOKED_BACK) -> list[Thing]:
    """Symptoms of single terminals, not older than `back`, that no incident explains and that are not matched yet."""
    rows = conn.execute(
        "SELECT s.id, s.terminal_id, s.began_at, s.trouble FROM diagnostics.symptom s"
        " LEFT JOIN diagnostics.typology_match m ON m.kind = 'symptom' AND m.ref = s.id"
        f" WHERE m.ref IS NULL AND s.found_at > %(since)s AND s.found_at < %(settled)s AND NOT {_EXPLAINED}"
        " ORDER BY s.id DESC LIMIT %(most)s",
        {"since": now - back, "settled": now - _SETTLED, "most": MOST_THINGS},
    ).fetchall()
    events: dict[int, dict[str, float]] = {}
    if rows:
        for number, code in conn.execute(
            "SELECT DISTINCT s.id, e.code FROM diagnostics.symptom s JOIN fleet.event e ON e.terminal_id = s.terminal_id"
            " AND e.at >= s.began_at - %(before)s AND e.at < coalesce(s.ended_at, %(now)s) AND e.at > %(since)s"
            " WHERE s.id = ANY(%(ids)s) AND e.code NOT IN ('OPEN', 'CLOSE')",
            {"now": now, "since": now - LOOKED_BACK, "before": _BEFORE, "ids": [row[0] for row in rows]},
        ):
            events.setdefault(number, {})[code] = 1.0
    alone = Signature(scope=frozenset({ONE_TERMINAL}))
    return [
        Thing(number, began_at, replace(alone, troubles={Trouble(trouble): 1.0}, events=events.get(number, {})))
        for number, _, began_at, trouble in rows
    ]


def forget_explained(conn: Connection, *, now: datetime) -> int:
    """Take back the matches of symptoms that an incident came to explain; returns how many."""
    return conn.execute(
        "DELETE FROM diagnostics.typology_match m USING diagnostics.symptom s WHERE m.kind = 'symptom' AND m.ref = s.id"
        f" AND m.decided_by IS NULL AND m.matched_at > %(since)s AND {_EXPLAINED}",
        {"since": now - timedelta(hours=1)},
    ).rowcount


def notes_to_match(conn: Connection, *, now: datetime, back: timedelta = LOOKED_BACK) -> list[Note]:
    """Notes of calls not older than `back` that are not matched yet, or that were written anew since."""
    return _notes(
        conn,
        "LEFT JOIN diagnostics.typology_match m ON m.kind = 'note' AND m.ref = g.ref::bigint"
        " WHERE g.kind = 'note' AND g.at > %(since)s AND g.detail <> ''"
        " AND (m.ref IS NULL OR (m.decided_by IS NULL AND m.signature->>'digest' IS DISTINCT FROM md5(g.detail)))",
        {"since": now - back, "most": MOST_NOTES},
    )


def notes_without_typology(conn: Connection, *, now: datetime) -> list[Note]:
    """Notes that match no typology, newest first."""
    return _notes(
        conn,
        "JOIN diagnostics.typology_match m ON m.kind = 'note' AND m.ref = g.ref::bigint AND m.typology_id IS NULL"
        " AND m.decided_by IS NULL WHERE g.kind = 'note' AND g.at > %(since)s AND g.detail <> ''",
        {"since": now - LOOKED_BACK, "most": MOST_GROUPED},
    )


def notes_of(conn: Connection, refs: Sequence[int]) -> list[Note]:
    """The notes of these calls, newest first; those whose time to be kept is over are not there."""
    return _notes(
        conn, "WHERE g.kind = 'note' AND g.ref = ANY(%(refs)s)", {"refs": [str(ref) for ref in refs], "most": MOST_THINGS}
    )


def recent_notes(conn: Connection, *, now: datetime, most: int) -> list[str]:
    """The newest notes, whatever they match: the language that notes are written in."""
    found = _notes(
        conn, "WHERE g.kind = 'note' AND g.at > %(since)s AND g.detail <> ''", {"since": now - LOOKED_BACK, "most": most}
    )
    return [note.text for note in found]


def _notes(conn: Connection, rest: str, parameters: Mapping[str, object]) -> list[Note]:
    """Each call once: every terminal of its shop carries the same note."""
    rows = conn.execute(
        f"SELECT ref, at, detail FROM (SELECT DISTINCT ON (g.ref) g.ref, g.at, g.detail FROM fleet.signal g {rest}"
        " ORDER BY g.ref) one ORDER BY at DESC, ref LIMIT %(most)s",
        parameters,
    ).fetchall()
    return [Note(int(ref), at, text) for ref, at, text in rows]


def _shares(rows: Sequence[tuple[int, Any, float]]) -> dict[int, dict[Any, float]]:
    found: dict[int, dict[Any, float]] = {}
    for number, name, value in rows:
        found.setdefault(number, {})[name] = float(value)
    return found
