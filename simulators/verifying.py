"""What a terminal does before it installs anything: it believes no server, only the maker's keys, from its first root on.

The Update Framework's client (tuf.ngclient) fetches and checks metadata in this order: root, timestamp, snapshot, targets. It keeps
what it has seen in the terminal's own folder, so that nothing older is ever accepted. Facts (model, hardware) are the
maker's words inside the signed targets. A file is checked as it lies on the disk, just before it is installed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

# A stream of bytes for an address; raises tuf's `DownloadError`, or `DownloadHTTPError` with the status.
Fetch = Callable[[str], Iterable[bytes]]

# An endless file fills no memory: what is longer is refused at once, here as at the upload.
LIMITS: Final = UpdaterConfig(
    max_root_rotations=32,
    max_delegations=1,
    root_max_length=64_000,
    timestamp_max_length=16_000,
    snapshot_max_length=64_000,
    targets_max_length=1_000_000,
)
_SEEK_END: Final = 2


class Refusal(StrEnum):
    """Why a terminal does not install."""

    UNREACHABLE = "unreachable"
    UNSIGNED = "unsigned"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled_back"
    TOO_LONG = "too_long"
    MIXED = "mixed"
    UNREADABLE = "unreadable"
    UNKNOWN_VERSION = "unknown_version"
    WRONG_FACTS = "wrong_facts"
    DOES_NOT_FIT = "does_not_fit"
    WRONG_FILE = "wrong_file"


class RefusedError(Exception):
    """Nothing is installed; `reason` is what the terminal reports."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Update:
    """A version as its maker signed it; `path` is its address below the files' address."""

    version: str
    filename: str
    path: str
    length: int
    sha256: str
    sha1: str
    signed: TargetFile


class Verifier:
    """One terminal's trust."""

    def __init__(self, root: bytes, *, home: Path, metadata_url: str, fetch: Fetch) -> None:
        """`root`: the maker's first root, built in; `home`: the terminal's own folder, kept between updates."""
        self._root, self._home, self._url, self._fetcher = root, home, metadata_url, _Fetcher(fetch)
        home.mkdir(parents=True, exist_ok=True)

    def find(self, version: str, *, model: str, hw: str, now: datetime) -> Update:
        """What the maker signed of this version, by the newest metadata.

        Raises:
            RefusedError: the metadata cannot be had or believed, knows no such version, or it is not for this terminal.
            OSError: the terminal's own folder cannot be written.
        """
        try:
            updater = Updater(str(self._home), self._url, fetcher=self._fetcher, config=LIMITS, bootstrap=self._root)
            # The terminal's clock, which a demonstration moves; the client has no parameter for it.
            updater._trusted_set.reference_time = now
            updater.refresh()
            target = updater.get_targetinfo(f"{version}/firmware")
        except (RepositoryError, DownloadError) as error:
            raise RefusedError(_reason(error), str(error)) from error
        if target is None:
            raise RefusedError(Refusal.UNKNOWN_VERSION, f"no {version} among what is signed")
        return _fitting(target, version, model=model, hw=hw)

    @staticmethod
    def check(update: Update, file: BinaryIO) -> None:
        """Raise `RefusedError` unless an open file is, byte for byte, what the maker signed."""
        length = file.seek(0, _SEEK_END)
        if length != update.length:
            raise RefusedError(Refusal.WRONG_FILE, f"{length:,} bytes instead of {update.length:,}")
        file.seek(0)
        try:
            update.signed.verify_length_and_hashes(file)
        except LengthOrHashMismatchError as error:
            raise RefusedError(Refusal.WRONG_FILE, str(error)) from error


class _Fetcher(FetcherInterface):
    """The terminal's way to fetch, as tuf wants it."""

    def __init__(self, fetch: Fetch) -> None:
        self._of = fetch

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter(self._of(url))


def _fitting(target: TargetFile, version: str, *, model: str, hw: str) -> Update:
    facts = target.custom
    try:
        said, models, boards = facts["version"], list(facts["models"]), list(facts["hw"])
        names = str(facts["filename"]), f"{version}/{target.hashes['sha256']}.firmware"
        update = Update(version, *names, target.length, target.hashes["sha256"], str(facts["sha1"]), target)
    except (KeyError, TypeError) as error:
        raise RefusedError(Refusal.WRONG_FACTS, f"{target.path} lacks {error}") from error
    if said != version:
        raise RefusedError(Refusal.WRONG_FACTS, f"{target.path} holds version {said}")
    if model not in models or hw not in boards:
        raise RefusedError(Refusal.DOES_NOT_FIT, f"{version} is for models {models} and hardware {boards}, not {model}, {hw}")
    return update


def _reason(error: Exception) -> Refusal:
    """The word for what the client found; the most particular class first."""
    words: tuple[tuple[type[Exception], Refusal], ...] = (
        (ExpiredMetadataError, Refusal.EXPIRED),
        (BadVersionNumberError, Refusal.ROLLED_BACK),
        (UnsignedMetadataError, Refusal.UNSIGNED),
        (LengthOrHashMismatchError, Refusal.MIXED),
        (DownloadLengthMismatchError, Refusal.TOO_LONG),
        (DownloadHTTPError, Refusal.UNREACHABLE),
        (DownloadError, Refusal.UNREACHABLE),
        (RepositoryError, Refusal.UNREADABLE),
    )
    return next(word for kind, word in words if isinstance(error, kind))
