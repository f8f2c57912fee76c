"""Stores planned steps: each only if the terminal, and what was asked of it, still are as they were planned on.

Devices' words are stored by another program at the same time. What it has changed meanwhile is planned again next time.
"""

from collections.abc import Sequence
from datetime import datetime

from firmware_rollout.planning import Closing, Step, Why
from fleet.database import Connection


def store_steps(conn: Connection, campaign_id: int, steps: Sequence[Step], *, now: datetime, begun: bool = True) -> list[Step]:
    """Store what still holds, with a row of history for each change of state; returns the steps that were stored.

    `begun`: whether the campaign ever began. One that ended as a draft is no part of its terminals' history.
    """
    if not steps:
        return []
    kept = _opened(conn, campaign_id, _closed(conn, _unmoved(conn, campaign_id, steps), now=now), now=now)
    _move(conn, campaign_id, kept)
    _remember(conn, campaign_id, [step for step in kept if step.before is not step.after], now=now, begun=begun)
    return kept


def _unmoved(conn: Connection, campaign_id: int, steps: Sequence[Step]) -> list[Step]:
    """The steps of terminals that still are in the state they were planned on, which is kept until the caller commits."""
    rows = conn.execute(
        "SELECT terminal_id, state FROM firmware_rollout.assignment"
        " WHERE campaign_id = %(campaign)s AND terminal_id = ANY(%(terminals)s) ORDER BY terminal_id FOR UPDATE",
        {"campaign": campaign_id, "terminals": [step.terminal_id for step in steps]},
    )
    states: dict[str, str] = dict(rows.fetchall())
    return [step for step in steps if states.get(step.terminal_id) == step.before.value]


def _closed(conn: Connection, steps: Sequence[Step], *, now: datetime) -> list[Step]:
    """Close, or ask to stop, what is as it was seen; steps whose action has moved are left out."""
    closings: list[Closing] = [step.closing for step in steps if step.closing is not None]
    if not closings:
        return list(steps)
    rows = conn.execute(
        """
        UPDATE firmware_rollout.action a SET state = c.after, outcome = c.outcome,
            closed_at = CASE WHEN c.after = 'closed' THEN %(now)s ELSE a.closed_at END
        FROM unnest(%(ids)s::integer[], %(seen)s::text[], %(retrieved)s::boolean[], %(afters)s::text[], %(outcomes)s::text[])
            AS c (id, seen, retrieved, after, outcome)
        WHERE a.id = c.id AND a.state = c.seen AND (a.retrieved_at IS NOT NULL) = c.retrieved
        RETURNING a.id
        """,
        {
            "ids": [one.action for one in closings],
            "seen": [one.seen.value for one in closings],
            "retrieved": [one.retrieved for one in closings],
            "afters": [one.after.value for one in closings],
            "outcomes": [one.outcome and one.outcome.value for one in closings],
            "now": now,
        },
    )
    closed = {row[0] for row in rows}
    return [step for step in steps if step.closing is None or step.closing.action in closed]


def _move(conn: Connection, campaign_id: int, steps: Sequence[Step]) -> None:
    """Write the new states and what is remembered."""
    memories = [step.memory for step in steps]
    conn.execute(
        """
        UPDATE firmware_rollout.assignment a SET state = s.after, attempts = s.attempts, retry_at = s.retry_at,
            firmware_before = s.firmware_before, health_before = s.health_before, treated_at = s.treated_at,
            well_since = s.well_since
        FROM unnest(%(terminals)s::text[], %(afters)s::text[], %(attempts)s::smallint[], %(retries)s::timestamptz[],
            %(firmware)s::text[], %(health)s::text[], %(treated)s::timestamptz[], %(well)s::timestamptz[])
            AS s (terminal_id, after, attempts, retry_at, firmware_before, health_before, treated_at, well_since)
        WHERE a.campaign_id = %(campaign)s AND a.terminal_id = s.terminal_id
        """,
        {
            "campaign": campaign_id,
            "terminals": [step.terminal_id for step in steps],
            "afters": [step.after.value for step in steps],
            "attempts": [memory.attempts for memory in memories],
            "retries": [memory.retry_at for memory in memories],
            "firmware": [memory.firmware_before for memory in memories],
            "health": [memory.health_before for memory in memories],
            "treated": [memory.treated_at for memory in memories],
            "well": [memory.well_since for memory in memories],
        },
    )


def _opened(conn: Connection, campaign_id: int, steps: Sequence[Step], *, now: datetime) -> list[Step]:
    """Open actions; steps whose device still has another one, of an older campaign, are left out."""
    asked = [(step.terminal_id, step.opening) for step in steps if step.opening is not None]
    if not asked:
        return list(steps)
    rows = conn.execute(
        """
        INSERT INTO firmware_rollout.action (campaign_id, terminal_id, attempt, kind, release, opened_at, boot_before)
        SELECT %(campaign)s, o.terminal_id, o.attempt, o.kind, o.release, %(now)s, o.boot
        FROM unnest(%(terminals)s::text[], %(attempts)s::smallint[], %(kinds)s::text[], %(releases)s::text[], %(boots)s::bigint[])
            AS o (terminal_id, attempt, kind, release, boot)
        ON CONFLICT (terminal_id) WHERE state <> 'closed' DO NOTHING
        RETURNING terminal_id
        """,
        {
            "campaign": campaign_id,
            "now": now,
            "terminals": [terminal for terminal, _ in asked],
            "attempts": [opening.attempt for _, opening in asked],
            "kinds": [opening.kind.value for _, opening in asked],
            "releases": [opening.release for _, opening in asked],
            "boots": [opening.boot_before for _, opening in asked],
        },
    )
    opened = {row[0] for row in rows}
    return [step for step in steps if step.opening is None or step.terminal_id in opened]


def _remember(conn: Connection, campaign_id: int, steps: Sequence[Step], *, now: datetime, begun: bool) -> None:
    """Say since when the states hold, and write the history."""
    if not steps:
        return
    conn.execute(
        """
        WITH moved AS (
            SELECT * FROM unnest(%(terminals)s::text[], %(states)s::text[], %(whys)s::text[]) AS m (terminal_id, state, reason)
        ), dated AS (
            UPDATE firmware_rollout.assignment a
            -- Who comes back stays the failure it was, as old as it was: a person may have forgiven it since.
            SET since = CASE WHEN m.reason = %(came_back)s THEN a.since ELSE %(now)s END
            FROM moved m
            WHERE a.campaign_id = %(campaign)s AND a.terminal_id = m.terminal_id
        )
        INSERT INTO firmware_rollout.assignment_change (campaign_id, terminal_id, at, state, reason)
        SELECT %(campaign)s, m.terminal_id, %(now)s, m.state, m.reason FROM moved m WHERE %(begun)s
        -- Two steps at one moment: the later one tells where it went.
        ON CONFLICT (campaign_id, terminal_id, at) DO UPDATE SET state = excluded.state, reason = excluded.reason
        """,
        {
            "campaign": campaign_id,
            "now": now,
            "begun": begun,
            "came_back": Why.CAME_BACK.value,
            "terminals": [step.terminal_id for step in steps],
            "states": [step.after.value for step in steps],
            "whys": [step.why.value for step in steps],
        },
    )
