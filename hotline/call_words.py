"""The words in which the console speaks of a call's events and parts."""

from collections.abc import Mapping
from typing import Final

from hotline.call_legs import Outcome
from hotline.call_state import Reason
from hotline.translations import mark as _

REASONS: Final[Mapping[Reason, str]] = {
    Reason.STARTED: _("the call begins"),
    Reason.ANSWERED: _("answered"),
    Reason.ENDED: _("ended"),
    Reason.STARTED_BY_ANSWER: _("the call begins, answered already"),
    Reason.STARTED_BY_HANGUP: _("the call begins, over already"),
    Reason.STARTED_LATE: _("the call begins, told late"),
    Reason.QUEUED: _("waits in the queue"),
    Reason.OFFERED: _("rings at an agent's"),
    Reason.TAKEN_OVER: _("an agent takes it on"),
    Reason.HELD: _("on hold"),
    Reason.RESUMED: _("taken back from hold"),
    Reason.RELEASED: _("an agent is out of it"),
    Reason.LEFT_QUEUE: _("has left the queue"),
    Reason.DETAILS_FILLED: _("details added"),
    Reason.ANSWER_AFTER_HANGUP: _("answered, told after the end"),
    Reason.REPEATED: _("told again"),
    Reason.IGNORED: _("of no account"),
}

OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.ANSWERED: _("answered"),
    Outcome.MISSED: _("not answered"),
    Outcome.ABANDONED: _("given up"),
    Outcome.TRANSFERRED: _("transferred"),
    Outcome.OVERFLOWED: _("overflowed"),
}
