"""What Prometheus sees of ingest."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fleet.ingest.receiver import Receiver
from fleet.ingest.writer import Stored

_BATCH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class IngestMetrics:
    """Counters of committed work and gauges of what waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._messages = Counter("vigie_ingest_messages", "MQTT messages committed.", registry=registry)
        self._samples = Counter("vigie_ingest_samples", "Samples stored.", registry=registry)
        self._events = Counter("vigie_ingest_events", "Events stored.", registry=registry)
        self._repeats = Counter("vigie_ingest_repeats", "Samples and events that were stored already.", registry=registry)
        self._dead = Counter("vigie_ingest_dead_letters", "Messages not taken, or not whole.", ["reason"], registry=registry)
        self._seconds = Histogram(
            "vigie_ingest_batch_seconds", "From a gathered batch to its commit.", buckets=_BATCH_SECONDS, registry=registry
        )
        self._failures = Counter("vigie_ingest_store_failures", "Attempts to store a batch that failed.", registry=registry)
        self._rollup_rows = Counter("vigie_ingest_rollup_rows", "Rows written by the roll-up.", registry=registry)
        self._registry = registry

    def watch(self, receiver: Receiver) -> None:
        """Read the receiver's gauges whenever Prometheus asks."""
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("waiting_messages", "Messages received and not yet in a batch.", lambda: receiver.waiting_messages),
            ("waiting_bytes", "Their size.", lambda: receiver.waiting_bytes),
            ("listening", "1 while connected to the broker and subscribed.", lambda: receiver.listening),
            ("connects", "Connections made to the broker.", lambda: receiver.connects),
            ("dropped_qos0", "Messages of QoS 0 given up because too many waited.", lambda: receiver.dropped_qos0),
        )
        for name, text, read in gauges:
            Gauge(f"vigie_ingest_{name}", text, registry=self._registry).set_function(read)

    def committed(self, stored: Stored, *, messages: int, reasons: list[str], seconds: float) -> None:
        """Count one committed batch."""
        self._messages.inc(messages)
        self._samples.inc(stored.samples)
        self._events.inc(stored.events)
        self._repeats.inc(stored.repeats)
        for reason in reasons:
            self._dead.labels(reason).inc()
        self._seconds.observe(seconds)

    def failed(self) -> None:
        """Count one attempt that did not commit."""
        self._failures.inc()

    def rolled_up(self, rows: int) -> None:
        """Count the roll-up's rows."""
        self._rollup_rows.inc(rows)
