"""The rollout in a glance: where one terminal stands, as an agent reads it to a shopkeeper, and a line below on its campaign."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from firmware_rollout.gate.judging import Verdict
from firmware_rollout.states import CampaignState
from firmware_rollout.status import Arm, Kind, RolloutStatus
from hotline.rollout_words import METRICS, STATES, step_text
from hotline.translations import mark as _
from hotline.words import Translate

# With `wave`, `when`, `target`, `back`, `why` of the status; a wave that is due but has not begun is said so.
ROLLOUT: Final[Mapping[Kind, str]] = {
    Kind.NO_CAMPAIGN: _("firmware: no rollout under way"),
    Kind.UP_TO_DATE: _("firmware up to date: %(target)s"),
    Kind.PLANNED: _("firmware %(target)s: wave %(wave)s, planned for %(when)s"),
    Kind.UPDATING: _("firmware %(target)s: updating since %(when)s"),
    Kind.SOAKING: _("firmware %(target)s: installed at %(when)s, being watched"),
    Kind.FAILED: _("firmware %(target)s: update failed at %(when)s"),
    Kind.ROLLED_BACK: _("firmware %(target)s: rolled back to the previous version"),
    Kind.WITHDRAWN: _("firmware %(target)s: not to be installed any more"),
    Kind.HARMFUL: _("firmware %(target)s: installed, found to do harm"),
    Kind.TO_GO_BACK: _("firmware %(target)s: to go back to %(back)s"),
    Kind.GOING_BACK: _("firmware %(target)s: going back to the previous version since %(when)s"),
    Kind.STAYS: _("firmware stays at %(target)s"),
}
ROLLOUT_DUE: Final = _("firmware %(target)s: wave %(wave)s, due since %(when)s, not begun")
ROLLOUT_WAITING: Final = _("firmware %(target)s: wave %(wave)s, after the waves before it")
ROLLOUT_FAILED: Final = _("firmware %(target)s: update failed at %(when)s: %(why)s")
ROLLOUT_STAYS_HARMFUL: Final = _("firmware stays at %(target)s, found to do harm")

# Under a terminal's own line: its campaign, its side of the comparison, and what the gate says.
_CAMPAIGN: Final = _("campaign %(campaign)s %(state)s, wave %(wave)s")
ARMS: Final[Mapping[Arm, str]] = {
    Arm.TREATED: _("its wave has begun"),
    Arm.CONTROL: _("control group: its turn has not come"),
}
_SAID: Final[Mapping[str, str]] = {
    Verdict.PROMOTE: _("nothing unusual where it is installed"),
    Verdict.WAIT: _("too early to tell whether it does harm"),
}
_HARM: Final = _("harm found where it is installed: %(metrics)s")
_GOES_ON: Final = frozenset({CampaignState.APPROVED, CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED})
_UNDONE: Final = frozenset({CampaignState.ROLLING_BACK, CampaignState.ROLLED_BACK})
# What the others show is no comfort where this one has failed.
_FAILED: Final = frozenset({Kind.FAILED, Kind.ROLLED_BACK})


def rollout_text(status: RolloutStatus, *, translate: Translate, when: Callable[[datetime], str]) -> str:
    """Where the rollout stands at a terminal, in one line."""
    moment = status.planned_at if status.kind is Kind.PLANNED else status.since
    known = {
        "target": status.target or "",
        "wave": status.wave or "",
        "when": when(moment) if moment else "?",
        "back": status.back_to or "",
        "why": step_text(status.why, translate=translate),
    }
    return translate(_words(status)) % known


def _words(status: RolloutStatus) -> str:
    if status.kind is Kind.PLANNED and (status.due or status.planned_at is None):
        return ROLLOUT_DUE if status.due else ROLLOUT_WAITING
    if status.kind is Kind.FAILED and status.why:
        return ROLLOUT_FAILED
    return ROLLOUT_STAYS_HARMFUL if status.kind is Kind.STAYS and status.blamed else ROLLOUT[status.kind]


def campaign_line(status: RolloutStatus, *, translate: Translate) -> str:
    """What else to know of a terminal's rollout, in one line; empty where there is nothing: no campaign, or one that ended well."""
    state = status.campaign_state
    if state is None or not (status.blamed or state in _GOES_ON | _UNDONE):
        return ""
    known = {"campaign": status.campaign, "state": translate(STATES[state]), "wave": status.wave}
    parts = [translate(_CAMPAIGN) % known]
    if status.arm is not None and state in _GOES_ON:
        parts.append(translate(ARMS[status.arm]))
    if status.blamed:
        parts.append(translate(_HARM) % {"metrics": ", ".join(translate(METRICS[one]) for one in status.blamed)})
    elif state in _GOES_ON and state is not CampaignState.HALTED and status.kind not in _FAILED:
        parts += [translate(said) for verdict, said in _SAID.items() if verdict == status.verdict]
    return " · ".join(parts)
