"""How updates went: attempts by wave, the terminals of a campaign, and all that was asked of one terminal and what it answered."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from firmware_rollout.states import ActionKind, ActionState, CampaignState, Outcome, State
from fleet.database import Connection


class WaveAttempts(NamedTuple):
    """Of one wave: updates that were asked for, devices that are on their way, attempts in vain, terminals tried again."""

    asked: int
    in_flight: int
    in_vain: int
    tried_again: int


class Member(NamedTuple):
    """A terminal of a campaign; `reason` is why it is in its state, empty where it is as it was drawn."""

    terminal_id: str
    point_of_sale: str
    wave: int
    state: State
    since: datetime
    attempts: int
    reason: str


class Answer(NamedTuple):
    """A device's word about what was asked of it, in the device API's words."""

    at: datetime
    execution: str
    finished: str
    progress: int | None
    code: int | None
    details: list[str]


class Asked(NamedTuple):
    """What was asked of a device, how it came out, and the device's words, oldest first."""

    id: int
    campaign_id: int
    campaign: str
    campaign_state: CampaignState
    kind: ActionKind
    release: str
    attempt: int
    state: ActionState
    outcome: Outcome | None
    opened_at: datetime
    retrieved_at: datetime | None
    told_at: datetime | None
    closed_at: datetime | None
    stage: str
    progress: int | None
    detail: str
    answers: list[Answer]


class Moved(NamedTuple):
    """A step of a terminal in a campaign, with its reason."""

    at: datetime
    campaign_id: int
    campaign: str
    state: State
    reason: str


def attempts_by_wave(conn: Connection, campaign_id: int) -> dict[int, WaveAttempts]:
    """How often terminals of each wave were asked, and what came of it; a wave that has not begun is left out."""
    rows = conn.execute(
        """
        SELECT a.wave, count(*) FILTER (WHERE x.kind = 'update'), count(*) FILTER (WHERE x.state <> 'closed'),
            count(*) FILTER (WHERE x.kind = 'update' AND x.outcome IN ('failure', 'silent', 'untrue')),
            count(DISTINCT x.terminal_id) FILTER (WHERE x.kind = 'update' AND x.attempt > 1)
        FROM firmware_rollout.action x
        JOIN firmware_rollout.assignment a ON a.campaign_id = x.campaign_id AND a.terminal_id = x.terminal_id
        WHERE x.campaign_id = %(id)s GROUP BY 1
        """,
        {"id": campaign_id},
    )
    return {wave: WaveAttempts._make(counts) for wave, *counts in rows}


def members_after(
    conn: Connection, campaign_id: int, *, terminal_id: str = "", states: list[State] | None = None, limit: int
) -> list[Member]:
    """The campaign's terminals whose ids come after this one, by id; of these states only (None: of any)."""
    named = None if states is None else [state.value for state in states]
    rows = conn.execute(
        """
        SELECT a.terminal_id, t.point_of_sale, a.wave, a.state, a.since, a.attempts, COALESCE(c.reason, '')
        FROM firmware_rollout.assignment a
        JOIN fleet.terminal t ON t.id = a.terminal_id
        LEFT JOIN LATERAL (
            SELECT reason FROM firmware_rollout.assignment_change x
            WHERE x.campaign_id = a.campaign_id AND x.terminal_id = a.terminal_id ORDER BY x.at DESC LIMIT 1
        ) c ON true
        WHERE a.campaign_id = %(id)s AND a.terminal_id > %(after)s AND (%(states)s::text[] IS NULL OR a.state = ANY(%(states)s))
        ORDER BY a.terminal_id LIMIT %(limit)s
        """,
        {"id": campaign_id, "after": terminal_id, "states": named, "limit": limit},
    )
    found = map(Member._make, rows)
    return [one._replace(state=State(one.state)) for one in found]


def asked_of(conn: Connection, terminal_id: str, *, before: int | None = None, limit: int) -> list[Asked]:
    """What was asked of a terminal, newest first, with its answers; `before`: only what has a lower id."""
    rows = conn.execute(
        """
        SELECT x.id, x.campaign_id, c.name, c.state, x.kind, x.release, x.attempt, x.state, x.outcome, x.opened_at, x.retrieved_at,
            x.told_at, x.closed_at, x.stage, x.progress, x.detail
        FROM firmware_rollout.action x JOIN firmware_rollout.campaign c ON c.id = x.campaign_id
        WHERE x.terminal_id = %(terminal)s AND (%(before)s::integer IS NULL OR x.id < %(before)s)
        ORDER BY x.id DESC LIMIT %(limit)s
        """,
        {"terminal": terminal_id, "before": before, "limit": limit},
    ).fetchall()
    answers = _answers(conn, [row[0] for row in rows])
    found = (Asked._make((*row, answers.get(row[0], []))) for row in rows)
    return [
        one._replace(
            campaign_state=CampaignState(one.campaign_state),
            kind=ActionKind(one.kind),
            state=ActionState(one.state),
            outcome=Outcome(one.outcome) if one.outcome else None,
        )
        for one in found
    ]


def moves_of(conn: Connection, terminal_id: str, *, limit: int) -> Iterator[Moved]:
    """A terminal's steps in every campaign, newest first."""
    rows = conn.execute(
        "SELECT x.at, x.campaign_id, c.name, x.state, x.reason FROM firmware_rollout.assignment_change x"
        " JOIN firmware_rollout.assignment a ON a.campaign_id = x.campaign_id AND a.terminal_id = x.terminal_id"
        " JOIN firmware_rollout.campaign c ON c.id = x.campaign_id"
        " WHERE a.terminal_id = %(terminal)s ORDER BY x.at DESC LIMIT %(limit)s",
        {"terminal": terminal_id, "limit": limit},
    )
    return (Moved(at, campaign_id, campaign, State(state), reason) for at, campaign_id, campaign, state, reason in rows)


def _answers(conn: Connection, actions: list[int]) -> dict[int, list[Answer]]:
    found: dict[int, list[Answer]] = {}
    rows = conn.execute(
        "SELECT action_id, at, execution, finished, progress, code, details FROM firmware_rollout.feedback"
        " WHERE action_id = ANY(%(actions)s) ORDER BY action_id, id",
        {"actions": actions},
    )
    for action, *answer in rows:
        found.setdefault(action, []).append(Answer._make(answer))
    return found
