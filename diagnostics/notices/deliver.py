"""Empties the outbox inside `vigie watch`: one thread and one connection per channel, so that a slow receiver delays no other.

Every instance of the watch sends, also one that stands by: claims keep them from sending the same twice. A channel's thread is
woken by NOTIFY and looks by itself each second.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import psycopg
from msgspec import structs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from diagnostics.notices.body import Body, NoticeError, from_json
from diagnostics.notices.outbox import CHANNEL, forget_notices, set_channels
from diagnostics.notices.policy import Channel, GiveUp, RetryPolicy, next_attempt
from diagnostics.notices.queue import Claimed, claim, counts, drop_what_is_over, mark_failed, mark_sent
from diagnostics.notices.sending import Failed, Outcome, Parcel, Refused, Sender, Sent
from diagnostics.notices.settings import NoticeSettings, channels_of
from fleet.alone import pause_s
from fleet.clock import Clock
from fleet.database import Connection, connect

log = logging.getLogger(__name__)

# A lost NOTIFY costs no more than this; a stop is noticed within it.
LOOK_EVERY_S: Final = 1.0
_COUNT_EVERY_S: Final = 30.0
_FORGET_EVERY_S: Final = 6 * 3600.0
_KEEP: Final = timedelta(days=400)


class Metrics:
    """What the senders tell Prometheus."""

    def __init__(self, into: CollectorRegistry) -> None:
        buckets = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0, 3600.0)
        self.attempts = Counter("vigie_watch_notice_attempts", "Attempts to send a notice.", ["channel", "outcome"], registry=into)
        self.delay = Histogram(
            "vigie_watch_notice_delay_seconds", "From the change to the receiver's answer.", buckets=buckets, registry=into
        )
        self.left = Gauge("vigie_watch_notices", "Notices that wait or are dead.", ["channel", "state"], registry=into)


class Channelled:
    """One channel's side of the outbox: `deliver` sends what is due."""

    def __init__(
        self,
        channel: Channel,
        sender: Sender,
        *,
        clock: Clock,
        policy: RetryPolicy,
        console_url: str = "",
        metrics: Metrics | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.channel, self.sender = channel, sender
        self._clock, self._policy, self._console_url, self._metrics, self._jitter = clock, policy, console_url, metrics, jitter

    def deliver(self, conn: Connection, *, stopped: Callable[[], bool] = lambda: False) -> int:
        """Send every notice that is due, on an autocommit connection; returns how many arrived."""
        drop_what_is_over(conn, channel=self.channel.name, now=self._clock())
        arrived = 0
        while not stopped() and (notice := claim(conn, channel=self.channel.name, now=self._clock())):
            arrived += isinstance(self._attempt(conn, notice), Sent)
        return arrived

    def _attempt(self, conn: Connection, notice: Claimed) -> Outcome:
        outcome = self._send(notice)
        now = self._clock()
        if isinstance(outcome, Sent):
            mark_sent(conn, notice.id, note=outcome.note, now=now)
        else:
            then = (
                GiveUp("refused")
                if isinstance(outcome, Refused)
                else next_attempt(
                    notice.attempts,
                    tried_since=notice.tried_since,
                    now=now,
                    jitter=self._jitter(),
                    wait_s=outcome.wait_s,
                    policy=self._policy,
                )
            )
            mark_failed(conn, notice.id, then=then, error=outcome.error, now=now)
        self._tell(notice, outcome, delay_s=(now - notice.made_at).total_seconds())
        return outcome

    def _send(self, notice: Claimed) -> Outcome:
        try:
            parcel = Parcel(notice.uid, self._linked(from_json(notice.body)), notice.thread, from_json(notice.thread_body))
        except NoticeError as error:
            return Refused(str(error))
        try:
            return self.sender.send(parcel)
        except Exception as error:
            # A sender that fails in a way of its own must not keep the notices behind this one from being tried.
            log.exception("%s: an attempt failed", self.channel.name, extra={"action": "notice", "notice": notice.id})
            return Failed(type(error).__name__)

    def _linked(self, body: Body) -> Body:
        if body.incident is None or not self._console_url:
            return body
        return structs.replace(body, url=f"{self._console_url.rstrip('/')}/console/incidents/{body.incident.id}")

    def _tell(self, notice: Claimed, outcome: Outcome, *, delay_s: float) -> None:
        name = type(outcome).__name__.lower()
        error = "" if isinstance(outcome, Sent) else outcome.error
        log.log(
            logging.INFO if isinstance(outcome, Sent) else logging.WARNING,
            "notice %s by %s: %s%s",
            notice.id,
            self.channel.name,
            name,
            f", {error}" if error else "",
            extra={"action": "notice", "notice": notice.id, "incident": notice.incident_id, "attempts": notice.attempts},
        )
        if self._metrics is not None:
            self._metrics.attempts.labels(self.channel.name, name).inc()
            if isinstance(outcome, Sent):
                self._metrics.delay.observe(delay_s)


class Deliveries:
    """The threads that send; use it as a context around the watch's own work."""

    def __init__(self, url: str, settings: NoticeSettings, *, clock: Clock, stop: threading.Event, into: CollectorRegistry) -> None:
        self._url, self._clock, self._stop = url, clock, stop
        self._metrics = Metrics(into)
        self._channels = channels_of(settings)
        policy = RetryPolicy(
            most_attempts=settings.notice_most_attempts, give_up_after=timedelta(hours=settings.notice_give_up_hours)
        )
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._again, args=("notices", self._keep), name="notices")]
        for channel, make in self._channels.items():
            side = Channelled(
                channel,
                make(),
                clock=clock,
                policy=policy,
                console_url=settings.notice_console_url,
                metrics=self._metrics,
            )
            self._threads.append(threading.Thread(target=self._send, args=(side,), name=channel.name))

    def __enter__(self) -> Self:
        # Before the watch finds anything, so that its first incident has somewhere to go.
        try:
            with connect(self._url, program="notices", autocommit=True) as conn:
                self._register(conn)
        except psycopg.OperationalError:
            log.warning("the database does not answer; channels are registered when it does", extra={"action": "reconnect"})
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _stopped(self) -> bool:
        return self._stop.is_set() or self._ended.is_set()

    def _register(self, conn: Connection) -> None:
        set_channels(conn, list(self._channels), now=self._clock())

    def _send(self, side: Channelled) -> None:
        try:
            self._again(side.channel.name, lambda conn: self._serve(conn, side))
        finally:
            side.sender.close()

    def _serve(self, conn: Connection, side: Channelled) -> None:
        conn.execute(f"LISTEN {CHANNEL}")
        while not self._stopped():
            side.deliver(conn, stopped=self._stopped)
            for _ in conn.notifies(timeout=LOOK_EVERY_S, stop_after=1):
                pass

    def _keep(self, conn: Connection) -> None:
        """Register the channels, count what is left, delete what is old."""
        self._register(conn)
        forget_at = 0.0
        while not self._stopped():
            self._metrics.left.clear()
            for (channel, state), count in counts(conn).items():
                self._metrics.left.labels(channel, state).set(count)
            if time.monotonic() >= forget_at:
                forget_notices(conn, before=self._clock() - _KEEP)
                forget_at = time.monotonic() + _FORGET_EVERY_S
            self._wait(_COUNT_EVERY_S)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped() and (left := until - time.monotonic()) > 0:
            self._ended.wait(min(left, LOOK_EVERY_S))

    def _again(self, name: str, work: Callable[[Connection], None]) -> None:
        """Do the work on a connection, again after each fault, until stopped."""
        faults = 0
        while not self._stopped():
            try:
                with connect(self._url, program="notices", autocommit=True) as conn:
                    faults = 0
                    work(conn)
            except psycopg.OperationalError as error:
                log.warning("%s lost the database: %s", name, error, extra={"action": "reconnect"})
                faults += 1
            except Exception:
                # The outermost loop of a thread: whatever went wrong, the next round starts from what is stored.
                log.exception("%s: a step failed", name, extra={"action": "restart"})
                faults += 1
            if faults:
                self._wait(pause_s(faults, jitter=random.random()))
