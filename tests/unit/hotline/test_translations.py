import ast
import importlib.resources
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import hotline.translations
from diagnostics.reasons import Reason, State
from firmware_rollout.status import Kind
from fleet.contract import SAMPLE_FIELDS
from fleet.registry import DIMENSIONS
from hotline import call_words, rollout_line, words
from hotline.call_legs import Outcome
from hotline.call_state import Reason as CallReason
from hotline.call_state import State as CallState
from hotline.roles import Role
from hotline.translations import load, preferred
from hotline.translations.extract import ERRORS, messages

FR = importlib.resources.files(hotline.translations) / "fr.po"
TEMPLATES = sorted((importlib.resources.files("hotline.web") / "templates").iterdir(), key=lambda path: path.name)


def in_french() -> dict[str | tuple[str, ...], str | tuple[str, ...]]:
    with FR.open("rb") as source:
        catalogue = read_po(source, locale="fr")
    return {_one_or_pair(entry.id): _one_or_pair(entry.string or "") for entry in catalogue if entry.id}


def _one_or_pair(text: str | list[str] | tuple[str, ...]) -> str | tuple[str, ...]:
    return text if isinstance(text, str) else tuple(text)


def test_every_text_has_its_french() -> None:
    french = in_french()
    missing = [f"{where}: {text!r}" for where, text in messages() if not french.get(text)]
    assert not missing


# Their errors are only shown on the server's command line.
BY_COMMAND_ONLY = {"firmware_rollout/trust/keys.py", "firmware_rollout/trust/signing.py", "firmware_rollout/trust/online.py"}


def test_what_is_wrong_with_a_field_is_a_text_that_can_be_translated() -> None:
    root = Path(hotline.__file__).parents[1]
    files = [*root.glob("firmware_rollout/**/*.py"), *root.glob("hotline/**/*.py"), root / "fleet/scope.py"]
    found = []
    for file in (one for one in files if str(one.relative_to(root)) not in BY_COMMAND_ONLY):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS and len(call.args) > 1:
                # A name or an attribute hands on what others have said.
                found += [f"{file.name}:{call.lineno}"] if isinstance(call.args[1], ast.JoinedStr | ast.BinOp) else []
    assert not found


def test_the_catalogue_holds_nothing_that_is_not_used() -> None:
    used = {text for _, text in messages()}
    assert set(in_french()) <= used


def test_translations_keep_every_placeholder() -> None:
    def names(text: str | tuple[str, ...]) -> set[str]:
        return set(re.findall(r"%\((\w+)\)s", " ".join(text) if isinstance(text, tuple) else text))

    wrong = [text for text, french in in_french().items() if names(french) != names(text)]
    assert not wrong


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_no_bare_text(template: importlib.resources.abc.Traversable) -> None:
    source = template.read_text(encoding="utf-8")
    source = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", source, flags=re.DOTALL)
    shown = re.findall(r"""\b(?:title|placeholder|aria-label|alt)=["']([^"']*)["']""", source)
    shown.append(re.sub(r"<[^>]*>", "", source, flags=re.DOTALL))
    # The product's name is the same everywhere.
    bare = [text.strip() for text in shown if re.search(r"[^\W\d_]", text.replace("Vigie", ""))]
    assert not bare


def test_every_state_reason_role_and_figure_has_words() -> None:
    assert set(words.REASONS) == set(Reason)
    assert set(words.STATES) == set(State)
    assert set(words.CALL_STATES) == set(CallState)
    assert set(call_words.REASONS) == set(CallReason)
    assert set(call_words.OUTCOMES) == set(Outcome)
    assert set(words.ROLES) == set(Role)
    assert set(rollout_line.ROLLOUT) == set(Kind)
    assert tuple(words.FIGURES) == SAMPLE_FIELDS
    assert tuple(words.DIMENSIONS) == DIMENSIONS


@pytest.mark.parametrize(
    ("asked", "language"),
    [("fr-FR,fr;q=0.9,en;q=0.8", "fr"), ("en-US,en;q=0.9", "en"), ("de,en;q=0.5", "en"), ("de", "fr"), ("", "fr")],
)
def test_the_browsers_language_is_taken_where_we_speak_it(asked: str, language: str) -> None:
    assert preferred(asked) == language


@pytest.mark.parametrize(
    ("code", "value", "language", "text"),
    [
        ("paper_low", 4.0, "fr", "bientôt plus de papier (4\u202f%)"),
        ("paper_low", 4.0, "en", "paper low (4\u202f%)"),
        ("clock_off", -95_000.0, "fr", "horloge fausse (-95\u202fs)"),
        ("disk_low", 1234.0, "fr", "mémoire de stockage presque pleine (1\u202f234\u202fMo)"),
        ("offline", None, "en", "not connected"),
        ("no_sales", 25.0, "fr", "connecté mais ne vend rien\u00a0: l'application est bloquée (depuis 25\u202fmin)"),
        ("tx_failing", 34.4, "en", "bets without an answer, or refused (34\u202f% of bets)"),
        ("printer_failing", 12.0, "fr", "l'imprimante a des ratés à répétition (erreurs en une heure\u00a0: 12)"),
        ("radio_weak", -108.2, "en", "radio signal much weaker than usual (-108\u202fdBm)"),
        ("crash_loop", None, "fr", "l'application de jeu plante à répétition"),
        ("a_later_release's", None, "fr", "a_later_release's"),
    ],
)
def test_reasons_are_said_in_words_with_their_figure(code: str, value: float | None, language: str, text: str) -> None:
    translate = load()[language].gettext
    assert words.reason_text(code, value, translate=translate, language=language) == text


def test_opening_hours_speak_the_readers_language() -> None:
    translate = load()["fr"].gettext
    assert words.hours_text("Mo-Sa 07:00-20:00; Su off", translate=translate) == "lun-sam 07:00-20:00; dim fermé"
