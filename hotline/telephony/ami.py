"""A connection to Asterisk's manager interface that keeps itself: signs in, asks what is going on, listens, comes back.

A thread reads promptly, whatever the database does: an exchange hangs up on a listener that is too slow. What it hears goes
on a bounded queue with the moment it was heard, because waits are computed from our own clock.
"""

import logging
import queue
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fleet.alone import pause_s
from fleet.clock import Clock
from hotline.telephony.address import Address
from hotline.telephony.protocol import AmiError, Message, Parser, encode

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
# How soon it is noticed that we are to stop.
WAIT_S = 0.5
# After so long without a word the exchange is asked for a sign of life; after so long without one the connection is dead.
PING_AFTER_S = 5.0
DEAD_AFTER_S = 20.0
RECEIVE_BYTES = 64 * 1024
# Some minutes of the busiest hour: what may wait for a database that is being restarted.
LONGEST_QUEUE = 50_000
# What calls are; everything else that an account may be told is noise here.
EVENT_CLASSES = "call,agent"
# What the answers to our questions are told by.
ASKED = "vigie"


@dataclass(frozen=True, slots=True)
class Heard:
    """Something the exchange said, and when we heard it."""

    message: Message
    at: datetime


@dataclass(frozen=True, slots=True)
class Reached:
    """The exchange listens to us and is about to say what goes on."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone; what happens from now on is not heard."""

    at: datetime


News = Heard | Reached | Lost


def conversation(address: Address, *, stop: threading.Event, ca_file: str = "") -> Iterator[Message]:
    """Everything the exchange says from a successful sign-in until `stop` is set; first what goes on, then what happens.

    Raises:
        AmiError: it refused us, cannot be understood, or fell silent.
        OSError: it cannot be reached or hung up.
    """
    with _connect(address, ca_file) as connection:
        connection.settimeout(WAIT_S)
        connection.sendall(encode("Login", Username=address.user, Secret=address.secret, Events=EVENT_CLASSES))
        parser, pulse, signed_in = Parser(), _Pulse(), False
        while not stop.is_set():
            try:
                data = connection.recv(RECEIVE_BYTES)
            except TimeoutError:
                if pulse.asks():
                    connection.sendall(encode("Ping"))
                continue
            if not data:
                raise ConnectionError("the exchange hung up")
            pulse.beat()
            for message in parser.feed(data):
                if not signed_in and "Response" in message:
                    _insist_on_welcome(message)
                    signed_in = True
                    # Queues first: whose calls the channels are is known by then.
                    for question in ("QueueStatus", "CoreShowChannels"):
                        connection.sendall(encode(question, ActionID=ASKED))
                if signed_in:
                    yield message


class _Pulse:
    """How long the exchange has been silent, and when to ask whether it lives."""

    def __init__(self) -> None:
        self._heard_s = self._asked_s = time.monotonic()

    def beat(self) -> None:
        """It said something."""
        self._heard_s = self._asked_s = time.monotonic()

    def asks(self) -> bool:
        """Whether it is time to ask; `AmiError` where it has been silent for too long."""
        now = time.monotonic()
        if now - self._heard_s > DEAD_AFTER_S:
            raise AmiError(f"the exchange has been silent for {DEAD_AFTER_S:g} s")
        if now - self._asked_s < PING_AFTER_S:
            return False
        self._asked_s = now
        return True


class Listener:
    """Listens in a thread of its own, from `begin` to `end`, through every loss of the connection."""

    def __init__(self, address: Address, *, clock: Clock, ca_file: str = "") -> None:
        self._address = address
        self._ca_file = ca_file
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="ami", daemon=True)
        self.news: queue.Queue[News] = queue.Queue(LONGEST_QUEUE)
        """What was heard, in order."""

    def begin(self) -> None:
        """Listen from now on; beginning twice is fine."""
        if self._thread.ident is None:
            self._thread.start()

    def end(self) -> None:
        """Listen no more."""
        self._stop.set()
        if self._thread.ident is not None:
            # Where it hangs on a connection that is being made, it does not keep the program: it is a daemon.
            self._thread.join(timeout=2 * WAIT_S)

    def _listen(self) -> None:
        faults = 0
        while not self._stop.is_set():
            reached = False
            try:
                for message in conversation(self._address, ca_file=self._ca_file, stop=self._stop):
                    if not reached:
                        reached, faults = True, 0
                        self._put(Reached(self._clock()))
                    self._put(Heard(message, self._clock()))
                return
            except (OSError, AmiError) as error:
                why = str(error) or type(error).__name__
            faults += 1
            log.warning("the exchange is out of reach: %s", why, extra={"action": "reconnect", "attempt": faults})
            if reached or faults == 1:
                self._put(Lost(self._clock()))
            self._stop.wait(pause_s(faults, jitter=random.random()))

    def _put(self, news: News) -> None:
        while not self._stop.is_set():
            try:
                self.news.put(news, timeout=1.0)
            except queue.Full:
                continue
            return


def _connect(address: Address, ca_file: str) -> socket.socket:
    connection = socket.create_connection((address.host, address.port), timeout=CONNECT_TIMEOUT_S)
    if not address.tls:
        return connection
    try:
        return ssl.create_default_context(cafile=ca_file or None).wrap_socket(connection, server_hostname=address.host)
    except BaseException:
        connection.close()
        raise


def _insist_on_welcome(message: Message) -> None:
    if message.get("Response") != "Success":
        raise AmiError(f"sign-in refused: {message.get('Message', 'no reason given')}")
