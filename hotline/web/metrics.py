"""The web program's own figures for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fleet.metrics import new_registry


class WebMetrics:
    """Requests by route, events of calls, open consoles, and how long a ring takes to reach them."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = new_registry("web")
        self.requests = Histogram(
            "vigie_web_request_seconds",
            "Time to answer, by route and status class; event streams are left out.",
            ["route", "status"],
            registry=self.registry,
        )
        self.cti_events = Counter(
            "vigie_web_cti_events_total",
            "Events of the telephone system, by kind and what became of them.",
            ["kind", "reason"],
            registry=self.registry,
        )
        self.screens = Gauge("vigie_web_screens", "Open consoles.", registry=self.registry)
        self.shown = Histogram(
            "vigie_web_call_shown_seconds",
            "From the database's notice of a call to the message in every console's stream.",
            registry=self.registry,
        )
        self.hub_faults = Counter(
            "vigie_web_hub_faults_total",
            "What failed on a call's way to the consoles: tried again, or shown without its picture.",
            registry=self.registry,
        )
