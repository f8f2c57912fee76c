"""Where the rollout stands at one terminal: what a call shows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from firmware_rollout.assignment import Assignment, State, assignments_of
from firmware_rollout.releases import is_at_least
from fleet.database import Connection


class Kind(StrEnum):
    """The one word about a terminal's firmware."""

    NO_CAMPAIGN = "no_campaign"
    UP_TO_DATE = "up_to_date"
    PLANNED = "planned"
    UPDATING = "updating"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """A terminal's place in the rollout; all but `kind` is None where no campaign aims at it.

    `since` is when this kind began, None where nothing recorded it. `due` says that the wave's time has come and the update
    has not begun.
    """

    kind: Kind
    campaign: str | None
    target: str | None
    wave: int | None
    planned_at: datetime | None
    since: datetime | None
    reported: str | None
    due: bool


_KIND_OF = {
    State.PLANNED: Kind.PLANNED,
    State.UPDATING: Kind.UPDATING,
    State.DONE: Kind.UP_TO_DATE,
    State.FAILED: Kind.FAILED,
    State.ROLLED_BACK: Kind.ROLLED_BACK,
}


def rollout_status(assignment: Assignment, now: datetime) -> RolloutStatus:
    """Say where the rollout stands; what the terminal itself reported counts before what was last recorded."""
    kind = _KIND_OF[assignment.state]
    since: datetime | None = assignment.since
    at_target = is_at_least(assignment.reported, assignment.release)
    if at_target and kind is not Kind.UP_TO_DATE:
        # It runs the target although nobody recorded it yet, or against a recorded failure.
        kind, since = Kind.UP_TO_DATE, None
    elif at_target is False and kind is Kind.UP_TO_DATE:
        kind, since = Kind.ROLLED_BACK, None
    return RolloutStatus(
        kind=kind,
        campaign=assignment.campaign,
        target=assignment.release,
        wave=assignment.wave,
        planned_at=assignment.planned_at,
        since=since,
        reported=assignment.reported,
        due=kind is Kind.PLANNED and assignment.planned_at <= now,
    )


def rollout_status_of(conn: Connection, terminals: Sequence[str], now: datetime) -> dict[str, RolloutStatus]:
    """Where the rollout stands at each of these terminals."""
    assigned = assignments_of(conn, terminals)
    nothing = RolloutStatus(Kind.NO_CAMPAIGN, None, None, None, None, None, None, due=False)
    return {id_: rollout_status(assigned[id_], now) if id_ in assigned else nothing for id_ in terminals}
