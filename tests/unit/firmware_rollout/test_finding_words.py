"""The gate's evidence in words: a number of a hundred digits says no more than its size."""

import math

import pytest

from firmware_rollout.gating import in_figures


@pytest.mark.parametrize(
    ("value", "said"),
    [(math.log(1400), "1,400"), (math.log(532_830), "532,830"), (math.log(3e12), "10^12"), (1000.0, "10^434")],
)
def test_evidence_is_written_in_full_until_it_is_too_long_to_read(value: float, said: str) -> None:
    assert in_figures(value) == said
