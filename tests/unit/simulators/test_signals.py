from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.contract import SAMPLE_FIELDS
from simulators.opening import Opening
from simulators.randomness import F32
from simulators.signals import SignalModel
from simulators.temperament import COLUMN
from simulators.world import World, build_world

NOON = int(datetime.fromisoformat("2026-11-24T12:00:00+01:00").timestamp())
COUNTERS = ("tickets", "rejects", "tx_timeouts", "print_errors", "scans", "scan_errors")


def everyone(world: World) -> np.ndarray:
    return np.arange(len(world), dtype=np.int32)


def model(world: World, start_s: int = NOON, seed: int = 5) -> SignalModel:
    return SignalModel(world, seed, start_s, Opening(world, seed))


def record(world: World, *, start_s: int = NOON, samples: int, step_s: int = 30) -> F32:
    """Measure everyone again and again: float32 (samples, terminals, 18)."""
    signals = model(world, start_s)
    return np.stack([signals.sample(everyone(world), start_s + step_s * k, float(step_s)) for k in range(samples)])


@pytest.fixture(scope="module")
def hours(world: World) -> F32:
    return record(world, samples=360)


def column(values: F32, name: str) -> F32:
    return values[..., COLUMN[name]]


def test_columns_are_the_contract_s(hours: F32) -> None:
    assert hours.shape[2] == len(SAMPLE_FIELDS) == 18
    assert hours.dtype == np.float32
    assert COLUMN["tickets"] == SAMPLE_FIELDS.index("tickets") == 0


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("rtt_ms", 1, 12_000), ("loss_pct", 0, 100), ("signal_dbm", -160, -40), ("paper_pct", 0, 100), ("head_c", 10, 115),
        ("cpu_pct", 1, 100), ("mem_mb", 50, 1000), ("disk_mb", 500, 12_000), ("board_c", 20, 100), ("clock_ms", -2500, 2500),
        ("uptime_s", 0, 8 * 86_400), ("tx_ms", 40, 20_000), ("tickets", 0, 200),
    ],
)  # fmt: skip
def test_values_stay_where_a_real_machine_s_do(hours: F32, name: str, low: float, high: float) -> None:
    measured = column(hours, name)
    assert low <= np.nanmin(measured)
    assert np.nanmax(measured) <= high


def test_a_well_terminal_stays_below_what_would_be_called_hot(hours: F32) -> None:
    """But for single wild readings; the hours before the Quinté are the hottest."""
    for name, hot in (("head_c", 58), ("board_c", 64)):
        assert (column(hours, name) > hot).mean() < 2e-4


def test_what_is_not_measured_is_nan_and_nothing_else(world: World, hours: F32) -> None:
    radio = np.concatenate([world.in_scope({"access": access}) for access in ("4g", "5g", "satellite")])
    line = np.setdiff1d(everyone(world), radio)
    assert np.isnan(column(hours, "signal_dbm")[:, line]).all()
    assert np.isnan(column(hours, "signal_dbm")[:, radio]).mean() < 1e-3
    sold = column(hours, "tickets") > 0
    assert np.isnan(column(hours, "tx_ms")[~sold]).all()
    assert np.isnan(column(hours, "tx_ms")[sold]).mean() < 1e-3
    for name in COUNTERS:
        counts = column(hours, name)
        assert (counts == np.rint(counts)).all()
        assert counts.min() >= 0
    others = [name for name in SAMPLE_FIELDS if name not in {"signal_dbm", "tx_ms"}]
    assert np.isnan(hours[:, :, [COLUMN[name] for name in others]]).mean() < 1e-4


def test_closed_shops_sell_nothing(world: World) -> None:
    night = int(datetime.fromisoformat("2026-11-24T03:00:00+01:00").timestamp())
    values = record(world, start_s=night, samples=20, step_s=300)
    mainland = np.setdiff1d(
        everyone(world), np.concatenate([world.in_scope({"region": r}) for r in ("01", "02", "03", "04", "06")])
    )
    for name in COUNTERS:
        assert column(values, name)[:, mainland].sum() == 0


def test_sales_follow_shop_and_races(world: World) -> None:
    day = int(datetime.fromisoformat("2026-11-24T00:00:00+01:00").timestamp())
    values = record(world, start_s=day, samples=288, step_s=300)
    by_hour = column(values, "tickets").reshape(24, 12, -1).sum(axis=(1, 2))
    assert by_hour[2:5].sum() < 0.02 * by_hour.sum()
    assert by_hour[14] > 1.4 * by_hour[10]  # bets are laid before the Quinté at 15:15
    per_open_hour = by_hour[9:19].mean() / (0.85 * len(world))
    assert 15 < per_open_hour < 45
    heavy = world.shops["weight"].to_numpy()[world.shop]
    assert np.corrcoef(heavy, column(values, "tickets").sum(axis=0))[0, 1] > 0.5


def test_counts_vary_more_than_poisson(hours: F32) -> None:
    tickets = column(hours, "tickets")[-120:]
    busy = tickets.mean(axis=0) > 1
    assert np.median(tickets[:, busy].var(axis=0) / tickets[:, busy].mean(axis=0)) > 1.15


def test_slips_follow_tickets(hours: F32) -> None:
    tickets, scans = column(hours, "tickets").sum(axis=0), column(hours, "scans").sum(axis=0)
    assert np.corrcoef(tickets, scans)[0, 1] > 0.95
    assert 0.55 < scans.sum() / tickets.sum() < 0.75


@pytest.mark.parametrize(
    ("name", "per", "low", "high"),
    [("print_errors", "tickets", 0.0005, 0.003), ("scan_errors", "scans", 0.006, 0.025), ("rejects", "tickets", 0.004, 0.009)],
)
def test_spontaneous_errors_are_rare(hours: F32, name: str, per: str, low: float, high: float) -> None:
    assert low < column(hours, name).sum() / column(hours, per).sum() < high


@pytest.mark.parametrize(
    ("name", "low", "high"), [("cpu_pct", 0.3, 0.95), ("mem_mb", 0.5, 0.999), ("board_c", 0.6, 0.995), ("clock_ms", 0.6, 0.999)]
)
def test_neighbouring_samples_resemble_each_other(hours: F32, name: str, low: float, high: float) -> None:
    values = column(hours, name)
    # The median over terminals: one wild reading would hide what the others do.
    lagged = [
        np.corrcoef(values[:-1, i], values[1:, i])[0, 1] for i in range(0, values.shape[1], 7) if not np.isnan(values[:, i]).any()
    ]
    assert low < np.median(lagged) < high


def test_round_trips_are_autocorrelated_in_their_logarithm(hours: F32) -> None:
    logs = np.log(column(hours, "rtt_ms"))
    lagged = [np.corrcoef(logs[:-1, i], logs[1:, i])[0, 1] for i in range(0, logs.shape[1], 7) if not np.isnan(logs[:, i]).any()]
    assert 0.2 < np.median(lagged) < 0.9


def test_access_and_distance_show_in_the_network(world: World, hours: F32) -> None:
    rtt, loss = np.nanmedian(column(hours, "rtt_ms"), axis=0), np.nanmean(column(hours, "loss_pct"), axis=0)
    by_access = {a: np.median(rtt[world.in_scope({"access": a, "region": "84"})]) for a in ("fibre", "adsl", "4g", "satellite")}
    assert by_access["fibre"] < by_access["adsl"] < by_access["4g"] < by_access["satellite"]
    assert np.median(rtt[world.in_scope({"region": "04", "access": "fibre"})]) > 100 + by_access["fibre"]
    assert np.median(loss[world.in_scope({"access": "4g"})]) > 3 * np.median(loss[world.in_scope({"access": "fibre"})])


def test_weather_moves_a_region_s_radios_together(world: World) -> None:
    values = record(world, start_s=NOON, samples=240, step_s=900)
    signal = column(values, "signal_dbm")
    means = {r: np.nanmean(signal[:, world.in_scope({"region": r, "access": "4g"})], axis=1) for r in ("84", "75", "76")}
    same_region = np.array_split(world.in_scope({"region": "84", "access": "4g"}), 2)
    halves = [np.nanmean(signal[:, half], axis=1) for half in same_region]
    assert np.corrcoef(halves[0], halves[1])[0, 1] > 0.7
    assert abs(np.corrcoef(means["84"], means["75"])[0, 1]) < np.corrcoef(halves[0], halves[1])[0, 1]


def test_paper_is_used_by_tickets_and_refilled_in_time(world: World) -> None:
    signals = model(world)
    before, refills, tickets = signals.paper_pct.copy(), [], np.zeros(len(world))
    for k in range(240):
        values = signals.sample(everyone(world), NOON + 60 * k, 60.0)
        tickets += column(values, "tickets")
        refills += signals.take_refills()
    refilled = np.unique(np.concatenate([rows for _, rows in refills]))
    assert 0.02 < len(refilled) / len(world) < 0.5
    untouched = np.setdiff1d(everyone(world), refilled)
    used = (before - signals.paper_pct)[untouched]
    assert used == pytest.approx(0.085 * tickets[untouched], abs=0.6)
    assert signals.paper_pct.min() > 0
    assert signals.take_refills() == []


def test_a_reboot_starts_uptime_and_load_anew(world: World) -> None:
    signals = model(world)
    idx = everyone(world)
    before = signals.sample(idx, NOON, 30.0)
    signals.reboot(idx[:400], NOON + 10)
    after = signals.sample(idx, NOON + 30, 30.0)
    assert (column(after, "uptime_s")[:400] == 20).all()
    assert column(after, "cpu_pct")[:400].mean() > column(before, "cpu_pct")[:400].mean() + 20
    assert column(after, "uptime_s")[400:] == pytest.approx(column(before, "uptime_s")[400:] + 30, abs=0.1)


def test_same_seed_same_bytes(world: World) -> None:
    assert record(world, samples=6).tobytes() == record(world, samples=6).tobytes()


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_values_do_not_depend_on_order_or_batches(world: World, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(40))), np.int32)
    cut = data.draw(st.integers(0, 40))
    together, apart = model(world), model(world)
    for k in range(3):
        at = NOON + 30 * k
        whole = together.sample(np.arange(40, dtype=np.int32), at, 30.0)
        parts = [apart.sample(part, at, 30.0) for part in (order[:cut], order[cut:])]
        assert np.concatenate(parts).tobytes() == whole[order].tobytes()


def test_the_first_terminals_do_not_depend_on_the_size_of_the_fleet() -> None:
    small, large = build_world(5, 800), build_world(5, 1600)
    first = np.arange(700, dtype=np.int32)
    a, b = (model(w).sample(first, NOON, 30.0) for w in (small, large))
    assert a.tobytes() == b.tobytes()


def test_one_step_for_all_equals_a_step_for_each(world: World) -> None:
    idx = everyone(world)
    a = model(world).sample(idx, NOON, 30.0)
    b = model(world).sample(idx, NOON, np.full(len(idx), 30, np.float32))
    assert np.allclose(a, b, rtol=1e-5, equal_nan=True)


def test_wild_readings_are_single_and_rare(hours: F32) -> None:
    board = column(hours, "board_c")
    wild = board > 1.4 * np.nanmedian(board, axis=0)
    assert 5e-6 < wild.mean() < 1e-4
    assert not (wild[:-1] & wild[1:]).any()
