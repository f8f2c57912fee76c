"""What the fleet scan finds where a cause was planted, and where none was."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnostics.scan import search
from diagnostics.scan.cells import CellIndex
from diagnostics.scan.search import ScanPolicy, scan
from tests.unit.diagnostics.scanned_fleet import (
    TERMINALS,
    any_cell,
    fleet_index,
    in_words,
    rows_where,
    strike,
    usual_noise,
)

POLICY = ScanPolicy()


def exact_share(*, trials: int, seed: int, least: int, fraction: tuple[float, float]) -> float:
    """How often the planted cell, and nothing else, was found: at least `least` terminals hit, a random share of it."""
    index, rng, exact = fleet_index(), np.random.default_rng(seed), 0
    for trial in range(trials):
        hit, expected = usual_noise(rng)
        rows = index.rows(any_cell(rng, trial % 4, least=least))
        strike(hit, rows, max(least, round(rng.uniform(*fraction) * len(rows))), rng)
        found = scan(index, hit, expected, policy=POLICY)
        exact += len(found) == 1 and np.array_equal(found[0].rows, rows)
    return exact / trials


def test_the_planted_scope_is_found_exactly_from_fifteen_terminals_on() -> None:
    assert exact_share(trials=160, seed=1, least=15, fraction=(0.3, 0.3)) >= 0.95


def test_the_planted_scope_is_found_exactly_whatever_share_of_it_is_hit() -> None:
    assert exact_share(trials=160, seed=2, least=15, fraction=(0.3, 1.0)) >= 0.95


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param({"carrier": "beta", "region": "84"}, id="a carrier in a region"),
        pytest.param({"firmware": "4.3.0", "model": "B"}, id="a firmware on a model"),
        pytest.param({"department": "75"}, id="a department, not also its region"),
        pytest.param({"lot": "L07"}, id="a lot, not also its model"),
        pytest.param({"access": "satellite"}, id="a way of access"),
    ],
)
@pytest.mark.parametrize("fraction", [0.3, 0.6, 1.0])
def test_a_scope_is_told_in_the_fewest_words(conditions: dict[str, str], fraction: float) -> None:
    rng = np.random.default_rng(5)
    hit, expected = usual_noise(rng)
    rows = rows_where(**conditions)
    strike(hit, rows, round(fraction * len(rows)), rng)
    (found,) = scan(fleet_index(), hit, expected, policy=POLICY)
    assert in_words(found) == conditions


@pytest.mark.parametrize("fraction", [0.1, 0.3, 1.0])
def test_what_is_everywhere_is_the_whole_fleet(fraction: float) -> None:
    rng = np.random.default_rng(6)
    hit, expected = usual_noise(rng)
    strike(hit, np.arange(TERMINALS), round(fraction * TERMINALS), rng)
    (found,) = scan(fleet_index(), hit, expected, policy=POLICY)
    assert found.scope == ()
    assert found.judged == TERMINALS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"department": "59"}, {"lot": "L22"}, id="two that have little in common"),
        pytest.param({"region": "84", "carrier": "beta"}, {"region": "93", "carrier": "beta"}, id="two regions of one carrier"),
        pytest.param({"carrier": "gamma", "region": "76"}, {"firmware": "4.3.0", "model": "B"}, id="a large and a small one"),
    ],
)
def test_two_causes_at_once_are_told_apart(one: dict[str, str], other: dict[str, str]) -> None:
    rng = np.random.default_rng(7)
    hit, expected = usual_noise(rng)
    for conditions in (one, other):
        rows = rows_where(**conditions)
        strike(hit, rows, round(0.7 * len(rows)), rng)
    found = scan(fleet_index(), hit, expected, policy=POLICY)
    assert {frozenset(in_words(two).items()) for two in found} == {frozenset(one.items()), frozenset(other.items())}


def test_a_part_that_suffers_more_does_not_hide_that_the_rest_is_ill() -> None:
    rng = np.random.default_rng(8)
    hit, expected = usual_noise(rng)
    rows = rows_where(carrier="beta")
    worse = np.intersect1d(rows, rows_where(access="4g"))
    strike(hit, np.setdiff1d(rows, worse), round(0.3 * (len(rows) - len(worse))), rng)
    strike(hit, worse, round(0.8 * len(worse)), rng)
    (found,) = scan(fleet_index(), hit, expected, policy=POLICY)
    assert in_words(found) == {"carrier": "beta"}


def test_a_quiet_fleet_has_no_incident_because_looking_at_many_cells_has_its_price() -> None:
    rng = np.random.default_rng(9)
    quiet = [usual_noise(rng) for _ in range(60)]
    assert not any(scan(fleet_index(), *noise, policy=ScanPolicy(threshold=4.0)) for noise in quiet)
    assert any(scan(fleet_index(), *noise, policy=ScanPolicy(threshold=4.0, price=0.0)) for noise in quiet)


def test_who_is_left_out_is_neither_hit_nor_judged() -> None:
    rng = np.random.default_rng(10)
    hit, expected = usual_noise(rng)
    rows = rows_where(department="33")
    hit[rows] = 1.0
    excluded = np.zeros(TERMINALS, bool)
    excluded[rows] = True
    before = hit.copy(), expected.copy()
    assert scan(fleet_index(), hit, expected, policy=POLICY, excluded=excluded) == []
    assert np.array_equal(hit, before[0])
    assert np.array_equal(expected, before[1])


def test_who_cannot_be_judged_does_not_speak_against_an_incident() -> None:
    """Only radio links are judged: all of a department's are down, its fixed lines say nothing."""
    rng = np.random.default_rng(11)
    hit, expected = usual_noise(rng)
    wireless = np.isin(np.arange(TERMINALS), np.concatenate([rows_where(access="4g"), rows_where(access="5g")]))
    expected[~wireless] = 0.0
    hit[~wireless] = 0.0
    hit[rows_where(department="33")] = wireless[rows_where(department="33")]
    (found,) = scan(fleet_index(), hit, expected, policy=POLICY)
    assert in_words(found) == {"department": "33"}
    assert found.judged == found.observed == wireless[found.rows].sum()


def test_fewer_hits_than_an_incident_needs_are_none() -> None:
    hit, expected = np.zeros(TERMINALS, np.float32), np.full(TERMINALS, 1e-4, np.float32)
    hit[rows_where(lot="L22", department="59")[:4]] = 1.0
    assert scan(fleet_index(), hit, expected, policy=POLICY) == []
    assert scan(fleet_index(), hit, expected, policy=ScanPolicy(min_observed=4))


def test_calls_are_counted_not_judged_yes_or_no() -> None:
    """A shop of three terminals that rings twice is two thirds of a call for each; a few such shops are a surge."""
    rng = np.random.default_rng(12)
    expected = np.full(TERMINALS, 0.003, np.float32)
    hit = rng.poisson(expected).astype(np.float32)
    rows = rows_where(agency="AG07")
    hit[rng.choice(rows, 45, replace=False)] += 2 / 3
    (found,) = scan(fleet_index(), hit, expected, policy=ScanPolicy(counts=True))
    assert in_words(found) == {"agency": "AG07"}
    assert found.observed == pytest.approx(30.0, abs=6.0)


def test_an_overdispersed_trouble_needs_more() -> None:
    rng = np.random.default_rng(13)
    hit, expected = usual_noise(rng)
    strike(hit, rows_where(department="59"), 20, rng)
    (found,) = scan(fleet_index(), hit, expected, policy=POLICY)
    assert scan(fleet_index(), hit, expected, policy=ScanPolicy(overdispersion=5.0)) == []
    assert found.score > POLICY.threshold


def test_findings_share_no_hits() -> None:
    rng = np.random.default_rng(14)
    hit, expected = usual_noise(rng)
    for conditions in ({"carrier": "delta"}, {"department": "59"}, {"lot": "L03"}):
        rows = rows_where(**conditions)
        strike(hit, rows, round(0.5 * len(rows)), rng)
    found = scan(fleet_index(), hit, expected, policy=POLICY)
    assert sum(one.observed for one in found) <= hit.sum()
    assert {"carrier": "delta"} in map(in_words, found)


@pytest.mark.parametrize(("few", "many"), [(0, 10**6), (0, 0), (10**6, 10**6)])
def test_it_does_not_matter_how_cells_are_counted(few: int, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(15)
    hit, expected = usual_noise(rng)
    strike(hit, rows_where(region="11", model="C"), 60, rng)
    strike(hit, rows_where(department="13"), 40, rng)
    usual = scan(fleet_index(), hit, expected, policy=POLICY)
    monkeypatch.setattr(search, "_FEW", few)
    monkeypatch.setattr(search, "_MANY", many)
    again = scan(fleet_index(), hit, expected, policy=POLICY)
    assert [one.scope for one in again] == [one.scope for one in usual]
    assert [one.score for one in again] == pytest.approx([one.score for one in usual], rel=1e-4)
    assert len(usual) == 2


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000))
def test_the_order_of_terminals_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(0, levels, 800) for levels in (12, 4, 3)]).astype(np.int16)
    levels = [[str(code) for code in range(12)]] * 3
    expected = np.full(800, 0.01, np.float32)
    hit = (rng.random(800) < expected).astype(np.float32)
    hit[(codes[:, 0] == 3) & (rng.random(800) < 0.6)] = 1.0
    order = rng.permutation(800)
    here = scan(CellIndex(codes, levels), hit, expected, policy=POLICY)
    there = scan(CellIndex(codes[order], levels), hit[order], expected[order], policy=POLICY)
    assert [one.scope for one in here] == [one.scope for one in there]
    assert [one.score for one in here] == pytest.approx([one.score for one in there])
    assert [sorted(order[one.rows].tolist()) for one in there] == [one.rows.tolist() for one in here]
    assert here
