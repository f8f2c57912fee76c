from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from simulators.opening import parse_hours
from simulators.scenario import Dimension, Effect, FaultSpec, Kind, ReleaseSpec, Scenario, ScenarioError, load, parse, shipped
from simulators.world import DIMENSIONS, build_world

DOCS = Path(__file__).parents[3] / "docs" / "scenarios.md"
GOOD = """\
name = "a carrier drops a region"
seed = 11
start = "2026-11-23T09:00:00+01:00"
minutes = 240

[[fault]]
kind = "race_rush"
at_min = 1
minutes = 5
scope = {}
expect = "nothing"

[[fault]]
kind = "network_outage"
at_min = 75
minutes = 40
scope = { carrier = "beta", region = "84" }
fraction = 1.0
strength = 1.0
expect = "incident"
"""


def test_a_scenario_is_read_with_its_defaults() -> None:
    scenario = parse(GOOD, source="x.toml")
    assert (scenario.terminals, scenario.warmup_days, scenario.callers_hurry) == (16_000, 7, 1)
    assert scenario.start_s == int(datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp())
    assert scenario.end_s - scenario.start_s == 240 * 60
    rush, outage = scenario.fault
    assert (rush.fraction, rush.strength, rush.scope_by_name()) == (1, 1, {})
    assert outage.kind is Kind.NETWORK_OUTAGE
    assert outage.scope_by_name() == {"carrier": "beta", "region": "84"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            '"network_outage"', '"network_outtage"', r"x.toml:14: fault 2, kind: .*did you mean network_outage\?", id="kind"
        ),
        pytest.param("carrier =", "carier =", r"x.toml:17: fault 2, scope, carier: .*did you mean carrier\?", id="dimension"),
        pytest.param(
            "at_min = 75",
            "at_min = 240",
            r"x.toml:15: fault 2, at_min: begins at minute 240, the scenario ends at 240",
            id="beyond the end",
        ),
        pytest.param(
            "at_min = 75",
            "at_min = -1",
            r"x.toml:15: fault 2, at_min: .*greater than or equal to 0 \(got -1\)",
            id="before the start",
        ),
        pytest.param(
            "fraction = 1.0", "fraction = -0.1", r"x.toml:18: fault 2, fraction: .*greater than 0 \(got -0.1\)", id="fraction"
        ),
        pytest.param("fraction = 1.0", "fraction = 1.1", r"x.toml:18: fault 2, fraction: .*less than or equal to 1", id="too much"),
        pytest.param("+01:00", "", r"x.toml:3: start: .*add the offset from UTC", id="no time zone"),
        pytest.param("seed = 11\n", "", r"x.toml: seed: field required: add a line `seed = ...`", id="no seed"),
        pytest.param('kind = "race_rush"\n', "", r"x.toml:6: fault 1, kind: field required", id="no kind"),
        pytest.param("strength", "strengh", r"x.toml:19: fault 2, strengh: .*did you mean strength\?", id="unknown field"),
        pytest.param("seed = 11", "seed = = 11", r"x.toml: not TOML: .*line 2", id="not TOML"),
        pytest.param("scope = {}\n", "", r"x.toml:6: .*give either scope = \{...\}", id="no terminals"),
        pytest.param("scope = {}", 'scope = {}\nterminals = ["T00001"]', r"x.toml:6: .*give either scope", id="two ways"),
        pytest.param("scope = {}", "terminals = []", r"terminals is empty", id="empty list"),
        pytest.param("scope = {}", 'terminals = ["T1"]', r"x.toml:10: fault 1, terminals, 0: ", id="terminal id"),
        pytest.param('"nothing"', '"nothin"', r"x.toml:11: fault 1, expect: .*did you mean nothing\?", id="expect"),
    ],
)
def test_a_mistake_is_named_with_line_field_and_remedy(old: str, new: str, message: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ScenarioError, match=message):
        parse(GOOD.replace(old, new, 1), source="x.toml")


def test_a_release_is_read_and_its_mistakes_are_named() -> None:
    release = GOOD + '\n[[release]]\nversion = "4.4.0"\neffect = "crashes"\nstrength = 2.0\n'
    assert parse(release, source="x.toml").release == (ReleaseSpec(version="4.4.0", effect=Effect.CRASHES, strength=2.0),)
    line = release.splitlines().index("[[release]]") + 1
    for old, new, message in (
        ("strength = 2.0\n", "strenth = 2.0\n", rf"x.toml:{line + 3}: release 1, strenth: .*did you mean strength\?"),
        ('"crashes"', '"crashs"', rf"x.toml:{line + 2}: release 1, effect: .*did you mean crashes\?"),
        ('version = "4.4.0"\n', "", rf"x.toml:{line}: release 1, version: field required"),
    ):
        before, table, after = release.partition("[[release]]")
        with pytest.raises(ScenarioError, match=message):
            parse(before + table + after.replace(old, new), source="x.toml")


def test_every_mistake_has_its_line() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(GOOD.replace("minutes = 5", "minutes = 0").replace("fraction = 1.0", "fraction = 2"), source="x.toml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_file_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no such scenario.*demo.*quiet-day"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(path)


def test_played_live_a_scenario_begins_now() -> None:
    scenario = parse(GOOD, source="x.toml")
    assert scenario.starting(1_800_000_000).start_s == 1_800_000_000
    assert scenario.starting(1_800_000_000).fault == scenario.fault


def test_scope_dimensions_are_the_world_s() -> None:
    assert get_args(Dimension) == DIMENSIONS


def test_the_demonstration_shows_something_within_two_minutes() -> None:
    scenario = load(shipped()["demo"])
    early = [fault for fault in scenario.fault if fault.at_min <= 2]
    assert {Kind.POWER_CUT, Kind.PAPER_OUT, Kind.NETWORK_OUTAGE, Kind.FROZEN_APP} <= {fault.kind for fault in early}
    assert scenario.callers_hurry > 1


def test_the_demonstration_s_single_terminals_stand_in_shops_open_every_afternoon() -> None:
    scenario = load(shipped()["demo"])
    world = build_world(scenario.seed, scenario.terminals)
    for fault in scenario.fault:
        for row in world.rows_of(fault.terminals or ()):
            week = parse_hours(world.shops["opening_hours"].iloc[int(world.shop[row])])
            assert all(any(a < 13 * 60 and b > 18 * 60 for a, b in day) for day in week), world.ids[row]
            assert world.shops["phones"].iloc[int(world.shop[row])]


def test_every_field_and_kind_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name in [*Scenario.model_fields, *FaultSpec.model_fields, *ReleaseSpec.model_fields, *Kind, *Effect]:
        assert name in ("fault", "release") or f"| `{name}` |" in text, name
    assert all(dimension in text for dimension in DIMENSIONS)


def test_the_documented_example_can_be_played() -> None:
    text = DOCS.read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    assert len(parse(example, source="docs/scenarios.md").fault) == 1
