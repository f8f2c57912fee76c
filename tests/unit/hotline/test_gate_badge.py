"""What the gate's newest word is called on a campaign's page."""

import pytest

from firmware_rollout.gate.judging import Verdict
from hotline.web.pages import Pages


@pytest.mark.parametrize(
    ("verdict", "all_begun", "said"),
    [
        (Verdict.PROMOTE, False, "the next wave may begin"),
        (Verdict.PROMOTE, True, "no harm found"),
        (Verdict.WAIT, True, "not enough evidence yet"),
    ],
)
def test_no_next_wave_is_promised_where_none_is_left(verdict: Verdict, all_begun: bool, said: str) -> None:
    macros = Pages()._environments["en"].get_template("rollout_macros.html").make_module({"wrong": {}})
    assert said in macros.verdict({"verdict": verdict}, all_begun=all_begun)  # type: ignore[attr-defined]  # as templates call it
