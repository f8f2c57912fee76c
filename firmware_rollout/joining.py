"""Lets terminals that came later join a campaign: with their shop's wave, or, in a shop that is new too, by its own lot."""

from collections.abc import Sequence
from datetime import datetime

from firmware_rollout.campaigns import Campaign, assign
from firmware_rollout.releases import Release
from firmware_rollout.shops import calls_of_shops, draw_late, strata_of_shops
from firmware_rollout.snapshot import TAKEN_OVER
from firmware_rollout.states import AT_WORK, CampaignState
from fleet.database import Connection
from fleet.registry import terminals_of
from fleet.scope import in_scope

JOINABLE = (CampaignState.APPROVED, CampaignState.RUNNING, CampaignState.PAUSED)


def join_newcomers(
    conn: Connection, campaign: Campaign, release: Release, shares_pct: Sequence[float], *, now: datetime
) -> list[str]:
    """Assign terminals that the campaign aims at, that its release fits, and that no campaign has; returns their ids."""
    if campaign.state not in JOINABLE:
        return []
    # The ids first: mostly there are none, and the fleet need not be read.
    rows = conn.execute(
        "SELECT t.id, t.point_of_sale FROM fleet.terminal t WHERE t.model = ANY(%(models)s)"
        " AND (%(hw)s::text[] = '{}' OR t.hw = ANY(%(hw)s)) AND NOT EXISTS (SELECT FROM firmware_rollout.assignment a"
        "   JOIN firmware_rollout.campaign c ON c.id = a.campaign_id WHERE a.terminal_id = t.id"
        # A draft has nothing yet, and one that was aborted before it began a terminal never had it.
        f"   AND (a.campaign_id = %(id)s OR (a.state IN ('updating', 'soaking') AND NOT {TAKEN_OVER})"
        "     OR (a.campaign_id > %(id)s AND c.state <> 'draft' AND (a.state <> 'withdrawn' OR a.firmware_before IS NOT NULL))"
        "     OR (a.state = 'planned' AND c.state = ANY(%(at_work)s))))",
        {"models": release.models, "hw": release.hw, "id": campaign.id, "at_work": [state.value for state in AT_WORK]},
    ).fetchall()
    if not rows:
        return []
    new = {terminal for terminal, _ in rows}
    of_shops = terminals_of(conn, points_of_sale=sorted({shop for _, shop in rows}))
    joining = [one for one in in_scope(campaign.target, of_shops) if one.id in new]
    if not joining:
        return []
    known = conn.execute(
        "SELECT DISTINCT ON (t.point_of_sale) t.point_of_sale, a.wave, a.stratum FROM firmware_rollout.assignment a"
        " JOIN fleet.terminal t ON t.id = a.terminal_id WHERE a.campaign_id = %(id)s AND t.point_of_sale = ANY(%(shops)s)"
        " ORDER BY 1, a.terminal_id",
        {"id": campaign.id, "shops": [one.point_of_sale for one in joining]},
    ).fetchall()
    strata = strata_of_shops(joining, calls_of_shops(conn, now=now))
    waves = {shop: draw_late(shop, shares_pct, seed=campaign.seed) for shop in strata}
    waves |= {shop: wave for shop, wave, _ in known}
    strata |= {shop: stratum for shop, _, stratum in known}
    assign(conn, campaign.id, joining, waves=waves, strata=strata, drawn=False, now=now)
    return sorted(one.id for one in joining)
