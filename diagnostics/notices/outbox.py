"""The outbox: what is to be told, put there in the transaction that changed the incident, and what people see and do of it.

A notice waits until it is sent, given up (dead: a person must look) or dropped (over, or overtaken, before it was sent);
`diagnostics.notices.queue` is the side of whoever sends.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from diagnostics.notices.body import about, make, to_json, trial
from diagnostics.notices.policy import Channel, Event, Subject, TellingPolicy, Told, Verdict, decide, hold
from fleet.database import Connection

log = logging.getLogger(__name__)

# Hears the name of every channel for which a notice was put.
CHANNEL: Final = "vigie_notice"
_POLICY: Final = TellingPolicy()


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice and what became of it; `uid` is what its receiver knows it by. A test has no incident."""

    id: int
    uid: UUID
    channel: str
    incident_id: int | None
    kind: str
    reason: str
    made_at: datetime
    state: str
    due_at: datetime
    attempts: int
    settled_at: datetime | None
    error: str


_COLUMNS = "id, uid, channel, incident_id, kind, reason, made_at, state, due_at, attempts, settled_at, error"


def set_channels(conn: Connection, channels: Sequence[Channel], *, now: datetime) -> None:
    """Make these the channels; what waits for one that is no longer there is given up."""
    with conn.transaction():
        conn.execute("DELETE FROM diagnostics.notice_channel WHERE name <> ALL(%(names)s)", {"names": [c.name for c in channels]})
        for channel in channels:
            conn.execute(
                "INSERT INTO diagnostics.notice_channel (name, kind, minimum) VALUES (%(name)s, %(kind)s, %(minimum)s)"
                " ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, minimum = excluded.minimum",
                {"name": channel.name, "kind": channel.kind, "minimum": channel.minimum},
            )
        conn.execute(
            "UPDATE diagnostics.notice SET state = 'dead', settled_at = %(now)s, error = 'the channel is not set any more'"
            " WHERE state = 'waiting' AND channel <> ALL(%(names)s)",
            {"names": [c.name for c in channels], "now": now},
        )


def channels(conn: Connection) -> list[Channel]:
    """Where notices go."""
    with conn.cursor(row_factory=class_row(Channel)) as cursor:
        return cursor.execute("SELECT name, kind, minimum FROM diagnostics.notice_channel ORDER BY name").fetchall()


def enqueue(
    conn: Connection, *, incident: int, event_kind: str, event_id: int, at: datetime, now: datetime, replayed: bool = False
) -> Mapping[str, Verdict]:
    """Put a notice for each channel that is to be told of an event; returns each channel's verdict.

    For the transaction that recorded the event, after all rows of its step were written: what is told is what they hold then.

    Args:
        conn: in that transaction.
        incident: the incident's id.
        event_kind: the event's kind, as stored.
        event_id: its id in `diagnostics.incident_event`.
        at: when it happened.
        now: the clock's time.
        replayed: the watch catches up, and the incident may already be over.
    """
    told_to = channels(conn)
    if not told_to:
        return {}
    event = Event(event_kind)
    row = _incident_row(conn, incident)
    told = _told(conn, incident)
    verdicts = {
        channel.name: decide(event, event_id, _subject(row), channel, told.get(channel.name), replayed=replayed, policy=_POLICY)
        for channel in told_to
    }
    if telling := {name: verdict for name, verdict in verdicts.items() if verdict.tells}:
        _put(conn, telling, event=event, event_id=event_id, row=row, at=at, now=now, replayed=replayed)
    log.info(
        "incident %s %s: %s",
        incident,
        event,
        ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items()),
        extra={"action": "notice", "incident": incident, "event": str(event)},
    )
    return verdicts


def enqueue_trial(conn: Connection, *, channel: str, actor: str, now: datetime) -> int:
    """Put a test for one channel; returns its notice's id."""
    uid = uuid4()
    body = trial(notice=str(uid), at=now, actor=actor)
    return _insert(conn, uid=uid, channel=channel, kind="test", reason="test", body=to_json(body), now=now)


def _put(
    conn: Connection,
    telling: Mapping[str, Verdict],
    *,
    event: Event,
    event_id: int,
    row: Mapping[str, Any],
    at: datetime,
    now: datetime,
    replayed: bool,
) -> None:
    incident = about(row, children=_children(conn, row["id"]))
    recorded = conn.execute("SELECT actor, detail FROM diagnostics.incident_event WHERE id = %(id)s", {"id": event_id}).fetchone()
    actor, comment = recorded or ("", "")
    for name, verdict in telling.items():
        uid = uuid4()
        body = make(notice=str(uid), event=event, verdict=verdict, at=at, actor=actor, comment=comment, incident=incident)
        _insert(
            conn,
            uid=uid,
            channel=name,
            kind=event,
            reason=verdict,
            body=to_json(body),
            now=now,
            incident_id=row["id"],
            event_id=event_id,
            replayed=replayed,
            due_at=now + hold(at, now) if replayed else now,
        )


def _insert(
    conn: Connection,
    *,
    uid: UUID,
    channel: str,
    kind: str,
    reason: str,
    body: Any,
    now: datetime,
    incident_id: int | None = None,
    event_id: int | None = None,
    replayed: bool = False,
    due_at: datetime | None = None,
) -> int:
    """Put one notice and wake who sends; 0 where this event was put for this channel before."""
    made = conn.execute(
        "INSERT INTO diagnostics.notice"
        " (uid, channel, incident_id, event_id, kind, reason, made_at, replayed, body, due_at, tried_since)"
        " VALUES (%(uid)s, %(channel)s, %(incident)s, %(event)s, %(kind)s, %(reason)s, %(now)s, %(replayed)s, %(body)s, %(due)s,"
        " %(due)s) ON CONFLICT (channel, event_id) DO NOTHING RETURNING id",
        {
            "uid": uid,
            "channel": channel,
            "incident": incident_id,
            "event": event_id,
            "kind": str(kind),
            "reason": str(reason),
            "now": now,
            "replayed": replayed,
            "body": Jsonb(body),
            "due": due_at or now,
        },
    ).fetchone()
    conn.execute("SELECT pg_notify(%(to)s, %(channel)s)", {"to": CHANNEL, "channel": channel})
    return int(made[0]) if made else 0


def _incident_row(conn: Connection, incident: int) -> Mapping[str, Any]:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT i.*, (SELECT count(*) FROM diagnostics.incident_terminal n WHERE n.incident_id = i.id) AS terminals"
            " FROM diagnostics.incident i WHERE i.id = %(id)s",
            {"id": incident},
        ).fetchone()
    assert row is not None  # the event's foreign key holds
    return row


def _children(conn: Connection, incident: int) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT id, title, trouble, scope FROM diagnostics.incident WHERE parent_id = %(id)s AND state <> 'closed' ORDER BY id",
            {"id": incident},
        ).fetchall()


def _subject(row: Mapping[str, Any]) -> Subject:
    """What the policy looks at; a declared incident counts the terminals it touches."""
    declared = row["trouble"] is None
    return Subject(
        state=row["state"],
        trouble=row["trouble"],
        scope=row["scope"],
        hits=row["terminals"] if declared else row["hits"],
        worst_hits=row["terminals"] if declared else row["worst_hits"],
        muted=row["muted"],
        latched=row["latched"],
        parent=row["parent_id"] is not None,
    )


def _told(conn: Connection, incident: int) -> dict[str, Told]:
    """What each channel was told last about an incident, sent or on its way."""
    rows = conn.execute(
        "SELECT n.channel, n.kind, n.event_id, n.body -> 'incident' FROM diagnostics.notice_channel c CROSS JOIN LATERAL"
        " (SELECT * FROM diagnostics.notice WHERE incident_id = %(id)s AND channel = c.name AND state <> 'dropped'"
        " ORDER BY id DESC LIMIT 1) n",
        {"id": incident},
    ).fetchall()
    return {
        channel: Told(
            event=Event(kind),
            event_id=event_id,
            trouble=body["trouble"],
            scope=body["scope"],
            hits=body["hits"],
            latched=body["flapping"],
        )
        for channel, kind, event_id, body in rows
    }


def dead_notices(conn: Connection) -> list[Notice]:
    """Notices that were given up, the newest first: the IT department was not told."""
    return list_notices(conn, states=("dead",))


def list_notices(
    conn: Connection, *, states: Iterable[str] | None = None, incident: int | None = None, limit: int = 100
) -> list[Notice]:
    """Notices, the newest first: all or those in these states, all or one incident's."""
    with conn.cursor(row_factory=class_row(Notice)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM diagnostics.notice WHERE (%(states)s::text[] IS NULL OR state = ANY(%(states)s))"
            " AND (%(incident)s::bigint IS NULL OR incident_id = %(incident)s) ORDER BY id DESC LIMIT %(limit)s",
            {"states": None if states is None else list(states), "incident": incident, "limit": limit},
        ).fetchall()


def retry_notices(conn: Connection, *, ids: Sequence[int] | None = None, now: datetime) -> int:
    """Try dead notices again from now on, with every attempt before them: these, or (None) all; returns how many.

    What a later notice of the same incident overtook is dropped instead: a topic holds the newest state, and whoever was told of
    the end must not hear of the beginning after it.
    """
    chosen = {"ids": None if ids is None else list(ids), "now": now}
    conn.execute(
        "UPDATE diagnostics.notice n SET state = 'dropped', settled_at = %(now)s, error = 'overtaken by a later notice'"
        " WHERE n.state = 'dead' AND (%(ids)s::bigint[] IS NULL OR n.id = ANY(%(ids)s)) AND EXISTS ("
        "  SELECT FROM diagnostics.notice later LEFT JOIN diagnostics.notice_channel c ON c.name = later.channel"
        "  WHERE later.channel = n.channel AND later.incident_id = n.incident_id AND later.id > n.id AND later.state = 'sent'"
        "  AND (c.kind = 'mqtt' OR later.reason = 'over'))",
        chosen,
    )
    count = conn.execute(
        "UPDATE diagnostics.notice SET state = 'waiting', due_at = %(now)s, tried_since = %(now)s, attempts = 0, settled_at = NULL"
        " WHERE state = 'dead' AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))",
        chosen,
    ).rowcount
    conn.execute("SELECT pg_notify(%(to)s, '')", {"to": CHANNEL})
    return count


def forget_notices(conn: Connection, *, before: datetime) -> int:
    """Delete what was settled before; returns how many. What waits or is dead stays."""
    return conn.execute(
        "DELETE FROM diagnostics.notice WHERE state IN ('sent', 'dropped') AND settled_at < %(before)s", {"before": before}
    ).rowcount
