"""Publishes samples as fast as the broker takes them: `python -m benchmarks.publisher`, a process of its own.

Packets are encoded beforehand and leave in large runs over one socket, at QoS 1 (MQTT 3.1.1, whose PUBACK is always four
bytes, so that counting them is counting bytes). It says `ready`, waits for a line on its standard input, publishes, and
prints when it began and ended (seconds of the machine's monotonic clock, which every process shares).
"""

import argparse
import contextlib
import json
import random
import socket
import sys
import time
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from fleet.contract import SAMPLE_FIELDS, Channel, topic
from fleet.ingest.packets import variable_int

WINDOW = 10_000
_RUN = 64
_PUBACK_BYTES = 4
# What a terminal on a fixed line measures: seventeen of the eighteen fields.
_FIELDS = [name for name in SAMPLE_FIELDS if name != "signal_dbm"]


def main() -> None:
    """Encode, wait, publish, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="mqtt://user:password@host:port")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--terminals", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second; 0: as fast as the broker takes them")
    parser.add_argument("--boot", type=int, default=1)
    arguments = parser.parse_args()
    sock = connect(arguments.url)
    packets = list(encode(messages=arguments.messages, terminals=arguments.terminals, boot=arguments.boot))
    print("ready", len(packets[0]), flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    publish_at(sock, packets, arguments.rate) if arguments.rate else publish_all(sock, packets)
    print(json.dumps({"began": began, "ended": time.monotonic()}), flush=True)
    sock.close()


def connect(url: str, *, client_id: str = "benchmark-publisher") -> socket.socket:
    """An MQTT 3.1.1 connection with a clean session."""
    parts = urlsplit(url)
    words = [client_id.encode(), unquote(parts.username or "").encode(), unquote(parts.password or "").encode()]
    # Flags: user name, password, clean session; keep-alive of five minutes, longer than any run.
    body = b"\x00\x04MQTT\x04\xc2\x01\x2c" + b"".join(len(word).to_bytes(2, "big") + word for word in words)
    sock = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 1883))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"\x10" + variable_int(len(body)) + body)
    answer = sock.recv(4)
    if answer[:1] != b"\x20" or answer[3] != 0:
        raise SystemExit(f"the broker refused the publisher: {answer.hex()}")
    return sock


def encode(*, messages: int, terminals: int, boot: int) -> Iterator[bytes]:
    """PUBLISH packets of one sample each: terminals in turn, measured now, each sequence number once."""
    values = random.Random(boot)
    now_ms = time.time_ns() // 1_000_000
    texts = [_values(values) for _ in range(2_000)]
    topics = [topic(f"T{number:05}", Channel.TELEMETRY).encode() for number in range(terminals)]
    for number in range(messages):
        terminal, seq = number % terminals, number // terminals + 1
        payload = b'{"boot":%d,"samples":[{"seq":%d,"at":%d,%b}]}' % (boot, seq, now_ms + seq, texts[number % len(texts)])
        name = topics[terminal]
        packet_id = (number % 65_535 + 1).to_bytes(2, "big")
        yield b"".join(
            (b"\x32", variable_int(4 + len(name) + len(payload)), len(name).to_bytes(2, "big"), name, packet_id, payload)
        )


def publish_all(sock: socket.socket, packets: list[bytes]) -> None:
    """Keep up to `WINDOW` packets in flight until every one is acknowledged by the broker."""
    sent = acknowledged = 0
    while acknowledged < len(packets) * _PUBACK_BYTES:
        if sent < len(packets) and sent - acknowledged // _PUBACK_BYTES < WINDOW:
            sock.sendall(b"".join(packets[sent : sent + _RUN]))
            sent += _RUN
            sock.setblocking(False)
        try:
            received = len(sock.recv(1 << 16))
            if received == 0:
                raise SystemExit("the broker closed the publisher's connection")
            acknowledged += received
        except BlockingIOError:
            pass
        sock.setblocking(True)


def publish_at(sock: socket.socket, packets: list[bytes], rate: float) -> None:
    """Publish at an even rate, in steps of 20 ms; the payload's `at` becomes the time of sending."""
    began, sent, acknowledged = time.monotonic(), 0, 0
    while sent < len(packets):
        due = min(len(packets), int((time.monotonic() - began) * rate) + 1)
        now = b'"at":%013d' % (time.time_ns() // 1_000_000)
        run = [packet[: (start := packet.index(b'"at":'))] + now + packet[start + len(now) :] for packet in packets[sent:due]]
        sock.sendall(b"".join(run))
        sent = due
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            acknowledged += len(sock.recv(1 << 16))
        sock.setblocking(True)
        time.sleep(0.02)
    while acknowledged < len(packets) * _PUBACK_BYTES:
        acknowledged += len(sock.recv(1 << 16))


def _values(source: random.Random) -> bytes:
    parts = [b'"%b":%.1f' % (name.encode(), source.uniform(1, 999)) for name in _FIELDS]
    return b",".join(parts)


if __name__ == "__main__":
    main()
