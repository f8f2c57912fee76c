"""Announced maintenance in the database: who works where and when; the watch tells nobody of what happens there meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from diagnostics.tracking.maintenance import Window
from fleet.clock import to_ms
from fleet.database import Connection
from fleet.errors import VigieError
from fleet.registry import all_terminals
from fleet.scope import check_scope, in_scope

# Longer work is announced day by day: a window that nobody ends hides what breaks in it.
LONGEST_DAYS: Final = 7


class MaintenanceError(VigieError):
    """Maintenance cannot be announced or cancelled so; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Announced work on the terminals of a scope (empty: the whole fleet); `cancelled_at` is None where it goes ahead."""

    id: int
    scope: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    note: str
    actor: str
    announced_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str | None

    @property
    def over_at(self) -> datetime:
        """When it ends, or ended."""
        return self.ends_at if self.cancelled_at is None else min(self.ends_at, self.cancelled_at)

    def covers(self, now: datetime) -> bool:
        """Whether the work is going on."""
        return self.starts_at <= now < self.over_at


_COLUMNS = "id, scope, starts_at, ends_at, note, actor, announced_at, cancelled_at, cancelled_by"


def announce(
    conn: Connection, *, scope: Mapping[str, str], starts_at: datetime, ends_at: datetime, note: str, actor: str, now: datetime
) -> Maintenance:
    """Announce work on every terminal that meets `scope`; work that began already counts from now on.

    Raises:
        ScopeError: names the dimension or value that the registry does not have, and lists what it has.
        MaintenanceError: there is no note, no terminal meets all conditions, or the times make no sense.
    """
    if not note.strip():
        raise MaintenanceError("note", "say in a few words what is done")
    if ends_at <= starts_at:
        raise MaintenanceError("ends_at", "it ends before it starts")
    if ends_at <= now:
        raise MaintenanceError("ends_at", "it is over already: nothing can be held back any more")
    if (ends_at - starts_at).total_seconds() > LONGEST_DAYS * 86_400:
        raise MaintenanceError("ends_at", f"more than {LONGEST_DAYS} days after the start; announce long work piece by piece")
    fleet = all_terminals(conn)
    check_scope(scope, fleet)
    if not in_scope(scope, fleet):
        raise MaintenanceError("scope", "each value is known, but no terminal meets all of them at once")
    with conn.cursor(row_factory=class_row(Maintenance)) as cursor:
        made = cursor.execute(
            "INSERT INTO diagnostics.maintenance (scope, starts_at, ends_at, note, actor, announced_at)"
            f" VALUES (%(scope)s, %(starts)s, %(ends)s, %(note)s, %(actor)s, %(now)s) RETURNING {_COLUMNS}",
            {
                "scope": Jsonb(dict(scope)),
                "starts": starts_at,
                "ends": ends_at,
                "note": note.strip(),
                "actor": actor,
                "now": now,
            },
        ).fetchone()
    assert made is not None  # INSERT … RETURNING gives its row
    return made


def cancel(conn: Connection, maintenance_id: int, *, actor: str, now: datetime) -> Maintenance:
    """Call work off, or say that it ended early: what is wrong in its scope is told from now on.

    Raises:
        MaintenanceError: there is no such work, or it is over.
    """
    with conn.cursor(row_factory=class_row(Maintenance)) as cursor:
        done = cursor.execute(
            "UPDATE diagnostics.maintenance SET cancelled_at = %(now)s, cancelled_by = %(actor)s"
            f" WHERE id = %(id)s AND cancelled_at IS NULL AND ends_at > %(now)s RETURNING {_COLUMNS}",
            {"id": maintenance_id, "actor": actor, "now": now},
        ).fetchone()
        if done is None:
            known = cursor.execute(
                f"SELECT {_COLUMNS} FROM diagnostics.maintenance WHERE id = %(id)s", {"id": maintenance_id}
            ).fetchone()
            how = "is over" if known and known.cancelled_at is None else "was cancelled" if known else "was never announced"
            raise MaintenanceError("id", f"maintenance {maintenance_id} {how}")
    return done


def maintenance(conn: Connection, maintenance_id: int) -> Maintenance:
    """One announced work, whatever became of it; `MaintenanceError` where there is none."""
    with conn.cursor(row_factory=class_row(Maintenance)) as cursor:
        found = cursor.execute(
            f"SELECT {_COLUMNS} FROM diagnostics.maintenance WHERE id = %(id)s", {"id": maintenance_id}
        ).fetchone()
    if found is None:
        raise MaintenanceError("id", f"maintenance {maintenance_id} was never announced")
    return found


def list_maintenance(
    conn: Connection, *, since: datetime | None = None, before: int | None = None, limit: int = 200
) -> list[Maintenance]:
    """Announced work that is not over at `since` (None: all ever announced), what starts last first; after the work `before`."""
    with conn.cursor(row_factory=class_row(Maintenance)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM diagnostics.maintenance WHERE (%(since)s::timestamptz IS NULL"
            " OR least(ends_at, cancelled_at) > %(since)s) AND (%(before)s::bigint IS NULL OR (starts_at, id) <"
            " (SELECT starts_at, id FROM diagnostics.maintenance WHERE id = %(before)s))"
            " ORDER BY starts_at DESC, id DESC LIMIT %(limit)s",
            {"since": since, "before": before, "limit": limit},
        ).fetchall()


def current_maintenance(conn: Connection, *, now: datetime) -> list[Maintenance]:
    """The work that is going on."""
    return [one for one in list_maintenance(conn, since=now) if one.covers(now)]


def windows_between(conn: Connection, *, start: datetime, end: datetime) -> list[Window]:
    """What the diagnosis needs to know of work between two moments, both included; nothing counts before it was announced."""
    rows = conn.execute(
        "SELECT scope, greatest(starts_at, announced_at), least(ends_at, cancelled_at) FROM diagnostics.maintenance"
        " WHERE ends_at > %(start)s AND starts_at <= %(end)s AND announced_at <= %(end)s",
        {"start": start, "end": end},
    ).fetchall()
    return [Window(scope, to_ms(starts), to_ms(ends)) for scope, starts, ends in rows if ends > starts]
