"""Incidents that the watch finds, in the database: its changes become rows, and rows become what is tracked after a restart.

What people do to the same rows is in `diagnostics.incidents`. A tick first locks the rows it may write (`lock`), then reads
what people did since the last tick (`said_since`): so neither side overwrites the other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from diagnostics.detector.observed import Fleet
from diagnostics.incidents import CHANNEL, WATCH_ACTOR, record
from diagnostics.notices.outbox import enqueue
from diagnostics.scan.why import Evidence
from diagnostics.snapshot import Ids, Index
from diagnostics.tracking.maintenance import in_scope
from diagnostics.tracking.tracked import Change, ChangeKind, Phase, Point, Said, Tracked
from diagnostics.troubles import Trouble
from fleet.clock import from_ms, to_ms
from fleet.database import Connection
from fleet.registry import DIMENSIONS

# A closed incident that comes back within this time opens again under its id.
REOPENS_WITHIN: Final = timedelta(hours=24)
# What is stored so long after it happened was found while catching up.
REPLAYED_AFTER: Final = timedelta(minutes=15)
# What people do; their own functions have stored the event already.
_BY_PEOPLE: Final = (ChangeKind.ACKNOWLEDGED, ChangeKind.RESOLVED, ChangeKind.REOPENED)

# For each incident's key, which rows of the fleet are stored as hit: what need not be written again.
StoredHits = dict[int, Index]


def load_tracked(conn: Connection, fleet: Fleet, *, now: datetime) -> list[Tracked]:
    """The incidents that live, or closed less than `REOPENS_WITHIN` ago, as the diagnosis takes them, oldest first."""
    row_of = {terminal: row for row, terminal in enumerate(fleet.terminals.astype("U6").tolist())}
    hits: dict[int, list[tuple[int, int]]] = {}
    with conn.cursor(row_factory=dict_row) as cursor:
        for hit in cursor.execute(
            "SELECT i.key, n.terminal_id, n.hit_at FROM diagnostics.incident i"
            " JOIN diagnostics.incident_terminal n ON n.incident_id = i.id AND n.hit_at IS NOT NULL"
            " WHERE i.key IS NOT NULL AND (i.state <> 'closed' OR i.closed_at > %(since)s)",
            {"since": now - REOPENS_WITHIN},
        ):
            if hit["terminal_id"] in row_of:
                hits.setdefault(hit["key"], []).append((row_of[hit["terminal_id"]], to_ms(hit["hit_at"])))
        found = cursor.execute(
            "SELECT i.*, p.key AS parent_key FROM diagnostics.incident i LEFT JOIN diagnostics.incident p ON p.id = i.parent_id"
            " WHERE i.key IS NOT NULL AND (i.state <> 'closed' OR i.closed_at > %(since)s)"
            # What was merged into another lives on there.
            " AND NOT (i.state = 'closed' AND EXISTS (SELECT FROM diagnostics.incident_event e"
            " WHERE e.incident_id = i.id AND e.kind = 'merged')) ORDER BY i.key",
            {"since": now - REOPENS_WITHIN},
        ).fetchall()
    return [_tracked(row, sorted(hits.get(row["key"], []))) for row in found]


def lock(conn: Connection, *, now: datetime) -> None:
    """Keep people's hands off the incidents that this tick may write, until its transaction ends; what they began is awaited."""
    conn.execute(
        "SELECT FROM diagnostics.incident WHERE key IS NOT NULL AND (state <> 'closed' OR closed_at > %(since)s)"
        " ORDER BY id FOR UPDATE",
        {"since": now - REOPENS_WITHIN},
    )


def last_event(conn: Connection) -> int:
    """The newest event of any incident: what people did until then is in the rows."""
    row = conn.execute("SELECT coalesce(max(id), 0) FROM diagnostics.incident_event").fetchone()
    return int(row[0]) if row else 0


def said_since(conn: Connection, *, event_id: int) -> tuple[list[Said], int]:
    """What people did to found incidents after an event, in order, and the newest event now; after `lock`."""
    rows = conn.execute(
        "SELECT e.id, e.kind, i.key, e.at FROM diagnostics.incident_event e JOIN diagnostics.incident i ON i.id = e.incident_id"
        " WHERE e.id > %(id)s AND e.actor <> %(watch)s AND e.kind = ANY(%(kinds)s) AND i.key IS NOT NULL ORDER BY e.id",
        {"id": event_id, "watch": WATCH_ACTOR, "kinds": [kind.value for kind in _BY_PEOPLE]},
    ).fetchall()
    newest = max((row[0] for row in rows), default=event_id)
    return [Said(ChangeKind(kind), key, to_ms(at)) for _, kind, key, at in rows], newest


def save_changes(
    conn: Connection,
    changes: Sequence[Change],
    *,
    fleet: Fleet,
    stored: StoredHits,
    now: datetime,
    replayed: bool = False,
    told_at: datetime | None = None,
) -> None:
    """Store what happened to incidents in this step, in its order, and tell `CHANNEL`; people's own acts are no changes of ours.

    `stored` is brought up to date: throw it away where the transaction fails, or rows of the fleet move. `told_at` is the clock's
    time where `now` is one of the past, caught up.
    """
    news: list[tuple[int, Change, int]] = []
    for change in changes:
        if change.tracked.phase is Phase.CANDIDATE:
            continue
        incident_id = _store(conn, change.tracked)
        if change.kind in (ChangeKind.OPENED, ChangeKind.SCOPE):
            _join_scope(conn, incident_id, change, fleet, now)
        _hit(conn, incident_id, change.tracked, terminals=fleet.terminals, known=stored.get(change.key), now=now)
        stored[change.key] = change.tracked.rows
        if change.kind is ChangeKind.FIGURES:
            conn.execute("SELECT pg_notify(%(channel)s, %(id)s)", {"channel": CHANNEL, "id": str(incident_id)})
            continue
        event_id = record(
            conn,
            incident_id=incident_id,
            kind=change.kind.value,
            actor=WATCH_ACTOR,
            now=from_ms(change.at_ms),
            data=_told(conn, change),
            replayed=replayed,
            tell=False,
        )
        news.append((incident_id, change, event_id))
    # Only now: what is told of a parent names its children, whatever their order here.
    for incident_id, change, event_id in news:
        enqueue(
            conn,
            incident=incident_id,
            event_kind=change.kind.value,
            event_id=event_id,
            at=from_ms(change.at_ms),
            now=told_at or now,
            replayed=replayed,
        )


def save_minutes(conn: Connection, points: Sequence[Point]) -> None:
    """Store the minutes of incidents' plots; one that is stored already is replaced."""
    if not points:
        return
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO diagnostics.incident_minute (incident_id, at, inside_hit, inside, outside_hit, outside, z)"
            " SELECT id, %(at)s, %(inside_hit)s, %(inside)s, %(outside_hit)s, %(outside)s, %(z)s"
            " FROM diagnostics.incident WHERE key = %(key)s"
            " ON CONFLICT (incident_id, at) DO UPDATE SET inside_hit = excluded.inside_hit, inside = excluded.inside,"
            " outside_hit = excluded.outside_hit, outside = excluded.outside, z = excluded.z",
            [
                point._asdict()
                | {"at": from_ms(point.at_ms), "z": Jsonb({k: [round(z, 3) for z in v] for k, v in point.z.items()})}
                for point in points
            ],
        )


_STORED: Final = (
    "state", "scope", "opened_at", "closed_at", "trouble", "began_at", "clearing_at", "acknowledged_at", "score", "hits",
    "worst_hits", "reopened", "latched", "muted", "evidence", "memory",
)  # fmt: skip
_PARENT: Final = "(SELECT p.id FROM diagnostics.incident p WHERE p.key = %(parent)s)"


def _store(conn: Connection, one: Tracked) -> int:
    columns: dict[str, Any] = {
        "state": one.phase.value,
        "scope": Jsonb(one.scope_by_name),
        "opened_at": from_ms(one.opened_ms if one.opened_ms is not None else one.began_ms),
        "closed_at": _moment(one.closed_ms),
        "trouble": one.trouble.value,
        "began_at": from_ms(one.began_ms),
        "clearing_at": _moment(one.clearing_ms),
        "acknowledged_at": _moment(one.acknowledged_ms),
        "score": one.score,
        "hits": one.hits,
        "worst_hits": one.worst_hits,
        "reopened": one.reopened,
        "latched": one.latched,
        "muted": one.muted,
        "evidence": Jsonb(one.evidence.to_json() if one.evidence else {}),
        "memory": Jsonb({"told_hits": one.told_hits, "settled_ms": one.settled_ms, "returns_ms": list(one.returns_ms)}),
    }
    columns |= {"key": one.key, "parent": one.parent}
    # Who took it on is known to the row alone.
    row = conn.execute(
        f"UPDATE diagnostics.incident SET {', '.join(f'{name} = %({name})s' for name in _STORED)},"
        f" parent_id = {_PARENT}, acknowledged_by = CASE WHEN %(acknowledged_at)s::timestamptz IS NOT NULL THEN acknowledged_by END"
        " WHERE key = %(key)s RETURNING id",
        columns,
    ).fetchone()
    if row is None:
        row = conn.execute(
            f"INSERT INTO diagnostics.incident (key, title, parent_id, {', '.join(_STORED)})"
            f" VALUES (%(key)s, '', {_PARENT}, {', '.join(f'%({name})s' for name in _STORED)}) RETURNING id",
            columns,
        ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    return int(row[0])


def _join_scope(conn: Connection, incident_id: int, change: Change, fleet: Fleet, now: datetime) -> None:
    """Let the incident touch every terminal of its scope, and no other but those it hit."""
    inside = fleet.terminals[in_scope(fleet, change.tracked.scope_by_name)].astype("U6").tolist()
    parameters = {"id": incident_id, "terminals": inside, "now": now}
    if change.kind is ChangeKind.SCOPE:
        conn.execute(
            "DELETE FROM diagnostics.incident_terminal WHERE incident_id = %(id)s AND hit_at IS NULL"
            " AND terminal_id <> ALL(%(terminals)s)",
            parameters,
        )
    conn.execute(
        "INSERT INTO diagnostics.incident_terminal (incident_id, terminal_id, joined_at)"
        " SELECT %(id)s, unnest(%(terminals)s::text[]), %(now)s ON CONFLICT DO NOTHING",
        parameters,
    )


def _hit(conn: Connection, incident_id: int, one: Tracked, *, terminals: Ids, known: Index | None, now: datetime) -> None:
    """Store which terminals showed it for the first time; `known` are stored."""
    new = np.ones(len(one.rows), bool) if known is None else ~np.isin(one.rows, known, assume_unique=True)
    if not new.any():
        return
    conn.execute(
        "INSERT INTO diagnostics.incident_terminal AS n (incident_id, terminal_id, joined_at, hit_at)"
        " SELECT %(id)s, h.terminal_id, %(now)s, h.hit_at"
        " FROM unnest(%(terminals)s::text[], %(hit)s::timestamptz[]) h (terminal_id, hit_at)"
        " ON CONFLICT (incident_id, terminal_id) DO UPDATE SET hit_at = excluded.hit_at WHERE n.hit_at IS NULL",
        {
            "id": incident_id,
            "terminals": terminals[one.rows[new]].astype("U6").tolist(),
            "hit": [from_ms(ms) for ms in one.hit_ms[new].tolist()],
            "now": now,
        },
    )


def _told(conn: Connection, change: Change) -> dict[str, Any]:
    """What the event says in figures and names: scopes as objects, other incidents by their ids."""
    one = change.tracked
    data: dict[str, Any] = {"terminals": len(one.rows), "hits": one.hits}
    if change.kind is ChangeKind.SCOPE:
        data |= {"to": one.scope_by_name, "trouble": one.trouble.value}
    if change.kind in (ChangeKind.MERGED, ChangeKind.PARENT) and one.parent is not None:
        row = conn.execute("SELECT id FROM diagnostics.incident WHERE key = %(key)s", {"key": one.parent}).fetchone()
        data["into"] = row[0] if row else None
    # Its own "into" is a key, which nobody knows.
    return data | {name: value for name, value in change.details.items() if name != "into"}


def _tracked(row: Mapping[str, Any], hits: Sequence[tuple[int, int]]) -> Tracked:
    memory = row["memory"]
    return Tracked(
        key=row["key"],
        trouble=Trouble(row["trouble"]),
        scope=tuple((name, row["scope"][name]) for name in DIMENSIONS if name in row["scope"]),
        phase=Phase(row["state"]),
        began_ms=to_ms(row["began_at"]),
        rows=np.array([place for place, _ in hits], np.intp),
        hit_ms=np.array([at_ms for _, at_ms in hits], np.int64),
        hits=row["hits"],
        worst_hits=row["worst_hits"],
        score=row["score"] or 0.0,
        opened_ms=to_ms(row["opened_at"]),
        acknowledged_ms=_ms(row["acknowledged_at"]),
        clearing_ms=_ms(row["clearing_at"]),
        closed_ms=_ms(row["closed_at"]),
        told_hits=memory.get("told_hits", 0),
        settled_ms=memory.get("settled_ms", 0),
        evidence=Evidence.from_json(row["evidence"]) if row["evidence"] else None,
        parent=row["parent_key"],
        muted=row["muted"],
        latched=row["latched"],
        reopened=row["reopened"],
        returns_ms=tuple(memory.get("returns_ms", ())),
    )


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)
