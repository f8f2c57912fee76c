"""The receiver replaces parts of paho's inside: these tests fail when paho changes them."""

import importlib.metadata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from fleet.ingest import receiver as module
from fleet.ingest.packets import MalformedStreamError, cut, pubacks, publish_qos0, variable_int
from fleet.ingest.receiver import Receiver, subscriptions
from fleet.ingest.settings import IngestSettings

SETTINGS = {"database_url": "postgresql://x@127.0.0.1/x", "mqtt_url": "mqtt://x:y@127.0.0.1:1"}
PINGRESP = b"\xd0\x00"
SUBACK = b"\x90\x04\x00\x01\x00\x01"


class Pieces:
    """A socket that delivers given bytes in given pieces, then has nothing more."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]

    def recv(self, most: int) -> bytes:
        if not self.pieces:
            raise BlockingIOError
        piece = self.pieces.pop(0)
        if len(piece) > most:
            self.pieces.insert(0, piece[most:])
        return piece[:most]

    def close(self) -> None:
        """Nothing to close."""


def new_receiver() -> Receiver:
    return Receiver(IngestSettings(**SETTINGS))  # type: ignore[arg-type]  # pydantic reads the text


def publish(name: bytes, payload: bytes, packet_id: int, *, flags: int, properties: bytes = b"") -> bytes:
    body = len(name).to_bytes(2, "big") + name + packet_id.to_bytes(2, "big")
    body += variable_int(len(properties)) + properties + payload
    return bytes([0x32 | flags]) + variable_int(len(body)) + body


def read_all(client: Client, pieces: list[bytes]) -> None:
    sock: Any = Pieces(pieces)
    client._sock = sock
    while sock.pieces:
        assert client._packet_read() in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN)
    client._sock = None


def as_paho_reads(pieces: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    seen: list[tuple[bytes, bytes, bytes]] = []

    def note(_client: Client, _userdata: Any, message: MQTTMessage) -> None:
        packet_id = message.mid.to_bytes(2, "big") if message.qos else b""
        seen.append((message.topic.encode(), bytes(message.payload), packet_id))

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True)
    client.on_message = note
    read_all(client, pieces)
    return seen


def as_we_read(pieces: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    client = new_receiver()
    read_all(client, pieces)
    seen: list[tuple[bytes, bytes, bytes]] = []
    while delivery := client.take(0):
        got = delivery.arrivals
        seen += zip(got.topics, got.payloads, got.packet_ids, strict=True)
    assert (client.waiting_messages, client.waiting_bytes) == (0, 0)
    return seen


_names = st.sampled_from([b"a", b"pmu/v1/t/T00001/telemetry", b"x" * 300])
_publishes = st.one_of(
    st.builds(
        publish,
        _names,
        st.one_of(st.binary(max_size=200), st.just(b"z" * 20_000)),
        st.integers(1, 65_535),
        flags=st.sampled_from([0, 1, 8, 9]),
        # None, and a content type.
        properties=st.sampled_from([b"", b"\x03\x00\x04json"]),
    ),
    st.builds(publish_qos0, _names, st.binary(max_size=20)),
    st.just(PINGRESP),
    st.just(SUBACK),
)


@settings(deadline=None)
@given(st.lists(_publishes, max_size=12), st.lists(st.integers(1, 400), max_size=40))
def test_any_chunking_of_a_stream_reads_as_paho_reads_it(stream: list[bytes], sizes: list[int]) -> None:
    data = b"".join(stream)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    pieces.append(data[at:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_GATHER_LITTLE_S", 0.0)
        assert as_we_read(list(pieces)) == as_paho_reads(list(pieces))


def test_paho_is_the_version_whose_inside_we_know() -> None:
    assert importlib.metadata.version("paho-mqtt") == "2.2.0"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x32\xff\xff\xff\xff\x01", id="endless remaining length"),
        pytest.param(b"\x32\x02\x00\x05", id="topic longer than the packet"),
        pytest.param(b"\x36\x06\x00\x01a\x00\x01\x00", id="QoS 3"),
        pytest.param(b"\x34\x06\x00\x01a\x00\x01\x00", id="QoS 2, never granted"),
        pytest.param(b"\x32\x07\x00\x01a\x00\x01\x7fx", id="properties longer than the packet"),
        pytest.param(b"\x32\x00", id="empty"),
    ],
)
def test_what_is_not_mqtt_ends_the_connection(data: bytes) -> None:
    with pytest.raises(MalformedStreamError):
        cut(data)
    client = new_receiver()
    sock: Any = Pieces([data])
    client._sock = sock
    assert client._packet_read() == MQTTErrorCode.MQTT_ERR_PROTOCOL


def test_pubacks_are_one_run_without_those_of_qos_0() -> None:
    assert pubacks([b"\x00\x01", b"", b"\x12\x34"]) == b"\x40\x02\x00\x01\x40\x02\x12\x34"
    assert pubacks([b""]) == b""


def test_packet_ids_of_a_lost_connection_are_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "reconnect", lambda _: MQTTErrorCode.MQTT_ERR_SUCCESS)
    client = new_receiver()
    sock: Any = Pieces([publish(b"a", b"x", 5, flags=0)])
    client._sock = sock
    client._packet_read()
    delivery = client.take(0)
    assert delivery is not None
    client.reconnect()
    client._sock = sock
    client._out_packet.clear()
    assert not client.acknowledge(delivery.generation, b"\x40\x02\x00\x05")
    assert list(client._out_packet) == []


def test_half_a_packet_of_a_lost_connection_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "reconnect", lambda _: MQTTErrorCode.MQTT_ERR_SUCCESS)
    client = new_receiver()
    packet = publish(b"a", b"x", 5, flags=0)
    for data in (packet[:4], packet):
        sock: Any = Pieces([data])
        client._sock = sock
        client._packet_read()
        client.reconnect()
    delivery = client.take(0)
    assert delivery is not None
    assert delivery.arrivals.payloads == [b"x"]


def test_flood_of_qos_0_is_bounded() -> None:
    client = Receiver(IngestSettings(**SETTINGS, ingest_receive_maximum=10))  # type: ignore[arg-type]  # pydantic reads the text
    for _ in range(4):
        sock: Any = Pieces([publish_qos0(b"a", b"x") * 8 + publish(b"a", b"kept", 5, flags=0)])
        client._sock = sock
        client._packet_read()
    assert client.dropped_qos0 == 16
    assert client.waiting_messages == 20


def test_workers_of_a_group_divide_all_but_presence() -> None:
    assert [name for name, _ in subscriptions("ingest")] == [
        "$share/ingest/pmu/v1/t/+/telemetry",
        "$share/ingest/pmu/v1/t/+/event",
        "$share/ingest/pmu/v1/t/+/reported",
        "$share/ingest/pmu/v1/t/+/res",
        "pmu/v1/t/+/presence",
    ]
