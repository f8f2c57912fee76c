from datetime import UTC, datetime, timedelta
from typing import Any

from diagnostics.symptom_store import Symptom
from diagnostics.troubles import Trouble
from fleet.contract import SAMPLE_FIELDS, EventCode
from hotline import words
from hotline.terminal_day import STEP
from hotline.terminal_history import Happened, Moment, TerminalHistory, time_line
from hotline.terminal_plots import figure_charts
from hotline.translations import load

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
START = NOW - timedelta(days=1)


def step(number: int, **figures: float) -> dict[str, Any]:
    return {"at": START + number * STEP, "samples": 30, **dict.fromkeys(SAMPLE_FIELDS), **figures}


def symptom(began: timedelta, ended: timedelta | None) -> Symptom:
    return Symptom("T00012", Trouble.HEAT, NOW - began, NOW - began, None if ended is None else NOW - ended, 81.0, 1e-9)


def test_the_time_line_holds_everything_newest_first_and_nothing_from_before() -> None:
    hour = timedelta(hours=1)
    lasts, over = symptom(30 * hour, None), symptom(5 * hour, 2 * hour)
    moments = time_line(
        events=[(NOW - hour, "REBOOT", "unexpected"), (NOW - 6 * hour, "OPEN", "")],
        changes=[(NOW - 3 * hour, True), (NOW - 4 * hour, False)],
        symptoms=[over, lasts],
        start=START,
    )
    assert [one.what for one in moments] == [
        Happened.EVENT,
        Happened.SYMPTOM_OVER,
        Happened.CONNECTED,
        Happened.DISCONNECTED,
        Happened.SYMPTOM,
        Happened.EVENT,
    ]
    assert (moments[0].code, moments[0].detail, moments[1].symptom) == ("REBOOT", "unexpected", over)


def test_what_counted_nothing_is_said_and_what_was_not_measured_is_neither_said_nor_plotted() -> None:
    day = TerminalHistory(
        START, NOW, [step(n, tickets=3.0, rejects=0.0, board_c=0.0, uptime_s=9.0) for n in (0, 1)], [], more=False
    )
    assert day.plotted == ["tickets", "board_c"]
    assert day.zero == ["rejects"]


def test_each_figure_is_drawn_with_its_gaps_and_what_was_found() -> None:
    steps = [step(n, mem_mb=400.0 + n) for n in (0, 1, 2, 50, 51)]
    day = TerminalHistory(START, NOW, steps, [Moment(START + 10 * STEP, Happened.SYMPTOM)], more=False)
    (chart,) = figure_charts(day, translate=load()["fr"].gettext, language="fr")
    assert chart.caption == "Mémoire libre"
    assert "De 400\u202fMo à 451\u202fMo." in chart.drawing
    assert "trouvé" in chart.drawing or "détecté" in chart.drawing
    (line,) = (part for part in chart.drawing.split('"') if part.startswith("M") and part.count("L") > 1)
    assert line.count("M") == 2


def test_every_event_has_words() -> None:
    assert set(words.EVENTS) == set(EventCode)
