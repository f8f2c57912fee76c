"""The truth file: what is written is read, and a file cut short is refused."""

from pathlib import Path

import pytest

from simulators import truth

PLAY = truth.Play("quiet", 7, 2, 1_000_000, 2_000_000, 3600)
FAULT = truth.Fault(0, "power_cut", "incident", {"department": "59"}, ["T00001"], [1_500_000], None, 1_800_000)
TERMINAL = truth.Terminal("T00001", [truth.Boot(1000, 12, dropped=[(1, 2)], left=[(12, 12)]), truth.Boot(1500, 3)])
CALL = truth.Call("c-0", "anonymous", "P00001", "technical", "écran noir", 0, 1_400_000, None, 1_460_000, "abandoned", [200, 200])
UPDATE = truth.Update("T00001", 1_600_000, "4.4.0", "B")
TOTAL = truth.Total(15, 2, 1, 0, 9, 14, 1, 12, 1, 0, 0, {"closed by the broker": 1}, 1, 0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "truth.jsonl"
    truth.write(path, [PLAY, FAULT, TERMINAL, UPDATE, CALL, TOTAL])
    assert truth.read(path) == truth.Truth(PLAY, [FAULT], [TERMINAL], [CALL], TOTAL, [UPDATE])
    assert [p.name for p in path.parent.iterdir()] == ["truth.jsonl"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "cannot be read", id="no file"),
        pytest.param("", "not a whole truth file", id="empty"),
        pytest.param("play", "line 1", id="no JSON"),
        pytest.param('{"kind":"guess"}', "line 1", id="an unknown kind"),
    ],
)
def test_what_is_no_truth_file_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "truth.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(truth.TruthError, match=said):
        truth.read(path)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    truth.write(path, [PLAY, TERMINAL])
    with pytest.raises(truth.TruthError, match="did not come to its end"):
        truth.read(path)
