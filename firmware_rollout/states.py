"""The states of campaigns, of their terminals, and of what is asked of devices: the words that the database keeps."""

from enum import StrEnum
from typing import Final


class CampaignState(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"
    ROLLING_BACK = "rolling_back"
    FINISHED = "finished"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"


# Those in which a campaign may begin terminals at any moment, or already has; a draft waits for a second person's word.
AT_WORK: Final = (
    CampaignState.APPROVED,
    CampaignState.RUNNING,
    CampaignState.PAUSED,
    CampaignState.HALTED,
    CampaignState.ROLLING_BACK,
)


class State(StrEnum):
    """How far a terminal is in a campaign, in the order of its way."""

    PLANNED = "planned"
    UPDATING = "updating"
    SOAKING = "soaking"
    DONE = "done"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"


# Nothing more is expected of a terminal in one of these.
SETTLED: Final = frozenset({State.DONE, State.FAILED, State.ROLLED_BACK, State.WITHDRAWN})


class ActionKind(StrEnum):
    """What is asked of a device."""

    UPDATE = "update"
    ROLL_BACK = "roll_back"


class ActionState(StrEnum):
    """How far a device is with it."""

    OPEN = "open"
    CANCELLING = "cancelling"
    TOLD = "told"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How it ended; `untrue`: the device said it succeeded and runs the old version; `silent`: it was not heard of again."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SILENT = "silent"
    UNTRUE = "untrue"
