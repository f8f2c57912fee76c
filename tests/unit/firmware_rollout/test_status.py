from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import pytest

from firmware_rollout.assignment import Assignment
from firmware_rollout.gate.policy import Metric
from firmware_rollout.states import CampaignState, State
from firmware_rollout.status import Kind, rollout_status

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
ROW = Assignment(
    terminal_id="T00001",
    campaign_id=1,
    campaign="hiver",
    campaign_state=CampaignState.RUNNING,
    finding="",
    release="4.3.0",
    wave=2,
    planned_at=NOW,
    opened_at=NOW,
    state=State.DONE,
    since=NOW,
    drawn=True,
    reported="4.3.0",
)
HARM = [Metric.PRINTER_ERRORS]
HALTED, UNDOING, UNDONE, ABORTED = (
    CampaignState.HALTED,
    CampaignState.ROLLING_BACK,
    CampaignState.ROLLED_BACK,
    CampaignState.ABORTED,
)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param({}, Kind.UP_TO_DATE, id="done"),
        pytest.param({"state": State.FAILED, "why": "unwell"}, Kind.FAILED, id="it runs it, and is not well"),
        pytest.param({"state": State.FAILED, "why": "silent_afterwards"}, Kind.FAILED, id="it runs it, and fell silent"),
        pytest.param(
            {"state": State.FAILED, "why": "unwell", "campaign_state": HALTED, "blamed": HARM},
            Kind.FAILED,
            id="its own failure comes first",
        ),
        pytest.param({"state": State.FAILED, "why": "too_slow"}, Kind.UP_TO_DATE, id="late, it runs it"),
        pytest.param({"state": State.UPDATING}, Kind.UP_TO_DATE, id="seen before planning saw it"),
        pytest.param({"reported": "4.2.1"}, Kind.ROLLED_BACK, id="fell back by itself"),
        pytest.param({"campaign_state": HALTED, "blamed": HARM}, Kind.HARMFUL, id="halted for harm"),
        pytest.param({"campaign_state": ABORTED, "blamed": HARM}, Kind.HARMFUL, id="and left where it stood"),
        pytest.param(
            {"campaign_state": HALTED, "blamed": HARM, "reported": "4.4.0"},
            Kind.UP_TO_DATE,
            id="runs a later one: no matter of this",
        ),
        pytest.param({"campaign_state": HALTED}, Kind.UP_TO_DATE, id="halted by a person"),
        pytest.param({"campaign_state": UNDOING, "back_to": "4.2.1"}, Kind.TO_GO_BACK, id="its way back is to come"),
        pytest.param(
            {"campaign_state": UNDOING, "state": State.UPDATING, "goes_back": True, "back_to": "4.2.1"},
            Kind.GOING_BACK,
            id="on its way back",
        ),
        pytest.param(
            {"campaign_state": UNDOING, "state": State.UPDATING, "goes_back": True, "back_to": "4.2.1", "reported": "4.2.1"},
            Kind.ROLLED_BACK,
            id="back, before planning saw it",
        ),
        pytest.param({"campaign_state": UNDOING, "blamed": HARM}, Kind.STAYS, id="had it before: nothing to go back to"),
        pytest.param({"campaign_state": UNDONE, "back_to": "4.2.1"}, Kind.STAYS, id="not reached, and no longer tried"),
        pytest.param({"campaign_state": UNDONE, "state": State.WITHDRAWN}, Kind.STAYS, id="runs it before its turn came"),
        pytest.param({"campaign_state": UNDONE, "state": State.WITHDRAWN, "reported": "4.2.1"}, Kind.WITHDRAWN, id="never got it"),
        pytest.param({"campaign_state": UNDONE, "reported": "4.2.1", "state": State.ROLLED_BACK}, Kind.ROLLED_BACK, id="back"),
    ],
)
def test_one_word_tells_where_a_terminal_stands(row: dict[str, Any], kind: Kind) -> None:
    found = rollout_status(ROW._replace(**row), NOW)
    assert found.kind is kind, astuple(found)
