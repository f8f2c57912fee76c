"""A round of the gate: every live campaign's run is begun when it is due, and judged when a period of it is over."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

import psycopg

from firmware_rollout.advancing import WaveNow
from firmware_rollout.campaigns import Campaign, list_campaigns, progress
from firmware_rollout.gate.judging import Reading, Verdict
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.gating import begin_run, judge_due, newest_reading, newest_run, standing_halt
from firmware_rollout.policy import read_policy
from firmware_rollout.states import CampaignState
from fleet.database import Connection

log = logging.getLogger(__name__)

# While a campaign is paused its updated terminals go on living, and can show what is wrong.
_GATED: Final = (CampaignState.RUNNING, CampaignState.PAUSED)


def judge_round(conn: Connection, *, now: datetime, on_fault: Callable[[], None] = lambda: None) -> list[Reading]:
    """Judge what is due, each campaign in a transaction of its own; returns the readings that were stored.

    What is wrong with one campaign stops no other; `on_fault` hears of it.
    """
    readings = []
    for campaign in list_campaigns(conn):
        if campaign.state in _GATED:
            try:
                with conn.transaction():
                    reading = _judge(conn, campaign, now=now)
            except psycopg.OperationalError:
                raise
            except Exception:
                on_fault()
                log.exception("%s could not be judged", campaign.name, extra={"action": "judge", "campaign": campaign.name})
                continue
            if reading is not None:
                log.info("the gate of %s: %s", campaign.name, reading.verdict, extra={"action": "judge", "campaign": campaign.name})
                readings.append(reading)
    return readings


def waves_of(conn: Connection, campaign_id: int) -> list[WaveNow]:
    """The waves of a campaign, in their order."""
    return [WaveNow(one.number, one.planned_at, one.share_pct, one.opened_at) for one in progress(conn, campaign_id)]


def _judge(conn: Connection, campaign: Campaign, *, now: datetime) -> Reading | None:
    """Judge a campaign as long as there is somebody to compare with; None: nothing is due."""
    waves = waves_of(conn, campaign.id)
    begun = [wave for wave in waves if wave.opened_at is not None]
    if not begun or len(begun) == len(waves):
        return None
    try:
        policy = read_policy(campaign.policy)
    except PolicyError:
        # Planning halts it, and says so.
        return None
    if standing_halt(conn, campaign.id, overruled=campaign.overruled) is not None:
        # It halts as soon as planning looks; whoever lets it go on begins a new run.
        return None
    live, word = newest_run(conn, campaign.id), newest_reading(conn, campaign.id)
    overruled = word is not None and word.verdict is Verdict.HALT and word.id <= campaign.overruled
    if live is None or (overruled and word is not None and live.began_at <= word.at):
        # After a halt a person let it go on: what was held against it is not held against it for ever.
        begin_run(conn, campaign.id, policy, now=now)
        return None
    return judge_due(conn, live, policy, waves, now=now)
