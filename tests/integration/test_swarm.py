"""200 simulated terminals on a real Mosquitto: births, journals that empty on `ack`, and nothing lost when connections are."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleet.contract import SAMPLE_FIELDS, Channel, EventCode, topic
from simulators.device import Device, Identity
from simulators.link import Endpoint, Phase
from simulators.swarm import Swarm
from tests.integration.swarm_keeper import Keeper, pump_until
from tests.running_broker import Broker
from vigie.engines.certificates import make_certificates
from vigie.engines.layout import Layout
from vigie.engines.mosquitto import Door, EmbeddedMosquitto
from vigie.engines.process import free_port

TERMINALS = 200
BOOT = 1_900_000_000
IDS = [f"T{number:05}" for number in range(1, TERMINALS + 1)]
VALUES = [float(n) for n in range(len(SAMPLE_FIELDS))]
ALL = np.ones(TERMINALS, bool)


@pytest.fixture
def devices(broker: Broker) -> list[Device]:
    broker.set_terminals(IDS)
    return [Device(Identity(name, broker.terminal_passwords[name], "4.2.1", "B", "2"), boot=BOOT) for name in IDS]


@pytest.fixture
def swarm(broker: Broker, devices: list[Device]) -> Iterator[Swarm]:
    endpoint = Endpoint.of(f"mqtt://{broker.host}:{broker.port}")
    running = Swarm(endpoint, devices, seed=1, now_ms=lambda: int(time.time() * 1000), resend_s=6)
    yield running
    running.finish()


@pytest.fixture
def keeper(broker: Broker) -> Iterator[Keeper]:
    running = Keeper(broker.url("vigie-ingest"))
    yield running
    running.close()


def sample(swarm: Swarm, *, times: int = 1, first: int = TERMINALS) -> set[tuple[str, int, int]]:
    """Let the first terminals take samples; returns what was written."""
    written = set()
    for _ in range(times):
        for index, device in enumerate(swarm.devices[:first]):
            device.note_sample(int(time.time() * 1000), VALUES)
            written.add((device.identity.id, device.journal.boot, device.journal.seq))
            swarm.forward(index)
    return written


def all_online(swarm: Swarm) -> None:
    swarm.reach(ALL, ALL)
    pump_until(swarm.pump, lambda: swarm.online == TERMINALS, timeout_s=30)


def test_terminals_are_born_report_and_their_journals_empty_on_ack(swarm: Swarm, keeper: Keeper) -> None:
    all_online(swarm)
    written = sample(swarm, times=3)
    pump_until(swarm.pump, lambda: swarm.backlog() == 0, timeout_s=20)
    assert set(keeper.heard) == written
    assert set(keeper.heard.values()) == {1}
    assert keeper.online() == set(IDS)
    birth = keeper.presence["T00012"]
    assert (birth.session, birth.boot, birth.firmware, birth.slot, birth.model, birth.hw) == (
        BOOT + 1,
        BOOT,
        "4.2.1",
        "A",
        "B",
        "2",
    )
    assert keeper.reported["T00012"].firmware == "4.2.1"
    assert swarm.totals.refused == swarm.totals.lost == swarm.totals.noise == 0


def test_presence_is_retained_and_a_goodbye_is_an_offline(broker: Broker, swarm: Swarm, keeper: Keeper) -> None:
    all_online(swarm)
    pump_until(swarm.pump, lambda: keeper.online() == set(IDS), timeout_s=10)
    late = Keeper(broker.url("vigie-ingest"), client_id="late")
    pump_until(swarm.pump, lambda: late.online() == set(IDS), timeout_s=10)
    swarm.finish()
    pump_until(lambda _: time.sleep(0.05), lambda: not late.online(), timeout_s=10)
    assert {presence.session for presence in late.presence.values()} == {BOOT + 1}
    late.close()


def test_a_cut_network_is_offline_at_once_and_the_journal_comes_after(swarm: Swarm, keeper: Keeper) -> None:
    all_online(swarm)
    pump_until(swarm.pump, lambda: keeper.online() == set(IDS), timeout_s=10)
    cut = ALL.copy()
    cut[:50] = False
    swarm.reach(ALL, cut)
    written = sample(swarm, times=3) | sample(swarm, times=600, first=2)
    waiting = 50 * 3 + 2 * 600
    pump_until(swarm.pump, lambda: len(keeper.online()) == TERMINALS - 50 and swarm.backlog() == waiting, timeout_s=30)
    swarm.reach(ALL, ALL)
    pump_until(swarm.pump, lambda: swarm.backlog() == 0, timeout_s=60)
    assert set(keeper.heard) == written
    assert keeper.presence["T00001"].session == BOOT + 2


def test_a_power_cut_leaves_the_socket_standing_and_a_reboot_keeps_the_journal(swarm: Swarm, keeper: Keeper) -> None:
    all_online(swarm)
    keeper.acknowledge = False
    written = sample(swarm)
    pump_until(swarm.pump, lambda: set(keeper.heard) == written, timeout_s=10)
    off = ALL.copy()
    off[0] = False
    swarm.reach(off, ALL)
    device = swarm.devices[0]
    assert device.link.phase is Phase.MUTE
    assert device.link.fd >= 0
    device.reboot(BOOT + 60)
    device.note_event(int(time.time() * 1000), EventCode.REBOOT, "unexpected: power")
    keeper.acknowledge = True
    swarm.reach(ALL, ALL)
    pump_until(swarm.pump, lambda: len(device.journal) == 0, timeout_s=20)
    assert keeper.heard["T00001", BOOT, 1] == 2
    assert keeper.heard["T00001", BOOT + 60, 1] == 1
    assert keeper.presence["T00001"].boot == BOOT + 60
    assert keeper.presence["T00001"].state == "online"


def test_a_killed_broker_loses_nothing(broker: Broker, swarm: Swarm, keeper: Keeper) -> None:
    all_online(swarm)
    keeper.acknowledge = False
    written = sample(swarm, times=2)
    pump_until(swarm.pump, lambda: set(keeper.heard) == written, timeout_s=10)
    assert broker.mosquitto.pid is not None
    os.kill(broker.mosquitto.pid, signal.SIGKILL)
    pump_until(swarm.pump, lambda: swarm.online == 0, timeout_s=10)
    written |= sample(swarm)
    keeper.acknowledge = True
    broker.mosquitto.stop()
    broker.mosquitto.start()
    pump_until(swarm.pump, lambda: swarm.online == TERMINALS and swarm.backlog() == 0, timeout_s=60)
    assert set(keeper.heard) == written


def test_commands_and_settings_from_vigie_are_answered(broker: Broker, swarm: Swarm, keeper: Keeper) -> None:
    all_online(swarm)
    web, rollout = connected(broker, "vigie-web"), connected(broker, "vigie-rollout")
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's is untyped
    properties.ResponseTopic = topic("T00007", Channel.RES)
    properties.CorrelationData = b"c-7"
    properties.MessageExpiryInterval = 60
    for number, name in enumerate(("ping", "reboot"), start=1):
        web.publish(topic("T00007", Channel.CMD), json.dumps({"id": number, "name": name}), qos=1, properties=properties)
    web.publish(topic("T00008", Channel.CMD), b"not json", qos=1)
    rollout.publish(topic("T00009", Channel.DESIRED), b'{"rev":4,"config":{"screen":"bright"}}', qos=1, retain=True)
    pump_until(
        swarm.pump,
        lambda: len(keeper.results) == 2 and keeper.reported["T00009"].rev == 4 and swarm.totals.noise == 1,
        timeout_s=10,
    )
    assert [(terminal, result.id, result.ok, result.detail, data) for terminal, result, data in keeper.results] == [
        ("T00007", 1, True, "pong", b"c-7"),
        ("T00007", 2, True, "restarting", b"c-7"),
    ]
    assert swarm.rebooting == [6]
    assert keeper.reported["T00009"].config == {"screen": "bright"}
    for client in (web, rollout):
        client.disconnect()
        client.loop_stop()


def test_a_wrong_password_is_refused_and_tried_again_later(broker: Broker, swarm: Swarm) -> None:
    swarm.devices[3].identity = swarm.devices[3].identity._replace(password="guess")
    swarm.reach(ALL, ALL)
    pump_until(swarm.pump, lambda: swarm.online == TERMINALS - 1 and swarm.totals.refused >= 2, timeout_s=30)
    assert all("0x87" in why or "0x86" in why for why in swarm.failures), swarm.failures


def test_a_closed_shops_terminal_shows_signs_of_life(swarm: Swarm, keeper: Keeper) -> None:
    all_online(swarm)
    pump_until(swarm.pump, lambda: keeper.online() == set(IDS), timeout_s=10)
    assert {device.link.ping_after_s for device in swarm.devices} == {20}
    before = {device.identity.id: device.link.last_sent for device in swarm.devices}
    for device in swarm.devices:
        device.link.ping_after_s = 0
    pump_until(
        swarm.pump, lambda: all(device.link.last_sent > before[device.identity.id] for device in swarm.devices), timeout_s=15
    )
    # The broker answered each of them.
    pump_until(swarm.pump, lambda: not any(device.link.owed_for(time.monotonic()) for device in swarm.devices), timeout_s=10)
    assert swarm.totals.lost == 0


def test_tls_is_spoken_where_the_address_says_so(engines: Layout, engine_home: Path) -> None:
    certificates = make_certificates(engine_home / "swarm-certificates")
    home = Path(tempfile.mkdtemp(dir=engine_home))
    home.chmod(0o755)
    secure = Broker(EmbeddedMosquitto(engines, home, terminals=Door(free_port(), tls=certificates)))
    secure.set_terminals(IDS)
    secure.mosquitto.start()
    devices = [Device(Identity(name, secure.terminal_passwords[name], "4.2.1", "B", "2"), boot=BOOT) for name in IDS]
    endpoint = Endpoint.of(f"mqtts://localhost:{secure.port}", ca_file=str(certificates.ca))
    swarm = Swarm(endpoint, devices, seed=1, now_ms=lambda: int(time.time() * 1000))
    keeper = Keeper(secure.url("vigie-ingest"))
    try:
        all_online(swarm)
        written = sample(swarm) | sample(swarm, times=1200, first=1)
        pump_until(swarm.pump, lambda: swarm.backlog() == 0, timeout_s=20)
        assert set(keeper.heard) == written
        assert swarm.totals.lost == 0
    finally:
        swarm.finish()
        keeper.close()
        secure.mosquitto.stop()


def connected(broker: Broker, account: str) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"test-{account}", protocol=MQTTv5)
    client.username_pw_set(account, broker.service_passwords[account])
    client.connect("127.0.0.1", broker.services_port)
    client.loop_start()
    return client
