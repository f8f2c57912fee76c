"""The facts of a release, as the maker signs them: what a target's `custom` says besides TUF's own length and hashes."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from tuf.api.metadata import TargetFile

from firmware_rollout.releases import ReleaseError, parse_version
from firmware_rollout.trust.roles import LARGEST_FILE_BYTES

_FILENAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WORD: Final = re.compile(r"[A-Za-z0-9._-]{1,20}")
_HEX: Final = re.compile(r"[0-9a-f]+")
LONGEST_NOTES: Final = 4_000
MOST_WORDS: Final = 50
CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file's bytes are known by."""

    length: int
    sha256: str
    sha512: str
    sha1: str


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """A release as its maker describes it."""

    version: str
    models: list[str]
    hw: list[str]
    notes: str
    filename: str
    file: FileFacts

    @property
    def path(self) -> str:
        """The target's path: it follows from the version, so that no target can stand for another's version."""
        return target_path(self.version)


def target_path(version: str) -> str:
    """Where a version's file stands among the targets."""
    return f"{version}/firmware"


def file_facts(file: Path) -> FileFacts:
    """Read a file once, in constant memory; `ReleaseError` where it cannot be read, is empty or too long."""
    try:
        with file.open("rb") as opened:
            digests = Digests()
            for chunk in chunks(opened):
                digests.add(chunk)
                if digests.length > LARGEST_FILE_BYTES:
                    raise ReleaseError("file", "%(file)s is longer than %(most)s bytes", file=file.name, most=LARGEST_FILE_BYTES)
    except OSError as error:
        raise ReleaseError("file", "%(file)s cannot be read: %(error)s", file=file, error=error.strerror) from None
    if not digests.length:
        raise ReleaseError("file", "%(file)s is empty", file=file.name)
    return digests.facts()


def checked_chunks(opened: BinaryIO, expected: FileFacts) -> Iterator[bytes]:
    """A file's bytes, of which the last chunk comes only if all of them are the expected ones.

    Whoever stores them can therefore never complete an altered file.

    Raises:
        ReleaseError: it is longer, shorter or another file.
    """
    digests = Digests()
    held = b""
    for chunk in chunks(opened):
        digests.add(chunk)
        if digests.length > expected.length:
            break
        if held:
            yield held
        held = chunk
    if digests.length != expected.length:
        if digests.length > expected.length:
            raise ReleaseError(
                "file", "is longer than the %(signed)s bytes its maker signed: upload it again", signed=expected.length
            )
        raise ReleaseError("file", "is shorter than the %(signed)s bytes its maker signed: upload it again", signed=expected.length)
    if digests.facts() != expected:
        raise ReleaseError("file", "is not the one its maker signed (its hashes differ): upload the signed one")
    yield held


def target_of(facts: ReleaseFacts) -> TargetFile:
    """The facts as a TUF target."""
    custom = {
        "version": facts.version,
        "models": facts.models,
        "hw": facts.hw,
        "notes": facts.notes,
        "filename": facts.filename,
        "sha1": facts.file.sha1,
    }
    # sha256 first: the first of the hashes names the file in its address.
    hashes = {"sha256": facts.file.sha256, "sha512": facts.file.sha512}
    return TargetFile(facts.file.length, hashes, facts.path, {"custom": custom})


def facts_of(target: TargetFile) -> ReleaseFacts:
    """Read a target's facts; `ReleaseError` names the field that is missing or wrong."""
    custom = target.custom
    wanted = {"version", "models", "hw", "notes", "filename", "sha1"}
    if not isinstance(custom, dict) or set(custom) != wanted:
        raise ReleaseError(
            "targets",
            "%(path)s must say exactly %(wanted)s: sign it by `vigie release sign`",
            path=target.path,
            wanted=sorted(wanted),
        )
    if set(target.hashes) != {"sha256", "sha512"}:
        raise ReleaseError("targets", "%(path)s needs the hashes sha256 and sha512", path=target.path)
    facts = ReleaseFacts(
        version=_text(custom, "version", 24),
        models=_words(custom, "models"),
        hw=_words(custom, "hw"),
        notes=_text(custom, "notes", LONGEST_NOTES),
        filename=_text(custom, "filename", 100),
        file=FileFacts(
            target.length,
            _hex("sha256", target.hashes["sha256"], 64),
            _hex("sha512", target.hashes["sha512"], 128),
            _hex("sha1", custom["sha1"], 40),
        ),
    )
    return checked(facts, path=target.path)


def checked(facts: ReleaseFacts, *, path: str | None = None) -> ReleaseFacts:
    """The same facts, if they can be a release's; `path` is where they were found.

    Raises:
        ReleaseError: names the field and what it should look like.
    """
    if parse_version(facts.version) is None:
        raise ReleaseError(
            "version", "'%(version)s' is not of the form 4.3.0: three numbers, no leading zeros", version=facts.version
        )
    if path is not None and path != facts.path:
        raise ReleaseError(
            "targets",
            "%(path)s holds version %(version)s, whose place is %(place)s",
            path=path,
            version=facts.version,
            place=facts.path,
        )
    if not _FILENAME.fullmatch(facts.filename):
        raise ReleaseError(
            "file", "'%(file)s': a name is letters, digits, dots, hyphens and underscores, at most 100", file=facts.filename
        )
    if not 0 < facts.file.length <= LARGEST_FILE_BYTES:
        raise ReleaseError(
            "file", "has %(length)s bytes; 1 to %(most)s are possible", length=facts.file.length, most=LARGEST_FILE_BYTES
        )
    if len(facts.notes) > LONGEST_NOTES:
        raise ReleaseError("notes", "are longer than %(most)s characters", most=LONGEST_NOTES)
    for field, words in (("models", facts.models), ("hw", facts.hw)):
        if not 0 < len(words) <= MOST_WORDS or not all(map(_WORD.fullmatch, words)):
            raise ReleaseError(
                field, "name what it fits, at most %(most)s, each of letters and digits: '%(words)s'", most=MOST_WORDS, words=words
            )
    return facts


def chunks(opened: BinaryIO) -> Iterator[bytes]:
    """What is left of an open file, piece by piece."""
    while chunk := opened.read(CHUNK_BYTES):
        yield chunk


class Digests:
    """Length and hashes of bytes that pass by."""

    def __init__(self) -> None:
        self.length = 0
        self._sha256, self._sha512 = hashlib.sha256(), hashlib.sha512()
        # Real update clients ask for it beside sha256; nothing here trusts it.
        self._sha1 = hashlib.sha1(usedforsecurity=False)

    def add(self, chunk: bytes) -> None:
        """Take the next piece into account."""
        self.length += len(chunk)
        for digest in (self._sha256, self._sha512, self._sha1):
            digest.update(chunk)

    def facts(self) -> FileFacts:
        """What all pieces so far amount to."""
        return FileFacts(self.length, self._sha256.hexdigest(), self._sha512.hexdigest(), self._sha1.hexdigest())


def _text(custom: dict[str, Any], field: str, longest: int) -> str:
    value = custom[field]
    if not isinstance(value, str) or len(value) > longest:
        raise ReleaseError(field, "must be a text of at most %(most)s characters", most=longest)
    return value


def _words(custom: dict[str, Any], field: str) -> list[str]:
    value = custom[field]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ReleaseError(field, "must be a list of texts")
    return sorted(set(value))


def _hex(field: str, value: object, digits: int) -> str:
    if not isinstance(value, str) or len(value) != digits or not _HEX.fullmatch(value):
        raise ReleaseError(field, "must be %(digits)s hexadecimal digits", digits=digits)
    return value
