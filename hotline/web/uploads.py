"""Takes in a form with a large file: its files go to disk as they come and all else is let go, so that no upload is ever held
in memory.

The route's guard runs first: whoever may not upload has nothing of theirs read.
"""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from anyio import to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust.keys import read_metadata
from firmware_rollout.trust.roles import LARGEST_FILE_BYTES, LARGEST_METADATA_BYTES

# A firmware file, the metadata that its maker signed, and the form around them.
LARGEST_UPLOAD_BYTES: Final = LARGEST_FILE_BYTES + LARGEST_METADATA_BYTES + 64 * 1024
# Both ways to add a release take it in so; nothing else is as large.
UPLOAD_ROUTES: Final = frozenset({"/console/releases", "/api/v1/releases"})
# Written in pieces of this size, by a thread: a slow disk must not keep a ring waiting.
_PIECE_BYTES: Final = 1 << 20
_WANTED: Final = (b"file", b"targets")


@dataclass(frozen=True, slots=True)
class Upload:
    """The two files of a form as they lie on disk, as long as the request lasts; None where one was not sent."""

    file: Path | None
    targets: Path | None

    def read_targets(self) -> bytes:
        """The signed metadata; `ReleaseError` where there is none, or too much of it."""
        if self.targets is None:
            raise ReleaseError("targets", "is needed: the maker's signed targets.json")
        body = read_metadata(self.targets)
        if not body:
            raise ReleaseError("targets", "is empty: send the maker's signed targets.json")
        return body


async def spool(request: Request) -> AsyncIterator[Upload]:
    """Put the files of a multipart form on disk, and take them away when the request is over; a dependency of its routes.

    What is no such form comes as an upload without files: the route says what it needs.
    """
    with tempfile.TemporaryDirectory(prefix="vigie-upload-") as folder:
        yield await _spooled(request, Path(folder))


async def _spooled(request: Request, folder: Path) -> Upload:
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        return Upload(None, None)
    parts = None
    try:
        parts = _Parts(folder, boundary)
        piece = bytearray()
        async for chunk in request.stream():
            piece += chunk
            if len(piece) >= _PIECE_BYTES:
                await to_thread.run_sync(parts.write, bytes(piece))
                piece.clear()
        await to_thread.run_sync(parts.write, bytes(piece))
    except FormParserError:
        return Upload(None, None)
    finally:
        if parts is not None:
            parts.close()
    return Upload(parts.found.get(b"file"), parts.found.get(b"targets"))


class _Parts:
    """Writes the files of a form as they come; a text, however long, is nothing that is asked for and held nowhere."""

    def __init__(self, folder: Path, boundary: bytes) -> None:
        self.found: dict[bytes, Path] = {}
        self._folder = folder
        self._name, self._value, self._disposition = bytearray(), bytearray(), b""
        self._file: BinaryIO | None = None
        self._field = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._write,
                "on_part_end": self._end,
            },
        )

    def write(self, data: bytes) -> None:
        """Take in the next bytes of the form; `FormParserError` where it is none."""
        self._parser.write(data)

    def close(self) -> None:
        """Let go of a file that did not come to its end."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._disposition = b""

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"")
        # Where nobody chose a file a browser sends a part whose file has no name.
        if self._field in _WANTED and options.get(b"filename"):
            self._file = (self._folder / self._field.decode()).open("wb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self.found[self._field], self._file = self._folder / self._field.decode(), None
