"""MQTT 5 packets by hand: the few that a terminal sends and receives, without an object per packet or a thread per client.

Only what the contract needs is here; a broker's packet that a terminal never asked for is a `WireError`.
Section numbers are those of the OASIS standard "MQTT Version 5.0" (2019).
"""

from typing import NamedTuple

from fleet.errors import VigieError

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PINGREQ_PACKET = b"\xc0\x00"
# "Disconnect with Will Message" (3.14.2.1): a terminal that says goodbye is offline as much as one that vanished.
DISCONNECT_PACKET = b"\xe0\x01\x04"
# Nothing a terminal is sent comes near this; a longer claim is noise, not a packet worth waiting for.
MAX_PACKET = 1 << 20

_RECEIVE_MAXIMUM_DEFAULT = 65_535
# Property identifiers by the form of their value (2.2.2.2).
_BYTES = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A}
_U16 = {0x13, 0x21, 0x22, 0x23}
_U32 = {0x02, 0x11, 0x18, 0x27}
_VARINT = {0x0B}
_STRINGS = {0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F}
_PAIRS = {0x26}
RECEIVE_MAXIMUM, RESPONSE_TOPIC, CORRELATION_DATA, SERVER_KEEP_ALIVE = 0x21, 0x08, 0x09, 0x13

Properties = dict[int, int | bytes]


class WireError(VigieError):
    """The other end does not speak MQTT 5 as the standard says."""


class Connack(NamedTuple):
    """The broker's answer to CONNECT; `reason` 0 is success."""

    session_present: bool
    reason: int
    receive_maximum: int
    keepalive_s: int | None  # the broker's own wish, which the client must follow


class Message(NamedTuple):
    """A PUBLISH from the broker."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int
    response_topic: str | None
    correlation: bytes | None


class Will(NamedTuple):
    """What the broker says for the terminal when the connection is lost."""

    topic: bytes
    payload: bytes
    qos: int = 1
    retain: bool = True


def varint(value: int) -> bytes:
    """Encode a variable byte integer (1.5.5)."""
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        if not value:
            out.append(low)
            return bytes(out)
        out.append(low | 0x80)


def text(value: bytes) -> bytes:
    """Encode a string or binary data with its length (1.5.4, 1.5.6)."""
    return len(value).to_bytes(2, "big") + value


def connect(
    *,
    client_id: bytes,
    user: bytes,
    password: bytes,
    keepalive_s: int,
    session_expiry_s: int,
    clean_start: bool,
    will: Will,
) -> bytes:
    """Encode CONNECT (3.1)."""
    flags = 0x80 | 0x40 | 0x04 | (will.qos << 3) | (0x20 if will.retain else 0) | (0x02 if clean_start else 0)
    properties = b"\x11" + session_expiry_s.to_bytes(4, "big") if session_expiry_s else b""
    body = b"".join(
        (
            b"\x00\x04MQTT\x05",
            bytes((flags,)),
            keepalive_s.to_bytes(2, "big"),
            varint(len(properties)),
            properties,
            text(client_id),
            b"\x00",  # no will properties: the will is sent as soon as the connection is lost
            text(will.topic),
            text(will.payload),
            text(user),
            text(password),
        )
    )
    return b"\x10" + varint(len(body)) + body


def publish(
    topic: bytes, payload: bytes, *, packet_id: int = 0, qos: int = 1, retain: bool = False, correlation: bytes | None = None
) -> bytes:
    """Encode PUBLISH (3.3); `topic` comes with its length (`text`), so that it is made once for many messages."""
    properties = b"\x00" if correlation is None else varint(3 + len(correlation)) + b"\x09" + text(correlation)
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    length = varint(len(topic) + len(identifier) + len(properties) + len(payload))
    return b"".join((bytes((0x30 | qos << 1 | retain,)), length, topic, identifier, properties, payload))


def puback(packet_id: int) -> bytes:
    """Encode PUBACK with success (3.4)."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def subscribe(packet_id: int, filters: list[tuple[bytes, int]]) -> bytes:
    """Encode SUBSCRIBE (3.8); filters are (topic, highest QoS wanted)."""
    body = packet_id.to_bytes(2, "big") + b"\x00" + b"".join(text(topic) + bytes((qos,)) for topic, qos in filters)
    return b"\x82" + varint(len(body)) + body


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Cut received bytes into whole packets (first byte, body) and the rest, to be put before what comes next."""
    packets: list[tuple[int, bytes]] = []
    start, end = 0, len(data)
    while end - start >= 2:
        length = data[start + 1]
        body = start + 2
        if length > 127:
            found = _long_length(data, start + 1)
            if found is None:
                break
            length, body = found
        if length > MAX_PACKET:
            raise WireError(f"a packet of {length} bytes is longer than any terminal's")
        if body + length > end:
            break
        packets.append((data[start], data[body : body + length]))
        start = body + length
    return packets, data[start:] if start else data


def read_connack(body: bytes) -> Connack:
    """Read CONNACK (3.2)."""
    if len(body) < 2:
        raise WireError("CONNACK is too short")
    properties = _properties(body, 2)[0] if len(body) > 2 else {}
    maximum = properties.get(RECEIVE_MAXIMUM, _RECEIVE_MAXIMUM_DEFAULT)
    keepalive = properties.get(SERVER_KEEP_ALIVE)
    assert isinstance(maximum, int)
    return Connack(bool(body[0] & 1), body[1], maximum, keepalive if isinstance(keepalive, int) else None)


def read_publish(first: int, body: bytes) -> Message:
    """Read PUBLISH (3.3) from its first byte and body."""
    qos = first >> 1 & 3
    if qos > 1:
        raise WireError(f"a message with QoS {qos}, none was subscribed")
    topic, at = _string(body, 0)
    packet_id = 0
    if qos:
        packet_id, at = _number(body, at, 2)
    properties: Properties = {}
    if at >= len(body):
        raise WireError("PUBLISH ends before its properties")
    if body[at]:
        properties, at = _properties(body, at)
    else:
        at += 1
    response, correlation = properties.get(RESPONSE_TOPIC), properties.get(CORRELATION_DATA)
    try:
        return Message(
            topic.decode(),
            body[at:],
            qos,
            packet_id,
            response.decode() if isinstance(response, bytes) else None,
            correlation if isinstance(correlation, bytes) else None,
        )
    except UnicodeDecodeError:
        raise WireError("a topic that is not UTF-8") from None


def read_packet_id(body: bytes) -> tuple[int, int]:
    """Read packet id and reason (0: success) of PUBACK (3.4), where a short form means success."""
    packet_id, at = _number(body, 0, 2)
    return packet_id, body[at] if len(body) > at else 0


def read_suback(body: bytes) -> tuple[int, bytes]:
    """Read packet id and one reason code per filter of SUBACK (3.9); 0x80 and above is a refusal."""
    packet_id, at = _number(body, 0, 2)
    _, at = _properties(body, at)
    return packet_id, body[at:]


def _long_length(data: bytes, at: int) -> tuple[int, int] | None:
    """Read a length of several bytes and where the body starts; None while bytes are missing."""
    value = 0
    for position in range(4):
        if at + position >= len(data):
            return None
        byte = data[at + position]
        value |= (byte & 0x7F) << 7 * position
        if not byte & 0x80:
            return value, at + position + 1
    raise WireError("a length of more than four bytes")


def _number(body: bytes, at: int, size: int) -> tuple[int, int]:
    if at + size > len(body):
        raise WireError("a packet ends inside a number")
    return int.from_bytes(body[at : at + size], "big"), at + size


def _string(body: bytes, at: int) -> tuple[bytes, int]:
    length, at = _number(body, at, 2)
    if at + length > len(body):
        raise WireError("a packet ends inside a string")
    return body[at : at + length], at + length


def _properties(body: bytes, at: int) -> tuple[Properties, int]:
    """Read a property list; of repeated and paired (user) properties nothing is kept, no terminal needs them."""
    found = _long_length(body, at)
    if found is None or found[0] + found[1] > len(body):
        raise WireError("a packet ends inside its properties")
    length, at = found
    end = at + length
    properties: Properties = {}
    while at < end:
        name = body[at]
        value: int | bytes
        if name in _STRINGS:
            value, at = _string(body, at + 1)
        elif name in _PAIRS:
            _, at = _string(body, at + 1)
            value, at = _string(body, at)
        elif name in _VARINT:
            number = _long_length(body, at + 1)
            if number is None:
                raise WireError("a packet ends inside a number")
            value, at = number
        else:
            size = 1 if name in _BYTES else 2 if name in _U16 else 4 if name in _U32 else 0
            if not size:
                raise WireError(f"unknown property 0x{name:02x}")
            value, at = _number(body, at + 1, size)
        properties[name] = value
    return properties, end
