"""Where the files of releases are kept, by their SHA-256: a folder, or a bucket of any store that speaks S3.

A file is there whole or not at all, under the name its bytes give it; nothing refers to it before the release is stored.
"""

import os
import secrets
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from firmware_rollout.artifacts_s3 import S3Store
from firmware_rollout.settings import StoreSettings
from firmware_rollout.trust.facts import CHUNK_BYTES, FileFacts, checked_chunks
from fleet.clock import system_clock
from fleet.errors import VigieError

_PART: Final = ".part-"
# An upload takes minutes; what a crash left behind longer ago is nobody's.
_FORGOTTEN_S: Final = 86_400.0


class ArtifactStore(Protocol):
    """What releases ask of a store."""

    def put(self, file: Path, expected: FileFacts) -> None:
        """Keep a file, if it is the expected one (`ReleaseError` otherwise); keeping it again changes nothing."""

    def read(self, sha256: str, *, start: int, length: int) -> Generator[bytes, None, None]:
        """Bytes of a kept file, `length` of them from `start`, piece by piece."""

    def close(self) -> None:
        """Let go of what it is reached by."""


class FolderStore:
    """A folder, which every program that serves files must see."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, file: Path, expected: FileFacts) -> None:
        """Copy beside its place and rename: a crash leaves a part file, never half a release.

        Raises:
            ReleaseError: the file is not the expected one.
            VigieError: the folder cannot be written, or its disk is full.
        """
        try:
            self._keep(file, expected)
        except OSError as error:
            raise VigieError(f"release_store: {self._root} does not take {file.name}: {error.strerror or error}") from None

    def _keep(self, file: Path, expected: FileFacts) -> None:
        place = self._place(expected.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._forget_parts(place.parent)
        part = place.parent / f"{_PART}{secrets.token_hex(8)}"
        try:
            with file.open("rb") as source, part.open("xb") as copy:
                for chunk in checked_chunks(source, expected):
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(place.parent)

    def read(self, sha256: str, *, start: int, length: int) -> Generator[bytes, None, None]:
        """The bytes asked for; `VigieError` where the file is gone or shorter."""
        try:
            with self._place(sha256).open("rb") as opened:
                opened.seek(start)
                while length:
                    chunk = opened.read(min(CHUNK_BYTES, length))
                    if not chunk:
                        raise VigieError(f"release_store: {self._place(sha256)} is shorter than it was")
                    length -= len(chunk)
                    yield chunk
        except OSError as error:
            raise VigieError(f"release_store: {self._place(sha256)} cannot be read: {error.strerror}") from None

    def close(self) -> None:
        """Nothing is held."""

    def _place(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    @staticmethod
    def _forget_parts(folder: Path) -> None:
        for part in folder.glob(f"{_PART}*"):
            # Another upload may be done with its own at any moment.
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > _FORGOTTEN_S:
                    part.unlink()


def open_store(settings: StoreSettings) -> ArtifactStore:
    """The store that the settings name.

    Raises:
        VigieError: they name none, or an S3 store without its endpoint or account.
    """
    where = settings.release_store
    if not where:
        raise VigieError("settings: VIGIE_RELEASE_STORE: name a folder, or s3://bucket/prefix, where the releases' files are kept")
    if where.startswith("s3://"):
        # The store compares its own clock with ours: the machine's, not a demonstration's.
        return S3Store(settings, clock=system_clock(0))
    return FolderStore(Path(where))


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
