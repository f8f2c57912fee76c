"""The other end for a swarm in tests: takes what terminals say as the ingest account, and acknowledges when told to."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from fleet.contract import Ack, Channel, Events, Presence, Reported, Result, Telemetry, parse_topic, topic


class Keeper:
    """Keeps every (terminal, boot, seq) with how often it came, and the last presence of each terminal."""

    def __init__(self, url: str, *, client_id: str = "keeper", acknowledge: bool = True) -> None:
        self.acknowledge = acknowledge
        self.heard: Counter[tuple[str, int, int]] = Counter()
        self.presence: dict[str, Presence] = {}
        self.reported: dict[str, Reported] = {}
        self.results: list[tuple[str, Result, Any]] = []
        parts = urlsplit(url)
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
        self._client.username_pw_set(parts.username or "", parts.password)
        self._client.on_message = self._take
        self._client.on_connect = lambda *_: self._listen()
        self._client.reconnect_delay_set(1, 1)
        self._listening = threading.Event()
        self._client.on_subscribe = lambda *_: self._listening.set()
        assert parts.hostname is not None
        assert parts.port is not None
        self._client.connect(parts.hostname, parts.port)
        self._client.loop_start()
        assert self._listening.wait(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def online(self) -> set[str]:
        return {terminal for terminal, presence in list(self.presence.items()) if presence.state == "online"}

    def _listen(self) -> None:
        channels = (Channel.PRESENCE, Channel.TELEMETRY, Channel.EVENT, Channel.REPORTED, Channel.RES)
        self._client.subscribe([(topic("+", channel), SubscribeOptions(qos=1)) for channel in channels])

    def _take(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        terminal, channel = parse_topic(message.topic)
        if channel is Channel.PRESENCE:
            self.presence[terminal] = msgspec.json.decode(message.payload, type=Presence)
        elif channel is Channel.REPORTED:
            self.reported[terminal] = msgspec.json.decode(message.payload, type=Reported)
        elif channel is Channel.RES:
            result = msgspec.json.decode(message.payload, type=Result)
            self.results.append((terminal, result, getattr(message.properties, "CorrelationData", None)))
        elif channel is Channel.EVENT:
            events = msgspec.json.decode(message.payload, type=Events)
            self._keep(terminal, events.boot, [event.seq for event in events.events])
        else:
            telemetry = msgspec.json.decode(message.payload, type=Telemetry)
            self._keep(terminal, telemetry.boot, [sample.seq for sample in telemetry.samples])

    def _keep(self, terminal: str, boot: int, seqs: list[int]) -> None:
        self.heard.update((terminal, boot, seq) for seq in seqs)
        if self.acknowledge:
            ack = Ack(boot, [(seq, seq) for seq in seqs])
            self._client.publish(topic(terminal, Channel.ACK), msgspec.json.encode(ack))


def pump_until(pump: Callable[[float], None], condition: Callable[[], bool], *, timeout_s: float) -> None:
    """Let a swarm work until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        pump(time.monotonic() + 0.05)
