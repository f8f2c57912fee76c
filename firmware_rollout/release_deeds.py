"""What people do to releases, noted in the rollout's audit: whom they trust, what they take in, declare and withdraw."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tuf.api.metadata import Targets

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.audit import note
from firmware_rollout.releases import Release, add_release, withdraw_release
from firmware_rollout.trust.adding import add_signed_release, trust_root
from firmware_rollout.trust.keys import parsed
from firmware_rollout.trust.metadata_store import Stored, newest
from fleet.database import Connection

TRUSTED: Final = "trusted_root"
ADDED: Final = "added_release"
# Signed anew against its expiry, or without a withdrawn version.
TOOK_TARGETS: Final = "took_targets"
DECLARED: Final = "declared_release"
WITHDREW: Final = "withdrew_release"


def trust(conn: Connection, body: bytes, *, actor: str, now: datetime) -> Stored:
    """Trust a root and note who did; raises as `trust_root` does. The caller commits."""
    root = trust_root(conn, body, now=now)
    # Whoever replaces the root decides what every terminal installs: its hash says which one it was.
    details = {"root": root.version, "sha256": sha256(body).hexdigest(), "expires": root.expires_at}
    note(conn, actor=actor, deed=TRUSTED, campaign_id=None, details=details, now=now)
    return root


def take_in(
    conn: Connection, store: ArtifactStore, *, file: Path | None, targets: bytes, actor: str, now: datetime
) -> Release | None:
    """Add a signed release and note who did; None where the metadata brings none. The caller commits.

    Noted is also which metadata it was and which versions it leaves out, which from then on no terminal installs.

    Raises:
        ReleaseError: names the field, what is wrong and what to do; nothing was added.
        VigieError: the store does not take the file.
    """
    before = newest(conn).get("targets")
    release = add_signed_release(conn, store, file=file, targets=targets, now=now)
    signed = parsed(Targets, targets, "targets").signed
    details: dict[str, Any] = {"targets": signed.version, "targets_sha256": sha256(targets).hexdigest()}
    if before is not None and (left_out := _versions(parsed(Targets, before.body, "targets").signed) - _versions(signed)):
        details["left_out"] = sorted(left_out)
    if release and release.file:
        details |= {"version": release.version, "sha256": release.file.sha256}
    note(conn, actor=actor, deed=ADDED if release else TOOK_TARGETS, campaign_id=None, details=details, now=now)
    return release


def declare(conn: Connection, *, version: str, models: Sequence[str], notes: str, actor: str, now: datetime) -> Release:
    """Name a version without a file and note who did; raises as `add_release` does. The caller commits."""
    release = add_release(conn, version=version, models=models, notes=notes, now=now)
    details = {"version": release.version, "models": release.models}
    note(conn, actor=actor, deed=DECLARED, campaign_id=None, details=details, now=now)
    return release


def withdraw(conn: Connection, version: str, *, why: str, actor: str, now: datetime) -> Release:
    """Withdraw a release and note who did, and why; raises as `withdraw_release` does. The caller commits."""
    release = withdraw_release(conn, version, why=why, now=now)
    note(conn, actor=actor, deed=WITHDREW, campaign_id=None, details={"version": version, "why": release.withdrawn_why}, now=now)
    return release


def _versions(targets: Targets) -> set[str]:
    return {path.partition("/")[0] for path in targets.targets}
