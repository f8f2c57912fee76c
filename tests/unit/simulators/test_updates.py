"""What an update does to a terminal: restarts into the other slot, and what a bad release makes of whoever runs it."""

from typing import Any

import msgspec
import numpy as np
import pytest

from fleet.contract import SAMPLE_FIELDS, EventCode
from fleet.errors import VigieError
from simulators.conduct import Conductor, make_devices
from simulators.happenings import Event
from simulators.link import Endpoint, Link
from simulators.population import Population
from simulators.scenario import Effect, ReleaseSpec
from simulators.swarm import Swarm
from simulators.updates.client import Restart
from simulators.updates.fleet import Place, Updates
from simulators.world import World
from tests.unit.simulators.scenes import make_scenario

NEW = "9.0.0"
LONG_ENOUGH_S = 150


class Play:
    """A fleet whose update clients visit nobody: tests say what they would have asked for."""

    def __init__(self, world: World, *effects: Effect, fraction: float = 1.0) -> None:
        release = tuple(ReleaseSpec(version=NEW, effect=effect, fraction=fraction, strength=3) for effect in effects)
        self.scenario = make_scenario(release=release)
        self.population = Population(world, self.scenario)
        devices = make_devices(world, dict.fromkeys(world.ids, "secret"), boot=self.scenario.start_s)
        swarm = Swarm(Endpoint.of("mqtt://127.0.0.1:1"), devices, seed=5, now_ms=lambda: 0)
        place = Place("http://127.0.0.1:1/vigie/controller/v1", dict.fromkeys(world.ids, "token"), b"")
        self.updates = Updates(place, self.population, devices, seed=5, clock_s=lambda: 0.0)
        self.conductor = Conductor(self.population, swarm, self.updates)
        self.devices, self.second = devices, self.scenario.start_s
        self.events: list[Event] = []
        advance = self.population.advance

        def listened(t0_s: int, t1_s: int) -> list[Event]:
            told = advance(t0_s, t1_s)
            self.events += told
            return told

        self.population.advance = listened  # type: ignore[method-assign]  # listens to what the conductor is told

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.conductor.live(self.second)
            self.second += 1

    def of(self, terminal: int, code: EventCode) -> list[str]:
        return [event.detail for event in self.events if event.terminal == terminal and event.code is code]


def test_an_update_restarts_into_the_other_slot_and_is_silent_meanwhile(world: World) -> None:
    play = Play(world)
    play.live(2)
    boot = play.devices[7].journal.boot
    play.updates.boots.begin(7, Restart(NEW), play.second)
    off = 0
    for _ in range(LONG_ENOUGH_S):
        play.live(1)
        off += not play.population.connectivity(play.second - 1).powered[7]
    device = play.devices[7]
    assert (device.firmware, device.slot) == (NEW, "B")
    assert device.journal.boot > boot
    assert play.of(7, EventCode.REBOOT) == ["expected: update"]
    assert 8 <= off <= 20
    assert play.updates.done["restarted"] == 1
    play.updates.boots.begin(7, Restart("4.2.1"), play.second)
    play.live(LONG_ENOUGH_S)
    assert (device.firmware, device.slot) == ("4.2.1", "A"), "the way back takes the other slot again"


def test_an_updated_terminal_is_born_with_its_new_firmware_and_slot(world: World) -> None:
    play, told = Play(world), list[dict[str, Any]]()

    class Listening(Link):
        def publish(
            self, topic: bytes, payload: bytes, *, now: float, retain: bool = False, correlation: bytes | None = None
        ) -> None:
            told.append(msgspec.json.decode(payload))

        def subscribe(self, topics: list[tuple[bytes, int]], *, now: float) -> None:
            pass

    device = play.devices[7]
    before = device.journal.boot
    play.updates.boots.begin(7, Restart(NEW), play.second)
    play.live(LONG_ENOUGH_S)
    device.link = Listening()
    device.greet(at_ms=1, now=0.0)
    birth, reported = told
    assert (birth["firmware"], birth["slot"], reported["firmware"], reported["slot"]) == (NEW, "B", NEW, "B")
    assert birth["boot"] > before


def test_a_bricked_terminal_never_comes_up(world: World) -> None:
    play = Play(world)
    play.updates.boots.begin(7, Restart(NEW, Effect.BRICKS), play.second)
    play.live(LONG_ENOUGH_S)
    assert not play.population.connectivity(play.second - 1).powered[7]
    assert play.conductor.dead == {7}
    play.conductor.swarm.relent(play.conductor.dead)
    assert not play.conductor.swarm._reachable[7], "nor at the end of the play"


def test_one_that_falls_back_crashes_and_runs_the_old_version_from_its_old_slot(world: World) -> None:
    play = Play(world)
    before = play.devices[7].firmware
    play.updates.boots.begin(7, Restart(NEW, Effect.FALLS_BACK), play.second)
    play.live(LONG_ENOUGH_S)
    assert (play.devices[7].firmware, play.devices[7].slot) == (before, "A")
    assert play.of(7, EventCode.APP_CRASH) == ["boot check failed"]
    assert play.of(7, EventCode.REBOOT) == ["expected: update", "unexpected: fell back to slot A"]
    assert play.updates.done["fell back"] == 1
    assert [one[2:] for one in play.updates.boots.lived] == [(NEW, "B", None), (before, "A", Effect.FALLS_BACK)]


@pytest.mark.parametrize("effect", [Effect.LIES, Effect.OFF])
def test_one_that_installs_nothing_comes_up_as_it_was(world: World, effect: Effect) -> None:
    play = Play(world)
    before = play.devices[7].firmware
    play.updates.boots.begin(7, Restart(None, effect), play.second)
    play.live(500)
    assert (play.devices[7].firmware, play.devices[7].slot) == (before, "A")
    assert [one[2:] for one in play.updates.boots.lived] == [(before, "A", effect)], "the truth knows"
    assert play.updates.done["restarted"] == 1


@pytest.mark.parametrize(
    ("effect", "field"),
    [
        (Effect.PRINTER_ERRORS, "print_errors"),
        (Effect.SCANNER_ERRORS, "scan_errors"),
        (Effect.TRANSACTION_ERRORS, "tx_timeouts"),
    ],
)
def test_a_bad_release_harms_whoever_runs_it_and_nobody_else(world: World, effect: Effect, field: str) -> None:
    good, bad = Play(world).population, Play(world, effect).population
    half = np.arange(0, len(world), 2)
    start = good.scenario.start_s
    for terminal in half.tolist():
        assert bad.updated(terminal, NEW, start) == [0]
    column = SAMPLE_FIELDS.index(field)
    sums = np.zeros((2, len(world)))
    for second in range(start, start + 300, 30):
        for row, population in enumerate((good, bad)):
            population.advance(second, second + 30)
            everybody = np.arange(len(world), dtype=np.int32)
            sums[row] += population.sample(everybody, second + 29)[:, column]
    assert sums[1, half].sum() > 2 * sums[0, half].sum() + 10
    assert np.array_equal(sums[0, 1::2], sums[1, 1::2])


def test_a_release_that_crashes_stops_crashing_once_it_is_gone(world: World) -> None:
    play = Play(world, Effect.CRASHES)
    play.population.updated(7, NEW, play.second)
    play.live(600)
    crashes = len(play.of(7, EventCode.APP_CRASH))
    assert crashes >= 2
    assert sum(event.code is EventCode.APP_CRASH for event in play.events) <= crashes + 20, "the day's own are few"
    play.population.updated(7, "4.2.1", play.second)
    play.live(300)
    assert len(play.of(7, EventCode.APP_CRASH)) <= crashes + 1


def test_a_part_of_the_terminals_is_drawn_by_the_seed(world: World) -> None:
    updates = Play(world, Effect.BRICKS, fraction=0.1).updates
    effects = [updates._goes_wrong(index, NEW) for index in range(len(world))]
    hit = sum(effect is not None for effect in effects)
    assert 0.06 * len(world) < hit < 0.14 * len(world)


def test_a_terminal_without_a_token_stops_the_start(world: World) -> None:
    play = Play(world)
    place = Place("http://127.0.0.1:1", dict.fromkeys(world.ids[1:], "token"), b"")
    with pytest.raises(VigieError, match=r"1 terminals have no token .*T00001"):
        Updates(place, play.population, play.devices, seed=5, clock_s=lambda: 0.0)
