"""Truth against database: each way in which they can differ is named for what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import truth
from simulators.journal import ranges
from vigie.truth_check import Finding, Stored, compare, minus

PLAY = truth.Play("quiet", 7, 2, 1_000_000, 2_000_000, 0)
TOTAL = truth.Total(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {}, 0, 0)


def told(*boots: truth.Boot) -> truth.Truth:
    return truth.Truth(PLAY, [], [truth.Terminal("T00001", list(boots))], [], TOTAL)


def figures(finding: Finding) -> dict[str, int]:
    names = ("missing", "twice", "unexpected", "dropped", "left", "refused_for_clock")
    return {name: getattr(finding, name) for name in names if getattr(finding, name)}


@pytest.mark.parametrize(
    ("boots", "stored", "expected", "good"),
    [
        pytest.param([truth.Boot(1000, 9)], [(1000, 1, 9, 0)], {}, True, id="all there"),
        pytest.param([truth.Boot(1000, 9)], [(1000, 1, 4, 0), (1000, 6, 9, 0)], {"missing": 1}, False, id="one missing"),
        pytest.param([truth.Boot(1000, 9)], [], {"missing": 9}, False, id="a whole boot missing"),
        pytest.param([truth.Boot(1000, 9)], [(1000, 1, 9, 2)], {"twice": 2}, False, id="two twice"),
        pytest.param([truth.Boot(1000, 9)], [(1000, 1, 10, 0)], {"unexpected": 1}, False, id="one never sent"),
        pytest.param(
            [truth.Boot(1000, 9)], [(1000, 1, 9, 0), (1005, 1, 2, 0)], {"unexpected": 2}, False, id="a boot that never was"
        ),
        pytest.param([truth.Boot(1000, 9, left=[(9, 9)])], [(1000, 1, 8, 0)], {"left": 1}, True, id="left, not stored"),
        pytest.param([truth.Boot(1000, 9, left=[(9, 9)])], [(1000, 1, 9, 0)], {}, True, id="left, but stored"),
        pytest.param([truth.Boot(1000, 9, dropped=[(1, 3)])], [(1000, 4, 9, 0)], {"dropped": 3}, True, id="dropped by itself"),
        pytest.param(
            [truth.Boot(1000, 9, misdated=[(2, 5)])],
            [(1000, 1, 3, 0), (1000, 6, 9, 0)],
            {"refused_for_clock": 2},
            True,
            id="refused for its clock",
        ),
        pytest.param([truth.Boot(1000, 3), truth.Boot(1500, 2)], [(1000, 1, 3, 0), (1500, 1, 2, 0)], {}, True, id="a boot each"),
    ],
)
def test_each_difference_has_its_name(
    boots: list[truth.Boot], stored: list[tuple[int, int, int, int]], expected: dict[str, int], good: bool
) -> None:
    finding = compare(told(*boots), [Stored("T00001", *row) for row in stored])
    assert figures(finding) == expected
    assert finding.good is good
    assert bool(finding.named) is not good


def test_a_lost_call_is_a_failure() -> None:
    finding = compare(told(), [], lost_calls=["c-1"])
    assert not finding.good
    assert finding.named == ("call c-1 missing",)


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_ranges_are_taken_away_like_sets(these: set[int], those: set[int]) -> None:
    assert minus(ranges(sorted(these)), ranges(sorted(those))) == ranges(sorted(these - those))
