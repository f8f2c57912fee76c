"""Cuts MQTT 5 packets out of a received buffer: many at once, in one loop, no object per packet beyond its parts.

Pure: bytes in, parts out. Only PUBLISH is taken apart; every other packet is handed back whole, for paho.
"""

from dataclasses import dataclass, field
from struct import Struct

# Fixed header of a PUBLISH: type 3 in the high half, then DUP, QoS (two bits), RETAIN.
_PUBLISH = 0x30
_QOS_BITS = 0x06
_QOS_1 = 0x02
_PUBACK_HEADER = b"\x40\x02"
# First byte, remaining length of two bytes, length of the topic.
_USUAL_HEAD = Struct(">BBBH")


class MalformedStreamError(Exception):
    """The bytes are not MQTT: the connection must be closed."""


@dataclass(slots=True)
class Arrivals:
    """PUBLISH packets in the order of their arrival, as parallel lists; a packet of QoS 0 has the packet id `b""`."""

    topics: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    packet_ids: list[bytes] = field(default_factory=list)

    def extend(self, other: "Arrivals") -> None:
        """Append another's packets."""
        self.topics += other.topics
        self.payloads += other.payloads
        self.packet_ids += other.packet_ids

    def part(self, begin: int, end: int | None) -> "Arrivals":
        """The packets from `begin` up to, not including, `end`."""
        return Arrivals(self.topics[begin:end], self.payloads[begin:end], self.packet_ids[begin:end])

    def __len__(self) -> int:
        return len(self.topics)


@dataclass(slots=True)
class OtherPacket:
    """A packet that is not a PUBLISH: first byte and body; `before` PUBLISH packets of the same cut came earlier."""

    command: int
    body: bytes
    before: int


def cut(data: bytes) -> tuple[Arrivals, list[OtherPacket], bytes]:
    """Take every complete packet off the front of `data`; returns the PUBLISHes, the others, and the incomplete rest.

    Raises `MalformedStreamError` where the bytes cannot be MQTT.
    """
    arrivals = Arrivals()
    add_topic, add_payload, add_id = arrivals.topics.append, arrivals.payloads.append, arrivals.packet_ids.append
    others: list[OtherPacket] = []
    head = _USUAL_HEAD.unpack_from
    at, end = 0, len(data)
    while end - at >= 2:
        # What nearly every packet is: a first delivery at QoS 1, a length of two bytes, no properties.
        if end - at >= _USUAL_HEAD.size:
            first, low, high, name_bytes = head(data, at)
            name_at = at + 5
            after = at + 3 + low + (high << 7) - 128
            name_end = name_at + name_bytes
            content = name_end + 2
            if first == _PUBLISH | _QOS_1 and low >= 128 > high and content < after <= end and data[content] == 0:
                add_topic(data[name_at:name_end])
                add_id(data[name_end:content])
                add_payload(data[content + 1 : after])
                at = after
                continue
        after = _cut_one(data, at, arrivals, others)
        if after == 0:
            break
        at = after
    return arrivals, others, data[at:]


def _cut_one(data: bytes, at: int, arrivals: Arrivals, others: list[OtherPacket]) -> int:
    """Take any packet; returns the position after it, 0 where it is not complete."""
    first = data[at]
    length, body = _variable_int_at(data, at + 1)
    after = body + length
    if body == 0 or after > len(data):
        return 0
    if first & 0xF0 != _PUBLISH:
        others.append(OtherPacket(first, data[body:after], len(arrivals)))
        return after
    name_end = body + 2 + (data[body] << 8) + data[body + 1] if length >= 2 else after
    # QoS 2 is never granted to us: the subscription asks for 1.
    qos = first & _QOS_BITS
    content = name_end + 2 if qos == _QOS_1 else name_end
    if content >= after or qos > _QOS_1:
        raise MalformedStreamError(f"PUBLISH of {length} bytes with header {first:#x}")
    arrivals.topics.append(data[body + 2 : name_end])
    arrivals.packet_ids.append(data[name_end : name_end + 2] if qos else b"")
    arrivals.payloads.append(data[_skip_properties(data, content, after) : after])
    return after


def pubacks(packet_ids: list[bytes]) -> bytes:
    """One PUBACK (reason: success) for each packet id, as one run of bytes; ids of QoS 0 (empty) are passed over."""
    ids = [packet_id for packet_id in packet_ids if packet_id]
    return _PUBACK_HEADER + _PUBACK_HEADER.join(ids) if ids else b""


def publish_qos0(topic: bytes, payload: bytes) -> bytes:
    """A PUBLISH of QoS 0 without properties."""
    length = 2 + len(topic) + 1 + len(payload)
    return b"".join((b"\x30", variable_int(length), len(topic).to_bytes(2, "big"), topic, b"\x00", payload))


def variable_int(value: int) -> bytes:
    """MQTT's variable byte integer."""
    out = bytearray()
    while value >= 128:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _variable_int_at(data: bytes, at: int) -> tuple[int, int]:
    """The variable byte integer at `at` and the position after it; position 0 where the bytes end too early."""
    value = 0
    for count, byte in enumerate(data[at : at + 4]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 128:
            return value, at + count + 1
    if len(data) - at >= 4:
        raise MalformedStreamError("a length of more than four bytes")
    return 0, 0


def _skip_properties(data: bytes, at: int, after: int) -> int:
    length, content = _variable_int_at(data[:after], at)
    if content == 0 or content + length > after:
        raise MalformedStreamError("properties longer than their packet")
    return content + length
