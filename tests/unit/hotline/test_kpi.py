from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.kpi import CallRow, Outcome, Picked, Policy, Reading, figures_of, grouped, outcome_of, pick

NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
POLICY = Policy(within_s=60.0, short_abandon_s=5.0)
ROW = CallRow(
    call=1,
    rang_at=NOON,
    in_hours=True,
    by_hand=False,
    answered=True,
    over=True,
    wait_s=20.0,
    handled_s=180.0,
    floor="own",
    level=1,
    agent=7,
    overflowed=False,
    solved=None,
    repeat=False,
)
GIVEN_UP = replace(ROW, answered=False, handled_s=None, agent=None)


def many(row: CallRow, count: int) -> list[CallRow]:
    return [replace(row, call=number) for number in range(count)]


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        pytest.param(ROW, Outcome.IN_TIME, id="answered at once"),
        pytest.param(replace(ROW, wait_s=60.0), Outcome.IN_TIME, id="answered on the very second"),
        pytest.param(replace(ROW, wait_s=60.001), Outcome.LATE, id="answered a moment after"),
        pytest.param(GIVEN_UP, Outcome.GAVE_UP_IN_TIME, id="given up within the time"),
        pytest.param(replace(GIVEN_UP, wait_s=61.0), Outcome.GAVE_UP_LATE, id="given up after it"),
        pytest.param(replace(GIVEN_UP, wait_s=4.999), Outcome.SHORT, id="hung up at once"),
        pytest.param(replace(GIVEN_UP, wait_s=5.0), Outcome.GAVE_UP_IN_TIME, id="no longer at once"),
        pytest.param(replace(ROW, wait_s=1.0), Outcome.IN_TIME, id="answered at once is never a short abandon"),
        pytest.param(replace(GIVEN_UP, over=False), Outcome.WAITING, id="still waits"),
        pytest.param(replace(ROW, over=False, handled_s=None), Outcome.IN_TIME, id="still spoken: the wait is known"),
        pytest.param(replace(ROW, in_hours=False), Outcome.OUTSIDE, id="answered when closed"),
        pytest.param(replace(GIVEN_UP, in_hours=False), Outcome.OUTSIDE, id="given up when closed"),
        pytest.param(replace(ROW, by_hand=True, in_hours=False), Outcome.BY_HAND, id="written down by hand"),
    ],
)
def test_every_call_has_one_outcome(row: CallRow, outcome: Outcome) -> None:
    assert outcome_of(row, POLICY) is outcome


def test_seventy_in_time_ten_given_up_in_time_and_twenty_later_in_all_four_readings() -> None:
    rows = many(ROW, 70) + many(GIVEN_UP, 10) + many(replace(ROW, wait_s=90.0), 20)
    levels = {reading: share.value for reading, share in figures_of(rows, POLICY).service_levels.items()}
    assert levels == {
        Reading.ABANDONS_IGNORED: pytest.approx(0.778, abs=0.0005),
        Reading.ABANDONS_AGAINST: 0.70,
        Reading.ABANDONS_FOR: 0.80,
        Reading.ANSWERED_ONLY: pytest.approx(0.778, abs=0.0005),
    }


def test_of_twenty_that_gave_up_late_only_the_answered_reading_knows_nothing() -> None:
    rows = many(ROW, 70) + many(GIVEN_UP, 10) + many(replace(GIVEN_UP, wait_s=90.0), 20)
    levels = {reading: (share.hits, share.of) for reading, share in figures_of(rows, POLICY).service_levels.items()}
    assert levels == {
        Reading.ABANDONS_IGNORED: (70, 90),
        Reading.ABANDONS_AGAINST: (70, 100),
        Reading.ABANDONS_FOR: (80, 100),
        Reading.ANSWERED_ONLY: (70, 70),
    }


def test_an_overflowed_call_counts_once_on_the_floor_where_it_came_out() -> None:
    rows = [*many(ROW, 3), replace(ROW, call=10, floor="overflow", overflowed=True, wait_s=75.0)]
    whole = figures_of(rows, POLICY)
    assert (whole[Picked.OFFERED], whole[Picked.ANSWERED], whole[Picked.LATE], whole[Picked.OVERFLOWED]) == (4, 4, 1, 1)
    floors = {name: figures_of(of, POLICY)[Picked.OFFERED] for name, of in grouped(rows, lambda row: row.floor).items()}
    assert floors == {"overflow": 1, "own": 3}


def test_short_abandons_are_left_out_as_the_setting_says() -> None:
    rows = [*many(ROW, 8), replace(GIVEN_UP, wait_s=3.0), replace(GIVEN_UP, wait_s=8.0)]
    rates = [figures_of(rows, Policy(short_abandon_s=setting)).answer_rate for setting in (0.0, 5.0, 10.0)]
    assert [(rate.hits, rate.of) for rate in rates] == [(8, 10), (8, 9), (8, 8)]


def test_times_are_of_answered_calls_and_the_longest_wait_of_all() -> None:
    rows = [
        replace(ROW, wait_s=10.0, handled_s=100.0),
        replace(ROW, wait_s=30.0, handled_s=None, over=False),
        replace(GIVEN_UP, wait_s=200.0),
    ]
    figures = figures_of(rows, POLICY)
    assert (figures.speed_of_answer.value, figures.speed_of_answer.n) == (20.0, 2)
    assert (figures.handling.value, figures.handling.n) == (100.0, 1)
    assert figures.longest_wait_s == 200.0


def test_solved_on_line_is_a_share_of_what_was_qualified_and_says_what_was_not() -> None:
    rows = [
        *many(replace(ROW, solved=True), 5),
        *many(replace(ROW, solved=False), 3),
        *many(ROW, 2),
        replace(ROW, over=False, handled_s=None),
    ]
    figures = figures_of(rows, POLICY)
    assert (figures.solved_rate.hits, figures.solved_rate.of) == (5, 8)
    assert figures[Picked.NOT_QUALIFIED] == 2


def test_repeat_calls_are_a_share_of_the_answered() -> None:
    rows = [*many(replace(ROW, repeat=True), 2), *many(ROW, 6), replace(GIVEN_UP, repeat=True)]
    assert (figures_of(rows, POLICY).repeat_rate.hits, figures_of(rows, POLICY).repeat_rate.of) == (2, 8)


def test_nothing_has_no_figures_rather_than_zeros() -> None:
    figures = figures_of([], POLICY)
    assert figures.answer_rate.value is None
    assert figures.speed_of_answer.value is None
    assert figures.longest_wait_s is None
    assert {share.value for share in figures.service_levels.values()} == {None}


def test_a_key_that_says_nothing_leaves_a_call_out() -> None:
    rows = [ROW, GIVEN_UP]
    assert list(grouped(rows, lambda row: str(row.agent or ""))) == ["7"]


ROWS = st.builds(
    CallRow,
    call=st.integers(1, 10**6),
    rang_at=st.integers(0, 10**6).map(lambda second: NOON + timedelta(seconds=second)),
    in_hours=st.booleans(),
    by_hand=st.booleans(),
    answered=st.booleans(),
    over=st.booleans(),
    wait_s=st.floats(0, 600),
    handled_s=st.none() | st.floats(0, 3600),
    floor=st.sampled_from(["own", "overflow"]),
    level=st.sampled_from([1, 2]),
    agent=st.none() | st.integers(1, 5),
    overflowed=st.booleans(),
    solved=st.none() | st.booleans(),
    repeat=st.booleans(),
)


@given(st.lists(ROWS, max_size=60))
def test_a_figure_counts_exactly_the_calls_its_list_shows(rows: list[CallRow]) -> None:
    figures = figures_of(rows, POLICY)
    assert {what: figures[what] for what in Picked} == {what: len(pick(rows, what, POLICY)) for what in Picked}


@given(st.lists(ROWS, max_size=60))
def test_the_parts_make_up_the_whole(rows: list[CallRow]) -> None:
    figures = figures_of(rows, POLICY)
    assert figures[Picked.OFFERED] == figures[Picked.ANSWERED] + figures[Picked.ABANDONED]
    assert figures[Picked.ANSWERED] == figures[Picked.IN_TIME] + figures[Picked.LATE]
    assert figures[Picked.ABANDONED] == figures[Picked.GAVE_UP_IN_TIME] + figures[Picked.GAVE_UP_LATE]
    assert figures[Picked.QUALIFIED] == figures[Picked.SOLVED] + figures[Picked.NOT_SOLVED]
    apart = figures[Picked.SHORT] + figures[Picked.OUTSIDE] + figures[Picked.BY_HAND] + figures[Picked.WAITING]
    assert figures[Picked.OFFERED] + apart == len(rows)


@given(st.lists(ROWS, max_size=60))
def test_the_strict_reading_is_the_lowest_and_the_kind_one_the_highest_of_those_offered(rows: list[CallRow]) -> None:
    levels = {reading: share.value for reading, share in figures_of(rows, POLICY).service_levels.items()}
    against, ignored, kind = (
        levels[Reading.ABANDONS_AGAINST],
        levels[Reading.ABANDONS_IGNORED],
        levels[Reading.ABANDONS_FOR],
    )
    if against is not None and ignored is not None and kind is not None:
        assert against <= ignored <= kind + 1e-12


@given(st.lists(ROWS, max_size=30).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_calls_does_not_matter(orders: tuple[list[CallRow], list[CallRow]]) -> None:
    rows, shuffled = orders
    assert figures_of(shuffled, POLICY) == figures_of(rows, POLICY)


@given(st.lists(ROWS, max_size=60))
def test_groups_share_the_calls_out_and_lose_none(rows: list[CallRow]) -> None:
    groups = grouped(rows, lambda row: row.floor)
    assert sum(figures_of(of, POLICY)[Picked.OFFERED] for of in groups.values()) == figures_of(rows, POLICY)[Picked.OFFERED]
