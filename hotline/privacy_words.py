"""The words of the pages about accounts and the audit."""

from collections.abc import Mapping
from typing import Final

from hotline.accounts import SHORTEST_PASSWORD
from hotline.audit import CHANGED, SAW, SIGN_IN_REFUSED, SIGNED_IN
from hotline.translations import mark as _
from hotline.words import Translate

ACTIONS: Final[Mapping[str, str]] = {
    SAW: _("saw"),
    CHANGED: _("changed"),
    SIGNED_IN: _("signed in"),
    SIGN_IN_REFUSED: _("was refused at sign-in"),
}
# What a row of the audit is about, by the parameter's name in the route; the others stand as they are.
SUBJECTS: Final[Mapping[str, str]] = {
    "agent": _("account"),
    "article": _("article"),
    "by": _("told apart by"),
    "call": _("call"),
    "code": _("shop"),
    "first": _("from"),
    "incident_id": _("incident"),
    "last": _("until"),
    "q": _("sought"),
    "terminal_id": _("terminal"),
    "typology": _("typology"),
    "what": _("figure"),
}
# By the field of `AccountError`, and what the pages refuse by themselves.
REFUSALS: Final[Mapping[str, str]] = {
    "login": _("This login is taken: choose another."),
    "name": _("A login and a name are needed."),
    "password": _("A password has at least %(length)s characters."),
    "current": _("The current password is wrong."),
    "too_many": _("Too many attempts: wait a quarter of an hour."),
    "self": _("Another administrator has to do that to your own account."),
}


def refusal(field: str, *, translate: Translate) -> str:
    """Why an account was not made or changed."""
    return translate(REFUSALS[field]) % {"length": SHORTEST_PASSWORD}
