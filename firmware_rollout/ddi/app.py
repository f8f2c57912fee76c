"""Serves the device API as one ASGI application: within the web program before its layers for people, or alone (`vigie devices`).

A poll is one query on a thread of its own few, so that a fleet that polls does not take the console's threads.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
from prometheus_client import CollectorRegistry, Counter
from psycopg_pool import ConnectionPool, PoolTimeout
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.ddi import protocol
from firmware_rollout.ddi.offering import Offer, asked_of
from firmware_rollout.ddi.protocol import Addresses, ProtocolError
from firmware_rollout.ddi.store import note_retrieved, offer_of, save_attributes, standing_of, take_feedback
from firmware_rollout.ddi.tokens import is_from
from firmware_rollout.ddi.visits import Visits
from firmware_rollout.releases import Release, ReleaseFile
from firmware_rollout.serving import Downloads, Threads, asked_file, asked_metadata, metadata_response
from firmware_rollout.settings import DeviceApiSettings
from firmware_rollout.states import ActionState
from firmware_rollout.trust.metadata_store import metadata_body
from fleet.clock import Clock
from fleet.database import Connection
from fleet.errors import VigieError

log = logging.getLogger(__name__)

# Fifty details of swupdate, whatever they hold, fit.
LARGEST_BODY_BYTES: Final = 256 * 1024
THREADS: Final = 4
_MD5: Final = ".MD5SUM"
_KIND: Final = "vigie.kind"
# Identifiers of the API are signed 32-bit numbers; beyond, there is none.
_MOST: Final = 2**31 - 1
Result = TypeVar("Result")
Handler = Callable[[Request], Awaitable[Response]]


class DeviceApi:
    """The device API; an ASGI application that wants `start` before its first request and `stop` after its last."""

    def __init__(
        self,
        settings: DeviceApiSettings,
        *,
        pool: ConnectionPool[Connection],
        store: ArtifactStore,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self._settings, self._pool, self._store, self._clock = settings, pool, store, clock
        self._key = settings.device_key.get_secret_value()
        self.prefix = f"/{settings.ddi_tenant}/controller/v1/"
        self._requests = Counter(
            "vigie_devices_requests_total",
            "Requests of devices, by what they ask and the status of the answer.",
            ["kind", "status"],
            registry=registry,
        )
        self._visits = Visits(pool)
        self._downloads = Downloads(store)
        self._threads = Threads(THREADS)
        self._app = self._routes()

    def start(self) -> None:
        """Begin to write down who came by."""
        self._visits.start()

    def stop(self) -> None:
        """Write down the last of them, and let the database and the store go."""
        self._visits.stop()
        self._pool.close()
        self._store.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.labels(scope.get(_KIND, "none"), str(message["status"])).inc()
                # What a token opened is for no shared cache.
                MutableHeaders(scope=message).setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, counted)

    def _routes(self) -> ASGIApp:
        base = f"{self.prefix}{{terminal}}"
        action, module = f"{base}/deploymentBase/{{action:int}}", f"{base}/softwaremodules/{{action:int}}/artifacts"
        cancel = f"{base}/cancelAction/{{action:int}}"
        return Starlette(
            routes=[
                Route(base, self._known("poll", self._poll)),
                # Answered rather than redirected: not every client takes its token along.
                Route(f"{base}/", self._known("poll", self._poll)),
                Route(f"{base}/configData", self._known("config_data", self._config_data), methods=["PUT"]),
                Route(action, self._known("deployment", self._deployment)),
                Route(f"{action}/feedback", self._known("feedback", partial(self._feedback, on_cancel=False)), methods=["POST"]),
                Route(cancel, self._known("cancel", self._cancel)),
                Route(f"{cancel}/feedback", self._known("feedback", partial(self._feedback, on_cancel=True)), methods=["POST"]),
                Route(module, self._known("artifacts", self._artifacts)),
                Route(f"{module}/{{filename}}", self._known("artifact", self._artifact)),
                # For devices that verify what they install by TUF as well; the addresses are those of its clients.
                Route(f"{base}/firmware/metadata/{{name}}", self._known("metadata", self._metadata)),
                Route(f"{base}/firmware/files/{{version}}/{{name}}", self._known("artifact", self._signed_file)),
            ],
            exception_handlers=_REFUSALS,
        )

    def _is_from(self, scope: Scope) -> bool:
        request = Request(scope)
        return is_from(request.headers.get("authorization"), request.path_params["terminal"], self._key)

    def _known(self, kind: str, handler: Handler) -> Handler:
        """Only for the device itself: 401 otherwise; counted under its kind."""

        async def guarded(request: Request) -> Response:
            request.scope[_KIND] = kind
            if not self._is_from(request.scope):
                return _unauthorized()
            return await handler(request)

        return guarded

    async def _poll(self, request: Request) -> Response:
        terminal, now = request.path_params["terminal"], self._clock()
        standing = await self._work(lambda conn: standing_of(conn, terminal))
        if standing is None:
            raise HTTPException(404)
        self._visits.saw(terminal, now)
        asked = asked_of(standing.offer, now, attributes=not standing.attributes_known)
        return _hal(protocol.base_document(asked, self._addresses(request), poll_s=self._settings.ddi_poll_s))

    async def _config_data(self, request: Request) -> Response:
        terminal, now = request.path_params["terminal"], self._clock()
        mode, data = protocol.read_attributes(await _body(request))
        if not await self._work(lambda conn: save_attributes(conn, terminal, mode, data, now=now)):
            raise HTTPException(404)
        return Response()

    async def _deployment(self, request: Request) -> Response:
        now = self._clock()
        release, may_update, windowed = await self._work(lambda conn: _retrieve(conn, *_names(request), now))
        md5 = await self._downloads.md5(_file(release))
        document = protocol.deployment_document(
            _names(request)[1], release, self._addresses(request), md5=md5, may_update=may_update, windowed=windowed
        )
        return _hal(document)

    async def _feedback(self, request: Request, *, on_cancel: bool) -> Response:
        now, (terminal, action_id) = self._clock(), _names(request)
        feedback = protocol.read_feedback(await _body(request))
        status = await self._work(lambda conn: take_feedback(conn, terminal, action_id, feedback, on_cancel=on_cancel, now=now))
        return Response(status_code=status)

    async def _cancel(self, request: Request) -> Response:
        offer, _ = await self._work(lambda conn: _found(conn, *_names(request)))
        if offer.state is not ActionState.CANCELLING:
            raise HTTPException(404)
        return _hal(protocol.cancel_document(offer.action_id))

    async def _artifacts(self, request: Request) -> Response:
        release = await self._work(lambda conn: self._downloadable(conn, *_names(request)))
        md5 = await self._downloads.md5(_file(release))
        return _hal([protocol.artifact_document(_names(request)[1], release, self._addresses(request), md5=md5)])

    async def _artifact(self, request: Request) -> Response:
        release = await self._work(lambda conn: self._downloadable(conn, *_names(request)))
        file, name = _file(release), request.path_params["filename"]
        if name == f"{file.filename}{_MD5}":
            return PlainTextResponse(f"{await self._downloads.md5(file)}  {file.filename}")
        if name != file.filename:
            raise HTTPException(404)
        return await self._downloads.answer(request, release)

    async def _metadata(self, request: Request) -> Response:
        role, version = asked_metadata(request.path_params["name"])
        body = await self._work(lambda conn: metadata_body(conn, role, version))
        if body is None:
            raise HTTPException(404)
        return metadata_response(request, body, versioned=version is not None)

    async def _signed_file(self, request: Request) -> Response:
        asked, sha256 = request.path_params, asked_file(request.path_params["name"])
        release = await self._work(lambda conn: self._downloadable(conn, asked["terminal"], _current(conn, asked["terminal"])))
        if (release.version, _file(release).sha256) != (asked["version"], sha256):
            raise HTTPException(404)
        return await self._downloads.answer(request, release)

    async def _work(self, job: Callable[[Connection], Result]) -> Result:
        """Do something with the database on one of the few threads, in a transaction."""

        def run() -> Result:
            with self._pool.connection() as conn:
                return job(conn)

        return await self._threads.run(run)

    def _downloadable(self, conn: Connection, terminal_id: str, action_id: int) -> Release:
        """The release whose file a device may have now.

        410 once its action is over or withdrawn from it. 503 out of its window, also to go on with a part of it: rauc-hawkbit
        installs what it can fetch, whatever the deployment says. A download that is under way is not cut.
        """
        offer, release = _found(conn, terminal_id, action_id)
        if not offer.stands():
            raise HTTPException(410)
        if not offer.may_update(self._clock()):
            raise HTTPException(503, "out of its maintenance window", headers={"retry-after": str(self._settings.ddi_poll_s)})
        return release

    def _addresses(self, request: Request) -> Addresses:
        root = self._settings.ddi_url or f"{request.url.scheme}://{request.url.netloc}"
        return Addresses(root.rstrip("/"), self._settings.ddi_tenant, request.path_params["terminal"])


class BesideDevices:
    """Hands the device API its requests and everything else to the web program, whose layers are for people."""

    def __init__(self, web: ASGIApp, devices: DeviceApi) -> None:
        self._web, self._devices = web, devices

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        ours = scope["type"] == "http" and scope["path"].startswith(self._devices.prefix)
        await (self._devices if ours else self._web)(scope, receive, send)


def _retrieve(conn: Connection, terminal_id: str, action_id: int, now: datetime) -> tuple[Release, bool, bool]:
    """The release a device fetches the deployment of, whether it may update now, and whether it has a window at all."""
    offer, release = _found(conn, terminal_id, action_id)
    if not offer.stands():
        # Being stopped, at its end, or never offered: as hawkBit, which then knows no deployment.
        raise HTTPException(404)
    may_update = offer.may_update(now)
    if may_update:
        note_retrieved(conn, action_id, now=now)
    return release, may_update, offer.window() is not None


def _current(conn: Connection, terminal_id: str) -> int:
    """The action that a terminal is at."""
    standing = standing_of(conn, terminal_id)
    if standing is None or standing.offer is None:
        raise HTTPException(404)
    return standing.offer.action_id


def _found(conn: Connection, terminal_id: str, action_id: int) -> tuple[Offer, Release]:
    found = offer_of(conn, terminal_id, action_id) if action_id <= _MOST else None
    if found is None:
        raise HTTPException(404)
    return found


def _file(release: Release) -> ReleaseFile:
    if release.file is None:
        raise HTTPException(404)
    return release.file


def _names(request: Request) -> tuple[str, int]:
    """The terminal and the action of an address."""
    return request.path_params["terminal"], request.path_params["action"]


async def _body(request: Request) -> bytes:
    """The body; 413 once it is too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            raise HTTPException(413)
    return bytes(body)


def _hal(document: object) -> Response:
    return JSONResponse(document, media_type=protocol.MEDIA_TYPE)


def _unauthorized() -> Response:
    return Response(status_code=401, headers={"www-authenticate": "TargetToken"})


async def _on_unreadable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"exceptionClass": "ProtocolError", "message": str(error)}, status_code=400)


async def _on_database_lost(_request: Request, error: Exception) -> Response:
    log.warning("the database does not answer: %s", error, extra={"action": "device_request"})
    return Response(status_code=503, headers={"retry-after": "30"})


async def _on_store_lost(_request: Request, error: Exception) -> Response:
    log.warning("a release's file cannot be read: %s", error, extra={"action": "device_request"})
    return Response(status_code=503, headers={"retry-after": "30"})


_REFUSALS: Final[dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    ProtocolError: _on_unreadable,
    psycopg.OperationalError: _on_database_lost,
    PoolTimeout: _on_database_lost,
    VigieError: _on_store_lost,
}
