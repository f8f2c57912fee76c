"""How assignments move, and what a call shows of them: one sentence per row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_rollout.assignment import Assignment, State
from firmware_rollout.planning import Why, next_step, plan
from firmware_rollout.status import Kind, rollout_status

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD, TARGET, NEWER = "4.2.1", "4.3.0", "4.10.0"


def like(
    state: State, reported: str | None = OLD, *, planned_in: timedelta = -HOUR, since: timedelta = -HOUR, terminal: str = "T00001"
) -> Assignment:
    return Assignment(terminal, 1, "autumn", TARGET, 3, NOW + planned_in, 24 * HOUR, state, NOW + since, reported)


PLANNED, UPDATING, DONE, FAILED, BACK = State.PLANNED, State.UPDATING, State.DONE, State.FAILED, State.ROLLED_BACK


@pytest.mark.parametrize(
    ("assignment", "step"),
    [
        pytest.param(like(PLANNED, planned_in=HOUR), None, id="before its wave's time it waits"),
        pytest.param(like(PLANNED, planned_in=timedelta(0)), (UPDATING, Why.WAVE_DUE), id="at its wave's time it begins"),
        pytest.param(like(PLANNED, None), (UPDATING, Why.WAVE_DUE), id="a terminal that never reported is updated like any other"),
        pytest.param(like(PLANNED, TARGET, planned_in=HOUR), (DONE, Why.ALREADY_THERE), id="already there: done before its wave"),
        pytest.param(like(PLANNED, NEWER), (DONE, Why.ALREADY_THERE), id="4.10.0 is later than 4.3.0: nothing to bring"),
        pytest.param(like(UPDATING, OLD), None, id="an update under way is waited for"),
        pytest.param(like(UPDATING, None), None, id="silence during an update is waited for"),
        pytest.param(like(UPDATING, "garbage"), None, id="a version that cannot be read is no version"),
        pytest.param(like(UPDATING, TARGET), (DONE, Why.TARGET_REPORTED), id="reporting the target ends the update"),
        pytest.param(like(UPDATING, OLD, since=-24 * HOUR), (FAILED, Why.DEADLINE_PASSED), id="at its deadline it has failed"),
        pytest.param(like(UPDATING, None, since=-25 * HOUR), (FAILED, Why.DEADLINE_PASSED), id="nor may it be silent for ever"),
        pytest.param(like(UPDATING, TARGET, since=-25 * HOUR), (DONE, Why.TARGET_REPORTED), id="done late is done, not failed"),
        pytest.param(like(DONE, TARGET), None, id="done stays done"),
        pytest.param(like(DONE, NEWER), None, id="a later version than the target is no fall-back"),
        pytest.param(like(DONE, None), None, id="nothing reported is no fall-back"),
        pytest.param(like(DONE, "garbage"), None, id="a version that cannot be read is no fall-back"),
        pytest.param(like(DONE, OLD), (BACK, Why.OLDER_REPORTED), id="an older version after done has rolled back"),
        pytest.param(like(FAILED, OLD), None, id="failed stays failed"),
        pytest.param(like(FAILED, TARGET), (DONE, Why.TARGET_REPORTED), id="a failed one that gets there after all is done"),
        pytest.param(like(BACK, OLD), None, id="rolled back stays rolled back"),
        pytest.param(like(BACK, None), None, id="rolled back and silent stays rolled back"),
        pytest.param(like(BACK, TARGET), (DONE, Why.TARGET_REPORTED), id="a rolled-back one that gets there again is done"),
    ],
)  # fmt: skip
def test_an_assignment_moves_with_a_reason(assignment: Assignment, step: tuple[State, Why] | None) -> None:
    assert next_step(assignment, NOW) == step


@pytest.mark.parametrize(
    ("assignment", "kind", "since_known", "due"),
    [
        pytest.param(like(PLANNED, planned_in=HOUR), Kind.PLANNED, True, False, id="planned for later"),
        pytest.param(like(PLANNED), Kind.PLANNED, True, True, id="its time has come, and nothing has begun: due, not updating"),
        pytest.param(like(PLANNED, TARGET), Kind.UP_TO_DATE, False, False, id="planned, yet already there"),
        pytest.param(like(UPDATING), Kind.UPDATING, True, False, id="updating"),
        pytest.param(like(UPDATING, TARGET), Kind.UP_TO_DATE, False, False, id="what it reports counts before what was recorded"),
        pytest.param(like(DONE, TARGET), Kind.UP_TO_DATE, True, False, id="done"),
        pytest.param(like(DONE, None), Kind.UP_TO_DATE, True, False, id="done stands while nothing else is reported"),
        pytest.param(like(DONE, OLD), Kind.ROLLED_BACK, False, False, id="done, yet it runs the old version again"),
        pytest.param(like(FAILED), Kind.FAILED, True, False, id="failed"),
        pytest.param(like(FAILED, TARGET), Kind.UP_TO_DATE, False, False, id="failed, yet there after all"),
        pytest.param(like(BACK), Kind.ROLLED_BACK, True, False, id="rolled back"),
    ],
)
def test_a_call_shows_where_the_rollout_stands(assignment: Assignment, kind: Kind, since_known: bool, due: bool) -> None:
    status = rollout_status(assignment, NOW)
    assert (status.kind, status.due) == (kind, due)
    assert status.since == (assignment.since if since_known else None)
    assert (status.campaign, status.wave, status.target, status.reported) == ("autumn", 3, TARGET, assignment.reported)


_ASSIGNMENTS = st.lists(
    st.builds(
        like,
        st.sampled_from(State),
        st.sampled_from([None, OLD, TARGET, NEWER, "garbage"]),
        planned_in=st.sampled_from([-HOUR, timedelta(0), HOUR]),
        since=st.sampled_from([-HOUR, -24 * HOUR, -30 * HOUR, timedelta(0)]),
    ),
    max_size=30,
).map(lambda rows: [replace(row, terminal_id=f"T{number:05}") for number, row in enumerate(rows)])


@given(_ASSIGNMENTS)
def test_replanning_an_unchanged_world_changes_nothing(assignments: list[Assignment]) -> None:
    moved = {transition.terminal_id: transition.after for transition in plan(assignments, NOW)}
    after = [replace(one, state=moved[one.terminal_id], since=NOW) if one.terminal_id in moved else one for one in assignments]
    assert plan(after, NOW) == []


@given(_ASSIGNMENTS)
def test_every_step_starts_from_the_state_it_was_planned_on_and_leads_to_another(assignments: list[Assignment]) -> None:
    states = {one.terminal_id: one.state for one in assignments}
    for transition in plan(assignments, NOW):
        assert transition.before == states[transition.terminal_id] != transition.after


@given(_ASSIGNMENTS)
def test_nobody_is_done_who_has_not_reported_the_target(assignments: list[Assignment]) -> None:
    reported = {one.terminal_id: one.reported for one in assignments}
    for transition in plan(assignments, NOW):
        assert transition.after is not State.DONE or reported[transition.terminal_id] in (TARGET, NEWER)
