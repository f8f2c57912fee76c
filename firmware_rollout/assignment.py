"""What a campaign asks of one terminal, and how far it is: the row that its status is told from."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from firmware_rollout.gate.policy import Metric
from firmware_rollout.harm import HARM
from firmware_rollout.states import CampaignState, State
from fleet.database import Connection
from fleet.registry import REPORTED_FIRMWARE, REPORTED_FROM


class Assignment(NamedTuple):
    """A terminal's place in its newest campaign, and the firmware it last reported itself (None: it never did).

    `opened_at`: when its wave began, None: not yet. `drawn`: it was there when the waves were drawn. `finding`: why the campaign
    stands as it does; `verdict`: the gate's newest, `blamed`: the metrics by which it found harm that stands. `why`: the reason of
    its newest move. `back_to`: what a roll-back can still bring it, None: nothing; `goes_back`: it was the last thing asked of it.
    """

    terminal_id: str
    campaign_id: int
    campaign: str
    campaign_state: CampaignState
    finding: str
    release: str
    wave: int
    planned_at: datetime
    opened_at: datetime | None
    state: State
    since: datetime
    drawn: bool
    reported: str | None
    verdict: str | None = None
    blamed: Sequence[Metric] = ()
    why: str = ""
    back_to: str | None = None
    goes_back: bool = False


# A newer campaign takes a terminal over from an older one, once it has begun to run and unless it was withdrawn from it.
_ASSIGNMENT = f"""
    SELECT DISTINCT ON (a.terminal_id) a.terminal_id, a.campaign_id, c.name, c.state, c.reason, c.release, a.wave, w.planned_at,
        w.opened_at, a.state, a.since, a.drawn, {REPORTED_FIRMWARE}, g.verdict, COALESCE(m.worse, '[]'), COALESCE(h.reason, ''),
        -- Who has a way back that failed for good stays.
        CASE WHEN b.filename IS NOT NULL AND b.withdrawn_at IS NULL
            AND NOT (a.state = 'failed' AND a.retry_at IS NULL AND COALESCE(x.kind = 'roll_back', false))
            THEN a.firmware_before END, COALESCE(x.kind = 'roll_back', false)
    FROM firmware_rollout.assignment a
    JOIN firmware_rollout.campaign c ON c.id = a.campaign_id
    JOIN firmware_rollout.wave w ON w.campaign_id = a.campaign_id AND w.number = a.wave
    JOIN fleet.terminal t ON t.id = a.terminal_id
    {REPORTED_FROM}
    LEFT JOIN firmware_rollout.release b ON b.version = a.firmware_before
    LEFT JOIN LATERAL (
        SELECT verdict FROM firmware_rollout.gate_reading WHERE campaign_id = c.id ORDER BY id DESC LIMIT 1
    ) g ON true
    LEFT JOIN LATERAL ({HARM}) m ON true
    LEFT JOIN LATERAL (
        SELECT y.reason FROM firmware_rollout.assignment_change y
        WHERE y.campaign_id = a.campaign_id AND y.terminal_id = a.terminal_id ORDER BY y.at DESC LIMIT 1
    ) h ON true
    LEFT JOIN LATERAL (
        SELECT z.kind FROM firmware_rollout.action z
        WHERE z.campaign_id = a.campaign_id AND z.terminal_id = a.terminal_id ORDER BY z.id DESC LIMIT 1
    ) x ON true
    WHERE a.terminal_id = ANY(%(ids)s)
        -- One that was aborted before it began never concerned it.
        AND (c.state <> 'aborted' OR EXISTS (
            SELECT FROM firmware_rollout.wave o WHERE o.campaign_id = c.id AND o.opened_at IS NOT NULL))
    ORDER BY a.terminal_id, a.state = 'withdrawn', c.state IN ('draft', 'approved'), a.campaign_id DESC
"""


def assignments_of(conn: Connection, terminals: Sequence[str]) -> dict[str, Assignment]:
    """The current assignment of each of these terminals that has one."""
    rows = conn.execute(_ASSIGNMENT, {"ids": list(terminals)})
    found = map(Assignment._make, rows)
    return {
        one.terminal_id: one._replace(
            state=State(one.state),
            campaign_state=CampaignState(one.campaign_state),
            blamed=[Metric(metric) for metric in one.blamed],
        )
        for one in found
    }
