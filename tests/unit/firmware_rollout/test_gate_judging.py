"""The gate's verdicts, and that a reading can be judged again to the last bit."""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from firmware_rollout.gate.evidence import none_yet
from firmware_rollout.gate.gate import Gate
from firmware_rollout.gate.judging import Reading, Situation, Verdict, Why, judge, replay
from firmware_rollout.gate.policy import DEFAULT_POLICY, GatePolicy, Metric, Needed, PolicyError, check_policy
from firmware_rollout.gate.watching import Cell

NOTHING: dict[Metric, tuple[Cell, ...] | None] = dict.fromkeys(Metric, ())
# So many marks, shared as the arms are: what an unchanged release looks like when much is known.
EVEN: tuple[Cell, ...] = ((500, 9500, 20, 380),) * 20
WORSE: tuple[Cell, ...] = ((500, 9500, 40, 380),) * 20


def judged(situation: Situation, policy: GatePolicy = DEFAULT_POLICY, **cells: Any) -> Reading:
    counted = NOTHING | {Metric(name): some for name, some in cells.items()}
    return judge(policy, situation, {one.metric: none_yet(one) for one in policy.metrics}, counted)


def at(next_pct: float, *, days: float = 5, updated_pct: float = 100) -> Situation:
    return Situation(3, 5.0, next_pct, days, updated_pct)


def sure(**more: Any) -> dict[str, Any]:
    return {str(metric): EVEN for metric in Metric} | more


@pytest.mark.parametrize(
    ("situation", "cells", "verdict", "why"),
    [
        pytest.param(at(15), sure(), Verdict.PROMOTE, {Why.UNCHANGED}, id="much known and unchanged"),
        pytest.param(at(15), {}, Verdict.WAIT, {Why.NOT_SURE_YET}, id="nothing known"),
        pytest.param(at(15), sure(crashes=()), Verdict.WAIT, {Why.NOT_SURE_YET}, id="one metric not known"),
        pytest.param(at(15), sure(calls=None), Verdict.WAIT, {Why.NOT_MEASURED}, id="one metric not measured"),
        pytest.param(at(15, days=1), sure(), Verdict.WAIT, {Why.TOO_EARLY}, id="too early"),
        pytest.param(at(15, updated_pct=40), sure(), Verdict.WAIT, {Why.TOO_FEW_UPDATED}, id="most have not updated"),
        pytest.param(at(15), sure(calls=WORSE), Verdict.HALT, {Why.WORSE}, id="calls are worse"),
        pytest.param(at(15, days=0.5), {"silence": WORSE}, Verdict.HALT, {Why.WORSE}, id="worse halts at any time"),
        pytest.param(at(15), sure(crashes=WORSE, calls=None), Verdict.HALT, {Why.WORSE}, id="worse though another is missing"),
        pytest.param(at(15, days=45), {}, Verdict.HALT, {Why.UNDECIDED, Why.NOT_SURE_YET}, id="never sure"),
    ],
)
def test_verdict_and_reason(situation: Situation, cells: dict[str, Any], verdict: Verdict, why: set[Why]) -> None:
    reading = judged(situation, **cells)
    assert (reading.verdict, {one.why for one in reading.reasons}) == (verdict, why)


def test_a_halt_names_the_metric_and_its_evidence() -> None:
    (reason,) = judged(at(15), **sure(calls=WORSE)).reasons
    assert reason.metric is Metric.CALLS
    assert reason.value >= reason.needed == DEFAULT_POLICY.log_threshold


def test_more_shops_at_stake_need_higher_odds() -> None:
    for metric in DEFAULT_POLICY.metrics:
        odds = [metric.odds_beyond(pct) for pct in (2.0, 5.0, 15.0, 40.0, 95.0, 100.0)]
        assert odds == sorted(odds)
        assert odds[-1] >= 20


def test_the_first_wave_waits_for_silence_alone() -> None:
    reading = judged(Situation(1, 0.5, 2.0, 5, 100))
    assert [(one.why, one.metric) for one in reading.reasons] == [(Why.NOT_SURE_YET, Metric.SILENCE)]
    assert judged(Situation(1, 0.5, 2.0, 5, 100), silence=EVEN).verdict is Verdict.PROMOTE


@pytest.mark.parametrize(
    ("of_fleet", "verdict", "waits_for"),
    [
        pytest.param(1.0, Verdict.WAIT, set(Metric), id="everybody's: 40 % of the fleet at stake"),
        pytest.param(0.2, Verdict.WAIT, set(Metric) - {Metric.CALLS}, id="a fifth of the fleet: 8 % at stake"),
        pytest.param(
            0.03, Verdict.WAIT, {Metric.SILENCE}, id="three hundred shops: 1.2 % at stake, as in a large one's first wave"
        ),
        pytest.param(0.01, Verdict.PROMOTE, set(), id="a hundred shops: 0.4 % at stake, no more than anybody's first wave"),
    ],
)
def test_odds_are_asked_by_the_part_of_the_fleet_at_stake(of_fleet: float, verdict: Verdict, waits_for: set[Metric]) -> None:
    reading = judged(msgspec.structs.replace(at(40), of_fleet=of_fleet))
    assert (reading.verdict, {one.metric for one in reading.reasons if one.why is Why.NOT_SURE_YET}) == (verdict, waits_for)


def test_a_reading_of_everybodys_campaign_is_written_as_before_there_were_others() -> None:
    kept = msgspec.json.encode(judged(at(15)))
    assert b"of_fleet" not in kept
    small = judged(msgspec.structs.replace(at(15), of_fleet=0.03))
    assert replay(msgspec.json.decode(msgspec.json.encode(small), type=Reading)) == small


def days_of_a_campaign() -> list[Reading]:
    rng = np.random.default_rng(5)
    shops = 2000
    strata = {metric: rng.integers(0, 4, shops) for metric in Metric}
    gate = Gate(DEFAULT_POLICY, strata)
    updated = rng.random(shops) < 0.1
    gate.begin_wave(updated)
    readings = []
    for day in range(12):
        marks = {metric: rng.random(shops) < np.where(updated, 0.03, 0.015) for metric in Metric}
        readings.append(gate.close(marks, Situation(1, 10.0, 40.0, day + 1.0, 100.0)))
    return readings


def test_every_reading_can_be_judged_again_from_its_json_to_the_last_bit() -> None:
    readings = days_of_a_campaign()
    assert readings[-1].verdict is Verdict.HALT
    for reading in readings:
        kept = msgspec.json.encode(reading)
        again = replay(msgspec.json.decode(kept, type=Reading))
        assert again == reading
        assert msgspec.json.encode(again) == kept


def test_an_altered_reading_shows() -> None:
    reading = days_of_a_campaign()[-1]
    text = msgspec.json.encode(reading)
    altered = msgspec.json.decode(text.replace(b'"verdict":"halt"', b'"verdict":"pass"'), type=Reading)
    assert replay(altered) != altered


def test_each_reading_goes_on_where_the_one_before_ended() -> None:
    readings = days_of_a_campaign()
    for before, after in pairwise(readings):
        assert [one.after for one in before.metrics] == [one.before for one in after.metrics]


def test_calls_count_for_nobody_in_the_days_of_grace_and_silence_at_once() -> None:
    shops = 400
    gate = Gate(DEFAULT_POLICY, {metric: np.zeros(shops, np.int64) for metric in Metric})
    updated = np.arange(shops) < 20
    gate.begin_wave(updated)
    nobody = np.zeros(shops, bool)
    readings = [
        gate.close(
            dict.fromkeys(Metric, nobody) | {Metric.CALLS: updated, Metric.SILENCE: np.arange(shops) == day},
            Situation(1, 5.0, 15.0, day + 1.0, 100.0),
        )
        for day in range(3)
    ]
    observed = [{one.metric: one.after.observed for one in reading.metrics} for reading in readings]
    assert [one[Metric.CALLS] for one in observed] == [0, 0, 20]
    assert [one[Metric.SILENCE] for one in observed] == [1, 2, 3]


def test_a_wave_that_begins_in_the_grace_of_the_last_takes_its_shops_along() -> None:
    shops = 100
    gate = Gate(DEFAULT_POLICY, {metric: np.zeros(shops, np.int64) for metric in Metric})
    numbers, nobody = np.arange(shops), np.zeros(shops, bool)
    for wave in (1, 2):
        gate.begin_wave(numbers // 5 == wave - 1)
        gate.close(dict.fromkeys(Metric, nobody), Situation(wave, 5.0 * wave, 40.0, 1.0, 100.0))
    reading = gate.close(dict.fromkeys(Metric, nobody) | {Metric.CALLS: numbers < 11}, Situation(2, 10.0, 40.0, 3.0, 100.0))
    (calls,) = (one for one in reading.metrics if one.metric is Metric.CALLS)
    assert calls.cells == ((10, 90, 10, 1),)


def test_bricks_halt_on_the_first_day() -> None:
    shops = 10_000
    gate = Gate(DEFAULT_POLICY, {metric: np.zeros(shops, np.int64) for metric in Metric})
    updated = np.arange(shops) < 50
    gate.begin_wave(updated)
    ordinary = np.arange(shops) % 160 == 159
    nobody = np.zeros(shops, bool)
    reading = gate.close(dict.fromkeys(Metric, nobody) | {Metric.SILENCE: updated | ordinary}, Situation(1, 0.5, 2.0, 1.0, 100.0))
    assert (reading.verdict, reading.reasons[0].metric) == (Verdict.HALT, Metric.SILENCE)


def changed(**values: Any) -> GatePolicy:
    return msgspec.structs.replace(DEFAULT_POLICY, **values)


def with_first(**values: Any) -> GatePolicy:
    return changed(metrics=(msgspec.structs.replace(DEFAULT_POLICY.metrics[0], **values),))


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        pytest.param(changed(alpha=0.0), "alpha", id="no chance"),
        pytest.param(changed(metrics=()), "metrics", id="watches nothing"),
        pytest.param(changed(metrics=DEFAULT_POLICY.metrics * 2), "metrics", id="twice"),
        pytest.param(changed(least_days=50.0), "least_days", id="least above longest"),
        pytest.param(changed(least_updated_pct=101.0), "least_updated_pct", id="more than all"),
        pytest.param(with_first(ratios=(1.0, 2.0)), "printer_errors.ratios", id="no worse"),
        pytest.param(with_first(tolerated=1.0), "printer_errors.tolerated", id="tolerates nothing"),
        pytest.param(with_first(needed=(Needed(5.0, float("inf")),)), "printer_errors.needed", id="endless odds"),
        pytest.param(with_first(needed=(Needed(500.0, 2.0),)), "printer_errors.needed", id="beyond everybody"),
        pytest.param(with_first(tolerated=1e300), "printer_errors.tolerated", id="tolerates anything"),
        pytest.param(with_first(ratios=(2.0, 1e300)), "printer_errors.ratios", id="looks for what cannot be"),
        pytest.param(changed(longest_days=1e9), "longest_days", id="for ever"),
        pytest.param(with_first(metric=Metric.SILENCE, grace_days=1), "silence.grace_days", id="grace for silence"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(policy: GatePolicy, field: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check_policy(policy)
    assert refused.value.field == field


def test_the_policy_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DEFAULT_POLICY), type=GatePolicy) == DEFAULT_POLICY
    check_policy(DEFAULT_POLICY)
