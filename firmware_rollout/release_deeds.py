"""What people do to releases, noted in the rollout's audit: taking one in with its file, and withdrawing one."""

from datetime import datetime
from pathlib import Path
from typing import Final

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.audit import note
from firmware_rollout.releases import Release, withdraw_release
from firmware_rollout.trust.adding import add_signed_release
from fleet.database import Connection

ADDED: Final = "added_release"
WITHDREW: Final = "withdrew_release"


def take_in(
    conn: Connection, store: ArtifactStore, *, file: Path | None, targets: bytes, actor: str, now: datetime
) -> Release | None:
    """Add a signed release and note who did; None where the metadata brings none. The caller commits.

    Raises:
        ReleaseError: names the field, what is wrong and what to do; nothing was added.
        VigieError: the store does not take the file.
    """
    release = add_signed_release(conn, store, file=file, targets=targets, now=now)
    brings = {"version": release.version, "sha256": release.file.sha256} if release and release.file else {}
    note(conn, actor=actor, deed=ADDED, campaign_id=None, details=brings, now=now)
    return release


def withdraw(conn: Connection, version: str, *, why: str, actor: str, now: datetime) -> Release:
    """Withdraw a release and note who did, and why; raises as `withdraw_release` does. The caller commits."""
    release = withdraw_release(conn, version, why=why, now=now)
    note(conn, actor=actor, deed=WITHDREW, campaign_id=None, details={"version": version, "why": release.withdrawn_why}, now=now)
    return release
