"""Plans the next step of every assignment: rows and `now` in, transitions with reasons out.

Unknown means wait: a terminal that has not reported keeps its state until its deadline. Planning an unchanged world again
plans nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from firmware_rollout.assignment import Assignment, State
from firmware_rollout.releases import is_at_least


class Why(StrEnum):
    """Why an assignment moves."""

    WAVE_DUE = "wave_due"
    ALREADY_THERE = "already_there"
    TARGET_REPORTED = "target_reported"
    DEADLINE_PASSED = "deadline_passed"
    OLDER_REPORTED = "older_reported"


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of one assignment, from the state it was planned on."""

    campaign_id: int
    terminal_id: str
    before: State
    after: State
    why: Why


def plan(assignments: Iterable[Assignment], now: datetime) -> list[Transition]:
    """Every step that is due now, in the order of the assignments."""
    return [
        Transition(one.campaign_id, one.terminal_id, one.state, step[0], step[1])
        for one in assignments
        if (step := next_step(one, now)) is not None
    ]


def next_step(one: Assignment, now: datetime) -> tuple[State, Why] | None:
    """The state this assignment moves to now, and why; None: it stays."""
    at_target = is_at_least(one.reported, one.release)
    if one.state is State.PLANNED:
        if at_target:
            return State.DONE, Why.ALREADY_THERE
        return (State.UPDATING, Why.WAVE_DUE) if one.planned_at <= now else None
    if at_target:
        # Late is better than never: a failed or fallen-back terminal that reports the target is done.
        return (State.DONE, Why.TARGET_REPORTED) if one.state is not State.DONE else None
    if one.state is State.UPDATING and now - one.since >= one.deadline:
        return State.FAILED, Why.DEADLINE_PASSED
    # Only a version that was read and is older says that it fell back; silence says nothing.
    if one.state is State.DONE and at_target is False:
        return State.ROLLED_BACK, Why.OLDER_REPORTED
    return None
