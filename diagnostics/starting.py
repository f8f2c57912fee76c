"""Where a watch begins: from what is stored, at the moment the last one stopped, with its feet found.

What was learnt, what was judged, which symptoms and incidents last is stored. What the detector holds in mind besides (windows
of minutes, sums of small deviations) is not: the last hour before that moment passes once more, from the stored samples,
without anything being told of it. So a watch that was killed goes on as if nothing had happened.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from diagnostics.baseline_store import load_baseline
from diagnostics.calibration_store import load_calibration
from diagnostics.detector.calibration import Calibration
from diagnostics.fleet_arrays import fleet_arrays
from diagnostics.health import READER, load_judgement
from diagnostics.incident_store import last_event, load_tracked
from diagnostics.judgement import unjudged
from diagnostics.learning import learn_history
from diagnostics.limits import Policy
from diagnostics.loading import load_snapshot
from diagnostics.maintenance_store import windows_between
from diagnostics.observing import CallReader, Moment, advance
from diagnostics.opening import UsualHours
from diagnostics.replay import TICK, batches_between, moments
from diagnostics.snapshot import Bool
from diagnostics.symptom_store import load_lasting
from diagnostics.tracking.diagnosis import Diagnosis
from fleet.clock import from_ms, to_ms
from fleet.database import Connection
from fleet.feed import last_batch
from fleet.registry import Terminal

log = logging.getLogger(__name__)

# The longest windows of the detector are an hour.
WARM_UP: Final = timedelta(minutes=60)
# Work that ended lately still excuses who comes back late.
MAINTENANCE_BEFORE: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Mark:
    """How far the feed was read and judged: up to which batch, at which moment; `stored_at` is the watermark's, None: none."""

    batch_id: int
    at: datetime
    stored_at: datetime | None


@dataclass(frozen=True, eq=False)
class Started:
    """A watch's knowledge at its mark."""

    mark: Mark
    diagnosis: Diagnosis
    hours: UsualHours
    calls: CallReader
    lasting: Bool
    heard_event: int
    # The stored version that was loaded, 0: none; then history was learnt, where there was some.
    baseline_version: int
    learnt_history: bool


def find_mark(conn: Connection, *, now: datetime, limit: timedelta) -> Mark:
    """Where to go on: at the watermark, or (where it lies too far back, or ahead, or there is none) now."""
    newest = last_batch(conn)
    row = conn.execute(
        "SELECT batch_id, ticked_at FROM diagnostics.watermark WHERE reader = %(reader)s", {"reader": READER}
    ).fetchone()
    if row is None:
        return Mark(newest, now, None)
    batch_id, ticked_at = row
    if not timedelta(0) <= now - ticked_at <= limit:
        log.warning("the last tick was at %s: what was missed is not caught up", ticked_at, extra={"action": "start"})
        return Mark(newest, now, ticked_at)
    return Mark(batch_id, ticked_at, ticked_at)


def start(
    conn: Connection,
    fleet: list[Terminal],
    *,
    mark: Mark,
    policy: Policy,
    calibration: Calibration | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Started:
    """Load everything as it was at the mark; stops early, with what it has, when `stopped` says so.

    `calibration` stands in for the one that holds.
    """
    batches = batches_between(conn, since=mark.at - WARM_UP, batch_id=mark.batch_id)
    # Where the feed is younger than the warm-up, there is nothing before it. Whole ticks end at the mark.
    first = from_ms(int(batches.received_ms.min())) if len(batches.ids) else mark.at
    warm_from = mark.at - ceil((mark.at - first) / TICK) * TICK
    arrays = fleet_arrays(fleet)
    snapshot = load_snapshot(conn, fleet, at=warm_from, policy=policy)
    baseline = load_baseline(conn, arrays)
    # Before the incidents: what people do meanwhile is heard twice rather than not at all.
    heard_event = last_event(conn)
    tracked = load_tracked(conn, arrays, now=mark.at)
    diagnosis = Diagnosis(
        arrays,
        policy=policy,
        calibration=calibration or load_calibration(conn),
        learnt=baseline.learnt if baseline else None,
        tracked=tracked,
        snapshot=snapshot,
        judgement=unjudged(len(fleet), policy=policy, now_ms=to_ms(warm_from)),
    )
    steps = 0 if baseline else learn_history(conn, diagnosis, fleet, until=warm_from, stopped=stopped)
    hours, calls = usual_hours(fleet), CallReader()
    _warm_up(
        conn,
        diagnosis,
        hours,
        moments(conn, batches, fleet=arrays, snapshot=snapshot, calls=calls, start=warm_from, end=mark.at),
        mark=mark,
        stopped=stopped,
    )
    lasting = load_lasting(conn, snapshot)
    diagnosis.detector.symptoms.resume(
        lasting.on, since_ms=lasting.since_ms, value=lasting.value, p=lasting.p, now_ms=to_ms(mark.at)
    )
    stored = load_judgement(conn, snapshot, policy=policy, now=mark.at)
    # What was judged is stored; how it was about to change is not.
    warm = diagnosis.judgement
    judgement = replace(stored, beyond_ms=warm.beyond_ms, late=warm.late, trusted_ms=warm.trusted_ms)
    diagnosis.resume(tracked=tracked, judgement=judgement)
    version = baseline.version if baseline else 0
    return Started(mark, diagnosis, hours, calls, lasting.on, heard_event, version, learnt_history=steps > 0)


def usual_hours(fleet: list[Terminal]) -> UsualHours:
    """The opening hours of these terminals' shops."""
    return UsualHours([terminal.opening_hours for terminal in fleet], [terminal.timezone for terminal in fleet])


def _warm_up(
    conn: Connection, diagnosis: Diagnosis, hours: UsualHours, past: Iterable[Moment], *, mark: Mark, stopped: Callable[[], bool]
) -> None:
    """Let the time before the mark pass once more."""
    begun, ticks = time.monotonic(), 0
    maintenance = windows_between(conn, start=mark.at - WARM_UP - MAINTENANCE_BEFORE, end=mark.at)
    for moment in past:
        if stopped():
            return
        advance(diagnosis, moment, hours=hours, maintenance=maintenance)
        ticks += 1
    if ticks:
        spent_s = time.monotonic() - begun
        log.info("%s ticks before %s were lived through in %.1f s", ticks, mark.at, spent_s, extra={"action": "warm_up"})
