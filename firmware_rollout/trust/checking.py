"""What Vigie asks of the maker's metadata before it stores and serves any: pure checks of bytes against bytes.

Devices check again by themselves; this keeps what they would refuse from ever reaching them, and says why.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust.facts import ReleaseFacts, facts_of
from firmware_rollout.trust.keys import check_signed_root, parsed
from firmware_rollout.trust.roles import ROLES

OFFLINE: Final = tuple(role for role, rule in ROLES.items() if not rule.online)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Targets metadata that may be stored: its version, its expiry, and the release it brings (None: none)."""

    version: int
    expires_at: datetime
    brings: ReleaseFacts | None


def check_root(trusted: bytes | None, new: bytes, *, now: datetime) -> Root:
    """The new root, if it may follow the trusted one (None: it is the first, which the operator vouches for).

    Raises:
        ReleaseError: wrong version, too few signatures, expired, or weaker than the rules of the roles.
    """
    root = parsed(Root, new, "root").signed
    before = parsed(Root, trusted, "root").signed if trusted is not None else root
    if trusted is not None and _signs_nothing(before, "root", parsed(Root, new, "root")):
        raise ReleaseError(
            "root",
            "none of the keys of root %(trusted)s, which is trusted here, signed it:"
            " it is another maker's, or roots between the two are left out",
            trusted=before.version,
        )
    if trusted is not None and root.version != before.version + 1:
        raise ReleaseError(
            "root",
            "version %(version)s cannot follow %(trusted)s: trust each root in turn",
            version=root.version,
            trusted=before.version,
        )
    check_signed_root(before, new)
    if root.is_expired(now):
        raise ReleaseError("root", "expired on %(day)s: its keys' holders must sign a new one", day=root.expires)
    _check_strength(root)
    return root


def check_targets(root: bytes, current: bytes | None, new: bytes, *, withdrawn: Collection[str], now: datetime) -> Accepted:
    """What new targets metadata brings, if it may follow the current (None: it is the first).

    Args:
        root: the trusted root.
        current: the targets metadata that is served now; trusted because it was checked so itself.
        new: the targets metadata offered.
        withdrawn: versions whose targets may be left out.
        now: the time.

    Raises:
        ReleaseError: too few signatures, expired, no new version, a release that vanished or changed, several new ones.
    """
    trusted = parsed(Root, root, "root").signed
    if trusted.is_expired(now):
        # Devices believe nothing that follows from it.
        raise ReleaseError(
            "targets",
            "cannot be believed: the root that names their keys expired on %(day)s;"
            " its holders sign a new one, then `vigie release trust`",
            day=trusted.expires,
        )
    metadata = parsed(Targets, new, "targets")
    if metadata.signatures and _signs_nothing(trusted, "targets", metadata):
        raise ReleaseError(
            "targets",
            "are signed by other keys than those that root %(trusted)s, which is trusted here, names:"
            " sign with that maker's keys, or `vigie release trust` the root that replaced them",
            trusted=trusted.version,
        )
    try:
        trusted.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise ReleaseError(
            "targets", "lacks signatures (%(error)s): its other holders sign by `vigie release cosign`", error=error
        ) from None
    targets = metadata.signed
    if targets.is_expired(now):
        raise ReleaseError("targets", "expired on %(day)s: sign it again by `vigie release resign`", day=targets.expires)
    if targets.delegations is not None:
        raise ReleaseError("targets", "delegates to other keys, which is not done here: the maker's own keys sign")
    held = parsed(Targets, current, "targets").signed if current is not None else None
    if held is not None and targets.version <= held.version:
        raise ReleaseError(
            "targets",
            "version %(version)s is not above %(held)s, the one held: sign from the latest",
            version=targets.version,
            held=held.version,
        )
    brought = _brought(held.targets if held else {}, targets.targets, withdrawn=withdrawn)
    return Accepted(targets.version, targets.expires, brought)


def _signs_nothing(root: Root, role: str, metadata: Metadata[Root] | Metadata[Targets]) -> bool:
    """Whether none of the role's keys has signed this: then another maker did, and more signatures would not help."""
    return not root.get_verification_result(role, metadata.signed_bytes, metadata.signatures).signed


def _check_strength(root: Root) -> None:
    """A root that a single stolen key could speak for is refused, whoever signed it."""
    if not root.consistent_snapshot:
        raise ReleaseError("root", "must use consistent snapshots: make it by `vigie release keys`")
    for role in OFFLINE:
        if root.roles[role].threshold < ROLES[role].threshold:
            raise ReleaseError(
                "root",
                "lets %(keys)s key speak for %(role)s: at least %(least)s",
                keys=root.roles[role].threshold,
                role=role,
                least=ROLES[role].threshold,
            )
    holders = [(role, root.keys[keyid].keyval.get("public")) for role in ROLES for keyid in root.roles[role].keyids]
    values = [value for _, value in holders]
    if shared := sorted({role for role, value in holders if values.count(value) > 1}):
        raise ReleaseError("root", "uses one key more than once, for %(shared)s: each role needs keys of its own", shared=shared)


def _brought(held: dict[str, TargetFile], offered: dict[str, TargetFile], *, withdrawn: Collection[str]) -> ReleaseFacts | None:
    for path, target in held.items():
        version = facts_of(target).version
        if path not in offered and version not in withdrawn:
            raise ReleaseError(
                "targets", "leaves out release %(version)s: sign from the latest, or withdraw %(version)s first", version=version
            )
        if path in offered and offered[path] != target:
            raise ReleaseError(
                "targets", "says other things of release %(version)s than before: a release never changes", version=version
            )
    new = [path for path in offered if path not in held]
    if len(new) > 1:
        raise ReleaseError("targets", "brings several releases (%(new)s): add each as it is signed", new=sorted(new))
    return facts_of(offered[new[0]]) if new else None
