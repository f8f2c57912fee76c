"""`vigie rollout`: brings what was planned and what terminals report together, every few seconds.

A step loads every current assignment, plans, and stores the transitions with their reasons in one transaction. It may
repeat harmlessly. One instance works at a time. It also keeps the releases' short-lived metadata signed.
"""

import logging
import threading
import time
from collections import Counter as Count
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from firmware_rollout.assignment import Assignment, State, all_assignments
from firmware_rollout.planning import Transition, Why, plan
from firmware_rollout.settings import RolloutSettings
from firmware_rollout.trust.keeping import MetadataMetrics, keep_signed
from fleet.alone import run_alone, stop_on_signals
from fleet.clock import Clock, system_clock
from fleet.database import Connection
from fleet.metrics import new_registry, serve

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0004


class Metrics:
    """What the rollout tells Prometheus."""

    def __init__(self, into: CollectorRegistry) -> None:
        self.step = Histogram("vigie_rollout_step_seconds", "Duration of one step, read to commit.", registry=into)
        self.assignments = Gauge("vigie_rollout_assignments", "Current assignments in each state.", ["state"], registry=into)
        self.transitions = Counter("vigie_rollout_transitions", "Steps of assignments, by reason.", ["why"], registry=into)
        self.leads = Gauge("vigie_rollout_leads", "1 while this instance plans, 0 while it stands by.", registry=into)
        self.faults = Counter("vigie_rollout_faults", "Steps that failed and were begun anew.", registry=into)


def step(conn: Connection, *, now: datetime, metrics: Metrics) -> list[Transition]:
    """Plan once and store what is due; returns it. Opens its own transaction."""
    begun = time.monotonic()
    with conn.transaction():
        assignments = all_assignments(conn)
        planned = plan(assignments, now)
        save_transitions(conn, planned, now=now)
    _measure(metrics, assignments, planned, seconds=time.monotonic() - begun)
    return planned


def save_transitions(conn: Connection, transitions: Sequence[Transition], *, now: datetime) -> int:
    """Move the assignments that are still in the state they were planned on, with a row of history each; returns how many."""
    if not transitions:
        return 0
    return conn.execute(
        """
        WITH planned AS (
            SELECT * FROM unnest(%(campaigns)s::bigint[], %(terminals)s::text[], %(befores)s::text[], %(afters)s::text[],
                %(whys)s::text[]) AS p (campaign_id, terminal_id, before, after, why)
        ), moved AS (
            UPDATE firmware_rollout.assignment a SET state = p.after, since = %(now)s
            FROM planned p
            WHERE a.campaign_id = p.campaign_id AND a.terminal_id = p.terminal_id AND a.state = p.before
            RETURNING a.campaign_id, a.terminal_id, p.after, p.why
        )
        INSERT INTO firmware_rollout.assignment_change (campaign_id, terminal_id, at, state, reason)
        SELECT campaign_id, terminal_id, %(now)s, after, why FROM moved
        """,
        {
            "campaigns": [t.campaign_id for t in transitions],
            "terminals": [t.terminal_id for t in transitions],
            "befores": [t.before.value for t in transitions],
            "afters": [t.after.value for t in transitions],
            "whys": [t.why.value for t in transitions],
            "now": now,
        },
    ).rowcount


def run(settings: RolloutSettings, *, clock: Clock | None = None, stop: threading.Event | None = None) -> None:
    """The body of `vigie rollout`: plan until stopped. Without `stop`, SIGTERM and SIGINT end it."""
    stop = stop or stop_on_signals()
    clock = clock or system_clock(settings.clock_offset_s)
    into = new_registry("rollout")
    metrics, signing = Metrics(into), MetadataMetrics(into)
    close = serve(into, port=settings.metrics_port)

    def work(conn: Connection) -> None:
        while not stop.is_set():
            now = clock()
            keep_signed(conn, keys=settings.release_keys, now=now, metrics=signing)
            step(conn, now=now, metrics=metrics)
            stop.wait(settings.rollout_step_s)

    try:
        run_alone(
            settings.database_url.get_secret_value(),
            work,
            program="rollout",
            lock=LOCK,
            stop=stop,
            on_lead=metrics.leads.set,
            on_fault=metrics.faults.inc,
        )
    finally:
        close()


def _measure(metrics: Metrics, assignments: Sequence[Assignment], planned: Sequence[Transition], *, seconds: float) -> None:
    metrics.step.observe(seconds)
    states = Count(one.state for one in assignments)
    states.update(transition.after for transition in planned)
    states.subtract(transition.before for transition in planned)
    for state in State:
        metrics.assignments.labels(state).set(states[state])
    for why, count in Count(transition.why for transition in planned).items():
        metrics.transitions.labels(Why(why)).inc(count)
        log.info("%s terminals: %s", count, why, extra={"action": "rollout", "why": why.value, "count": count})
