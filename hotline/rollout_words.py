"""The words in which the console speaks of the firmware rollout: campaigns, waves, the gate, and what devices were asked."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from diagnostics.plot_axes import number
from firmware_rollout.actors import DEMO_MAKER, account, person
from firmware_rollout.advancing import Because
from firmware_rollout.audit import PLANNER
from firmware_rollout.ddi.protocol import Execution
from firmware_rollout.deeds import Deed
from firmware_rollout.gate.judging import MetricReading, Reason, Verdict, Why
from firmware_rollout.gate.policy import Metric
from firmware_rollout.planning import Why as Step
from firmware_rollout.release_deeds import ADDED, DECLARED, TOOK_TARGETS, TRUSTED, WITHDREW
from firmware_rollout.states import ActionKind, ActionState, CampaignState, Outcome, State
from hotline.translations import mark as _
from hotline.words import NNBSP, Translate

STATES: Final[Mapping[CampaignState, str]] = {
    CampaignState.DRAFT: _("draft"),
    CampaignState.APPROVED: _("approved"),
    CampaignState.RUNNING: _("running"),
    CampaignState.PAUSED: _("paused"),
    CampaignState.HALTED: _("halted"),
    CampaignState.ROLLING_BACK: _("rolling back"),
    CampaignState.FINISHED: _("finished"),
    CampaignState.ABORTED: _("aborted"),
    CampaignState.ROLLED_BACK: _("rolled back"),
}

TERMINALS: Final[Mapping[State, str]] = {
    State.PLANNED: _("planned"),
    State.UPDATING: _("updating"),
    State.SOAKING: _("installed, being watched"),
    State.DONE: _("up to date"),
    State.FAILED: _("failed"),
    State.ROLLED_BACK: _("on the old version again"),
    State.WITHDRAWN: _("left out"),
}

# On the button, and at the head of its dialogue.
DEEDS: Final[Mapping[Deed, str]] = {
    Deed.APPROVE: _("Approve"),
    Deed.PAUSE: _("Pause"),
    Deed.RESUME: _("Resume"),
    Deed.PASS: _("Let the wave pass"),
    Deed.HALT: _("Halt"),
    Deed.ABORT: _("Abort"),
    Deed.ROLL_BACK: _("Roll back"),
}

# What a deed brings about, before it is done.
MEANS: Final[Mapping[Deed, str]] = {
    Deed.APPROVE: _("The first wave begins in its next maintenance window."),
    Deed.PAUSE: _("No further terminal begins; those on their way go on. It can be resumed."),
    Deed.RESUME: _("It goes on. After a halt the gate judges anew, without what was held against the release."),
    Deed.PASS: _("The next wave begins although the evidence does not suffice: you answer for it."),
    Deed.HALT: _("Nothing more is offered, at once, until a person decides. It can be resumed, aborted or rolled back."),
    Deed.ABORT: _("It ends where it stands, for good; terminals on their way are asked to stop."),
    Deed.ROLL_BACK: _("Who got the new version from this campaign gets the previous one again; who had it before keeps it."),
}

METRICS: Final[Mapping[Metric, str]] = {
    Metric.PRINTER_ERRORS: _("printer errors"),
    Metric.SCANNER_ERRORS: _("slips not read"),
    Metric.TRANSACTION_ERRORS: _("transactions refused or without answer"),
    Metric.CRASHES: _("application crashes"),
    Metric.REBOOTS: _("unexpected restarts"),
    Metric.SILENCE: _("silent terminals"),
    Metric.CALLS: _("calls to the hotline"),
}

VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.PROMOTE: _("the next wave may begin"),
    Verdict.WAIT: _("not enough evidence yet: it waits"),
    Verdict.HALT: _("automatic halt"),
}

# Where no wave is left to begin.
NO_HARM: Final = _("no harm found")

# Why the gate decided so; with `metric`, `ratio`, `value` and `needed` where it has them.
_GATE: Final[Mapping[Why, str]] = {
    Why.WORSE: _("%(metric)s: updated shops do worse (evidence %(value)s, halts from %(needed)s)"),
    Why.NOT_MEASURED: _("%(metric)s: not measured"),
    Why.TOO_EARLY: _("the wave is %(value)s of %(needed)s\u202fd old"),
    Why.TOO_FEW_UPDATED: _("%(value)s %% of the wave updated, of %(needed)s %% needed"),
    Why.NOT_SURE_YET: _("%(metric)s: not sure yet that nothing changed (odds %(value)s to 1, of %(needed)s needed)"),
    Why.UNDECIDED: _("undecided after %(value)s\u202fd: a person has to decide"),
    Why.UNCHANGED: _("%(metric)s: unchanged, as sure as the next wave needs (odds %(value)s to 1, of %(needed)s needed)"),
}
# What little harm a small wave can do is let pass without proof; that is no word for the release.
_NOT_PROVEN: Final = _(
    "%(metric)s: not proven unchanged, but enough for so small a next wave (odds %(value)s to 1, of %(needed)s needed)"
)
_LOGARITHMS: Final = frozenset({Why.WORSE, Why.NOT_SURE_YET, Why.UNCHANGED})
# Beyond, nobody reads the digits: a power of ten says more.
_MOST_IN_FULL: Final = 1e7
_LEAST_IN_FULL: Final = 0.01
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_AGAINST_CONTROL: Final = _("%(ratio)s the control group's rate: %(seen)s counted in updated shops, %(expected)s at that rate")
_NONE_IN_CONTROL: Final = _("%(seen)s counted in updated shops, none in the control group")
# Fewer marks than these have one decimal more.
_FEW: Final = 0.1
_NONE_IN_UPDATED: Final = _("none counted in updated shops")

KINDS: Final[Mapping[ActionKind, str]] = {
    ActionKind.UPDATE: _("update to %(release)s"),
    ActionKind.ROLL_BACK: _("back to %(release)s"),
}
ACTIONS: Final[Mapping[ActionState, str]] = {
    ActionState.OPEN: _("offered"),
    ActionState.CANCELLING: _("asked to stop"),
    ActionState.TOLD: _("the terminal says it is done; not seen yet"),
    ActionState.CLOSED: _("closed"),
}
OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.SUCCESS: _("succeeded: seen running after a restart"),
    Outcome.FAILURE: _("failed"),
    Outcome.CANCELLED: _("stopped"),
    Outcome.SILENT: _("fell silent"),
    Outcome.UNTRUE: _("said it succeeded, but runs the old version"),
}

STEPS: Final[Mapping[str, str]] = {
    Step.WAVE_DUE: _("its wave has begun"),
    Step.ALREADY_THERE: _("ran the version already"),
    Step.TARGET_SEEN: _("the new version was seen after a restart"),
    Step.WELL_FOR_LONG: _("well for long enough"),
    Step.GOT_WELL: _("became well"),
    Step.GOT_WORSE: _("got worse"),
    Step.NOT_KNOWN: _("nobody knows how it is"),
    Step.UNWELL: _("not well by the deadline"),
    Step.SILENT_AFTERWARDS: _("silent since its update"),
    Step.DEVICE_FAILED: _("the terminal could not install it"),
    Step.TOO_SLOW: _("not done by the deadline"),
    Step.SILENT: _("not heard of again"),
    Step.SAID_SO_BUT_DID_NOT: _("said it succeeded, but runs the old version"),
    Step.FELL_BACK: _("went back to the old version by itself"),
    Step.OLDER_REPORTED: _("reports an older version again"),
    Step.CAME_BACK: _("was heard of again: another attempt"),
    Step.CAME_LATE: _("updated late"),
    Step.NEVER_REACHED: _("never connected in time"),
    Step.NOT_FETCHED_IN_TIME: _("did not fetch the update by the deadline"),
    Step.ASKED_TO_STOP: _("asked to stop"),
    Step.STOPPED: _("stopped with its campaign"),
    Step.ROLLING_BACK: _("gets its previous version again"),
    Step.OLD_SEEN: _("its previous version was seen after a restart"),
}

# What is noted in the rollout's audit.
NOTED: Final[Mapping[str, str]] = {
    "created": _("made the campaign"),
    Deed.APPROVE: _("approved it"),
    Deed.PAUSE: _("paused it"),
    Deed.RESUME: _("resumed it"),
    Deed.PASS: _("let the wave pass without enough evidence"),
    Deed.HALT: _("halted it"),
    Deed.ABORT: _("aborted it"),
    Deed.ROLL_BACK: _("had it rolled back"),
    Because.FIRST_WAVE_DUE: _("began the first wave"),
    Because.WAVE_PASSED: _("let the next wave begin"),
    Because.LET_PASS: _("began the next wave, on a person's word"),
    Because.GATE_HALTS: _("automatic halt: updated shops do worse"),
    Because.GATE_UNDECIDED: _("automatic halt: undecided for too long, a person has to decide"),
    Because.UPDATES_FAIL: _("automatic halt: updates fail"),
    Because.RELEASE_WITHDRAWN: _("automatic halt: the release was withdrawn"),
    Because.ALL_SETTLED: _("finished it: nothing is left to do"),
    Because.ALL_BACK: _("ended the way back"),
    "policy_unreadable": _("automatic halt: its policy cannot be read"),
    "planned": _("moved terminals"),
    "judged": _("judged the evidence"),
    "joined": _("let new terminals join"),
    TRUSTED: _("trusted a maker's root"),
    ADDED: _("added a release"),
    TOOK_TARGETS: _("took in metadata signed anew"),
    DECLARED: _("declared a version without a file"),
    WITHDREW: _("withdrew a release"),
}
_OF_RELEASES: Final = frozenset({TRUSTED, ADDED, TOOK_TARGETS, DECLARED, WITHDREW})
_LEFT_OUT: Final = _("without %(versions)s")
WAVE: Final = _("wave %(wave)s")
_FAILED: Final = _("%(failed)s of %(of)s")
_BACK: Final[Mapping[str, str]] = {
    "rolled_back": _("back: %(count)s"),
    "had_it": _("had it before: %(count)s"),
    "left": _("not reached: %(count)s"),
    "away": _("away since they were asked to update: %(count)s"),
    "in_vain": _("run it after every attempt: %(count)s"),
    "stranded": _("without a way back: %(count)s"),
}
# In place of a name.
AUTOMATIC: Final = _("automatically")
_BY_DEMONSTRATION: Final = _("the demonstration")
# What a terminal says of an update on its way, in the words of its interface.
STAGES: Final[Mapping[str, str]] = {
    Execution.SCHEDULED: _("has it before it"),
    Execution.DOWNLOAD: _("fetches it"),
    Execution.DOWNLOADED: _("has fetched it"),
    Execution.PROCEEDING: _("installs it"),
    Execution.RESUMED: _("goes on with it"),
    Execution.REJECTED: _("refuses it"),
    Execution.CANCELED: _("has stopped it"),
    Execution.CLOSED: _("says it is over"),
}
_BY_COMMAND: Final = _("%(name)s (server account %(account)s)")
_ONE_ACCOUNT: Final = _("made and approved by one account of the server, %(account)s")

# What is wrong with a form, by the field that is refused.
REFUSALS: Final[Mapping[str, str]] = {
    "name": _("A campaign needs a name that no other has."),
    "release": _("This release cannot be brought to terminals."),
    "where": _(
        "These terminals cannot be aimed at: none has all of these, the release does not fit them, or another campaign has them."
    ),
    "dimension": _("No terminal has this value."),
    "shares_pct": _("Shares rise from above 0 to 100, for example 0.5 2 5 15 40 95 100."),
    "wave": _("The waves do not follow one another."),
    "begins": _("A date and time to come is needed, or nothing."),
    "seed": _("A whole number is needed."),
    "policy": _("This figure does not go with the others."),
    "why": _("Say why: whoever finds it so will read it."),
    "state": _("The campaign has changed meanwhile: look again."),
    "evidence": _("This wave cannot be let pass: where the evidence shows harm, or it was halted for another reason, resume it."),
    "newer": _("A newer campaign is at work on some of these terminals: abort that one first."),
    "untouched": _("It has begun no terminal: there is nothing to roll back."),
    "older": _("A newer campaign has been through some of these terminals: abort this draft and make the campaign anew."),
    "actor": _("You made this campaign: a second person approves it."),
    "file": _("This file cannot be taken."),
    "targets": _("This signed description (targets.json) cannot be taken."),
    "version": _("This version cannot be taken."),
    "models": _("No terminal is of these models."),
    "hw": _("No terminal has this hardware."),
    "root": _("No maker is trusted yet: the operator does that by `vigie release trust`."),
    "settings": _("This machine has nowhere to keep releases: the operator names a place by VIGIE_RELEASE_STORE."),
}


def reason_text(reason: Reason, *, translate: Translate, language: str) -> str:
    """Why the gate decided so, with its figures."""
    value, needed = reason.value, reason.needed
    told = translate(_NOT_PROVEN if reason.why is Why.UNCHANGED and value < 0 else _GATE[reason.why])
    metric = translate(METRICS[reason.metric]) if reason.metric is not None else ""
    if reason.why in _LOGARITHMS:
        return told % {"metric": metric, "value": power(value, language=language), "needed": power(needed, language=language)}
    return told % {"metric": metric, "value": number(value, language=language), "needed": number(needed, language=language)}


def power(log: float, *, language: str) -> str:
    """What this is the natural logarithm of, as people read it: in full, or as a power of ten."""
    if log > math.log(_MOST_IN_FULL):
        return "10" + str(round(log / math.log(10))).translate(_RAISED)
    value = math.exp(log)
    # What a logarithm stands for is no round figure to the last digit.
    least = number(_LEAST_IN_FULL, language=language)
    return number(round(value, 6), language=language) if value >= _LEAST_IN_FULL else f"<{NNBSP}{least}"


def against_control(reading: MetricReading, *, translate: Translate, language: str) -> str:
    """How often updated shops had this, beside shops like them that wait; empty where neither had it.

    Marks at the control group's rate are those counted over the ratio, so that the three figures fit each other.
    """
    seen, ratio = reading.after.observed, reading.ratio
    known = {"seen": number(seen, language=language)}
    if ratio is None:
        return translate(_NONE_IN_CONTROL) % known if seen else ""
    if not seen or not ratio:
        return translate(_NONE_IN_UPDATED)
    usual = seen / ratio
    known["expected"] = number(usual, language=language, decimals=3 if usual < _FEW else None)
    return translate(_AGAINST_CONTROL) % {**known, "ratio": f"{number(ratio, language=language)}{NNBSP}×"}


def who(actor: str, names: Mapping[str, str], *, translate: Translate) -> str:
    """Who did it: a name where the login is known, with the server's account by which it was; the planner did it by itself."""
    if actor == PLANNER:
        return translate(AUTOMATIC)
    if actor == DEMO_MAKER and actor not in names:
        return translate(_BY_DEMONSTRATION)
    by, said = account(actor), person(actor)
    # A name that was only said on a server's command line is not shown as a console's person is.
    return translate(_BY_COMMAND) % {"name": said, "account": by} if by is not None else names.get(actor, actor)


def step_text(reason: str, *, translate: Translate) -> str:
    """Why a terminal moved; what this release does not know is shown as it is."""
    return translate(STEPS[reason]) if reason in STEPS else reason


def noted_text(deed: str, details: Mapping[str, Any], *, translate: Translate) -> str:
    """What was done, as the audit noted it, with its wave, failed updates, terminals or version."""
    said = translate(NOTED[deed]) if deed in NOTED else deed
    inputs = details.get("inputs") or {}
    if details.get("opens"):
        said += f" ({translate(WAVE) % {'wave': details['opens']}})"
    elif deed == Because.UPDATES_FAIL:
        known = {"failed": inputs.get("failed"), "of": (inputs.get("failed") or 0) + (inputs.get("updated") or 0)}
        said += f" ({translate(_FAILED) % known})"
    elif deed == Because.ALL_BACK:
        counted = [translate(text) % {"count": inputs[name]} for name, text in _BACK.items() if inputs.get(name)]
        said += f" ({', '.join(counted)})" if counted else ""
    elif deed in _OF_RELEASES:
        which = [str(details[name]) for name in ("root", "version") if details.get(name)]
        if details.get("left_out"):
            which.append(translate(_LEFT_OUT) % {"versions": ", ".join(details["left_out"])})
        said += f" ({', '.join(which)})" if which else ""
    elif details.get("one_account"):
        said += f" ({translate(_ONE_ACCOUNT) % {'account': details['one_account']}})"
    return said


def filters(language: str, translate: Translate) -> Mapping[str, Callable[..., str]]:
    """How templates put the rollout into words."""

    def quantity(value: float, unit: str) -> str:
        return number(value, language=language) + (f"{NNBSP}{unit}" if unit else "")

    return {
        "against_control": lambda reading: against_control(reading, translate=translate, language=language),
        "gate_reason": lambda reason: reason_text(reason, translate=translate, language=language),
        "done_by": lambda actor, names: who(actor, names, translate=translate),
        "step_reason": lambda reason: step_text(reason, translate=translate),
        "noted": lambda step: noted_text(step.entry.deed, step.details, translate=translate),
        "quantity": quantity,
        # A percent sign is no text with figures to put in.
        "unit": lambda text: translate(text) if text else "",
    }
