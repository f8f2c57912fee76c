"""One terminal's connection: a non-blocking socket, its unsent bytes, and the window of messages the broker has yet to confirm.

It knows neither epoll nor the other terminals; the swarm calls it when its socket can move, with monotonic times.
"""

import contextlib
import errno
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import urlsplit

from fleet.errors import VigieError
from simulators import wire

# More unconfirmed messages than this gain nothing, and packet ids (16 bits) must not come round again meanwhile.
WINDOW = 100
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST


class LinkLostError(Exception):
    """The connection is gone; the text says how."""


@dataclass(frozen=True)
class Endpoint:
    """Where the broker's door for terminals is; `tls` None means plain."""

    host: str
    port: int
    family: socket.AddressFamily
    address: tuple[str, int]
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, *, ca_file: str = "") -> "Endpoint":
        """Read `mqtt://host:port` or `mqtts://host:port`; accounts are not part of it, each terminal has its own."""
        parts = urlsplit(url)
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
            raise VigieError(f"not a broker's address: {url.rpartition('@')[2]!r}; it must look like mqtt://host:1883")
        secure = parts.scheme == "mqtts"
        port = parts.port or (8883 if secure else 1883)
        try:
            # A name may have both forms (localhost has) while the broker listens on the older one only.
            found = min(socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM), key=lambda one: one[0] != socket.AF_INET)
        except OSError as error:
            raise VigieError(f"the broker's host {parts.hostname} is unknown: {error}") from None
        tls = ssl.create_default_context(cafile=ca_file or None) if secure else None
        host, number = str(found[4][0]), int(found[4][1])
        return cls(parts.hostname, port, found[0], (host, number), tls)


class Phase(IntEnum):
    """How far a connection is."""

    CLOSED = 0
    CONNECTING = 1  # TCP
    SECURING = 2  # TLS
    GREETING = 3  # CONNECT sent, CONNACK awaited
    ONLINE = 4
    MUTE = 5  # the terminal has no power: the socket stands, nobody is there


class Link:
    """A connection that can be made again and again."""

    __slots__ = (
        "_inflight", "_next_id", "_out", "_owed_since", "_pinged", "_rest", "_sock", "_waiting", "_window",
        "fd", "last_sent", "phase", "ping_after_s", "since", "watched",
    )  # fmt: skip

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        self.fd = -1
        self.phase = Phase.CLOSED
        self.since = 0.0  # when this phase began
        self.last_sent = 0.0
        self.ping_after_s = 0  # silence after which a sign of life is due
        self.watched = 0  # what the swarm's epoll waits for
        self._reset()

    def _reset(self) -> None:
        self._rest = b""
        self._out: bytearray | None = None
        self._inflight = 0
        self._window = WINDOW
        self._waiting: deque[tuple[bytes, bytes, bool, bytes | None]] | None = None
        self._next_id = 0
        self._pinged = False
        self._owed_since = 0.0

    @property
    def wants_to_write(self) -> bool:
        """Whether it waits for the socket to take bytes."""
        return self._out is not None or self.phase in {Phase.CONNECTING, Phase.SECURING}

    def owed_for(self, now: float) -> float:
        """How long the broker has owed an answer, in seconds; 0 when it owes none."""
        return now - self._owed_since if self._inflight or self._pinged else 0.0

    def open(self, endpoint: Endpoint, *, now: float) -> None:
        """Begin to connect; raises LinkLostError where that fails at once."""
        self._reset()
        sock = socket.socket(endpoint.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._sock, self.fd = sock, sock.fileno()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._enter(Phase.CONNECTING, now)
        failed = sock.connect_ex(endpoint.address)
        if failed not in {0, errno.EINPROGRESS}:
            raise LinkLostError(errno.errorcode.get(failed, str(failed)))

    def opened(self, endpoint: Endpoint, hello: Callable[[], bytes], *, now: float) -> None:
        """TCP is there: go on to TLS where asked, else greet the broker with `hello`."""
        sock = self._socket()
        if failed := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise LinkLostError(errno.errorcode.get(failed, str(failed)))
        if endpoint.tls is None:
            self._greet(hello, now)
            return
        self._sock = endpoint.tls.wrap_socket(sock, server_hostname=endpoint.host, do_handshake_on_connect=False)
        self._enter(Phase.SECURING, now)
        self.secure(hello, now=now)

    def secure(self, hello: Callable[[], bytes], *, now: float) -> None:
        """Go on with the TLS handshake; greet the broker once it is done."""
        sock = self._socket()
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise LinkLostError(f"TLS: {error}") from None
        self._greet(hello, now)

    def accepted(self, connack: wire.Connack, *, now: float) -> None:
        """The broker said yes."""
        self._window = min(WINDOW, connack.receive_maximum)
        self._enter(Phase.ONLINE, now)

    def receive(self, *, now: float) -> list[tuple[int, bytes]]:
        """Read what has come and cut it into packets; raises LinkLostError at the end of the connection."""
        packets: list[tuple[int, bytes]] = []
        sock = self._socket()
        while True:
            try:
                data = sock.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            except OSError as error:
                raise LinkLostError(str(error)) from None
            if not data:
                raise LinkLostError("closed by the broker")
            found, self._rest = wire.split(self._rest + data if self._rest else data)
            packets += found
            # TLS may hold decoded bytes that epoll does not know of; a plain socket would be reported again.
            if len(data) < _CHUNK and not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
                break
        self._pinged = False
        self._owed_since = now
        return packets

    def confirmed(self, *, now: float) -> None:
        """A PUBACK has come: the window moves on."""
        if self._inflight:
            self._inflight -= 1
        while self._waiting and self._inflight < self._window:
            topic, payload, retain, correlation = self._waiting.popleft()
            self._publish(topic, payload, retain, correlation, now)

    def publish(self, topic: bytes, payload: bytes, *, now: float, retain: bool = False, correlation: bytes | None = None) -> None:
        """Send a message with QoS 1, at once or when the broker's window allows; `topic` with its length (`wire.text`)."""
        if self._inflight < self._window:
            self._publish(topic, payload, retain, correlation, now)
        else:
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append((topic, payload, retain, correlation))

    def subscribe(self, topics: list[tuple[bytes, int]], *, now: float) -> None:
        """Ask for topics; a refusal comes as SUBACK."""
        self.send(wire.subscribe(self._identifier(), topics), now=now)

    def ping(self, *, now: float) -> None:
        """Show the broker a sign of life."""
        if not self.owed_for(now):
            self._owed_since = now
        self._pinged = True
        self.send(wire.PINGREQ_PACKET, now=now)

    def send(self, packet: bytes, *, now: float) -> None:
        """Send bytes, or keep what the socket does not take."""
        self.last_sent = now
        if self._out is not None:
            self._out += packet
            return
        taken = self._push(packet)
        if taken < len(packet):
            self._out = bytearray(packet[taken:])

    def gather(self) -> None:
        """Keep what is sent from now on until `flush`: one system call, and one turn of the broker, for several packets."""
        if self._out is None:
            self._out = bytearray()

    def flush(self) -> None:
        """Send what was kept."""
        if self._out is not None:
            if self._out:
                del self._out[: self._push(self._out)]
            if not self._out:
                self._out = None

    def mute(self, *, now: float) -> None:
        """Lose power: the socket stays as the broker's TCP sees it, until the broker's patience ends."""
        self._enter(Phase.MUTE, now)

    def abort(self) -> None:
        """Vanish: RST, no DISCONNECT, so the broker sends the will."""
        if self._sock is not None:
            # Where the other end was quicker to reset, closing is all that is left to do.
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close()

    def leave(self, *, now: float) -> None:
        """Say goodbye and close."""
        with contextlib.suppress(LinkLostError):
            self.send(wire.DISCONNECT_PACKET, now=now)
        self._close()

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock, self.fd, self.phase, self.watched = None, -1, Phase.CLOSED, 0
        self._reset()

    def _socket(self) -> socket.socket:
        if self._sock is None:
            raise LinkLostError("closed")
        return self._sock

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self.since = phase, now

    def _greet(self, hello: Callable[[], bytes], now: float) -> None:
        self._enter(Phase.GREETING, now)
        self.send(hello(), now=now)

    def _identifier(self) -> int:
        self._next_id = self._next_id % 65_535 + 1
        return self._next_id

    def _publish(self, topic: bytes, payload: bytes, retain: bool, correlation: bytes | None, now: float) -> None:
        if not self.owed_for(now):
            self._owed_since = now
        self._inflight += 1
        self.send(wire.publish(topic, payload, packet_id=self._identifier(), retain=retain, correlation=correlation), now=now)

    def _push(self, data: bytes | bytearray) -> int:
        try:
            return self._socket().send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError as error:
            raise LinkLostError(str(error)) from None
