"""Keys, the maker's signing, what Vigie accepts of it, and Vigie's own short-lived word."""

import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root, Targets

from firmware_rollout.releases import ReleaseError
from firmware_rollout.trust import signing
from firmware_rollout.trust.checking import check_root, check_targets
from firmware_rollout.trust.facts import FileFacts, checked_chunks, facts_of, file_facts
from firmware_rollout.trust.keys import make_keys, parsed, read_root, replace_keys, signed_by, signers_of
from firmware_rollout.trust.metadata_store import Stored
from firmware_rollout.trust.online import Due, expiring, is_due, sign_role
from firmware_rollout.trust.roles import ROLES
from simulators.verifying import LIMITS
from tests.signed_world import BEGIN, DAY, HOUR, VERSIONS, Repository, firmware, honest_history, new_signers, root_of


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maker") / "keys"
    make_keys(folder, now=BEGIN)
    return folder


@pytest.fixture(scope="module")
def root(keys: Path) -> bytes:
    return read_root(keys)


@pytest.fixture(scope="module")
def history() -> tuple[Repository, bytes]:
    """An honest repository about to publish targets 4, and targets 3."""
    repository, states = honest_history()
    return repository, states[-1]["metadata/3.targets.json"]


def signed(keys: Path, file: Path, version: str = "4.3.0", before: bytes | None = None) -> bytes:
    root = read_root(keys)
    facts = signing.describe(file, version=version, models=["B"], hw=["1"], notes="faster")
    signers = signers_of(keys, parsed(Root, root, "root").signed, "targets")
    return signing.sign_release(facts, root=root, signers=signers, before=before, now=BEGIN).body


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fw-4.3.0.swu"
    path.write_bytes(firmware("4.3.0"))
    return path


def test_keys_are_readable_by_their_owner_only_and_never_made_over_others(keys: Path) -> None:
    private = sorted(keys.rglob("*.pem"))
    assert [path.name for path in private] == [
        *(f"{role}-{number}.pem" for role in ("root", "targets") for number in (1, 2, 3)),
        "snapshot.pem",
        "timestamp.pem",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    with pytest.raises(ReleaseError, match=r"out: .*not empty"):
        make_keys(keys, now=BEGIN)


def test_keys_are_not_made_inside_a_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(ReleaseError, match=r"out: .*don't belong there"):
        make_keys(tmp_path / "a" / "keys", now=BEGIN)


def test_what_the_maker_signs_is_accepted_with_its_facts(keys: Path, root: bytes, file: Path) -> None:
    accepted = check_targets(root, None, signed(keys, file), withdrawn=(), now=BEGIN)
    assert (accepted.version, accepted.expires_at) == (1, BEGIN + ROLES["targets"].life)
    facts = accepted.brings
    assert facts is not None
    assert (facts.version, facts.models, facts.hw, facts.notes, facts.filename) == ("4.3.0", ["B"], ["1"], "faster", file.name)
    assert facts.file == file_facts(file)


def test_one_holder_is_not_enough_and_a_second_completes_it(keys: Path, root: bytes, file: Path) -> None:
    trusted = parsed(Root, root, "root").signed
    one, two, _ = signers_of(keys, trusted, "targets")
    facts = signing.describe(file, version="4.3.0", models=["B"], hw=["1"], notes="")
    first = signing.sign_release(facts, root=root, signers=[one], before=None, now=BEGIN)
    assert (first.signatures, first.threshold) == (1, 2)
    with pytest.raises(ReleaseError, match=r"targets: lacks signatures .*cosign"):
        check_targets(root, None, first.body, withdrawn=(), now=BEGIN)
    twice = signing.cosign(first.body, root=root, signers=[one])
    assert twice.signatures == 1, "the same holder twice is one holder"
    both = signing.cosign(first.body, root=root, signers=[two])
    assert both.signatures == 2
    assert check_targets(root, None, both.body, withdrawn=(), now=BEGIN).brings == facts
    assert any("4.3.0" in line and facts.file.sha256 in line for line in signing.described(both.body))


def test_signing_carries_on_what_was_signed_before(keys: Path, root: bytes, file: Path) -> None:
    first = signed(keys, file)
    second = signed(keys, file, "4.4.0", before=first)
    assert check_targets(root, first, second, withdrawn=(), now=BEGIN).version == 2
    with pytest.raises(ReleaseError, match=r"version: 4.3.0 was signed before"):
        signed(keys, file, "4.3.0", before=second)
    trusted = parsed(Root, root, "root").signed
    signers = signers_of(keys, trusted, "targets")
    less = signing.sign_again(root=root, signers=signers, before=second, without="4.3.0", now=BEGIN).body
    with pytest.raises(ReleaseError, match=r"targets: leaves out release 4.3.0"):
        check_targets(root, second, less, withdrawn=(), now=BEGIN)
    assert check_targets(root, second, less, withdrawn=("4.3.0",), now=BEGIN).brings is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"version": "4.3"}, "version: '4.3' is not of the form", id="no version"),
        pytest.param({"version": "04.3.0"}, "version: ", id="leading zeros"),
        pytest.param({"models": []}, "models: name what it fits", id="fits no model"),
        pytest.param({"hw": ["1", "two words"]}, "hw: name what it fits", id="no hardware's name"),
        pytest.param({"notes": "x" * 5000}, "notes: are longer", id="endless notes"),
    ],
)
def test_a_release_that_cannot_be_is_not_signed(file: Path, changed: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"version": "4.3.0", "models": ["B"], "hw": ["1"], "notes": ""}
    with pytest.raises(ReleaseError, match=words):
        signing.describe(file, **{**given, **changed})


def test_an_empty_or_missing_file_is_not_signed(tmp_path: Path) -> None:
    empty = tmp_path / "empty.bin"
    empty.touch()
    for path, words in ((empty, "is empty"), (tmp_path / "none.bin", "cannot be read")):
        with pytest.raises(ReleaseError, match=f"file: .*{words}"):
            signing.describe(path, version="4.3.0", models=["B"], hw=["1"], notes="")


def test_an_altered_file_never_comes_to_its_end(file: Path) -> None:
    facts = file_facts(file)
    with file.open("rb") as opened:
        assert b"".join(checked_chunks(opened, facts)) == file.read_bytes()
    for body in (b"x" + file.read_bytes()[1:], file.read_bytes()[:-1], file.read_bytes() + b"x", b""):
        file.write_bytes(body)
        passed: list[bytes] = []
        with file.open("rb") as opened, pytest.raises(ReleaseError, match="file: "):
            passed.extend(checked_chunks(opened, facts))
        assert sum(map(len, passed)) < facts.length


def test_a_stolen_key_is_replaced_and_worth_nothing_afterwards(keys: Path, root: bytes, file: Path, tmp_path: Path) -> None:
    new = replace_keys(keys, ["targets-2", "root-1", "snapshot"], out=tmp_path / "new", now=BEGIN + DAY)
    assert check_root(root, new, now=BEGIN + DAY).version == 2
    assert sorted(path.name for path in (tmp_path / "new").rglob("*.pem")) == ["root-1.pem", "snapshot.pem", "targets-2.pem"]
    trusted, before = parsed(Root, new, "root").signed, parsed(Root, root, "root").signed
    stolen = signers_of(keys, before, "targets")[1]
    left = signers_of(keys, trusted, "targets")
    assert [signer.public_key.keyid for signer in left] == [before.roles["targets"].keyids[place] for place in (0, 2)]
    targets = parsed(Targets, signed(keys, file), "targets").signed
    check_targets(new, None, signed_by(targets, left), withdrawn=(), now=BEGIN)
    with pytest.raises(ReleaseError, match="lacks signatures"):
        check_targets(new, None, signed_by(targets, [stolen, left[0]]), withdrawn=(), now=BEGIN)


def test_two_lost_root_keys_are_too_many(keys: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    for name in ("root-3.pem", "root.json"):
        (left / name).write_bytes((keys / "offline" / name).read_bytes())
    with pytest.raises(ReleaseError, match="root: is not signed by enough keys"):
        replace_keys(left, ["root-1", "root-2"], out=tmp_path / "new", now=BEGIN)
    assert not (tmp_path / "new").exists(), "and nothing half-made is left"


def weaker(change: Callable[[Root], object]) -> tuple[bytes, bytes]:
    """A root, and a next one by all its holders that `change` made weaker."""
    signers = new_signers()
    first, second = root_of(signers), root_of(signers, version=2)
    change(second)
    return signed_by(first, signers["root"]), signed_by(second, signers["root"])


def _one_key_for_targets(root: Root) -> None:
    root.roles["targets"].threshold = 1


def _not_consistent(root: Root) -> None:
    root.consistent_snapshot = False


def _online_key_for_root(root: Root) -> None:
    key = root.keys[root.roles["timestamp"].keyids[0]]
    root.add_key(key, "root")


def _jump(root: Root) -> None:
    root.version = 3


def _expired(root: Root) -> None:
    root.expires = BEGIN - DAY


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(_one_key_for_targets, "lets 1 key speak for targets", id="one key would be enough"),
        pytest.param(_not_consistent, "consistent snapshots", id="files could be mixed"),
        pytest.param(_online_key_for_root, "uses one key more than once", id="an online key speaks for the root"),
        pytest.param(_jump, "version 3 cannot follow 1", id="a root was left out"),
        pytest.param(_expired, "expired on", id="expired"),
    ],
)
def test_a_weak_root_is_refused_whoever_signed_it(change: Callable[[Root], object], words: str) -> None:
    first, second = weaker(change)
    with pytest.raises(ReleaseError, match=f"root: .*{words}"):
        check_root(first, second, now=BEGIN)


def test_another_makers_signatures_are_called_so(root: bytes, file: Path, tmp_path: Path) -> None:
    """More signatures of the same kind would not help, and no root between them either."""
    theirs = make_keys(tmp_path / "theirs", now=BEGIN)
    with pytest.raises(ReleaseError, match=r"root: none of the keys of root 1, .* signed it: it is another maker's"):
        check_root(root, theirs, now=BEGIN)
    with pytest.raises(ReleaseError, match=r"targets: are signed by other keys than those that root 1, which is trusted here"):
        check_targets(root, None, signed(tmp_path / "theirs", file), withdrawn=(), now=BEGIN)


def test_what_devices_would_give_up_on_is_not_taken_in(root: bytes) -> None:
    limits = {role: getattr(LIMITS, f"{role}_max_length") for role in ROLES}
    assert limits == {role: rule.longest for role, rule in ROLES.items()}
    check_root(None, root + b" " * (limits["root"] - len(root)), now=BEGIN)
    with pytest.raises(ReleaseError, match="root: is longer than 64,000 bytes"):
        check_root(None, root + b" " * (limits["root"] - len(root) + 1), now=BEGIN)


def test_targets_of_an_expired_root_are_refused(keys: Path, root: bytes, file: Path) -> None:
    later = BEGIN + ROLES["root"].life
    targets = parsed(Targets, signed(keys, file), "targets").signed
    targets.expires = later + DAY
    body = signed_by(targets, signers_of(keys, parsed(Root, root, "root").signed, "targets"))
    assert check_targets(root, None, body, withdrawn=(), now=later - DAY).brings is not None
    with pytest.raises(ReleaseError, match=r"targets: .* root .* expired on 2028-11-22"):
        check_targets(root, None, body, withdrawn=(), now=later)


def held_of(repository: Repository) -> dict[str, Stored]:
    root, targets = repository.files["metadata/1.root.json"], repository.files["metadata/3.targets.json"]
    return {
        "root": Stored("root", 1, root, parsed(Root, root, "root").signed.expires),
        "targets": Stored("targets", 3, targets, parsed(Targets, targets, "targets").signed.expires),
    }


@pytest.fixture(scope="module")
def online(history: tuple[Repository, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("online")
    for role in ("snapshot", "timestamp"):
        (folder / f"{role}.pem").write_bytes(history[0].signers[role][0].private_bytes)
    return folder


def test_snapshot_and_timestamp_are_renewed_when_due_and_only_then(history: tuple[Repository, bytes], online: Path) -> None:
    held = held_of(history[0])
    assert is_due({}, now=BEGIN) == {}, "nothing to speak of yet"

    def renewed(now: Any) -> dict[str, Due]:
        due = is_due(held, now=now)
        for role in due:
            held[role] = sign_role(held, role, keys=online, now=now)
        assert is_due(held, now=now) == {}, "an unchanged world changes nothing"
        return due

    assert renewed(BEGIN) == {"snapshot": Due.NONE_YET, "timestamp": Due.NONE_YET}
    assert renewed(BEGIN + 11 * HOUR) == {}
    assert renewed(BEGIN + 12 * HOUR) == {"timestamp": Due.AGES}
    assert renewed(BEGIN + 3.5 * DAY) == {"snapshot": Due.AGES, "timestamp": Due.AGES}
    assert (held["snapshot"].version, held["timestamp"].version) == (2, 3)

    held["targets"] = replace(held["targets"], version=4)
    assert is_due(held, now=BEGIN + 3.5 * DAY) == {"snapshot": Due.RELEASES_CHANGED, "timestamp": Due.RELEASES_CHANGED}


def test_a_rotated_online_key_signs_anew_and_a_missing_one_is_named(history: tuple[Repository, bytes], online: Path) -> None:
    repository = history[0]
    held = held_of(repository)
    for role in ("snapshot", "timestamp"):
        held[role] = sign_role(held, role, keys=online, now=BEGIN)
    fresh = {**repository.signers, "timestamp": new_signers()["timestamp"]}
    held["root"] = replace(held["root"], body=signed_by(root_of(fresh, version=2), fresh["root"]), version=2)
    assert is_due(held, now=BEGIN) == {"timestamp": Due.KEY_CHANGED}
    with pytest.raises(ReleaseError, match=r"keys: .*lacks the timestamp key"):
        sign_role(held, "timestamp", keys=online, now=BEGIN)


def test_the_makers_metadata_tells_in_time_that_it_ends(history: tuple[Repository, bytes]) -> None:
    held = held_of(history[0])
    assert expiring(held, now=BEGIN + 300 * DAY) == {}
    assert set(expiring(held, now=BEGIN + 340 * DAY)) == {"targets"}
    assert set(expiring(held, now=BEGIN + timedelta(days=700))) == {"root", "targets"}


def test_facts_survive_signing(history: tuple[Repository, bytes]) -> None:
    targets = Metadata[Targets].from_bytes(history[1]).signed
    found = [facts_of(target) for target in targets.targets.values()]
    assert sorted(facts.version for facts in found) == list(VERSIONS)
    assert all(isinstance(facts.file, FileFacts) for facts in found)
