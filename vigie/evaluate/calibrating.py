"""Finds the thresholds of detection by letting quiet history pass once more, generated or a house's own.

Every tick goes through the diagnosis that the watch runs. `Calibrator` gathers what single terminals show; what the fleet scan
would find, were its threshold far lower, is gathered here at the tracker's own pace, with its own demands on an incident.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from diagnostics.detector.calibrating import Calibrator
from diagnostics.detector.calibration import Calibration
from diagnostics.detector.observed import Fleet, Layer, Signs
from diagnostics.fleet_arrays import fleet_arrays
from diagnostics.limits import Policy
from diagnostics.maintenance_store import windows_between
from diagnostics.observing import CallReader, advance
from diagnostics.replay import TICK, batches_after, moments
from diagnostics.scan.search import scan
from diagnostics.snapshot import Bool
from diagnostics.starting import MAINTENANCE_BEFORE, Mark, start
from diagnostics.tracking.case import seen
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.tracking.grouping import supported
from diagnostics.tracking.looks import Looks
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.troubles import Trouble
from fleet.clock import to_ms
from fleet.database import Connection
from fleet.errors import VigieError
from fleet.registry import all_terminals
from simulators.scenario import HARMLESS, Scenario, load, shipped
from vigie.evaluate.player import Player

# Scores from here on are gathered: far below any threshold, and seldom enough to cost little.
_LEAST_SCORE: Final = 4.0
# Of the best findings of one scan the first that could be an incident counts.
_MOST: Final = 4
# The delivered calibration's days: (shipped scenario, days later, seed). No seed is a public scenario's. Mondays are unlike other
# days (a Sunday lies before them), so one comes first; then a busy Sunday, a Saturday, days in the week.
_OTHER_DAYS: Final = (
    ("quiet-day", 6, 1016),
    ("harmless-day", 0, 1015),
    ("quiet-day", 4, 1017),
    ("quiet-day", 1, 1018),
    ("harmless-day", 7, 1019),
    ("quiet-day", 3, 1020),
)
MOST_DAYS: Final = len(_OTHER_DAYS)


class CalibratingError(VigieError):
    """There is nothing to calibrate on, or it is not quiet."""


class ScanScores:
    """The best score of each trouble that would have made an incident, had the threshold allowed it."""

    def __init__(self, fleet: Fleet, looks: Looks, policy: TrackingPolicy) -> None:
        self._fleet, self._policy, self._index = fleet, policy, looks.index
        self._policies = {trouble: replace(one, threshold=_LEAST_SCORE, most=_MOST) for trouble, one in looks.policies.items()}
        self._last: dict[tuple[Trouble, int], float] = {}
        self._best: dict[Trouble, float] = {}
        looks.listen = self.look

    def look(self, layer: Layer, left_out: Bool | None) -> None:
        """Scan once more, at the low threshold."""
        score = self._score(layer, left_out)
        key = layer.trouble, layer.window_s
        before, self._last[key] = self._last.get(key, 0.0), score
        pace = self._policy.paces[layer.trouble]
        # What the next look must confirm counts as little as the weaker of two.
        if pace.scan(layer.window_s) <= pace.confirm:
            score = min(score, before)
        if score > self._best.get(layer.trouble, 0.0):
            self._best[layer.trouble] = score

    def take(self) -> Mapping[Trouble, float]:
        """The best scores since the last time, of troubles for which anything was found."""
        best, self._best = self._best, {}
        return best

    def _score(self, layer: Layer, left_out: Bool | None) -> float:
        policy = self._policies[layer.trouble]
        if np.count_nonzero(layer.hit) < policy.min_observed:
            return 0.0
        for finding in scan(self._index, layer.hit, layer.expected, policy=policy, excluded=left_out):
            if supported(seen(self._fleet, layer, finding, left_out=left_out), self._fleet.shop, self._policy):
                return finding.score
        return 0.0


@dataclass(frozen=True)
class Replay:
    """A stretch of quiet time: its name, its length, and how to live through it.

    `live` prepares, then gives the diagnosis and what it said at each tick.
    """

    name: str
    days: float
    live: Callable[[Calibration, Callable[[float], None]], Iterator[tuple[Diagnosis, Signs, int]]]


def calibrate(
    replays: Sequence[Replay], calibration: Calibration, *, progress: Callable[[int, float], None] = lambda _number, _part: None
) -> Calibration:
    """The thresholds for the wanted rates in `calibration`, from these replays.

    The first replay is lived through once more before: evidence is weighed by the tails of well terminals, and what a symptom takes
    holds only for the tails it was found with. `progress` is told that passage as number -1.
    """
    if not replays:
        raise CalibratingError("there is no quiet history to calibrate on")
    measured = _gathered(replays[:1], calibration, progress=lambda _, part: progress(-1, part)).tails()
    return _gathered(replays, measured, progress=progress).result()


def _gathered(replays: Sequence[Replay], calibration: Calibration, *, progress: Callable[[int, float], None]) -> Calibrator:
    gathered = Calibrator(calibration)
    for number, replay in enumerate(replays):
        scores: ScanScores | None = None
        first_ms = 0
        for diagnosis, signs, now_ms in replay.live(calibration, partial(progress, number)):
            if scores is None:
                scores, first_ms = ScanScores(diagnosis.fleet, diagnosis.looks, TrackingPolicy()), now_ms
            gathered.take(diagnosis.detector, signs, now_ms=now_ms, scores=scores.take())
            if now_ms % 60_000 == 0:
                progress(number, (now_ms - first_ms) / (replay.days * 86_400_000))
        gathered.rest()
        progress(number, 1.0)
    return gathered


def other_days(days: int) -> list[Scenario]:
    """Quiet and harmless days that no public scenario shows."""
    files = shipped()
    return [
        _another_day(load(files[name]), days=later, seed=seed) for name, later, seed in _OTHER_DAYS[: max(1, min(days, MOST_DAYS))]
    ]


def _another_day(scenario: Scenario, *, days: int, seed: int) -> Scenario:
    changed = {"start": scenario.start + timedelta(days=days), "seed": seed, "name": f"{scenario.name} ({seed})"}
    return scenario.model_copy(update=changed)


def generated(scenario: Scenario, *, keep: Path | None = None) -> Replay:
    """A scenario as quiet time; one that does harm is refused."""
    harm = next((fault.kind for fault in scenario.fault if fault.kind not in HARMLESS), None)
    if harm is not None:
        raise CalibratingError(f"scenario {scenario.name!r} is not quiet: it has a fault of kind {harm}")

    def live(calibration: Calibration, progress: Callable[[float], None]) -> Iterator[tuple[Diagnosis, Signs, int]]:
        player = Player(scenario, calibration=calibration)
        player.warm_up(keep=keep, progress=lambda _: progress(0.0))
        player.settle()
        for tick in player.play():
            yield player.diagnosis, tick.step.signs, tick.second * 1000

    return Replay(scenario.name, (scenario.end_s - scenario.start_s) / 86_400, live)


def stored(conn: Connection, *, days: float, now: datetime) -> Replay:
    """The house's own last days, as they were committed; the caller vouches for their quiet."""
    since = now - timedelta(days=days)
    row = conn.execute(
        "SELECT coalesce(max(id) FILTER (WHERE received_at <= %(since)s), 0), count(*) FILTER (WHERE received_at > %(since)s)"
        " FROM fleet.ingest_batch",
        {"since": since},
    ).fetchone()
    if row is None or not row[1]:
        raise CalibratingError(f"nothing was received in the last {days:g} days: there is no history to replay")
    batch_id = int(row[0])

    def live(calibration: Calibration, progress: Callable[[float], None]) -> Iterator[tuple[Diagnosis, Signs, int]]:
        del progress  # loading tells nothing of itself
        terminals = all_terminals(conn)
        arrays = fleet_arrays(terminals)
        begun = start(conn, terminals, mark=Mark(batch_id, since, None), policy=Policy(), calibration=calibration)
        windows = windows_between(conn, start=since - MAINTENANCE_BEFORE, end=now)
        batches = batches_after(conn, batch_id=batch_id, until=now)
        snapshot = begun.diagnosis.snapshot
        whole = since + int((now - since) / TICK) * TICK
        for moment in moments(conn, batches, fleet=arrays, snapshot=snapshot, calls=CallReader(), start=since, end=whole):
            step = advance(begun.diagnosis, moment, hours=begun.hours, maintenance=windows)
            yield begun.diagnosis, step.signs, to_ms(moment.at)

    return Replay(f"the last {days:g} days", days, live)


def wanting(calibration: Calibration, *, false_incidents_per_day: float, false_symptoms_per_day: float) -> Calibration:
    """The same calibration, wanting other rates."""
    return replace(calibration, false_incidents_per_day=false_incidents_per_day, false_symptoms_per_day=false_symptoms_per_day)
