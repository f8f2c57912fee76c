"""Whether a person may let a wave pass although the gate is not sure: where it has found no harm, and a wave is still to come.

The gate of a small campaign may never know enough. What it then waits for, or was halted for, a person answers for instead.
"""

import json
from typing import Final

from firmware_rollout.advancing import Because
from firmware_rollout.audit import PLANNER, entries_of, newest_move
from firmware_rollout.campaigns import Campaign, CampaignError
from firmware_rollout.gating import standing_halt
from firmware_rollout.states import CampaignState
from fleet.database import Connection

# As the audit notes that a person let a wave pass (`deeds.Deed.PASS`).
PASSED: Final = "pass"
# Campaigns of fewer shops learn little: `vigie evaluate-gate --target` says what they find, and what they miss.
FEW_SHOPS: Final = 2_000


def few_shops(conn: Connection, campaign_id: int) -> int | None:
    """How many shops a campaign aims at, where they are so few that its gate may miss harm, or wait for a person; None: enough."""
    row = conn.execute(
        "SELECT count(DISTINCT t.point_of_sale) FROM firmware_rollout.assignment a JOIN fleet.terminal t ON t.id = a.terminal_id"
        " WHERE a.campaign_id = %(id)s",
        {"id": campaign_id},
    ).fetchone()
    shops = int(row[0]) if row else 0
    return shops if shops < FEW_SHOPS else None


def wave_to_pass(conn: Connection, campaign_id: int) -> int | None:
    """The newest wave that has begun; None where none has, or none is left to begin after it."""
    row = conn.execute(
        "SELECT max(number) FILTER (WHERE opened_at IS NOT NULL), max(number) FROM firmware_rollout.wave"
        " WHERE campaign_id = %(id)s",
        {"id": campaign_id},
    ).fetchone()
    begun, last = row or (None, None)
    return None if begun is None or begun == last else int(begun)


def refused_pass(conn: Connection, campaign: Campaign) -> CampaignError | None:
    """Why a person cannot let this campaign's wave pass; None: they can."""
    if wave_to_pass(conn, campaign.id) is None:
        return CampaignError("evidence", "no wave has begun that another one follows")
    halt = standing_halt(conn, campaign.id, overruled=campaign.overruled)
    if halt is not None and halt.worse:
        return CampaignError(
            "evidence", "the gate found harm (%(finding)s); to go on against that, resume it", finding=halt.finding
        )
    if campaign.state is CampaignState.HALTED and newest_move(conn, campaign.id) != Because.GATE_UNDECIDED:
        return CampaignError("evidence", "it was not halted for want of evidence; resume it first")
    return None


def let_pass_by(conn: Connection, campaign_id: int) -> dict[int, str]:
    """The waves that went by on a person's word, not on the gate's, with who gave it."""
    given: dict[int, str] = {}
    for entry in entries_of(conn, campaign_id, deed=PASSED):
        given.setdefault(json.loads(entry.details)["wave"], entry.actor)
    begun = entries_of(conn, campaign_id, actor=PLANNER, deed=Because.LET_PASS)
    waves = [json.loads(entry.details)["inputs"]["wave"] for entry in begun]
    return {wave: given[wave] for wave in waves if wave in given}
