"""Signed releases on a real database: taken in whole or not at all, kept, withdrawn, and their metadata renewed."""

import errno
import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from firmware_rollout.artifacts import FolderStore
from firmware_rollout.releases import ReleaseError, add_release, list_releases, release_of, withdraw_release
from firmware_rollout.trust.adding import trust_root
from firmware_rollout.trust.facts import FileFacts, file_facts
from firmware_rollout.trust.keeping import MetadataMetrics, keep_signed
from firmware_rollout.trust.keys import replace_keys
from firmware_rollout.trust.metadata_store import KEEP_ONLINE_VERSIONS, newest
from firmware_rollout.trust.online import Due, renew
from fleet.errors import VigieError
from tests.integration.signed_releases import NOW, Maker, add, holds, trusting
from tests.integration.small_fleet import Conn, add_shops

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def fleet(conn: Conn, maker: Maker) -> Conn:
    add_shops(conn, 2)
    trusting(conn, maker)
    return conn


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "store").rglob("*") if path.is_file())


def test_a_signed_release_is_added_with_its_facts_and_its_file(
    fleet: Conn, maker: Maker, store: FolderStore, tmp_path: Path
) -> None:
    file = maker.sign("4.3.0")
    added = add(fleet, store, maker, file)
    assert added is not None
    assert added == release_of(fleet, "4.3.0") == list_releases(fleet)[0]
    facts = file_facts(file)
    assert added.file is not None
    assert (added.file.filename, added.file.length, added.file.sha256) == (file.name, facts.length, facts.sha256)
    assert (added.models, added.hw, added.notes) == (["B"], ["1"], "what is new in 4.3.0")
    assert (added.fits("B", "1"), added.fits("B", "2"), added.fits("A", "1")) == (True, False, False)
    assert kept(tmp_path) == [facts.sha256]
    assert b"".join(store.read(facts.sha256, start=10, length=20)) == file.read_bytes()[10:30]
    held = newest(fleet)
    assert {role: one.version for role, one in held.items()} == {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 1}


def test_nothing_is_added_before_a_root_is_trusted(conn: Conn, maker: Maker, store: FolderStore) -> None:
    with pytest.raises(ReleaseError, match=r"root: none is trusted yet: `vigie release trust"):
        add(conn, store, maker, maker.sign("4.3.0"))


def test_an_altered_file_is_refused_and_nothing_is_left_of_it(
    fleet: Conn, maker: Maker, store: FolderStore, tmp_path: Path
) -> None:
    file = maker.sign("4.3.0")
    honest = file.read_bytes()
    for body, words in ((honest[:-1] + b"x", "not the one its maker signed"), (honest[:-1], "upload the signed one")):
        file.write_bytes(body)
        with pytest.raises(ReleaseError, match=f"file: .*{words}"):
            add(fleet, store, maker, file)
    assert (list_releases(fleet), set(newest(fleet)), kept(tmp_path)) == ([], {"root"}, [])


@pytest.mark.parametrize(
    ("signed", "words"),
    [
        pytest.param({"models": ("B", "Z")}, r"models: no terminal is of model Z; known: B", id="a model nobody has"),
        pytest.param({"hw": ("9",)}, r"hw: no terminal is of hardware 9; known: 1", id="hardware nobody has"),
    ],
)
def test_a_release_that_fits_no_terminal_is_refused(
    fleet: Conn, maker: Maker, store: FolderStore, signed: dict[str, tuple[str, ...]], words: str
) -> None:
    file = maker.sign("4.3.0", **signed)  # type: ignore[arg-type]  # the table's values are models or hardware
    with pytest.raises(ReleaseError, match=words):
        add(fleet, store, maker, file)


def test_a_version_is_the_same_bytes_for_ever(fleet: Conn, maker: Maker, store: FolderStore) -> None:
    add(fleet, store, maker, maker.sign("4.3.0"))
    honest = maker.signed
    maker.signed = None
    other = maker.sign("4.3.0", size=2000)
    with pytest.raises(ReleaseError, match=r"targets: version 1 is not above 1"):
        add(fleet, store, maker, other)
    maker.signed = honest
    copy = maker.sign("4.4.0")
    with_copy = maker.signed
    maker.sign_again(before=honest)
    with pytest.raises(ReleaseError, match=r"targets: name no new release for fw-4.4.0.swu"):
        add(fleet, store, maker, copy)
    maker.signed = with_copy
    with pytest.raises(ReleaseError, match=r"file: is needed: these targets bring release 4.4.0"):
        add(fleet, store, maker, None)
    add(fleet, store, maker, copy)
    withdraw_release(fleet, "4.4.0", why="prints upside down", now=NOW)
    with pytest.raises(ReleaseError, match=r"version: 4.4.0 was withdrawn on 2026-11-23: prints upside down"):
        withdraw_release(fleet, "4.4.0", why="again", now=NOW)


def test_a_declared_version_gets_its_file_later(fleet: Conn, maker: Maker, store: FolderStore) -> None:
    declared = add_release(fleet, version="4.2.1", models=["B"], notes="came with the terminals", now=NOW - DAY)
    assert declared.file is None
    added = add(fleet, store, maker, maker.sign("4.2.1"))
    assert added is not None
    assert added.file is not None
    assert added.added_at == declared.added_at


def test_a_withdrawn_release_may_be_left_out_of_what_is_signed(fleet: Conn, maker: Maker, store: FolderStore) -> None:
    for version in ("4.3.0", "4.4.0"):
        add(fleet, store, maker, maker.sign(version))
    maker.sign_again(before=maker.signed, without="4.3.0")
    with pytest.raises(ReleaseError, match="leaves out release 4"):
        add(fleet, store, maker, None)
    withdraw_release(fleet, "4.3.0", why="a hole", now=NOW)
    assert add(fleet, store, maker, None) is None
    assert {role: one.version for role, one in newest(fleet).items()} == {"root": 1, "targets": 3, "snapshot": 3, "timestamp": 3}
    again = maker.sign("4.3.0", size=2000)
    with pytest.raises(ReleaseError, match=r"version: 4.3.0 was used before"):
        add(fleet, store, maker, again)


def test_a_crash_while_a_file_is_kept_leaves_no_release_and_the_next_attempt_succeeds(
    fleet: Conn, maker: Maker, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = maker.sign("4.3.0")

    def power_cut(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", power_cut)
        with pytest.raises(KeyboardInterrupt):
            add(fleet, store, maker, file)
    assert (list_releases(fleet), kept(tmp_path)) == ([], [])
    add(fleet, store, maker, file)
    assert [release.version for release in list_releases(fleet)] == ["4.3.0"]


def test_a_folder_that_takes_no_file_is_said_by_the_name_of_its_setting(
    fleet: Conn, maker: Maker, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = maker.sign("4.3.0")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(VigieError, match=r"release_store: .*/store does not take .*: No space left on device"):
            add(fleet, store, maker, file)
    assert (list_releases(fleet), kept(tmp_path)) == ([], [])
    (tmp_path / "in-the-way").write_bytes(b"")
    with pytest.raises(VigieError, match=r"release_store: .*in-the-way does not take .*: Not a directory"):
        add(fleet, FolderStore(tmp_path / "in-the-way"), maker, file)


def test_parts_of_a_killed_upload_are_cleared_away_in_time(store: FolderStore, maker: Maker, tmp_path: Path) -> None:
    file = maker.sign("4.3.0")
    facts = file_facts(file)
    folder = tmp_path / "store" / facts.sha256[:2]
    folder.mkdir(parents=True)
    old, young = folder / ".part-old", folder / ".part-young"
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.put(file, facts)
    assert (old.exists(), young.exists()) == (False, True)
    assert holds(store, facts.sha256, facts.length)
    assert not holds(store, facts.sha256, facts.length + 1)


def test_a_part_that_vanishes_while_parts_are_looked_through_is_no_trouble(
    store: FolderStore, maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = maker.sign("4.3.0")
    facts = file_facts(file)
    vanished = tmp_path / "store" / facts.sha256[:2] / ".part-of-another"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([vanished]))
    store.put(file, facts)
    assert holds(store, facts.sha256, facts.length)


def test_another_files_facts_are_never_kept(store: FolderStore, maker: Maker, tmp_path: Path) -> None:
    file = maker.sign("4.3.0")
    facts: FileFacts = replace(file_facts(file), sha512="0" * 128)
    with pytest.raises(ReleaseError, match="not the one its maker signed"):
        store.put(file, facts)
    assert kept(tmp_path) == []


def test_the_rollout_renews_metadata_and_prunes_what_nobody_asks_for(fleet: Conn, maker: Maker, store: FolderStore) -> None:
    add(fleet, store, maker, maker.sign("4.3.0"))
    metrics = MetadataMetrics(CollectorRegistry())
    for step in range(1, KEEP_ONLINE_VERSIONS + 3):
        keep_signed(fleet, keys=str(maker.online), now=NOW + step * 13 * HOUR, metrics=metrics)
    counted = dict(fleet.execute("SELECT role, count(*) FROM firmware_rollout.metadata GROUP BY 1").fetchall())
    assert (counted["root"], counted["targets"], counted["timestamp"]) == (1, 1, KEEP_ONLINE_VERSIONS)
    last = NOW + (KEEP_ONLINE_VERSIONS + 2) * 13 * HOUR
    assert renew(fleet, keys=maker.online, now=last) == {}
    assert newest(fleet)["timestamp"].expires_at == last + DAY


def test_without_its_keys_the_rollout_says_so_and_goes_on(fleet: Conn, maker: Maker, store: FolderStore, tmp_path: Path) -> None:
    add(fleet, store, maker, maker.sign("4.3.0"))
    metrics = MetadataMetrics(CollectorRegistry())
    (tmp_path / "empty").mkdir()
    keep_signed(fleet, keys=str(tmp_path / "empty"), now=NOW + DAY, metrics=metrics)
    assert metrics.unsigned._value.get() == 1
    assert newest(fleet)["timestamp"].version == 1


def test_releases_that_nobody_signs_are_told_also_where_there_are_no_keys(
    fleet: Conn, maker: Maker, store: FolderStore, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = MetadataMetrics(CollectorRegistry())
    keep_signed(fleet, keys="", now=NOW, metrics=metrics)
    assert metrics.unsigned._value.get() == 0, "there is no release yet"
    add(fleet, store, maker, maker.sign("4.3.0"))
    keep_signed(fleet, keys="", now=NOW + HOUR, metrics=metrics)
    assert metrics.unsigned._value.get() == 0, "another machine has signed"
    keep_signed(fleet, keys="", now=NOW + 2 * DAY, metrics=metrics)
    assert metrics.unsigned._value.get() == 1
    assert "terminals install nothing, for want of a fresh timestamp" in caplog.text


def test_a_rotated_root_is_trusted_in_turn_and_signs_anew(fleet: Conn, maker: Maker, store: FolderStore, tmp_path: Path) -> None:
    add(fleet, store, maker, maker.sign("4.3.0"))
    keys = maker.folder / "keys"
    second = replace_keys(keys, ["timestamp", "targets-1"], out=tmp_path / "second", now=NOW)
    with pytest.raises(ReleaseError, match="root: version 1 cannot follow 1"):
        trust_root(fleet, maker.root, now=NOW)
    trust_root(fleet, second, now=NOW)
    with pytest.raises(ReleaseError, match="lacks the timestamp key"):
        renew(fleet, keys=maker.online, now=NOW)
    (maker.online / "timestamp.pem").write_bytes((tmp_path / "second/online/timestamp.pem").read_bytes())
    assert renew(fleet, keys=maker.online, now=NOW) == {"timestamp": Due.KEY_CHANGED}


def test_a_long_file_passes_in_constant_memory(store: FolderStore, tmp_path: Path) -> None:
    file = tmp_path / "long.bin"
    with file.open("wb") as opened:
        opened.truncate(32 << 20)
    tracemalloc.start()
    facts = file_facts(file)
    store.put(file, facts)
    assert sum(map(len, store.read(facts.sha256, start=0, length=facts.length))) == 32 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


def test_of_two_uploads_at_once_one_is_added_and_the_other_told_why(database_url: str, maker: Maker, store: FolderStore) -> None:
    with psycopg.connect(database_url) as conn:
        add_shops(conn, 2)
        trusting(conn, maker)
    file, at_once = maker.sign("4.3.0"), threading.Barrier(2)

    def upload() -> str:
        with psycopg.connect(database_url) as conn:
            at_once.wait(30)
            try:
                add(conn, store, maker, file)
            except ReleaseError as refused:
                return refused.field
        return "added"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(future.result(60) for future in [pool.submit(upload), pool.submit(upload)])
    assert outcomes == ["added", "targets"]
    with psycopg.connect(database_url) as conn:
        assert [release.version for release in list_releases(conn)] == ["4.3.0"]
