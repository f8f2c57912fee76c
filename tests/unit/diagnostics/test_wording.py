"""Incidents in words: every trouble in both languages, scopes as people say them, typography."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from diagnostics.places import BEFORE_DEPARTMENT, SAID_ORDER
from diagnostics.scan.why import Contrast, Evidence, Leading, Level
from diagnostics.troubles import TROUBLES, Trouble
from diagnostics.typography import LANGUAGES, day, decimal, hour, listed, percent, typeset, whole
from diagnostics.wording import Cause, advice, cause_of, likely_cause, next_step, scope_in_words, spoken, title, why_sentences
from diagnostics.wording_why import METRICS
from fleet.contract import SAMPLE_FIELDS
from fleet.departments import NAMES, REGION_NAMES, REGION_OF
from fleet.registry import DIMENSIONS

BETA_84 = {"carrier": "beta", "region": "84"}


def plain(text: str) -> str:
    """The text with ordinary spaces, to compare what is read aloud."""
    return re.sub("[\u00a0\u202f]", " ", text).replace("’", "'")


@pytest.mark.parametrize(
    ("trouble", "scope", "french", "english"),
    [
        pytest.param(
            Trouble.OFFLINE,
            BETA_84,
            "Terminaux hors ligne : opérateur beta, région Auvergne-Rhône-Alpes (84)",
            "Terminals off line: carrier beta, region Auvergne-Rhône-Alpes (84)",
            id="carrier and region",
        ),
        pytest.param(
            Trouble.PRINTER,
            {"firmware": "4.3.0", "model": "B"},
            "Pannes d'imprimante : modèle B, micrologiciel 4.3.0",
            "Printer failures: model B, firmware 4.3.0",
            id="machine before its software, however written",
        ),
        pytest.param(
            Trouble.TX_FAILING,
            {},
            "Paris sans réponse ou refusés : tout le parc",
            "Bets unanswered or refused: the whole fleet",
            id="whole fleet",
        ),
        pytest.param(
            Trouble.OFFLINE,
            {"department": "01"},
            "Terminaux hors ligne : département de l'Ain (01)",
            "Terminals off line: department Ain (01)",
            id="department with its article",
        ),
        pytest.param(
            Trouble.RADIO,
            {"access": "4g", "department": "974"},
            "Signal radio faible : accès 4G, département de La Réunion (974)",
            "Weak radio signal: 4G access, department La Réunion (974)",
            id="overseas",
        ),
        pytest.param(
            Trouble.HEAT,
            {"department": "99", "hw": "2", "lot": "L07", "agency": "AG12", "colour": "red"},
            "Terminaux en surchauffe : révision matérielle 2, lot de fabrication L07, agence AG12, département 99, colour red",
            "Terminals overheating: hardware revision 2, manufacturing lot L07, agency AG12, department 99, colour red",
            id="unknown values and dimensions are said as written",
        ),
    ],
)
def test_a_title_says_what_and_where(trouble: Trouble, scope: dict[str, str], french: str, english: str) -> None:
    assert plain(title(trouble, scope, "fr")) == french
    assert plain(title(trouble, scope, "en")) == english


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_is_worded_in_both_languages(trouble: Trouble, language: str) -> None:
    texts = [
        title(trouble, BETA_84, language),
        likely_cause(trouble, BETA_84, language),
        spoken(trouble, language),
        next_step(trouble, language),
        advice(trouble, language),
    ]
    assert all(texts)
    assert spoken(trouble, language) in advice(trouble, language)
    for text in texts:
        assert "  " not in text
        assert "%" not in text
        if language == "fr":
            # Whatever stands before high punctuation or inside guillemets does not break.
            assert not re.search(r" [:;!?»]|« |[^\s\u00a0\u202f][;!?]|'", text), text
        else:
            assert not re.search(r"[\u00a0\u202f ][:;!?]|[«»']", text), text
    for text in (likely_cause(trouble, {}, language), *texts[1:4]):
        assert text[0].isupper()
        assert text.endswith(".")


def test_texts_of_two_troubles_or_languages_are_never_the_same() -> None:
    for say in (spoken, next_step, advice):
        said = [say(trouble, language) for trouble in TROUBLES for language in LANGUAGES]
        assert len(set(said)) == len(said)
    titles = [title(trouble, {"model": "A"}, language) for trouble in TROUBLES for language in LANGUAGES]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("trouble", "scope", "cause"),
    [
        pytest.param(Trouble.OFFLINE, BETA_84, Cause.CARRIER, id="carrier in a region: the operator"),
        pytest.param(Trouble.NETWORK, {"carrier": "beta"}, Cause.CARRIER, id="carrier everywhere: the operator"),
        pytest.param(Trouble.NETWORK, {"access": "adsl", "region": "84"}, Cause.ACCESS, id="all carriers of an access"),
        pytest.param(Trouble.OFFLINE, {"department": "38"}, Cause.POWER, id="a department without carrier: power or local network"),
        pytest.param(Trouble.NETWORK, {"region": "84"}, Cause.LOCAL_NETWORK, id="a region, network up but bad"),
        pytest.param(Trouble.RADIO, {"region": "53"}, Cause.WEATHER, id="radio of a region"),
        pytest.param(Trouble.PRINTER, {"firmware": "4.3.0", "model": "B"}, Cause.RELEASE, id="firmware: the release"),
        pytest.param(Trouble.OFFLINE, {"firmware": "4.3.0", "carrier": "beta"}, Cause.RELEASE, id="firmware before carrier"),
        pytest.param(Trouble.HEAT, {"lot": "L07"}, Cause.LOT, id="lot: manufacturing"),
        pytest.param(Trouble.SCANNER, {"model": "A"}, Cause.MODEL, id="model"),
        pytest.param(Trouble.PRINTER, {"carrier": "beta"}, Cause.UNKNOWN, id="a carrier breaks no printer"),
        pytest.param(Trouble.PAPER, {"agency": "AG04"}, Cause.SUPPLY, id="paper of an agency"),
        pytest.param(Trouble.CRASHES, {"department": "75"}, Cause.LOCAL, id="crashes of a department"),
        pytest.param(Trouble.OFFLINE, {}, Cause.CENTRAL, id="whole fleet: the central system"),
        pytest.param(Trouble.TX_SLOW, {}, Cause.CENTRAL, id="whole fleet slow: the central system"),
        pytest.param(Trouble.CLOCK, {}, Cause.TIME_SERVER, id="all clocks"),
        pytest.param(Trouble.PRINTER, {}, Cause.COMMON, id="all printers"),
        pytest.param(Trouble.CALLS, {"region": "84"}, Cause.UNSEEN, id="calls alone tell no cause"),
    ],
)
def test_the_likely_cause_follows_from_the_scope(trouble: Trouble, scope: dict[str, str], cause: Cause) -> None:
    assert cause_of(trouble, scope) is cause


def test_the_likely_cause_names_who_is_meant() -> None:
    assert plain(likely_cause(Trouble.OFFLINE, BETA_84, "fr")) == "Panne du réseau de l'opérateur beta."
    assert likely_cause(Trouble.HEAT, {"lot": "L07"}, "en") == "A manufacturing defect in lot L07."
    assert plain(likely_cause(Trouble.MEMORY, {"firmware": "4.3.0"}, "fr")) == "Défaut du micrologiciel 4.3.0."


def test_every_dimension_and_department_can_be_said() -> None:
    assert set(SAID_ORDER) == set(DIMENSIONS)
    assert BEFORE_DEPARTMENT.keys() == NAMES.keys()
    assert set(REGION_OF.values()) == REGION_NAMES.keys()
    for code, name in NAMES.items():
        before = BEFORE_DEPARTMENT[code]
        # In the singular, an elided article goes with a vowel (or the silent h of Hérault), and only with one.
        assert before == "des " or before.endswith("'") == bool(re.match("[AEIOUY]|Hérault", name)), name


def test_two_conditions_are_said_in_the_same_order_whatever_the_order_given() -> None:
    scope = {"region": "84", "carrier": "beta", "model": "B"}
    assert scope_in_words(scope, "en") == scope_in_words(dict(reversed(scope.items())), "en")


def test_of_several_values_one_is_enough_and_said_so() -> None:
    assert plain(scope_in_words({"carrier": ["beta", "alpha"], "model": "B"}, "en")) == "model B, carrier beta or carrier alpha"
    assert plain(scope_in_words({"model": ["A", "B"]}, "fr")) == "modèle A ou modèle B"


@pytest.mark.parametrize(
    ("value", "french", "english"),
    [
        pytest.param(0.0, "0\u202f%", "0%", id="none"),
        pytest.param(0.0001, "moins de 0,1\u202f%", "less than 0.1%", id="something is not nothing"),
        pytest.param(0.0123, "1,2\u202f%", "1.2%", id="small"),
        pytest.param(0.7, "70\u202f%", "70%", id="large"),
        pytest.param(0.9996, "100\u202f%", "100%", id="nearly all"),
    ],
)
def test_shares_as_percentages(value: float, french: str, english: str) -> None:
    assert percent(value, "fr") == french
    assert percent(value, "en") == english


def test_figures_and_times_are_written_as_the_language_writes_them() -> None:
    moment = datetime(2026, 11, 23, 9, 7, tzinfo=UTC)
    assert (whole(15940.4, "fr"), whole(15940.4, "en")) == ("15\u202f940", "15,940")
    assert (decimal(4.06, "fr"), decimal(4.0, "en"), decimal(-0.01, "en")) == ("4,1", "4", "0")
    assert (hour(moment, "fr"), hour(moment, "en")) == ("10\u00a0h\u00a007", "10:07")
    assert (day(moment, "fr"), day(moment, "en")) == ("lundi 23 novembre", "Monday 23 November")
    assert (listed(["a"], "fr"), listed(["a", "b", "c"], "fr"), listed(["a", "b"], "en")) == ("a", "a, b et c", "a and b")


@pytest.mark.parametrize("language", LANGUAGES)
def test_setting_a_text_twice_changes_nothing(language: str) -> None:
    text = 'L\'agent dit : « Attendez ! » Puis "ok" ; 12 ms, 30 % ?'
    once = typeset(text, language)
    assert typeset(once, language) == once


def test_french_is_set_with_spaces_that_do_not_break() -> None:
    assert typeset("L'un : « oui ! »", "fr") == "L’un\u00a0: «\u00a0oui\u202f!\u00a0»"
    assert typeset('It\'s "so": 12 ms', "en") == "It’s “so”: 12\u202fms"


EVIDENCE = Evidence(
    scope=BETA_84,
    terminals=84,
    judged=80,
    observed=56.0,
    expected=0.3,
    rate_inside=0.7,
    rate_outside=0.0012,
    contrasts=(
        Contrast(
            "carrier", True, (Level("beta", 80, 0.7, True), Level("alpha", 400, 0.004, False), Level("gamma", 200, 0.0, False))
        ),
        Contrast("region", True, (Level("84", 80, 0.7, True),)),
        Contrast("model", False, (Level("A", 30, 0.71, False), Level("B", 50, 0.69, False))),
    ),
    leading=(Leading("rtt_ms", 5.2, 0.1), Leading("signal_dbm", -2.0, 0.0), Leading("tickets", 0.4, 0.9)),
    firmware_changed_h=3.2,
    firmware_changed_share=0.9,
)
BEGAN = datetime(2026, 11, 23, 9, 17, tzinfo=UTC)


def test_the_evidence_is_told_in_sentences_the_weightiest_first() -> None:
    told = why_sentences(EVIDENCE.to_json(), "fr", trouble=Trouble.NETWORK, began_at=BEGAN)
    assert [plain(text) for text in told] == [
        "56 terminaux touchés sur 80 dans le périmètre (70 %), contre 0,1 % ailleurs.",
        "Opérateur beta : 70 % ; opérateur alpha : 0,4 % ; opérateur gamma : 0 %.",
        "Dans le périmètre : temps d'aller-retour du réseau très loin au-dessus de l'habitude"
        " et signal radio nettement au-dessous de l'habitude.",
        "Leur micrologiciel a changé il y a 3 h.",
        "Premiers signes à 10 h 17.",
    ]
    told = why_sentences(EVIDENCE.to_json(), "en", trouble=Trouble.NETWORK, began_at=BEGAN)
    assert [plain(text) for text in told] == [
        "56 of 80 terminals in the scope show it (70%), against 0.1% elsewhere.",
        "Carrier beta: 70%; carrier alpha: 0.4%; carrier gamma: 0%.",
        "In the scope: network round trip far above usual and radio signal clearly below usual.",
        "Their firmware changed 3 h ago.",
        "First signs at 10:17.",
    ]


@pytest.mark.parametrize(
    ("changed", "french", "english"),
    [
        pytest.param(
            {"observed": 1.0},
            "1 terminal touché sur 80 dans le périmètre (1,2 %), contre 0,1 % ailleurs.",
            "1 of 80 terminals in the scope shows it (1.2%), against 0.1% elsewhere.",
            id="one",
        ),
        pytest.param(
            {"rate_outside": 0.0},
            "56 terminaux touchés sur 80 dans le périmètre (70 %), aucun ailleurs.",
            "56 of 80 terminals in the scope show it (70%), none elsewhere.",
            id="none elsewhere",
        ),
        pytest.param(
            {"trouble": Trouble.CALLS, "observed": 31.0, "expected": 2.04},
            "31 appels des points de vente du périmètre, contre 2 d'habitude.",
            "31 calls from the shops in the scope, where 2 would be usual.",
            id="calls are counted",
        ),
    ],
)
def test_rates_are_told_by_what_they_count(changed: dict[str, Any], french: str, english: str) -> None:
    evidence = {**EVIDENCE.to_json(), **changed}
    for language, expected in (("fr", french), ("en", english)):
        assert plain(why_sentences(evidence, language, trouble=changed.get("trouble", Trouble.OFFLINE))[0]) == expected


@pytest.mark.parametrize(
    ("hours", "share", "french"),
    [
        pytest.param(0.4, 1.0, "Leur micrologiciel a changé il y a moins d'une heure.", id="just now"),
        pytest.param(80.0, 1.0, "Leur micrologiciel a changé il y a 3 jours.", id="days"),
        pytest.param(3.0, 0.2, None, id="few of them changed it: not told"),
        pytest.param(None, 0.0, None, id="unknown: not told"),
    ],
)
def test_a_change_of_firmware_is_told_where_most_share_it(hours: float | None, share: float, french: str | None) -> None:
    evidence = {**EVIDENCE.to_json(), "firmware_changed_h": hours, "firmware_changed_share": share}
    told = [plain(text) for text in why_sentences(evidence, "fr") if "micrologiciel" in text]
    assert told == ([french] if french else [])


def test_what_was_declared_by_a_person_has_no_evidence_to_tell() -> None:
    assert why_sentences({}, "fr") == []
    assert [plain(text) for text in why_sentences({}, "fr", began_at=BEGAN)] == ["Premiers signes à 10 h 17."]


def test_every_field_of_a_sample_has_a_name() -> None:
    assert set(METRICS) >= set(SAMPLE_FIELDS)
