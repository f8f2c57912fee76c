"""Versions, waves as people write them, and the draw by shop."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_rollout.campaigns import CampaignError, Wave, check_waves, parse_wave
from firmware_rollout.releases import is_at_least, parse_version
from firmware_rollout.shops import draw_late, draw_waves, strata_of_shops
from fleet.registry import Terminal
from fleet.scope import ScopeError, check_scope, in_scope, parse_scope, parse_target

START = datetime(2026, 11, 20, 5, tzinfo=UTC)


def terminal(number: int, shop: int, *, model: str = "B", carrier: str = "alpha") -> Terminal:
    return Terminal(
        f"T{number:05}", f"P{shop:05}", model, "1", "4.2.1", "4g", carrier, "L01", "59", "32", "AG01", "Europe/Paris", "24/7"
    )


def waves(*shares: float) -> list[Wave]:
    return [Wave(START + timedelta(days=day), share) for day, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("4.3.0", (4, 3, 0)),
        ("0.0.1", (0, 0, 1)),
        ("4.3", None),
        ("4.03.0", None),
        ("4.3.0-rc1", None),
        ("4.3.0\n", None),
        ("", None),
    ],
)
def test_a_version_is_three_numbers(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("reported", "answer"), [("4.3.0", True), ("4.10.0", True), ("4.2.9", False), (None, None), ("unknown", None)]
)
def test_versions_are_ordered_by_their_numbers(reported: str | None, answer: bool | None) -> None:
    assert is_at_least(reported, "4.3.0") is answer


@pytest.mark.parametrize(
    ("text", "planned_at", "share"),
    [
        pytest.param("2026-11-20T06:00 5%", START, 5, id="without an offset, Paris in winter"),
        pytest.param("2026-07-20T06:00 5%", datetime(2026, 7, 20, 4, tzinfo=UTC), 5, id="without an offset, Paris in summer"),
        pytest.param("2026-11-20T05:00+00:00  0.5 %", START, 0.5, id="with an offset and spaces"),
    ],
)
def test_a_wave_is_read_as_people_write_it(text: str, planned_at: datetime, share: float) -> None:
    wave = parse_wave(text)
    assert (wave.planned_at, wave.share_pct) == (planned_at, share)


@pytest.mark.parametrize("text", ["", "5%", "tomorrow 5%", "2026-11-20T06:00", "2026-11-20T06:00 five%", "2026-13-20T06:00 5%"])
def test_what_is_no_wave_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CampaignError, match=r"^wave: .*2026-11-20T06:00 5%"):
        parse_wave(text)


@pytest.mark.parametrize(
    ("planned", "problem"),
    [
        pytest.param([], "at least one", id="no wave"),
        pytest.param(waves(5, 50), "the last one is 50 %", id="not everyone is reached"),
        pytest.param(waves(0, 100), "above 0", id="a first wave of nobody"),
        pytest.param(waves(50, 50, 100), "wave 2 must reach more", id="a wave of nobody"),
        pytest.param(waves(5, 150, 100), "wave 3 must reach more", id="shares that fall"),
        pytest.param(waves(5, 100)[::-1], "wave 2 must not begin before", id="times that go back"),
    ],
)
def test_waves_that_make_no_sense_are_refused(planned: list[Wave], problem: str) -> None:
    with pytest.raises(CampaignError, match=problem) as refused:
        check_waves(planned)
    assert refused.value.field == "wave"


_SHOPS = st.dictionaries(st.integers(0, 400).map(lambda number: f"P{number:05}"), st.sampled_from("ABC"), min_size=1, max_size=120)


@given(_SHOPS, st.integers(0, 2**63 - 1), st.randoms())
def test_the_draw_does_not_depend_on_order(strata: dict[str, str], seed: int, random: object) -> None:
    drawn = draw_waves(strata, (5, 20, 100), seed=seed)
    assert set(drawn) == set(strata), "every shop has a wave"
    assert 1 in drawn.values(), "the first wave has a shop, however small the campaign"
    shuffled = list(strata.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    assert draw_waves(dict(shuffled), (5, 20, 100), seed=seed) == drawn


def test_every_stratum_has_its_share_of_every_wave() -> None:
    strata = {f"P{number:05}": "ABCDEFGH"[number % 8] for number in range(1600)}
    drawn = draw_waves(strata, (5, 20, 100), seed=7)
    for stratum in "ABCDEFGH":
        counts = Counter(drawn[shop] for shop in strata if strata[shop] == stratum)
        assert [counts[1], counts[2], counts[3]] == pytest.approx([10, 30, 160], abs=2)


def test_another_seed_draws_other_shops() -> None:
    strata = {f"P{number:05}": "A" for number in range(1000)}
    first, other = (draw_waves(strata, (10, 100), seed=seed) for seed in (1, 2))
    assert sum(first[one] == other[one] == 1 for one in first) < 40, "about ten of a hundred by chance"


def test_strata_are_models_region_and_calls_of_a_shop() -> None:
    fleet = [terminal(1, 1), terminal(2, 1, model="A"), terminal(3, 2), terminal(4, 3)]
    assert strata_of_shops(fleet, {"P00001": 2, "P00003": 9}) == {
        "P00001": "A+B | 32 | 1",
        "P00002": "B | 32 | 0",
        "P00003": "B | 32 | 2",
    }


def test_late_shops_fall_on_the_waves_by_their_shares() -> None:
    shares = (0.5, 2.0, 5.0, 15.0, 40.0, 95.0, 100.0)
    counts = Counter(draw_late(f"P{number:05}", shares, seed=7) for number in range(20_000))
    widths = [100, 300, 600, 2000, 5000, 11000, 1000]
    assert [counts[number] for number in range(1, 8)] == pytest.approx(widths, rel=0.25)
    assert draw_late("P00001", shares, seed=7) == draw_late("P00001", shares, seed=7)


def test_a_scope_is_a_conjunction() -> None:
    fleet = [terminal(1, 1), terminal(2, 1, model="A"), terminal(3, 2, carrier="beta"), terminal(4, 2, model="A", carrier="beta")]
    assert [one.id for one in in_scope({"model": "A", "carrier": "beta"}, fleet)] == ["T00004"]
    assert in_scope({}, fleet) == fleet
    assert [one.id for one in in_scope({"model": ["A", "B"], "carrier": ["beta"]}, fleet)] == ["T00003", "T00004"]


@pytest.mark.parametrize(
    ("conditions", "field"),
    [(["model"], "model"), (["model="], "model"), (["=B"], ""), (["model=A", "model=B"], "model")],
)
def test_a_condition_that_cannot_be_read_names_its_field(conditions: list[str], field: str) -> None:
    with pytest.raises(ScopeError) as refused:
        parse_scope(conditions)
    assert refused.value.field == field


def test_conditions_make_a_scope() -> None:
    assert parse_scope(["model=B", " carrier = beta ", "model=B"]) == {"model": "B", "carrier": "beta"}
    assert parse_target(["hw=2", "model=B", "hw=3", "hw=2"]) == {"hw": ["2", "3"], "model": ["B"]}


@pytest.mark.parametrize("values", [["alpha", "omega"], []])
def test_each_of_several_values_has_to_be_known(values: list[str]) -> None:
    with pytest.raises(ScopeError) as refused:
        check_scope({"carrier": values}, [terminal(1, 1)])
    assert refused.value.field == "carrier"


def test_a_long_list_of_known_values_is_cut() -> None:
    fleet = [terminal(number, number, carrier=f"c{number:03}") for number in range(100)]
    with pytest.raises(ScopeError, match=r"c000, .*c039 and 60 more"):
        check_scope({"carrier": "omega"}, fleet)
