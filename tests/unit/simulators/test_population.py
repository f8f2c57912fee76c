from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from fleet.contract import EventCode
from simulators.population import Population
from simulators.temperament import COLUMN
from simulators.world import World
from tests.unit.simulators.scenes import make_scenario

Make = Callable[..., Population]


def taken(population: Population, *, step_s: int, seconds: int) -> dict[int, list[int]]:
    """Live on and return the seconds (ends of steps) at which each terminal was due."""
    due: dict[int, list[int]] = defaultdict(list)
    start_s = population.scenario.start_s
    for second in range(start_s, start_s + seconds, step_s):
        population.advance(second, second + step_s)
        for terminal in population.due(second, second + step_s).tolist():
            due[terminal].append(second)
    return due


def test_open_terminals_are_due_every_30_s_and_closed_ones_every_300_s(world: World, population: Make) -> None:
    fleet = population()
    opened = fleet.is_open(fleet.scenario.start_s).copy()
    due = taken(fleet, step_s=1, seconds=900)
    still = (opened == fleet.is_open(fleet.scenario.start_s + 899)) & fleet.connectivity(fleet.scenario.start_s + 899).powered
    quiet = {t for t in range(len(world)) if still[t]} - {
        e.terminal for e in fleet.advance(fleet.scenario.start_s + 900, fleet.scenario.start_s + 901)
    }
    gaps = {t: set(np.diff(due[t]).tolist()) for t in quiet}
    assert Counter(frozenset(gaps[t]) for t in quiet if opened[t]).most_common(1)[0][0] == {30}
    assert np.mean([gaps[t] == {30} for t in quiet if opened[t]]) > 0.99
    assert np.mean([gaps[t] == {300} for t in quiet if not opened[t]]) > 0.99


def test_reports_spread_over_the_cadence(population: Make) -> None:
    fleet = population()
    start_s = fleet.scenario.start_s
    counts = []
    for second in range(start_s, start_s + 60):
        fleet.advance(second, second + 1)
        counts.append(len(fleet.due(second, second + 1)))
    expected = 2400 * 0.85 / 30
    assert 0.5 * expected < min(counts)
    assert max(counts) < 1.6 * expected


def test_steps_of_ten_seconds_find_the_same_due_as_steps_of_one(population: Make) -> None:
    fine, coarse = (taken(population(), step_s=step, seconds=300) for step in (1, 10))
    assert sum(len(v) for v in coarse.values()) == pytest.approx(sum(len(v) for v in fine.values()), rel=0.01)


def test_counters_cover_the_time_since_the_last_sample(world: World, population: Make) -> None:
    idx = np.arange(len(world), dtype=np.int32)
    often, seldom = population(), population()
    start_s = often.scenario.start_s
    sold = 0.0
    for second in range(start_s, start_s + 1800, 30):
        often.advance(second, second + 30)
        sold += often.sample(idx, second + 29)[:, COLUMN["tickets"]].sum()
    once = 0.0
    for second in range(start_s, start_s + 1800, 300):
        seldom.advance(second, second + 300)
        once += seldom.sample(idx, second + 299)[:, COLUMN["tickets"]].sum()
    assert once == pytest.approx(sold, rel=0.05)


def test_every_opening_and_closing_is_told_once(world: World) -> None:
    fleet = Population(world, make_scenario(start="2026-11-24T05:00:00+01:00", minutes=60 * 20))
    told: dict[int, list[EventCode]] = defaultdict(list)
    opened = fleet.is_open(fleet.scenario.start_s).copy()
    for second in range(fleet.scenario.start_s, fleet.scenario.end_s, 60):
        for event in fleet.advance(second, second + 60):
            if event.code in {EventCode.OPEN, EventCode.CLOSE}:
                told[event.terminal].append(event.code)
    for terminal, codes in told.items():
        expected = [EventCode.CLOSE, EventCode.OPEN] if opened[terminal] else [EventCode.OPEN, EventCode.CLOSE]
        assert codes == (expected * 4)[: len(codes)]
    assert len(told) > 0.8 * len(world)


def test_ordinary_days_have_their_mishaps_in_their_rates(world: World) -> None:
    days = 3
    fleet = Population(world, make_scenario(start="2026-11-24T00:00:00+01:00", minutes=1440 * days))
    told: Counter[tuple[EventCode, str]] = Counter()
    away = 0.0
    for second in range(fleet.scenario.start_s, fleet.scenario.end_s, 60):
        told.update((e.code, e.detail) for e in fleet.advance(second, second + 60))
        away += float((~fleet.connectivity(second + 59).connected).mean())
    per_day = {key: count / days / len(world) for key, count in told.items()}
    assert 0.003 < per_day[EventCode.REBOOT, "unexpected: application crash"] < 0.012
    assert 0.1 < per_day[EventCode.REBOOT, "expected: weekly restart"] < 0.19
    assert 0.005 < per_day[EventCode.COVER_OPEN, "opened by hand"] < 0.025
    assert 0.00002 < away / (1440 * days) < 0.0005
    nights = [e for e in told if e[1] == "expected: weekly restart"]
    assert nights


def test_a_reboot_by_command_is_told_at_once(population: Make) -> None:
    fleet = population()
    before = fleet.boot.copy()
    told = fleet.reboot(np.array([3, 8], np.int32), fleet.scenario.start_s + 7, detail="expected: command")
    assert [(e.terminal, e.code, e.detail) for e in told] == [(t, EventCode.REBOOT, "expected: command") for t in (3, 8)]
    assert ((fleet.boot - before)[[3, 8]] == 1).all()
    assert (fleet.booted_s[[3, 8]] == fleet.scenario.start_s + 7).all()


def test_a_population_can_live_through_its_warm_up_first(world: World) -> None:
    scenario = make_scenario({"kind": "power_cut", "at_min": 1, "minutes": 5, "scope": {"region": "84"}})
    fleet = Population(world, scenario, starts_s=scenario.start_s - 3600)
    for second in range(scenario.start_s - 3600, scenario.start_s, 300):
        fleet.advance(second, second + 300)
        fleet.sample(fleet.due(second, second + 300), second + 299)
    assert fleet.truth()[0].first_effect_s is None
    fleet.advance(scenario.start_s, scenario.start_s + 120)
    assert fleet.truth()[0].first_effect_s == scenario.start_s + 60


def test_events_come_in_order_of_time(population: Make) -> None:
    fleet = population({"kind": "power_cut", "at_min": 1, "minutes": 5, "scope": {}})
    start_s = fleet.scenario.start_s
    for second in range(start_s, start_s + 1200, 120):
        told = [event.second for event in fleet.advance(second, second + 120)]
        assert told == sorted(told)
        assert all(second <= s < second + 120 for s in told)


def test_who_is_off_or_frozen_takes_no_sample(world: World, population: Make) -> None:
    fleet = population(
        {"kind": "power_cut", "at_min": 1, "minutes": 30, "scope": {"region": "84"}},
        {"kind": "frozen_app", "at_min": 1, "minutes": 60, "scope": {"region": "11"}},
    )
    due = taken(fleet, step_s=30, seconds=30 * 60)
    start_s = fleet.scenario.start_s
    state = fleet.connectivity(start_s + 30 * 60 - 1)
    off = np.intersect1d(np.nonzero(~state.powered)[0], fleet.truth()[0].terminals)
    frozen = np.nonzero(state.frozen)[0]
    assert len(off) > 0.9 * len(world.in_scope({"region": "84"}))
    assert len(frozen) > 0.3 * len(world.in_scope({"region": "11"}))
    for terminal in [*off.tolist(), *frozen.tolist()]:
        assert [second for second in due[terminal] if second > start_s + 12 * 60] == []
    assert sum(second > start_s + 12 * 60 for second in due[int(world.in_scope({"region": "93"})[0])]) >= 3
