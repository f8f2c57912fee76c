"""The retained topic: the state of each incident that lives, as JSON; empty once it is over.

Whoever subscribes knows at once what is going on, without a database and without history.
"""

import threading
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from diagnostics.notices.body import Body
from diagnostics.notices.policy import ENDS, Event
from diagnostics.notices.queue import ATTEMPT_TIMEOUT_S
from diagnostics.notices.sending import Failed, Outcome, Parcel, Sent
from fleet.clock import to_ms
from fleet.contract import IncidentState, incident_topic

CHANNEL: Final = "mqtt"
_ENDS: Final = frozenset({*ENDS, Event.MUTED})
_KEEPALIVE_S: Final = 30


def payload(body: Body) -> bytes:
    """What the topic holds after this notice: the incident's state, or nothing once it is over."""
    incident = body.incident
    if incident is None or incident.state == "closed" or body.kind in _ENDS:
        return b""
    return msgspec.json.encode(
        IncidentState(
            id=incident.id,
            state=incident.state,
            trouble=incident.trouble,
            scope=incident.scope,
            title_fr=incident.title.fr,
            title_en=incident.title.en,
            began_at=to_ms(incident.began_at),
            opened_at=to_ms(incident.opened_at),
            at=to_ms(body.at),
            terminals=incident.terminals,
            hits=incident.hits,
            flapping=incident.flapping,
            children=[child.id for child in incident.children],
        )
    )


class Retained:
    """The topics of all incidents at one broker; it connects with the first notice and stays."""

    def __init__(self, url: str, *, ca_file: str = "") -> None:
        self._url, self._ca_file = url, ca_file
        self._link: _Link | None = None

    def send(self, parcel: Parcel) -> Outcome:
        """Publish the incident's state at QoS 1, retained; the broker's acknowledgement is what counts."""
        if self._link is None:
            self._link = _Link(self._url, ca_file=self._ca_file)
        body = parcel.body
        error = self._link.ready()
        # A test proves that the broker lets us in; it has no topic.
        if not error and body.incident is not None:
            error = self._link.publish(incident_topic(body.incident.id), payload(body))
        if not error:
            return Sent()
        # With its queue: what was not acknowledged is published again by us, in order, and by nobody else.
        self.close()
        return Failed(error)

    def close(self) -> None:
        """Leave the broker; what it holds stays."""
        if self._link is not None:
            self._link.close()
        self._link = None


class _Link:
    """One connection, from its beginning to its first failure; its methods say what is wrong, or nothing."""

    def __init__(self, url: str, *, ca_file: str) -> None:
        parts = urlsplit(url)
        tls = parts.scheme == "mqtts"
        self._host, self._port = parts.hostname or "localhost", parts.port or (8883 if tls else 1883)
        # No client id of ours: two watches may tell.
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.username_pw_set(unquote(parts.username or ""), unquote(parts.password or ""))
        if tls:
            self._client.tls_set(ca_certs=ca_file or None)
        self._client.connect_timeout = ATTEMPT_TIMEOUT_S
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._changed = threading.Condition()
        self._answer: ReasonCode | None = None
        self._acks: dict[int, ReasonCode] = {}
        self._begun = False

    def ready(self) -> str:
        """Be connected."""
        if self._begun:
            return "" if self._client.is_connected() else "the connection was lost"
        try:
            self._client.connect(self._host, self._port, keepalive=_KEEPALIVE_S)
        except (OSError, ValueError) as error:
            return f"the broker does not answer: {error}"
        self._begun = True
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._answer is not None, ATTEMPT_TIMEOUT_S)
        if self._answer is None:
            return "the broker does not answer"
        return f"the broker refuses: {self._answer}" if self._answer.is_failure else ""

    def publish(self, topic: str, content: bytes) -> str:
        """Publish and wait for the acknowledgement."""
        sent = self._client.publish(topic, content, qos=1, retain=True)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return mqtt.error_string(sent.rc)
        with self._changed:
            self._changed.wait_for(lambda: sent.mid in self._acks, ATTEMPT_TIMEOUT_S)
            acknowledged = self._acks.pop(sent.mid, None)
        if acknowledged is None:
            return "the broker did not acknowledge"
        return f"the broker refuses: {acknowledged}" if acknowledged.is_failure else ""

    def close(self) -> None:
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
