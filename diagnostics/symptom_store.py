"""Symptoms in the database: one row for each anomaly of one terminal, from when it was found to its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from psycopg.rows import kwargs_row

from diagnostics.detector.observed import Signs
from diagnostics.snapshot import F32, I64, Bool, Ids, Snapshot
from diagnostics.troubles import TROUBLE_INDEX, TROUBLES, Trouble
from fleet.clock import from_ms, to_ms
from fleet.database import Connection


@dataclass(frozen=True, slots=True)
class Symptom:
    """An anomaly of one terminal: first sign, when it was found, its end (None: it lasts), the figure told and its p-value."""

    terminal_id: str
    trouble: Trouble
    began_at: datetime
    found_at: datetime
    ended_at: datetime | None
    value: float | None
    p: float


_COLUMNS: Final = "terminal_id, trouble, began_at, found_at, ended_at, value, p"


@dataclass(frozen=True, eq=False)
class Lasting:
    """The symptoms that last, arrays (n, troubles): which do, since when, with which figure (NaN: none) and p-value."""

    on: Bool
    since_ms: I64
    value: F32
    p: F32


def load_lasting(conn: Connection, fleet: Snapshot) -> Lasting:
    """What is stored as lasting."""
    shape = (len(fleet), len(TROUBLES))
    found = Lasting(
        np.zeros(shape, bool), np.zeros(shape, np.int64), np.full(shape, np.nan, np.float32), np.ones(shape, np.float32)
    )
    rows = conn.execute(
        "SELECT terminal_id, trouble, began_at, value, p FROM diagnostics.symptom WHERE ended_at IS NULL"
    ).fetchall()
    places = fleet.rows_of(np.array([row[0] for row in rows], dtype="S6").reshape(len(rows)))
    for place, (_, trouble, began_at, value, p) in zip(places.tolist(), rows, strict=True):
        if place >= 0:
            at = place, TROUBLE_INDEX[Trouble(trouble)]
            found.on[at], found.since_ms[at], found.p[at] = True, to_ms(began_at), p
            found.value[at] = np.nan if value is None else value
    return found


def save_symptoms(conn: Connection, terminals: Ids, signs: Signs, *, lasting: Bool, now: datetime) -> int:
    """Store which symptoms began and which ended since `lasting`; returns how many did."""
    ended = _pairs(terminals, lasting & ~signs.symptom)
    begun = np.nonzero(signs.symptom & ~lasting)
    if ended[0]:
        conn.execute(
            "UPDATE diagnostics.symptom s SET ended_at = greatest(s.found_at, %(now)s)"
            " FROM unnest(%(terminals)s::text[], %(troubles)s::text[]) e (terminal_id, trouble)"
            " WHERE s.terminal_id = e.terminal_id AND s.trouble = e.trouble AND s.ended_at IS NULL",
            {"terminals": ended[0], "troubles": ended[1], "now": now},
        )
    if len(begun[0]):
        _insert(conn, terminals, signs, begun, now)
    return len(ended[0]) + len(begun[0])


def end_symptoms_of_the_gone(conn: Connection, *, now: datetime) -> None:
    """End the symptoms of terminals that left the registry: nobody looks at them any more."""
    conn.execute(
        "UPDATE diagnostics.symptom s SET ended_at = greatest(s.found_at, %(now)s) WHERE s.ended_at IS NULL"
        " AND NOT EXISTS (SELECT FROM fleet.terminal t WHERE t.id = s.terminal_id)",
        {"now": now},
    )


def symptoms_of(conn: Connection, terminals: Sequence[str], *, since: datetime | None = None) -> list[Symptom]:
    """The symptoms of these terminals that last, and (with `since`) those that ended after it; found last first."""
    with conn.cursor(row_factory=kwargs_row(_made)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM diagnostics.symptom WHERE terminal_id = ANY(%(ids)s)"
            " AND (ended_at IS NULL OR ended_at > %(since)s) ORDER BY found_at DESC, terminal_id, trouble",
            {"ids": list(terminals), "since": since},
        ).fetchall()


def forget_symptoms(conn: Connection, *, before: datetime) -> None:
    """Drop the symptoms that ended before."""
    conn.execute("DELETE FROM diagnostics.symptom WHERE found_at < %(before)s AND ended_at < %(before)s", {"before": before})


def _insert(conn: Connection, terminals: Ids, signs: Signs, begun: tuple[np.ndarray[Any, Any], ...], now: datetime) -> None:
    values = signs.value[begun].tolist()
    conn.execute(
        "INSERT INTO diagnostics.symptom (terminal_id, trouble, began_at, found_at, value, p)"
        " SELECT b.terminal_id, b.trouble, least(b.began_at, %(now)s), %(now)s, b.value, b.p"
        " FROM unnest(%(terminals)s::text[], %(troubles)s::text[], %(began)s::timestamptz[], %(values)s::real[], %(p)s::real[])"
        " b (terminal_id, trouble, began_at, value, p) ON CONFLICT DO NOTHING",
        {
            "terminals": terminals[begun[0]].astype("U6").tolist(),
            "troubles": [TROUBLES[column].value for column in begun[1].tolist()],
            "began": [from_ms(ms) for ms in signs.since_ms[begun].tolist()],
            "values": [None if np.isnan(value) else value for value in values],
            # A real has no room for less.
            "p": np.maximum(signs.p[begun], 1e-37).tolist(),
            "now": now,
        },
    )


def _pairs(terminals: Ids, table: Bool) -> tuple[list[str], list[str]]:
    rows, columns = np.nonzero(table)
    return terminals[rows].astype("U6").tolist(), [TROUBLES[column].value for column in columns.tolist()]


def _made(**row: Any) -> Symptom:
    return Symptom(**{**row, "trouble": Trouble(row["trouble"])})
