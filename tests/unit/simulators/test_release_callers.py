"""Shops ring because of what a release does to their terminals, as long as it does it."""

from simulators.release_callers import ReleaseCallers
from simulators.scenario import Effect, Kind, ReleaseSpec, Scenario
from simulators.words import HABITS
from simulators.world import World
from tests.unit.simulators.scenes import make_scenario

NEW = "9.0.0"


def calling(world: World, *effects: Effect) -> tuple[ReleaseCallers, Scenario]:
    release = tuple(ReleaseSpec(version=NEW, effect=effect) for effect in effects)
    scenario = make_scenario(release=release, callers_hurry=20, minutes=600)
    return ReleaseCallers(world, scenario, first_number=500), scenario


def test_shops_of_updated_terminals_ring_about_it_once_for_all_their_terminals(world: World) -> None:
    callers, scenario = calling(world, Effect.CALLS)
    for terminal in range(1200):
        callers.updated(terminal, [0], scenario.start_s)
    calls = list(callers.due(scenario.start_s + 1200))
    shops = {str(world.shops["code"].iloc[int(world.shop[terminal])]) for terminal in range(1200)}
    assert {call.point_of_sale for call in calls} <= shops
    assert len({call.point_of_sale for call in calls}) == len(calls) > 0.1 * len(shops)
    assert [call.number for call in calls] == list(range(500, 500 + len(calls)))
    said = " ".join(call.words for call in calls).lower()
    assert any(words in said for words in HABITS[Kind.SETTLEMENT_ERROR].words)


def test_nobody_rings_any_more_once_the_release_is_gone(world: World) -> None:
    callers, scenario = calling(world, Effect.CALLS)
    for terminal in range(1200):
        callers.updated(terminal, [0], scenario.start_s)
        callers.updated(terminal, [], scenario.start_s + 1)
    assert not list(callers.due(scenario.start_s + 7200))


def test_a_good_release_makes_nobody_ring(world: World) -> None:
    callers, scenario = calling(world)
    callers.updated(7, [], scenario.start_s)
    assert not list(callers.due(scenario.start_s + 7200))
