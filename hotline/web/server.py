"""Runs the web program: uvicorn, which on a signal ends every event stream first, so that it stops within a second."""

import gc
import logging
import sys
from types import FrameType

import psycopg
import uvicorn

from firmware_rollout.ddi.app import BesideDevices, DeviceApi
from fleet.clock import system_clock
from fleet.database import connect
from hotline.knowledge.delivery import deliver
from hotline.settings import WebSettings
from hotline.web.app import LARGEST_BODY_BYTES, create_app
from hotline.web.context import Web
from hotline.web.envelope import Envelope
from hotline.web.uploads import LARGEST_UPLOAD_BYTES, UPLOAD_ROUTES
from hotline.web.witness import WitnessLayer

log = logging.getLogger(__name__)

# What still runs after this is cut; event streams have ended by themselves long before.
GRACE_S = 3


# A pop is two dozen questions to the database. After each answer its thread waits for its turn, by default up to 5 ms for each
# other thread that computes, as figures and large pages do: with one of them a pop took 120 ms in place of 15.
SWITCH_S = 0.0005


class Server(uvicorn.Server):
    """A server that lets its event streams go when it is told to stop."""

    def __init__(self, config: uvicorn.Config, web: Web) -> None:
        super().__init__(config)
        self.web = web
        self._hub = web.hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take the signal: streams first, then the connections that are left."""
        self._hub.stop()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """Stop as a signal would; callable from another thread."""
        self._hub.stop()
        self.should_exit = True


def build(settings: WebSettings) -> Server:
    """The server, ready to run."""
    app = create_app(settings, clock=system_clock(settings.clock_offset_s))
    web: Web = app.state.web
    devices: DeviceApi | None = app.state.devices
    # Outermost, so that the framework's own refusals are dressed as well.
    for_people = Envelope(
        WitnessLayer(app, web.witness),
        metrics=web.metrics,
        secure=settings.secure,
        largest_body_bytes=LARGEST_BODY_BYTES,
        larger=dict.fromkeys(UPLOAD_ROUTES, LARGEST_UPLOAD_BYTES),
    )
    config = uvicorn.Config(
        for_people if devices is None else BesideDevices(for_people, devices),
        host=settings.web_host,
        port=settings.web_port,
        ssl_certfile=settings.web_certificate_file or None,
        ssl_keyfile=settings.web_key_file or None,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        access_log=False,
        log_config=None,
        ws="none",
    )
    return Server(config, web)


def run(settings: WebSettings) -> None:
    """Add the delivered articles that are missing, then serve until told to stop."""
    now = system_clock(settings.clock_offset_s)()
    try:
        with connect(settings.database_url.get_secret_value(), program="web") as conn:
            added = deliver(conn, now=now)
        log.info("%s delivered articles added", added, extra={"action": "deliver"})
    except psycopg.Error as error:
        # The console says itself that the database is away; the next start delivers.
        log.warning("no articles were delivered: %s", type(error).__name__, extra={"action": "deliver"})
    server = build(settings)
    server.web.pages.warm()
    # What is there by now stays: no collection walks through it again, and holds everything up for a tenth of a second.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_S)
    server.run()
