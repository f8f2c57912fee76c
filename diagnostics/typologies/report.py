"""What happened on one day of Paris, gathered as data frames for the veille's report and its CSV files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import pandas as pd
from psycopg import sql

from diagnostics.troubles import Trouble
from diagnostics.typologies.daily import ZONE, bounds_of
from diagnostics.typologies.overview import Counts, overview
from diagnostics.typologies.store import typologies
from diagnostics.wording import title
from fleet.database import Connection
from fleet.errors import VigieError

# Terminals report every half minute, and there are thousands.
GAP_FROM: Final = timedelta(minutes=2)
# Who rings so long after an incident's end still rings about it.
_RINGS_AFTER: Final = "interval '1 hour'"
Said = Callable[[str], None]


class ReportError(VigieError):
    """A report cannot be made; the text says why."""


@dataclass(frozen=True)
class DayReport:
    """One day: frames with a row per incident, symptom, call, silent victim and gap; what is new, and every typology's days.

    `until` is the day's end, or the moment of the report where the day is not over. `heard` counts the calls that came in,
    None where that is not known; `calls` are those of known shops.
    """

    day: date
    start: datetime
    until: datetime
    end: datetime
    made_at: datetime
    language: str
    incidents: pd.DataFrame
    symptoms: pd.DataFrame
    calls: pd.DataFrame
    victims: pd.DataFrame
    gaps: pd.DataFrame
    groups: pd.DataFrame
    named: Sequence[str]
    counts: Sequence[Counts]
    heard: int | None

    @property
    def growing(self) -> list[tuple[Counts, str]]:
        """What grows on this day: a typology's counts, and the kind."""
        return [(one, kind) for one in self.counts for kind in one.growing]


_INCIDENTS = """
    SELECT i.id, i.trouble, i.title, i.scope, i.began_at, i.opened_at, i.closed_at, i.state, i.worst_hits, i.reopened, i.muted,
        m.typology_id, count(DISTINCT n.terminal_id) FILTER (WHERE n.hit_at IS NOT NULL)::integer AS terminals,
        count(DISTINCT t.point_of_sale) FILTER (WHERE n.hit_at IS NOT NULL)::integer AS shops
    FROM diagnostics.incident i
    LEFT JOIN diagnostics.typology_match m ON m.kind = 'incident' AND m.ref = i.id
    LEFT JOIN diagnostics.incident_terminal n ON n.incident_id = i.id
    LEFT JOIN fleet.terminal t ON t.id = n.terminal_id
    WHERE i.began_at < %(until)s AND coalesce(i.closed_at, 'infinity') >= %(start)s
        AND NOT (i.state = 'closed' AND i.parent_id IS NOT NULL)
    GROUP BY i.id, m.typology_id ORDER BY i.began_at, i.id
"""
_SYMPTOMS = """
    SELECT s.terminal_id, s.trouble, s.began_at, s.found_at, s.ended_at, s.value, m.typology_id,
        t.model, coalesce(p.firmware, t.firmware) AS firmware, o.region, o.department
    FROM diagnostics.symptom s
    LEFT JOIN diagnostics.typology_match m ON m.kind = 'symptom' AND m.ref = s.id
    LEFT JOIN fleet.terminal t ON t.id = s.terminal_id
    LEFT JOIN fleet.point_of_sale o ON o.code = t.point_of_sale
    LEFT JOIN fleet.presence p ON p.terminal_id = s.terminal_id
    WHERE s.found_at >= %(start)s AND s.found_at < %(until)s ORDER BY s.found_at, s.id
"""
# A call is of its note's typology, or else of that of an incident that hit one of its terminals then.
_CALLS = f"""
    WITH rang AS (
        SELECT ref, min(at) AS at, min(t.point_of_sale) AS point_of_sale, array_agg(DISTINCT g.terminal_id) AS terminals,
            max(g.detail) FILTER (WHERE g.kind = 'note') AS note
        FROM fleet.signal g LEFT JOIN fleet.terminal t ON t.id = g.terminal_id
        WHERE g.kind IN ('call', 'note') AND g.at >= %(start)s AND g.at < %(until)s GROUP BY ref
    )
    SELECT r.ref AS call, r.at, r.point_of_sale, r.note, m.typology_id AS noted_as, (
        SELECT min(x.typology_id) FROM diagnostics.incident_terminal n
        JOIN diagnostics.incident i ON i.id = n.incident_id AND i.began_at <= r.at
            AND coalesce(i.closed_at, 'infinity') + {_RINGS_AFTER} >= r.at
        JOIN diagnostics.typology_match x ON x.kind = 'incident' AND x.ref = i.id
        WHERE n.terminal_id = ANY(r.terminals) AND n.hit_at <= r.at
    ) AS explained_as
    FROM rang r LEFT JOIN diagnostics.typology_match m ON m.kind = 'note' AND m.ref::text = r.ref ORDER BY r.at, r.ref
"""
_VICTIMS = f"""
    SELECT i.id AS incident, t.point_of_sale, o.name AS shop, o.department, count(*)::integer AS terminals, min(n.hit_at) AS since
    FROM diagnostics.incident i
    JOIN diagnostics.incident_terminal n ON n.incident_id = i.id AND n.hit_at >= %(start)s AND n.hit_at < %(until)s
    JOIN fleet.terminal t ON t.id = n.terminal_id JOIN fleet.point_of_sale o ON o.code = t.point_of_sale
    WHERE NOT i.muted AND NOT EXISTS (
        SELECT FROM fleet.terminal other JOIN fleet.signal g ON g.terminal_id = other.id AND g.kind = 'call'
        WHERE other.point_of_sale = t.point_of_sale AND g.at >= i.began_at
            AND g.at < coalesce(i.closed_at, %(until)s) + {_RINGS_AFTER}
    )
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 5 DESC, 2
"""
# The day's own batches, and the last before it and the first after, so that a gap at either end is seen.
_BATCHES = """
    SELECT received_at FROM fleet.ingest_batch
    WHERE received_at >= %(start)s - interval '10 minutes' AND received_at < %(until)s + interval '10 minutes' ORDER BY 1
"""


def gather(
    conn: Connection, *, day: date, now: datetime, language: str, heard: int | None = None, tell: Said = lambda _: None
) -> DayReport:
    """Read one day; `tell` hears what is being read.

    Raises:
        ReportError: the day has not begun, or nothing is kept of it.
    """
    start, end = bounds_of(day)
    if start >= now:
        raise ReportError(f"{day} has not begun yet")
    until = min(end, now)
    span = {"start": start, "until": until}
    names = {one.id: one.name(language) for one in typologies(conn, states=("known",))}
    tell("incidents")
    incidents = _incidents(_frame(conn, _INCIDENTS, span), names, language)
    tell("symptoms")
    symptoms = _named(_frame(conn, _SYMPTOMS, span), names)
    tell("calls and notes")
    calls = _calls(_frame(conn, _CALLS, span), names)
    tell("missing data")
    received: list[datetime] = _frame(conn, _BATCHES, span)["received_at"].tolist()
    if not any(start <= moment < until for moment in received) and not max(map(len, (incidents, symptoms, calls))):
        raise ReportError(f"nothing is kept of {day}: no data was received, and no incident, symptom or call is known")
    gaps = gaps_between(received, start=start, until=until)
    tell("silent victims")
    victims = _frame(conn, _VICTIMS, span)
    tell("what is new, what grows")
    return DayReport(
        day=day,
        start=start,
        until=until,
        end=end,
        made_at=now,
        language=language,
        incidents=incidents,
        symptoms=symptoms,
        calls=calls,
        victims=victims,
        gaps=gaps,
        groups=_groups(conn, span),
        named=_named_since(conn, span, language),
        counts=overview(conn, last=day),
        heard=heard,
    )


def gaps_between(received: Sequence[datetime], *, start: datetime, until: datetime) -> pd.DataFrame:
    """Spans of the day in which nothing was received for longer than `GAP_FROM`: `from_at`, `until_at`, `seconds`."""
    # What came just before or after the day tells that its edges are no gap.
    moments = [*(moment.astimezone(UTC) for moment in received)]
    if not moments or moments[0] > start:
        moments.insert(0, start)
    if moments[-1] < until:
        moments.append(until)
    found = []
    for before, after in pairwise(moments):
        first, last = max(before, start), min(after, until)
        if after - before > GAP_FROM and last > first:
            found.append((first, last, (last - first).total_seconds()))
    return pd.DataFrame(found, columns=["from_at", "until_at", "seconds"])


def write_csv(report: DayReport, folder: Path) -> list[Path]:
    """Write each frame as a CSV file, times of Paris with their offset; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "incidents": report.incidents,
        "symptoms": report.symptoms,
        "calls": report.calls,
        "typologies": _typology_frame(report),
        "silent_victims": report.victims,
        "gaps": report.gaps,
    }
    written = []
    for name, frame in frames.items():
        path = folder / f"{name}.csv"
        _in_paris(frame).to_csv(path, index=False)
        written.append(path)
    return written


def _typology_frame(report: DayReport) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "typology": one.typology.name(report.language) if one.typology else "",
            "incidents": one.last("incident", 1),
            "symptoms": one.last("symptom", 1),
            "notes": one.last("note", 1),
            "growing": " ".join(one.growing),
        }
        for one in report.counts
    )


def _frame(conn: Connection, query: str, parameters: dict[str, datetime]) -> pd.DataFrame:
    cursor = conn.execute(sql.SQL(query), parameters)
    assert cursor.description is not None
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


def _incidents(frame: pd.DataFrame, names: dict[int, str], language: str) -> pd.DataFrame:
    frame = _named(frame, names)
    frame["title"] = [
        given or (title(Trouble(trouble), scope, language) if trouble else "")
        for given, trouble, scope in zip(frame["title"], frame["trouble"], frame["scope"], strict=True)
    ]
    frame["scope"] = [" & ".join(f"{name}={value}" for name, value in scope.items()) for scope in frame["scope"]]
    return frame


def _calls(frame: pd.DataFrame, names: dict[int, str]) -> pd.DataFrame:
    frame["typology_id"] = frame["noted_as"].where(frame["noted_as"].notna(), frame["explained_as"])
    return _named(frame.drop(columns=["noted_as", "explained_as"]), names)


def _named(frame: pd.DataFrame, names: dict[int, str]) -> pd.DataFrame:
    frame["typology"] = [names.get(int(number), "") if pd.notna(number) else "" for number in frame["typology_id"]]
    return frame.drop(columns=["typology_id"])


def _groups(conn: Connection, span: dict[str, datetime]) -> pd.DataFrame:
    return _frame(
        conn,
        "SELECT kind, size, shared FROM diagnostics.typology_candidate WHERE found_at >= %(start)s AND found_at < %(until)s"
        " AND state = 'offered' ORDER BY size DESC, id",
        span,
    )


def _named_since(conn: Connection, span: dict[str, datetime], language: str) -> list[str]:
    rows = conn.execute(
        "SELECT typology_id FROM diagnostics.typology_event WHERE kind = 'named' AND at >= %(start)s AND at < %(until)s", span
    ).fetchall()
    made = {row[0] for row in rows}
    return [one.name(language) for one in typologies(conn) if one.id in made]


def _in_paris(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its times as ISO texts of Paris, to the second."""
    shown = frame.copy()
    for name in shown.columns:
        if name.endswith("_at") or name in ("at", "since"):
            shown[name] = [
                "" if pd.isna(moment) else pd.Timestamp(moment).to_pydatetime().astimezone(ZONE).isoformat(timespec="seconds")
                for moment in shown[name]
            ]
    return shown
