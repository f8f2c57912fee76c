from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.typologies.daily import bounds_of, day_of, effect, overdispersion, per_day, rate_ratio
from diagnostics.typologies.report import gaps_between
from diagnostics.typologies.sparkline import sparkline

ACTED = date(2026, 11, 15)


@pytest.mark.parametrize(
    ("day", "first", "hours"),
    [
        (date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        (date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        (date(2026, 11, 24), datetime(2026, 11, 23, 23, tzinfo=UTC), 24),
    ],
)
def test_a_day_of_paris_has_the_hours_its_clocks_show(day: date, first: datetime, hours: int) -> None:
    start, end = bounds_of(day)
    assert (start, end - start) == (first, timedelta(hours=hours))
    assert day_of(start) == day
    assert day_of(end) == day + timedelta(days=1)


def test_counts_outside_the_days_asked_for_are_left_out() -> None:
    days = [date(2026, 11, 1), date(2026, 11, 2)]
    assert per_day([(date(2026, 11, 2), 3), (date(2026, 10, 31), 9), (date(2026, 11, 2), 1)], days).tolist() == [0, 4]


def counts(before: int, after: int, days: int = 10) -> dict[date, int]:
    found = {ACTED - timedelta(days=back): before for back in range(1, days + 1)}
    found |= {ACTED + timedelta(days=ahead): after for ahead in range(1, days + 1)}
    # The day itself tells of neither.
    found[ACTED] = 1000
    return found


@pytest.mark.parametrize(
    ("before", "after", "certain"),
    [
        pytest.param(10, 3, True, id="far fewer"),
        pytest.param(10, 9, False, id="hardly fewer"),
        pytest.param(2, 9, True, id="more"),
        pytest.param(5, 0, True, id="none any more"),
        pytest.param(0, 5, True, id="none before"),
    ],
)
def test_before_and_after_with_an_interval(before: int, after: int, certain: bool) -> None:
    span = timedelta(days=10)
    found = effect(counts(before, after), acted=ACTED, first=ACTED - span, last=ACTED + span)
    assert (found.before, found.after, found.days_before, found.days_after) == (10 * before, 10 * after, 10, 10)
    assert found.ratio == (pytest.approx(after / before) if before else None)
    assert found.certain == certain


def test_an_interval_agrees_with_the_exact_one_of_the_textbook() -> None:
    # 12 events in 10 days, then 4 in 10: Clopper and Pearson for 4 of 16 give 0.0727 to 0.5238.
    before, after = np.array([2, 1, 1, 1, 1, 1, 1, 1, 1, 2.0]), np.array([1, 0, 1, 0, 1, 0, 1, 0, 0, 0.0])
    ratio, low, high = rate_ratio(before, after)
    assert ratio == pytest.approx(4 / 12)
    assert low == pytest.approx(0.0727 / (1 - 0.0727), abs=1e-3)
    assert high == pytest.approx(0.5238 / (1 - 0.5238), abs=1e-3)


def test_days_that_vary_wildly_widen_the_interval() -> None:
    even = rate_ratio(np.full(10, 10.0), np.full(10, 5.0))
    wild = rate_ratio(np.array([0, 20.0] * 5), np.array([0, 10.0] * 5))
    assert wild[2] is not None
    assert even[2] is not None
    assert wild[1] < even[1] < even[2] < wild[2]
    assert overdispersion(np.full(10, 10.0)) == 1


def test_without_days_on_both_sides_nothing_is_said() -> None:
    found = effect({}, acted=ACTED, first=ACTED, last=ACTED + timedelta(days=5))
    assert (found.ratio, found.low, found.high, found.certain) == (None, None, None, False)


@given(st.lists(st.integers(0, 3600), max_size=20))
def test_gaps_and_what_was_received_fill_the_day(seconds: list[int]) -> None:
    start = datetime(2026, 11, 23, 23, tzinfo=UTC)
    until = start + timedelta(hours=1)
    gaps = gaps_between([start + timedelta(seconds=second) for second in sorted(seconds)], start=start, until=until)
    assert gaps["seconds"].sum() <= 3600
    assert all(gap > 120 for gap in gaps["seconds"])
    assert (not seconds) == (gaps["seconds"].sum() == 3600 and len(gaps) == 1) or len(set(seconds) - {0, 3600}) == 0


def test_a_gap_that_began_the_day_before_is_told_from_midnight() -> None:
    start = datetime(2026, 11, 23, 23, tzinfo=UTC)
    received = [start - timedelta(minutes=5), start + timedelta(minutes=4), start + timedelta(minutes=5)]
    gaps = gaps_between(received, start=start, until=start + timedelta(minutes=6))
    assert gaps["seconds"].tolist() == [240]


def test_a_sparkline_marks_its_days_by_shape_and_escapes_its_title() -> None:
    drawn = sparkline([0, 3, 9], [False, False, True], title="<a & b>")
    assert drawn.count("<rect") == 3
    assert drawn.count("<circle") == 1
    assert "&lt;a &amp; b&gt;" in drawn
