"""Serves releases to devices: the files, with resume, and beside them the signed metadata by which devices trust them.

Files are read on threads of their own, so that a store that is slow or away delays no poll and no page. Nothing here is secret
or trusted: what is served was signed elsewhere, and is checked by whoever fetches it.
"""

import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from functools import partial
from typing import Final, ParamSpec, TypeVar

import anyio
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.ranges import entity_tag, reply_to
from firmware_rollout.releases import Release, ReleaseFile
from fleet.errors import VigieError

log = logging.getLogger(__name__)

# What a version names never changes; the timestamp is the one file without a version. What a token opened is for no shared cache.
_FOR_EVER: Final = "private, max-age=31536000, immutable"
RETRY_AFTER_S: Final = 60
# Pieces read at once: any number of downloads take turns, since a device takes longer to fetch a piece than a store to give it.
READERS: Final = 32
_METADATA: Final = re.compile(r"(?:([1-9][0-9]{0,8})\.)?(root|targets|snapshot|timestamp)\.json")
_FILE: Final = re.compile(r"([0-9a-f]{64})\.firmware")
Result = TypeVar("Result")
Given = ParamSpec("Given")
Pieces = Generator[bytes, None, None]


class Threads:
    """So many threads for one kind of work, and no more: what is slow there waits for itself alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        # A limiter belongs to a running event loop: it is made within the first one.
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, job: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """Do it on one of them."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._most)
        return await to_thread.run_sync(partial(job, *given, **named), limiter=self._limiter)


class Downloads:
    """The files of a store, to devices; only as much as one piece of each is in memory at a time."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store, self._threads = store, Threads(READERS)
        self._md5s: dict[str, str] = {}
        self._md5_lock: anyio.Lock | None = None

    async def answer(self, request: Request, release: Release) -> Response:
        """The answer to a request for a release's file; `HTTPException` 410 where it was withdrawn, 404 without a
        file, 503 where the store cannot be read.
        """
        if release.file is None:
            raise HTTPException(404)
        if release.withdrawn_at is not None:
            raise HTTPException(410, f"release {release.version} was withdrawn: {release.withdrawn_why}")
        reply = reply_to(request.method, request.headers, size=release.file.length, etag=entity_tag(release.file.sha256))
        headers = {**reply.headers, "cache-control": _FOR_EVER, "content-length": str(reply.length)}
        if not reply.length or request.method == "HEAD":
            return _bare(reply.status, headers)
        pieces = self._store.read(release.file.sha256, start=reply.start, length=reply.length)
        try:
            # Before the status is sent: a store that is out of reach is no truncated file.
            first = await self._threads.run(next, pieces, None)
        except VigieError as error:
            log.error("release %s is not served: %s", release.version, error, extra={"action": "serve", "release": release.version})
            raise HTTPException(503, "the file cannot be read now", headers={"retry-after": str(RETRY_AFTER_S)}) from None
        return _Download(first, pieces, self._threads, reply.status, headers)

    async def md5(self, file: ReleaseFile) -> str:
        """The MD5, which rauc-hawkbit asks for and nothing trusts; `VigieError` where the file cannot be read.

        Read once in the life of a program, one file at a time.
        """
        if file.sha256 not in self._md5s:
            self._md5_lock = self._md5_lock or anyio.Lock()
            async with self._md5_lock:
                if file.sha256 not in self._md5s:
                    self._md5s[file.sha256] = await self._threads.run(self._read_md5, file)
        return self._md5s[file.sha256]

    def _read_md5(self, file: ReleaseFile) -> str:
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        for piece in self._store.read(file.sha256, start=0, length=file.length):
            md5.update(piece)
            sha256.update(piece)
        if sha256.hexdigest() != file.sha256:
            # Else the MD5 of an altered file would speak for it.
            raise VigieError(f"release_store: {file.filename} is not what was stored: its SHA-256 is {sha256.hexdigest()}")
        return md5.hexdigest()


class _Download(StreamingResponse):
    """A file on its way, piece by piece; whoever goes away lets go of the store."""

    def __init__(self, first: bytes | None, pieces: Pieces, threads: Threads, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_all(first, pieces, threads), status, headers, media_type="application/octet-stream")
        self._pieces, self._threads = pieces, threads

    async def stream_response(self, send: Send) -> None:
        """Send it."""
        try:
            await super().stream_response(send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._threads.run(self._pieces.close)


async def _all(first: bytes | None, pieces: Pieces, threads: Threads) -> AsyncIterator[bytes]:
    piece = first
    while piece is not None:
        yield piece
        piece = await threads.run(next, pieces, None)


def asked_metadata(name: str) -> tuple[str, int | None]:
    """Role and version of a metadata file's name, as TUF's clients ask for it; `HTTPException` 404 where it is none."""
    found = _METADATA.fullmatch(name)
    # Only the timestamp is asked for without a version: everything else follows from it.
    if found is None or (found[1] is None) != (found[2] == "timestamp"):
        raise HTTPException(404)
    return found[2], int(found[1]) if found[1] else None


def asked_file(name: str) -> str:
    """The SHA-256 in a target file's name; `HTTPException` 404 where there is none."""
    found = _FILE.fullmatch(name)
    if found is None:
        raise HTTPException(404)
    return found[1]


def metadata_response(request: Request, body: bytes, *, versioned: bool) -> Response:
    """The answer to a request for metadata, with the same conditions."""
    reply = reply_to(request.method, request.headers, size=len(body), etag=entity_tag(hashlib.sha256(body).hexdigest()))
    headers = {**reply.headers, "cache-control": _FOR_EVER if versioned else "no-cache", "content-length": str(reply.length)}
    if not reply.length or request.method == "HEAD":
        return _bare(reply.status, headers)
    return Response(body[reply.start : reply.start + reply.length], reply.status, headers, media_type="application/json")


def _bare(status: int, headers: Mapping[str, str]) -> Response:
    """An answer without a body; for HEAD its length is still that of the file, and 304 says nothing of a length."""
    return Response(None, status, {name: value for name, value in headers.items() if status != 304 or name != "content-length"})
