import numpy as np
import pytest

from diagnostics.typologies.emergence import FIRST_DAY, c2, grows


def test_c2_agrees_with_a_series_worked_out_by_hand() -> None:
    # Day 9 is held against days 0 to 6: mean 4, sample deviation sqrt(28 / 6); day 10 against days 1 to 7: mean 4, sqrt(20 / 6).
    counts = np.array([2.0, 6, 2, 6, 2, 4, 6, 4, 9, 10, 4])
    found = c2(counts)
    assert np.isnan(found[:FIRST_DAY]).all()
    weeks = {9: [2, 6, 2, 6, 2, 4, 6], 10: [6, 2, 6, 2, 4, 6, 4]}
    assert found[9] == pytest.approx((10 - 4) / (24 / 6) ** 0.5)
    assert found[10] == pytest.approx((4 - 30 / 7) / np.std(weeks[10], ddof=1))


def test_the_two_days_before_do_not_hide_a_rise() -> None:
    counts = np.array([3.0, 4, 3, 4, 3, 4, 3, 20, 20, 20])
    assert grows(counts)[9]


@pytest.mark.parametrize(
    ("week", "today", "expected"),
    [
        pytest.param([0] * 7, 2, False, id="two of what was never there are too few"),
        pytest.param([0] * 7, 3, True, id="three are not"),
        pytest.param([5] * 7, 6, False, id="an even week leaves room for one more"),
        pytest.param([5] * 7, 7, True, id="and no more"),
        pytest.param([2, 12, 3, 11, 2, 12, 3], 14, False, id="an uneven week leaves much"),
        pytest.param([20] * 7, 3, False, id="fewer are no growth"),
    ],
)
def test_growth_is_what_the_week_before_does_not_explain(week: list[int], today: int, expected: bool) -> None:
    assert grows(np.array([*week, 99, 99, today], np.float64))[-1] == expected


def test_rows_are_judged_each_by_its_own_week() -> None:
    rows = np.array([[1.0] * 9 + [9.0], [9.0] * 10])
    assert grows(rows)[:, -1].tolist() == [True, False]
