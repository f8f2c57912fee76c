"""Terminals of a campaign, as planning sees them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from firmware_rollout.planning import CampaignNow
from firmware_rollout.policy import Policy
from firmware_rollout.snapshot import Action, Memory, Standing
from firmware_rollout.states import ActionKind, ActionState, CampaignState, State

# At night in Paris: the window is open, the shop closed.
NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = Policy()
RUNNING = CampaignNow(CampaignState.RUNNING, "4.3.0", POLICY, 2, None)
TRIED = Memory(attempts=1, firmware_before="4.2.1", health_before="ok")
SOAKED = TRIED._replace(treated_at=NOW - HOUR, well_since=NOW - HOUR)


def in_state(state: CampaignState, **policy: Any) -> CampaignNow:
    """A campaign in this state, its second wave open."""
    return RUNNING._replace(state=state, policy=Policy(**policy))


def asked(state: ActionState = ActionState.OPEN, **changed: Any) -> Action:
    """An update that was asked for and fetched an hour ago."""
    given = {"opened_at": NOW - HOUR, "retrieved_at": NOW - HOUR, "boot_before": 7, "outcome": None}
    return Action(id=1, kind=ActionKind.UPDATE, release="4.3.0", state=state, **{**given, **changed})


def terminal(state: State = State.PLANNED, **changed: Any) -> Standing:
    """One of wave 1, that runs 4.2.1 in boot 7, is connected and well; one on its way was asked an hour ago."""
    begun = state not in (State.PLANNED, State.WITHDRAWN)
    standing = Standing(
        terminal_id="T00001",
        point_of_sale="P00001",
        wave=1,
        state=state,
        since=NOW - HOUR,
        memory=Memory() if not begun else SOAKED if state in (State.SOAKING, State.DONE) else TRIED,
        reported="4.3.0" if state in (State.SOAKING, State.DONE) else "4.2.1",
        boot=8 if state in (State.SOAKING, State.DONE) else 7,
        heard_at=NOW - 10 * MINUTE,
        online=True,
        health="closed",
        opening_hours="Mo-Su 07:00-20:00",
        timezone="Europe/Paris",
        way_back=begun,
        action=asked() if state is State.UPDATING else None,
    )
    return standing._replace(**changed)
