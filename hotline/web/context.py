"""What every view of the web program needs, put together once at the start and reached through the request."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from anyio import CapacityLimiter
from fastapi import Request
from psycopg_pool import ConnectionPool

from fleet.clock import Clock
from fleet.database import Connection
from hotline.rate_limit import RateLimit
from hotline.settings import WebSettings
from hotline.web.hub import Hub
from hotline.web.metrics import WebMetrics
from hotline.web.pages import Pages
from hotline.web.shared_wall import SharedWall
from hotline.web.witness import Witness


@dataclass(frozen=True, slots=True)
class Hook:
    """What the call hook has for itself: connections, and as many threads."""

    pool: ConnectionPool[Connection]
    threads: CapacityLimiter


@dataclass(frozen=True, slots=True)
class Web:
    """The program's settings, clock, database, pages, hub, metrics, witness, the limit and the means of the call hook, the wall."""

    settings: WebSettings
    clock: Clock
    pool: ConnectionPool[Connection]
    pages: Pages
    hub: Hub
    metrics: WebMetrics
    witness: Witness
    cti_limit: RateLimit
    hook: Hook
    wall: SharedWall

    @property
    def session_lifetime(self) -> timedelta:
        """How long a session lasts without use."""
        return timedelta(hours=self.settings.session_hours)

    @property
    def session_longest(self) -> timedelta:
        """How long a session lasts at most."""
        return timedelta(hours=self.settings.session_longest_hours)

    def now(self) -> datetime:
        """The time that is stored and shown."""
        return self.clock()


def web(request: Request) -> Web:
    """The program that serves this request."""
    found = request.app.state.web
    assert isinstance(found, Web)
    return found
