"""Who was there: the times at which an agent's console was open, so that occupancy has something to be a share of."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from fleet.database import Connection
from hotline.occupancy import Span

# How often the web program says who is there; after three times this long without word, somebody has left.
NOTED_EVERY: Final = timedelta(seconds=30)
_GONE_AFTER: Final = 3 * NOTED_EVERY


def note_present(conn: Connection, *, agents: Collection[int], now: datetime) -> None:
    """Note that these agents are there; who was there a moment ago has been ever since."""
    conn.execute(
        """
        WITH stayed AS (
            UPDATE hotline.attendance SET seen_at = %(now)s
            WHERE agent = ANY(%(agents)s) AND seen_at BETWEEN %(gone)s AND %(now)s RETURNING agent
        )
        INSERT INTO hotline.attendance (agent, began_at, seen_at)
        SELECT there, %(now)s, %(now)s FROM unnest(%(agents)s::bigint[]) there
        WHERE there NOT IN (SELECT agent FROM stayed) ON CONFLICT DO NOTHING
        """,
        {"agents": sorted(agents), "now": now, "gone": now - _GONE_AFTER},
    )


def attendance(conn: Connection, *, since: datetime, until: datetime) -> dict[int, list[Span]]:
    """When each agent was there, of what touches the period."""
    found: dict[int, list[Span]] = {}
    for agent, began_at, seen_at in conn.execute(
        "SELECT agent, began_at, seen_at FROM hotline.attendance"
        " WHERE seen_at >= %(since)s AND began_at < %(until)s ORDER BY began_at",
        {"since": since, "until": until},
    ):
        found.setdefault(agent, []).append((began_at, seen_at))
    return found


def present_now(conn: Connection, *, now: datetime) -> set[int]:
    """The agents whose console is open."""
    rows = conn.execute(
        "SELECT agent FROM hotline.attendance WHERE seen_at >= %(gone)s AND began_at <= %(now)s",
        {"gone": now - _GONE_AFTER, "now": now},
    )
    return {row[0] for row in rows}
