"""Takes in a form with a large file: its parts go to disk as they come, so that no upload is ever held in memory.

The route's guard runs first: whoever may not upload has nothing of theirs read.
"""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio import to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, FormParser, parse_options_header

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust.keys import read_metadata
from firmware_rollout.trust.roles import LARGEST_FILE_BYTES, LARGEST_METADATA_BYTES

# A firmware file, the metadata that its maker signed, and the form around them.
LARGEST_UPLOAD_BYTES: Final = LARGEST_FILE_BYTES + LARGEST_METADATA_BYTES + 64 * 1024
# Both ways to add a release take it in so; nothing else is as large.
UPLOAD_ROUTES: Final = frozenset({"/console/releases", "/api/v1/releases"})
# Written in pieces of this size, by a thread: a slow disk must not keep a ring waiting.
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """The two files of a form as they lie on disk, as long as the request lasts; None where one was not sent."""

    file: Path | None
    targets: Path | None

    def read_targets(self) -> bytes:
        """The signed metadata; `ReleaseError` where there is none, or too much of it."""
        if self.targets is None:
            raise ReleaseError("targets", "is needed: the maker's signed targets.json")
        return read_metadata(self.targets)


async def spool(request: Request) -> AsyncIterator[Upload]:
    """Put the files of a multipart form on disk, and take them away when the request is over; a dependency of its routes.

    What is no such form comes as an upload without files: the route says what it needs.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-upload-") as folder:
        parts: list[File] = []
        try:
            yield await _spooled(request, folder, parts)
        finally:
            for part in parts:
                part.close()


async def _spooled(request: Request, folder: str, parts: list[File]) -> Upload:
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        return Upload(None, None)
    config = {"UPLOAD_DIR": folder.encode(), "MAX_MEMORY_FILE_SIZE": 0, "UPLOAD_DELETE_TMP": False}
    try:
        parser = FormParser("multipart/form-data", None, parts.append, boundary=boundary, config=config)
        piece = bytearray()
        async for chunk in request.stream():
            piece += chunk
            if len(piece) >= _PIECE_BYTES:
                await to_thread.run_sync(parser.write, bytes(piece))
                piece.clear()
        await to_thread.run_sync(parser.write, bytes(piece))
        parser.finalize()
    except FormParserError:
        return Upload(None, None)
    found = {part.field_name: Path(part.actual_file_name.decode()) for part in parts if part.actual_file_name is not None}
    return Upload(found.get(b"file"), found.get(b"targets"))
