"""Attacks on a terminal's update, by the hundred and from seeds: none may install anything its maker did not sign as current.

Each attack begins from an honest repository of three releases, which does install, and changes what the attacker could.
"""

import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root, Targets

from firmware_rollout.trust.keys import signed_by
from firmware_rollout.trust.roles import ROLES
from simulators.verifying import LIMITS, Refusal, RefusedError
from tests.signed_world import (
    DAY,
    HOUR,
    VERSIONS,
    Repository,
    device,
    firmware,
    honest_history,
    install,
    new_signers,
    root_of,
)

EACH = 64
ONLINE_FILES = ("metadata/timestamp.json", "metadata/3.snapshot.json", "metadata/3.targets.json")
Served = dict[str, Any]


@dataclass
class Attack:
    """What the device is served, what it is offered, what it had seen before (an index into VERSIONS), and when."""

    files: Served
    now: datetime
    version: str = VERSIONS[-1]
    seen: int | None = None
    model: str = "B"
    # The words that are right; empty: any refusal, or an installation of exactly what the maker signed.
    expected: set[Refusal] = field(default_factory=set)


@dataclass
class World:
    """The honest past, and device folders that have seen it up to a release."""

    repository: Repository
    states: list[dict[str, bytes]]
    seen: list[Path]

    @property
    def root(self) -> bytes:
        return self.states[0]["metadata/1.root.json"]

    @property
    def now(self) -> datetime:
        """Within the last release's hour, when what the earlier ones said has not expired."""
        return self.repository.now - HOUR / 2

    def attack(self, rng: random.Random) -> Attack:
        """No attack yet: the honest files, for a new terminal or one that has seen an earlier release."""
        return Attack(dict(self.states[-1]), self.now, seen=rng.choice([None, 0, 1, 2]))

    def thief(self) -> Repository:
        """The repository with the honest content of now, about to publish another version."""
        copy = self.repository.copy()
        copy.now = self.now
        return copy


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a folder: a thousand terminals write some six files each."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


@pytest.fixture
def homes(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def world(folder: Path) -> World:
    repository, states = honest_history()
    seen = []
    for number, files in enumerate(states):
        home = folder / f"seen {number}"
        verifier = device(home, states[0]["metadata/1.root.json"], files)
        verifier.find(VERSIONS[number], model="B", hw="1", now=repository.now - HOUR / 2)
        seen.append(home)
    return World(repository, states, seen)


def tampered_bytes(world: World, rng: random.Random) -> Attack:
    """Some bytes of one metadata file are others, more or fewer."""
    attack = world.attack(rng)
    name = rng.choice(ONLINE_FILES)
    body = bytearray(attack.files[name])
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(body)), rng.randint(0, 3)
        body[at : at + length] = rng.randbytes(rng.randint(0, 3)) if rng.random() < 0.7 else body[: rng.randint(1, 20)]
    attack.files[name] = bytes(body)
    return attack


def tampered_fields(world: World, rng: random.Random) -> Attack:
    """A field says something else; where it is the maker's, the thief has Vigie's keys and signs everything around it anew."""
    attack = world.attack(rng)
    role = rng.choice(["timestamp", "snapshot", "targets", "targets"])
    name = {"timestamp": "metadata/timestamp.json"}.get(role, f"metadata/3.{role}.json")
    document = json.loads(attack.files[name])
    _change(document["signed"], rng)
    attack.files[name] = json.dumps(document).encode()
    if role == "targets":
        thief = world.thief()
        thief.targets.version = 3
        thief.publish(targets=attack.files[name])
        attack.files = dict(thief.files)
    else:
        attack.seen = None
    attack.expected = {Refusal.UNSIGNED, Refusal.UNREADABLE, Refusal.MIXED, Refusal.TOO_LONG}
    return attack


def _change(node: dict[str, Any], rng: random.Random) -> None:
    """Change one value somewhere in a document; the expiry and everything below are values too."""
    key = rng.choice(sorted(node))
    value = node[key]
    if isinstance(value, dict) and value:
        _change(value, rng)
    elif isinstance(value, int):
        node[key] = value + rng.choice([-1, 1, 1000])
    elif isinstance(value, str):
        node[key] = value + "0" if not value or rng.random() < 0.3 else _other(value, rng)
    else:
        node[key] = [*value, "X"] if isinstance(value, list) else "X"


def _other(value: str, rng: random.Random) -> str:
    at = rng.randrange(len(value))
    return value[:at] + rng.choice([letter for letter in "0123456789abcdef" if letter != value[at]]) + value[at + 1 :]


def truncated_metadata(world: World, rng: random.Random) -> Attack:
    attack = world.attack(rng)
    attack.seen = None
    name = rng.choice(ONLINE_FILES)
    attack.files[name] = attack.files[name][: rng.randrange(len(attack.files[name]))]
    attack.expected = {Refusal.UNREADABLE, Refusal.MIXED}
    return attack


def endless_metadata(world: World, rng: random.Random) -> Attack:
    """A file that goes on for ever, honest beginning or not: no more than its limit is ever read."""
    attack = world.attack(rng)
    attack.seen = None
    name = rng.choice([*ONLINE_FILES, "metadata/2.root.json"])
    begin = attack.files.get(name, b"")
    limit = LIMITS.root_max_length if "root" in name else LIMITS.timestamp_max_length
    attack.files[name] = endless(begin if rng.random() < 0.5 else b"", rng.choice([b" ", b"\x00", b'{"a":']), limit=limit)
    attack.expected = {Refusal.TOO_LONG}
    return attack


def endless(begin: bytes, more: bytes, *, limit: int) -> Callable[[], Iterator[bytes]]:
    def stream() -> Iterator[bytes]:
        yield begin
        sent = len(begin)
        while True:
            assert sent <= limit + 2**16, "read on beyond the limit"
            sent += len(more) * 2**13
            yield more * 2**13

    return stream


def rolled_back(world: World, rng: random.Random) -> Attack:
    """What was true earlier is served again, unexpired and rightly signed."""
    seen = rng.choice([1, 2])
    old = rng.randrange(seen)
    files: Served = dict(world.states[old])
    if rng.random() < 0.4:
        # Everything is there, only the newest word is missing.
        files = {**world.states[-1], "metadata/timestamp.json": files["metadata/timestamp.json"]}
    return Attack(files, world.now, version=VERSIONS[rng.randint(0, old)], seen=seen, expected={Refusal.ROLLED_BACK})


def frozen(world: World, rng: random.Random) -> Attack:
    """The terminal is kept from news: what it is served was the truth, until it expired."""
    state = rng.randrange(len(VERSIONS))
    stamp = json.loads(world.states[state]["metadata/timestamp.json"])["signed"]["expires"]
    now = datetime.fromisoformat(stamp) + rng.random() * 300 * DAY
    seen = rng.choice([None, *range(state + 1)])
    return Attack(dict(world.states[state]), now, version=VERSIONS[rng.randint(0, state)], seen=seen, expected={Refusal.EXPIRED})


def mixed(world: World, rng: random.Random) -> Attack:
    """Each file is genuine and current in its own time; together they never were."""
    attack = world.attack(rng)
    stamp, snapshot, targets = rng.choice([(a, b, c) for a in range(3) for b in range(3) for c in range(3) if len({a, b, c}) > 1])
    # Whoever has seen this timestamp before has all that belongs to it, and asks for nothing.
    attack.seen = rng.choice([None, *range(stamp)])
    attack.files["metadata/timestamp.json"] = world.states[stamp]["metadata/timestamp.json"]
    for number in (1, 2, 3):
        attack.files[f"metadata/{number}.snapshot.json"] = world.states[-1][f"metadata/{snapshot + 1}.snapshot.json"]
        attack.files[f"metadata/{number}.targets.json"] = world.states[-1][f"metadata/{targets + 1}.targets.json"]
    attack.version = VERSIONS[rng.randrange(3)]
    attack.expected = {Refusal.MIXED, Refusal.ROLLED_BACK, Refusal.TOO_LONG}
    return attack


def stolen_key(world: World, rng: random.Random) -> Attack:
    """The thief has one of the maker's keys *and* Vigie's two, and says the same key's word several times."""
    thief = world.thief()
    _put_evil(thief, rng)
    one = rng.choice(world.repository.signers["targets"])
    body = signed_by(thief.targets, [one])
    if rng.random() < 0.7:
        document = json.loads(body)
        others = [signer.public_key.keyid for signer in world.repository.signers["targets"] if signer is not one]
        document["signatures"] += [{**document["signatures"][0], "keyid": keyid} for keyid in others]
        body = json.dumps(document).encode()
    thief.publish(targets=body)
    return replace(world.attack(rng), files=thief.files, version=_evil_version(thief), expected={Refusal.UNSIGNED})


def _put_evil(thief: Repository, rng: random.Random) -> None:
    """Another file for the newest version, or a version of its own."""
    thief.add(rng.choice([VERSIONS[-1], "9.9.9"]), firmware("evil", str(rng.random())))
    thief.targets.expires = thief.now + ROLES["targets"].life


def _evil_version(thief: Repository) -> str:
    return "9.9.9" if "9.9.9/firmware" in thief.targets.targets else VERSIONS[-1]


def too_few_signatures(world: World, rng: random.Random) -> Attack:
    """Honest content, but some role lacks a signature it needs."""
    thief = world.thief()
    role = rng.choice(["targets", "snapshot", "timestamp"])
    keys = rng.sample(world.repository.signers[role], ROLES[role].threshold - 1)
    thief.publish(by={role: keys})
    return replace(world.attack(rng), files=thief.files, expected={Refusal.UNSIGNED})


def wrong_signer(world: World, rng: random.Random) -> Attack:
    """One or more roles sign with keys of their own making."""
    thief = world.thief()
    own = new_signers()
    _put_evil(thief, rng)
    roles = {"targets", *rng.sample(["snapshot", "timestamp"], rng.randint(0, 2))}
    thief.publish(by={role: own[role] for role in roles})
    return replace(world.attack(rng), files=thief.files, version=_evil_version(thief), expected={Refusal.UNSIGNED})


def usurped_root(world: World, rng: random.Random) -> Attack:
    """A next root hands every role to the thief's keys; at most one of the old root keys signed it."""
    own, thief = new_signers(), world.thief()
    root = root_of(own, version=rng.choice([2, 2, 2, 3, 1]), now=thief.now)
    stolen = rng.sample(world.repository.signers["root"], rng.randint(0, 1))
    thief.files["metadata/2.root.json"] = signed_by(root, [*own["root"], *stolen])
    _put_evil(thief, rng)
    thief.publish(by=own)
    files = thief.files
    return replace(world.attack(rng), files=files, version=_evil_version(thief), expected={Refusal.UNSIGNED, Refusal.ROLLED_BACK})


def revoked_key(world: World, rng: random.Random) -> Attack:
    """The root has replaced a stolen key; it and one more key of the maker sign, as was once enough."""
    thief = world.thief()
    gone, stolen = rng.sample(world.repository.signers["targets"], 2)
    root = Metadata[Root].from_bytes(world.root).signed
    root.version = 2
    root.revoke_key(gone.public_key.keyid, "targets")
    thief.files["metadata/2.root.json"] = signed_by(root, world.repository.signers["root"][:2])
    _put_evil(thief, rng)
    thief.publish(by={"targets": [gone, stolen]})
    return replace(world.attack(rng), files=thief.files, version=_evil_version(thief), expected={Refusal.UNSIGNED})


def altered_file(world: World, rng: random.Random) -> Attack:
    """The metadata is honest, the file is not: other bytes, fewer, more, none, without end, another release's."""
    attack = world.attack(rng)
    version = attack.version = VERSIONS[rng.randrange(3)]
    name = next(name for name in attack.files if name.startswith(f"files/{version}/"))
    body = bytearray(attack.files[name])
    at = rng.randrange(len(body))
    body[at] ^= 1 << rng.randrange(8)
    other = rng.choice([one for one in VERSIONS if one != version])
    attack.files[name] = rng.choice(
        [
            bytes(body),
            attack.files[name][:at],
            attack.files[name] + rng.randbytes(rng.randint(1, 9)),
            b"",
            endless(attack.files[name], b"\x00", limit=len(attack.files[name])),
            firmware(other),
        ]
    )
    attack.expected = {Refusal.WRONG_FILE}
    return attack


def renamed_target(world: World, rng: random.Random) -> Attack:
    """A rightly signed target stands in the place of another version's: an old one passed off as new."""
    thief = world.thief()
    old, new = rng.sample(VERSIONS, 2)
    path = f"{new}/firmware"
    thief.targets.targets[path] = replaced = _target_of(thief, old)
    thief.files[f"files/{new}/{replaced.hashes['sha256']}.firmware"] = firmware(old)
    thief.publish()
    return replace(world.attack(rng), files=thief.files, version=new, expected={Refusal.WRONG_FACTS})


def _target_of(repository: Repository, version: str) -> Any:
    """A copy, so that the honest one keeps its place."""
    body = Metadata(repository.targets).to_bytes()
    return Metadata[Targets].from_bytes(body).signed.targets[f"{version}/firmware"]


def wrong_length(world: World, rng: random.Random) -> Attack:
    """The maker's own slip: length or hash are not the file's."""
    thief = world.thief()
    target = thief.targets.targets[f"{VERSIONS[-1]}/firmware"]
    if rng.random() < 0.5:
        target.length += rng.choice([-1, 1, 10_000, -target.length])
    else:
        kind = rng.choice(["sha256", "sha512"])
        target.hashes[kind] = _other(target.hashes[kind], rng)
        thief.files[f"files/{VERSIONS[-1]}/{target.hashes['sha256']}.firmware"] = firmware(VERSIONS[-1])
    thief.publish()
    return replace(world.attack(rng), files=thief.files, expected={Refusal.WRONG_FILE})


def not_for_this_terminal(world: World, rng: random.Random) -> Attack:
    attack = world.attack(rng)
    return replace(attack, model=rng.choice(["A", "C", "b", ""]), version=rng.choice(VERSIONS), expected={Refusal.DOES_NOT_FIT})


ATTACKS = (
    tampered_bytes,
    tampered_fields,
    truncated_metadata,
    endless_metadata,
    rolled_back,
    frozen,
    mixed,
    stolen_key,
    too_few_signatures,
    wrong_signer,
    usurped_root,
    revoked_key,
    altered_file,
    renamed_target,
    wrong_length,
    not_for_this_terminal,
)


def attempt(world: World, attack: Attack, home: Path) -> Refusal | None:
    """Let a terminal try; None: it would have installed what its maker signed, byte for byte."""
    if attack.seen is not None:
        shutil.copytree(world.seen[attack.seen], home, symlinks=True)
    try:
        verifier = device(home, world.root, attack.files)
        update, content = install(verifier, attack.files, attack.version, now=attack.now, model=attack.model)
    except RefusedError as refused:
        return refused.reason
    honest = world.repository.targets.targets[f"{attack.version}/firmware"]
    assert content == firmware(attack.version), "another file was installed"
    assert update.signed == honest, "other facts were believed"
    return None


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__.replace("_", " ")) for kind in ATTACKS])
def test_no_attack_is_installed(world: World, homes: Path, kind: Callable[[World, random.Random], Attack]) -> None:
    for number in range(EACH):
        attack = kind(world, random.Random(f"{kind.__name__} {number}"))
        reason = attempt(world, attack, homes / str(number))
        assert not attack.expected or reason in attack.expected, f"attack {number}: {reason}"


def test_the_attacks_are_a_thousand_and_more() -> None:
    assert EACH * len(ATTACKS) >= 1_000


@pytest.mark.parametrize("seen", [None, 0, 1, 2])
def test_what_attacks_begin_from_is_installed(world: World, homes: Path, seen: int | None) -> None:
    for version in VERSIONS:
        attack = Attack(dict(world.states[-1]), world.now, version=version, seen=seen)
        assert attempt(world, attack, homes / version) is None


def test_an_honest_rotation_of_every_key_is_followed(world: World, homes: Path) -> None:
    fresh, repository = new_signers(), world.thief()
    root = root_of(fresh, version=2, now=repository.now)
    repository.files["metadata/2.root.json"] = signed_by(root, [*world.repository.signers["root"][1:], *fresh["root"]])
    repository.signers = fresh
    repository.publish()
    attack = Attack(dict(repository.files), world.now, seen=2)
    assert attempt(world, attack, homes / "home") is None


def test_a_thief_who_counted_far_ahead_is_undone_by_new_keys(world: World, homes: Path) -> None:
    thief = world.thief()
    thief.online = 1_000_000
    thief.publish()
    assert attempt(world, Attack(dict(thief.files), world.now), homes / "home") is None, "honest content, absurd versions"
    honest = Attack(dict(world.states[-1]), world.now)
    assert attempt(world, honest, homes / "home") is Refusal.ROLLED_BACK, "the terminal is stuck"
    keys = {**world.repository.signers, **{role: new_signers()[role] for role in ("snapshot", "timestamp")}}
    mended = world.thief()
    mended.files["metadata/2.root.json"] = signed_by(root_of(keys, version=2, now=mended.now), keys["root"])
    mended.signers = keys
    mended.publish()
    assert attempt(world, Attack(dict(mended.files), world.now), homes / "home") is None
