"""The figures of an evaluation as programs read them, and what the command line says to a bad file."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from vigie.cli import app
from vigie.evaluate.evaluation import Result
from vigie.evaluate.matching import FaultOutcome, Outcome
from vigie.evaluate.record import Life
from vigie.evaluate.report import as_json, scenario_table, total_table, totals, write_json


def found(latency_s: float, *, exact: bool = True) -> FaultOutcome:
    return FaultOutcome(0, "power_cut", "incident", 30, True, latency_s, {"department": "59"}, exact, 0.91236)


MISSED = FaultOutcome(1, "disk_full", "incident", 30, detected=False)
UNSEEN = FaultOutcome(2, "disk_full", "incident", 30, detected=None)
ILL = FaultOutcome(3, "weak_radio", "symptom", 1, True, 55.0)
WELL = FaultOutcome(4, "weak_radio", "symptom", 1, detected=False)


def result(*faults: FaultOutcome, false_incidents: int = 0, false_symptoms: int = 0, hours: float = 12) -> Result:
    true = sum(1 for fault in faults if fault.expect == "incident" and fault.detected)
    life: list[Life] = [None] * false_incidents  # type: ignore[list-item]  # only counted
    outcome = Outcome(faults, life, [None] * false_symptoms, true)  # type: ignore[list-item]  # only counted
    return Result("a/b.toml", "b", outcome, hours * 3600, np.linspace(0.001, 0.1, 100), play_wall_s=hours * 6, warm_wall_s=3.0)


def test_the_json_has_the_keys_that_programs_rely_on() -> None:
    document = as_json([result(found(60), false_incidents=1, false_symptoms=2)])
    assert document["scenarios"] == [
        {
            "file": "a/b.toml",
            "name": "b",
            "faults": [
                {
                    "kind": "power_cut",
                    "expect": "incident",
                    "terminals": 30,
                    "detected": True,
                    "latency_s": 60.0,
                    "incident_scope": {"department": "59"},
                    "scope_exact": True,
                    "jaccard": 0.9124,
                }
            ],
            "false_incidents": 1,
            "false_symptoms": 2,
            "days": 0.5,
        }
    ]
    assert list(document["total"]) == [
        "recall", "precision", "scope_exact", "latency_p50_s", "latency_p95_s", "false_incidents_per_day", "symptom_precision",
        "symptom_recall", "tick_p99_ms", "times_real_time",
    ]  # fmt: skip


def test_recall_precision_and_latency_are_over_all_scenarios() -> None:
    figures = totals([result(found(60), MISSED, UNSEEN), result(found(100, exact=False), found(80), false_incidents=1)])
    assert figures["recall"] == 0.75, "who could not show is not missed"
    assert figures["precision"] == 0.75
    assert figures["scope_exact"] == pytest.approx(2 / 3, abs=1e-3)
    assert figures["latency_p50_s"] == 80.0
    assert figures["false_incidents_per_day"] == 1.0
    assert figures["times_real_time"] == 600.0


def test_symptoms_are_held_against_the_false_ones_of_their_own_scenarios() -> None:
    figures = totals([result(ILL, ILL, WELL, false_symptoms=1), result(found(1), false_symptoms=50)])
    assert figures["symptom_recall"] == pytest.approx(2 / 3, abs=1e-3)
    assert figures["symptom_precision"] == pytest.approx(2 / 3, abs=1e-3)


def test_what_was_not_there_to_be_counted_is_null() -> None:
    figures = totals([result()])
    assert [figures[name] for name in ("recall", "precision", "scope_exact", "latency_p95_s", "symptom_recall")] == [None] * 5
    assert figures["false_incidents_per_day"] == 0.0


def test_the_file_is_json_and_the_tables_name_faults_and_misses(tmp_path: Path) -> None:
    results = [result(found(60), MISSED, UNSEEN, ILL, false_incidents=2)]
    write_json(tmp_path / "deep" / "out.json", results)
    assert json.loads((tmp_path / "deep" / "out.json").read_text())["total"]["recall"] == 0.5
    console = Console(width=100, record=True, file=(tmp_path / "shown").open("w"))
    console.print(scenario_table(results))
    console.print(total_table(results))
    text = console.export_text()
    for words in ("power_cut", "60 s", "department=59", "missed", "could not show", "1 of 1", "2, 0"):
        assert words in text, words


def test_a_scenario_that_cannot_be_played_is_named_before_any_is(tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text('name = "g"\nseed = 1\nterminals = 20\nstart = "2026-11-24T15:00:00+01:00"\nminutes = 1\n')
    bad = tmp_path / "bad.toml"
    bad.write_text(good.read_text().replace("seed = 1", "seeds = 1"))
    outcome = CliRunner().invoke(app, ["evaluate", str(good), str(bad)])
    assert outcome.exit_code != 0
    assert "seeds" in str(outcome.exception)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param("{", "not JSON", id="no JSON"),
        pytest.param('{"scan": 1}', "no such field", id="an unknown field"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_named(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "calibration.json"
    if text is not None:
        path.write_text(text)
    outcome = CliRunner().invoke(app, ["evaluate", "--calibration", str(path), str(tmp_path / "a.toml")])
    assert outcome.exit_code != 0
    assert str(path) in str(outcome.exception)
    assert words in str(outcome.exception)
