"""A maker with keys, a Vigie that trusts them, and releases to add, for tests on a real database."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.releases import Release
from firmware_rollout.trust import signing
from firmware_rollout.trust.adding import add_signed_release, trust_root
from firmware_rollout.trust.keys import make_keys, parsed, signers_of
from firmware_rollout.trust.online import renew
from fleet.errors import VigieError
from tests.integration.small_fleet import Conn

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@dataclass
class Maker:
    """Signs releases in a folder of its own, with all its keys at hand."""

    folder: Path
    root: bytes = b""
    signed: bytes | None = None
    contents: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = make_keys(self.folder / "keys", now=NOW)

    @property
    def online(self) -> Path:
        return self.folder / "keys/online"

    def sign(self, version: str, *, models: tuple[str, ...] = ("B",), hw: tuple[str, ...] = ("1",), size: int = 3000) -> Path:
        """Build a firmware file and sign it; returns the file."""
        file = self.folder / f"fw-{version}.swu"
        self.contents[version] = (version.encode() * size)[:size]
        file.write_bytes(self.contents[version])
        facts = signing.describe(file, version=version, models=list(models), hw=list(hw), notes=f"what is new in {version}")
        self.signed = signing.sign_release(facts, root=self.root, signers=self._signers(), before=self.signed, now=NOW).body
        return file

    def sign_again(self, *, before: bytes | None, without: str | None = None) -> None:
        assert before is not None
        self.signed = signing.sign_again(root=self.root, signers=self._signers(), before=before, without=without, now=NOW).body

    def _signers(self) -> list[CryptoSigner]:
        return signers_of(self.folder / "keys", parsed(Root, self.root, "root").signed, "targets")


def trusting(conn: Conn, maker: Maker) -> None:
    trust_root(conn, maker.root, now=NOW)


def add(conn: psycopg.Connection, store: ArtifactStore, maker: Maker, file: Path | None) -> Release | None:
    assert maker.signed is not None
    release = add_signed_release(conn, store, file=file, targets=maker.signed, now=NOW)
    renew(conn, keys=maker.online, now=NOW)
    return release


def holds(store: ArtifactStore, sha256: str, length: int) -> bool:
    """Whether a store keeps this file, so many bytes and the right ones."""
    try:
        content = b"".join(store.read(sha256, start=0, length=length))
    except VigieError:
        return False
    return (len(content), hashlib.sha256(content).hexdigest()) == (length, sha256)
