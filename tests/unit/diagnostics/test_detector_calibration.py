"""Thresholds as JSON, and how a replay of quiet history finds them."""

import json

import numpy as np
import pytest

from diagnostics.detector.calibrating import Calibrator
from diagnostics.detector.calibration import Calibration, CalibrationError, default_calibration, read_calibration
from diagnostics.detector.metrics import GAUGES
from diagnostics.troubles import TROUBLES, Trouble
from tests.unit.diagnostics.detector_world import DetectorWorld


def test_a_calibration_comes_back_from_json_as_it_was() -> None:
    calibration = Calibration(missing_after_s=51.0, symptom_p=dict.fromkeys(TROUBLES, 1e-9))
    again = read_calibration(calibration.to_json(), source="there")
    assert again == calibration
    assert again.symptom_p[Trouble.HEAT] == 1e-9


def test_what_is_not_given_keeps_its_default_entry_by_entry() -> None:
    read = read_calibration('{"sign_z": {"heat": 4.5}}', source="there")
    assert read.sign_z[Trouble.HEAT] == 4.5
    assert read.sign_z[Trouble.DISK] == Calibration().sign_z[Trouble.DISK]
    assert read.cusum_rate == Calibration().cusum_rate


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("{", "not JSON", id="syntax"),
        pytest.param("[]", "an object of fields", id="list"),
        pytest.param('{"sign_zz": {}}', "sign_zz: no such field", id="field"),
        pytest.param('{"sign_z": 3}', "sign_z: an object is wanted", id="shape"),
        pytest.param('{"sign_z": {"heet": 3}}', "sign_z: heet: no such entry", id="trouble"),
        pytest.param('{"floor_sign": {"rtt": 3}}', "floor_sign: rtt: no such entry", id="gauge"),
        pytest.param('{"sign_z": {"heat": "3"}}', "sign_z: heat: a number above 0", id="text"),
        pytest.param('{"missing_after_s": -1}', "missing_after_s: a number above 0", id="negative"),
        pytest.param('{"missing_after_s": true}', "missing_after_s: a number above 0", id="bool"),
        pytest.param('{"missing_after_s": NaN}', "missing_after_s: a number above 0", id="nan"),
        pytest.param('{"cusum_rate": {"rtt_ms": [1]}}', "cusum_rate: rtt_ms: a list of 2 numbers", id="list length"),
    ],
)
def test_a_wrong_calibration_is_refused_and_the_field_named(text: str, says: str) -> None:
    with pytest.raises(CalibrationError, match=says) as caught:
        read_calibration(text, source="there")
    assert str(caught.value).startswith("there: ")


def test_the_calibration_that_comes_with_vigie_is_whole() -> None:
    shipped = default_calibration()
    assert set(shipped.sign_rate) == set(TROUBLES)
    assert set(shipped.cusum_rate) == {gauge.field for gauge in GAUGES}
    assert json.loads(shipped.to_json())["symptom_p"]["heat"] < 0.01


def test_thresholds_found_on_quiet_history_let_it_pass() -> None:
    world = DetectorWorld(n=300, learnt_steps=48)
    calibrator = Calibrator(Calibration())
    for _ in range(360):
        signs = world.tick()
        calibrator.take(world.detector, signs, now_ms=world.now_s * 1000, scores={Trouble.HEAT: 3.0})
    found = calibrator.result()
    measured = next(layer for layer in signs.layers if layer.trouble is Trouble.NETWORK).hit.mean()
    assert found.sign_rate[Trouble.NETWORK] == pytest.approx(measured, abs=0.05)
    assert all(1e-30 < p < 1e-3 for p in found.symptom_p.values())
    assert all(0 < rate < 5 for rates in calibrator.tails().cusum_rate.values() for rate in rates)
    assert found.open_score[Trouble.HEAT] >= 16
    quiet = DetectorWorld(n=300, learnt_steps=48, calibration=found)
    assert not quiet.live(60).symptom.any()


def test_a_noisier_history_asks_for_more_evidence() -> None:
    found = []
    for scale in (4.0, 12.0):
        calibrator = Calibrator(Calibration())
        world = DetectorWorld(n=30, learnt_steps=10)
        signs = world.tick()
        rng = np.random.default_rng(4)
        for hour in range(1, 200):
            calibrator.take(
                world.detector,
                signs,
                now_ms=world.now_s * 1000 + hour * 3_600_000,
                scores={Trouble.CALLS: scale * rng.exponential()},
            )
        found.append(calibrator.result().open_score[Trouble.CALLS])
    assert found[1] > 2 * found[0]
