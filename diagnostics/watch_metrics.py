"""What the watch tells Prometheus."""

from collections.abc import Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from diagnostics.detector.observed import Signs
from diagnostics.judgement import Judgement
from diagnostics.reasons import STATES
from diagnostics.tracking.tracked import Tracked
from diagnostics.troubles import TROUBLES


class Metrics:
    """The watch's figures."""

    def __init__(self, into: CollectorRegistry) -> None:
        buckets = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
        self.tick = Histogram("vigie_watch_tick_seconds", "Duration of one tick, read to commit.", buckets=buckets, registry=into)
        self.terminals = Gauge("vigie_watch_terminals", "Terminals in each state.", ["state"], registry=into)
        self.symptoms = Gauge("vigie_watch_symptoms", "Terminals with each symptom.", ["trouble"], registry=into)
        self.incidents = Gauge("vigie_watch_incidents", "Incidents that live, as the watch found them.", registry=into)
        self.flips = Counter("vigie_watch_flips", "Terminals whose state or reasons changed.", registry=into)
        self.samples = Counter("vigie_watch_samples", "Samples read from the feed.", registry=into)
        self.late = Gauge("vigie_watch_telemetry_late", "1 while our own pipeline is behind or stopped.", registry=into)
        self.behind = Gauge("vigie_watch_behind_seconds", "How far the last tick lies back while catching up.", registry=into)
        self.leads = Gauge("vigie_watch_leads", "1 while this instance judges, 0 while it stands by.", registry=into)
        self.faults = Counter("vigie_watch_faults", "Steps that failed and were begun anew.", registry=into)
        self.baseline = Gauge(
            "vigie_watch_baseline_version", "Version of what was learnt, as last stored or loaded.", registry=into
        )

    def present(self, judged: Judgement, signs: Signs, tracked: Sequence[Tracked]) -> None:
        """How the fleet is after a tick."""
        self.late.set(judged.late)
        for state in STATES:
            self.terminals.labels(state).set(int(judged.is_state(state).sum()))
        for trouble, count in zip(TROUBLES, np.count_nonzero(signs.symptom, axis=0).tolist(), strict=True):
            self.symptoms.labels(trouble).set(count)
        self.incidents.set(sum(one.lives for one in tracked))
