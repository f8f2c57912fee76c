"""What the exchange's events mean for calls: Asterisk's channels in, our `CallEvent`s out. Remembers, but touches nothing.

Every channel names the call it belongs to (`Linkedid`): the id of the channel that began it. A call is the hotline's once it
waits in a queue, rings at a telephone that is a member of one, or is an agent's own to an outside number. An agent who
rings a colleague with a caller on the line asks about that caller: what happens then belongs to the caller's call.

`QueueCallerAbandon` is not listened to: Asterisk sends it also for callers who flow over to the next queue.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from hotline.call_events import CallEvent, Direction, Happening
from hotline.telephony.protocol import Message

# Begins every id of a call that came this way, so that other sources' calls are never taken for ours.
PREFIX: Final = "asterisk:"
# Shorter numbers are extensions and feature codes.
SHORTEST_OUTSIDE_NUMBER: Final = 8
# These tell of no channel, or of several.
_WITHOUT_CHANNEL = frozenset({"QueueMember", "QueueMemberAdded", "CoreShowChannelsComplete", "BlindTransfer", "AttendedTransfer"})
# What tells the channels of one telephone apart.
_SERIAL = re.compile(r"-[0-9a-f]{8}(;[12])?$")


@dataclass(frozen=True, slots=True)
class Roster:
    """The hotline's calls that the exchange has now, all of them: whatever else we believe to go on is over."""

    call_ids: frozenset[str]


@dataclass(slots=True)
class _Leg:
    """An agent's channel: at which telephone, what the queue calls its agent, for which queue, and whether it is spoken."""

    telephone: str
    agent: str
    queue: str = ""
    talks: bool = False


@dataclass(slots=True)
class _Call:
    """A call as its channels told it; `caller` is the telephone or line that began it."""

    key: str
    from_number: str
    to_number: str
    caller: str
    direction: Direction = "in"
    ours: bool = False
    queue: str = ""
    # Our id of the wait in that queue: a queue is perhaps not come to for the first time. Empty where it began unheard.
    wait: str = ""
    waiting: bool = False
    legs: dict[str, _Leg] = field(default_factory=dict)

    def is_spoken_at(self, telephone: str) -> bool:
        """Whether an agent speaks to the caller at this telephone."""
        return any(leg.talks and leg.telephone == telephone for leg in self.legs.values())


class Translator:
    """Hears one connection's messages in order; a new connection begins with a new one, which the exchange then fills in."""

    def __init__(self, since: str = "") -> None:
        """`since` tells its ids of waits from those of connections before."""
        self._since = since
        self._waits = 0
        self._calls: dict[str, _Call] = {}
        # Consultations: which caller's call they belong to.
        self._about: dict[str, str] = {}
        self._members: set[str] = set()
        self._shown: list[Message] = []
        self._by_event: dict[str, Callable[[Message], Iterable[CallEvent | Roster]]] = {
            "QueueMember": self._member,
            "QueueMemberAdded": self._member,
            "QueueEntry": self._shown_wait,
            "CoreShowChannel": self._show,
            "CoreShowChannelsComplete": self._shown_all,
            "Newchannel": self._new_channel,
            "QueueCallerJoin": self._queued,
            "QueueCallerLeave": self._left_queue,
            "AgentCalled": self._called,
            "AgentConnect": self._connected,
            "AgentRingNoAnswer": self._released,
            "AgentComplete": self._released,
            "DialBegin": self._dial_begun,
            "DialEnd": self._dial_ended,
            "Hold": self._held,
            "Unhold": self._held,
            "BlindTransfer": self._transferred,
            "AttendedTransfer": self._transferred,
            "Hangup": self._hung_up,
        }

    def hear(self, message: Message) -> list[CallEvent | Roster]:
        """What this message says of calls; mostly nothing."""
        event = message.get("Event", "")
        handler = self._by_event.get(event)
        if handler is None or not (_id_of(message) or event in _WITHOUT_CHANNEL):
            return []
        return list(handler(message))

    def _member(self, message: Message) -> Iterable[CallEvent]:
        # Devices and people are members alike; a channel is told by its device.
        for name in ("Interface", "Location", "StateInterface"):
            if resource := resource_of(message.get(name, "")):
                self._members.add(resource)
        return ()

    def _new_channel(self, message: Message) -> Iterable[CallEvent]:
        if message.get("Uniqueid") == message.get("Linkedid"):
            call = self._begun(message)
            if asked_about := next((c for c in self._calls.values() if c.ours and c.is_spoken_at(call.caller)), None):
                self._about[call.key] = asked_about.key
        return ()

    def _shown_wait(self, message: Message) -> Iterable[CallEvent]:
        """A wait that had begun before we listened, unless we have just heard of it."""
        if call := self._come(message):
            if not call.waiting:
                call.waiting, call.queue, call.wait = True, message.get("Queue", ""), ""
            yield self._event(Happening.QUEUED, call, message, queue=call.queue, leg=call.wait)

    def _queued(self, message: Message) -> Iterable[CallEvent]:
        if call := self._come(message):
            self._waits += 1
            call.waiting, call.queue, call.wait = True, message.get("Queue", ""), f"{self._since}/{self._waits}"
            yield self._event(Happening.QUEUED, call, message, queue=call.queue, leg=call.wait)

    def _left_queue(self, message: Message) -> Iterable[CallEvent]:
        if call := self._claimed(message):
            call.waiting = False
            queue = message.get("Queue", "")
            yield self._event(Happening.LEFT_QUEUE, call, message, queue=queue, leg=call.wait if queue == call.queue else "")

    def _called(self, message: Message) -> Iterable[CallEvent]:
        if call := self._claimed(message):
            yield self._offered(call, message, agent=agent_of(message), leg=message.get("DestUniqueid", ""))

    def _connected(self, message: Message) -> Iterable[CallEvent]:
        if call := self._claimed(message):
            call.waiting = False
            yield self._taken(call, message, agent=agent_of(message), leg=message.get("DestUniqueid", ""))

    def _released(self, message: Message) -> Iterable[CallEvent]:
        cause = message.get("Reason", "") or "no answer"
        return self._release(self._call(message), message, leg=message.get("DestUniqueid", ""), cause=cause)

    def _dial_begun(self, message: Message) -> Iterable[CallEvent]:
        call = self._call(message)
        if call is None or call.waiting:
            # What a queue rings is told by AgentCalled.
            return
        caller, rung = resource_of(message.get("Channel", "")), resource_of(message.get("DestChannel", ""))
        leg = message.get("DestUniqueid", "")
        if rung in self._members and (call.ours or caller not in self._members):
            call.ours = True
            yield self._offered(call, message, agent=rung, leg=leg)
        elif caller in self._members and not call.ours and _is_outside(call.to_number):
            call.ours, call.direction = True, "out"
            call.legs[call.key] = _Leg(caller, caller)
            yield self._event(Happening.RANG, call, message, users=(caller,))

    def _dial_ended(self, message: Message) -> Iterable[CallEvent]:
        call, leg = self._call(message), message.get("DestUniqueid", "")
        if call is None or not call.ours:
            return
        if message.get("DialStatus") != "ANSWER":
            yield from self._release(call, message, leg=leg, cause=message.get("DialStatus", "").lower())
        elif not call.waiting:
            leg = call.key if call.direction == "out" else leg
            if leg in call.legs and not call.legs[leg].talks:
                yield self._taken(call, message, agent=call.legs[leg].agent, leg=leg)

    def _held(self, message: Message) -> Iterable[CallEvent]:
        call = self._call(message)
        leg = self._leg(call, message)
        if call is not None and leg in call.legs and call.legs[leg].talks:
            kind = Happening.HELD if message.get("Event") == "Hold" else Happening.RESUMED
            yield self._event_of(kind, call, message, leg=leg)

    def _transferred(self, message: Message) -> Iterable[CallEvent]:
        if message.get("Result") != "Success":
            return
        for side in ("Transferer", "OrigTransferer"):
            call = self._find(message.get(f"{side}Linkedid", ""))
            yield from self._release(call, message, leg=message.get(f"{side}Uniqueid", ""), cause="transfer")

    def _hung_up(self, message: Message) -> Iterable[CallEvent]:
        key, cause = message.get("Uniqueid", ""), message.get("Cause-txt", "")
        call = self._calls.pop(key, None)
        if call is None:
            call = self._call(message)
            yield from self._release(call, message, leg=self._leg(call, message), cause=cause)
        else:
            self._about = {asked: about for asked, about in self._about.items() if about != key}
            if call.ours:
                yield self._event(Happening.ENDED, call, message, cause=cause)

    def _show(self, message: Message) -> Iterable[CallEvent]:
        # Channels are listed in any order, a call's first one perhaps last.
        self._shown.append(message)
        return ()

    def _shown_all(self, _message: Message) -> Iterable[CallEvent | Roster]:
        shown, self._shown = self._shown, []
        for channel in shown:
            if channel.get("Uniqueid") == channel.get("Linkedid"):
                call = self._begun(channel)
                if channel.get("Application") == "Queue":
                    call.queue = channel.get("ApplicationData", "").partition(",")[0]
        for channel in shown:
            yield from self._shown_leg(channel)
        yield Roster(frozenset(PREFIX + call.key for call in self._calls.values() if call.ours))

    def _shown_leg(self, channel: Message) -> Iterable[CallEvent]:
        """An agent's channel that was there before we listened."""
        call, agent = self._call(channel), resource_of(channel.get("Channel", ""))
        if call is None or call.key == channel.get("Uniqueid") or agent not in self._members:
            return
        leg = channel.get("Uniqueid", "")
        call.ours = True
        happened = self._taken if channel.get("BridgeId") else self._offered
        yield happened(call, {**channel, "Queue": call.queue}, agent=agent, leg=leg)

    def _begun(self, message: Message) -> _Call:
        key = _id_of(message)
        caller = resource_of(message.get("Channel", ""))
        call = self._calls.setdefault(key, _Call(key, message.get("CallerIDNum", ""), "", caller))
        # A queue's list does not say what was dialled, the list of channels does.
        call.to_number = call.to_number or message.get("Exten", "")
        return call

    def _claimed(self, message: Message) -> _Call | None:
        """The call that a queue's event is about, the hotline's from now on; an agent who rings a queue is no shop."""
        call = self._call(message)
        if call is None:
            return None
        call.ours = call.ours or call.caller not in self._members
        return call if call.ours else None

    def _come(self, message: Message) -> _Call | None:
        """The call of who comes to a queue. Its own events alone begin one: what is said after a call's end would never end."""
        if self._call(message) is None:
            self._begun(message)
        return self._claimed(message)

    def _offered(self, call: _Call, message: Message, *, agent: str, leg: str) -> CallEvent:
        self._leg_at(call, message, agent=agent, leg=leg)
        return self._event_of(Happening.OFFERED, call, message, leg=leg)

    def _taken(self, call: _Call, message: Message, *, agent: str, leg: str) -> CallEvent:
        self._leg_at(call, message, agent=agent, leg=leg).talks = True
        return self._event_of(Happening.CONNECTED, call, message, leg=leg)

    def _leg_at(self, call: _Call, message: Message, *, agent: str, leg: str) -> _Leg:
        # Only what a queue rings names a queue.
        new = _Leg(_telephone_of(message), agent, message.get("Queue", ""))
        return call.legs.setdefault(leg, new)

    def _call(self, message: Message) -> _Call | None:
        return self._find(_id_of(message))

    def _find(self, key: str) -> _Call | None:
        return self._calls.get(self._about.get(key, key))

    def _leg(self, call: _Call | None, message: Message) -> str:
        """Which agent's part a channel is: by its id, or, where the queue rang a Local channel before it, by its telephone."""
        channel, leg = message.get("Channel", ""), message.get("Uniqueid", "")
        if call is None or leg in call.legs or channel.startswith("Local/") or leg in self._about:
            return leg
        return next((known for known, part in call.legs.items() if part.telephone == resource_of(channel)), leg)

    def _release(self, call: _Call | None, message: Message, *, leg: str, cause: str) -> Iterable[CallEvent]:
        if call is not None and leg in call.legs:
            yield self._event_of(Happening.RELEASED, call, message, leg=leg, cause=cause)
            del call.legs[leg]

    def _event_of(self, kind: Happening, call: _Call, message: Message, *, leg: str, cause: str = "") -> CallEvent:
        """What happened to an agent's part."""
        part = call.legs[leg]
        return self._event(kind, call, message, agent=part.agent, leg=leg, queue=part.queue, cause=cause)

    def _event(
        self,
        kind: Happening,
        call: _Call,
        message: Message,
        *,
        users: tuple[str, ...] = (),
        agent: str = "",
        leg: str = "",
        queue: str = "",
        cause: str = "",
    ) -> CallEvent:
        return CallEvent(
            kind=kind,
            call_id=PREFIX + call.key,
            name=message.get("Event", ""),
            direction=call.direction,
            from_number=call.from_number,
            to_number=call.to_number,
            users=users,
            agent=agent,
            queue=queue,
            cause=cause,
            leg=leg,
        )


def resource_of(channel: str) -> str:
    """The telephone of a channel or a queue's interface: `PJSIP/4021-0000002a` and `Local/4021@agents/n` are 4021's."""
    _, _, rest = channel.partition("/")
    return _SERIAL.sub("", rest).partition("@")[0]


def agent_of(message: Message) -> str:
    """How a queue's event names its agent: by extension where the telephone has one, else by the member's own name."""
    resource, member = resource_of(message.get("Interface", "")), message.get("MemberName", "")
    return resource if resource.isdigit() or not member or "/" in member else member


def _id_of(message: Message) -> str:
    """The call that a channel is part of."""
    return message.get("Linkedid") or message.get("Uniqueid", "")


def _telephone_of(message: Message) -> str:
    """The telephone that an event's agent answers: what was dialled, or in the list of channels the channel itself."""
    return resource_of(message.get("DestChannel") or message.get("Channel", ""))


def _is_outside(number: str) -> bool:
    digits = number.removeprefix("+")
    return digits.isdigit() and len(digits) >= SHORTEST_OUTSIDE_NUMBER
