"""Releases: which firmware versions there are, what each fits, and its file.

A version is either *declared*, because terminals came with it, or comes with a signed file (`firmware_rollout.trust.adding`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import psycopg

from fleet.database import Connection
from fleet.errors import FieldError
from fleet.registry import REPORTED_FIRMWARE, REPORTED_FROM, all_terminals

_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")


class ReleaseError(FieldError):
    """A release cannot be added; `field` names what is wrong."""


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """The file of a release: its name, its length in bytes, and its hashes in hexadecimal digits."""

    filename: str
    length: int
    sha256: str
    sha1: str


@dataclass(frozen=True, slots=True)
class Release:
    """A firmware version and what it fits; `hw` is empty where any hardware does, `file` None where it was only declared."""

    version: str
    models: list[str]
    notes: str
    added_at: datetime
    hw: list[str] = field(default_factory=list)
    file: ReleaseFile | None = None
    withdrawn_at: datetime | None = None
    withdrawn_why: str = ""

    def fits(self, model: str, hw: str) -> bool:
        """Whether it is meant for terminals of this model and hardware."""
        return model in self.models and (not self.hw or hw in self.hw)


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The three numbers of a version such as `4.3.0`, by which versions are ordered; None where it is none."""
    found = _VERSION.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def is_at_least(reported: str | None, target: str) -> bool | None:
    """Whether the reported version is the target or a later one; None where nothing readable was reported."""
    have, want = parse_version(reported or ""), parse_version(target)
    return None if have is None or want is None else have >= want


def add_release(conn: Connection, *, version: str, models: Sequence[str], notes: str, now: datetime) -> Release:
    """Declare a release without a file: a version that terminals came with.

    Raises:
        ReleaseError: the version is no `x.y.z`, is there already, or names no model that the registry has.
    """
    if parse_version(version) is None:
        raise ReleaseError("version", "'%(version)s' is not of the form 4.3.0: three numbers, no leading zeros", version=version)
    wanted = sorted(set(models))
    if not wanted:
        raise ReleaseError("models", "name at least one model that it fits")
    check_fits_registry(conn, models=wanted, hw=[])
    release = Release(version, wanted, notes.strip(), now)
    try:
        # A savepoint: a refused version leaves the caller's transaction usable.
        with conn.transaction():
            conn.execute(
                "INSERT INTO firmware_rollout.release (version, models, notes, added_at)"
                " VALUES (%(version)s, %(models)s, %(notes)s, %(now)s)",
                {"version": version, "models": wanted, "notes": release.notes, "now": now},
            )
    except psycopg.errors.UniqueViolation:
        raise ReleaseError("version", "%(version)s was added before; a release never changes", version=version) from None
    return release


def check_fits_registry(conn: Connection, *, models: Sequence[str], hw: Sequence[str]) -> None:
    """Raise `ReleaseError` where the registry has terminals, but none of a model or hardware named here."""
    fleet = all_terminals(conn)
    for name, wanted, known in (("models", models, {one.model for one in fleet}), ("hw", hw, {one.hw for one in fleet})):
        if strange := [value for value in wanted if known and value not in known]:
            if name == "models":
                raise ReleaseError(
                    name, "no terminal is of model %(strange)s; known: %(known)s", strange=strange, known=sorted(known)
                )
            raise ReleaseError(
                name, "no terminal is of hardware %(strange)s; known: %(known)s", strange=strange, known=sorted(known)
            )


def list_releases(conn: Connection) -> list[Release]:
    """Every release, the latest version first."""
    found = _read(conn, "", {})
    return sorted(found, key=lambda release: parse_version(release.version) or (0, 0, 0), reverse=True)


def terminals_by_version(conn: Connection) -> dict[str, int]:
    """How many terminals run each version, by what they last said (before that, what the registry says)."""
    rows = conn.execute(
        f"SELECT COALESCE({REPORTED_FIRMWARE}, t.firmware), count(*) FROM fleet.terminal t {REPORTED_FROM} GROUP BY 1"
    )
    return dict(rows.fetchall())


def release_of(conn: Connection, version: str) -> Release:
    """One release; `ReleaseError` lists those there are where there is none."""
    if found := _read(conn, "WHERE version = %(version)s", {"version": version}):
        return found[0]
    known = [release.version for release in list_releases(conn)]
    raise ReleaseError("version", "no release '%(version)s'; known: %(known)s", version=version, known=known)


def release_with_file(conn: Connection, sha256: str) -> Release | None:
    """The release whose file has this hash; None where there is none."""
    found = _read(conn, "WHERE sha256 = %(sha256)s", {"sha256": sha256})
    return found[0] if found else None


def withdraw_release(conn: Connection, version: str, *, why: str, now: datetime) -> Release:
    """Offer and serve a release no more; its row and its file stay.

    Raises:
        ReleaseError: there is no such release, it was withdrawn before, or no reason is given.
    """
    release = release_of(conn, version)
    if not why.strip():
        raise ReleaseError("why", "say why; who finds the release withdrawn will read it")
    if release.withdrawn_at is not None:
        raise ReleaseError(
            "version",
            "%(version)s was withdrawn on %(day)s: %(why)s",
            version=version,
            day=release.withdrawn_at,
            why=release.withdrawn_why,
        )
    conn.execute(
        "UPDATE firmware_rollout.release SET withdrawn_at = %(now)s, withdrawn_why = %(why)s WHERE version = %(version)s",
        {"version": version, "why": why.strip(), "now": now},
    )
    return replace(release, withdrawn_at=now, withdrawn_why=why.strip())


def _read(conn: Connection, condition: str, parameters: dict[str, Any]) -> list[Release]:
    rows = conn.execute(
        "SELECT version, models, notes, added_at, hw, filename, length, sha256, sha1, withdrawn_at, withdrawn_why"
        f" FROM firmware_rollout.release {condition}",
        parameters,
    )
    return [
        Release(version, models, notes, added_at, hw, ReleaseFile(*file) if file[0] is not None else None, withdrawn_at, why)
        for version, models, notes, added_at, hw, *file, withdrawn_at, why in rows
    ]
