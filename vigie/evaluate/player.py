"""Plays a scenario through the decision code of the live watch: a fake clock, no broker, no database.

First the warm-up days are lived at long steps, from which baselines learn; then an hour at full pace, in which the diagnosis
finds its feet as after a restart; then the scenario, tick by tick:

    player = Player(load(path))
    player.warm_up()
    player.settle()
    for tick in player.play():
        ...  # tick.step.signs, tick.step.changes

What the house hears is made by `Uplink`; what it decides is `diagnostics.tracking.diagnosis.Diagnosis`, nothing else.
"""

import hashlib
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

import diagnostics
import simulators
from diagnostics.detector.calibration import Calibration, default_calibration
from diagnostics.detector.observed import Calls, Fleet, Observed, Signs
from diagnostics.judgement import unjudged
from diagnostics.limits import Policy
from diagnostics.opening import UsualHours
from diagnostics.snapshot import I64, Snapshot
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.tracking.learnt import Learnt
from diagnostics.tracking.maintenance import Window
from diagnostics.tracking.tracked import Step
from fleet.clock import from_ms
from fleet.registry import DIMENSIONS
from simulators.callers import plan_calls
from simulators.population import Population
from simulators.scenario import Kind, Scenario
from simulators.world import World, build_world
from vigie.evaluate.uplink import Heard, Uplink, signalled

TICK_S: Final = 10
# The warm-up's steps: what the roll-up keeps of real history.
LEARN_STEP_S: Final = 300
SETTLE_S: Final = 3600
# Who announces restarts announces them until the last terminal is back.
_BACK_S: Final = 180
# What an outage held back tells of another time than the step it arrives in.
_TIMELY_MS: Final = 120_000
DAY_S: Final = 86_400

Progress = Callable[[float], None]
Look = Callable[[int, Observed], None]


class Tick(NamedTuple):
    """One tick: the clock, what was heard, what was decided of it, and how long deciding took (seconds)."""

    second: int
    seen: Observed
    step: Step
    took_s: float


class Player:
    """One scenario, played once: first `warm_up`, then `settle`, then `play`, which ends with the scenario."""

    def __init__(self, scenario: Scenario, *, calibration: Calibration | None = None, policy: Policy | None = None) -> None:
        self.scenario = scenario
        self.policy = policy or Policy()
        self.calibration = calibration or default_calibration()
        self.world = build_world(scenario.seed, scenario.terminals)
        self.fleet = fleet_of(self.world)
        self.warm_s = 0.0  # how long warming up took
        self.last_signs: Signs | None = None  # at the scenario's start
        self._begins_s = scenario.start_s - round(scenario.warmup_days * DAY_S)
        self._settles_s = max(self._begins_s, scenario.start_s - SETTLE_S)
        self.population = Population(self.world, scenario, starts_s=self._begins_s)
        self._uplink = Uplink(self.population, self._calls())
        self._event_ms: I64 = self._new_snapshot().event_ms
        self._learnt: bytes | None = None
        self.maintenance = announced(scenario)
        shops = self.world.shops.iloc[self.world.shop]
        self._hours = UsualHours(shops["opening_hours"].tolist(), shops["timezone"].tolist())

    def warm_up(self, *, keep: Path | None = None, progress: Progress | None = None, look: Look | None = None) -> None:
        """Live through the warm-up days; in the folder `keep` what was learnt is kept, and found again the next time.

        `look` is shown what is heard at each step of history that is lived through. `settle` is what remains.
        """
        begun = time.perf_counter()
        place = keep / f"{fingerprint(self.scenario)}.warm" if keep else None
        if place and place.exists():
            self.population, self._uplink, self._event_ms, self._learnt = pickle.loads(place.read_bytes())
        else:
            self._live_through_history(progress or (lambda _: None), look or (lambda _second, _seen: None))
            if place:
                place.parent.mkdir(parents=True, exist_ok=True)
                partial = place.with_suffix(".partial")
                partial.write_bytes(pickle.dumps((self.population, self._uplink, self._event_ms, self._learnt)))
                partial.rename(place)
        self.diagnosis = self._diagnosis()
        self.warm_s += time.perf_counter() - begun

    def settle(self, *, look: Callable[[Tick], None] = lambda _: None) -> None:
        """Live through the last hour before the scenario, tick by tick."""
        begun = time.perf_counter()
        for tick in self._ticks(self._settles_s, self.scenario.start_s):
            self.last_signs = tick.step.signs
            look(tick)
        self.warm_s += time.perf_counter() - begun

    def play(self, *, minutes: float | None = None) -> Iterator[Tick]:
        """Live through the scenario, or its first `minutes`."""
        end_s = self.scenario.end_s
        if minutes is not None:
            end_s = min(end_s, self.scenario.start_s + round(minutes * 60))
        yield from self._ticks(self.scenario.start_s, end_s)

    def _live_through_history(self, progress: Progress, look: Look) -> None:
        diagnosis = self._diagnosis()
        snapshot = diagnosis.snapshot
        for t0_s in range(self._begins_s, self._settles_s, LEARN_STEP_S):
            t1_s = min(t0_s + LEARN_STEP_S, self._settles_s)
            heard = self._uplink.step(t0_s, t1_s)
            _take_events(snapshot, heard.seen)
            look(t1_s, heard.seen)
            timely = heard.seen.received_ms - heard.seen.at_ms < _TIMELY_MS
            diagnosis.learn(
                at_s=t1_s,
                rows=heard.seen.rows if timely.all() else heard.seen.rows[timely],
                values=heard.seen.values if timely.all() else heard.seen.values[timely],
                is_open=self.population.is_open(t1_s - 1),
                calls=heard.seen.calls,
            )
            progress((t1_s - self._begins_s) / (self._settles_s - self._begins_s))
        if self._settles_s > self._begins_s:
            self._learnt = diagnosis.learnt().to_bytes()
            self._event_ms = snapshot.event_ms

    def _diagnosis(self) -> Diagnosis:
        """A diagnosis as a watch builds it when it starts: from what is stored."""
        snapshot = self._new_snapshot()
        snapshot.event_ms[:] = self._event_ms
        return Diagnosis(
            self.fleet,
            policy=self.policy,
            calibration=self.calibration,
            learnt=Learnt.from_bytes(self._learnt) if self._learnt else None,
            tracked=(),
            snapshot=snapshot,
            judgement=unjudged(len(self.fleet), policy=self.policy, now_ms=self._settles_s * 1000),
        )

    def _ticks(self, from_s: int, until_s: int) -> Iterator[Tick]:
        for t0_s in range(from_s, until_s, TICK_S):
            t1_s = t0_s + TICK_S
            heard = self._uplink.step(t0_s, t1_s)
            begun = time.perf_counter()
            step = self._decide(heard, t1_s)
            yield Tick(t1_s, heard.seen, step, time.perf_counter() - begun)

    def _decide(self, heard: Heard, now_s: int) -> Step:
        now_ms, snapshot = now_s * 1000, self.diagnosis.snapshot
        snapshot.update_presence(heard.presence_rows, online=heard.presence_online, changed_ms=heard.presence_ms)
        snapshot.fed_ms = now_ms
        scheduled, boundary_ms = self._hours.at(from_ms(now_ms))
        return self.diagnosis.step(
            heard.seen, now_ms=now_ms, scheduled=scheduled, boundary_ms=boundary_ms, maintenance=self.maintenance
        )

    def _new_snapshot(self) -> Snapshot:
        return Snapshot(self.world.ids, self.world.terminals["model"].tolist())

    def _calls(self) -> Calls:
        minutes = (self.scenario.end_s - self._begins_s) / 60
        return signalled(self.world, plan_calls(self.world, self.scenario, start_s=self._begins_s, minutes=minutes))


def fingerprint(scenario: Scenario) -> str:
    """What a warm-up depends on: the scenario, how it is played, and how it is learnt."""
    digest = hashlib.sha256(scenario.model_dump_json().encode())
    digest.update(Learnt.LAYOUT.encode())
    for package, pattern in ((simulators, "**/*.py"), (diagnostics, "detector/[bm]*.py")):
        for path in sorted(Path(package.__path__[0]).glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def fleet_of(world: World) -> Fleet:
    """The registry of a simulated world as the diagnosis takes it."""
    timezones, zone = np.unique(world.shops["timezone"].to_numpy(dtype=str), return_inverse=True)
    return Fleet(
        terminals=np.array(world.ids, dtype="S6"),
        codes=np.stack([world.codes[name] for name in DIMENSIONS], axis=1),
        levels=[world.levels[name] for name in DIMENSIONS],
        shop=np.asarray(world.shop, np.int32),
        zone=zone.astype(np.int16)[world.shop],
        timezones=timezones.tolist(),
    )


def announced(scenario: Scenario) -> Sequence[Window]:
    """The maintenance that was announced: every restart for maintenance of a scope."""
    return [
        Window(
            scope=fault.scope_by_name(),
            starts_ms=(scenario.start_s + round(fault.at_min * 60)) * 1000,
            ends_ms=(scenario.start_s + round((fault.at_min + fault.minutes) * 60) + _BACK_S) * 1000,
        )
        for fault in scenario.fault
        if fault.kind is Kind.MAINTENANCE_REBOOT and fault.scope is not None
    ]


def _take_events(snapshot: Snapshot, seen: Observed) -> None:
    received: Any = seen.event_received_ms
    snapshot.update_events(seen.event_rows, at_ms=seen.event_at_ms, received_ms=received, codes=seen.event_codes)
