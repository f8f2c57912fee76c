"""What the screens of `vigie up` say."""

import os

import pytest

from vigie.up.screen import PlainScreen, cost, duration


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0 s"), (59.9, "59 s"), (185, "3 min 05"), (7620, "2 h 07")])
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_process_costs_memory_and_a_gone_one_nothing() -> None:
    mine = cost(os.getpid())
    assert mine is not None
    assert mine.memory_mb > 1
    assert cost(2**22 + 1) is None


def test_a_log_gets_each_fact_once_and_figures_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    for second in range(3):
        screen.show([], ["console http://127.0.0.1:8080"], f"{second} terminals")
    assert capsys.readouterr().out == "console http://127.0.0.1:8080\n0 terminals\n"
