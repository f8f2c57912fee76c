"""Releases: which firmware versions there are, and which models each fits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from fleet.registry import all_terminals

_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")


class ReleaseError(VigieError):
    """A release cannot be added; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Release:
    """A firmware version and the models it fits."""

    version: str
    models: list[str]
    notes: str
    added_at: datetime


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The three numbers of a version such as `4.3.0`, by which versions are ordered; None where it is none."""
    found = _VERSION.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def is_at_least(reported: str | None, target: str) -> bool | None:
    """Whether the reported version is the target or a later one; None where nothing readable was reported."""
    have, want = parse_version(reported or ""), parse_version(target)
    return None if have is None or want is None else have >= want


def add_release(conn: Connection, *, version: str, models: Sequence[str], notes: str, now: datetime) -> Release:
    """Add a release.

    Raises:
        ReleaseError: the version is no `x.y.z`, is there already, or names no model that the registry has.
    """
    if parse_version(version) is None:
        raise ReleaseError("version", f"{version!r} is not of the form 4.3.0: three numbers, no leading zeros")
    wanted = sorted(set(models))
    if not wanted:
        raise ReleaseError("models", "name at least one model that it fits")
    known = {terminal.model for terminal in all_terminals(conn)}
    strange = [model for model in wanted if known and model not in known]
    if strange:
        raise ReleaseError("models", f"no terminal is of model {', '.join(strange)}; known: {', '.join(sorted(known))}")
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
        raise ReleaseError("version", f"{version} was added before; a release never changes") from None
    return release


def list_releases(conn: Connection) -> list[Release]:
    """Every release, the latest version first."""
    with conn.cursor(row_factory=class_row(Release)) as cursor:
        found = cursor.execute("SELECT version, models, notes, added_at FROM firmware_rollout.release").fetchall()
    return sorted(found, key=lambda release: parse_version(release.version) or (0, 0, 0), reverse=True)
