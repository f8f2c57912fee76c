"""A row of the rollout's audit is read in lines, whatever was noted in it."""

import pytest

from firmware_rollout.planning import Why
from firmware_rollout.states import State
from hotline.audit_lines import lines_of
from hotline.translations import load

EN = load()["en"].gettext
MOVE = {
    "from": State.PLANNED,
    "to": State.UPDATING,
    "why": Why.WAVE_DUE,
    "inputs": {"reported": "4.2.1", "online": True, "health": None, "attempts": 0},
    "terminals": [f"T{number:05}" for number in range(1, 12)],
}


@pytest.mark.parametrize(
    ("details", "lines"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param(
            {"counted": {"wave_due": 11}, "moves": [MOVE]},
            [
                "planned → updating · its wave has begun · 11 (T00001, T00002, T00003, T00004, T00005, T00006, T00007, T00008 … +3)"
                " · reported: 4.2.1, online: True, attempts: 0"
            ],
            id="moves",
        ),
        pytest.param(
            {"from": "running", "opens": None, "inputs": {"reading": 7, "wave": 1}, "policy": "{}"},
            ["from: running", "inputs reading: 7", "inputs wave: 1"],
            id="a decision",
        ),
        pytest.param({"where": {"model": ["B"], "hw": ["2", "3"]}}, ["where model: B", "where hw: 2, 3"], id="a target"),
    ],
)
def test_what_was_noted_is_told_in_lines(details: dict[str, object], lines: list[str]) -> None:
    assert lines_of(details, translate=EN) == lines
