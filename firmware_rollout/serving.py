"""Serves releases to devices: the files, with resume, and beside them the signed metadata by which devices trust them.

    GET {prefix}/metadata/timestamp.json, {n}.snapshot.json, {n}.targets.json, {n}.root.json
    GET {prefix}/files/{version}/{sha256}.firmware

The addresses are those of a TUF client (consistent snapshots, targets prefixed with their hash). Nothing here is secret or
trusted: what is served was signed elsewhere, and is checked by whoever fetches it.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import chain
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.params import Depends
from fastapi.responses import StreamingResponse
from psycopg_pool import ConnectionPool

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.ranges import entity_tag, reply_to
from firmware_rollout.releases import Release, release_with_file
from firmware_rollout.trust.metadata_store import metadata_body
from fleet.database import Connection
from fleet.errors import VigieError

log = logging.getLogger(__name__)

# What a version names never changes; the timestamp is the one file without a version.
_FOR_EVER: Final = "public, max-age=31536000, immutable"
RETRY_AFTER_S: Final = 60
_METADATA: Final = re.compile(r"(?:([1-9][0-9]{0,8})\.)?(root|targets|snapshot|timestamp)\.json")
_FILE: Final = re.compile(r"([0-9a-f]{64})\.firmware")


def firmware_router(
    pool: ConnectionPool[Connection], store: ArtifactStore, *, prefix: str = "/firmware", dependencies: Sequence[Depends] = ()
) -> APIRouter:
    """The routes; `dependencies` are asked before each, for example who the device is."""
    router = APIRouter(prefix=prefix, dependencies=list(dependencies), include_in_schema=False)

    @router.api_route("/metadata/{name}", methods=["GET", "HEAD"])
    def metadata(request: Request, name: str) -> Response:
        """One file of signed metadata."""
        found = _METADATA.fullmatch(name)
        # Only the timestamp is asked for without a version: everything else follows from it.
        if found is None or (found[1] is None) != (found[2] == "timestamp"):
            raise HTTPException(404)
        with pool.connection() as conn:
            body = metadata_body(conn, found[2], int(found[1]) if found[1] else None)
        if body is None:
            raise HTTPException(404)
        return metadata_response(request, body, versioned=found[1] is not None)

    @router.api_route("/files/{version}/{name}", methods=["GET", "HEAD"])
    def file(request: Request, version: str, name: str) -> Response:
        """The file of a release, whole or in part."""
        found = _FILE.fullmatch(name)
        with pool.connection() as conn:
            release = release_with_file(conn, found[1]) if found else None
        if release is None or release.version != version:
            raise HTTPException(404)
        return file_response(request, release, store)

    return router


def file_response(request: Request, release: Release, store: ArtifactStore) -> Response:
    """The answer to a request for a release's file; `HTTPException` 410 where it was withdrawn, 404 without a
    file, 503 where the store cannot be read.

    Only as much as one piece is in memory at a time.
    """
    if release.file is None:
        raise HTTPException(404)
    if release.withdrawn_at is not None:
        raise HTTPException(410, f"release {release.version} was withdrawn: {release.withdrawn_why}")
    reply = reply_to(request.method, request.headers, size=release.file.length, etag=entity_tag(release.file.sha256))
    headers = {**reply.headers, "cache-control": _FOR_EVER, "content-length": str(reply.length)}
    if not reply.length or request.method == "HEAD":
        return _bare(reply.status, headers)
    pieces = store.read(release.file.sha256, start=reply.start, length=reply.length)
    try:
        # Before the status is sent: a store that is out of reach is no truncated file.
        first = next(pieces, b"")
    except VigieError as error:
        log.error("release %s is not served: %s", release.version, error, extra={"action": "serve", "release": release.version})
        raise HTTPException(503, "the file cannot be read now", headers={"retry-after": str(RETRY_AFTER_S)}) from None
    return StreamingResponse(chain((first,), pieces), reply.status, headers, media_type="application/octet-stream")


def metadata_response(request: Request, body: bytes, *, versioned: bool) -> Response:
    """The answer to a request for metadata, with the same conditions."""
    reply = reply_to(request.method, request.headers, size=len(body), etag=entity_tag(sha256(body).hexdigest()))
    headers = {**reply.headers, "cache-control": _FOR_EVER if versioned else "no-cache", "content-length": str(reply.length)}
    if not reply.length or request.method == "HEAD":
        return _bare(reply.status, headers)
    return Response(body[reply.start : reply.start + reply.length], reply.status, headers, media_type="application/json")


def _bare(status: int, headers: Mapping[str, str]) -> Response:
    """An answer without a body; for HEAD its length is still that of the file, and 304 says nothing of a length."""
    return Response(None, status, {name: value for name, value in headers.items() if status != 304 or name != "content-length"})
