"""Snapshot and timestamp: Vigie's own, short-lived word that these are the newest metadata, renewed long before it ends.

A device that hears no fresh word installs nothing: what is kept from it, or shown to it from the past, cannot be installed.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import MetaFile, Root, Snapshot, Timestamp

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust.keys import Kind, parsed, signed_by, signers_of
from firmware_rollout.trust.metadata_store import Stored, lock_metadata, newest, store_metadata
from firmware_rollout.trust.roles import ROLES
from fleet.database import Connection

log = logging.getLogger(__name__)

# Renewed when half its life is over: an outage of half a life leaves every device a valid one.
RENEW_AT: Final = 0.5


class Due(StrEnum):
    """Why snapshot or timestamp have to be signed anew."""

    NONE_YET = "none_yet"
    RELEASES_CHANGED = "releases_changed"
    KEY_CHANGED = "key_changed"
    AGES = "ages"


def is_due(held: Mapping[str, Stored], *, now: datetime) -> dict[str, Due]:
    """Which of snapshot and timestamp have to be signed anew, and why; nothing before there are a root and targets."""
    if not {"root", "targets"} <= set(held):
        return {}
    root = parsed(Root, held["root"].body, "root").signed
    due: dict[str, Due] = {}
    if snapshot := _why(held, "snapshot", Snapshot, root, now):
        due["snapshot"] = snapshot
    elif parsed(Snapshot, held["snapshot"].body, "snapshot").signed.meta["targets.json"].version != held["targets"].version:
        due["snapshot"] = Due.RELEASES_CHANGED
    if timestamp := _why(held, "timestamp", Timestamp, root, now):
        due["timestamp"] = timestamp
    elif "snapshot" in due:
        due["timestamp"] = due["snapshot"]
    return due


def renew(conn: Connection, *, keys: Path, now: datetime) -> dict[str, Due]:
    """Sign and store what is due, with the online keys in `keys`; returns what was, and why. The caller owns the transaction.

    Raises:
        ReleaseError: the folder lacks a key that the trusted root names.
    """
    if not is_due(newest(conn), now=now):
        return {}
    lock_metadata(conn)
    # Another program may have renewed between the look and the lock.
    held = newest(conn)
    due = is_due(held, now=now)
    for role in due:
        held[role] = sign_role(held, role, keys=keys, now=now)
        store_metadata(conn, held[role], now=now)
        log.info("%s %s signed: %s", role, held[role].version, due[role], extra={"action": "renew", "role": role})
    return due


def _why(held: Mapping[str, Stored], role: str, kind: type[Kind], root: Root, now: datetime) -> Due | None:
    if role not in held:
        return Due.NONE_YET
    metadata = parsed(kind, held[role].body, role)
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError:
        return Due.KEY_CHANGED
    left = held[role].expires_at - now
    return Due.AGES if left <= ROLES[role].life * (1 - RENEW_AT) else None


def sign_role(held: Mapping[str, Stored], role: str, *, keys: Path, now: datetime) -> Stored:
    """The next snapshot or timestamp over what is held; `ReleaseError` where its key is not in the folder."""
    root = parsed(Root, held["root"].body, "root").signed
    signers = signers_of(keys, root, role)
    if len(signers) < root.roles[role].threshold:
        raise ReleaseError("keys", f"{keys} lacks the {role} key that the trusted root names: put it there, or rotate it")
    version = held[role].version + 1 if role in held else 1
    expires = (now + ROLES[role].life).astimezone(UTC)
    if role == "snapshot":
        body = signed_by(Snapshot(version=version, expires=expires, meta={"targets.json": _meta(held["targets"])}), signers)
    else:
        body = signed_by(Timestamp(version=version, expires=expires, snapshot_meta=_meta(held["snapshot"])), signers)
    return Stored(role, version, body, expires.replace(microsecond=0))


def _meta(one: Stored) -> MetaFile:
    """Length and hash too, not only the version: a file that was mixed in is caught before it is read."""
    return MetaFile.from_data(one.version, one.body, ["sha256"])


def expiring(held: Mapping[str, Stored], *, now: datetime) -> dict[str, datetime]:
    """The maker's metadata of which less than a tenth of its life is left, and when it ends."""
    offline = (one for one in held.values() if not ROLES[one.role].online)
    return {one.role: one.expires_at for one in offline if one.expires_at - now < ROLES[one.role].life * 0.1}
