"""Where the rollout stands at one terminal: what a call shows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from firmware_rollout.assignment import Assignment, assignments_of
from firmware_rollout.gate.policy import Metric
from firmware_rollout.planning import Why
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
    # It runs what was found to do harm, and nobody has decided yet, or it was decided to leave it there.
    HARMFUL = "harmful"
    # Its campaign is undone: it is to get what it ran before, is on its way there, or stays.
    TO_GO_BACK = "to_go_back"
    GOING_BACK = "going_back"
    STAYS = "stays"


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
    newest: wait, pass or halt, None before its first; `blamed` what it found worse, until a person lets the campaign go on against
    it. `why` is the reason of its newest move, `back_to` what a roll-back can bring it.
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
    why: str = ""
    back_to: str | None = None


# It had been seen with the new version before it failed: that it still runs it is no success.
_FAILED_WITH_IT = (Why.UNWELL, Why.SILENT_AFTERWARDS)
_UNDONE = (CampaignState.ROLLING_BACK, CampaignState.ROLLED_BACK)
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
    kind, since = _kind(assignment)
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
        why=assignment.why,
        back_to=assignment.back_to,
    )


def _kind(one: Assignment) -> tuple[Kind, datetime | None]:
    """The one word about a terminal, and since when it holds."""
    kind, at_target = _KIND_OF[one.state], is_at_least(one.reported, one.release)
    installed = kind in (Kind.UP_TO_DATE, Kind.SOAKING)
    if one.goes_back and kind is Kind.UPDATING:
        return (Kind.ROLLED_BACK, None) if at_target is False else (Kind.GOING_BACK, one.since)
    if at_target is False:
        return (Kind.ROLLED_BACK, None) if installed else (kind, one.since)
    # Whoever runs exactly this release; a later one is no matter of this campaign's.
    runs_it = one.reported == one.release or (at_target is None and installed)
    if runs_it and (unwanted := _unwanted(one)):
        return unwanted, None
    if at_target and not installed and not _failed_with_it(one):
        # It runs the target although nobody recorded it yet, or against a recorded failure to bring it.
        return Kind.UP_TO_DATE, None
    return kind, one.since


def _unwanted(one: Assignment) -> Kind | None:
    """What is said of a terminal that runs the release, where the campaign was undone or the release found to do harm."""
    if one.campaign_state in _UNDONE or one.goes_back:
        on_its_way = one.campaign_state is CampaignState.ROLLING_BACK and one.back_to is not None
        return Kind.TO_GO_BACK if on_its_way else Kind.STAYS
    return Kind.HARMFUL if one.blamed and not _failed_with_it(one) else None


def _failed_with_it(one: Assignment) -> bool:
    return one.state is State.FAILED and one.why in _FAILED_WITH_IT


def rollout_status_of(conn: Connection, terminals: Sequence[str], now: datetime) -> dict[str, RolloutStatus]:
    """Where the rollout stands at each of these terminals."""
    assigned = assignments_of(conn, terminals)
    nothing = RolloutStatus(Kind.NO_CAMPAIGN, None, None, None, None, None, None, due=False)
    return {id_: rollout_status(assigned[id_], now) if id_ in assigned else nothing for id_ in terminals}
