"""What counts as found, missed and false when a play is held against its truth."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from diagnostics.detector.observed import Fleet
from diagnostics.snapshot import Bool
from diagnostics.tracking.tracked import Phase, Scope, Tracked
from diagnostics.troubles import Trouble
from fleet.registry import DIMENSIONS
from simulators.happenings import FaultTruth
from vigie.evaluate.matching import AFTERMATH_S, Outcome, match
from vigie.evaluate.record import Life, Symptom

N = 40
START_S, END_S, OVER_S = 1000, 2000, 2100


def fleet() -> Fleet:
    """Rows 0 to 19 are model A on carrier alpha, 20 to 39 model B; beta is rows 10 to 29, so that carrier and model cross."""
    codes = np.zeros((N, len(DIMENSIONS)), np.int16)
    codes[20:, DIMENSIONS.index("model")] = 1
    codes[10:30, DIMENSIONS.index("carrier")] = 1
    # Every model A is of lot L01, every B of L02: the same terminals under another name.
    codes[20:, DIMENSIONS.index("lot")] = 1
    levels: list[list[str]] = [["x", "y"] for _ in DIMENSIONS]
    levels[DIMENSIONS.index("model")] = ["A", "B"]
    levels[DIMENSIONS.index("carrier")] = ["alpha", "beta"]
    levels[DIMENSIONS.index("lot")] = ["L01", "L02"]
    return Fleet(
        terminals=np.array([f"T{row:05d}" for row in range(N)], "S6"),
        codes=codes,
        levels=levels,
        shop=np.arange(N, dtype=np.int32),
        zone=np.zeros(N, np.int16),
        timezones=["Europe/Paris"],
    )


def fault(
    rows: range = range(20), *, order: int = 0, expect: str = "incident", kind: str = "network_outage", scope: dict[str, str] | None
) -> FaultTruth:
    terminals = np.array(rows, np.int32)
    return FaultTruth(
        order=order,
        kind=kind,
        expect=expect,
        scope=scope,
        terminals=terminals,
        onset_s=np.full(len(rows), START_S),
        first_effect_s=START_S,
        end_s=END_S,
        until_s=np.full(len(rows), END_S),
        over_s=OVER_S,
    )


MODEL_A = {"model": "A"}


def incident(
    rows: range = range(20),
    *,
    at_s: int | None = START_S + 60,
    scope: Scope = (("model", "A"),),
    key: int = 1,
    parent: int | None = None,
) -> Life:
    members = np.array(rows, np.intp)
    tracked = Tracked(
        key=key,
        trouble=Trouble.OFFLINE,
        scope=scope,
        phase=Phase.OPEN,
        began_ms=0,
        rows=members,
        hit_ms=np.zeros(len(members), np.int64),
        hits=len(members),
        worst_hits=len(members),
        score=20.0,
        parent=parent,
    )
    return Life(key, tracked.trouble, at_s or START_S, members, tracked, told_s=at_s)


def symptom(row: int, *, at_s: int) -> Symptom:
    return Symptom(row, Trouble.NETWORK, at_s, 1.0, 1e-9)


@dataclass
class Said:
    lives: dict[int, Life] = field(default_factory=dict)
    symptoms: list[Symptom] = field(default_factory=list)
    was_open: dict[int, Bool] = field(default_factory=dict)


def matched(truth: list[FaultTruth], *incidents: Life, symptoms: tuple[Symptom, ...] = (), shut: int = 0) -> Outcome:
    """The outcome where all shops are open, but for the first `shut` of each fault."""
    was_open = {one.order: np.arange(len(one.terminals)) >= shut for one in truth}
    return match(Said({one.key: one for one in incidents}, list(symptoms), was_open), truth, fleet())


def test_an_incident_of_the_fault_s_terminals_while_it_acts_is_its_detection() -> None:
    outcome = matched([fault(scope=MODEL_A)], incident())
    [found] = outcome.faults
    assert (found.detected, found.latency_s, found.scope_exact, found.jaccard) == (True, 60.0, True, 1.0)
    assert (outcome.true_incidents, list(outcome.false_incidents)) == (1, [])


@pytest.mark.parametrize(
    "life",
    [
        pytest.param(incident(at_s=START_S - 10), id="told before the first effect"),
        pytest.param(incident(at_s=OVER_S), id="told after the recovery"),
        pytest.param(incident(range(15, 36)), id="most of its terminals are others"),
    ],
)
def test_an_incident_that_is_not_the_fault_s_is_false_and_the_fault_missed(life: Life) -> None:
    outcome = matched([fault(scope=MODEL_A)], life)
    assert outcome.faults[0].detected is False
    assert [one.key for one in outcome.false_incidents] == [1]


def test_an_incident_that_was_never_told_counts_for_nothing() -> None:
    outcome = matched([fault(scope=MODEL_A)], incident(at_s=None))
    assert outcome.faults[0].detected is False
    assert list(outcome.false_incidents) == []


def test_a_second_incident_of_the_same_fault_is_false() -> None:
    outcome = matched([fault(scope=MODEL_A)], incident(), incident(at_s=START_S + 90, key=2))
    assert outcome.faults[0].latency_s == 60.0
    assert [one.key for one in outcome.false_incidents] == [2]


def test_an_incident_put_under_a_wider_one_is_one_with_it() -> None:
    part = incident(range(10), at_s=START_S + 30, scope=(("model", "A"), ("carrier", "alpha")), parent=2)
    outcome = matched([fault(scope=MODEL_A)], part, incident(at_s=START_S + 90, key=2))
    [found] = outcome.faults
    assert (found.latency_s, found.incident_scope, found.scope_exact) == (30.0, MODEL_A, True)
    assert list(outcome.false_incidents) == []


@pytest.mark.parametrize(
    ("scope", "exact"),
    [
        pytest.param((("lot", "L01"),), True, id="the same terminals by another name"),
        pytest.param((("model", "A"), ("carrier", "alpha")), False, id="a part of them"),
        pytest.param((), False, id="the whole fleet"),
    ],
)
def test_a_scope_is_exact_when_it_names_the_same_terminals(scope: Scope, exact: bool) -> None:
    assert matched([fault(scope=MODEL_A)], incident(scope=scope)).faults[0].scope_exact is exact


def test_a_list_of_terminals_has_no_scope_to_be_exact_about() -> None:
    assert matched([fault(scope=None)], incident()).faults[0].scope_exact is None


def test_of_two_faults_each_incident_is_the_one_s_that_explains_most_of_it() -> None:
    truth = [fault(scope=MODEL_A), fault(range(10, 30), order=1, scope={"carrier": "beta"})]
    outcome = matched(truth, incident(range(12, 30), scope=(("carrier", "beta"),)), incident(range(10), key=2))
    assert [one.incident_scope for one in outcome.faults] == [MODEL_A, {"carrier": "beta"}]
    assert list(outcome.false_incidents) == []


@pytest.mark.parametrize("expect", ["symptom", "nothing"])
def test_a_fault_that_expects_no_incident_explains_none(expect: str) -> None:
    outcome = matched([fault(scope=MODEL_A, expect=expect)], incident())
    assert [one.key for one in outcome.false_incidents] == [1]


def test_a_fault_nobody_could_notice_is_neither_found_nor_missed() -> None:
    unseen = fault(scope=MODEL_A)._replace(first_effect_s=None)
    assert matched([unseen]).faults[0].detected is None
    assert matched([fault(scope=MODEL_A)], shut=20).faults[0].detected is None


def test_terminals_of_closed_shops_are_not_missed_in_the_overlap() -> None:
    outcome = matched([fault(scope=MODEL_A)], incident(range(10, 20)), shut=10)
    assert outcome.faults[0].jaccard == 1.0


@pytest.mark.parametrize(
    ("row", "at_s", "detected", "false"),
    [
        pytest.param(3, START_S + 500, True, 0, id="while the fault acts"),
        pytest.param(3, START_S - 5, False, 1, id="before it"),
        pytest.param(3, OVER_S + AFTERMATH_S - 1, False, 0, id="in its aftermath"),
        pytest.param(3, OVER_S + AFTERMATH_S, False, 1, id="long after"),
        pytest.param(4, START_S + 500, False, 1, id="at another terminal"),
    ],
)
def test_a_symptom_is_found_at_its_terminal_while_the_fault_acts(row: int, at_s: int, detected: bool, false: int) -> None:
    outcome = matched([fault(range(3, 4), scope=None, expect="symptom")], symptoms=(symptom(row, at_s=at_s),))
    assert outcome.faults[0].detected is detected
    assert len(outcome.false_symptoms) == false


def test_a_harmless_change_excuses_no_symptom() -> None:
    harmless = fault(scope={}, expect="nothing", kind="race_rush")
    assert len(matched([harmless], symptoms=(symptom(3, at_s=START_S + 5),)).false_symptoms) == 1


def test_the_scope_is_the_one_last_stated() -> None:
    life = incident(scope=(("carrier", "beta"),))
    life.last = replace(life.last, scope=(("model", "A"),))
    assert matched([fault(scope=MODEL_A)], life).faults[0].scope_exact is True
