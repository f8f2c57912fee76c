"""One connection to a broker to publish by, from its beginning to its first failure; what is told is what the broker took.

For what is published now and then by one thread; ingest's own stream is `fleet.ingest.receiver`'s.
"""

import threading
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_KEEPALIVE_S: Final = 30
# MQTT 5, 3.4.2.1: taken, but nobody listens on this topic.
_NO_MATCHING_SUBSCRIBERS: Final = 16


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a message: what went wrong, or nothing; and whether anybody listened on its topic.

    `refused`: the broker took it in hand and would not have it; the connection is as good as before.
    """

    error: str = ""
    heard: bool = True
    refused: bool = False


class BrokerLink:
    """A connection that publishes at QoS 1 and waits for each acknowledgement; after an error it is to be closed."""

    def __init__(self, url: str, *, ca_file: str = "", timeout_s: float) -> None:
        parts = urlsplit(url)
        tls = parts.scheme == "mqtts"
        self._host, self._port = parts.hostname or "localhost", parts.port or (8883 if tls else 1883)
        self._timeout_s = timeout_s
        # No client id of ours: two programs may publish by one account.
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.username_pw_set(unquote(parts.username or ""), unquote(parts.password or ""))
        if tls:
            self._client.tls_set(ca_certs=ca_file or None)
        self._client.connect_timeout = timeout_s
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._changed = threading.Condition()
        self._answer: ReasonCode | None = None
        self._acks: dict[int, ReasonCode] = {}
        self._begun = False

    def ready(self) -> str:
        """Be connected; says what is wrong, or nothing."""
        if self._begun:
            return "" if self._client.is_connected() else "the connection was lost"
        try:
            self._client.connect(self._host, self._port, keepalive=_KEEPALIVE_S)
        except (OSError, ValueError) as error:
            return f"the broker does not answer: {error}"
        self._begun = True
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._answer is not None, self._timeout_s)
        if self._answer is None:
            return "the broker does not answer"
        return f"the broker refuses: {self._answer}" if self._answer.is_failure else ""

    def publish(self, topic: str, content: bytes, *, retain: bool = False, properties: Properties | None = None) -> Published:
        """Publish and wait for the acknowledgement."""
        sent = self._client.publish(topic, content, qos=1, retain=retain, properties=properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return Published(mqtt.error_string(sent.rc))
        with self._changed:
            self._changed.wait_for(lambda: sent.mid in self._acks, self._timeout_s)
            acknowledged = self._acks.pop(sent.mid, None)
        if acknowledged is None:
            return Published("the broker did not acknowledge")
        if acknowledged.is_failure:
            return Published(f"the broker refuses: {acknowledged}", refused=True)
        return Published(heard=acknowledged.value != _NO_MATCHING_SUBSCRIBERS)

    def close(self) -> None:
        """Leave the broker; what was not acknowledged is forgotten here."""
        self._client.disconnect()
        if self._begun:
            self._client.loop_stop()

    def _on_connect(
        self, _client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        with self._changed:
            self._answer = reason
            self._changed.notify_all()

    def _on_publish(self, _client: mqtt.Client, _data: object, mid: int, reason: ReasonCode, _more: Properties | None) -> None:
        with self._changed:
            self._acks[mid] = reason
            self._changed.notify_all()
