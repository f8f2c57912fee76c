"""Each fault against the same fleet without it: randomness belongs to terminal and second, so all else is equal to the bit."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from fleet.contract import SAMPLE_FIELDS, EventCode
from simulators.faults.engine import FAULT_CLASSES
from simulators.population import Event, FaultTruth, Population
from simulators.randomness import F32
from simulators.scenario import HARMLESS, Kind, ScenarioError
from simulators.temperament import COLUMN
from simulators.world import World
from tests.unit.simulators.scenes import make_scenario

STEP_S = 30
COUNTERS = {"tickets", "rejects", "tx_timeouts", "print_errors", "scans", "scan_errors"}
SCOPE = {"region": "84"}


class Lived(NamedTuple):
    """What a fleet did: everyone's samples, asked for whether due or not, and what was told."""

    seconds: list[int]
    values: F32  # (steps, terminals, 18)
    events: list[Event]
    powered: np.ndarray
    connected: np.ndarray
    frozen: np.ndarray
    opened: np.ndarray
    truth: list[FaultTruth]
    boots: np.ndarray


def live(world: World, *faults: dict[str, Any], minutes: float = 100, **more: Any) -> Lived:
    population = Population(world, make_scenario(*faults, minutes=minutes, **more))
    idx = np.arange(len(world), dtype=np.int32)
    boots = population.boot.copy()
    events, values, seconds = [], [], []
    powered, connected, frozen, opened = [], [], [], []
    start_s = population.scenario.start_s
    for second in range(start_s, start_s + round(minutes * 60), STEP_S):
        events += population.advance(second, second + STEP_S)
        state = population.connectivity(second + STEP_S - 1)
        values.append(population.sample(idx, second + STEP_S - 1))
        powered.append(state.powered)
        connected.append(state.connected)
        frozen.append(state.frozen)
        opened.append(population.is_open(second + STEP_S - 1).copy())
        seconds.append(second + STEP_S - 1)
    return Lived(
        seconds,
        np.array(values),
        events,
        np.array(powered),
        np.array(connected),
        np.array(frozen),
        np.array(opened),
        population.truth(),
        population.boot - boots,
    )


@pytest.fixture(scope="module")
def well(world: World) -> Lived:
    return live(world)


def changed_columns(a: Lived, b: Lived, rows: np.ndarray) -> set[str]:
    differ = (a.values[:, rows] != b.values[:, rows]) & ~(np.isnan(a.values[:, rows]) & np.isnan(b.values[:, rows]))
    return {name for name, column in COLUMN.items() if differ[..., column].any()}


# kind: what must change, what may change besides, strength
EFFECTS: dict[Kind, tuple[set[str], set[str], float]] = {
    Kind.NETWORK_OUTAGE: ({"tickets", "tx_ms", "tx_timeouts", "rtt_ms", "loss_pct", "scans"}, {"rejects", "scan_errors"}, 1),
    Kind.NETWORK_DEGRADED: ({"rtt_ms", "loss_pct", "tx_ms", "tx_timeouts", "tickets"}, set(), 1),
    Kind.WEAK_RADIO: ({"signal_dbm", "loss_pct", "rtt_ms", "tx_ms", "tx_timeouts"}, set(), 1),
    Kind.PRINTER_DEGRADED: ({"print_errors", "head_c", "tickets"}, set(), 1),
    Kind.PAPER_OUT: ({"paper_pct", "tickets", "tx_ms", "scans"}, {"rejects", "tx_timeouts", "print_errors", "scan_errors"}, 1),
    Kind.SCANNER_DEGRADED: ({"scans", "scan_errors", "tickets"}, set(), 1),
    Kind.SLOW_TRANSACTIONS: ({"tx_ms", "tx_timeouts"}, set(), 1),
    Kind.CENTRAL_OUTAGE: ({"tickets", "rejects", "tx_timeouts", "tx_ms"}, set(), 1),
    Kind.SETTLEMENT_ERROR: (set(), set(), 1),
    Kind.MEMORY_LEAK: ({"mem_mb"}, {"cpu_pct", "tx_ms"}, 1),
    Kind.CLOCK_DRIFT: ({"clock_ms"}, set(), 1),
    Kind.OVERHEATING: ({"board_c", "head_c"}, {"cpu_pct", "tx_ms"}, 1),
    Kind.DISK_FULL: ({"disk_mb"}, {"tx_ms"}, 1),
    Kind.FROZEN_APP: ({"tickets", "tx_ms", "scans", "cpu_pct"}, COUNTERS, 1),
    Kind.CRASH_LOOP: ({"uptime_s", "cpu_pct"}, set(SAMPLE_FIELDS), 1),
    Kind.POWER_CUT: ({"uptime_s", "cpu_pct"}, set(SAMPLE_FIELDS), 1),
    Kind.MAINTENANCE_REBOOT: ({"uptime_s", "cpu_pct"}, set(SAMPLE_FIELDS), 1),
    Kind.RACE_RUSH: ({"tickets", "scans", "cpu_pct", "head_c", "paper_pct"}, set(SAMPLE_FIELDS), 1),
    Kind.EARLY_CLOSE: ({"tickets"}, set(SAMPLE_FIELDS), 1),
    Kind.NEW_TERMINALS: ({"uptime_s"}, set(SAMPLE_FIELDS), 1),
}
REBOOTS_AT_THE_END = {Kind.MEMORY_LEAK, Kind.FROZEN_APP, Kind.PAPER_OUT}


@pytest.mark.parametrize("kind", list(EFFECTS), ids=str)
def test_a_fault_changes_what_it_should_and_nothing_else(world: World, well: Lived, kind: Kind) -> None:
    must, may, strength = EFFECTS[kind]
    # Those that mend with a restart or a new roll are watched until the scenario's end only.
    lasting = 80 if kind in REBOOTS_AT_THE_END else 50
    start: dict[str, Any] = {"start": "2026-11-24T18:30:00+01:00"} if kind is Kind.EARLY_CLOSE else {}
    before = live(world, **start) if start else well
    ill = live(world, {"kind": kind, "at_min": 20, "minutes": lasting, "scope": SCOPE, "strength": strength}, **start)
    affected = ill.truth[0].terminals
    others = np.setdiff1d(np.arange(len(world)), affected)
    assert (affected == world.in_scope(SCOPE)).all()
    assert changed_columns(ill, before, others) == set()
    changed = changed_columns(ill, before, affected)
    assert must <= changed <= must | may
    early = np.array(ill.seconds) < ill.truth[0].onset_s.min()
    if kind is not Kind.NEW_TERMINALS:
        assert np.array_equal(ill.values[early], before.values[early], equal_nan=True)


@pytest.mark.parametrize(
    ("kind", "strength", "name", "bounds"),
    [
        (Kind.NETWORK_DEGRADED, 1, "rtt_ms", (1.8, 4)),
        (Kind.NETWORK_DEGRADED, 2, "rtt_ms", (3, 7)),
        (Kind.SLOW_TRANSACTIONS, 1, "tx_ms", (1.7, 3)),
        (Kind.SLOW_TRANSACTIONS, 2, "tx_ms", (2.5, 5)),
        (Kind.PRINTER_DEGRADED, 1, "print_errors", (20, 1000)),
        (Kind.SCANNER_DEGRADED, 1, "scan_errors", (10, 250)),
        (Kind.OVERHEATING, 1, "board_c", (1.3, 1.7)),
        (Kind.CENTRAL_OUTAGE, 1, "tickets", (0, 0.1)),
        (Kind.CENTRAL_OUTAGE, 0.3, "tickets", (0.6, 0.95)),
        (Kind.PAPER_OUT, 1, "tickets", (0, 0.15)),
        (Kind.NETWORK_OUTAGE, 1, "tickets", (0, 0.25)),
        (Kind.MEMORY_LEAK, 1, "mem_mb", (0.8, 0.97)),
        (Kind.MEMORY_LEAK, 2, "mem_mb", (0.6, 0.9)),
        (Kind.DISK_FULL, 1, "disk_mb", (0.5, 0.85)),
        (Kind.RACE_RUSH, 1.5, "tickets", (1.2, 2.7)),
    ],
)
def test_strength_scales_the_effect(
    world: World, well: Lived, *, kind: Kind, strength: float, name: str, bounds: tuple[float, float]
) -> None:
    ill = live(world, {"kind": kind, "at_min": 20, "minutes": 50, "scope": SCOPE, "strength": strength})
    rows, steps = ill.truth[0].terminals, slice(2 * 30, 2 * 65)
    with_it, without = (np.nanmean(lived.values[steps][:, rows, COLUMN[name]]) for lived in (ill, well))
    low, high = bounds
    assert low < with_it / without < high or (low == 0 == with_it)


def test_every_kind_has_a_class_and_a_tested_effect() -> None:
    assert set(FAULT_CLASSES) == set(Kind) == set(EFFECTS)
    assert len(HARMLESS) == 4


def cut(world: World, **fault: Any) -> Lived:
    return live(world, {"kind": "power_cut", "at_min": 20, "minutes": 25, "scope": SCOPE, **fault})


def test_a_power_cut_is_silence_at_once_for_neighbours_and_told_on_return(world: World, well: Lived) -> None:
    ill = cut(world, fraction=0.5)
    fault = ill.truth[0]
    assert np.ptp(fault.onset_s) <= 4
    off = ~ill.powered & well.powered
    dark = [k for k, second in enumerate(ill.seconds) if fault.onset_s.max() <= second < fault.end_s]
    assert (np.nonzero(off.any(axis=0))[0] == fault.terminals).all()
    assert off[dark][:, fault.terminals].mean() > 0.99
    told = Counter((e.terminal, e.code) for e in ill.events if e.second > fault.end_s)
    back = [t for t in fault.terminals.tolist() if ill.powered[-1, t]]
    assert all(told[t, EventCode.POWER_LOSS] >= 1 and told[t, EventCode.REBOOT] >= 1 for t in back)
    assert not [e for e in ill.events if e.terminal in set(back) and fault.onset_s.max() < e.second < fault.end_s]
    assert fault.first_effect_s == fault.onset_s.min()
    # Neighbours: a shop is dark as a whole, but for the one that the fraction divides.
    whole = [
        bool(np.isin(np.nonzero(world.shop == shop)[0], fault.terminals).all()) for shop in np.unique(world.shop[fault.terminals])
    ]
    assert whole.count(False) <= 1


def test_boots_count_reboots_and_uptime_starts_at_each(world: World) -> None:
    ill = live(world, {"kind": "crash_loop", "at_min": 10, "minutes": 80, "scope": SCOPE, "fraction": 0.1})
    reboots = Counter(e.terminal for e in ill.events if e.code == EventCode.REBOOT)
    assert dict(enumerate(ill.boots.tolist())) == {t: reboots.get(t, 0) for t in range(len(world))}
    assert np.median([reboots[t] for t in ill.truth[0].terminals.tolist()]) > 6
    for event in [e for e in ill.events if e.code == EventCode.REBOOT][:50]:
        after = [k for k, second in enumerate(ill.seconds) if second >= event.second][:1]
        for k in after:
            assert ill.values[k, event.terminal, COLUMN["uptime_s"]] == ill.seconds[k] - event.second


def test_a_crash_is_told_before_the_silence_and_the_reboot_after(world: World) -> None:
    ill = live(world, {"kind": "crash_loop", "at_min": 10, "minutes": 80, "terminals": ["T00040"]})
    codes = [e.code for e in ill.events if e.terminal == 39 and e.code in {EventCode.APP_CRASH, EventCode.REBOOT}]
    assert len(codes) > 8
    assert codes == [EventCode.APP_CRASH, EventCode.REBOOT] * (len(codes) // 2)


def test_a_memory_leak_ends_in_a_crash_after_hours_and_begins_anew(world: World) -> None:
    fault_at_twice = {"kind": "memory_leak", "at_min": 10, "minutes": 230, "scope": SCOPE, "fraction": 0.3, "strength": 2}
    ill = live(world, fault_at_twice, minutes=240)
    fault = ill.truth[0]
    crashes = [e for e in ill.events if e.code == EventCode.APP_CRASH and e.detail == "out of memory"]
    first = min(e.second for e in crashes)
    assert 3600 < first - fault.onset_s.min() < 2.5 * 3600
    assert {e.terminal for e in crashes} <= set(fault.terminals.tolist())
    one = crashes[0]
    mem = ill.values[:, one.terminal, COLUMN["mem_mb"]]
    at = next(k for k, second in enumerate(ill.seconds) if second >= one.second)
    assert mem[at - 2] < 0.15 * mem[0]
    assert mem[at + 6] > 0.7 * mem[0]


def test_an_outage_keeps_the_app_alive_and_a_few_fail_over(world: World, well: Lived) -> None:
    ill = live(world, {"kind": "network_outage", "at_min": 20, "minutes": 30, "scope": SCOPE})
    rows = ill.truth[0].terminals
    during = slice(2 * 24, 2 * 49)
    assert (ill.powered[:, rows] == well.powered[:, rows]).all()
    assert 0.02 < ill.connected[during][:, rows].mean() < 0.2
    saved = {e.terminal for e in ill.events if e.code == EventCode.NET_FAILOVER and e.detail == "radio card"}
    line = set(world.in_scope({**SCOPE, "access": "adsl"}).tolist()) | set(world.in_scope({**SCOPE, "access": "fibre"}).tolist())
    assert saved
    assert saved <= line & set(rows.tolist())
    gone = np.array(sorted(set(rows.tolist()) - saved))
    assert (ill.values[during][:, gone, COLUMN["loss_pct"]] == 100).mean() > 0.99
    assert np.isnan(ill.values[during][:, gone, COLUMN["rtt_ms"]]).mean() > 0.99


def test_frozen_apps_keep_their_connection(world: World, well: Lived) -> None:
    ill = live(world, {"kind": "frozen_app", "at_min": 20, "minutes": 60, "scope": SCOPE, "fraction": 0.5})
    rows, during = ill.truth[0].terminals, slice(2 * 32, 2 * 78)
    assert (ill.connected[during][:, rows] == well.connected[during][:, rows]).all()
    silent = ill.frozen[during][:, rows].all(axis=0)
    assert 0.3 < silent.mean() < 0.7
    assert ill.values[during][:, rows, COLUMN["tickets"]].sum() == 0
    told_by = {e.terminal for e in ill.events if ill.seconds[2 * 32] < e.second < ill.seconds[2 * 78]} - {
        e.terminal for e in ill.events if e.code == EventCode.REBOOT
    }
    assert not told_by & set(rows[silent].tolist())


def test_paper_runs_out_is_told_and_the_roll_is_changed(world: World) -> None:
    ill = live(world, {"kind": "paper_out", "at_min": 10, "minutes": 40, "scope": SCOPE, "fraction": 0.2})
    rows = ill.truth[0].terminals
    told = Counter((e.terminal, e.code) for e in ill.events if e.code == EventCode.PAPER_OUT)
    assert told == Counter({(t, EventCode.PAPER_OUT): 1 for t in rows.tolist()})
    paper = ill.values[..., COLUMN["paper_pct"]]
    assert (paper[2 * 40][rows] == 0).all()
    assert np.median(paper[-1][rows]) > 90


def test_a_drifting_clock_runs_away_steadily(world: World) -> None:
    ill = live(world, {"kind": "clock_drift", "at_min": 10, "minutes": 80, "scope": SCOPE, "strength": 2})
    off = np.abs(ill.values[:, ill.truth[0].terminals, COLUMN["clock_ms"]])
    assert 30_000 < np.median(off[2 * 70]) < 70_000
    assert np.median(off[2 * 40]) == pytest.approx(np.median(off[2 * 70]) / 2, rel=0.1)


def test_a_maintenance_reboot_is_expected_and_spread_over_its_window(world: World) -> None:
    ill = live(world, {"kind": "maintenance_reboot", "at_min": 20, "minutes": 30, "scope": {"model": "C"}, "expect": "nothing"})
    told = [e for e in ill.events if e.detail == "expected: maintenance"]
    assert {e.terminal for e in told} == set(world.in_scope({"model": "C"}).tolist())
    quarters = np.histogram([e.second for e in told], 3)[0]
    assert quarters.min() > 0.2 * len(told)


def test_new_terminals_are_not_there_before(world: World) -> None:
    ill = live(world, {"kind": "new_terminals", "at_min": 20, "minutes": 30, "scope": SCOPE, "fraction": 0.2, "expect": "nothing"})
    rows = ill.truth[0].terminals
    assert not ill.powered[: 2 * 19][:, rows].any()
    assert ill.powered[-1][rows].all()
    told = {e.terminal for e in ill.events if e.detail == "expected: first start"}
    assert told == set(rows.tolist())


def test_early_close_shuts_shops_with_close_events_and_the_slow_cadence(world: World) -> None:
    evening: dict[str, Any] = {"start": "2026-11-24T17:30:00+01:00"}
    fault = {"kind": "early_close", "at_min": 5, "minutes": 300, "scope": SCOPE, "fraction": 0.6, "expect": "nothing"}
    plain, ill = live(world, **evening), live(world, fault, **evening)
    rows = ill.truth[0].terminals
    assert ill.opened[-1][rows].mean() < 0.6 * plain.opened[-1][rows].mean()
    closed = [e.terminal for e in ill.events if e.code == EventCode.CLOSE]
    assert len(set(closed) & set(rows.tolist())) > 0.3 * len(rows)


@pytest.mark.parametrize(("fraction", "share"), [(1.0, 1.0), (0.3, 0.3), (0.0001, 0.0)])
def test_fraction_picks_so_many_and_the_seed_which(world: World, fraction: float, share: float) -> None:
    def chosen(seed: int) -> np.ndarray:
        spec = {"kind": "overheating", "at_min": 1, "minutes": 5, "scope": SCOPE, "fraction": fraction}
        return Population(world, make_scenario(spec, seed=seed)).truth()[0].terminals

    inside = len(world.in_scope(SCOPE))
    assert len(chosen(1)) == max(1, round(share * inside))
    assert (chosen(1) == chosen(1)).all()
    assert fraction == 1.0 or not np.array_equal(chosen(1), chosen(2))


def test_the_first_effect_is_when_a_sample_first_differs(world: World, well: Lived) -> None:
    ill = live(world, {"kind": "overheating", "at_min": 20, "minutes": 50, "scope": SCOPE})
    differ = (ill.values != well.values) & ~(np.isnan(ill.values) & np.isnan(well.values))
    first = ill.seconds[int(np.nonzero(differ.any(axis=(1, 2)))[0][0])]
    assert ill.truth[0].first_effect_s == first


def test_two_faults_on_one_terminal_both_show(world: World, well: Lived) -> None:
    faults = [
        {"kind": k, "at_min": 10, "minutes": 80, "terminals": ["T00100"]} for k in ("overheating", "clock_drift", "disk_full")
    ]
    ill = live(world, *faults)
    assert {"board_c", "clock_ms", "disk_mb"} <= changed_columns(ill, well, np.array([99]))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"terminals": ["T99999"]}, "no terminal T99999; this world has T00001 to T02400"),
        ({"scope": {"carrier": "omega"}}, "no terminal has carrier = 'omega'; there is alpha, beta"),
        ({"scope": {"lot": "L01", "model": "C"}}, "no terminal is in the scope"),
    ],
)
def test_a_fault_that_befalls_nobody_is_refused(world: World, fault: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        Population(world, make_scenario({"kind": "overheating", "at_min": 1, "minutes": 5, **fault}))


def test_same_seed_same_life(population: Callable[..., Population]) -> None:
    def life() -> tuple[list[Event], bytes]:
        fleet = population({"kind": "crash_loop", "at_min": 1, "minutes": 20, "scope": SCOPE})
        events, taken = [], b""
        for second in range(fleet.scenario.start_s, fleet.scenario.start_s + 900, 10):
            events += fleet.advance(second, second + 10)
            taken += fleet.sample(fleet.due(second, second + 10), second + 9).tobytes()
        return events, taken

    assert life() == life()
