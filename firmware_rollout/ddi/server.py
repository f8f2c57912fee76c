"""Runs the device API alone, for a fleet that outgrows one web program: `vigie devices`, as often as there are cores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from anyio import to_thread
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Mount

from firmware_rollout.artifacts import open_store
from firmware_rollout.ddi.app import THREADS, DeviceApi
from firmware_rollout.settings import DeviceApiSettings, DevicesSettings
from fleet.clock import Clock, system_clock
from fleet.database import open_pool
from fleet.errors import VigieError
from fleet.metrics import new_registry, serve

# What still downloads after this is cut, and resumed elsewhere.
GRACE_S = 3


def open_devices(settings: DeviceApiSettings, *, database_url: str, clock: Clock, registry: CollectorRegistry) -> DeviceApi:
    """The device API with connections of its own.

    Raises:
        VigieError: a setting is missing, and named.
    """
    if not settings.device_key.get_secret_value():
        raise VigieError("settings: VIGIE_DEVICE_KEY: set a secret of 32 characters or more, from which devices' tokens follow")
    store = open_store(settings)
    pool = open_pool(database_url, program="devices", min_size=1, max_size=THREADS + 1)
    return DeviceApi(settings, pool=pool, store=store, clock=clock, registry=registry)


def build(settings: DevicesSettings, api: DeviceApi) -> uvicorn.Server:
    """The server, ready to run; it starts and stops the API with itself."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        api.start()
        yield
        await to_thread.run_sync(api.stop)

    config = uvicorn.Config(
        Starlette(routes=[Mount("/", api)], lifespan=lifespan),
        host=settings.devices_host,
        port=settings.devices_port,
        ssl_certfile=settings.devices_certificate_file or None,
        ssl_keyfile=settings.devices_key_file or None,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="on",
        server_header=False,
        access_log=False,
        log_config=None,
        ws="none",
    )
    return uvicorn.Server(config)


def run(settings: DevicesSettings) -> None:
    """Serve until told to stop."""
    clock = system_clock(settings.clock_offset_s)
    registry = new_registry("devices")
    api = open_devices(settings, database_url=settings.database_url.get_secret_value(), clock=clock, registry=registry)
    stop_metrics = serve(registry, port=settings.metrics_port)
    try:
        build(settings, api).run()
    finally:
        stop_metrics()
