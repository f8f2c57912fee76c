"""`vigie rollout`: brings campaigns and what terminals report together, every few seconds.

A step takes each live campaign in a transaction of its own: newcomers join, every terminal's next step is planned and stored with
its reason, and the campaign moves where the gate's newest reading says so. It may repeat harmlessly. Beside it, the gate judges
what has come to its end. One instance works at a time. It also keeps the releases' short-lived metadata signed.
"""

import json
import logging
import threading
import time
from collections import Counter as Count
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

import psycopg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from firmware_rollout.advancing import HARMS, Advance, WaveNow, advance
from firmware_rollout.audit import PLANNER, canonical, newest_move, note, tell_head
from firmware_rollout.campaigns import Campaign, list_campaigns
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.gate_round import judge_round, waves_of
from firmware_rollout.gating import newest_reading, standing_halt
from firmware_rollout.joining import join_newcomers
from firmware_rollout.planning import MOST_STEPS, CampaignNow, Step, Why, count_whys, plan
from firmware_rollout.policy import Policy, read_policy
from firmware_rollout.releases import release_of
from firmware_rollout.settings import RolloutSettings
from firmware_rollout.snapshot import TAKEN_OVER, Standing, look, standings
from firmware_rollout.states import SETTLED, CampaignState, State
from firmware_rollout.storing import store_steps
from firmware_rollout.trust.keeping import MetadataMetrics, keep_signed
from fleet.alone import run_alone, stop_on_signals
from fleet.clock import Clock, system_clock
from fleet.database import Connection
from fleet.metrics import new_registry, serve

log = logging.getLogger(__name__)

# The keys are arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0004
GATE_LOCK: Final = 0x7661_6769_0014
_AT_WORK: Final = (
    CampaignState.APPROVED,
    CampaignState.RUNNING,
    CampaignState.PAUSED,
    CampaignState.HALTED,
    CampaignState.ROLLING_BACK,
)
_OVER: Final = (CampaignState.FINISHED, CampaignState.ABORTED, CampaignState.ROLLED_BACK)


class Metrics:
    """What the rollout tells Prometheus."""

    def __init__(self, into: CollectorRegistry) -> None:
        self.step = Histogram("vigie_rollout_step_seconds", "Duration of one step, read to commit.", registry=into)
        self.assignments = Gauge(
            "vigie_rollout_assignments", "Terminals of live campaigns in each state.", ["state"], registry=into
        )
        self.transitions = Counter("vigie_rollout_transitions", "Steps of terminals, by reason.", ["why"], registry=into)
        self.readings = Counter("vigie_rollout_gate_readings", "Readings of the gate, by verdict.", ["verdict"], registry=into)
        self.leads = Gauge("vigie_rollout_leads", "1 while this instance plans, 0 while it stands by.", registry=into)
        self.faults = Counter("vigie_rollout_faults", "Steps that failed and were begun anew.", registry=into)


def step(conn: Connection, *, now: datetime, metrics: Metrics) -> list[Step]:
    """Plan every live campaign once and store what is due; returns the terminals' steps. Opens its own transactions."""
    begun = time.monotonic()
    taken: list[Step] = []
    states: Count[State] = Count()
    for campaign in reversed(list_campaigns(conn)):
        if campaign.state in _AT_WORK or _leaves_some(conn, campaign):
            try:
                with conn.transaction():
                    taken += _step_campaign(conn, campaign, now=now)
            except psycopg.OperationalError:
                raise
            except Exception:
                # What is wrong with one campaign stops no other.
                metrics.faults.inc()
                log.exception("%s could not be planned", campaign.name, extra={"action": "rollout", "campaign": campaign.name})
            states.update(campaign.states)
    states.update(one.after for one in taken)
    states.subtract(one.before for one in taken)
    metrics.step.observe(time.monotonic() - begun)
    for state in State:
        metrics.assignments.labels(state).set(states[state])
    for why, count in count_whys(taken).items():
        metrics.transitions.labels(Why(why)).inc(count)
        log.info("%s terminals: %s", count, why, extra={"action": "rollout", "why": why, "count": count})
    return taken


def pause_s(taken: int, step_s: float) -> float:
    """Seconds until the next step: none after one that took as many as it may, for the rest is due as well.

    A roll back of a whole fleet withdraws thousands before the first way back begins.
    """
    return 0.0 if taken >= MOST_STEPS else step_s


def run(settings: RolloutSettings, *, clock: Clock | None = None, stop: threading.Event | None = None) -> None:
    """The body of `vigie rollout`: plan until stopped. Without `stop`, SIGTERM and SIGINT end it."""
    stop = stop or stop_on_signals()
    clock = clock or system_clock(settings.clock_offset_s)
    into = new_registry("rollout")
    metrics, signing = Metrics(into), MetadataMetrics(into)
    close = serve(into, port=settings.metrics_port)

    def plan_on(conn: Connection) -> None:
        while not stop.is_set():
            now = clock()
            keep_signed(conn, keys=settings.release_keys, now=now, metrics=signing)
            taken = step(conn, now=now, metrics=metrics)
            stop.wait(pause_s(len(taken), settings.rollout_step_s))

    def judge_on(conn: Connection) -> None:
        told_at: datetime | None = None
        while not stop.is_set():
            for reading in judge_round(conn, now=clock(), on_fault=metrics.faults.inc):
                metrics.readings.labels(reading.verdict.value).inc()
            told_at = tell_head(conn, told_at=told_at, now=clock())
            stop.wait(settings.rollout_step_s)

    alone = partial(run_alone, settings.database_url.get_secret_value(), stop=stop, on_fault=metrics.faults.inc)
    # Counting a day of the fleet takes seconds, and four weeks of it a minute; planning goes on meanwhile.
    gate = threading.Thread(target=alone, args=(judge_on,), kwargs={"program": "rollout gate", "lock": GATE_LOCK}, name="gate")
    gate.start()
    try:
        alone(plan_on, program="rollout", lock=LOCK, on_lead=metrics.leads.set)
    finally:
        stop.set()
        gate.join()
        close()


def _leaves_some(conn: Connection, campaign: Campaign) -> bool:
    """Whether a campaign that is over still has terminals on their way.

    Who has no way back may soak on after a roll-back, and what a newer campaign took over and gave up is the older one's again.
    """
    if campaign.state not in _OVER or set(campaign.states) <= SETTLED:
        return False
    row = conn.execute(
        "SELECT 1 FROM firmware_rollout.assignment a WHERE a.campaign_id = %(id)s AND NOT a.state = ANY(%(settled)s)"
        f" AND NOT {TAKEN_OVER} LIMIT 1",
        {"id": campaign.id, "settled": [state.value for state in SETTLED]},
    ).fetchone()
    return row is not None


def _step_campaign(conn: Connection, campaign: Campaign, *, now: datetime) -> list[Step]:
    try:
        policy = read_policy(campaign.policy)
    except PolicyError as error:
        _stop_unreadable(conn, campaign, error, now=now)
        return []
    release = release_of(conn, campaign.release)
    waves = waves_of(conn, campaign.id)
    joined = join_newcomers(conn, campaign, release, [wave.share_pct for wave in waves], now=now)
    fleet = standings(conn, campaign.id, now=now)
    withdrawn = None if release.withdrawn_at is None else release.withdrawn_why
    halted = campaign.state is CampaignState.HALTED
    harms = halted and (withdrawn is not None or newest_move(conn, campaign.id) in HARMS)
    current = _now(campaign, policy, waves, harms=harms)._replace(looked_since=look(conn, campaign.id, now=now))
    due = plan(current, fleet, now=now) if campaign.state is not CampaignState.APPROVED else []
    taken = store_steps(conn, campaign.id, due, now=now, begun=current.open_wave > 0)
    # Planning may have been away while the gate read on: a halt is not lost behind newer words.
    reading = standing_halt(conn, campaign.id, overruled=campaign.overruled) or newest_reading(conn, campaign.id)
    decided = advance(
        current,
        waves,
        fleet,
        reading,
        since=campaign.state_since,
        withdrawn=withdrawn,
        overruled=campaign.overruled,
        let_pass=campaign.let_pass,
        forgiven_at=campaign.overruled_at,
        now=now,
    )
    moved = decided if decided is not None and _store_move(conn, campaign, decided, now=now) else None
    # Only now: whoever writes the audit holds up all others who do, and a person's deed takes the campaign's row first as well.
    if joined:
        note(conn, actor=PLANNER, deed="joined", campaign_id=campaign.id, details={"terminals": joined}, now=now)
    _note_steps(conn, campaign, taken, fleet, now=now)
    if moved is not None:
        _note_move(conn, campaign, moved, now=now)
    return taken


def _now(campaign: Campaign, policy: Policy, waves: Sequence[WaveNow], *, harms: bool) -> CampaignNow:
    begun = [wave for wave in waves if wave.opened_at is not None]
    last = begun[-1].opened_at if begun and len(begun) == len(waves) else None
    give_up_at = None if last is None else last + policy.give_up
    return CampaignNow(campaign.state, campaign.release, policy, begun[-1].number if begun else 0, give_up_at, harms)


def _store_move(conn: Connection, campaign: Campaign, decided: Advance, *, now: datetime) -> bool:
    """Store the move unless a person has moved the campaign meanwhile."""
    moved = conn.execute(
        "UPDATE firmware_rollout.campaign SET state = %(after)s, reason = %(finding)s,"
        " state_since = CASE WHEN state = %(after)s THEN state_since ELSE %(now)s END"
        " WHERE id = %(id)s AND state = %(before)s",
        {
            "id": campaign.id,
            "before": decided.before.value,
            "after": decided.after.value,
            "finding": decided.finding,
            "now": now,
        },
    )
    if moved.rowcount != 1:
        return False
    if decided.opens is not None:
        conn.execute(
            "UPDATE firmware_rollout.wave SET opened_at = CASE WHEN number = %(opens)s THEN %(now)s ELSE opened_at END,"
            " passed_at = CASE WHEN number < %(opens)s THEN %(now)s ELSE passed_at END,"
            " passed_why = CASE WHEN number < %(opens)s THEN %(finding)s ELSE passed_why END"
            " WHERE campaign_id = %(id)s AND number IN (%(opens)s - 1, %(opens)s)",
            {"id": campaign.id, "opens": decided.opens, "finding": decided.finding, "now": now},
        )
    return True


def _note_move(conn: Connection, campaign: Campaign, decided: Advance, *, now: datetime) -> None:
    details = {
        "from": decided.before,
        "to": decided.after,
        "finding": decided.finding,
        "opens": decided.opens,
        "inputs": decided.inputs,
    }
    note(conn, actor=PLANNER, deed=decided.because.value, campaign_id=campaign.id, details=details, now=now)
    log.info(
        "%s: %s", campaign.name, decided.because, extra={"action": "campaign", "campaign": campaign.name, "why": decided.because}
    )


def _stop_unreadable(conn: Connection, campaign: Campaign, error: PolicyError, *, now: datetime) -> None:
    """A policy that cannot be read stops its campaign, and no other."""
    moved = conn.execute(
        "UPDATE firmware_rollout.campaign SET state = 'halted', reason = %(why)s, state_since = %(now)s"
        " WHERE id = %(id)s AND state IN ('approved', 'running', 'rolling_back')",
        {"id": campaign.id, "why": f"its policy cannot be read: {error}", "now": now},
    )
    if moved.rowcount:
        log.error("%s is halted, its policy cannot be read: %s", campaign.name, error, extra={"action": "campaign"})
        note(conn, actor=PLANNER, deed="policy_unreadable", campaign_id=campaign.id, details={"error": str(error)}, now=now)


def _note_steps(conn: Connection, campaign: Campaign, taken: Sequence[Step], fleet: Sequence[Standing], *, now: datetime) -> None:
    """One row for all of a step: how many terminals moved, or were asked to stop, and why; which, and what was known of them."""
    noted = [one for one in taken if one.before is not one.after or one.closing is not None]
    if not noted:
        return
    seen = {one.terminal_id: one for one in fleet}
    alike: dict[str, list[str]] = {}
    for one in sorted(noted):
        was = seen[one.terminal_id]
        inputs = {"reported": was.reported, "online": was.online, "health": was.health, "attempts": was.memory.attempts}
        asked = was.action and {"kind": was.action.kind, "state": was.action.state, "outcome": was.action.outcome}
        said = {"from": one.before, "to": one.after, "why": one.why, "inputs": {**inputs, "action": asked}}
        alike.setdefault(canonical(said), []).append(one.terminal_id)
    moves = [{**json.loads(said), "terminals": ids} for said, ids in alike.items()]
    details = {"counted": count_whys(noted), "moves": moves}
    note(conn, actor=PLANNER, deed="planned", campaign_id=campaign.id, details=details, now=now)
