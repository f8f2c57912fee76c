from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.occupancy import SLOT, Occupied, Slot, Span, as_table, occupancy, slot_of, together, union

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)


def span(start_min: float, end_min: float) -> Span:
    return NINE + timedelta(minutes=start_min), NINE + timedelta(minutes=end_min)


def whole(busy: dict[int, list[Span]], there: dict[int, list[Span]]) -> Occupied:
    return together(as_table(occupancy(busy, there, since=NINE, until=TEN)))


def test_occupancy_is_time_on_calls_of_time_there() -> None:
    assert whole({1: [span(10, 25)]}, {1: [span(0, 60)]}) == Occupied(900.0, 3600.0)


def test_what_an_agent_did_is_told_by_half_hour() -> None:
    slots = occupancy({1: [span(20, 40)]}, {1: [span(10, 55)]}, since=NINE, until=TEN)
    assert slots == {Slot(1, NINE): Occupied(600.0, 1200.0), Slot(1, NINE + SLOT): Occupied(600.0, 1500.0)}


def test_two_calls_at_once_count_once() -> None:
    assert whole({1: [span(10, 20), span(15, 25)]}, {1: [span(0, 60)]}).busy_s == 900.0


def test_who_is_on_a_call_is_there_whatever_their_console_says() -> None:
    assert whole({1: [span(0, 30)]}, {}).value == 1.0


def test_only_what_lies_within_the_period_counts() -> None:
    assert whole({1: [span(-20, 10), span(50, 90)]}, {1: [span(-60, 200)]}) == Occupied(1200.0, 3600.0)


def test_agents_add_up() -> None:
    assert whole({1: [span(0, 30)]}, {1: [span(0, 60)], 2: [span(0, 60)]}).value == 0.25


def test_nobody_there_is_no_occupancy() -> None:
    assert whole({}, {}).value is None


@pytest.mark.parametrize(("minute", "slot"), [(0, 0), (29.99, 0), (30, 30), (59, 30)])
def test_a_moment_lies_in_its_half_hour(minute: float, slot: int) -> None:
    assert slot_of(NINE + timedelta(minutes=minute)) == NINE + timedelta(minutes=slot)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=20))
def test_a_union_is_ordered_apart_and_covers_the_same_minutes(pairs: list[tuple[int, int]]) -> None:
    merged = union(span(*pair) for pair in pairs)
    assert all(end < start for (_, end), (start, _) in pairwise(merged))
    covered = {minute for start, end in pairs for minute in range(start, end)}
    assert sum((end - start).total_seconds() for start, end in merged) == 60 * len(covered)
    assert whole({1: merged}, {}).busy_s == 60 * len([minute for minute in covered if minute < 60])
