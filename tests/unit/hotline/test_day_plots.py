import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.symptom_store import Symptom
from diagnostics.troubles import Trouble
from hotline.day_plots import DayPlots
from hotline.terminal_day import DAY, STEP, TerminalDay
from hotline.translations import load

NOW = datetime(2026, 11, 23, 14, 7, tzinfo=UTC)
START = NOW - DAY


def step(number: int, **figures: float | None) -> dict[str, Any]:
    return {"at": START + number * STEP, "samples": 30, **figures}


def day_of(
    steps: Sequence[dict[str, Any]], *, symptoms: Sequence[Symptom] = (), blamed: frozenset[str] = frozenset()
) -> TerminalDay:
    return TerminalDay(START, NOW, steps, ("tickets", "tx_ms"), blamed, symptoms)


def drawn(day: TerminalDay, language: str = "en") -> str:
    strip = DayPlots(translate=load()[language].gettext, language=language).strip(day, "T00012")
    ElementTree.fromstring(strip)
    return str(strip)


def test_a_line_breaks_where_nothing_was_measured() -> None:
    whole = drawn(day_of([step(n, tickets=3.0) for n in range(8)]))
    broken = drawn(day_of([step(n, tickets=3.0) for n in (0, 1, 2, 5, 6, 7)]))
    measured = drawn(day_of([step(n, tickets=None if n == 4 else 3.0) for n in range(8)]))
    (line,), (first,), (second,) = (re.findall(r'plot-path plot-s0" d="([^"]*)"', text) for text in (whole, broken, measured))
    assert (line.count("M"), first.count("M"), second.count("M")) == (1, 2, 2)


def test_silence_is_a_gap_in_what_was_heard_and_the_open_step_is_none() -> None:
    heard = re.findall(r'day-heard" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn(day_of([step(n) for n in (0, 1, 2, 94, 95)])))
    assert len(heard) == 2
    assert float(heard[1][0]) + float(heard[1][1]) == pytest.approx(394)


def test_what_is_to_blame_is_marked_and_figures_never_measured_are_left_out() -> None:
    text = drawn(day_of([step(1, tickets=3.0, tx_ms=None)], blamed=frozenset({"tickets"})))
    assert re.search(r'day-blamed">.*bets sold', text)
    assert "bet transaction" not in text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "the printer fails again and again (errors in an hour: 14), 07:07–09:07"),
        ("fr", "erreurs en une heure\u00a0: 14), 07:07–09:07"),
    ],
)
def test_a_symptom_is_told_in_words_with_its_times(language: str, said: str) -> None:
    began = NOW - timedelta(hours=8)
    over = Symptom("T00012", Trouble.PRINTER, began, began, began + timedelta(hours=2), 14.0, 1e-9)
    lasts = Symptom("T00012", Trouble.OFFLINE, NOW - timedelta(minutes=3), NOW, None, None, 1e-9)
    day = day_of([step(1, tickets=3.0)], symptoms=[lasts, over])
    assert said in drawn(day, language)
    assert day.over == [over]


def test_what_was_drawn_lately_is_drawn_again_only_when_it_looks_otherwise() -> None:
    plots = DayPlots(translate=load()["en"].gettext, language="en")
    steps = [step(n, tickets=3.0) for n in range(8)]
    first = plots.strip(day_of(steps), "T00012")
    assert plots.strip(day_of(list(steps)), "T00012") is first
    assert plots.strip(day_of([*steps, step(8, tickets=9.0)]), "T00012") != first
    assert plots.strip(day_of(steps, blamed=frozenset({"tickets"})), "T00012") != first
    assert plots.strip(day_of(steps), "T00013") != first


def test_a_day_without_a_word_says_so() -> None:
    assert "Nothing was received." in drawn(day_of([]))
    assert "Rien n'a été reçu." in drawn(day_of([]), "fr").replace("&#x27;", "'")


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(0, 95), st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=96),
    st.lists(st.tuples(st.integers(-2000, 1440), st.integers(0, 3000)), max_size=5),
)
def test_nothing_is_drawn_outside_the_picture(values: dict[int, float | None], spans: list[tuple[int, int]]) -> None:
    began = [(START + timedelta(minutes=start), timedelta(minutes=length)) for start, length in spans if start + length > 0]
    symptoms = [Symptom("T00012", Trouble.HEAT, at, NOW, min(NOW, at + length), 81.0, 1e-9) for at, length in began]
    text = drawn(day_of([step(n, tx_ms=value) for n, value in sorted(values.items())], symptoms=symptoms))
    width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', text)[0])
    for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", text):
        assert 0 <= float(x) <= width
        assert -0.1 <= float(y) <= height
    for x, wide in re.findall(r'<rect class="[^"]*" x="(-?[\d.]+)" y="[\d.]+" width="([\d.]+)"', text):
        assert 0 <= float(x) <= float(x) + float(wide) <= width
