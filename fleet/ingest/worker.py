"""`vigie ingest`: takes bounded batches off the receiver, commits them, and only then acknowledges.

The order is the whole point: commit, then PUBACK to the broker, then (gathered) `ack` to the terminals. A crash between any
two of them means that something is sent again, and the key of a sample makes sending again harmless.
"""

import gc
import logging
import signal
import time
from dataclasses import dataclass, field
from threading import Event

from prometheus_client import CollectorRegistry

from fleet import metrics
from fleet.clock import system_clock
from fleet.ingest import acks
from fleet.ingest.metrics import IngestMetrics
from fleet.ingest.packets import Arrivals, pubacks
from fleet.ingest.receiver import Delivery, Receiver
from fleet.ingest.settings import IngestSettings
from fleet.ingest.store import StoppedError, Store
from fleet.maintenance import Maintenance

log = logging.getLogger(__name__)

# After an outage terminals send up to 500 samples a message: a batch is bounded by size as well.
_BATCH_BYTES = 4 << 20
# Waiting makes a batch cheaper by making it larger. One of so many gains no more by it, so a pause ends it.
_BURST = 500
_BURST_PAUSE_S = 0.03
# How long to listen before looking at the other duties.
_IDLE_S = 0.1
# The collector looks at every so many new containers; a batch makes thousands, and none in a cycle.
_GC_THRESHOLD = 100_000


def run(settings: IngestSettings) -> None:
    """Run until SIGTERM or SIGINT; then commit what is in hand, acknowledge it, and disconnect."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.set_threshold(_GC_THRESHOLD)
    registry = metrics.new_registry("ingest")
    end_metrics = metrics.serve(registry, port=settings.metrics_port)
    clock = system_clock(settings.clock_offset_s)
    ingest_metrics = IngestMetrics(registry)
    housekeeping = Maintenance(
        settings.database_url.get_secret_value(), clock=clock, settings=settings, on_rollup=ingest_metrics.rolled_up
    )
    housekeeping.start()
    try:
        Worker(settings, stop=stop, metrics=ingest_metrics).run()
    finally:
        housekeeping.stop()
        end_metrics()


@dataclass(slots=True)
class _Batch:
    """Messages of one transaction, and which packet ids of which connection they came with."""

    arrivals: Arrivals = field(default_factory=Arrivals)
    packet_ids: dict[int, list[bytes]] = field(default_factory=dict)
    bytes: int = 0

    def add(self, delivery: Delivery) -> None:
        self.arrivals.extend(delivery.arrivals)
        self.packet_ids.setdefault(delivery.generation, []).extend(delivery.arrivals.packet_ids)
        self.bytes += delivery.bytes


class Worker:
    """The one writer: everything but reading from the socket happens on its thread."""

    def __init__(self, settings: IngestSettings, *, stop: Event, metrics: IngestMetrics | None = None) -> None:
        self._settings = settings
        self._stop = stop
        self._metrics = metrics or IngestMetrics(CollectorRegistry())
        self._receiver = Receiver(settings)
        self._metrics.watch(self._receiver)
        self._store = Store(
            settings.database_url.get_secret_value(),
            worker=settings.ingest_client_id,
            clock=system_clock(settings.clock_offset_s),
            stop=stop,
            metrics=self._metrics,
        )
        self._acks = acks.AckGatherer()
        self._tell_at = time.monotonic()

    def run(self) -> None:
        """Work until told to stop."""
        try:
            self._store.open()
            self._receiver.start()
            log.info("ingest works, %s terminals known", len(self._store.terminals), extra={"action": "start"})
            while not self._stop.is_set():
                self._step()
            self._finish()
        except StoppedError as error:
            log.warning("%s: the broker will send again what was in hand", error, extra={"action": "stop"})
        finally:
            self._receiver.stop()
            self._store.close()
        log.info("ingest ended", extra={"action": "stop"})

    def _step(self) -> None:
        batch = self._gather()
        if len(batch.arrivals):
            self._take(batch)
        if time.monotonic() >= self._tell_at:
            self._tell_terminals()

    def _gather(self) -> _Batch:
        """Wait a little for a first message, then up to the linger for a full batch, or less once a burst has ended."""
        batch = _Batch()
        delivery = self._receiver.take(_IDLE_S)
        until = time.monotonic() + self._settings.ingest_linger_ms / 1000
        while delivery is not None:
            batch.add(delivery)
            if len(batch.arrivals) >= self._settings.ingest_batch or batch.bytes >= _BATCH_BYTES:
                break
            patience_s = until - time.monotonic()
            if len(batch.arrivals) >= _BURST:
                patience_s = min(patience_s, _BURST_PAUSE_S)
            delivery = self._receiver.take(patience_s)
        return batch

    def _take(self, batch: _Batch) -> None:
        settled = self._store.commit(batch.arrivals)
        for generation, packet_ids in batch.packet_ids.items():
            if not self._receiver.acknowledge(generation, pubacks(packet_ids)):
                log.info("%s packets of a lost connection will come again", len(packet_ids), extra={"action": "acknowledge"})
        self._acks.add(settled)

    def _tell_terminals(self) -> None:
        self._tell_at = time.monotonic() + self._settings.ingest_ack_interval_s
        if len(self._acks):
            settled = self._acks.take()
            if not self._receiver.send(acks.packets(settled, self._store.terminals)):
                self._acks.add(settled)

    def _finish(self) -> None:
        """Commit what had been received when the stop came, and tell of it."""
        left = self._receiver.waiting_messages
        while left > 0:
            batch = self._gather()
            if not len(batch.arrivals):
                break
            left -= len(batch.arrivals)
            self._take(batch)
        self._tell_terminals()
