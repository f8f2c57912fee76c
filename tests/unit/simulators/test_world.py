import csv
from pathlib import Path

import numpy as np
import pytest

from fleet.opening_hours import parse as registry_hours
from simulators.geography import DEPARTMENTS, agencies_per_region, agency_of_department, timezone_of
from simulators.scenario import load, shipped
from simulators.shops import unlisted_phones
from simulators.world import DIMENSIONS, World, build_world


@pytest.fixture(scope="module")
def whole() -> World:
    return build_world(7)


def test_world_has_the_fleet_of_the_design(whole: World) -> None:
    assert (len(whole), len(whole.shops)) == (16_000, 10_000)
    assert whole.ids[0] == "T00001"
    assert whole.ids[-1] == "T16000"
    assert len(set(whole.ids)) == 16_000
    per_shop = np.bincount(whole.shop, minlength=10_000)
    assert per_shop.min() == 1
    assert np.quantile(per_shop, 0.999) <= 4


def test_people_and_shops_spread_alike(whole: World) -> None:
    people = sum(d.thousands for d in DEPARTMENTS)
    counts = whole.shops["department"].value_counts()
    for department in DEPARTMENTS:
        expected = 10_000 * department.thousands / people
        assert abs(counts[department.code] - expected) < 5 * np.sqrt(expected) + 1


def test_every_department_lies_in_one_region_and_one_agency(whole: World) -> None:
    assert (len(DEPARTMENTS), len({d.region for d in DEPARTMENTS})) == (101, 18)
    assert sum(agencies_per_region().values()) == len(set(agency_of_department().values())) == 30
    for inner, outer in (("department", "region"), ("department", "agency"), ("agency", "region")):
        assert (whole.shops.groupby(inner)[outer].nunique() == 1).all()
    assert whole.shops.groupby("department")["timezone"].first().to_dict() == {d.code: timezone_of(d.code) for d in DEPARTMENTS}


@pytest.mark.parametrize(
    ("dimension", "value", "low", "high"),
    [
        ("model", "A", 0.30, 0.36),
        ("model", "B", 0.51, 0.58),
        ("model", "C", 0.11, 0.15),
        ("firmware", "4.3.0", 0.04, 0.06),
        ("firmware", "4.2.1", 0.75, 0.85),
    ],
)
def test_shares_are_those_of_the_design(whole: World, dimension: str, value: str, low: float, high: float) -> None:
    assert low < len(whole.in_scope({dimension: value})) / len(whole) < high


def test_a_lot_is_of_one_model_and_its_hardware_follows_it(whole: World) -> None:
    by_lot = whole.terminals.groupby("lot")
    assert (by_lot["model"].nunique() == 1).all()
    assert len(by_lot) == 24
    assert (by_lot["hw"].agg(lambda hw: hw.value_counts(normalize=True).iloc[0]) > 0.85).all()


def test_a_shop_usually_shares_one_line(whole: World) -> None:
    lines = whole.terminals.groupby("point_of_sale").agg({"access": "nunique", "carrier": "nunique"})
    assert 0.9 < ((lines["access"] == 1) & (lines["carrier"] == 1)).mean() < 1


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_scenario_finds_terminals_enough(name: str) -> None:
    scenario = load(shipped()[name])
    world = build_world(scenario.seed, scenario.terminals)
    for fault in scenario.fault:
        chosen = world.rows_of(fault.terminals) if fault.terminals else world.in_scope(fault.scope_by_name())
        assert len(chosen) == len(fault.terminals) if fault.terminals else 300 < len(chosen) <= 16_000


def test_same_seed_same_world_and_another_seed_another(whole: World) -> None:
    again, other = build_world(7), build_world(8)
    assert whole.terminals.equals(again.terminals)
    assert whole.shops.equals(again.shops)
    assert not whole.terminals.equals(other.terminals)


def test_a_smaller_world_is_the_beginning_of_a_larger_one(whole: World) -> None:
    small = build_world(7, 1600)
    assert small.terminals.iloc[:1500].equals(whole.terminals.iloc[:1500])


def test_telephones_are_fictional_some_shared_some_missing_none_leaked(whole: World) -> None:
    prefixes = ("+3319900", "+3326191", "+3335301", "+3346571", "+3353649", "+3363998")
    phones = whole.shops["phones"].explode().dropna()
    assert phones.str.startswith(prefixes).all()
    assert (phones.str.len() == len("+33199001234")).all()
    assert 0.005 < phones.duplicated().mean() < 0.05
    assert 0.02 < (whole.shops["phones"].map(len) == 0).mean() < 0.08
    assert not set(unlisted_phones(7)) & set(phones)


def test_csv_is_the_registry_again(whole: World, tmp_path: Path) -> None:
    shops, terminals = whole.write_csv(tmp_path)
    with shops.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["code", "name", "department", "region", "agency", "timezone", "opening_hours", "phones"]
    assert [tuple(filter(None, row["phones"].split("|"))) for row in rows] == whole.shops["phones"].tolist()
    assert [row["name"] for row in rows] == whole.shops["name"].tolist()
    assert [row["department"] for row in rows] == whole.shops["department"].tolist()
    with terminals.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["terminal", "point_of_sale", "model", "hw", "firmware", "access", "carrier", "lot"]
    assert [line["terminal"] for line in lines] == list(whole.ids)


def test_the_registry_reads_every_opening_hours_text(whole: World) -> None:
    for text in whole.shops["opening_hours"].unique():
        registry_hours(text)


def test_scope_is_a_conjunction_and_an_empty_one_is_all(whole: World) -> None:
    both = set(whole.in_scope({"carrier": "beta", "region": "84"}).tolist())
    assert both == set(whole.in_scope({"carrier": "beta"}).tolist()) & set(whole.in_scope({"region": "84"}).tolist())
    assert len(whole.in_scope({})) == 16_000
    assert len(whole.in_scope({"carrier": "omega"})) == 0
    assert set(DIMENSIONS) == set(whole.codes)


def test_an_unknown_terminal_is_named(whole: World) -> None:
    with pytest.raises(KeyError, match="T99999"):
        whole.rows_of(["T00001", "T99999"])


@pytest.mark.parametrize(("terminals", "shops"), [(0, None), (5, 6), (100_000, None)])
def test_impossible_worlds_are_refused(terminals: int, shops: int | None) -> None:
    with pytest.raises(ValueError, match="every shop needs one"):
        build_world(1, terminals, shops)
