from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.counted_calls import CallRow, Calls
from hotline.figures import Asked, Group, Grouping, Period
from hotline.intervals import mean_of
from hotline.kpi import ABANDONED, ANSWERED, OFFERED, Figures, Outcome, Picked, Policy, Reading, figures_of, pick, told
from hotline.occupancy import AGENT_SLOT

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


def outcome_of(row: CallRow) -> Outcome:
    ((_, outcome),) = told(Calls.of([row]), POLICY)
    return outcome


def counted(rows: Iterable[CallRow], policy: Policy = POLICY) -> Figures:
    return figures_of(Calls.of(rows), policy)


def period(rows: Iterable[CallRow], by: Grouping) -> Period:
    asked = Asked(NOON.date(), NOON.date(), by=by)
    return Period(asked, POLICY, Calls.of(rows), np.zeros(0, dtype=AGENT_SLOT), {})


def groups(rows: Iterable[CallRow], by: Grouping) -> list[Group]:
    return period(rows, by).groups(by)


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
    assert outcome_of(row) is outcome


def test_seventy_in_time_ten_given_up_in_time_and_twenty_later_in_all_four_readings() -> None:
    rows = many(ROW, 70) + many(GIVEN_UP, 10) + many(replace(ROW, wait_s=90.0), 20)
    levels = {reading: share.value for reading, share in counted(rows).service_levels.items()}
    assert levels == {
        Reading.ABANDONS_IGNORED: pytest.approx(0.778, abs=0.0005),
        Reading.ABANDONS_AGAINST: 0.70,
        Reading.ABANDONS_FOR: 0.80,
        Reading.ANSWERED_ONLY: pytest.approx(0.778, abs=0.0005),
    }


def test_of_twenty_that_gave_up_late_only_the_answered_reading_knows_nothing() -> None:
    rows = many(ROW, 70) + many(GIVEN_UP, 10) + many(replace(GIVEN_UP, wait_s=90.0), 20)
    levels = {reading: (share.hits, share.of) for reading, share in counted(rows).service_levels.items()}
    assert levels == {
        Reading.ABANDONS_IGNORED: (70, 90),
        Reading.ABANDONS_AGAINST: (70, 100),
        Reading.ABANDONS_FOR: (80, 100),
        Reading.ANSWERED_ONLY: (70, 70),
    }


def test_an_overflowed_call_counts_once_on_the_floor_where_it_came_out() -> None:
    rows = [*many(ROW, 3), replace(ROW, call=10, floor="overflow", overflowed=True, wait_s=75.0)]
    whole = counted(rows)
    assert (whole[Picked.OFFERED], whole[Picked.ANSWERED], whole[Picked.LATE], whole[Picked.OVERFLOWED]) == (4, 4, 1, 1)
    floors = {group.key: group.figures[Picked.OFFERED] for group in groups(rows, Grouping.FLOOR)}
    assert floors == {"overflow": 1, "own": 3}


def test_short_abandons_are_left_out_as_the_setting_says() -> None:
    rows = [*many(ROW, 8), replace(GIVEN_UP, wait_s=3.0), replace(GIVEN_UP, wait_s=8.0)]
    rates = [counted(rows, Policy(short_abandon_s=setting)).answer_rate for setting in (0.0, 5.0, 10.0)]
    assert [(rate.hits, rate.of) for rate in rates] == [(8, 10), (8, 9), (8, 8)]


def test_times_are_of_answered_calls_and_the_longest_wait_of_all() -> None:
    rows = [
        replace(ROW, wait_s=10.0, handled_s=100.0),
        replace(ROW, wait_s=30.0, handled_s=None, over=False),
        replace(GIVEN_UP, wait_s=200.0),
    ]
    figures = counted(rows)
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
    figures = counted(rows)
    assert (figures.solved_rate.hits, figures.solved_rate.of) == (5, 8)
    assert figures[Picked.NOT_QUALIFIED] == 2


def test_repeat_calls_are_a_share_of_the_answered() -> None:
    rows = [*many(replace(ROW, repeat=True), 2), *many(ROW, 6), replace(GIVEN_UP, repeat=True)]
    assert (counted(rows).repeat_rate.hits, counted(rows).repeat_rate.of) == (2, 8)


def test_nothing_has_no_figures_rather_than_zeros() -> None:
    figures = counted([])
    assert figures.answer_rate.value is None
    assert figures.speed_of_answer.value is None
    assert figures.longest_wait_s is None
    assert {share.value for share in figures.service_levels.values()} == {None}


def test_a_key_that_says_nothing_leaves_a_call_out() -> None:
    assert [group.key for group in groups([ROW, GIVEN_UP], Grouping.AGENT)] == ["7"]


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
    figures = counted(rows)
    assert {what: figures[what] for what in Picked} == {what: len(pick(Calls.of(rows), what, POLICY)) for what in Picked}


@given(st.lists(ROWS, max_size=60))
def test_the_parts_make_up_the_whole(rows: list[CallRow]) -> None:
    figures = counted(rows)
    assert figures[Picked.OFFERED] == figures[Picked.ANSWERED] + figures[Picked.ABANDONED]
    assert figures[Picked.ANSWERED] == figures[Picked.IN_TIME] + figures[Picked.LATE]
    assert figures[Picked.ABANDONED] == figures[Picked.GAVE_UP_IN_TIME] + figures[Picked.GAVE_UP_LATE]
    assert figures[Picked.QUALIFIED] == figures[Picked.SOLVED] + figures[Picked.NOT_SOLVED]
    apart = figures[Picked.SHORT] + figures[Picked.OUTSIDE] + figures[Picked.BY_HAND] + figures[Picked.WAITING]
    assert figures[Picked.OFFERED] + apart == len(rows)


@given(st.lists(ROWS, max_size=60))
def test_the_strict_reading_is_the_lowest_and_the_kind_one_the_highest_of_those_offered(rows: list[CallRow]) -> None:
    levels = {reading: share.value for reading, share in counted(rows).service_levels.items()}
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
    assert counted(shuffled) == counted(rows)


@given(st.lists(ROWS, max_size=60))
def test_groups_share_the_calls_out_and_lose_none(rows: list[CallRow]) -> None:
    for by in Grouping:
        asked_of = [row for row in rows if by is not Grouping.AGENT or row.agent]
        found = groups(rows, by)
        assert sum(group.figures[Picked.OFFERED] for group in found) == counted(asked_of)[Picked.OFFERED]
        listed = [row for group in found for row in period(rows, by).calls(Picked.OFFERED, key=group.key)]
        assert len(listed) == counted(asked_of)[Picked.OFFERED]


@given(st.lists(ROWS, max_size=60))
def test_columns_hold_what_the_rows_held(rows: list[CallRow]) -> None:
    calls = Calls.of(rows)
    assert list(calls) == rows
    assert list(calls[::-1]) == rows[::-1]


def outcome_of_one(row: CallRow, policy: Policy) -> Outcome:
    """How a call came out, said of one call: what is counted in columns must be the same."""
    if row.by_hand:
        return Outcome.BY_HAND
    if not row.in_hours:
        return Outcome.OUTSIDE
    in_time = row.wait_s <= policy.within_s
    if row.answered:
        return Outcome.IN_TIME if in_time else Outcome.LATE
    if not row.over:
        return Outcome.WAITING
    if row.wait_s < policy.short_abandon_s:
        return Outcome.SHORT
    return Outcome.GAVE_UP_IN_TIME if in_time else Outcome.GAVE_UP_LATE


def counted_one_by_one(rows: list[CallRow], policy: Policy) -> Figures:
    """The figures, counted call by call."""
    answered = [row for row in rows if outcome_of_one(row, policy) in ANSWERED]
    offered = [row for row in rows if outcome_of_one(row, policy) in OFFERED]
    counts = {Picked(outcome): sum(outcome_of_one(row, policy) is outcome for row in rows) for outcome in Outcome} | {
        Picked.OFFERED: len(offered),
        Picked.ANSWERED: len(answered),
        Picked.ABANDONED: sum(outcome_of_one(row, policy) in ABANDONED for row in rows),
        Picked.OVERFLOWED: sum(row.overflowed for row in offered),
        Picked.HANDLED: sum(row.handled_s is not None for row in answered),
        Picked.QUALIFIED: sum(row.solved is not None for row in answered),
        Picked.SOLVED: sum(row.solved is True for row in answered),
        Picked.NOT_SOLVED: sum(row.solved is False for row in answered),
        Picked.NOT_QUALIFIED: sum(row.over and row.solved is None for row in answered),
        Picked.REPEAT: sum(row.repeat for row in answered),
    }
    return Figures(
        counts=counts,
        speed_of_answer=mean_of([row.wait_s for row in answered]),
        handling=mean_of([row.handled_s for row in answered if row.handled_s is not None]),
        longest_wait_s=max((row.wait_s for row in offered), default=None),
    )


@given(st.lists(ROWS, max_size=80), st.sampled_from([0.0, 20.0, 60.0]), st.sampled_from([0.0, 5.0]))
def test_counting_in_columns_is_counting_call_by_call(rows: list[CallRow], within_s: float, short_s: float) -> None:
    policy = Policy(within_s, short_s)
    assert counted(rows, policy) == counted_one_by_one(rows, policy)
    assert [outcome for _, outcome in told(Calls.of(rows), policy)] == [outcome_of_one(row, policy) for row in rows]
    for what in Picked:
        assert len(pick(Calls.of(rows), what, policy)) == counted(rows, policy)[what]
