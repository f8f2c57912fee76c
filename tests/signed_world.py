"""A maker, an honest repository over several releases, and a device: what attacks start from."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256, sha512
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from firmware_rollout.trust.facts import FileFacts, ReleaseFacts, target_of
from firmware_rollout.trust.keys import Kind, signed_by
from firmware_rollout.trust.roles import ROLES
from simulators.verifying import Update, Verifier

BEGIN = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VERSIONS = ("4.2.1", "4.3.0", "4.4.0")
URL = "http://vigie.test/firmware"

Files = dict[str, bytes]
Signers = dict[str, list[CryptoSigner]]


def new_signers() -> Signers:
    return {role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)] for role, rule in ROLES.items()}


def firmware(version: str, salt: str = "") -> bytes:
    return f"firmware {version}{salt}".encode() * 40


def facts(version: str, content: bytes, **changed: object) -> ReleaseFacts:
    hashes = FileFacts(len(content), sha256(content).hexdigest(), sha512(content).hexdigest(), sha1(content).hexdigest())
    words: dict[str, object] = {"version": version, "models": ["B"], "hw": ["1"], "notes": "", "filename": "fw.bin", "file": hashes}
    return ReleaseFacts(**{**words, **changed})  # type: ignore[arg-type]  # tests give wrong facts on purpose


def root_of(signers: Mapping[str, list[CryptoSigner]], *, version: int = 1, now: datetime = BEGIN) -> Root:
    root = Root(version=version, expires=now + ROLES["root"].life, consistent_snapshot=True)
    for role, rule in ROLES.items():
        for signer in signers[role]:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = rule.threshold
    return root


@dataclass
class Repository:
    """Files by their address below `URL`, signed step by step; each step may name other signers than the honest ones."""

    signers: Signers = field(default_factory=new_signers)
    files: Files = field(default_factory=dict)
    targets: Targets = field(default_factory=lambda: Targets(version=1, expires=BEGIN))
    now: datetime = BEGIN
    online: int = 0

    def copy(self) -> "Repository":
        body = Metadata(self.targets).to_bytes()
        return Repository(self.signers, dict(self.files), Metadata[Targets].from_bytes(body).signed, self.now, self.online)

    def begin(self) -> "Repository":
        self.files["metadata/1.root.json"] = self.sign(root_of(self.signers, now=self.now), "root")
        return self

    def sign(self, signed: Kind, role: str, keys: Iterable[CryptoSigner] | None = None) -> bytes:
        return signed_by(signed, self.signers[role] if keys is None else keys)

    def add(self, version: str, content: bytes | None = None, **changed: object) -> None:
        """A new target, not yet signed."""
        body = firmware(version) if content is None else content
        target = target_of(facts(version, body, **changed))
        self.targets.targets[f"{version}/firmware"] = target
        self.files[f"files/{version}/{target.hashes['sha256']}.firmware"] = body

    def publish(self, *, by: Mapping[str, Iterable[CryptoSigner]] | None = None, targets: bytes | None = None) -> None:
        """Sign targets (unless given), snapshot and timestamp at `now`, each a version higher."""
        by = by or {}
        if targets is None:
            self.targets.expires = self.now + ROLES["targets"].life
            targets = self.sign(self.targets, "targets", by.get("targets"))
        version = self.targets.version
        self.files[f"metadata/{version}.targets.json"] = targets
        self.online += 1
        meta = MetaFile.from_data(version, targets, ["sha256"])
        snapshot = Snapshot(version=self.online, expires=self.now + ROLES["snapshot"].life, meta={"targets.json": meta})
        body = self.sign(snapshot, "snapshot", by.get("snapshot"))
        self.files[f"metadata/{self.online}.snapshot.json"] = body
        stamp = Timestamp(
            version=self.online,
            expires=self.now + ROLES["timestamp"].life,
            snapshot_meta=MetaFile.from_data(self.online, body, ["sha256"]),
        )
        self.files["metadata/timestamp.json"] = self.sign(stamp, "timestamp", by.get("timestamp"))

    def release(self, version: str, **changed: object) -> None:
        """One honest release, an hour after the one before: what was signed earlier has not yet expired."""
        self.add(version, **changed)  # type: ignore[arg-type]  # the facts are those of `facts`
        self.publish()
        self.targets.version += 1
        self.now += HOUR


def honest_history() -> tuple[Repository, list[Files]]:
    """A repository, and what it served after each of VERSIONS."""
    repository = Repository().begin()
    states = []
    for version in VERSIONS:
        repository.release(version)
        states.append(dict(repository.files))
    return repository, states


def serving(files: Mapping[str, bytes | Callable[[], Iterator[bytes]]]) -> Callable[[str], Iterable[bytes]]:
    """Fetch from a mapping; an entry may be an endless stream."""

    def fetch(url: str) -> Iterable[bytes]:
        found = files.get(url.removeprefix(f"{URL}/"))
        if found is None:
            raise DownloadHTTPError(url, 404)
        return [found] if isinstance(found, bytes) else found()

    return fetch


def device(home: Path, root: bytes, files: Mapping[str, bytes | Callable[[], Iterator[bytes]]]) -> Verifier:
    return Verifier(root, home=home, metadata_url=f"{URL}/metadata", fetch=serving(files))


def install(
    verifier: Verifier, files: Mapping[str, object], version: str, *, now: datetime, model: str = "B"
) -> tuple[Update, bytes]:
    """What a terminal does with an offer: find, download, check; returns what it would install. `RefusedError` otherwise."""
    update = verifier.find(version, model=model, hw="1", now=now)
    body = files.get(f"files/{update.path}")
    content = downloaded(body, limit=update.length) if body is not None else b""
    verifier.check(update, io.BytesIO(content))
    return update, content


def downloaded(body: object, *, limit: int) -> bytes:
    """As a terminal downloads: one byte beyond the signed length is enough to know."""
    if isinstance(body, bytes):
        return body[: limit + 1]
    assert callable(body)
    content = b""
    for chunk in body():
        content += chunk
        if len(content) > limit:
            break
    return content
