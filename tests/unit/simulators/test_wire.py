"""The hand-made packets are those of a known client, and any chunking of a stream gives the same packets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.properties import VariableByteIntegers

from simulators import wire

PUBLISHES: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    topic=st.text("abc/+é", min_size=1, max_size=40).map(str.encode),
    payload=st.binary(max_size=400),
    qos=st.sampled_from([0, 1]),
    packet_id=st.integers(1, 65535),
    retain=st.booleans(),
    correlation=st.none() | st.binary(max_size=200),
)


def encode(message: dict[str, Any]) -> bytes:
    return wire.publish(
        wire.text(message["topic"]),
        **{k: v for k, v in message.items() if k not in {"topic", "payload"}},
        payload=message["payload"],
    )


class Eavesdropped(paho.Client):
    """A paho client that keeps what it would have sent."""

    sent: bytes = b""

    def _packet_queue(self, command: Any, packet: Any, *rest: Any, **more: Any) -> Any:
        self.sent += bytes(packet)
        return paho.MQTT_ERR_SUCCESS


def paho_connect(keepalive: int, expiry: int, clean: bool) -> bytes:
    client = Eavesdropped(CallbackAPIVersion.VERSION2, client_id="T00012", protocol=paho.MQTTv5)
    client.username_pw_set("T00012", "secret")
    client.will_set("pmu/v1/t/T00012/presence", b'{"state":"offline"}', qos=1, retain=True)
    if expiry:
        client._connect_properties = properties_of(PacketTypes.CONNECT, SessionExpiryInterval=expiry)
    client._clean_start = clean
    client._send_connect(keepalive)
    return client.sent


def properties_of(packet: int, **values: Any) -> Any:
    properties: Any = PahoProperties(packet)  # type: ignore[no-untyped-call]  # paho's is untyped
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


@pytest.mark.parametrize(
    ("keepalive", "expiry", "clean"),
    [pytest.param(40, 0, True, id="clean start"), pytest.param(60, 300, False, id="lasting session")],
)
def test_connect_is_the_bytes_that_paho_sends(keepalive: int, expiry: int, clean: bool) -> None:
    ours = wire.connect(
        client_id=b"T00012",
        user=b"T00012",
        password=b"secret",
        keepalive_s=keepalive,
        session_expiry_s=expiry,
        clean_start=clean,
        will=wire.Will(b"pmu/v1/t/T00012/presence", b'{"state":"offline"}'),
    )
    assert ours == paho_connect(keepalive, expiry, clean)


@given(st.integers(0, 268_435_455))
def test_lengths_are_pahos(value: int) -> None:
    assert wire.varint(value) == VariableByteIntegers.encode(value)  # type: ignore[no-untyped-call]  # paho's is untyped


@pytest.mark.parametrize("size", [0, 123, 124, 125, 16_379, 16_380, 16_381, 200_000])
def test_packets_of_every_length_of_length_are_cut(size: int) -> None:
    packet = wire.publish(wire.text(b"t"), bytes(size), qos=0)
    packets, rest = wire.split(packet + b"\xd0")
    assert [wire.read_publish(*one).payload for one in packets] == [bytes(size)]
    assert rest == b"\xd0"
    assert wire.split(packet[:-1]) == ([], packet[:-1])


@given(PUBLISHES)
def test_publish_reads_back_as_sent(message: dict[str, Any]) -> None:
    [(first, body)], rest = wire.split(encode(message))
    back = wire.read_publish(first, body)
    assert rest == b""
    assert (back.topic.encode(), back.payload, back.qos) == (message["topic"], message["payload"], message["qos"])
    assert back.packet_id == (message["packet_id"] if message["qos"] else 0)
    assert back.correlation == message["correlation"]
    assert bool(first & 1) == message["retain"]


@given(st.lists(PUBLISHES, max_size=8), st.lists(st.integers(1, 60), max_size=60))
def test_any_chunking_gives_the_same_packets(messages: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(map(encode, messages)) + wire.puback(7) + b"\xd0\x00"
    whole, rest = wire.split(stream)
    assert rest == b""
    chunked: list[tuple[int, bytes]] = []
    rest, at = b"", 0
    for size in [*cuts, len(stream)]:
        packets, rest = wire.split(rest + stream[at : at + size])
        chunked += packets
        at += size
    assert chunked == whole
    assert rest == b""
    assert len(whole) == len(messages) + 2


def test_a_command_with_pahos_properties_is_read() -> None:
    properties = properties_of(
        PacketTypes.PUBLISH,
        ResponseTopic="pmu/v1/t/T00012/res",
        CorrelationData=b"\x01\x02",
        MessageExpiryInterval=60,
        UserProperty=("by", "level2"),
        ContentType="application/json",
    )
    body = wire.text(b"pmu/v1/t/T00012/cmd") + (9).to_bytes(2, "big") + properties.pack() + b'{"id":4}'
    message = wire.read_publish(0x32, body)
    assert message == wire.Message("pmu/v1/t/T00012/cmd", b'{"id":4}', 1, 9, "pmu/v1/t/T00012/res", b"\x01\x02")


def test_connack_tells_the_window_and_the_keepalive() -> None:
    properties = properties_of(PacketTypes.CONNACK, ReceiveMaximum=20, ServerKeepAlive=30, AssignedClientIdentifier="x")
    assert wire.read_connack(b"\x01\x00" + properties.pack()) == wire.Connack(True, 0, 20, 30)
    assert wire.read_connack(b"\x00\x87\x00") == wire.Connack(False, 0x87, 65_535, None)


def test_acknowledgements_are_read_in_short_and_long_form() -> None:
    assert wire.read_packet_id(b"\x00\x07") == (7, 0)
    assert wire.read_packet_id(b"\x00\x07\x10\x00") == (7, 0x10)
    assert wire.read_suback(b"\x00\x03\x00\x00\x01\x87") == (3, b"\x00\x01\x87")


def test_subscribe_is_what_the_standard_says() -> None:
    assert wire.subscribe(1, [(b"a/b", 1)]) == b"\x82\x09\x00\x01\x00\x00\x03a/b\x01"


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(lambda: wire.split(b"\x30\xff\xff\xff\xff\x01"), id="a length without end"),
        pytest.param(lambda: wire.split(b"\x30\xff\xff\xff\x7f"), id="a length beyond reason"),
        pytest.param(lambda: wire.read_publish(0x34, b"\x00\x01a\x00\x01\x00"), id="QoS 2"),
        pytest.param(lambda: wire.read_publish(0x32, b"\x00\x05a"), id="a topic cut short"),
        pytest.param(lambda: wire.read_publish(0x32, b"\x00\x01a\x00\x01"), id="no properties"),
        pytest.param(lambda: wire.read_publish(0x32, b"\x00\x01a\x00\x01\x02\x7e\x00"), id="an unknown property"),
        pytest.param(lambda: wire.read_publish(0x30, b"\x00\x01\xff\x00"), id="a topic that is not UTF-8"),
        pytest.param(lambda: wire.read_connack(b"\x00"), id="half a CONNACK"),
    ],
)
def test_noise_is_an_error_not_a_packet(packet: Any) -> None:
    with pytest.raises(wire.WireError):
        packet()
