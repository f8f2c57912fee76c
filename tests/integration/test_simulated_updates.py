"""A simulated terminal's update client against the real device API, with a release that its maker signed."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from firmware_rollout.ddi.tokens import device_token
from simulators.conduct import Conductor
from simulators.device import Device, Identity
from simulators.link import Endpoint
from simulators.population import Population
from simulators.scenario import Effect, Scenario
from simulators.swarm import Swarm
from simulators.updates import client, fleet
from simulators.updates.client import Again, Means, Next, Restart, UpdateClient
from simulators.updates.fleet import Place, Updates
from simulators.updates.http import Line, Reply
from simulators.world import build_world
from tests.integration.signed_releases import NOW, Maker, add, trusting
from tests.running_devices import KEY, TERMINAL, Devices, running_devices, with_shops

VERSION = "4.3.0"


@dataclass
class House:
    """The running API, the maker whose release it brings, and a terminal's means."""

    devices: Devices
    maker: Maker
    means: Means

    def terminal(
        self, *, wrong: Callable[[str], tuple[Effect, float] | None] = lambda _: None, model: str = "B", key: str = KEY
    ) -> UpdateClient:
        url = f"{self.devices.url}/vigie/controller/v1"
        return UpdateClient(url, TERMINAL, token=device_token(key, TERMINAL), model=model, hw="1", wrong=wrong)

    def visit(self, terminal: UpdateClient) -> Next:
        return terminal.visit(self.means, firmware="4.2.1", slot="A")


@pytest.fixture
def house(module_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(client, "CUT_SHARE", 0.0)
    with_shops(module_database_url)
    maker = Maker(tmp_path / "maker")
    with running_devices(module_database_url, tmp_path / "store", poll_s=60) as devices:
        devices.now[0] = NOW
        with psycopg.connect(module_database_url) as conn:
            conn.execute("DELETE FROM firmware_rollout.metadata")
            trusting(conn, maker)
            add(conn, devices.store, maker, maker.sign(VERSION, size=40_000))
        line = Line(devices.url)
        yield House(devices, maker, Means(line, tmp_path / "seen", maker.root, lambda: NOW, random.Random(1)))
        line.close()


def open_action(house: House) -> int:
    return house.devices.open_action(policy='{"window": null}')


def test_it_asks_as_often_as_it_is_told_and_says_what_it_is(house: House) -> None:
    terminal = house.terminal()
    following = house.visit(terminal)
    assert isinstance(following, Again)
    assert 0.8 * 60 <= following.after_s <= 60
    [[attributes]] = house.devices.sql("SELECT attributes FROM firmware_rollout.device WHERE terminal_id = %s", TERMINAL)
    assert attributes == {"model": "B", "hw": "1", "firmware": "4.2.1", "slot": "A"}


def test_an_update_is_fetched_checked_installed_and_told_after_the_restart(house: House) -> None:
    action, terminal = open_action(house), house.terminal()
    assert house.visit(terminal) == Restart(VERSION)
    assert house.devices.action(action)["stage"] == "downloaded"
    assert house.devices.action(action)["state"] == "open", "nothing is claimed before the restart"
    terminal.up(failed=False, words="runs 4.3.0, slot B")
    assert isinstance(house.visit(terminal), Again)
    assert (house.devices.action(action)["state"], house.devices.action(action)["detail"]) == ("told", "runs 4.3.0, slot B")
    assert terminal.job is None


def test_a_fall_back_is_told_as_a_failure(house: House) -> None:
    action, terminal = open_action(house), house.terminal(wrong=lambda _: (Effect.FALLS_BACK, 1.0))
    assert house.visit(terminal) == Restart(VERSION, Effect.FALLS_BACK)
    terminal.up(failed=True, words="fell back to slot A")
    house.visit(terminal)
    assert house.devices.action(action)["outcome"] == "failure"


def test_a_cut_download_is_resumed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CUT_SHARE", 1.0)
    open_action(house)
    terminal = house.terminal()
    ranges: list[str] = []
    ask = house.means.line.ask

    def watched(method: str, path: str, *, headers: Mapping[str, str], **more: Any) -> Reply:
        if "/artifacts/" in path:
            ranges.append(headers.get("Range", "all"))
        return ask(method, path, headers=headers, **more)

    monkeypatch.setattr(house.means.line, "ask", watched)
    assert isinstance(house.visit(terminal), Again)
    assert terminal.job is not None
    assert bytes(terminal.job.content) == house.maker.contents[VERSION][:20_000]
    assert house.visit(terminal) == Restart(VERSION)
    assert ranges == ["all", "bytes=20000-39999"]


def test_a_slow_terminal_fetches_piece_by_piece(house: House) -> None:
    open_action(house)
    terminal = house.terminal(wrong=lambda _: (Effect.SLOW, 0.5))
    visits = [house.visit(terminal) for _ in range(4)]
    assert visits == [Again(client.SLOW_PAUSE_S)] * 3 + [Restart(VERSION, Effect.SLOW)]


def test_who_is_switched_off_half_way_resumes(house: House) -> None:
    open_action(house)
    terminal = house.terminal(wrong=lambda _: (Effect.OFF, 1.0))
    assert house.visit(terminal) == Restart(None, Effect.OFF)
    assert terminal.job is not None
    assert len(terminal.job.content) == 20_000
    assert house.visit(terminal) == Restart(VERSION, Effect.OFF)


def test_a_liar_says_success_and_has_installed_nothing(house: House) -> None:
    action, terminal = open_action(house), house.terminal(wrong=lambda _: (Effect.LIES, 1.0))
    assert house.visit(terminal) == Restart(None, Effect.LIES)
    assert house.devices.action(action)["state"] == "told"
    assert isinstance(house.visit(terminal), Again), "and is asked for nothing more"


def test_a_cancelled_update_is_dropped_and_answered(house: House) -> None:
    action, terminal = open_action(house), house.terminal(wrong=lambda _: (Effect.SLOW, 1.0))
    house.visit(terminal)
    house.devices.cancel(action)
    assert isinstance(house.visit(terminal), Again)
    assert (terminal.job, house.devices.action(action)["outcome"]) == (None, "cancelled")


def test_a_halt_ends_the_offer_at_the_next_poll(house: House) -> None:
    open_action(house)
    house.devices.set_campaigns("halted")
    terminal = house.terminal()
    assert isinstance(house.visit(terminal), Again)
    assert terminal.job is None


def test_what_the_maker_did_not_sign_is_refused_and_told(house: House, tmp_path: Path) -> None:
    stranger = Maker(tmp_path / "stranger")
    house.means = Means(house.means.line, tmp_path / "new", stranger.root, house.means.clock, house.means.chance)
    action = open_action(house)
    assert isinstance(house.visit(house.terminal()), Again)
    said = house.devices.action(action)
    assert said["outcome"] == "failure"
    assert said["detail"].startswith("unsigned")


def test_an_altered_file_is_refused_and_told(house: House, tmp_path: Path) -> None:
    action, terminal = open_action(house), house.terminal(wrong=lambda _: (Effect.SLOW, 0.5))
    house.visit(terminal)
    [kept] = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    kept.chmod(0o600)
    kept.write_bytes(b"x" * 40_000)
    following = [house.visit(terminal) for _ in range(3)]
    assert not any(isinstance(one, Restart) for one in following)
    assert house.devices.action(action)["outcome"] == "failure"
    assert house.devices.action(action)["detail"].startswith("wrong_file")


def test_another_model_s_terminal_refuses(house: House) -> None:
    action = open_action(house)
    assert isinstance(house.visit(house.terminal(model="C")), Again)
    assert house.devices.action(action)["detail"].startswith("does_not_fit")


def test_an_unknown_terminal_and_a_server_that_is_away_are_asked_again_later(house: House) -> None:
    assert isinstance(house.visit(house.terminal(key="another-device-key-of-32-signs...")), Again)
    lost = Means(Line("http://127.0.0.1:1"), house.means.home, house.maker.root, lambda: NOW + timedelta(1), house.means.chance)
    following = house.terminal().visit(lost, firmware="4.2.1", slot="A")
    assert isinstance(following, Again)
    assert following.after_s <= client.AGAIN_S[1]


def test_a_fleet_s_threads_bring_an_update_from_poll_to_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "FIRST_WITHIN_S", 0.2)
    monkeypatch.setattr(fleet, "UP_WITHIN_S", (0.0, 0.1))
    scenario = Scenario(name="four", seed=5, terminals=4, start=NOW, minutes=60)
    world = build_world(5, 4)
    action = house.devices.open_action(world.ids[2], policy='{"window": null}')
    population = Population(world, scenario)
    devices = [Device(Identity(terminal, "secret", "4.2.1", "B", "1"), boot=scenario.start_s) for terminal in world.ids]
    tokens = {terminal: device_token(KEY, terminal) for terminal in world.ids}
    place = Place(f"{house.devices.url}/vigie/controller/v1", tokens, house.maker.root)
    updates = Updates(place, population, devices, seed=5, clock_s=NOW.timestamp)
    conductor = Conductor(population, Swarm(Endpoint.of("mqtt://127.0.0.1:1"), devices, seed=5, now_ms=lambda: 0), updates)
    updates.start()
    try:
        second, deadline = scenario.start_s, time.monotonic() + 20
        while house.devices.action(action)["state"] != "told":
            assert time.monotonic() < deadline, (house.devices.action(action), updates.done)
            # Faster than the clock: a restart takes half a minute.
            conductor.live(second)
            second += 1
            time.sleep(0.02)
    finally:
        updates.stop()
    assert [(device.firmware, device.slot) for device in devices].count((VERSION, "B")) == 1
    assert (devices[2].firmware, devices[2].slot) == (VERSION, "B")
    assert updates.done["restarted"] == 1
