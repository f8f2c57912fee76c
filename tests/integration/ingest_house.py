"""A real `vigie ingest` between a real broker and a real database, and terminals to feed it, for tests."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleet.contract import Ack, Channel, topic
from fleet.database import connect
from tests.running_broker import Broker
from vigie.engines.process import free_port

BOOT = 1_900_000_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 30.0, pause_s: float = 0.05, what: str = "the condition") -> None:
    """Poll until the condition holds; a lost database counts as not yet."""
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(psycopg.OperationalError):
            if condition():
                return
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(pause_s)


@contextlib.contextmanager
def ingest(database_url: str, broker: Broker, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A `vigie ingest` process that listens; it is terminated, and must end well, unless the test has ended it."""
    process = start_ingest(database_url, broker, **settings)
    try:
        yield process
    finally:
        ended_by_test = process.poll() is not None
        process.terminate()
        code = process.wait(20)
    assert ended_by_test or code == 0


def start_ingest(database_url: str, broker: Broker, **settings: Any) -> subprocess.Popen[bytes]:
    """Start a process and wait until it listens: before its first subscription the broker keeps nothing for it."""
    port = settings.get("metrics_port") or free_port()
    environment = {
        **os.environ,
        "VIGIE_DATABASE_URL": database_url,
        "VIGIE_MQTT_URL": broker.url("vigie-ingest"),
        "VIGIE_INGEST_LINGER_MS": "100",
        "VIGIE_INGEST_ACK_INTERVAL_S": "0.3",
        "VIGIE_METRICS_PORT": str(port),
        **{f"VIGIE_{name.upper()}": str(value) for name, value in settings.items()},
    }
    command = [sys.executable, "-c", "from vigie.commands.programs import ingest; ingest()"]
    process = subprocess.Popen(command, env=environment)
    wait_for(lambda: "\nvigie_ingest_listening 1.0\n" in metrics(port), what="ingest to listen")
    return process


def metrics(port: int) -> str:
    """What Prometheus would read; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def register(database_url: str, terminals: int, *, first: int = 1) -> None:
    """Put terminals from T00001 on into the registry."""
    with connect(database_url, program="test") as conn:
        conn.execute(
            "INSERT INTO fleet.point_of_sale VALUES ('P1', 'Le Rendez-vous', '59', '32', 'AG01', 'Europe/Paris', '24/7')"
            " ON CONFLICT DO NOTHING"
        )
        conn.execute(
            "INSERT INTO fleet.terminal SELECT 'T' || lpad(n::text, 5, '0'), 'P1', 'B', '2', '4.2.1', 'adsl', 'alpha', 'L01', 'x'"
            " FROM generate_series(%(first)s::int, %(last)s::int) n",
            {"first": first, "last": first + terminals - 1},
        )


class Database:
    """Questions of tests to the database, each on its own connection so that a restart does not matter."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with connect(self.url, program="test", autocommit=True) as conn:
            return conn.execute(query, parameters).fetchall()

    def one(self, query: str, *parameters: object) -> Any:
        return self.rows(query, *parameters)[0][0]

    def samples(self) -> set[tuple[str, int, int]]:
        return set(self.rows("SELECT terminal_id, boot, seq FROM fleet.sample"))

    def reasons(self) -> list[tuple[str, int]]:
        return self.rows("SELECT reason, times FROM fleet.dead_letter ORDER BY id")


class Terminal:
    """One terminal on the broker, as a real one would: its own account, a birth, a will, acks noted as they come."""

    def __init__(
        self, broker: Broker, name: str = "T00001", *, session: int = 1, port: int = 0, on_ack: Callable[[Ack], None] | None = None
    ) -> None:
        self.name = name
        self.session = session
        self.acknowledged: set[tuple[int, int]] = set()
        self.sent_at: dict[int, int] = {}
        self._on_ack = on_ack
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5)
        self._client.username_pw_set(name, broker.terminal_passwords[name])
        self._client.max_inflight_messages_set(2_000)
        self._client.will_set(
            topic(name, Channel.PRESENCE), json.dumps({"state": "offline", "session": session}), qos=1, retain=True
        )
        self._client.on_message = self._take
        self._client.reconnect_delay_set(1, 1)
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()

        def subscribe(*_: object) -> None:
            self._client.subscribe(topic(name, Channel.ACK))

        self._client.on_connect = subscribe
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it unannotated
        self._client.connect(broker.host, port or broker.port, properties=properties)
        self._client.loop_start()
        assert ready.wait(10)

    def birth(self) -> None:
        said = {"state": "online", "session": self.session, "boot": BOOT, "at": now_ms(), "firmware": "4.2.1", "slot": "A"}
        self.say(Channel.PRESENCE, {**said, "model": "B", "hw": "2"}, retain=True)

    def say(self, channel: Channel, body: Any, *, retain: bool = False) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body)
        self._client.publish(topic(self.name, channel), payload, qos=1, retain=retain).wait_for_publish(10)

    def sample(self, *seqs: int, at: int | None = None, **fields: float) -> None:
        """Samples in one message; one that was sent before keeps its time."""
        now = now_ms() if at is None else at
        samples = [{"seq": seq, "at": self.sent_at.setdefault(seq, now), "tickets": 3, **fields} for seq in seqs]
        self.say(Channel.TELEMETRY, {"boot": BOOT, "samples": samples})

    def stream(self, first: int, last: int) -> None:
        """Single samples without waiting for the broker between them."""
        for seq in range(first, last + 1):
            self.sent_at[seq] = now_ms()
            body = json.dumps({"boot": BOOT, "samples": [{"seq": seq, "at": self.sent_at[seq], "tickets": seq}]})
            info = self._client.publish(topic(self.name, Channel.TELEMETRY), body, qos=1)
        # Without a connection paho keeps the messages and says so by an error.
        with contextlib.suppress(RuntimeError):
            info.wait_for_publish(60)

    def vanish(self) -> None:
        """Lose the connection without a goodbye: the broker publishes the will."""
        self._client._sock_close()
        self._client.loop_stop()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        ack = msgspec.json.decode(message.payload, type=Ack)
        if self._on_ack:
            self._on_ack(ack)
        self.acknowledged |= {(ack.boot, seq) for begin, end in ack.seq for seq in range(begin, end + 1)}
