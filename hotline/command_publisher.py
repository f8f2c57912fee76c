"""Sends agents' orders to terminals: a thread of the web program with the console's own broker account.

Publish, then mark: a crash in between sends an order again under its id, which the terminal carries out once. What could not
be sent in its time stays unsent; so does what the broker refuses, which would hold up the orders behind it.
"""

import logging
import math
import threading
from typing import Final

import msgspec
import psycopg
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleet import contract
from fleet.broker_link import BrokerLink, Published
from fleet.clock import Clock
from fleet.contract import Channel, topic
from fleet.database import Connection, connect
from fleet.errors import VigieError
from hotline.commands import CHANNEL, Command, give_up, mark_sent, next_unsent

log = logging.getLogger(__name__)

# A broker that does not answer for so long is tried again; an order is worth sixty seconds.
_ATTEMPT_S: Final = 5.0
_PAUSE_S: Final = 2.0
# How long the end of the program waits for an order at most, once none is being sent.
_LISTEN_S: Final = 0.5


class NotSentError(VigieError):
    """An order did not reach the broker: the text says why."""


class CommandPublisher:
    """Sends what is asked, from `start` to `stop`; several programs share the work without sending twice."""

    def __init__(self, *, database_url: str, mqtt_url: str, ca_file: str, clock: Clock) -> None:
        self._database_url, self._mqtt_url, self._ca_file = database_url, mqtt_url, ca_file
        self._clock = clock
        self._stopped = threading.Event()
        self._link: BrokerLink | None = None
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Begin; neither the database nor the broker need be there yet."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the order in hand."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_ATTEMPT_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with connect(self._database_url, program="web commands", autocommit=True) as conn:
                    self._listen(conn)
            except (psycopg.Error, NotSentError) as error:
                log.warning("orders cannot be sent now, again in %.0f s: %s", _PAUSE_S, error, extra={"action": "command_retry"})
                self._drop_link()
                self._stopped.wait(_PAUSE_S)
        self._drop_link()

    def _listen(self, conn: Connection) -> None:
        conn.execute(f"LISTEN {CHANNEL}")
        while not self._stopped.is_set():
            while self._send_one(conn) and not self._stopped.is_set():
                pass
            # What was asked since the listening began wakes this up at once.
            for _ in conn.notifies(timeout=_LISTEN_S, stop_after=1):
                pass

    def _send_one(self, conn: Connection) -> bool:
        """Send the oldest order that waits; False where none does."""
        with conn.transaction():
            command = next_unsent(conn, now=self._clock())
            if command is None:
                return False
            told = self._publish(command)
            if told.refused:
                give_up(conn, command=command.id, now=self._clock())
            else:
                mark_sent(conn, command=command.id, heard=told.heard, now=self._clock())
        known = {"action": "command", "terminal": command.terminal_id, "command": command.id}
        if told.refused:
            log.error("an order is given up: %s; may the console's account write there?", told.error, extra=known)
        else:
            log.info("order sent", extra=known)
        return True

    def _publish(self, command: Command) -> Published:
        """Hand an order to the broker."""
        if self._link is None:
            self._link = BrokerLink(self._mqtt_url, ca_file=self._ca_file, timeout_s=_ATTEMPT_S)
        if error := self._link.ready():
            raise NotSentError(error)
        left_s = (command.expires_at - self._clock()).total_seconds()
        told = self._link.publish(
            topic(command.terminal_id, Channel.CMD),
            msgspec.json.encode(contract.Command(command.id, command.name.value)),
            properties=_properties(command, expiry_s=max(1, math.floor(left_s))),
        )
        if told.error and not told.refused:
            raise NotSentError(told.error)
        return told

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None


def _properties(command: Command, *, expiry_s: int) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it unannotated
    properties.MessageExpiryInterval = expiry_s
    properties.ResponseTopic = topic(command.terminal_id, Channel.RES)
    properties.CorrelationData = str(command.id).encode()
    return properties
