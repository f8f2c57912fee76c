"""The MQTT side of ingest: paho's client with its reading replaced, because one packet at a time is a third of the rate needed.

paho 2.2.0 keeps what it does well (connect, TLS, subscribe, keep-alive, reconnect with back-off). Replaced is
`_packet_read`, so that one receive takes up to `_READ_BYTES` and `packets.cut` takes all PUBLISHes out of it; what else came
goes through paho's own `_packet_handle` (by `_in_packet`). Acknowledgements leave through paho's out queue
(`_packet_queue`) as one run of bytes for a whole batch. These are internals: requirements pin the version, and
`tests/unit/fleet/ingest/test_ingest_receiver.py` fails when they change.

The network thread never waits for the database: it only puts what came on an inbox. What bounds the inbox is the receive
maximum (the broker sends no more until we acknowledge), and for what that does not bound, `_MOST_WAITING_BYTES`.
"""

import logging
import queue
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from fleet.contract import Channel, topic
from fleet.ingest.packets import Arrivals, MalformedStreamError, OtherPacket, cut
from fleet.ingest.settings import IngestSettings

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 18
# After a read that emptied the socket, wait so long for more: one read per message would cost most of a core. While little
# comes (a read brought less than `_LITTLE_BYTES`) the wait is longer: 50 reads a second cost next to nothing.
_GATHER_S = 0.005
_GATHER_LITTLE_S = 0.02
_LITTLE_BYTES = 1 << 14
# Payloads waiting for the writer. The receive maximum bounds their number, not their size.
_MOST_WAITING_BYTES = 256 << 20
_KEEPALIVE_S = 30
# The broker keeps our place so long while we are away; longer, and the terminals' own journals send again.
_SESSION_EXPIRY_S = 24 * 3600
_RECONNECT_MAX_S = 8
_PUBACK = 0x40
# What workers of a group divide among them.
_DIVIDED = (Channel.TELEMETRY, Channel.EVENT, Channel.REPORTED, Channel.RES)


@dataclass(slots=True)
class Delivery:
    """What one read brought, and on which connection: packet ids mean something only there."""

    generation: int
    arrivals: Arrivals
    bytes: int


class Receiver(Client):
    """Subscribes to everything terminals send and holds it, unacknowledged, until `acknowledge`."""

    def __init__(self, settings: IngestSettings) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=settings.ingest_client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        self._settings = settings
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._connection_lock = threading.Lock()
        self._generation = 0
        self._rest = b""
        self._waiting = 0
        self._waiting_lock = threading.Lock()
        self.waiting_bytes = 0
        self.dropped_qos0 = 0
        self.connects = 0
        self.listening = False
        self.reconnect_delay_set(1, _RECONNECT_MAX_S)
        self.on_connect = _subscribe
        self.on_subscribe = _note_subscription
        self.on_disconnect = _note_disconnect

    @property
    def waiting_messages(self) -> int:
        """Messages received and not yet taken by the writer."""
        return self._waiting

    def start(self) -> None:
        """Connect in the background and keep connected; never raises because the broker is away."""
        url = urlsplit(self._settings.mqtt_url.get_secret_value())
        if url.username:
            self.username_pw_set(unquote(url.username), unquote(url.password or ""))
        if url.scheme == "mqtts":
            self.tls_set(ca_certs=self._settings.mqtt_ca_file or None)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it unannotated
        properties.SessionExpiryInterval = _SESSION_EXPIRY_S
        properties.ReceiveMaximum = self._settings.ingest_receive_maximum
        port = url.port or (8883 if url.scheme == "mqtts" else 1883)
        self.connect_async(url.hostname or "127.0.0.1", port, keepalive=_KEEPALIVE_S, clean_start=False, properties=properties)
        self.loop_start()

    def take(self, timeout_s: float) -> Delivery | None:
        """The next delivery, or None when none came in time."""
        try:
            delivery = self._inbox.get(timeout=timeout_s) if timeout_s > 0 else self._inbox.get_nowait()
        except queue.Empty:
            return None
        with self._waiting_lock:
            self.waiting_bytes -= delivery.bytes
            self._waiting -= len(delivery.arrivals)
        return delivery

    def acknowledge(self, generation: int, packets: bytes) -> bool:
        """Send PUBACKs gathered on connection `generation`; False where that connection is gone (the broker sends again)."""
        with self._connection_lock:
            if generation != self._generation or self._sock is None:
                return False
            if packets:
                self._packet_queue(_PUBACK, packets, 0, 1)
            return True

    def send(self, packets: bytes) -> bool:
        """Send a run of QoS 0 PUBLISH packets; False (nothing sent) while there is no connection."""
        with self._connection_lock:
            if not self.is_connected():
                return False
            self._packet_queue(_PUBACK, packets, 0, 1)
            return True

    def stop(self, timeout_s: float = 2.0) -> None:
        """Disconnect after what is queued has left; the broker keeps the session and what is not acknowledged."""
        until = time.monotonic() + timeout_s
        while self.is_connected() and self.want_write() and time.monotonic() < until:
            time.sleep(0.01)
        self.disconnect()
        self.loop_stop()

    def reconnect(self) -> MQTTErrorCode:
        """Open a new connection; packet ids of the one before are void from here on."""
        with self._connection_lock:
            self._generation += 1
            self._rest = b""
        return super().reconnect()

    def _packet_read(self) -> MQTTErrorCode:
        """Read what is there, put the PUBLISHes on the inbox, hand the rest to paho."""
        if self.waiting_bytes > _MOST_WAITING_BYTES:
            # Not reading is our choice, so a missing PINGRESP is no sign of a dead broker.
            self._ping_t = 0.0
            time.sleep(_GATHER_LITTLE_S)
            return MQTTErrorCode.MQTT_ERR_AGAIN
        try:
            data = self._receive()
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not data:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        try:
            arrivals, others, self._rest = cut(self._rest + data)
        except MalformedStreamError as error:
            log.error("broker sent what is not MQTT: %s", error, extra={"action": "receive"})
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if len(arrivals):
            self._put(arrivals)
        code = self._handle_others(others)
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and len(data) < _READ_BYTES and len(arrivals):
            time.sleep(_GATHER_LITTLE_S if len(data) < _LITTLE_BYTES else _GATHER_S)
        return code

    def _receive(self) -> bytes:
        """What the socket holds, up to about `_READ_BYTES`; empty at its end, `BlockingIOError` where nothing is there."""
        data = self._sock_recv(_READ_BYTES)
        if not isinstance(self._sock, ssl.SSLSocket):
            return data
        # TLS gives one record at a time, and brokers write one packet to a record.
        parts, size = [data], len(data)
        while parts[-1] and size < _READ_BYTES:
            try:
                parts.append(self._sock_recv(_READ_BYTES))
            except BlockingIOError:
                break
            size += len(parts[-1])
        return b"".join(parts)

    def _put(self, arrivals: Arrivals) -> None:
        size = sum(map(len, arrivals.payloads))
        if self._waiting > self._settings.ingest_receive_maximum and b"" in arrivals.packet_ids:
            # The receive maximum does not bound QoS 0, which the contract does not have and which promises nothing.
            self.dropped_qos0 += _drop_qos0(arrivals)
        with self._waiting_lock:
            self.waiting_bytes += size
            self._waiting += len(arrivals)
        self._inbox.put(Delivery(self._generation, arrivals, size))

    def _handle_others(self, others: list[OtherPacket]) -> MQTTErrorCode:
        for packet in others:
            self._in_packet["command"] = packet.command
            self._in_packet["packet"] = bytearray(packet.body)
            self._in_packet["remaining_length"] = len(packet.body)
            self._in_packet["pos"] = 0
            code = self._packet_handle()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._sock is None:
                return code
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def subscriptions(share_group: str) -> list[tuple[str, SubscribeOptions]]:
    """What ingest subscribes to.

    With a share group, workers divide the messages, but for presence: births and wills of one terminal must be seen in
    their order, so every worker sees all of them (a change that is already stored is none).
    """
    shared = f"$share/{share_group}/" if share_group else ""
    # Retained births come when the subscription is new; else only changes come.
    options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
    # Retain handling other than 0 is an error in a shared subscription of some brokers; nothing retained comes there.
    plain = SubscribeOptions(qos=1) if share_group else options
    return [(shared + topic("+", channel), plain) for channel in _DIVIDED] + [(topic("+", Channel.PRESENCE), options)]


def superseded(share_group: str) -> list[str]:
    """What a session of ours may still hold from before the worker joined a group: it would go on hearing everything."""
    return [topic("+", channel) for channel in _DIVIDED] if share_group else []


def _subscribe(client: Client, _userdata: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None) -> None:
    receiver = cast(Receiver, client)
    if reason.is_failure:
        log.error("broker refused the connection: %s", reason, extra={"action": "connect"})
        return
    receiver.connects += 1
    log.info("connected, session %s", "resumed" if flags.session_present else "new", extra={"action": "connect"})
    group = receiver._settings.ingest_share_group
    receiver.subscribe(cast(Any, subscriptions(group)))
    # Afterwards: a message heard twice is stored once, one heard by nobody waits for its terminal.
    if flags.session_present and (left := superseded(group)):
        receiver.unsubscribe(left)


def _note_subscription(
    client: Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
) -> None:
    refused = [str(reason) for reason in reasons if reason.is_failure]
    if refused:
        log.error("broker refused subscriptions: %s", ", ".join(refused), extra={"action": "subscribe"})
    receiver = cast(Receiver, client)
    receiver.listening = not refused
    log.info("subscribed as %s", receiver._settings.ingest_client_id, extra={"action": "subscribe"})


def _note_disconnect(
    client: Client, _userdata: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
) -> None:
    cast(Receiver, client).listening = False
    level = logging.WARNING if reason.is_failure else logging.INFO
    log.log(level, "disconnected: %s", reason, extra={"action": "disconnect"})


def _drop_qos0(arrivals: Arrivals) -> int:
    kept = [i for i, packet_id in enumerate(arrivals.packet_ids) if packet_id]
    dropped = len(arrivals) - len(kept)
    for parts in (arrivals.topics, arrivals.payloads, arrivals.packet_ids):
        parts[:] = [parts[i] for i in kept]
    return dropped
