"""What the detector says of terminals that differ from their usual selves, and of those that only seem to."""

from collections.abc import Callable

import numpy as np
import pytest

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.metrics import COLUMN, GAUGES
from diagnostics.detector.rates import CountWindows
from diagnostics.reasons import Reason
from diagnostics.snapshot import F32, Index
from diagnostics.troubles import TROUBLE_INDEX, Trouble
from fleet.contract import EventCode
from tests.unit.diagnostics.detector_world import START_S, DetectorWorld, expected, hits, ill

SICK = 7
Change = Callable[[F32, Index], None]


def only(row: int, field: str, *, times: float = 1.0, plus: float = 0.0) -> Change:
    """One terminal's field is multiplied, then added to."""

    def change(values: F32, rows: Index) -> None:
        mine = rows == row
        values[mine, COLUMN[field]] = values[mine, COLUMN[field]] * times + plus

    return change


@pytest.mark.parametrize(
    ("trouble", "change"),
    [
        pytest.param(Trouble.NETWORK, only(SICK, "rtt_ms", times=3), id="round trip tripled"),
        pytest.param(Trouble.NETWORK, only(SICK, "loss_pct", plus=6), id="losses"),
        pytest.param(Trouble.HEAT, only(SICK, "board_c", plus=15), id="board hot"),
        pytest.param(Trouble.DISK, only(SICK, "disk_mb", times=0.7), id="storage fills"),
        pytest.param(Trouble.MEMORY, only(SICK, "mem_mb", times=0.6), id="memory leaks"),
        pytest.param(Trouble.CLOCK, only(SICK, "clock_ms", plus=-4000), id="clock slow"),
        pytest.param(Trouble.TX_SLOW, only(SICK, "tx_ms", times=3), id="bets drag"),
        pytest.param(Trouble.TX_FAILING, only(SICK, "tx_timeouts", plus=1), id="bets unanswered"),
        pytest.param(Trouble.PRINTER, only(SICK, "print_errors", plus=1), id="printer"),
        pytest.param(Trouble.SCANNER, only(SICK, "scan_errors", plus=1), id="scanner"),
    ],
)
def test_a_terminal_that_differs_from_itself_shows_a_sign_and_then_a_symptom_and_nobody_else_does(
    trouble: Trouble, change: Change
) -> None:
    world = DetectorWorld()
    assert not ill(world.live(3), trouble)
    signs = world.live(30, change)
    assert ill(signs, trouble) == [SICK]
    assert hits(signs, trouble)[SICK] > 0
    others = np.delete(hits(signs, trouble), SICK)
    assert others.sum() <= 2
    assert signs.p[SICK, TROUBLE_INDEX[trouble]] < 1e-4


def test_a_terminal_of_a_model_that_is_nearly_alone_has_its_own_usual() -> None:
    world = DetectorWorld(models=tuple(f"M{place}" for place in range(30)))
    assert not ill(world.live(3), Trouble.NETWORK)
    signs = world.live(30, only(SICK, "rtt_ms", times=3))
    assert ill(signs, Trouble.NETWORK) == [SICK]
    assert hits(signs, Trouble.NETWORK)[SICK] > 0


@pytest.mark.parametrize(
    ("trouble", "change", "over_min"),
    [
        pytest.param(Trouble.HEAT, only(SICK, "board_c", plus=15), 8, id="measured well"),
        pytest.param(Trouble.PRINTER, only(SICK, "print_errors", plus=1), 25, id="no error for a quarter of an hour"),
    ],
)
def test_a_symptom_ends_when_it_shows_no_more(trouble: Trouble, change: Change, over_min: int) -> None:
    world = DetectorWorld(n=30)
    assert ill(world.live(20, change), trouble) == [SICK]
    # Neither at once, nor much later.
    assert ill(world.live(1), trouble) == [SICK]
    assert not ill(world.live(over_min), trouble)


def test_a_single_wild_reading_is_no_sign() -> None:
    world = DetectorWorld()
    world.live(3)
    wild = only(SICK, "rtt_ms", times=9)
    for _ in range(3):
        signs = world.tick(wild)
        assert not hits(signs, Trouble.NETWORK).any()
    assert not hits(world.live(1), Trouble.NETWORK).any()


def test_what_everybody_shares_is_a_sign_of_each_but_no_symptom_of_one() -> None:
    world = DetectorWorld()
    world.live(6)

    def all_slow(values: F32, rows: Index) -> None:
        values[:, COLUMN["rtt_ms"]] *= 2.0 + 0 * rows

    # The group's median is taken every two minutes: nobody stands out of it.
    signs = world.live(30, all_slow)
    assert hits(signs, Trouble.NETWORK).sum() >= 0.9 * world.n
    assert len(ill(signs, Trouble.NETWORK)) <= 0.2 * world.n


def test_missing_reports_are_a_sign_within_a_minute_and_gone_with_the_next_report() -> None:
    world = DetectorWorld()
    world.live(3)
    while world.now_s // 10 % 3 != SICK % 3:
        world.tick()
    world.away[SICK] = True
    # Heard just now, it owes a report in 30 s, and may be late.
    assert not hits(world.live(40 / 60), Trouble.OFFLINE).any()
    signs = world.live(20 / 60)
    assert np.flatnonzero(hits(signs, Trouble.OFFLINE)).tolist() == [SICK]
    world.away[SICK] = False
    assert not hits(world.live(0.5), Trouble.OFFLINE).any()


def test_who_reports_at_the_pace_of_a_closed_shop_owes_nothing_in_a_hurry() -> None:
    world = DetectorWorld()
    world.live(3)
    world.tick(events=((SICK, EventCode.CLOSE),))
    world.away[SICK] = True
    signs = world.live(3)
    assert not hits(signs, Trouble.OFFLINE).any()
    assert not expected(signs, Trouble.OFFLINE)[SICK]


def test_what_is_judged_offline_or_without_paper_is_a_sign_and_a_symptom() -> None:
    world = DetectorWorld()
    world.live(2)
    world.judge(Reason.SILENT, np.array([SICK]))
    world.judge(Reason.PAPER_OUT, np.array([3]))
    signs = world.tick()
    assert ill(signs, Trouble.OFFLINE) == [SICK]
    assert ill(signs, Trouble.PAPER) == [3]
    assert hits(signs, Trouble.OFFLINE)[SICK] == 1
    assert hits(signs, Trouble.PAPER)[3] == 1
    world.muted[SICK] = True
    assert not ill(world.tick(), Trouble.OFFLINE)


def test_closed_and_muted_terminals_are_not_judged_and_not_expected_to_show_anything() -> None:
    world = DetectorWorld()
    world.live(2)
    world.is_open[SICK], world.muted[3] = False, True
    world.away[[SICK, 3]] = True
    signs = world.live(3)
    for layer in signs.layers:
        assert not layer.hit[[SICK, 3]].any()
        assert not layer.expected[[SICK, 3]].any()
    assert not signs.judged[[SICK, 3]].any()
    assert np.isnan(signs.z[[SICK, 3]]).all()


def test_a_symptom_ends_with_the_shops_day() -> None:
    world = DetectorWorld()
    assert ill(world.live(20, only(SICK, "board_c", plus=15)), Trouble.HEAT) == [SICK]
    world.is_open[SICK] = False
    assert not ill(world.tick(), Trouble.HEAT)


def test_samples_that_come_late_are_history() -> None:
    world = DetectorWorld()
    world.live(3)
    for _ in range(18):
        signs = world.tick(only(SICK, "rtt_ms", times=5), late_s=400)
    assert not hits(signs, Trouble.NETWORK).any()


def test_several_crashes_within_half_an_hour_are_a_symptom_and_one_is_none() -> None:
    world = DetectorWorld()
    world.live(2)
    for count in range(1, 4):
        signs = world.tick(events=((SICK, EventCode.APP_CRASH),))
        world.tick(events=((SICK, EventCode.REBOOT),))
        assert hits(signs, Trouble.CRASHES, window_s=3600)[SICK] == count
        assert ill(signs, Trouble.CRASHES) == ([SICK] if count == 3 else [])
        signs = world.live(6)
    assert not ill(world.live(35), Trouble.CRASHES)


def test_power_that_returns_is_no_crash_and_a_restart_without_a_cause_is_one() -> None:
    world = DetectorWorld()
    world.live(2)
    world.tick(events=((SICK, EventCode.REBOOT), (SICK, EventCode.POWER_LOSS), (3, EventCode.REBOOT)))
    signs = world.live(1.5)
    assert np.flatnonzero(hits(signs, Trouble.CRASHES, window_s=3600)).tolist() == [3]


def test_an_application_that_hangs_sells_nothing_while_its_processor_spins() -> None:
    world = DetectorWorld()
    world.live(5)

    def hangs(values: F32, rows: Index) -> None:
        mine = rows == SICK
        for name in ("tickets", "scans", "rejects", "scan_errors"):
            values[mine, COLUMN[name]] = 0
        values[mine, COLUMN["tx_ms"]] = np.nan
        values[mine, COLUMN["cpu_pct"]] = 98

    signs = world.live(12, hangs)
    assert ill(signs, Trouble.NO_SALES) == [SICK]
    assert signs.value[SICK, TROUBLE_INDEX[Trouble.NO_SALES]] == pytest.approx(12, abs=1)


def test_a_pause_between_two_races_is_nobodys_trouble() -> None:
    world = DetectorWorld()
    world.live(5)

    def nobody_bets(values: F32, rows: Index) -> None:
        values[:, [COLUMN["tickets"], COLUMN["scans"], COLUMN["rejects"], COLUMN["scan_errors"]]] = 0 * rows[:, None]

    signs = world.live(8, nobody_bets)
    # In eight minutes each would have sold sixteen: a single terminal that does not has no excuse.
    assert world.detector.sales.idle.max() < 10
    assert not ill(signs, Trouble.NO_SALES)


def test_what_ended_long_ago_begins_no_symptom_by_one_error_more() -> None:
    world = DetectorWorld(n=30)
    world.live(2)
    world.live(3.4, only(SICK, "print_errors", plus=1))
    world.detector.symptoms.end(world.everyone, now_ms=world.now_s * 1000)
    assert not ill(world.live(20), Trouble.PRINTER)
    signs = world.live(0.5, only(SICK, "print_errors", plus=1))
    assert hits(signs, Trouble.PRINTER, window_s=3600)[SICK] == 3
    assert not ill(signs, Trouble.PRINTER)


def test_a_rush_is_no_trouble() -> None:
    world = DetectorWorld()
    world.live(5)

    def rush(values: F32, rows: Index) -> None:
        values[:, [COLUMN["tickets"], COLUMN["scans"]]] = 12
        values[:, COLUMN["rejects"]] = world.rng.poisson(12 * 0.008, len(rows))
        values[:, COLUMN["scan_errors"]] = world.rng.poisson(12 * 0.013, len(rows))

    signs = world.live(20, rush)
    for trouble in (Trouble.TX_FAILING, Trouble.SCANNER, Trouble.PRINTER):
        hit = hits(signs, trouble, window_s=900).sum()
        mean = expected(signs, trouble, window_s=900).sum()
        assert hit <= 1.5 * mean + 4
        assert not ill(signs, trouble)


def test_the_present_does_not_depend_on_the_order_of_the_samples_of_a_tick() -> None:
    one, other = DetectorWorld(n=30, learnt_steps=20), DetectorWorld(n=30, learnt_steps=20)
    for world, turn in ((one, 1), (other, -1)):

        def turned(values: F32, rows: Index, turn: int = turn) -> None:
            values[:], rows[:] = values[::turn].copy(), rows[::turn].copy()

        world.rng = np.random.default_rng(9)
        world.live(4, turned)
    assert np.allclose(one.detector.gauges.z, other.detector.gauges.z)


def test_two_samples_of_one_terminal_in_a_tick_both_count() -> None:
    world = DetectorWorld(n=6, learnt_steps=20)
    world.live(1)
    before = world.detector.counts.window(2, 60)[0][SICK % 6]
    world.now_s += 10
    rows = np.array([1, 1, 2])
    values = world.sample(rows)
    values[:, COLUMN["scan_errors"]] = 1
    at = np.array([world.now_s - 5, world.now_s, world.now_s]) * 1000
    none = np.zeros(0, np.int64)
    from diagnostics.detector.observed import Calls, Observed

    seen = Observed(rows, at, at, values, none, none, none, none, none.astype(bool), Calls(none.astype(np.int32), none))
    world.detector.observe(seen, now_ms=world.now_s * 1000, judged=world.judged, is_open=world.is_open, muted=world.muted)
    counted = world.detector.counts.window(2, 60)[0]
    assert counted[1] == 2
    assert counted[2] == 1
    assert before == 0


def test_symptoms_of_a_terminal_that_falls_silent_are_kept() -> None:
    world = DetectorWorld()
    world.live(20, only(SICK, "board_c", plus=15))
    world.away[SICK] = True
    assert ill(world.live(8), Trouble.HEAT) == [SICK]


def test_nothing_is_judged_while_our_own_pipeline_is_late() -> None:
    world = DetectorWorld()
    world.live(2)
    world.judged = type(world.judged)(**{**vars(world.judged), "late": True})
    world.away[:] = True
    signs = world.live(3)
    assert not any(layer.hit.any() or layer.expected.any() for layer in signs.layers)


def test_a_changed_registry_keeps_what_is_known_and_a_new_terminal_is_not_judged_by_others() -> None:
    from tests.unit.diagnostics.detector_world import fleet_of

    world = DetectorWorld()
    world.live(20, only(SICK, "board_c", plus=15))
    larger = fleet_of(world.n + 2)
    old_rows = np.concatenate([np.arange(world.n), [-1, -1]])
    carried = world.detector.carried_to(larger, old_rows)
    assert np.array_equal(carried.gauges.z[: world.n], world.detector.gauges.z)
    before, after = (one.counts.bounded(np.ones(len(one.fleet), bool))[1] for one in (world.detector, carried))
    assert np.array_equal(after[:, :, : world.n], before)
    assert np.flatnonzero(carried.symptoms.on[:, TROUBLE_INDEX[Trouble.HEAT]]).tolist() == [SICK]
    usual = carried.baseline.usual(carried.baseline.buckets(world.now_s))
    assert np.isnan(usual.level[-1]).all()
    assert np.isfinite(usual.rate[-1]).all()


def test_a_newcomer_unlike_its_peers_is_not_ill_and_is_judged_by_its_own_usual_then() -> None:
    world = DetectorWorld()
    world.detector.baseline.count[SICK] = world.detector.baseline.season_count[:, SICK] = 0
    unlike = only(SICK, "board_c", plus=12)
    assert [ill(world.live(30, unlike), Trouble.HEAT) for _ in range(9)] == [[]] * 9
    assert ill(world.live(30, only(SICK, "board_c", plus=27)), Trouble.HEAT) == [SICK]


def test_a_fleet_without_history_is_not_judged_and_then_is() -> None:
    world = DetectorWorld(learnt_steps=0)
    signs = world.live(4, only(SICK, "board_c", plus=15))
    assert not signs.judged[:, TROUBLE_INDEX[Trouble.HEAT]].any()
    world.live(60)
    assert np.isfinite(world.detector.gauges.cusum(np.arange(world.n))).all()
    signs = world.live(40, only(SICK, "board_c", plus=30))
    assert signs.judged[:, TROUBLE_INDEX[Trouble.HEAT]].all()
    assert ill(signs, Trouble.HEAT) == [SICK]


def test_an_empty_fleet_is_judged_without_a_word() -> None:
    world = DetectorWorld(n=0, learnt_steps=0)
    signs = world.tick()
    assert signs.symptom.shape == (0, len(TROUBLE_INDEX))
    assert signs.z.shape == (0, len(GAUGES))


def test_a_wanted_rate_decides_how_much_evidence_a_symptom_needs() -> None:
    strict = Calibration(symptom_p=dict.fromkeys(Calibration().symptom_p, 1e-300))
    world = DetectorWorld(calibration=strict)
    assert not ill(world.live(20, only(SICK, "board_c", plus=15)), Trouble.HEAT)


def test_just_after_a_start_what_is_expected_grows_with_what_is_counted() -> None:
    windows, everybody = CountWindows(40), np.ones(40, bool)
    rows, tick_ms = np.arange(40), 10_000
    # Nobody counts more than is usual of them, ever.
    for tick in range(12):
        windows.turn(START_S * 1000 + tick * tick_ms)
        windows.add(rows, np.full((40, 1), 0.01, np.float32), np.full((40, 1), 0.01, np.float32))
        hits, means = windows.bounded(everybody)
        assert (hits[:, 0].sum(axis=1) <= means[:, 0].sum(axis=1)).all(), tick
