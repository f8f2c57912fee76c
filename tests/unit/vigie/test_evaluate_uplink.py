"""What reaches the house of what a simulated fleet lives through, and when."""

from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from diagnostics.detector.observed import Calls
from diagnostics.snapshot import EVENT_INDEX
from fleet.contract import EventCode
from simulators.population import Population
from simulators.scenario import FaultSpec, Scenario
from simulators.world import World, build_world
from vigie.evaluate.uplink import WILL_S, Heard, Uplink, signalled

SEED, TERMINALS = 5, 200
TICK_S = 10


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(SEED, TERMINALS)


def no_calls() -> Calls:
    return Calls(np.zeros(0, np.int32), np.zeros(0, np.int64))


def lived(
    world: World, minutes: float, *faults: dict[str, Any], calls: Calls | None = None
) -> tuple[Population, list[tuple[int, Heard]]]:
    specs = tuple(FaultSpec.model_validate({"expect": "incident", **fault}) for fault in faults)
    start = datetime.fromisoformat("2026-11-24T15:00:00+01:00")
    scenario = Scenario(name="uplink", seed=SEED, terminals=TERMINALS, start=start, minutes=minutes, fault=specs)
    population = Population(world, scenario)
    uplink = Uplink(population, calls or no_calls())
    ticks = range(scenario.start_s, scenario.end_s, TICK_S)
    return population, [(second + TICK_S, uplink.step(second, second + TICK_S)) for second in ticks]


OUTAGE = {"kind": "network_outage", "at_min": 5, "minutes": 10, "scope": {"carrier": "beta"}}


def test_what_an_outage_held_back_comes_after_it_whole_once_and_by_its_own_date(world: World) -> None:
    _, quiet = lived(world, 25)
    _, broken = lived(world, 25, OUTAGE)

    def taken(heard: list[tuple[int, Heard]]) -> Counter[tuple[int, int]]:
        return Counter(
            pair for _, one in heard for pair in zip(one.seen.rows.tolist(), (one.seen.at_ms // 10_000).tolist(), strict=True)
        )

    assert max(taken(broken).values()) == 1
    beta = set(world.in_scope({"carrier": "beta"}).tolist())
    # A restart of a mishap apart, the same samples are taken and in the end all are heard.
    assert abs(sum(taken(broken).values()) - sum(taken(quiet).values())) <= 20
    late_ms = np.concatenate([(one.seen.received_ms - one.seen.at_ms)[np.isin(one.seen.rows, list(beta))] for _, one in broken])
    assert late_ms.max() > 8 * 60_000
    assert all((one.seen.received_ms <= second * 1000).all() for second, one in broken)


def test_a_lost_connection_is_missed_when_the_broker_gives_up_and_seen_back_at_once(world: World) -> None:
    population, heard = lived(world, 25, OUTAGE)
    [truth] = population.truth()
    cut_s = {int(row): int(onset) for row, onset in zip(truth.terminals, truth.onset_s, strict=True)}
    missed: dict[int, int] = {}
    back: dict[int, int] = {}
    for second, one in heard:
        for row, online in zip(one.presence_rows.tolist(), one.presence_online.tolist(), strict=True):
            if second > truth.first_effect_s and row in cut_s:  # type: ignore[operator]  # an outage had its effect
                (back if online else missed).setdefault(row, second)
    assert len(missed) > 0.8 * len(cut_s), "all but those that fail over to radio in time"
    assert all(WILL_S <= second - cut_s[row] <= WILL_S + 2 * TICK_S for row, second in missed.items())
    until_s = dict(zip(truth.terminals.tolist(), truth.until_s.tolist(), strict=True))
    stayed = [row for row in missed if back[row] >= until_s[row]]
    assert stayed
    assert all(back[row] - until_s[row] <= 2 * TICK_S for row in stayed)


def test_who_has_no_power_measures_nothing_and_tells_of_it_on_return(world: World) -> None:
    population, heard = lived(world, 25, {"kind": "power_cut", "at_min": 5, "minutes": 10, "scope": {"model": "B"}})
    [truth] = population.truth()
    row = int(truth.terminals[0])
    at_s = np.concatenate([one.seen.at_ms[one.seen.rows == row] // 1000 for _, one in heard])
    assert not ((at_s > truth.onset_s[0] + 1) & (at_s < truth.until_s[0] - 1)).any()
    told = [
        code
        for _, one in heard
        for code, who in zip(one.seen.event_codes.tolist(), one.seen.event_rows.tolist(), strict=True)
        if who == row
    ]
    assert EVENT_INDEX[EventCode.POWER_LOSS] in told


def test_samples_are_dated_by_the_terminal_s_own_clock_and_refused_when_far_ahead(world: World) -> None:
    drift = {"kind": "clock_drift", "at_min": 0, "minutes": 60, "scope": {}, "strength": 20.0}
    _, heard = lived(world, 60, drift)
    ahead_ms = np.concatenate([one.seen.at_ms - one.seen.received_ms for _, one in heard])
    assert ahead_ms.max() > 120_000
    assert ahead_ms.max() <= 300_000
    first = sum(len(one.seen.rows) for _, one in heard[:60])
    last = sum(len(one.seen.rows) for _, one in heard[-60:])
    assert last < first / 2, "five minutes ahead, a sample is a dead letter"


def test_calls_are_heard_in_the_tick_they_ring_in(world: World) -> None:
    start_ms = round(datetime.fromisoformat("2026-11-24T15:00:00+01:00").timestamp() * 1000)
    calls = Calls(np.array([3, 4], np.int32), start_ms + np.array([9_000, 10_000], np.int64))
    _, heard = lived(world, 1, calls=calls)
    assert [one.seen.calls.shop.tolist() for _, one in heard[:2]] == [[3], [4]]


def test_a_call_names_a_shop_only_by_a_number_of_that_shop_alone(world: World) -> None:
    phones: list[tuple[str, ...]] = world.shops["phones"].tolist()
    of = Counter(number for numbers in phones for number in set(numbers))
    alone = next((shop, n) for shop, numbers in enumerate(phones) for n in numbers if of[n] == 1)
    shared = [number for number, shops in of.items() if shops > 1]
    callers = [alone[1], "anonymous", "+33199009999", *shared[:1]]
    plan = pd.DataFrame({"caller": callers, "second": range(len(callers))})
    named = signalled(world, plan)
    assert (named.shop.tolist(), named.at_ms.tolist()) == ([alone[0]], [0])
