"""The gate's evidence in words: a number of a hundred digits says no more than its size."""

import math

import pytest

from firmware_rollout.gate.evidence import none_yet
from firmware_rollout.gate.judging import MetricReading, Reading, Reason, Situation, Verdict, Why
from firmware_rollout.gate.policy import DEFAULT_POLICY, Metric
from firmware_rollout.gating import finding, in_figures


@pytest.mark.parametrize(
    ("value", "said"),
    [(math.log(1400), "1,400"), (math.log(532_830), "532,830"), (math.log(3e12), "10^12"), (1000.0, "10^434")],
)
def test_evidence_is_written_in_full_until_it_is_too_long_to_read(value: float, said: str) -> None:
    assert in_figures(value) == said


@pytest.mark.parametrize(
    ("why", "odds", "needed", "said"),
    [
        pytest.param(Why.UNCHANGED, 0.11, 0.02, "not proven, but enough (odds 0.11 to 1, needs 0.02)", id="a small wave"),
        pytest.param(Why.UNCHANGED, 42, 3, "unchanged (odds 42 to 1, needs 3)", id="proven"),
        pytest.param(Why.NOT_SURE_YET, 0.5, 3, "not sure yet (odds 0.5 to 1, needs 3)", id="waits"),
    ],
)
def test_what_is_not_proven_is_not_called_unchanged(why: Why, odds: float, needed: float, said: str) -> None:
    none = none_yet(DEFAULT_POLICY.metrics[0])
    read = MetricReading(Metric.PRINTER_ERRORS, none, (), none, 0.0, math.log(odds), 24.1)
    reason = Reason(why, Metric.PRINTER_ERRORS, math.log(odds), math.log(needed))
    situation = Situation(1, 0.5, 2.0, 3.0, 100.0)
    assert finding(Reading(DEFAULT_POLICY, situation, (read,), Verdict.PROMOTE, (reason,))) == f"printer errors: {said}"
