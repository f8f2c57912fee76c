"""A swarm without a network: what it needs of the machine, and what a population makes its terminals say."""

import resource
import time

import msgspec
import numpy as np
import pytest

from fleet.contract import SAMPLE_FIELDS, Channel, EventCode, Events, Sample, Telemetry
from fleet.errors import VigieError
from simulators import wire
from simulators.conduct import BY_COMMAND, Conductor, make_devices
from simulators.device import Answer, Device, Identity, rounded
from simulators.link import Endpoint
from simulators.population import Population
from simulators.scenario import Scenario, parse
from simulators.swarm import Swarm, TooFewFilesError, raise_file_limit
from simulators.truth import Boot
from simulators.world import World, build_world

START = 1_795_435_200  # 2026-11-23 13:20 UTC
SCENARIO = """
name = "short"
seed = 5
terminals = 40
start = "2026-11-23T14:20:00+01:00"
minutes = 10

[[fault]]
kind = "maintenance_reboot"
at_min = 1
minutes = 3
scope = {}
expect = "nothing"

[[fault]]
kind = "clock_drift"
at_min = 0
minutes = 10
terminals = ["T00003"]
strength = 20.0
expect = "symptom"
"""


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(5, 40)


@pytest.fixture
def scenario() -> Scenario:
    return parse(SCENARIO, source="test").starting(START)


def conductor(world: World, scenario: Scenario) -> Conductor:
    devices = make_devices(world, dict.fromkeys(world.ids, "secret"), boot=START)
    swarm = Swarm(Endpoint.of("mqtt://127.0.0.1:1"), devices, seed=5, now_ms=lambda: 0)
    return Conductor(Population(world, scenario), swarm)


def test_what_terminals_say_depends_on_seed_and_second_alone(world: World, scenario: Scenario) -> None:
    prompt, late = conductor(world, scenario), conductor(world, scenario)
    for second in range(START, START + 240):
        prompt.live(second)
        if second % 50 == 0:
            prompt.swarm.pump(time.monotonic())
    for second in range(START, START + 240):
        late.live(second)
    said = [[device.journal.unsent() for device in one.swarm.devices] for one in (prompt, late)]
    assert said[0] == said[1]
    assert sum(len(batches) for batches in said[0]) >= len(world)


def test_the_truth_counts_every_number_of_every_boot(world: World, scenario: Scenario) -> None:
    played = conductor(world, scenario)
    for second in range(START, START + 400):
        played.live(second)
    terminals = list(played.truth())
    assert sum(boot.last for terminal in terminals for boot in terminal.boots) == played.produced == played.swarm.backlog()
    assert max(len(terminal.boots) for terminal in terminals) >= 2
    for terminal in terminals:
        numbers = [boot.boot for boot in terminal.boots]
        assert numbers == sorted(set(numbers))
        assert all(boot.left == [(1, boot.last)] for boot in terminal.boots)


def test_every_sample_and_event_is_read_by_the_contract(world: World, scenario: Scenario) -> None:
    played = conductor(world, scenario)
    for second in range(START, START + 200):
        played.live(second)
    codes = set()
    for device in played.swarm.devices:
        for batch in device.journal.unsent():
            if batch.channel is Channel.EVENT:
                codes |= {event.code for event in msgspec.json.decode(batch.payload, type=Events).events}
            else:
                for sample in msgspec.json.decode(batch.payload, type=Telemetry).samples:
                    assert START * 1000 - 600_000 < sample.at < (START + 900) * 1000
    assert EventCode.REBOOT in codes


def test_a_wrong_clock_moves_the_terminals_times_and_is_told_in_the_truth(world: World, scenario: Scenario) -> None:
    played = conductor(world, scenario)
    index = world.ids.index("T00003")
    played.swarm.devices[index].journal.next_seq()
    values = np.full((1, len(SAMPLE_FIELDS)), np.nan, np.float32)
    values[0, SAMPLE_FIELDS.index("clock_ms")] = 280_000
    played._note_samples(np.array([index], np.int32), values, START)
    batch = played.swarm.devices[index].journal.unsent()[0]
    assert msgspec.json.decode(batch.payload, type=Telemetry).samples[0].at == START * 1000 + 280_000
    [boot] = next(t for t in played.truth() if t.terminal == "T00003").boots
    assert boot == Boot(START, 2, left=[(2, 2)], misdated=[(2, 2)])


def test_a_commanded_reboot_begins_a_new_boot(world: World, scenario: Scenario) -> None:
    played = conductor(world, scenario)
    played.live(START)
    played.swarm.rebooting.append(4)
    played.live(START + 1)
    device = played.swarm.devices[4]
    assert device.journal.boot == START + 1
    events = [batch.payload for batch in device.journal.unsent() if batch.channel is Channel.EVENT]
    assert BY_COMMAND in events[-1].decode()


def test_a_terminal_without_a_password_stops_the_start(world: World) -> None:
    with pytest.raises(VigieError, match="39 terminals have no password, the first is T00002"):
        make_devices(world, {"T00001": "x"}, boot=1)


def test_too_few_open_files_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    with pytest.raises(TooFewFilesError, match=r"16000 terminals need 16200 open files.*4096.*LimitNOFILE=16200"):
        raise_file_limit(16_000)


def test_the_file_limit_is_raised_as_far_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    raise_file_limit(16_000)
    assert raised == [(20_000, 20_000)]


def test_values_are_rounded_as_instruments_would_and_what_is_not_measured_is_left_out() -> None:
    values = np.full((1, len(SAMPLE_FIELDS)), np.nan, np.float32)
    for name, value in {"tickets": 3.0, "tx_ms": 412.34567, "loss_pct": 0.1234, "uptime_s": 90.4}.items():
        values[0, SAMPLE_FIELDS.index(name)] = value
    device = Device(Identity("T00001", "secret", "4.2.1", "B", "2"), boot=7)
    device.note_sample(1000, rounded(values)[0])
    [batch] = device.journal.unsent()
    assert (
        batch.payload == b'{"boot":7,"samples":[{"seq":1,"at":1000,"tickets":3.0,"tx_ms":412.3,"loss_pct":0.12,"uptime_s":90.0}]}'
    )
    assert msgspec.json.decode(batch.payload, type=Telemetry).samples == [
        Sample(1, 1000, tickets=3.0, tx_ms=412.3, loss_pct=0.12, uptime_s=90.0)
    ]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        pytest.param("pmu/v1/t/T00001/ack", b"{", id="broken JSON"),
        pytest.param("pmu/v1/t/T00001/ack", b'{"boot":1}', id="a field missing"),
        pytest.param("pmu/v1/t/T00002/ack", b'{"boot":7,"seq":[[1,1]]}', id="another terminal's"),
        pytest.param("pmu/v1/t/T00001/cmd", b'{"id":1,"name":"explode"}', id="an unknown command"),
        pytest.param("pmu/v1/t/T00001/telemetry", b"{}", id="a topic of its own"),
        pytest.param("elsewhere", b"{}", id="no topic of ours"),
    ],
)
def test_noise_from_the_broker_is_passed_over(topic: str, payload: bytes) -> None:
    device = Device(Identity("T00001", "secret", "4.2.1", "B", "2"), boot=7)
    assert device.hear(wire.Message(topic, payload, 0, 0, None, None), now=0.0) == Answer(noise=True)


@pytest.mark.parametrize("url", ["http://host:1883", "mqtt://", "localhost:1883"])
def test_an_address_that_is_no_brokers_is_refused(url: str) -> None:
    with pytest.raises(VigieError, match="not a broker's address"):
        Endpoint.of(url)
