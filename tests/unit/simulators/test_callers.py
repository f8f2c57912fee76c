from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from simulators.callers import ANONYMOUS, CALLS_A_DAY, plan_calls
from simulators.opening import wall_to_s
from simulators.population import Population
from simulators.races import betting_ends_s
from simulators.scenario import Kind, load, shipped
from simulators.words import EVERYDAY, HABITS
from simulators.world import World, build_world
from tests.unit.simulators.scenes import SEED, make_scenario

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture(scope="module")
def week(world: World) -> pd.DataFrame:
    plan = plan_calls(world, make_scenario(start="2026-11-23T00:00:00+01:00", minutes=7 * 1440))
    plan["wall"] = pd.to_datetime(plan["second"], unit="s", utc=True).dt.tz_convert(PARIS)
    return plan


def test_a_day_has_820_to_890_calls(week: pd.DataFrame) -> None:
    a_day = week.groupby(week["wall"].dt.date).size()
    assert len(a_day) == 7
    assert a_day.between(*CALLS_A_DAY).all()


def test_calls_come_from_seven_to_the_end_of_the_races(week: pd.DataFrame) -> None:
    for day, calls in week.groupby(week["wall"].dt.date):
        assert isinstance(day, date)
        assert calls["second"].min() >= wall_to_s("Europe/Paris", day, 7 * 60)
        assert calls["second"].max() < betting_ends_s(SEED, day)
    by_hour = week.groupby(week["wall"].dt.hour).size()
    assert by_hour[10] > 2 * by_hour[7]


def test_three_subjects_and_words_for_each(week: pd.DataFrame) -> None:
    shares = week["subject"].value_counts(normalize=True)
    assert set(shares.index) == {"technical", "administrative", "commercial"}
    assert shares["technical"] > 0.45
    assert week["words"].nunique() > 800
    assert week["words"].str[0].str.isupper().all()
    assert week["words"].str.contains(r"[.?]", regex=True).all()


def test_callers_are_numbers_of_their_shop_or_withheld_or_unknown(world: World, week: pd.DataFrame) -> None:
    phones = world.shops["phones"].tolist()
    listed = {phone for shop in phones for phone in shop}
    own = np.array(
        [caller in (phones[shop] if shop >= 0 else ()) for caller, shop in zip(week["caller"], week["shop"], strict=True)]
    )
    withheld = (week["caller"] == ANONYMOUS).to_numpy()
    assert 0.8 < own.mean() < 0.95
    assert 0.02 < withheld.mean() < 0.08
    strangers = week["caller"][~own & ~withheld]
    assert 0.02 < len(strangers) / len(week) < 0.16
    assert not set(strangers) & listed
    assert strangers.str.match(r"^\+33\d{9}$").all()
    assert 0 < (week["shop"] < 0).mean() < 0.02


def test_figures_are_sensible_and_typed(week: pd.DataFrame) -> None:
    assert week["second"].is_monotonic_increasing
    assert week["patience_s"].min() >= 20
    assert week["talk_s"].between(25, 1800).all()
    assert 120 < week["talk_s"].median() < 300
    assert (week["cause"] == -1).all()
    assert week.dtypes[["second", "shop", "cause"]].astype(str).tolist() == ["int64", "int32", "int32"]


def test_same_seed_same_plan_and_a_window_of_it_is_the_same(world: World) -> None:
    scenario = make_scenario({"kind": "frozen_app", "at_min": 10, "minutes": 60, "scope": {"region": "84"}})
    plan = plan_calls(world, scenario)
    assert plan.equals(plan_calls(world, scenario))
    cut = plan_calls(world, scenario, start_s=scenario.start_s + 600, minutes=30)
    inside = plan[(plan["second"] >= scenario.start_s + 600) & (plan["second"] < scenario.start_s + 2400)]
    assert cut.equals(inside.reset_index(drop=True))


def test_a_fault_makes_the_shops_it_hits_ring_after_it_began(world: World) -> None:
    scenario = make_scenario({"kind": "frozen_app", "at_min": 10, "minutes": 90, "scope": {"region": "84"}})
    fault = Population(world, scenario).truth()[0]
    calls = plan_calls(world, scenario).query("cause == 0")
    hit = np.unique(world.shop[fault.terminals])
    assert set(calls["shop"]) <= set(hit.tolist())
    assert 0.3 < calls["shop"].nunique() / len(hit) < 0.6
    assert calls["second"].min() > fault.onset_s.min()
    delay_min = (calls.groupby("shop")["second"].min() - fault.onset_s.min()) / 60
    assert 4 < delay_min.median() < 25
    assert set(calls["subject"]) == {"technical"}
    assert calls["shop"].duplicated().any()  # some lose patience and ring again
    matter = HABITS[Kind.FROZEN_APP].words
    assert all(any(m[1:] in words for m in matter) for words in calls["words"])


def test_wrong_settlements_show_only_in_calls_that_say_so(world: World) -> None:
    scenario = make_scenario({"kind": "settlement_error", "at_min": 5, "minutes": 110, "scope": {"region": "11"}, "fraction": 0.5})
    calls = plan_calls(world, scenario).query("cause == 0")
    assert len(calls) > 30
    assert set(calls["subject"]) == {"administrative"}


@pytest.mark.parametrize(("kind", "most"), [("race_rush", 0.01), ("early_close", 0.01), ("maintenance_reboot", 0.01)])
def test_harmless_changes_make_hardly_anyone_ring(world: World, kind: str, most: float) -> None:
    scenario = make_scenario({"kind": kind, "at_min": 5, "minutes": 110, "scope": {}, "expect": "nothing"})
    calls = plan_calls(world, scenario).query("cause == 0")
    assert len(calls) <= most * len(world.shops)


def test_closed_shops_do_not_ring_about_a_fault(world: World) -> None:
    night = make_scenario(
        {"kind": "central_outage", "at_min": 5, "minutes": 200, "scope": {}}, start="2026-11-24T00:30:00+01:00", minutes=240
    )
    assert plan_calls(world, night).empty


def test_hurry_brings_the_first_calls_sooner(world: World) -> None:
    fault = {"kind": "printer_degraded", "at_min": 1, "minutes": 110, "scope": {"region": "84"}}

    def median_s(hurry: float) -> float:
        scenario = make_scenario(fault, callers_hurry=hurry)
        calls = plan_calls(world, scenario).query("cause == 0")
        return float(calls.groupby("shop")["second"].min().median()) - scenario.start_s - 60

    assert median_s(20) < median_s(1) / 4


def test_the_demonstration_s_telephone_rings_within_its_first_minutes() -> None:
    scenario = load(shipped()["demo"])
    world = build_world(scenario.seed, scenario.terminals)
    soon = plan_calls(world, scenario, minutes=3)
    soon = soon[soon["cause"] >= 0]
    assert {str(scenario.fault[c].kind) for c in soon["cause"]} >= {"power_cut", "network_outage", "frozen_app"}
    assert (soon["second"] - scenario.start_s).min() < 90


def test_every_kind_has_its_words_and_every_day_its_matters() -> None:
    assert set(HABITS) == set(Kind)
    assert {subject for _, subject, _ in EVERYDAY} == {"technical", "administrative", "commercial"}
