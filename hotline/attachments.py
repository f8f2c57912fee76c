"""Calls attached to the incident that explains them: many in one action, closed with the incident, undone in one action."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row

from diagnostics.incidents import incident as find_incident
from fleet.database import Connection
from fleet.errors import VigieError
from hotline import callbacks
from hotline.callback_rules import Dropped
from hotline.qualification import FIRST_VERSION

MOST_CALLS: Final = 500
# Who qualifies a call that its incident's end closes.
AUTHOR: Final = "Vigie"


class AttachmentError(VigieError):
    """Calls cannot be attached so, or an attachment not be undone; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Attachment:
    """One action: the calls it attached and (closed) those that ended with the incident."""

    id: int
    incident: int
    author: str
    author_name: str
    at: datetime
    undone_at: datetime | None
    undone_by: str | None
    calls: list[int]
    closed: int


_SELECT = """
    SELECT t.id, t.incident, t.author, coalesce(a.name, t.author) AS author_name, t.at, t.undone_at, t.undone_by,
        (SELECT coalesce(array_agg(i.call ORDER BY i.call), '{}') FROM hotline.call_incident i WHERE i.attachment = t.id) AS calls,
        (SELECT count(*)::integer FROM hotline.call_incident i WHERE i.attachment = t.id AND i.closed_at IS NOT NULL) AS closed
    FROM hotline.attachment t LEFT JOIN hotline.agent a ON a.id = t.agent
"""
# An incident that was merged, or is part of a wider one, is over when that is.
_OVER = """
    WITH RECURSIVE chain AS (
        SELECT DISTINCT n.incident AS id, i.state, i.parent_id FROM hotline.call_incident n
        JOIN diagnostics.incident i ON i.id = n.incident WHERE n.detached_at IS NULL AND n.closed_at IS NULL
        UNION
        SELECT chain.id, p.state, p.parent_id FROM chain JOIN diagnostics.incident p ON p.id = chain.parent_id
    )
    SELECT n.attachment, n.call, n.incident FROM hotline.call_incident n
    WHERE n.detached_at IS NULL AND n.closed_at IS NULL AND n.incident IN (
        SELECT id FROM chain GROUP BY id HAVING bool_and(state = 'closed')
    )
    ORDER BY n.call FOR UPDATE OF n SKIP LOCKED
"""


def attach(conn: Connection, *, incident: int, calls: Sequence[int], author: str, agent: int | None, now: datetime) -> Attachment:
    """Attach calls to an incident; those that are attached to one already are left where they are.

    Raises:
        IncidentError: there is no such incident.
        AttachmentError: no call, too many, one that is not there, or none that is free.
    """
    find_incident(conn, incident)
    wanted = sorted(set(calls))
    if not 0 < len(wanted) <= MOST_CALLS:
        raise AttachmentError("calls", f"from 1 to {MOST_CALLS} calls")
    # Two who attach the same calls take their turns.
    rows = conn.execute(
        "SELECT id FROM hotline.call WHERE id = ANY(%(calls)s) ORDER BY id FOR UPDATE", {"calls": wanted}
    ).fetchall()
    if len(rows) < len(wanted):
        raise AttachmentError("calls", f"no call {min(set(wanted) - {row[0] for row in rows})}")
    taken = attached_to(conn, calls=wanted)
    free = [call for call in wanted if call not in taken]
    if not free:
        raise AttachmentError("calls", "every one is attached already")
    row = conn.execute(
        "INSERT INTO hotline.attachment (incident, author, agent, at) VALUES (%(incident)s, %(author)s, %(agent)s, %(now)s)"
        " RETURNING id",
        {"incident": incident, "author": author, "agent": agent, "now": now},
    ).fetchone()
    assert row is not None
    conn.execute(
        "INSERT INTO hotline.call_incident (attachment, call, incident, at)"
        " SELECT %(attachment)s, unnest(%(calls)s::bigint[]), %(incident)s, %(now)s",
        {"attachment": row[0], "calls": free, "incident": incident, "now": now},
    )
    close_with_incidents(conn, now=now)
    return attachment(conn, row[0])


def undo(conn: Connection, *, attachment_id: int, author: str, now: datetime) -> Attachment:
    """Detach what an action attached, and take back what the incident's end did to those calls.

    A call that somebody qualified since keeps that.

    Raises:
        AttachmentError: there is no such action, or it is undone already.
    """
    undone = conn.execute(
        "UPDATE hotline.attachment SET undone_at = %(now)s, undone_by = %(author)s WHERE id = %(id)s AND undone_at IS NULL",
        {"id": attachment_id, "author": author, "now": now},
    ).rowcount
    if not undone:
        raise AttachmentError("attachment", f"no attachment {attachment_id} that stands")
    known = {"id": attachment_id, "now": now, "author": AUTHOR, "reason": Dropped.INCIDENT_OVER}
    # The incident may be ending at this moment: what that does is seen once these are ours.
    conn.execute("SELECT FROM hotline.call_incident WHERE attachment = %(id)s ORDER BY call FOR UPDATE", known)
    conn.execute(
        "DELETE FROM hotline.qualification q USING hotline.call_incident i"
        " WHERE i.attachment = %(id)s AND i.qualified AND q.call = i.call AND q.author = %(author)s AND q.at = i.closed_at",
        known,
    )
    reopened = conn.execute(
        "UPDATE hotline.callback k SET state = 'open', reason = '', done_at = NULL FROM hotline.call_incident i"
        " WHERE i.attachment = %(id)s AND k.id = i.dropped AND k.state = 'dropped' AND k.reason = %(reason)s RETURNING k.id",
        known,
    ).fetchall()
    conn.execute("UPDATE hotline.call_incident SET detached_at = %(now)s WHERE attachment = %(id)s AND detached_at IS NULL", known)
    # The shop may have rung again, or been reached, while nobody was to call it.
    callbacks.look_again(conn, ids=[row[0] for row in reopened], now=now)
    return attachment(conn, attachment_id)


def close_with_incidents(conn: Connection, *, now: datetime) -> int:
    """Close the calls whose incident is over, and return how many; may be repeated.

    A call that nobody qualified is qualified as escalated, with the incident's typology; that nobody answered it is explained, so
    the shop need not be called back. What an agent promised stands.
    """
    ended = conn.execute(_OVER).fetchall()
    for attachment_id, call, incident in ended:
        known = {"attachment": attachment_id, "call": call, "incident": incident, "now": now}
        qualified = conn.execute(
            "INSERT INTO hotline.qualification (call, version, subject, typology, outcome, level, author, at)"
            f" SELECT %(call)s, {FIRST_VERSION}, 'technical',"
            " (SELECT t.id FROM diagnostics.typology_match m JOIN diagnostics.typology t"
            "   ON t.id = m.typology_id AND t.state = 'known' WHERE m.kind = 'incident' AND m.ref = %(incident)s),"
            " 'escalated', 1, %(author)s, %(now)s ON CONFLICT (call) DO NOTHING",
            {**known, "author": AUTHOR},
        ).rowcount
        dropped = conn.execute(
            "UPDATE hotline.callback SET state = 'dropped', reason = %(reason)s, done_at = %(now)s"
            " WHERE call = %(call)s AND made_by_abandon AND state = 'open' RETURNING id",
            {**known, "reason": Dropped.INCIDENT_OVER},
        ).fetchone()
        conn.execute(
            "UPDATE hotline.call_incident SET closed_at = %(now)s, qualified = %(qualified)s, dropped = %(dropped)s"
            " WHERE attachment = %(attachment)s AND call = %(call)s",
            {**known, "qualified": qualified > 0, "dropped": dropped[0] if dropped else None},
        )
    return len(ended)


def attachment(conn: Connection, attachment_id: int) -> Attachment:
    """One action; `AttachmentError` where there is none."""
    found = _select(conn, "WHERE t.id = %(id)s", {"id": attachment_id})
    if not found:
        raise AttachmentError("attachment", f"no attachment {attachment_id}")
    return found[0]


def attachments_of(conn: Connection, *, incident: int) -> list[Attachment]:
    """What was attached to an incident, newest action first; undone ones too."""
    return _select(conn, "WHERE t.incident = %(incident)s ORDER BY t.at DESC, t.id DESC", {"incident": incident})


def attachment_of(conn: Connection, *, call: int) -> Attachment | None:
    """The action that attached a call to the incident it is attached to."""
    standing = "WHERE t.id = (SELECT attachment FROM hotline.call_incident WHERE call = %(call)s AND detached_at IS NULL)"
    found = _select(conn, standing, {"call": call})
    return found[0] if found else None


def attached_to(conn: Connection, *, calls: Sequence[int]) -> dict[int, int]:
    """The incident of each of these calls that is attached to one."""
    rows = conn.execute(
        "SELECT call, incident FROM hotline.call_incident WHERE call = ANY(%(calls)s) AND detached_at IS NULL",
        {"calls": list(calls)},
    ).fetchall()
    return dict(rows)


def _select(conn: Connection, rest: str, parameters: dict[str, int]) -> list[Attachment]:
    with conn.cursor(row_factory=class_row(Attachment)) as cursor:
        return cursor.execute(_SELECT + rest, parameters).fetchall()
