"""Health over whole stretches of a simulated fleet's day: what is wrong is seen in time, and what is not is left alone."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from diagnostics.reasons import Reason
from simulators.scenario import FaultSpec, Scenario
from tests.scenarios.simulated_health import Seen, SimulatedHealth, blamed, well

TERMINALS = 1_500


def scenario(start: str, minutes: float, *faults: dict[str, Any]) -> Scenario:
    specs = tuple(FaultSpec.model_validate({"expect": "incident", **fault}) for fault in faults)
    return Scenario(name="health", seed=9, terminals=TERMINALS, start=datetime.fromisoformat(start), minutes=minutes, fault=specs)


def eight_terminals(kind: str) -> Scenario:
    """Eight terminals of shops open in the afternoon have this fault from its fifth minute on."""
    terminals = [f"T{number:05}" for number in (10, 200, 300, 400, 500, 600, 700, 800)]
    fault = {"kind": kind, "at_min": 5, "minutes": 25, "terminals": terminals, "expect": "symptom", "strength": 2.0}
    return scenario("2026-11-24T15:00:00+01:00", 30, fault)


@pytest.mark.parametrize(
    ("start", "minutes"),
    [
        pytest.param("2026-11-24T06:30:00+01:00", 120, id="a Tuesday morning, shops opening early and late"),
        pytest.param("2026-11-24T18:30:00+01:00", 120, id="a Tuesday evening, shops closing early and late"),
        pytest.param("2026-11-22T12:30:00+01:00", 60, id="a Sunday noon, most shops closing"),
    ],
)
def test_nobody_is_blamed_on_a_quiet_day(start: str, minutes: float) -> None:
    wrong: list[tuple[int, int]] = []

    def look(seen: Seen) -> None:
        # A restart or a short break of the line is told when it outlasts the grace; what reports is never to blame.
        wrong.extend((seen.second, row) for row in np.flatnonzero(blamed(seen.judged) & seen.reachable & (quiet_for > 6)).tolist())
        quiet_for[:] = np.where(seen.reachable, quiet_for + 1, 0)

    quiet_for = np.full(TERMINALS, 100)
    SimulatedHealth(scenario(start, minutes)).play(look)
    assert wrong == []


def test_an_outage_is_seen_within_two_minutes_and_over_within_one_of_its_end() -> None:
    """Carrier beta's region is cut off for twenty minutes in mid-afternoon; the fleet was only just switched on."""
    fault = {"kind": "network_outage", "at_min": 5, "minutes": 20, "scope": {"carrier": "beta"}}
    fleet = SimulatedHealth(scenario("2026-11-24T15:00:00+01:00", 35, fault))
    delays: dict[int, int] = {}
    cut_s = np.zeros(TERMINALS, np.int64)
    back_s = np.zeros(TERMINALS, np.int64)
    late_back: list[int] = []

    def look(seen: Seen) -> None:
        cut_s[:] = np.where(seen.reachable, 0, np.where(cut_s > 0, cut_s, seen.second))
        back_s[:] = np.where(seen.reachable, np.where(back_s > 0, back_s, seen.second), 0)
        for row in np.flatnonzero(blamed(seen.judged) & (cut_s > 0)).tolist():
            delays.setdefault(row, seen.second - int(cut_s[row]))
        late_back.extend(np.flatnonzero(blamed(seen.judged) & (back_s > 0) & (seen.second - back_s > 60)).tolist())
        # Some lines fail over to another within a minute and a half.
        deaf = seen.is_open & (cut_s > 0) & (seen.second - cut_s > 130)
        assert not (well(seen.judged) & deaf).any(), "nobody is well who cannot be heard"

    fleet.play(look)
    (truth,) = fleet.population.truth()
    assert len(delays) > 200
    assert len(set(delays) - set(truth.terminals.tolist())) <= 2, "a restart of an ordinary day may take as long"
    assert max(delays.values()) <= 130, "two minutes of silence, and a tick"
    assert late_back == []


@pytest.mark.parametrize(
    ("kind", "reason", "within_s"),
    [
        pytest.param("paper_out", Reason.PAPER_OUT, 420, id="an empty roll is out of paper"),
        pytest.param("crash_loop", Reason.CRASHED, 900, id="a crashing application crashed"),
    ],
)
def test_a_single_terminals_fault_is_named(kind: str, reason: Reason, within_s: int) -> None:
    fleet = SimulatedHealth(eight_terminals(kind))
    named: dict[int, int] = {}

    def look(seen: Seen) -> None:
        for row in np.flatnonzero(seen.judged.has(reason)).tolist():
            named.setdefault(row, seen.second)

    fleet.play(look)
    (truth,) = fleet.population.truth()
    onset = dict(zip(truth.terminals.tolist(), truth.onset_s.tolist(), strict=True))
    assert {row for row in onset if named.get(row, 10**12) - onset[row] > within_s} == set()
    assert len(set(named) - set(onset)) <= 1, "a mishap of an ordinary day may look the same"


def test_an_application_that_freezes_is_silent_though_it_stays_connected() -> None:
    fleet = SimulatedHealth(eight_terminals("frozen_app"))
    frozen_s: dict[int, int] = {}
    named: dict[int, int] = {}

    def look(seen: Seen) -> None:
        for row in np.flatnonzero(fleet.population.connectivity(seen.second - 1).frozen).tolist():
            frozen_s.setdefault(row, seen.second)
        for row in np.flatnonzero(seen.judged.has(Reason.SILENT)).tolist():
            named.setdefault(row, seen.second)

    fleet.play(look)
    assert len(frozen_s) >= 2
    assert set(named) == set(frozen_s)
    assert max(named[row] - frozen_s[row] for row in named) <= 130
