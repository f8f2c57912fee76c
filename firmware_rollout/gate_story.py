"""The gate's evidence over time, for those who look at it: what each reading amounted to, and both arms' shops with a mark.

The gate compares within strata and counts first marks; the plain shares here are those of all shops in each arm and period. They
show what the evidence is made of, and decide nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from firmware_rollout.gate.judging import Reading
from firmware_rollout.gate.policy import Metric
from fleet.database import Connection

# So many periods are looked back at: three months of days.
MOST_PERIODS: Final = 90


class Marked(NamedTuple):
    """Of so many shops of an arm, so many had a mark in a period."""

    marked: int
    shops: int


class Judged(NamedTuple):
    """A reading: of a run, at the end of a period, while a wave was the newest."""

    id: int
    run_id: int
    at: datetime
    wave: int
    reading: Reading


class Point(NamedTuple):
    """One metric at the end of a period; the arms are None where it was not measured. `log_e`: natural logarithm."""

    at: datetime
    run_id: int
    log_e: float
    ratio: float | None
    updated: Marked | None
    waiting: Marked | None


class Story(NamedTuple):
    """The newest readings, oldest first; `points` of every metric that the newest one judged, in its order."""

    judged: Sequence[Judged]
    points: Mapping[Metric, Sequence[Point]]

    @property
    def newest(self) -> Reading:
        """The newest reading."""
        return self.judged[-1].reading


def story_of(conn: Connection, campaign_id: int, *, most: int = MOST_PERIODS) -> Story | None:
    """What the gate has read of a campaign; None before its first reading."""
    rows = conn.execute(
        "SELECT r.id, r.run_id, r.period, r.reading, u.began_at, u.period_s FROM firmware_rollout.gate_reading r"
        " JOIN firmware_rollout.gate_run u ON u.id = r.run_id WHERE r.campaign_id = %(id)s ORDER BY r.id DESC LIMIT %(most)s",
        {"id": campaign_id, "most": most},
    ).fetchall()
    if not rows:
        return None
    judged, keys = list[Judged](), list[tuple[int, int]]()
    for id_, run_id, period, text, began_at, period_s in reversed(rows):
        reading = msgspec.json.decode(text, type=Reading)
        at = began_at + period * timedelta(seconds=period_s)
        judged.append(Judged(id_, run_id, at, reading.situation.wave, reading))
        keys.append((run_id, period))
    arms = _arms(conn, dict(zip(keys, judged, strict=True)))
    points: dict[Metric, list[Point]] = {one.metric: [] for one in judged[-1].reading.metrics}
    for key, one in zip(keys, judged, strict=True):
        for metric in one.reading.metrics:
            updated, waiting = arms.get((*key, metric.metric), (None, None))
            if metric.metric in points:
                points[metric.metric].append(Point(one.at, one.run_id, metric.log_e, metric.ratio, updated, waiting))
    return Story(judged, points)


def readings_before(conn: Connection, campaign_id: int, *, before: int | None, limit: int) -> list[tuple[int, datetime, Reading]]:
    """The readings of a campaign with when they were made, newest first; `before`: only those with a lower id."""
    rows = conn.execute(
        "SELECT id, at, reading FROM firmware_rollout.gate_reading"
        " WHERE campaign_id = %(id)s AND (%(before)s::bigint IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s",
        {"id": campaign_id, "before": before, "limit": limit},
    )
    return [(id_, at, msgspec.json.decode(text, type=Reading)) for id_, at, text in rows]


def _arms(
    conn: Connection, judged: Mapping[tuple[int, int], Judged]
) -> dict[tuple[int, int, Metric], tuple[Marked | None, Marked | None]]:
    """How many shops of each arm had a mark, by run, period and metric."""
    runs = sorted({run_id for run_id, _ in judged})
    rows = conn.execute("SELECT id, waves FROM firmware_rollout.gate_run WHERE id = ANY(%(runs)s)", {"runs": runs})
    waves: dict[int, NDArray[Any]] = {id_: np.array(of, np.int64) for id_, of in rows}
    found: dict[tuple[int, int, Metric], tuple[Marked | None, Marked | None]] = {}
    marks = conn.execute(
        "SELECT run_id, period, metric, marks FROM firmware_rollout.gate_mark WHERE run_id = ANY(%(runs)s) AND period >= %(first)s",
        {"runs": runs, "first": min(period for _, period in judged)},
    )
    for run_id, period, metric, packed in marks:
        one = judged.get((run_id, period))
        if one is None:
            continue
        of_run = waves[run_id]
        marked = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(of_run)).astype(bool)
        updated = of_run <= one.wave
        found[run_id, period, Metric(metric)] = (_marked(marked, updated), _marked(marked, ~updated))
    return found


def _marked(marked: NDArray[np.bool_], arm: NDArray[np.bool_]) -> Marked | None:
    shops = int(arm.sum())
    return Marked(int((marked & arm).sum()), shops) if shops else None
