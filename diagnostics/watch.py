"""`vigie watch`: every tick reads what was committed, judges every terminal, finds incidents, and stores what changed.

A tick loads, decides and saves; health, symptoms, incidents, their events and the watermark move in one transaction, with the
hints to the console. A watch that was away lives through what it missed first (`catch_up`), in ticks of that time. One instance
works at a time; a step that failed is not repaired but begun anew from what is stored.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from diagnostics.fleet_arrays import fleet_arrays
from diagnostics.health import READER, forget_terminals, save_judgement
from diagnostics.incident_store import REPLAYED_AFTER, StoredHits, lock, said_since, save_changes, save_minutes
from diagnostics.incidents import join_terminals
from diagnostics.limits import Policy
from diagnostics.loading import registry_version
from diagnostics.maintenance_store import windows_between
from diagnostics.observing import Moment, advance, observed, read_feed, read_presence
from diagnostics.replay import TICK, batches_after, moments
from diagnostics.starting import MAINTENANCE_BEFORE, find_mark, start, usual_hours
from diagnostics.symptom_store import end_symptoms_of_the_gone, load_lasting, save_symptoms
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.tracking.maintenance import Window
from diagnostics.tracking.tracked import ChangeKind, Said, Step
from diagnostics.watch_metrics import Metrics
from fleet.clock import to_ms
from fleet.database import Connection
from fleet.errors import VigieError
from fleet.registry import Terminal, all_terminals

log = logging.getLogger(__name__)

CHANNEL: Final = "vigie_health"
# A tick that comes later than this after the last is preceded by those that were missed.
CATCH_UP_FROM: Final = timedelta(seconds=35)
# So many ticks are caught up in one transaction.
CATCH_UP_TICKS: Final = 30
# So long after the clock was read, another time is the present.
STALE_S: Final = 20.0
# How often progress is logged meanwhile.
_PROGRESS_EVERY_S: Final = 10.0
# What was missed for longer than this is not caught up.
CATCH_UP_LIMIT: Final = timedelta(hours=24)

Stopped = Callable[[], bool]


class LostLeadError(VigieError):
    """Another watch has moved the watermark: this one stops judging and stands by."""


class ForgottenIncidentError(VigieError):
    """Somebody reopened an incident that this watch follows no more: a new one loads it."""


class Watch:
    """The fleet's present and what is known of it, moved on by `tick`."""

    def __init__(
        self,
        conn: Connection,
        *,
        now: datetime,
        policy: Policy,
        metrics: Metrics,
        limit: timedelta = CATCH_UP_LIMIT,
        stopped: Stopped = lambda: False,
    ) -> None:
        """Load everything that is known, as the last watch left it; the connection is in autocommit."""
        self._conn, self._metrics, self._stopped = conn, metrics, stopped
        # Before the rest, so that what changes meanwhile is seen twice rather than not at all.
        self._version = registry_version(conn)
        mark = find_mark(conn, now=now, limit=limit)
        self._fleet = all_terminals(conn)
        started = start(conn, self._fleet, mark=mark, policy=policy, stopped=stopped)
        self.diagnosis: Diagnosis = started.diagnosis
        self.has_unsaved_history = started.learnt_history
        metrics.baseline.set(started.baseline_version)
        self.at = mark.at
        self._hours, self._calls = started.hours, started.calls
        self._lasting, self._heard = started.lasting, started.heard_event
        self._batch_id, self._stored_at = mark.batch_id, mark.stored_at
        self._judged = self.diagnosis.judgement
        self._hits: StoredHits = {}
        self._presence_at: datetime | None = None
        # What people did, until a tick has heard it.
        self._said: list[Said] = []
        self.has_ticked = False

    def tick(self, now: datetime) -> int:
        """Judge the fleet at `now` and store what changed, after what was missed; returns how many terminals flipped."""
        begun = time.monotonic()
        if now - self.at >= CATCH_UP_FROM:
            self.catch_up(now)
            # After long work it is not now any more: the caller asks again, and what came meanwhile is caught up first.
            if self._stopped() or time.monotonic() - begun > STALE_S:
                return 0
            begun = time.monotonic()
        conn, snapshot = self._conn, self.diagnosis.snapshot
        with conn.transaction():
            fed = read_feed(conn, batch_id=self._batch_id)
            calls = self._calls.read(conn, self.diagnosis.fleet, snapshot, since=self.at, until=now)
            seen = observed(snapshot, fed.samples, fed.events, calls)
            presence = read_presence(conn, snapshot, since=self._presence_at)
            moment = Moment(now, seen, presence, fed.batch_id, fed.fed_ms)
            with self._incidents_locked():
                step, flips = self._live(moment, self._maintenance(now, now), replayed=False)
        self._presence_at, self.has_ticked = now, True
        self._metrics.tick.observe(time.monotonic() - begun)
        self._metrics.behind.set(0)
        self._measure(step, samples=len(fed.samples), flips=flips)
        return flips

    def catch_up(self, now: datetime) -> int:
        """Live through what was committed since the last tick, in ticks of that time; returns how many there were."""
        conn = self._conn
        missed = now - self.at
        log.info("catching up %s", missed, extra={"action": "catch_up", "seconds": missed.total_seconds()})
        batches = batches_after(conn, batch_id=self._batch_id, until=now)
        past = moments(
            conn,
            batches,
            fleet=self.diagnosis.fleet,
            snapshot=self.diagnosis.snapshot,
            calls=self._calls,
            start=self.at,
            end=now,
        )
        begun, told, ticks = time.monotonic(), time.monotonic(), 0
        while not self._stopped() and (part := list(islice(past, CATCH_UP_TICKS))):
            maintenance = self._maintenance(part[0].at, part[-1].at)
            with conn.transaction(), self._incidents_locked():
                for moment in part:
                    told_at = now + timedelta(seconds=time.monotonic() - begun)
                    step, flips = self._live(moment, maintenance, replayed=now - moment.at >= REPLAYED_AFTER, told_at=told_at)
                    self._measure(step, samples=len(moment.seen.rows), flips=flips)
            ticks += len(part)
            behind_s = (now - self.at).total_seconds()
            self._metrics.behind.set(behind_s)
            if time.monotonic() - told >= _PROGRESS_EVERY_S:
                told = time.monotonic()
                pace = ticks * TICK.total_seconds() / (told - begun)
                log.info("%.0f s behind, %.0f times as fast as the clock", behind_s, pace, extra={"action": "catch_up"})
        # The history tells who came and went; the present table has the last word.
        self._presence_at = None
        if ticks:
            spent_s = time.monotonic() - begun
            log.info("caught up %s ticks in %.1f s", ticks, spent_s, extra={"action": "caught_up", "seconds": spent_s})
        return ticks

    def refresh_registry(self, now: datetime) -> None:
        """Take up a changed registry, and let terminals join the incidents whose scope they have come to meet."""
        version = registry_version(self._conn)
        if version == self._version:
            return
        fleet = all_terminals(self._conn)
        if fleet != self._fleet:
            self._rebuild(fleet, now)
            with self._conn.transaction():
                forget_terminals(self._conn)
                end_symptoms_of_the_gone(self._conn, now=now)
                join_terminals(self._conn, fleet=fleet, now=now)
        self._version = version

    def _rebuild(self, fleet: list[Terminal], now: datetime) -> None:
        models = [terminal.model for terminal in fleet]
        self.diagnosis = self.diagnosis.carried_to(fleet_arrays(fleet), models=models, now_ms=to_ms(now))
        self._fleet, self._hours = fleet, usual_hours(fleet)
        self._judged = self.diagnosis.judgement
        self._lasting = load_lasting(self._conn, self.diagnosis.snapshot).on
        self._hits, self._presence_at = {}, None
        log.info("registry changed: %s terminals", len(fleet), extra={"action": "registry"})

    def _live(
        self, moment: Moment, maintenance: list[Window], *, replayed: bool, told_at: datetime | None = None
    ) -> tuple[Step, int]:
        """Decide one moment and store what it changed, within the caller's transaction; returns also how many flipped."""
        conn, at = self._conn, moment.at
        said, self._said = self._said, []
        step = advance(self.diagnosis, moment, hours=self._hours, maintenance=maintenance, said=said)
        snapshot = self.diagnosis.snapshot
        flips = save_judgement(conn, snapshot, step.judged, previous=self._judged, now=at)
        save_symptoms(conn, snapshot.terminals, step.signs, lasting=self._lasting, now=at)
        fleet = self.diagnosis.fleet
        save_changes(conn, step.changes, fleet=fleet, stored=self._hits, now=at, replayed=replayed, told_at=told_at)
        save_minutes(conn, step.series)
        batch_id = max(self._batch_id, moment.batch_id)
        self._move_watermark(batch_id=batch_id, at=at)
        conn.execute("SELECT pg_notify(%(channel)s, %(tick)s)", {"channel": CHANNEL, "tick": str(to_ms(at))})
        self._judged, self._lasting = step.judged, step.signs.symptom.copy()
        self._batch_id, self.at, self._stored_at = batch_id, at, at
        return step, flips

    @contextmanager
    def _incidents_locked(self) -> Iterator[None]:
        """Hear what people did to incidents, and keep them from doing more until the transaction ends."""
        lock(self._conn, now=self.at)
        said, self._heard = said_since(self._conn, event_id=self._heard)
        followed = {one.key for one in self.diagnosis.tracked} if said else set()
        if any(one.kind is ChangeKind.REOPENED and one.key not in followed for one in said):
            raise ForgottenIncidentError("an incident that was over for long is open again: beginning anew with it")
        # Even what lies ahead of a tick, that of a past caught up or of a clock read before the lock: the rows say it already,
        # and what the tick stores must not unsay it.
        self._said += said
        yield

    def _maintenance(self, first: datetime, last: datetime) -> list[Window]:
        return windows_between(self._conn, start=first - MAINTENANCE_BEFORE, end=last)

    def _move_watermark(self, *, batch_id: int, at: datetime) -> None:
        """Compare and set: the lock makes us the only one, this proves it."""
        moved = self._conn.execute(
            "INSERT INTO diagnostics.watermark AS w (reader, batch_id, ticked_at) VALUES (%(reader)s, %(batch)s, %(at)s)"
            " ON CONFLICT (reader) DO UPDATE SET batch_id = excluded.batch_id, ticked_at = excluded.ticked_at"
            " WHERE w.ticked_at = %(before)s",
            {"reader": READER, "batch": batch_id, "at": at, "before": self._stored_at},
        ).rowcount
        if not moved:
            raise LostLeadError("another watch has judged since this one's last tick")

    def _measure(self, step: Step, *, samples: int, flips: int) -> None:
        self._metrics.samples.inc(samples)
        self._metrics.flips.inc(flips)
        self._metrics.present(step.judged, step.signs, self.diagnosis.tracked)
