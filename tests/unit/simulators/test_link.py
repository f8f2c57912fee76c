"""One connection against a broker of a few lines: the window, back-pressure, and the ways a connection ends."""

import socket
import time
from collections.abc import Iterator

import pytest

from simulators import wire
from simulators.link import Endpoint, Link, LinkLostError, Phase

WILL = wire.Will(b"pmu/v1/t/T00001/presence", b"{}")
TOPIC = wire.text(b"pmu/v1/t/T00001/telemetry")


def hello() -> bytes:
    return wire.connect(
        client_id=b"T00001", user=b"T00001", password=b"x", keepalive_s=40, session_expiry_s=0, clean_start=True, will=WILL
    )


class Pair:
    """A link and the broker's end of its socket."""

    def __init__(self, listener: socket.socket) -> None:
        self.link = Link()
        address = listener.getsockname()
        endpoint = Endpoint.of(f"mqtt://127.0.0.1:{address[1]}")
        self.link.open(endpoint, now=0.0)
        self.broker, _ = listener.accept()
        self.broker.settimeout(5)
        self.link.opened(endpoint, hello, now=1.0)
        self._rest = b""

    def online(self, *, window: int = 65_535) -> None:
        assert self.packets(1)[0][0] == 0x10
        self.broker.sendall(b"\x20\x06\x00\x00\x03\x21" + window.to_bytes(2, "big"))
        [(first, body)] = self.received(1)
        assert first >> 4 == wire.CONNACK
        self.link.accepted(wire.read_connack(body), now=2.0)

    def packets(self, count: int) -> list[tuple[int, bytes]]:
        """What the broker gets."""
        found: list[tuple[int, bytes]] = []
        while len(found) < count:
            some, self._rest = wire.split(self._rest + self.broker.recv(1 << 20))
            found += some
        return found

    def received(self, count: int) -> list[tuple[int, bytes]]:
        """What the terminal gets."""
        found: list[tuple[int, bytes]] = []
        deadline = time.monotonic() + 5
        while len(found) < count:
            assert time.monotonic() < deadline
            found += self.link.receive(now=3.0)
        return found


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Pair(listener)
        yield made
        made.link.abort()
        made.broker.close()


def test_no_more_messages_are_open_than_the_broker_allows(pair: Pair) -> None:
    pair.online(window=2)
    for number in range(5):
        pair.link.publish(TOPIC, b"%d" % number, now=3.0)
    first = pair.packets(2)
    assert [wire.read_publish(*packet).payload for packet in first] == [b"0", b"1"]
    assert pair.link.owed_for(13.0) == 10.0
    for expected in (b"2", b"3", b"4"):
        pair.link.confirmed(now=4.0)
        [packet] = pair.packets(1)
        assert wire.read_publish(*packet).payload == expected
    for _ in range(2):
        pair.link.confirmed(now=5.0)
    assert pair.link.owed_for(100.0) == 0.0


def test_what_the_socket_does_not_take_is_kept_and_sent_later(pair: Pair) -> None:
    pair.online()
    payloads = [bytes([65 + number]) * 900_000 for number in range(10)]
    for payload in payloads:
        pair.link.publish(TOPIC, payload, now=3.0)
    assert pair.link.wants_to_write
    got: list[bytes] = []
    rest = b""
    while len(got) < len(payloads):
        pair.link.flush()
        some, rest = wire.split(rest + pair.broker.recv(1 << 20))
        got += [wire.read_publish(*packet).payload for packet in some]
    assert got == payloads
    assert not pair.link.wants_to_write


def test_an_abort_is_a_reset_without_goodbye(pair: Pair) -> None:
    pair.online()
    pair.link.abort()
    assert pair.link.phase is Phase.CLOSED
    with pytest.raises(ConnectionResetError):
        pair.broker.recv(100)


def test_leaving_asks_for_the_will(pair: Pair) -> None:
    pair.online()
    pair.link.leave(now=4.0)
    assert pair.packets(1) == [(0xE0, b"\x04")]
    assert pair.broker.recv(100) == b""


def test_a_mute_terminals_socket_stands(pair: Pair) -> None:
    pair.online()
    pair.link.mute(now=4.0)
    pair.broker.sendall(wire.puback(1))
    pair.broker.settimeout(0.2)
    with pytest.raises(TimeoutError):
        pair.broker.recv(100)


def test_a_closed_connection_is_said(pair: Pair) -> None:
    pair.online()
    pair.broker.close()
    with pytest.raises(LinkLostError, match="closed by the broker"):
        pair.received(1)


def test_a_refused_connection_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LinkLostError, match="ECONNREFUSED"):
        connect(Link(), Endpoint.of(f"mqtt://127.0.0.1:{port}"))


def connect(link: Link, endpoint: Endpoint) -> None:
    """The system may say it at once or when asked."""
    try:
        link.open(endpoint, now=0.0)
        link.opened(endpoint, hello, now=1.0)
    finally:
        link.abort()
