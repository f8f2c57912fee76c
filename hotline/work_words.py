"""The words for what agents do with a call: subjects, outcomes, why a callback was dropped, what a form refuses."""

from collections.abc import Mapping
from typing import Final

from hotline.callback_rules import Dropped
from hotline.qualification import Outcome, Subject
from hotline.translations import mark as _
from hotline.words import Translate

SUBJECTS: Final[Mapping[Subject, str]] = {
    Subject.TECHNICAL: _("Technical"),
    Subject.ADMINISTRATIVE: _("Administrative"),
    Subject.COMMERCIAL: _("Commercial"),
}

OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.SOLVED: _("Solved on the line"),
    Outcome.ESCALATED: _("Escalated"),
    Outcome.FIELD_VISIT: _("Field visit"),
    Outcome.CALLBACK: _("To be called back"),
}

DROPPED: Final[Mapping[Dropped, str]] = {
    Dropped.RANG_AGAIN: _("the shop rang again"),
    Dropped.ANSWERED_AFTER_ALL: _("the call was answered after all"),
    Dropped.REQUALIFIED: _("the call was qualified otherwise"),
    Dropped.NOT_NEEDED: _("not needed"),
    Dropped.INCIDENT_OVER: _("the incident behind it is over"),
}

# By the field at fault.
_REFUSALS: Final[Mapping[str, str]] = {
    "subject": _("Choose what the call was about."),
    "outcome": _("Choose how the call ended."),
    "callback_at": _("The time to call back must lie within the next 30 days."),
    "caller": _("Give a shop's code, or the caller's number."),
    "rang_at": _("The time must lie within the last 7 days."),
    "minutes": _("The call lasted four hours at most, and is over."),
    "typology": _("This typology is not in use any more: choose another."),
}


def refusal(field: str, *, translate: Translate) -> str:
    """What to put right in a form, in words; a field without its own is named."""
    found = _REFUSALS.get(field)
    return translate(found) if found else translate(_("This cannot be kept: %(field)s")) % {"field": field}
