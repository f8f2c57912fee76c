"""Where the rollout stands at one terminal: what a call shows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from firmware_rollout.assignment import Assignment, assignments_of
from firmware_rollout.gate.policy import Metric
from firmware_rollout.releases import is_at_least
from firmware_rollout.states import CampaignState, State
from fleet.database import Connection


class Kind(StrEnum):
    """The one word about a terminal's firmware."""

    NO_CAMPAIGN = "no_campaign"
    UP_TO_DATE = "up_to_date"
    PLANNED = "planned"
    UPDATING = "updating"
    SOAKING = "soaking"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"


class Arm(StrEnum):
    """Which side of the gate's comparison a terminal is on: its wave has begun, or has not."""

    TREATED = "treated"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """A terminal's place in the rollout; all but `kind` is None where no campaign aims at it.

    `since` is when this kind began, None where nothing recorded it. `planned_at` is when the wave began, or will at the earliest;
    None: the waves before it decide. `due` says that the wave has begun and the update has not.
    `arm` is None where the gate leaves the terminal out. `finding` is why the campaign stands as it does, `verdict` the gate's
    newest: wait, pass or halt, None before its first; `blamed` what it halted for.
    """

    kind: Kind
    campaign: str | None
    target: str | None
    wave: int | None
    planned_at: datetime | None
    since: datetime | None
    reported: str | None
    due: bool
    campaign_state: CampaignState | None = None
    finding: str = ""
    arm: Arm | None = None
    verdict: str | None = None
    blamed: Sequence[Metric] = ()


_KIND_OF = {
    State.PLANNED: Kind.PLANNED,
    State.UPDATING: Kind.UPDATING,
    State.SOAKING: Kind.SOAKING,
    State.DONE: Kind.UP_TO_DATE,
    State.FAILED: Kind.FAILED,
    State.ROLLED_BACK: Kind.ROLLED_BACK,
    State.WITHDRAWN: Kind.WITHDRAWN,
}


def rollout_status(assignment: Assignment, now: datetime) -> RolloutStatus:
    """Say where the rollout stands; what the terminal itself reported counts before what was last recorded."""
    kind = _KIND_OF[assignment.state]
    since: datetime | None = assignment.since
    at_target = is_at_least(assignment.reported, assignment.release)
    if at_target and kind not in (Kind.UP_TO_DATE, Kind.SOAKING):
        # It runs the target although nobody recorded it yet, or against a recorded failure.
        kind, since = Kind.UP_TO_DATE, None
    elif at_target is False and kind in (Kind.UP_TO_DATE, Kind.SOAKING):
        kind, since = Kind.ROLLED_BACK, None
    begun = assignment.opened_at is not None
    return RolloutStatus(
        kind=kind,
        campaign=assignment.campaign,
        target=assignment.release,
        wave=assignment.wave,
        planned_at=assignment.opened_at or (assignment.planned_at if assignment.planned_at > now else None),
        since=since,
        reported=assignment.reported,
        due=kind is Kind.PLANNED and begun,
        campaign_state=assignment.campaign_state,
        finding=assignment.finding,
        arm=(Arm.TREATED if begun else Arm.CONTROL) if assignment.drawn else None,
        verdict=assignment.verdict,
        blamed=assignment.blamed,
    )


def rollout_status_of(conn: Connection, terminals: Sequence[str], now: datetime) -> dict[str, RolloutStatus]:
    """Where the rollout stands at each of these terminals."""
    assigned = assignments_of(conn, terminals)
    nothing = RolloutStatus(Kind.NO_CAMPAIGN, None, None, None, None, None, None, due=False)
    return {id_: rollout_status(assigned[id_], now) if id_ in assigned else nothing for id_ in terminals}
