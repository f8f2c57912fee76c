"""The program `vigie telephony`: what the exchange says becomes calls in the database, whichever of the two is away for a while.

A thread listens (`hotline.telephony.ami`); here its news are translated once and stored event by event, each in a
transaction of its own. What could not be stored because the database is away waits, with the moment it was heard.
"""

import logging
import queue
import threading
from collections import deque
from datetime import datetime, time, timedelta
from typing import Final

import psycopg
from prometheus_client import CollectorRegistry, Counter, Gauge

from fleet.alone import run_alone, stop_on_signals
from fleet.clock import Clock, system_clock
from fleet.database import Connection
from fleet.metrics import new_registry, serve
from hotline.call_events import CallEvent, Happening
from hotline.calls import live_calls, record_event
from hotline.lost_hangups import CAUSE as UNHEARD
from hotline.manual_calls import begin_gap, end_gap, open_gap
from hotline.opening import USUAL_END
from hotline.telephony.address import read_address
from hotline.telephony.ami import Heard, Listener, Lost, News, Reached
from hotline.telephony.hearing import note_deafness, note_heard
from hotline.telephony.mapping import PREFIX, Roster, Translator
from hotline.telephony.settings import TelephonySettings

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0009
# Who noted a time without telephony.
AUTHOR: Final = "vigie telephony"
# How soon the program notices that it is told to stop.
WAIT_S = 0.5
# So much at most of what a killed program heard counts as not heard.
NOTED_EVERY: Final = timedelta(seconds=5)


class Metrics:
    """What the telephony tells Prometheus."""

    def __init__(self, into: CollectorRegistry) -> None:
        self.events = Counter(
            "vigie_telephony_events", "Events of calls, by kind and what became of them.", ["kind", "reason"], registry=into
        )
        self.refused = Counter("vigie_telephony_refused", "Events that could not be stored and were dropped.", registry=into)
        self.reached = Gauge("vigie_telephony_reached", "1 while the exchange is listened to.", registry=into)
        self.leads = Gauge("vigie_telephony_leads", "1 while this instance listens, 0 while it stands by.", registry=into)
        self.faults = Counter("vigie_telephony_faults", "Times the work failed and was begun anew.", registry=into)


class Recorder:
    """Turns news into stored events, in order and each once; keeps what is still to be stored."""

    def __init__(self, metrics: Metrics, *, usual_end: time = USUAL_END) -> None:
        """`usual_end` is when the hotline closes on days that the race calendar does not name."""
        self._usual_end = usual_end
        self._metrics = metrics
        self._translator = Translator()
        self._waiting: deque[tuple[CallEvent | Roster | Reached | Lost, datetime]] = deque()
        # Whether the exchange is listened to, as far as is stored; up to when it was heard, and up to when that is noted.
        self._hears = False
        self._heard_until: datetime | None = None
        self._noted_until: datetime | None = None

    def hear(self, news: News) -> None:
        """Take in what the exchange said, or that it came or went."""
        self._heard_until = news.at
        if isinstance(news, Heard):
            self._waiting += ((said, news.at) for said in self._translator.hear(news.message))
            return
        # Whatever was known of its channels is out of date; it is about to say what goes on now.
        self._translator = Translator(news.at.isoformat())
        self._waiting.append((news, news.at))
        reached = isinstance(news, Reached)
        self._metrics.reached.set(reached)
        log.info("the exchange is %s", "reached" if reached else "lost", extra={"action": "ami"})

    def hear_nothing(self, *, now: datetime) -> None:
        """Take in that it has said nothing more by now."""
        self._heard_until = now

    def store(self, conn: Connection) -> None:
        """Store what waits; what the database refuses for good is dropped, what it cannot take now still waits."""
        while self._waiting:
            said, at = self._waiting[0]
            try:
                with conn.transaction():
                    self._store(conn, said, at)
            except Exception as error:
                if isinstance(error, psycopg.OperationalError) or conn.closed:
                    raise
                # One event that cannot be stored must not keep all later calls from the screens.
                log.exception("an event was dropped", extra={"action": "telephony"})
                self._metrics.refused.inc()
            self._waiting.popleft()
        self._note_heard(conn)

    def _note_heard(self, conn: Connection) -> None:
        """Note, every few seconds, that we heard the exchange."""
        until, noted = self._heard_until, self._noted_until
        if self._hears and until is not None and (noted is None or until - noted >= NOTED_EVERY):
            note_heard(conn, until=until)
            self._noted_until = until

    def _store(self, conn: Connection, said: CallEvent | Roster | Reached | Lost, at: datetime) -> None:
        match said:
            case CallEvent():
                reason = record_event(conn, event=said, now=at, usual_end=self._usual_end)
                self._metrics.events.labels(said.kind, reason).inc()
            case Roster():
                end_others(conn, roster=said, now=at, usual_end=self._usual_end)
            case Reached():
                note_deafness(conn, author=AUTHOR, now=at)
                end_own_gap(conn, now=at)
                self._hears = True
            case Lost():
                begin_gap(conn, author=AUTHOR, now=at)
                self._hears = False


def end_own_gap(conn: Connection, *, now: datetime) -> None:
    """Note that we hear the exchange again; a gap that a person noted is theirs to end: they know of lines that we do not."""
    gap = open_gap(conn)
    if gap is not None and gap.begun_by == AUTHOR:
        end_gap(conn, author=AUTHOR, now=now)


def end_others(conn: Connection, *, roster: Roster, now: datetime, usual_end: time) -> None:
    """End the exchange's calls that we believe to go on and that it does not have any more: their end was not heard."""
    for call in live_calls(conn, now=now):
        if call.call_id.startswith(PREFIX) and call.call_id not in roster.call_ids and call.rang_at < now:
            event = CallEvent(Happening.ENDED, call.call_id, "CoreShowChannelsComplete", cause=UNHEARD)
            record_event(conn, event=event, now=now, usual_end=usual_end)


def run(settings: TelephonySettings, *, clock: Clock | None = None, stop: threading.Event | None = None) -> None:
    """The body of `vigie telephony`: listen until stopped. Without `stop`, SIGTERM and SIGINT end it."""
    stop = stop or stop_on_signals()
    clock = clock or system_clock(settings.clock_offset_s)
    into = new_registry("telephony")
    metrics = Metrics(into)
    close = serve(into, port=settings.metrics_port)
    address = read_address(settings.ami_url.get_secret_value())
    recorder = Recorder(metrics, usual_end=settings.usual_end)
    listener = Listener(address, ca_file=settings.ami_ca_file, clock=clock)

    def work(conn: Connection) -> None:
        # Begun with the first lead, it goes on through a restart of the database.
        listener.begin()
        while not stop.is_set():
            recorder.store(conn)
            try:
                recorder.hear(listener.news.get(timeout=WAIT_S))
            except queue.Empty:
                recorder.hear_nothing(now=clock())
        recorder.store(conn)
        # From now on nobody listens, until this program or another one reaches the exchange again.
        begin_gap(conn, author=AUTHOR, now=clock())

    try:
        run_alone(
            settings.database_url.get_secret_value(),
            work,
            program="telephony",
            lock=LOCK,
            stop=stop,
            on_lead=metrics.leads.set,
            on_fault=metrics.faults.inc,
        )
    finally:
        listener.end()
        close()
