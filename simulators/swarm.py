"""Thousands of terminals' connections in one process: one epoll, no thread and no timer of their own.

The swarm opens and keeps the connections that it is allowed to keep (`reach`), passes on what comes, sends what journals
hold. It is driven: `pump` works until a monotonic moment and returns. Per-terminal duties (signs of life, sending again,
noticing a dead broker) come round by a wheel of one-second slots, each terminal in the slot of its own number.
"""

import heapq
import math
import random
import resource
import select
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from fleet.errors import VigieError
from simulators import wire
from simulators.device import KEEPALIVE_S, Device
from simulators.journal import Batch
from simulators.link import Endpoint, Link, LinkLostError, Phase

# Connections opening at once, below the listen backlog of Mosquitto (100): beyond it a SYN is dropped and costs a second.
OPENING = 80
# A connection that is not online by then is given up (a broker that restarts takes connections before it answers them).
OPENING_TIMEOUT_S = 20.0
# What stays unacknowledged is sent again after this time, or at most twice this time: a round of the journals.
RESEND_S = 30
# Every so many turns of the wheel are a round. A sign of life comes 5 s before the keepalive ends at the latest, a turn included.
TURNS_PER_ROUND = 2
LONGEST_TURN_S = 15
ANSWER_TIMEOUT_S = 30.0
# Back-off after a failure: doubling between these bounds, each drawn at random up to the bound (full jitter).
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 15.0
RESTART_S = (3.0, 10.0)
_SPARE_FILES = 200


class TooFewFilesError(VigieError):
    """The machine allows fewer open files than there are terminals."""


@dataclass
class Totals:
    """What the swarm has done since it began."""

    connections: int = 0
    refused: int = 0
    lost: int = 0
    messages: int = 0
    entries: int = 0
    entries_again: int = 0
    acknowledged: int = 0
    commands: int = 0
    noise: int = 0


def raise_file_limit(terminals: int) -> None:
    """Allow one open file per terminal, or say how to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = terminals + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TooFewFilesError(
            f"{terminals} terminals need {wanted} open files, this machine allows {hard}: "
            f"raise it (`ulimit -Hn {wanted}` as root, or LimitNOFILE={wanted} in the systemd unit) or play fewer terminals"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else hard, hard))


class Swarm:
    """The connections of a fleet of devices, by their index."""

    def __init__(
        self, endpoint: Endpoint, devices: Sequence[Device], *, seed: int, now_ms: Callable[[], int], resend_s: int = RESEND_S
    ) -> None:
        raise_file_limit(len(devices))
        self.devices = devices
        self.totals = Totals()
        self.failures: Counter[str] = Counter()  # why connections were lost or refused
        self.online = 0
        self.rebooting: list[int] = []  # told to restart by a command; the owner takes them out
        self._endpoint = endpoint
        self._now_ms = now_ms
        self._epoll = select.epoll()
        self._by_fd: dict[int, int] = {}
        self._random = random.Random(seed)
        self._powered = np.zeros(len(devices), bool)
        self._reachable = np.zeros(len(devices), bool)
        self._to_open: deque[int] = deque()
        self._queued = bytearray(len(devices))  # 1: in `_to_open` or `_later`
        self._later: list[tuple[float, int]] = []  # heap of (when, index): back-off
        self._delayed: list[tuple[float, int]] = []  # heap of (when, index): a slow way up
        self._opening: set[int] = set()
        self._turns = max(TURNS_PER_ROUND, math.ceil(resend_s / LONGEST_TURN_S))
        self._wheel_s = max(1, resend_s // self._turns)
        self._slot = int(time.monotonic())
        self._finished = False

    # What the owner asks for

    def reach(self, powered: np.ndarray, connected: np.ndarray) -> None:
        """Take note of who has power and network now (bool arrays of all devices) and act on what changed."""
        now = time.monotonic()
        reachable = powered & connected
        for index in np.flatnonzero(self._reachable & ~reachable).tolist():
            self._cut(index, powered=bool(powered[index]), now=now)
        gained = np.flatnonzero(reachable & ~self._reachable)
        self._powered, self._reachable = powered.copy(), reachable
        for index in gained.tolist():
            self._queue(index)

    def restarted(self, index: int) -> None:
        """A device has rebooted: its connection ends, and it comes back once it is up."""
        now = time.monotonic()
        device = self.devices[index]
        device.blocked_until = now + self._random.uniform(*RESTART_S)
        if device.link.phase not in {Phase.CLOSED, Phase.MUTE}:
            self._drop(index, "restarted", retry=False)
        if self._reachable[index]:
            self._queue(index)

    def forward(self, index: int, *, delay_s: float = 0.0) -> None:
        """Send what the device's journal holds unsent, after `delay_s`, if it is online by then."""
        if delay_s > 0:
            heapq.heappush(self._delayed, (time.monotonic() + delay_s, index))
        else:
            self._send(index, self.devices[index].journal.unsent, time.monotonic())

    def pump(self, until: float) -> None:
        """Work until the monotonic moment `until`."""
        while True:
            now = time.monotonic()
            self._turn_wheel(now)
            self._send_delayed(now)
            self._open_some(now)
            timeout = max(0.0, min(until, self._next_moment(now)) - now)
            for fd, event in self._epoll.poll(timeout, 4096):
                index = self._by_fd.get(fd)
                if index is not None:
                    self._handle(index, event)
            if time.monotonic() >= until:
                return

    def backlog(self) -> int:
        """Count the entries that no terminal has seen acknowledged."""
        return sum(len(device.journal) for device in self.devices)

    def waiting(self, dead: Collection[int] = ()) -> int:
        """Count the terminals that have something unacknowledged, without the dead."""
        return sum(1 for index, device in enumerate(self.devices) if len(device.journal) and index not in dead)

    def relent(self, dead: Collection[int] = ()) -> None:
        """Give power and network back to all who still have something to tell, but not to the dead."""
        telling = np.fromiter((len(device.journal) > 0 for device in self.devices), bool, len(self.devices))
        telling[list(dead)] = False
        self.reach(self._powered | telling, self._reachable | telling)

    def finish(self) -> None:
        """Say goodbye for every terminal and close."""
        self._finished = True
        now = time.monotonic()
        for index, device in enumerate(self.devices):
            link = device.link
            if link.phase is Phase.ONLINE:
                self._forget(index)
                link.leave(now=now)
            elif link.phase is not Phase.CLOSED:
                self._forget(index)
                link.abort()
        self._epoll.close()

    # Connections

    def _queue(self, index: int) -> None:
        if self._queued[index] or self._finished:
            return
        self._queued[index] = 1
        blocked = self.devices[index].blocked_until
        if blocked > time.monotonic():
            heapq.heappush(self._later, (blocked, index))
        else:
            self._to_open.append(index)

    def _open_some(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._to_open.append(heapq.heappop(self._later)[1])
        while self._to_open and len(self._opening) < OPENING:
            index = self._to_open.popleft()
            self._queued[index] = 0
            device = self.devices[index]
            if not self._reachable[index] or device.link.phase not in {Phase.CLOSED, Phase.MUTE}:
                continue
            if device.blocked_until > now:
                self._queue(index)
                continue
            if device.link.phase is Phase.MUTE:
                device.link.abort()
            try:
                device.link.open(self._endpoint, now=now)
            except (LinkLostError, OSError) as error:
                self._drop(index, str(error))
                continue
            self._opening.add(index)
            self._by_fd[device.link.fd] = index
            self._watch(device.link, select.EPOLLIN | select.EPOLLOUT)

    def _cut(self, index: int, *, powered: bool, now: float) -> None:
        link = self.devices[index].link
        if link.phase is Phase.CLOSED:
            return
        self._forget(index)
        if powered or link.phase is not Phase.ONLINE:
            link.abort()
        else:
            link.mute(now=now)

    def _drop(self, index: int, why: str, *, retry: bool = True) -> None:
        """Give up a connection; try again after a while."""
        device = self.devices[index]
        self.failures[why] += 1
        if device.link.phase is Phase.ONLINE:
            self.totals.lost += 1
        else:
            self.totals.refused += 1
        self._forget(index)
        device.link.abort()
        if retry:
            bound = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(device.attempts, 10))
            device.attempts += 1
            device.blocked_until = time.monotonic() + self._random.uniform(0.1, bound)
            if self._reachable[index]:
                self._queue(index)

    def _forget(self, index: int) -> None:
        """Stop watching a connection that is about to close or fall silent."""
        link = self.devices[index].link
        self._opening.discard(index)
        if link.phase is Phase.ONLINE:
            self.online -= 1
        if self._by_fd.pop(link.fd, None) is not None:
            self._epoll.unregister(link.fd)
            link.watched = 0

    def _watch(self, link: Link, events: int) -> None:
        if link.watched == events:
            return
        if link.watched:
            self._epoll.modify(link.fd, events)
        else:
            self._epoll.register(link.fd, events)
        link.watched = events

    # What comes

    def _handle(self, index: int, event: int) -> None:
        device, now = self.devices[index], time.monotonic()
        link = device.link
        try:
            if link.phase is Phase.CONNECTING:
                link.opened(self._endpoint, device.hello, now=now)
            elif link.phase is Phase.SECURING:
                link.secure(device.hello, now=now)
            else:
                if event & select.EPOLLOUT:
                    link.flush()
                if event & ~select.EPOLLOUT:
                    for first, body in link.receive(now=now):
                        self._take(index, device, first, body, now)
            if link.fd >= 0:
                self._watch(link, select.EPOLLIN | (select.EPOLLOUT if link.wants_to_write else 0))
        except (LinkLostError, wire.WireError) as error:
            self._drop(index, str(error))

    def _take(self, index: int, device: Device, first: int, body: bytes, now: float) -> None:
        kind = first >> 4
        if kind == wire.PUBACK:
            # A refusal frees the window as well; the journal will try again, and the totals say why.
            _, reason = wire.read_packet_id(body)
            if reason >= 0x80:
                self.failures[f"a message was refused (0x{reason:02x})"] += 1
            device.link.confirmed(now=now)
        elif kind == wire.PUBLISH:
            answer = device.hear(wire.read_publish(first, body), now=now)
            self.totals.acknowledged += answer.acknowledged
            self.totals.noise += answer.noise
            if answer.command:
                self.totals.commands += 1
                if answer.command == "reboot":
                    self.rebooting.append(index)
        elif kind == wire.CONNACK:
            self._welcome(index, device, wire.read_connack(body), now)
        elif kind == wire.SUBACK:
            if refused := [code for code in wire.read_suback(body)[1] if code >= 0x80]:
                raise LinkLostError(f"a subscription was refused (0x{refused[0]:02x})")
        elif kind == wire.DISCONNECT:
            raise LinkLostError(f"the broker ended it (0x{body[0] if body else 0:02x})")
        elif kind != wire.PINGRESP:
            raise wire.WireError(f"an unexpected packet of type {kind}")

    def _welcome(self, index: int, device: Device, connack: wire.Connack, now: float) -> None:
        if connack.reason:
            raise LinkLostError(f"the broker refused (0x{connack.reason:02x})")
        self._opening.discard(index)
        device.link.accepted(connack, now=now)
        # A broker may ask for signs of life more often than the terminal offered (3.2.2.3.14); its wish counts.
        device.link.ping_after_s = max(0, min(KEEPALIVE_S, connack.keepalive_s or KEEPALIVE_S) - LONGEST_TURN_S - 5)
        device.attempts = 0
        self.online += 1
        self.totals.connections += 1
        device.link.gather()
        device.greet(at_ms=self._now_ms(), now=now)
        self._count(device, device.journal.unsent(), now)
        device.link.flush()

    # What goes

    def _send(self, index: int, take: Callable[[], list[Batch]], now: float, *, again: bool = False) -> None:
        device = self.devices[index]
        if device.link.phase is not Phase.ONLINE:
            return
        batches = take()
        if not batches:
            return
        try:
            sent = self._count(device, batches, now)
        except LinkLostError as error:
            self._drop(index, str(error))
            return
        self.totals.entries_again += sent if again else 0
        if device.link.wants_to_write:
            self._watch(device.link, select.EPOLLIN | select.EPOLLOUT)

    def _count(self, device: Device, batches: list[Batch], now: float) -> int:
        """Send batches and count them; returns the number of entries."""
        self.totals.messages += device.send(batches, now=now)
        entries = sum(batch.entries for batch in batches)
        self.totals.entries += entries
        return entries

    def _send_delayed(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            index = heapq.heappop(self._delayed)[1]
            self._send(index, self.devices[index].journal.unsent, now)

    def _next_moment(self, now: float) -> float:
        """When something is due without the network's doing."""
        moments = [float(self._slot + 1)]
        if self._to_open and len(self._opening) < OPENING:
            moments.append(now)
        moments += [heap[0][0] for heap in (self._later, self._delayed) if heap]
        return min(moments)

    def _turn_wheel(self, now: float) -> None:
        while self._slot < int(now):
            self._slot += 1
            for index in range(self._slot % self._wheel_s, len(self.devices), self._wheel_s):
                self._check(index, now)

    def _check(self, index: int, now: float) -> None:
        device = self.devices[index]
        link = device.link
        if link.phase is Phase.ONLINE:
            if link.owed_for(now) > ANSWER_TIMEOUT_S:
                self._drop(index, "the broker does not answer")
                return
            if (self._slot // self._wheel_s + index) % self._turns == 0:
                self._send(index, device.journal.overdue, now, again=True)
            if link.phase is Phase.ONLINE and now - link.last_sent > link.ping_after_s:
                try:
                    link.ping(now=now)
                except LinkLostError as error:
                    self._drop(index, str(error))
        elif link.phase in {Phase.CONNECTING, Phase.SECURING, Phase.GREETING} and now - link.since > OPENING_TIMEOUT_S:
            self._drop(index, "no answer to the connection")
