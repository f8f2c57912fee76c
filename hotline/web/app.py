"""Puts the web program together: routes, guards' refusals, error answers, and what starts and stops with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

import psycopg
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from psycopg_pool import ConnectionPool
from starlette.exceptions import HTTPException

from firmware_rollout.ddi.server import open_devices
from fleet import VERSION
from fleet.clock import Clock
from fleet.database import Connection, open_pool
from hotline import closed_days
from hotline.attachments import close_with_incidents
from hotline.command_publisher import CommandPublisher
from hotline.lost_hangups import sweep
from hotline.rate_limit import RateLimit
from hotline.retention import retention
from hotline.settings import WebSettings
from hotline.web import (
    console,
    console_account,
    console_agents,
    console_articles,
    console_attachments,
    console_audit,
    console_callbacks,
    console_campaigns,
    console_commands,
    console_figures,
    console_handovers,
    console_incident,
    console_incidents,
    console_maintenance,
    console_manual,
    console_notes,
    console_opening,
    console_releases,
    console_rollout_audit,
    console_search,
    console_typologies,
    console_work,
    cti_hook,
    operations,
    rest_articles,
    rest_attachments,
    rest_calls,
    rest_campaigns,
    rest_commands,
    rest_figures,
    rest_handovers,
    rest_incidents,
    rest_maintenance,
    rest_manual,
    rest_notes,
    rest_registry,
    rest_releases,
    rest_search,
    rest_typologies,
    rest_work,
    sign_in,
    stream,
)
from hotline.web.context import Hook, Web
from hotline.web.figures_query import house_of
from hotline.web.guards import ForbiddenError, SignInNeededError
from hotline.web.hub import THREADS, Hub
from hotline.web.incident_ends import IncidentEnds
from hotline.web.layout import error_page
from hotline.web.metrics import WebMetrics
from hotline.web.pages import CHARTS, STATIC, Pages
from hotline.web.problems import ProblemError, on_http_exception, on_problem, on_validation_error, problem_response
from hotline.web.roll_call import RollCall
from hotline.web.shared_wall import SharedWall
from hotline.web.stream import CallReader
from hotline.web.witness import Witness

log = logging.getLogger(__name__)

# A sample of a terminal is a few hundred bytes and the largest form a few thousand; nothing we read is larger.
LARGEST_BODY_BYTES = 256 * 1024
PAGE_CONNECTIONS, HOOK_CONNECTIONS = 12, 4
ROUTERS = (
    sign_in,
    console_account,
    console_agents,
    console_audit,
    console,
    console_incidents,
    console_incident,
    console_maintenance,
    console_notes,
    console_typologies,
    console_articles,
    console_search,
    console_commands,
    console_work,
    console_callbacks,
    console_attachments,
    console_handovers,
    console_manual,
    console_figures,
    console_opening,
    console_campaigns,
    console_releases,
    console_rollout_audit,
    stream,
    cti_hook,
    rest_registry,
    rest_incidents,
    rest_maintenance,
    rest_calls,
    rest_notes,
    rest_typologies,
    rest_work,
    rest_attachments,
    rest_handovers,
    rest_manual,
    rest_articles,
    rest_search,
    rest_commands,
    rest_figures,
    rest_campaigns,
    rest_releases,
    operations,
)


def create_app(settings: WebSettings, *, clock: Clock) -> FastAPI:
    """The web program as an ASGI application; it opens its database connections when it starts."""
    url = settings.database_url.get_secret_value()
    pool = open_pool(url, program="web", min_size=2, max_size=PAGE_CONNECTIONS)
    # Rings do not queue behind page views, on their way in or out; nor do they wait for a connection to be made.
    hook_pool = open_pool(url, program="web hook", min_size=HOOK_CONNECTIONS, max_size=HOOK_CONNECTIONS)
    hub_pool = open_pool(url, program="web hub", min_size=THREADS, max_size=THREADS)
    pages, metrics = Pages(), WebMetrics()
    reader = CallReader(hub_pool, pages, clock, faults=metrics.hub_faults)
    witness = Witness(pool, clock)
    cti_limit = RateLimit(per_s=settings.cti_events_per_s, burst=cti_hook.BURST_S * settings.cti_events_per_s)
    hub = Hub(
        database_url=url,
        clock=clock,
        read_call=reader.one,
        read_live=reader.live,
        saw=witness.pops,
        shown=metrics.shown,
        faults=metrics.hub_faults,
    )
    metrics.screens.set_function(lambda: hub.screens)
    roll_call = RollCall(pool, clock, there=lambda: hub.answering)
    ends = IncidentEnds(database_url=url, close=lambda: _close_calls(pool, clock))

    orders = _publisher(settings, clock)
    devices = None
    if settings.serves_devices:
        devices = open_devices(settings, database_url=url, clock=clock, registry=metrics.registry)
    forgetting = retention(url, clock=clock, settings=settings)
    lost_hangups = sweep(url, clock=clock, usual_end=settings.usual_end)
    house = house_of(settings)
    days = closed_days.keeper(url, wrap_up=house.wrap_up, clock=clock)

    app = FastAPI(
        title="Vigie",
        version=VERSION,
        description="The fleet of betting terminals and the hotline's calls. Errors are RFC 9457 problem documents.",
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=_beside(
            (hub.run, ends.run, roll_call.run),
            [one for one in (forgetting, lost_hangups, days, orders, devices) if one is not None],
            (pool, hook_pool, hub_pool),
        ),
        max_body_size=LARGEST_BODY_BYTES,
    )
    # The server puts it before every layer that is for people.
    app.state.devices = devices
    hook = Hook(hook_pool, CapacityLimiter(HOOK_CONNECTIONS))
    app.state.web = Web(settings, clock, pool, pages, hub, metrics, witness, cti_limit, hook, SharedWall(pool, clock, house))
    for module in ROUTERS:
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=str(STATIC), packages=[CHARTS]), name="static")
    _answer_errors(app)
    return app


class _Running(Protocol):
    """What works in threads of its own."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _beside(
    loops: Sequence[Callable[[], Coroutine[Any, Any, None]]],
    threads: Sequence[_Running],
    pools: Sequence[ConnectionPool[Connection]],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What runs as long as the application does; the connections are let go of last."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        listening = [asyncio.create_task(loop()) for loop in loops]
        for one in threads:
            one.start()
        yield
        for one in threads:
            await to_thread.run_sync(one.stop)
        for task in listening:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for pool in pools:
            pool.close()

    return lifespan


def _close_calls(pool: ConnectionPool[Connection], clock: Clock) -> int:
    """Close the calls whose incident is over."""
    with pool.connection() as conn:
        return close_with_incidents(conn, now=clock())


def _publisher(settings: WebSettings, clock: Clock) -> CommandPublisher | None:
    """What sends orders to terminals, if a broker is named."""
    if not settings.gives_commands:
        return None
    return CommandPublisher(
        database_url=settings.database_url.get_secret_value(),
        mqtt_url=settings.command_mqtt_url.get_secret_value(),
        ca_file=settings.command_mqtt_ca_file,
        clock=clock,
    )


def _answer_errors(app: FastAPI) -> None:
    """Programs get problem documents, people get pages."""
    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(SignInNeededError, _on_sign_in_needed)
    app.add_exception_handler(ForbiddenError, _on_forbidden)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(psycopg.OperationalError, _on_database_lost)
    app.add_exception_handler(psycopg.DataError, _on_refused_value)


def _for_people(request: Request) -> bool:
    return not request.url.path.startswith(("/api/", "/metrics", "/healthz"))


def _on_sign_in_needed(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInNeededError)
    if request.headers.get("HX-Request"):
        return JSONResponse({}, status_code=401, headers={"HX-Redirect": error.target})
    if request.headers.get("Accept", "").startswith("text/event-stream"):
        return JSONResponse({}, status_code=401)
    return RedirectResponse(error.target, status_code=303)


def _on_forbidden(request: Request, _error: Exception) -> Response:
    return error_page(request, 403)


def _on_validation_error(request: Request, error: Exception) -> Response:
    return error_page(request, 422) if _for_people(request) else on_validation_error(request, error)


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_page(request, error.status_code) if _for_people(request) else on_http_exception(request, error)


def _on_refused_value(request: Request, error: Exception) -> Response:
    """A value that no column can hold, such as text with a null character or a number beyond 64 bits."""
    log.warning("the database refused a value: %s", type(error).__name__, extra={"action": "request"})
    if _for_people(request):
        return error_page(request, 422)
    return problem_response(422, "a value that cannot be stored or looked up: a null character, or a number too large")


def _on_database_lost(request: Request, error: Exception) -> Response:
    log.warning("the database does not answer: %s", error, extra={"action": "request"})
    if _for_people(request):
        return error_page(request, 503)
    return problem_response(503, "the database does not answer", headers={"Retry-After": "5"})
