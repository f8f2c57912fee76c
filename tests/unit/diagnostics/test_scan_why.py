"""What is told of why an incident has its scope."""

import json

import numpy as np
import pytest

from diagnostics.scan.search import Finding, ScanPolicy, scan
from diagnostics.scan.why import Contrast, Evidence, why
from diagnostics.snapshot import F32
from fleet.registry import DIMENSIONS
from tests.unit.diagnostics.scanned_fleet import TERMINALS, fleet_index, rows_where, strike, usual_noise

NOW_MS = 1_795_428_000_000
HOUR_MS = 3_600_000
METRICS = ("print_errors", "tx_ms", "board_c")


def found() -> tuple[Finding, F32, F32]:
    rng = np.random.default_rng(3)
    hit, expected = usual_noise(rng)
    rows = rows_where(firmware="4.3.0", model="B")
    strike(hit, rows, len(rows) // 2, rng)
    (finding,) = scan(fleet_index(), hit, expected, policy=ScanPolicy())
    return finding, hit, expected


def contrast(evidence: Evidence, dimension: str) -> Contrast:
    return next(one for one in evidence.contrasts if one.dimension == dimension)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    finding, hit, expected = found()
    z = np.random.default_rng(4).normal(size=(TERMINALS, 3)).astype(np.float32)
    z[finding.rows[hit[finding.rows] > 0], 0] += 6.0
    z[:9, 2] = np.nan
    changed_ms = np.zeros(TERMINALS, np.int64)
    changed_ms[finding.rows] = NOW_MS - 3 * HOUR_MS
    return why(
        fleet_index(), finding, names=DIMENSIONS, hit=hit, expected=expected,
        z=z, metrics=METRICS, firmware_changed_ms=changed_ms, now_ms=NOW_MS,
    )  # fmt: skip


def test_it_tells_the_rates_inside_and_outside(evidence: Evidence) -> None:
    assert evidence.scope == {"firmware": "4.3.0", "model": "B"}
    assert evidence.terminals == evidence.judged == len(rows_where(firmware="4.3.0", model="B"))
    assert evidence.rate_inside == pytest.approx(0.5, abs=0.02)
    assert evidence.rate_outside == pytest.approx(0.002, abs=0.002)
    assert evidence.observed == pytest.approx(evidence.rate_inside * evidence.judged, abs=1.0)
    assert evidence.expected < 3.0


def test_other_values_of_its_own_dimensions_are_well(evidence: Evidence) -> None:
    model = contrast(evidence, "model")
    assert model.in_scope
    assert model.levels[0].value == "B"
    assert model.levels[0].inside
    assert model.levels[0].rate > 0.4
    assert all(level.rate < 0.05 and not level.inside for level in model.levels[1:])
    assert {level.value for level in contrast(evidence, "firmware").levels} == {"4.1.7", "4.2.1", "4.3.0"}


def test_values_of_other_dimensions_suffer_alike(evidence: Evidence) -> None:
    carrier = contrast(evidence, "carrier")
    assert not carrier.in_scope
    assert all(level.rate == pytest.approx(0.5, abs=0.2) for level in carrier.levels)
    assert len(contrast(evidence, "department").levels) <= 6


def test_the_metric_that_stands_out_leads(evidence: Evidence) -> None:
    (leading,) = evidence.leading
    assert leading.metric == "print_errors"
    assert leading.inside == pytest.approx(6.0, abs=0.5)
    assert leading.outside == pytest.approx(0.0, abs=0.1)


def test_it_tells_how_long_ago_the_firmware_changed(evidence: Evidence) -> None:
    assert evidence.firmware_changed_h == 3.0
    assert evidence.firmware_changed_share == 1.0


def test_what_is_not_known_is_not_told() -> None:
    finding, hit, expected = found()
    bare = why(fleet_index(), finding, names=DIMENSIONS, hit=hit, expected=expected)
    assert bare.leading == ()
    assert bare.firmware_changed_h is None
    never = np.zeros(TERMINALS, np.int64)
    bare = why(fleet_index(), finding, names=DIMENSIONS, hit=hit, expected=expected, firmware_changed_ms=never, now_ms=NOW_MS)
    assert bare.firmware_changed_h is None


def test_one_wild_figure_does_not_lead() -> None:
    finding, hit, expected = found()
    z = np.zeros((TERMINALS, 3), np.float32)
    z[finding.rows[hit[finding.rows] > 0][0], 1] = 1e9
    evidence = why(fleet_index(), finding, names=DIMENSIONS, hit=hit, expected=expected, z=z, metrics=METRICS)
    assert evidence.leading == ()


def test_it_survives_json(evidence: Evidence) -> None:
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence
