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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fleet.alone import pause_s
from fleet.clock import Clock
from hotline.telephony.address import Address
from hotline.telephony.protocol import AmiError, Message, Parser, encode

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
# The exchange is asked for a sign of life so often; when as many in a row stay unanswered, the connection is dead.
PING_EVERY_S = 5.0
MISSED_PINGS = 3
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
    """The exchange listens to us and is about to say what goes on; events were missed since `lost_at` (None: we just began)."""

    at: datetime
    lost_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone; what happens from now on is not heard."""

    at: datetime
    why: str


News = Heard | Reached | Lost


def conversation(address: Address, *, stop: threading.Event) -> Iterator[Message]:
    """Everything the exchange says from a successful sign-in until `stop` is set; first what goes on, then what happens.

    Raises:
        AmiError: it refused us, cannot be understood, or fell silent.
        OSError: it cannot be reached or hung up.
    """
    with _connect(address) as connection:
        connection.settimeout(PING_EVERY_S)
        connection.sendall(encode("Login", Username=address.user, Secret=address.secret, Events=EVENT_CLASSES))
        parser, missed, signed_in = Parser(), 0, False
        while not stop.is_set():
            try:
                data = connection.recv(RECEIVE_BYTES)
            except TimeoutError:
                missed += 1
                if missed > MISSED_PINGS or not signed_in:
                    raise AmiError(f"the exchange has been silent for {missed * PING_EVERY_S:g} s") from None
                connection.sendall(encode("Ping"))
                continue
            if not data:
                raise ConnectionError("the exchange hung up")
            missed = 0
            for message in parser.feed(data):
                if not signed_in and "Response" in message:
                    _insist_on_welcome(message)
                    signed_in = True
                    # Queues first: whose calls the channels are is known by then.
                    for question in ("QueueStatus", "CoreShowChannels"):
                        connection.sendall(encode(question, ActionID=ASKED))
                if signed_in:
                    yield message


class Listener:
    """Listens in a thread of its own, through every loss of the connection; use it as a context."""

    def __init__(self, address: Address, *, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._stop = threading.Event()
        self._lost_at: datetime | None = None
        self._thread = threading.Thread(target=self._listen, name="ami", daemon=True)
        self.news: queue.Queue[News] = queue.Queue(LONGEST_QUEUE)
        """What was heard, in order."""

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        # It may wait for the exchange's next word; as a daemon it does not keep the program.
        self._thread.join(timeout=1.0)

    def _listen(self) -> None:
        faults = 0
        while not self._stop.is_set():
            reached = False
            try:
                for message in conversation(self._address, stop=self._stop):
                    if not reached:
                        reached, faults = True, 0
                        self._put(Reached(self._clock(), self._lost_at))
                    self._put(Heard(message, self._clock()))
                return
            except (OSError, AmiError) as error:
                why = str(error) or type(error).__name__
            faults += 1
            log.warning("the exchange is out of reach: %s", why, extra={"action": "reconnect", "attempt": faults})
            if reached or self._lost_at is None:
                self._lost_at = self._clock()
                self._put(Lost(self._lost_at, why))
            self._stop.wait(pause_s(faults, jitter=random.random()))

    def _put(self, news: News) -> None:
        while not self._stop.is_set():
            try:
                self.news.put(news, timeout=1.0)
            except queue.Full:
                continue
            return


def _connect(address: Address) -> socket.socket:
    connection = socket.create_connection((address.host, address.port), timeout=CONNECT_TIMEOUT_S)
    if not address.tls:
        return connection
    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=address.host)
    except BaseException:
        connection.close()
        raise


def _insist_on_welcome(message: Message) -> None:
    if message.get("Response") != "Success":
        raise AmiError(f"sign-in refused: {message.get('Message', 'no reason given')}")
