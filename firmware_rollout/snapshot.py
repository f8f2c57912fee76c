"""What planning reads of each terminal of a campaign: where it stands, what it last said, and what is asked of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from diagnostics.health import READER, WATCH_LASTS
from firmware_rollout.states import ActionKind, ActionState, Outcome, State
from fleet.database import Connection
from fleet.registry import REPORTED_FIRMWARE, REPORTED_FROM


class Memory(NamedTuple):
    """What planning remembers of a terminal; the columns of its assignment."""

    attempts: int = 0
    retry_at: datetime | None = None
    firmware_before: str | None = None
    health_before: str | None = None
    treated_at: datetime | None = None
    well_since: datetime | None = None


class Action(NamedTuple):
    """The newest thing asked of a device in this campaign."""

    id: int
    kind: ActionKind
    release: str
    state: ActionState
    outcome: Outcome | None
    opened_at: datetime
    retrieved_at: datetime | None = None
    told_at: datetime | None = None
    boot_before: int | None = None


class Standing(NamedTuple):
    """A terminal of a campaign.

    `reported`: the firmware that it last said it runs, `boot` the boot in which it was last born on the network, `heard_at` when
    that came (of one that is lost: its last report), `online` None where it was never seen. `health`: diagnostics' word, `unknown`
    where nobody watches. `way_back`: what it ran before can be brought again. `action`: of a terminal that updates, failed or
    is back.
    """

    terminal_id: str
    point_of_sale: str
    wave: int
    state: State
    since: datetime
    memory: Memory
    reported: str | None
    boot: int | None
    heard_at: datetime | None
    online: bool | None
    health: str
    opening_hours: str
    timezone: str
    way_back: bool
    action: Action | None


# As long as the watch's: a restart of the program takes less.
LOOK_LASTS: Final = WATCH_LASTS

# A newer campaign takes a terminal `a` over from an older one when it begins it, and as long as it has its way.
TAKEN_OVER: Final = """EXISTS (
    SELECT FROM firmware_rollout.assignment n WHERE n.terminal_id = a.terminal_id AND n.campaign_id > a.campaign_id
        AND n.firmware_before IS NOT NULL AND n.state IN ('updating', 'soaking', 'done'))"""
_STATES: Final = {state.value: state for state in State}
# Whoever finished, fell out or has its wave still to come has no action that matters.
_STANDING: Final = f"""
    SELECT a.terminal_id, t.point_of_sale, a.wave, a.state, a.since,
        a.attempts, a.retry_at, a.firmware_before, a.health_before, a.treated_at, a.well_since,
        {REPORTED_FIRMWARE}, p.boot, GREATEST(CASE WHEN p.online THEN p.changed_at END, r.received_at), p.online,
        CASE WHEN %(watched)s THEN COALESCE(h.state, 'unknown') ELSE 'unknown' END, s.opening_hours, s.timezone,
        COALESCE(b.filename IS NOT NULL AND b.withdrawn_at IS NULL, false),
        c.id, c.kind, c.release, c.state, c.outcome, c.opened_at, c.retrieved_at, c.told_at, c.boot_before
    FROM firmware_rollout.assignment a
    JOIN fleet.terminal t ON t.id = a.terminal_id
    JOIN fleet.point_of_sale s ON s.code = t.point_of_sale
    {REPORTED_FROM}
    LEFT JOIN diagnostics.health h ON h.terminal_id = a.terminal_id
    LEFT JOIN firmware_rollout.release b ON b.version = a.firmware_before
    LEFT JOIN LATERAL (
        SELECT * FROM firmware_rollout.action x
        WHERE x.campaign_id = a.campaign_id AND x.terminal_id = a.terminal_id AND a.state IN ('updating', 'failed', 'rolled_back')
        ORDER BY x.id DESC LIMIT 1
    ) c ON true
    -- Who was withdrawn after it was begun may have installed it all the same.
    WHERE a.campaign_id = %(campaign)s AND (a.state <> 'withdrawn' OR a.firmware_before IS NOT NULL)
        AND NOT {TAKEN_OVER}
    ORDER BY a.terminal_id
"""


def standings(conn: Connection, campaign_id: int, *, now: datetime) -> list[Standing]:
    """The terminals of a campaign, by id; not those withdrawn before their turn, nor those that a newer campaign has taken over."""
    watched = _watched_at(conn)
    parameters = {"campaign": campaign_id, "watched": watched is not None and now - watched <= WATCH_LASTS}
    return list(_read(conn.execute(_STANDING, parameters).fetchall()))


def look(conn: Connection, campaign_id: int, *, now: datetime) -> datetime:
    """Keep that planning looks at a campaign now; since when it has done so without a break."""
    row = conn.execute(
        "INSERT INTO firmware_rollout.campaign_look AS l (campaign_id, at, since) VALUES (%(id)s, %(now)s, %(now)s)"
        " ON CONFLICT (campaign_id) DO UPDATE SET at = excluded.at,"
        " since = CASE WHEN excluded.at - l.at <= %(lasts)s THEN l.since ELSE excluded.at END RETURNING since",
        {"id": campaign_id, "now": now, "lasts": LOOK_LASTS},
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    since: datetime = row[0]
    return since


def _watched_at(conn: Connection) -> datetime | None:
    row = conn.execute("SELECT ticked_at FROM diagnostics.watermark WHERE reader = %(reader)s", {"reader": READER}).fetchone()
    return row[0] if row else None


def _read(rows: Any) -> Iterator[Standing]:
    for row in rows:
        terminal, shop, wave, state, since = row[:5]
        memory, action = Memory(*row[5:11]), row[19:]
        asked = None
        if action[0] is not None:
            id_, kind, release, at, outcome, *times = action
            asked = Action(id_, ActionKind(kind), release, ActionState(at), Outcome(outcome) if outcome else None, *times)
        yield Standing._make((terminal, shop, wave, _STATES[state], since, memory, *row[11:19], asked))
