"""The program `vigie watch`: ticks until it is stopped, follows the registry, keeps what was learnt, and forgets what is old."""

import logging
import threading
import time
from datetime import datetime, timedelta
from typing import Final

import psycopg

from diagnostics.baseline_store import save_baseline
from diagnostics.limits import Policy
from diagnostics.notices.deliver import Deliveries
from diagnostics.settings import WatchSettings
from diagnostics.symptom_store import forget_symptoms
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.typologies.sorting import SortingThread
from diagnostics.watch import Watch
from diagnostics.watch_metrics import Metrics
from fleet.alone import run_alone, stop_on_signals
from fleet.clock import Clock, system_clock
from fleet.database import Connection, connect
from fleet.metrics import new_registry, serve

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0003
# How soon a changed registry is taken up.
REGISTRY_EVERY_S: Final = 60.0
FORGET_EVERY_S: Final = 6 * 3600.0
# A watch that was killed learns the last minutes again from the feed.
KEEP_EVERY_S: Final = 600.0


class BaselineKeeper:
    """Stores what was learnt, beside the ticks: packing it takes longer than a tick may."""

    def __init__(self, url: str, *, clock: Clock, metrics: Metrics) -> None:
        self._url, self._clock, self._metrics = url, clock, metrics
        self._thread: threading.Thread | None = None

    def keep(self, diagnosis: Diagnosis, *, learnt_until: datetime) -> None:
        """Store in the background, unless the last time is still under way."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._store, args=(diagnosis, learnt_until), name="baseline", daemon=True)
            self._thread.start()

    def keep_now(self, diagnosis: Diagnosis, *, learnt_until: datetime) -> None:
        """Store and wait for it: at a clean stop."""
        if self._thread is not None:
            self._thread.join()
        self._store(diagnosis, learnt_until)

    def _store(self, diagnosis: Diagnosis, learnt_until: datetime) -> None:
        begun = time.monotonic()
        # Ticks go on meanwhile: each figure is either from before or after one, and both are right.
        state = diagnosis.learnt().to_bytes()
        try:
            with connect(self._url, program="watch") as conn:
                version = save_baseline(conn, state, terminals=len(diagnosis.fleet), learnt_until=learnt_until, now=self._clock())
        except psycopg.Error as error:
            log.warning("what was learnt could not be stored: %s", error, extra={"action": "baseline"})
            return
        self._metrics.baseline.set(version)
        log.info(
            "what was learnt is stored: version %s, %.1f MB in %.1f s",
            version,
            len(state) / 1e6,
            time.monotonic() - begun,
            extra={"action": "baseline", "version": version},
        )


def run(settings: WatchSettings, *, clock: Clock | None = None, stop: threading.Event | None = None) -> None:
    """The body of `vigie watch`: judge every tick until stopped. Without `stop`, SIGTERM and SIGINT end it."""
    stop = stop or stop_on_signals()
    clock = clock or system_clock(settings.clock_offset_s)
    into = new_registry("watch")
    metrics = Metrics(into)
    close = serve(into, port=settings.metrics_port)
    url = settings.database_url.get_secret_value()
    keeper = BaselineKeeper(url, clock=clock, metrics=metrics)
    try:
        # Also while it stands by: sending needs no lead.
        with Deliveries(url, settings, clock=clock, stop=stop, into=into), SortingThread(url, clock=clock):
            run_alone(
                url,
                lambda conn: _work(conn, settings=settings, clock=clock, stop=stop, metrics=metrics, keeper=keeper),
                program="watch",
                lock=LOCK,
                stop=stop,
                on_lead=metrics.leads.set,
                on_fault=metrics.faults.inc,
            )
    finally:
        close()


def _work(
    conn: Connection,
    *,
    settings: WatchSettings,
    clock: Clock,
    stop: threading.Event,
    metrics: Metrics,
    keeper: BaselineKeeper,
) -> None:
    limit = timedelta(hours=settings.watch_catch_up_hours)
    watch = Watch(conn, now=clock(), policy=Policy(), metrics=metrics, limit=limit, stopped=stop.is_set)
    refresh_at = time.monotonic() + REGISTRY_EVERY_S
    forget_at = next_at = time.monotonic()
    keep_at = time.monotonic() + (0.0 if watch.has_unsaved_history else KEEP_EVERY_S)
    while not stop.is_set():
        watch.tick(clock())
        if time.monotonic() >= refresh_at:
            watch.refresh_registry(clock())
            refresh_at = time.monotonic() + REGISTRY_EVERY_S
        if time.monotonic() >= keep_at:
            keeper.keep(watch.diagnosis, learnt_until=watch.at)
            keep_at = time.monotonic() + KEEP_EVERY_S
        if time.monotonic() >= forget_at:
            _forget(conn, settings, now=clock())
            forget_at = time.monotonic() + FORGET_EVERY_S
        # A tick that took too long is not made up for: the next one judges what is true then.
        next_at = max(next_at + settings.watch_tick_s, time.monotonic())
        stop.wait(max(0.0, next_at - time.monotonic()))
    if watch.has_ticked:
        keeper.keep_now(watch.diagnosis, learnt_until=watch.at)


def _forget(conn: Connection, settings: WatchSettings, *, now: datetime) -> None:
    samples_before = now - timedelta(days=settings.keep_samples_days)
    conn.execute(
        "SELECT drop_chunks('diagnostics.health_change', older_than => %(before)s::timestamptz)", {"before": samples_before}
    )
    forget_symptoms(conn, before=now - timedelta(days=settings.keep_rollup_days))
