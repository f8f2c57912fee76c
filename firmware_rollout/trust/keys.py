"""Keys on disk: making them, finding those of a role, and replacing one that was lost or stolen.

    DIR/offline/    root-1.pem …, targets-1.pem …: the maker's; each belongs in a hand and a place of its own
    DIR/online/     snapshot.pem, timestamp.pem: Vigie's
    DIR/*/root.json the public half: which keys may speak for which role

Private keys are PEM (PKCS#8, Ed25519), readable by their owner only. Whose a key is follows from root.json, not its file's name.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust.roles import LARGEST_METADATA_BYTES, ROLES

ROOT_FILE: Final = "root.json"
SIDES: Final = {True: "online", False: "offline"}
_PRIVATE, _PUBLIC = 0o600, 0o644
Kind = TypeVar("Kind", Root, Timestamp, Snapshot, Targets)


def make_keys(out: Path, *, now: datetime) -> bytes:
    """Make every role's keys in a new folder, with the first root; returns the root.

    Raises:
        ReleaseError: the folder holds keys already, or would be kept by Git.
    """
    _refuse_unfit(out)
    signers = {name: CryptoSigner.generate_ed25519() for role in ROLES for name in _names(role)}
    root = Root(version=1, consistent_snapshot=True)
    for role, rule in ROLES.items():
        for name in _names(role):
            root.add_key(signers[name].public_key, role)
        root.roles[role].threshold = rule.threshold
    root.expires = now + ROLES["root"].life
    body = signed_by(root, [signers[name] for name in _names("root")])
    for role, rule in ROLES.items():
        for name in _names(role):
            write_new(out / SIDES[rule.online] / f"{name}.pem", signers[name].private_bytes, mode=_PRIVATE)
    for side in SIDES.values():
        write_new(out / side / ROOT_FILE, body, mode=_PUBLIC)
    return body


def replace_keys(keys: Path, names: Sequence[str], *, out: Path, now: datetime) -> bytes:
    """Replace keys that were lost or stolen by new ones, in a new folder; returns the next root.

    `keys` holds what is left of the offline keys: enough root keys to sign by the old root *and* by the new one. Which public
    key a name means follows from the order in which the root lists them.

    Raises:
        ReleaseError: an unknown name, too few root keys, or a folder that holds keys already.
    """
    _refuse_unfit(out)
    old = parsed(Root, read_root(keys), "root")
    known = {name: role for role in ROLES for name in _names(role)}
    if strange := [name for name in names if name not in known]:
        raise ReleaseError("name", f"no key {', '.join(strange)}; there are {', '.join(known)}")
    root = parsed(Root, old.to_bytes(), "root").signed
    fresh: dict[str, CryptoSigner] = {}
    for name in dict.fromkeys(names):
        role, place = known[name], _names(known[name]).index(name)
        keyids = list(root.roles[role].keyids)
        fresh[name] = CryptoSigner.generate_ed25519()
        root.revoke_key(keyids[place], role)
        root.add_key(fresh[name].public_key, role)
        # In the place of the old one, so that names keep meaning the same.
        keyids[place] = fresh[name].public_key.keyid
        root.roles[role].keyids = keyids
    root.version += 1
    root.expires = now + ROLES["root"].life
    left = signers_of(keys, old.signed, "root")
    body = signed_by(root, [*left, *(signer for name, signer in fresh.items() if known[name] == "root")])
    check_signed_root(old.signed, body)
    for name, signer in fresh.items():
        write_new(out / SIDES[ROLES[known[name]].online] / f"{name}.pem", signer.private_bytes, mode=_PRIVATE)
    write_new(out / ROOT_FILE, body, mode=_PUBLIC)
    return body


def check_signed_root(old: Root, new: bytes) -> None:
    """Raise `ReleaseError` unless the new root is signed by enough keys of the old root and of its own."""
    metadata = parsed(Root, new, "root")
    for by, whose in ((old, "the root trusted so far"), (metadata.signed, "the new root itself")):
        try:
            by.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
        except RepositoryError as error:
            raise ReleaseError("root", f"is not signed by enough keys of {whose}: {error}") from None


def signers_of(folder: Path, root: Root, role: str) -> list[CryptoSigner]:
    """The role's private keys that a folder (or one below it) holds, in the root's order."""
    found = {}
    for path in sorted(folder.rglob("*.pem")):
        signer = _read_key(path)
        found[signer.public_key.keyid] = signer
    return [found[keyid] for keyid in root.roles[role].keyids if keyid in found]


def read_root(folder: Path) -> bytes:
    """The root.json of a folder of keys; `ReleaseError` where there is none."""
    for place in (folder, folder / SIDES[False]):
        if (place / ROOT_FILE).is_file():
            return read_metadata(place / ROOT_FILE)
    raise ReleaseError("keys", f"{folder} holds no {ROOT_FILE}: copy the public one beside the keys")


def read_metadata(path: Path) -> bytes:
    """The bytes of a metadata file; `ReleaseError` where it cannot be read or is too long to be one."""
    try:
        with path.open("rb") as opened:
            body = opened.read(LARGEST_METADATA_BYTES + 1)
    except OSError as error:
        raise ReleaseError("file", "%(file)s cannot be read: %(error)s", file=path, error=error.strerror) from None
    return bounded(body, path.name)


def bounded(body: bytes, field: str, *, most: int = LARGEST_METADATA_BYTES) -> bytes:
    """The same bytes, unless they are too many to be metadata."""
    if len(body) > most:
        raise ReleaseError(field, "is longer than %(most)s bytes: devices take no more", most=most)
    return body


def parsed(kind: type[Kind], body: bytes, field: str) -> Metadata[Kind]:
    """Read metadata of one kind without trusting it; `ReleaseError` where it is none."""
    try:
        metadata = Metadata[Kind].from_bytes(bounded(body, field, most=ROLES[kind.type].longest))
    except RepositoryError as error:
        raise ReleaseError(field, "cannot be read as release metadata: %(error)s", error=error.__cause__ or error) from None
    if metadata.signed.type != kind.type:
        raise ReleaseError(
            field, "this is %(found)s metadata; %(wanted)s metadata is wanted", found=metadata.signed.type, wanted=kind.type
        )
    return metadata


def signed_by(signed: Kind, signers: Iterable[CryptoSigner]) -> bytes:
    """Metadata with these keys' signatures."""
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def write_new(path: Path, body: bytes, *, mode: int) -> None:
    """Write a file that must not be there yet, with its rights from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise ReleaseError("out", f"{path} is there already: nothing is overwritten, name a new folder") from None
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(body)


def _names(role: str) -> list[str]:
    rule = ROLES[role]
    return [f"{role}-{number}" for number in range(1, rule.keys + 1)] if rule.keys > 1 else [role]


def _refuse_unfit(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise ReleaseError("out", f"{out} is not empty: nothing is overwritten, name a new folder")
    where = out.resolve()
    if repository := next((folder for folder in (where, *where.parents) if (folder / ".git").exists()), None):
        raise ReleaseError("out", f"{out} is inside the repository {repository}: keys don't belong there")


def _read_key(path: Path) -> CryptoSigner:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ReleaseError("keys", f"{path} is no readable private key (PEM without a password): {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseError("keys", f"{path} is no Ed25519 key")
    return CryptoSigner(key)
