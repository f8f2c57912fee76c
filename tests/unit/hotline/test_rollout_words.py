import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from firmware_rollout.advancing import Because
from firmware_rollout.deeds import Deed
from firmware_rollout.gate.evidence import Evidence, rate_ratio
from firmware_rollout.gate.judging import MetricReading, Reason, Verdict, Why
from firmware_rollout.gate.policy import Metric
from firmware_rollout.planning import Why as Step
from firmware_rollout.states import ActionKind, ActionState, CampaignState, Outcome, State
from firmware_rollout.status import Arm, Kind, RolloutStatus
from hotline import rollout_line, rollout_words
from hotline.rollout_line import campaign_line, rollout_text
from hotline.rollout_words import against_control, noted_text, reason_text, step_text, who
from hotline.translations import load
from hotline.words import Translate, event_detail

MOMENT = datetime(2026, 11, 23, 14, 7, tzinfo=UTC)
FR, EN = (load()[language].gettext for language in ("fr", "en"))
STATUS = RolloutStatus(
    kind=Kind.PLANNED,
    campaign="hiver",
    target="4.5.0",
    wave=2,
    planned_at=None,
    since=None,
    reported="4.4.0",
    due=False,
    campaign_state=CampaignState.RUNNING,
    arm=Arm.CONTROL,
)


def test_every_word_of_the_rollout_is_said() -> None:
    for said, known in (
        (rollout_words.STATES, CampaignState),
        (rollout_words.TERMINALS, State),
        (rollout_words.DEEDS, Deed),
        (rollout_words.MEANS, Deed),
        (rollout_words.METRICS, Metric),
        (rollout_words.VERDICTS, Verdict),
        (rollout_words.KINDS, ActionKind),
        (rollout_words.ACTIONS, ActionState),
        (rollout_words.OUTCOMES, Outcome),
        (rollout_words.STEPS, Step),
        (rollout_line.ARMS, Arm),
    ):
        assert set(said) == set(known), known
    assert {*Deed, *Because} <= set(rollout_words.NOTED)
    for why in Why:
        assert reason_text(Reason(why, Metric.CALLS, 1.0, 2.0), translate=FR, language="fr")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        pytest.param(
            Reason(Why.WORSE, Metric.CALLS, 7.6, 7.24),
            "appels à l'assistance\u00a0: les points de vente mis à jour vont moins bien"
            " (preuve 1\u202f998, arrêt à partir de 1\u202f394)",
            id="worse, as what the logarithms are of",
        ),
        pytest.param(Reason(Why.TOO_EARLY, None, 1.0, 3.0), "la vague a 1\u202fj, sur 3", id="too early"),
        pytest.param(
            Reason(Why.WORSE, Metric.SILENCE, 900.0, 7.24),
            "terminaux muets\u00a0: les points de vente mis à jour vont moins bien (preuve 10³⁹¹, arrêt à partir de 1\u202f394)",
            id="evidence that no figure holds",
        ),
        pytest.param(
            Reason(Why.UNCHANGED, Metric.PRINTER_ERRORS, math.log(0.11), math.log(0.02)),
            "erreurs d'impression\u00a0: pas prouvé inchangé, mais assez pour une vague suivante si petite"
            " (0,11 contre 1, il faut 0,02)",
            id="enough for a small wave is no proof",
        ),
        pytest.param(
            Reason(Why.UNCHANGED, Metric.PRINTER_ERRORS, math.log(42), math.log(3)),
            "erreurs d'impression\u00a0: inchangé, aussi sûrement que la vague suivante le demande (42 contre 1, il faut 3)",
            id="sure enough",
        ),
        pytest.param(
            Reason(Why.NOT_SURE_YET, Metric.PRINTER_ERRORS, -20.0, math.log(3)),
            "erreurs d'impression\u00a0: pas encore certain que rien n'a changé (<\u202f0,01 contre 1, il faut 3)",
            id="odds of nearly nothing",
        ),
    ],
)
def test_the_gates_reasons_are_said_with_their_figures(reason: Reason, said: str) -> None:
    assert reason_text(reason, translate=FR, language="fr") == said


@pytest.mark.parametrize(
    ("seen", "rate_ratio_of", "said"),
    [
        pytest.param(
            92, (34.9, 1.0), "34.9\u202f× the control group's rate: 92 counted in updated shops, 2.64 at that rate", id="92 / 34.9"
        ),
        pytest.param(
            1, (63.7, 1.0), "63.7\u202f× the control group's rate: 1 counted in updated shops, 0.016 at that rate", id="1 / 63.7"
        ),
        pytest.param(0, (0.0, 1.0), "none counted in updated shops", id="none"),
        pytest.param(3, (3.0, 0.0), "3 counted in updated shops, none in the control group", id="none to compare with"),
        pytest.param(0, (0.0, 0.0), "", id="none anywhere"),
    ],
)
def test_the_figures_of_a_metric_fit_each_other(seen: int, rate_ratio_of: tuple[float, float], said: str) -> None:
    after = Evidence((0.0,), observed=seen, expected=6.92, rate_ratio_of=rate_ratio_of)
    read = MetricReading(Metric.CALLS, after, (), after, 0.0, 0.0, rate_ratio(after))
    assert against_control(read, translate=EN, language="en") == said


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        pytest.param({}, "campaign hiver running, wave 2 · control group: its turn has not come", id="waiting"),
        pytest.param(
            {"arm": Arm.TREATED, "verdict": "wait"},
            "campaign hiver running, wave 2 · its wave has begun · too early to tell whether it does harm",
            id="updated, nothing known yet",
        ),
        pytest.param(
            {"campaign_state": CampaignState.HALTED, "arm": None, "verdict": "halt", "blamed": [Metric.CALLS, Metric.REBOOTS]},
            "campaign hiver halted, wave 2 · harm found where it is installed: calls to the hotline, unexpected restarts",
            id="halted by the gate",
        ),
        pytest.param(
            {"campaign_state": CampaignState.ROLLED_BACK, "arm": Arm.TREATED, "verdict": "wait", "blamed": [Metric.CALLS]},
            "campaign hiver rolled back, wave 2 · harm found where it is installed: calls to the hotline",
            id="undone: what was found stays",
        ),
        pytest.param(
            {"campaign_state": CampaignState.ROLLING_BACK, "verdict": "pass"},
            "campaign hiver rolling back, wave 2",
            id="undone by a person: no turn comes any more",
        ),
        pytest.param(
            {"kind": Kind.FAILED, "arm": Arm.TREATED, "verdict": "pass"},
            "campaign hiver running, wave 2 · its wave has begun",
            id="failed: that others are well is no comfort",
        ),
        pytest.param(
            {"campaign_state": CampaignState.HALTED, "arm": None, "verdict": "pass"},
            "campaign hiver halted, wave 2",
            id="by a person",
        ),
        pytest.param({"campaign_state": CampaignState.FINISHED}, "", id="over"),
        pytest.param({"campaign_state": CampaignState.DRAFT}, "", id="nobody has approved it"),
        pytest.param({"campaign_state": None}, "", id="none"),
    ],
)
def test_a_call_tells_wave_arm_and_evidence(changed: dict[str, Any], line: str) -> None:
    assert campaign_line(replace(STATUS, **changed), translate=EN) == line


@pytest.mark.parametrize(
    ("changed", "english", "french"),
    [
        pytest.param(
            {"kind": Kind.FAILED, "since": MOMENT, "why": "unwell"},
            "firmware 4.5.0: update failed at 14:07: not well by the deadline",
            "micrologiciel 4.5.0\u00a0: échec de la mise à jour à 14:07\u00a0: ",
            id="failed",
        ),
        pytest.param(
            {"kind": Kind.HARMFUL, "blamed": [Metric.CALLS]},
            "firmware 4.5.0: installed, found to do harm",
            "micrologiciel 4.5.0\u00a0: installé, reconnu nuisible",
            id="harmful",
        ),
        pytest.param(
            {"kind": Kind.TO_GO_BACK, "back_to": "4.4.0"},
            "firmware 4.5.0: to go back to 4.4.0",
            "micrologiciel 4.5.0\u00a0: doit revenir à la version 4.4.0",
            id="to go back",
        ),
        pytest.param(
            {"kind": Kind.STAYS, "blamed": [Metric.CALLS]},
            "firmware stays at 4.5.0, found to do harm",
            "micrologiciel maintenu en 4.5.0, reconnu nuisible",
            id="stays on what does harm",
        ),
        pytest.param({"kind": Kind.STAYS}, "firmware stays at 4.5.0", "micrologiciel maintenu en 4.5.0", id="stays"),
        pytest.param(
            {"kind": Kind.PLANNED, "due": True, "planned_at": MOMENT},
            "firmware 4.5.0: wave 2, due since 14:07, not begun",
            "micrologiciel 4.5.0\u00a0: vague 2, attendue depuis 14:07, pas commencée",
            id="due",
        ),
    ],
)
def test_where_a_terminal_stands_is_one_line(changed: dict[str, Any], english: str, french: str) -> None:
    def said(translate: Translate) -> str:
        return rollout_text(replace(STATUS, **changed), translate=translate, when=lambda moment: f"{moment:%H:%M}")

    assert said(EN) == english
    assert said(FR).startswith(french)


def test_the_demonstration_is_no_person() -> None:
    assert who("demonstration", {}, translate=FR) == "la démonstration"
    assert who("demonstration", {"demonstration": "Dem O'Nstration"}, translate=FR) == "Dem O'Nstration"


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("expected: update", "prévu\u00a0: mise à jour"),
        ("unexpected: fell back to slot B", "imprévu\u00a0: fell back to slot B"),
        ("unexpected", "imprévu"),
        ("slot 2", "slot 2"),
    ],
)
def test_what_a_terminal_says_of_a_restart_is_said_in_the_readers_language(detail: str, said: str) -> None:
    assert event_detail(detail, translate=FR) == said


def test_a_name_that_was_only_said_is_not_shown_as_a_person_who_signed_in() -> None:
    names = {"sacha": "Sacha Martin"}
    assert who("sacha", names, translate=EN) == "Sacha Martin"
    assert who("sacha [cli: root]", names, translate=EN) == "sacha (server account root)"
    assert who("vigie rollout", names, translate=EN) == "automatically"
    assert who("vigie rollout [cli: root]", names, translate=EN) == "vigie rollout (server account root)"
    assert noted_text("approve", {"one_account": "root"}, translate=EN) == (
        "approved it (made and approved by one account of the server, root)"
    )


@pytest.mark.parametrize(
    ("deed", "details", "said"),
    [
        ("trusted_root", {"root": 2, "sha256": "ab"}, "trusted a maker's root (2)"),
        ("added_release", {"version": "4.3.0", "targets": 1}, "added a release (4.3.0)"),
        ("took_targets", {"targets": 2, "left_out": ["4.2.0", "4.3.0"]}, "took in metadata signed anew (without 4.2.0, 4.3.0)"),
        ("took_targets", {"targets": 2}, "took in metadata signed anew"),
        ("declared_release", {"version": "4.2.1"}, "declared a version without a file (4.2.1)"),
        ("withdrew_release", {"version": "4.3.0", "why": "smoke"}, "withdrew a release (4.3.0)"),
    ],
)
def test_what_was_done_to_releases_names_them(deed: str, details: dict[str, Any], said: str) -> None:
    assert noted_text(deed, details, translate=EN) == said


def test_what_was_noted_tells_the_wave_and_the_failures() -> None:
    assert noted_text("wave_passed", {"opens": 3}, translate=EN) == "let the next wave begin (wave 3)"
    assert noted_text("updates_fail", {"inputs": {"failed": 12, "updated": 28}}, translate=EN) == (
        "automatic halt: updates fail (12 of 40)"
    )
    back = {"inputs": {"rolled_back": 30, "left": 0, "stranded": 2}}
    assert noted_text("all_back", back, translate=EN) == "ended the way back (back: 30, without a way back: 2)"
    assert noted_text("a_later_release's", {}, translate=EN) == "a_later_release's"
    assert step_text("a_later_release's", translate=EN) == "a_later_release's"
