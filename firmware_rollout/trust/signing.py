"""The maker's side: says what a release is and signs it. It needs the file, the keys and what was signed before; no database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Targets

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust.facts import ReleaseFacts, checked, facts_of, file_facts, target_of, target_path
from firmware_rollout.trust.keys import parsed, signed_by
from firmware_rollout.trust.roles import ROLES


@dataclass(frozen=True, slots=True)
class Statement:
    """Signed targets metadata, how many of the maker's keys have signed it so far, and how many must."""

    body: bytes
    signatures: int
    threshold: int


def describe(file: Path, *, version: str, models: list[str], hw: list[str], notes: str) -> ReleaseFacts:
    """A release's facts from its file and its maker's words; `ReleaseError` names what is wrong."""
    words = sorted(set(models)), sorted(set(hw))
    return checked(ReleaseFacts(version, *words, notes.strip(), file.name, file_facts(file)))


def sign_release(
    facts: ReleaseFacts, *, root: bytes, signers: list[CryptoSigner], before: bytes | None, now: datetime
) -> Statement:
    """Add a release to what was signed before (None: this is the first), and sign the whole anew.

    Raises:
        ReleaseError: the version was signed before, or no key may sign.
    """
    trusted = parsed(Root, root, "root").signed
    targets = Targets(version=1) if before is None else _next(before, trusted)
    if facts.path in targets.targets:
        raise ReleaseError("version", f"{facts.version} was signed before; a release never changes, so take a new version")
    targets.targets[facts.path] = target_of(facts)
    targets.expires = (now + ROLES["targets"].life).astimezone(UTC)
    return _statement(signed_by(targets, _some(signers)), trusted)


def sign_again(*, root: bytes, signers: list[CryptoSigner], before: bytes, now: datetime, without: str | None = None) -> Statement:
    """Sign anew what was signed before: against its expiry, or to leave out a version that was withdrawn.

    Raises:
        ReleaseError: the version is not among them, or no key may sign.
    """
    trusted = parsed(Root, root, "root").signed
    targets = _next(before, trusted)
    if without is not None and targets.targets.pop(target_path(without), None) is None:
        known = ", ".join(path.partition("/")[0] for path in sorted(targets.targets))
        raise ReleaseError("version", f"{without} is not among what was signed before: {known or 'nothing'}")
    targets.expires = (now + ROLES["targets"].life).astimezone(UTC)
    return _statement(signed_by(targets, _some(signers)), trusted)


def cosign(body: bytes, *, root: bytes, signers: list[CryptoSigner]) -> Statement:
    """Add the signatures of another holder's keys to what a first one signed; nothing else changes."""
    metadata = parsed(Targets, body, "targets")
    for signer in _some(signers):
        metadata.sign(signer, append=True)
    return _statement(metadata.to_bytes(), parsed(Root, root, "root").signed)


def described(body: bytes) -> list[str]:
    """What somebody is about to sign, a line for each release."""
    targets = parsed(Targets, body, "targets").signed
    lines = [f"targets {targets.version}, good until {targets.expires:%Y-%m-%d}:"]
    for facts in map(facts_of, targets.targets.values()):
        fits = f"models {', '.join(facts.models)}, hardware {', '.join(facts.hw)}"
        lines.append(f"  {facts.version}  {fits}  {facts.file.length:,} bytes  sha256 {facts.file.sha256}  {facts.notes}")
    return lines


def _next(before: bytes, trusted: Root) -> Targets:
    """What was signed before, as the next version's beginning."""
    earlier = parsed(Targets, before, "targets")
    # What is signed anew must have been the maker's word, not something slipped in.
    if _count(earlier, trusted) < trusted.roles["targets"].threshold:
        raise ReleaseError("out", "what was signed before lacks signatures: let `vigie release cosign` complete it, or remove it")
    targets = earlier.signed
    targets.version += 1
    return targets


def _some(signers: list[CryptoSigner]) -> list[CryptoSigner]:
    if not signers:
        raise ReleaseError("keys", "none of these keys may sign releases, by their root.json")
    return signers


def _statement(body: bytes, root: Root) -> Statement:
    return Statement(body, _count(parsed(Targets, body, "targets"), root), root.roles["targets"].threshold)


def _count(metadata: Metadata[Targets], root: Root) -> int:
    return len(root.get_verification_result("targets", metadata.signed_bytes, metadata.signatures).signed)
