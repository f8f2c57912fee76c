"""The adapted answer for what is wrong now at some terminals: what an agent reads aloud."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.database import Connection


@dataclass(frozen=True, slots=True)
class Advice:
    """A typology's adapted answer, and why it concerns these terminals.

    `name` and `text` are by language, `fr` and `en`. `incident_id` is the incident that it was found by (None: the terminals'
    own symptoms); `terminals` are those of the asked that it concerns.
    """

    typology_id: int
    name: Mapping[str, str]
    text: Mapping[str, str]
    version: int
    incident_id: int | None
    terminals: Sequence[str]


# Muted ones are told to nobody, so not to callers either. What a person wrote for one incident comes before its typology's answer.
_OF_TERMINALS = """
    WITH touched AS (
        SELECT m.typology_id, n.incident_id, n.terminal_id FROM diagnostics.incident_terminal n
        JOIN diagnostics.incident i ON i.id = n.incident_id AND i.state <> 'closed' AND NOT i.muted AND i.advice = ''
        JOIN diagnostics.typology_match m ON m.kind = 'incident' AND m.ref = i.id
        WHERE n.terminal_id = ANY(%(ids)s)
        UNION ALL
        SELECT m.typology_id, NULL, s.terminal_id FROM diagnostics.symptom s
        JOIN diagnostics.typology_match m ON m.kind = 'symptom' AND m.ref = s.id
        WHERE s.terminal_id = ANY(%(ids)s) AND s.ended_at IS NULL AND NOT EXISTS (
            -- What an incident explains is answered by the incident's answer.
            SELECT FROM diagnostics.incident_terminal n JOIN diagnostics.incident i ON i.id = n.incident_id
            WHERE n.terminal_id = s.terminal_id AND n.hit_at IS NOT NULL AND i.state <> 'closed'
        )
    )
    SELECT t.id, t.name_fr, t.name_en, a.text_fr, a.text_en, a.version, touched.incident_id,
        array_agg(DISTINCT touched.terminal_id)
    FROM touched
    JOIN diagnostics.typology t ON t.id = touched.typology_id AND t.state = 'known'
    JOIN LATERAL (
        SELECT * FROM diagnostics.typology_answer a WHERE a.typology_id = t.id ORDER BY a.version DESC LIMIT 1
    ) a ON a.text_fr <> '' OR a.text_en <> ''
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY touched.incident_id NULLS LAST, t.id
"""


def advice_for(conn: Connection, *, terminals: Sequence[str]) -> list[Advice]:
    """The answers that fit what is wrong at these terminals now: those of open incidents first, then of their own symptoms.

    A typology comes once for each incident that it was found by, and once for symptoms; one without an answer does not come. A
    text that one language lacks is given in the other.
    """
    if not terminals:
        return []
    rows = conn.execute(_OF_TERMINALS, {"ids": list(terminals)}).fetchall()
    return [
        Advice(
            typology_id=typology,
            name={"fr": name_fr, "en": name_en},
            text={"fr": text_fr or text_en, "en": text_en or text_fr},
            version=version,
            incident_id=incident,
            terminals=sorted(touched),
        )
        for typology, name_fr, name_en, text_fr, text_en, version, incident, touched in rows
    ]


def advice_for_incident(conn: Connection, *, incident_id: int) -> Advice | None:
    """The answer of the typology that an incident was found to be of, whatever its state; None where it has advice of its own."""
    row = conn.execute(
        "SELECT t.id, t.name_fr, t.name_en, a.text_fr, a.text_en, a.version FROM diagnostics.typology_match m"
        " JOIN diagnostics.incident i ON i.id = m.ref AND i.advice = ''"
        " JOIN diagnostics.typology t ON t.id = m.typology_id AND t.state = 'known'"
        " JOIN diagnostics.typology_answer a ON a.typology_id = t.id"
        " WHERE m.kind = 'incident' AND m.ref = %(id)s ORDER BY a.version DESC LIMIT 1",
        {"id": incident_id},
    ).fetchone()
    if row is None:
        return None
    typology, name_fr, name_en, text_fr, text_en, version = row
    text = {"fr": text_fr or text_en, "en": text_en or text_fr}
    return Advice(typology, {"fr": name_fr, "en": name_en}, text, version, incident_id, ())
