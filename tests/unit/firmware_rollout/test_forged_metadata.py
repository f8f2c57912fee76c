"""Forged metadata, by the hundred and from seeds: Vigie's check at the upload takes none of it."""

import random
from collections.abc import Callable

import pytest
from tuf.api.metadata import DelegatedRole, Delegations

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust.checking import check_targets
from firmware_rollout.trust.roles import LARGEST_METADATA_BYTES
from tests.signed_world import DAY, VERSIONS, Repository, honest_history, new_signers

EACH = 50


@pytest.fixture(scope="module")
def history() -> tuple[Repository, bytes]:
    """An honest repository about to publish targets 4, and targets 3."""
    repository, states = honest_history()
    return repository, states[-1]["metadata/3.targets.json"]


# Each makes targets metadata that follows targets 3 and must be refused.
Forgery = Callable[[Repository, bytes, random.Random], bytes]


def _cut(_: Repository, honest: bytes, rng: random.Random) -> bytes:
    return honest[: rng.randrange(len(honest))]


def _flipped(_: Repository, honest: bytes, rng: random.Random) -> bytes:
    """One letter of what is signed is another; none of the signatures holds then."""
    start, end = honest.index(b'"signed"') + 9, len(honest) - 1
    at = rng.randrange(start, end)
    other = rng.choice([letter for letter in b'az09{}"' if letter != honest[at]])
    return honest[:at] + bytes([other]) + honest[at + 1 :]


def _too_long(_: Repository, honest: bytes, rng: random.Random) -> bytes:
    return honest + b" " * (LARGEST_METADATA_BYTES - len(honest) + rng.randint(1, 1000))


def _one_key(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    return repository.sign(repository.targets, "targets", [rng.choice(repository.signers["targets"])])


def _strangers(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    """All keys but those that may; one of those at most."""
    others = [*new_signers()["targets"], *repository.signers["snapshot"], *repository.signers["root"]]
    return repository.sign(repository.targets, "targets", [*others, *rng.sample(repository.signers["targets"], rng.randint(0, 1))])


def _same_or_older_version(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    repository.targets.version = rng.randint(1, 3)
    return repository.sign(repository.targets, "targets")


def _forgotten(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    del repository.targets.targets[f"{rng.choice(VERSIONS)}/firmware"]
    return repository.sign(repository.targets, "targets")


def _changed(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    """Other bytes, or other facts, for a version that is there."""
    target = repository.targets.targets[f"{rng.choice(VERSIONS)}/firmware"]
    if rng.random() < 0.5:
        target.hashes["sha256"] = rng.randbytes(32).hex()
    else:
        target.unrecognized_fields["custom"]["models"] = ["A"]
    return repository.sign(repository.targets, "targets")


def _outdated(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    repository.targets.expires = repository.now - rng.random() * 300 * DAY
    return repository.sign(repository.targets, "targets")


def _renamed(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    repository.targets.targets[f"{rng.choice(['9.9.9', '4.5.1', '../4.5.0', ''])}/firmware"] = repository.targets.targets.pop(
        "4.5.0/firmware"
    )
    return repository.sign(repository.targets, "targets")


def _two_at_once(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    repository.add(f"5.0.{rng.randrange(9)}")
    return repository.sign(repository.targets, "targets")


def _delegating(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    key = new_signers()["snapshot"][0].public_key
    role = DelegatedRole("else", [key.keyid], 1, rng.random() < 0.5, paths=["*"])
    repository.targets.delegations = Delegations({key.keyid: key}, {"else": role})
    return repository.sign(repository.targets, "targets")


def _bad_facts(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    custom = repository.targets.targets["4.5.0/firmware"].unrecognized_fields["custom"]
    if rng.random() < 0.3:
        del custom[rng.choice(sorted(custom))]
    else:
        custom[rng.choice(sorted(set(custom) - {"notes"}))] = rng.choice(
            [None, 7, "", [], [1], {"a": 1}, "../../x", ["a b"], "4 5"]
        )
    return repository.sign(repository.targets, "targets")


def _wrong_role(repository: Repository, _: bytes, rng: random.Random) -> bytes:
    name = rng.choice(["metadata/timestamp.json", "metadata/1.root.json", "metadata/3.snapshot.json"])
    return repository.files[name]


FORGERIES: tuple[Forgery, ...] = (
    _cut,
    _flipped,
    _too_long,
    _one_key,
    _strangers,
    _same_or_older_version,
    _forgotten,
    _changed,
    _outdated,
    _renamed,
    _two_at_once,
    _delegating,
    _bad_facts,
    _wrong_role,
)


@pytest.mark.parametrize("forge", [pytest.param(forge, id=forge.__name__.strip("_").replace("_", " ")) for forge in FORGERIES])
def test_no_forged_metadata_is_accepted(history: tuple[Repository, bytes], forge: Forgery) -> None:
    repository, current = history
    root = repository.files["metadata/1.root.json"]
    for number in range(EACH):
        rng = random.Random(f"{forge.__name__} {number}")
        thief = repository.copy()
        thief.targets.expires = thief.now + 300 * DAY
        thief.add("4.5.0")
        honest = thief.sign(thief.targets, "targets")
        assert check_targets(root, current, honest, withdrawn=(), now=thief.now).version == 4
        with pytest.raises(ReleaseError):
            check_targets(root, current, forge(thief, honest, rng), withdrawn=(), now=thief.now)
