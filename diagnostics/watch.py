"""`vigie watch`: every tick reads what was committed, judges every terminal, and stores what changed.

A tick loads, decides and saves; health, its history and the watermark move in one transaction, with the hint to the
console. It may repeat harmlessly: applying the same rows twice changes nothing. One instance works at a time.
"""

import logging
import threading
import time
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from diagnostics.health import READER, forget_terminals, load_judgement, save_judgement
from diagnostics.incidents import join_terminals
from diagnostics.judge import judge
from diagnostics.judgement import rearranged
from diagnostics.limits import Policy
from diagnostics.loading import load_snapshot, registry_version, update_from_feed, update_presence
from diagnostics.opening import UsualHours
from diagnostics.reasons import STATES
from diagnostics.settings import WatchSettings
from fleet.alone import run_alone, stop_on_signals
from fleet.clock import Clock, system_clock, to_ms
from fleet.database import Connection
from fleet.errors import VigieError
from fleet.feed import last_batch
from fleet.metrics import new_registry, serve
from fleet.registry import Terminal, all_terminals

log = logging.getLogger(__name__)

CHANNEL: Final = "vigie_health"
# The key is arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0003
# How soon a changed registry, or a terminal that came to meet an incident's scope, is taken up.
REGISTRY_EVERY_S: Final = 60.0
FORGET_EVERY_S: Final = 6 * 3600.0


class LostLeadError(VigieError):
    """Another watch has moved the watermark: this one stops judging and stands by."""


class Metrics:
    """What the watch tells Prometheus."""

    def __init__(self, into: CollectorRegistry) -> None:
        buckets = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
        self.tick = Histogram("vigie_watch_tick_seconds", "Duration of one tick, read to commit.", buckets=buckets, registry=into)
        self.terminals = Gauge("vigie_watch_terminals", "Terminals in each state.", ["state"], registry=into)
        self.flips = Counter("vigie_watch_flips", "Terminals whose state or reasons changed.", registry=into)
        self.samples = Counter("vigie_watch_samples", "Samples read from the feed.", registry=into)
        self.late = Gauge("vigie_watch_telemetry_late", "1 while our own pipeline is behind or stopped.", registry=into)
        self.leads = Gauge("vigie_watch_leads", "1 while this instance judges, 0 while it stands by.", registry=into)
        self.faults = Counter("vigie_watch_faults", "Steps that failed and were begun anew.", registry=into)


class Watch:
    """The fleet's present and its last judgement, moved on by `tick`."""

    def __init__(self, conn: Connection, *, now: datetime, policy: Policy, metrics: Metrics) -> None:
        """Load everything that is known; the connection is in autocommit."""
        self._conn, self._policy, self._metrics = conn, policy, metrics
        # Before the rest, so that what is committed meanwhile is seen twice rather than not at all.
        self._batch_id = last_batch(conn)
        self._version = registry_version(conn)
        fleet = all_terminals(conn)
        self.snapshot = load_snapshot(conn, fleet, now=now, policy=policy)
        self._hours = _usual_hours(fleet)
        self.judgement = load_judgement(conn, self.snapshot, policy=policy, now=now)
        self._presence_at: datetime | None = None
        self._ticked_at: datetime | None = None

    def tick(self, now: datetime) -> int:
        """Judge the fleet at `now` and store what changed; returns how many terminals flipped."""
        begun = time.monotonic()
        with self._conn.transaction():
            batch_id, samples = update_from_feed(self._conn, self.snapshot, batch_id=self._batch_id)
            update_presence(self._conn, self.snapshot, since=self._presence_at)
            scheduled, boundary_ms = self._hours.at(now)
            self.snapshot.set_opening(scheduled=scheduled, boundary_ms=boundary_ms)
            judged = judge(self.snapshot, to_ms(now), self._policy, self.judgement)
            flips = save_judgement(self._conn, self.snapshot, judged, previous=self.judgement, now=now)
            self._move_watermark(batch_id=batch_id, now=now)
            self._conn.execute("SELECT pg_notify(%(channel)s, %(tick)s)", {"channel": CHANNEL, "tick": str(to_ms(now))})
        # Only what is committed is remembered: a tick that failed is done again from the same place.
        self.judgement, self._batch_id, self._presence_at, self._ticked_at = judged, batch_id, now, now
        self._measure(time.monotonic() - begun, samples=samples, flips=flips)
        return flips

    def refresh_registry(self, now: datetime) -> None:
        """Take up a changed registry, and let terminals join the incidents whose scope they meet by now."""
        version = registry_version(self._conn)
        changed = version != self._version
        incidents = self._conn.execute("SELECT EXISTS (SELECT FROM diagnostics.incident WHERE state <> 'closed')").fetchone()
        if not changed and not (incidents and incidents[0]):
            return
        fleet = all_terminals(self._conn)
        if changed:
            self._rebuild(fleet, now)
            self._version = version
        with self._conn.transaction():
            join_terminals(self._conn, fleet=fleet, now=now)

    def _rebuild(self, fleet: list[Terminal], now: datetime) -> None:
        self.snapshot, old_rows = self.snapshot.carried_to([t.id for t in fleet], [t.model for t in fleet])
        self.judgement = rearranged(self.judgement, old_rows, policy=self._policy, now_ms=to_ms(now))
        self._hours = _usual_hours(fleet)
        self._presence_at = None
        forget_terminals(self._conn)
        log.info("registry changed: %s terminals", len(fleet), extra={"action": "registry"})

    def _move_watermark(self, *, batch_id: int, now: datetime) -> None:
        """Compare and set: the lock makes us the only one, this proves it. The first tick takes over what it finds."""
        moved = self._conn.execute(
            "INSERT INTO diagnostics.watermark AS w (reader, batch_id, ticked_at) VALUES (%(reader)s, %(batch)s, %(now)s)"
            " ON CONFLICT (reader) DO UPDATE SET batch_id = excluded.batch_id, ticked_at = excluded.ticked_at"
            " WHERE %(before)s::timestamptz IS NULL OR w.ticked_at = %(before)s",
            {"reader": READER, "batch": batch_id, "now": now, "before": self._ticked_at},
        ).rowcount
        if not moved:
            raise LostLeadError("another watch has judged since this one's last tick")

    def _measure(self, seconds: float, *, samples: int, flips: int) -> None:
        self._metrics.tick.observe(seconds)
        self._metrics.samples.inc(samples)
        self._metrics.flips.inc(flips)
        self._metrics.late.set(self.judgement.late)
        for state in STATES:
            self._metrics.terminals.labels(state).set(int(self.judgement.is_state(state).sum()))


def run(settings: WatchSettings, *, clock: Clock | None = None, stop: threading.Event | None = None) -> None:
    """The body of `vigie watch`: judge every tick until stopped. Without `stop`, SIGTERM and SIGINT end it."""
    stop = stop or stop_on_signals()
    clock = clock or system_clock(settings.clock_offset_s)
    into = new_registry("watch")
    metrics = Metrics(into)
    close = serve(into, port=settings.metrics_port)
    try:
        run_alone(
            settings.database_url.get_secret_value(),
            lambda conn: _work(conn, settings=settings, clock=clock, stop=stop, metrics=metrics),
            program="watch",
            lock=LOCK,
            stop=stop,
            on_lead=metrics.leads.set,
            on_fault=metrics.faults.inc,
        )
    finally:
        close()


def _work(conn: Connection, *, settings: WatchSettings, clock: Clock, stop: threading.Event, metrics: Metrics) -> None:
    watch = Watch(conn, now=clock(), policy=Policy(), metrics=metrics)
    refresh_at = time.monotonic() + REGISTRY_EVERY_S
    forget_at = time.monotonic()
    next_at = time.monotonic()
    while not stop.is_set():
        watch.tick(clock())
        if time.monotonic() >= refresh_at:
            watch.refresh_registry(clock())
            refresh_at = time.monotonic() + REGISTRY_EVERY_S
        if time.monotonic() >= forget_at:
            _forget(conn, before=clock() - timedelta(days=settings.keep_samples_days))
            forget_at = time.monotonic() + FORGET_EVERY_S
        # A tick that took too long is not made up for: the next one judges what is true then.
        next_at = max(next_at + settings.watch_tick_s, time.monotonic())
        stop.wait(max(0.0, next_at - time.monotonic()))


def _forget(conn: Connection, *, before: datetime) -> None:
    conn.execute("SELECT drop_chunks('diagnostics.health_change', older_than => %(before)s::timestamptz)", {"before": before})


def _usual_hours(fleet: list[Terminal]) -> UsualHours:
    return UsualHours([terminal.opening_hours for terminal in fleet], [terminal.timezone for terminal in fleet])
