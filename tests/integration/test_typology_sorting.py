"""Sorting beside a running watch: the feed goes on while it computes, and what people do meanwhile stands."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from diagnostics.typologies import candidates, grouping, matches, sorting, store
from diagnostics.typologies.matching import Matcher
from diagnostics.typologies.sorting import NoteMatcher, Sorter, SortingThread
from fleet.clock import system_clock
from fleet.feed import last_batch
from tests.integration.small_fleet import Conn, Said, add_shops, ingest
from tests.integration.typology_cases import add_incident, add_note
from vigie.commands.typology import group

NOW = system_clock()() - timedelta(minutes=5)
# A sorter that held the feed back would do so until the compute under trial ends: any bound shows it.
_ADVANCES_WITHIN_S = 3.0


@pytest.fixture
def db(database_url: str) -> Iterator[Conn]:
    """Notes and incidents that nothing known is like, and one that is known; each statement committed."""
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn:
        store.deliver(conn, now=NOW)
        terminals = add_shops(conn, 10)
        for number in range(6):
            text = f"le nouveau jeu spot du dimanche n'apparaît pas au menu {'ce matin' if number % 2 else ''}"
            add_note(conn, call=300 + number, text=text, at=NOW, terminals=[terminals[number]])
        for number in range(4):
            at = NOW - timedelta(days=number)
            odd = {"signal_dbm": 7.0, "disk_mb": 5.0 + number / 4, "clock_ms": -4.0}
            add_incident(conn, trouble="heat", scope={"agency": "AG01", "access": "4g"}, terminals=terminals[:8], at=at, z=odd)
        add_incident(conn, trouble="clock", scope={"lot": "L01"}, terminals=terminals, at=NOW, z={"clock_ms": 6.0})
        yield conn


class Feed:
    """Stores a batch whenever asked, as ingest does, and notes whether a reader of the feed may take it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.advanced: list[tuple[str, bool]] = []

    def during(self, what: str, compute: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self.advanced.append((what, self._advances()))
            return compute(*arguments, **named)

        return watched

    def _advances(self) -> bool:
        at = NOW + timedelta(seconds=len(self.advanced))
        with psycopg.connect(self._url, autocommit=True) as conn:
            before = last_batch(conn)
            with conn.transaction():
                ingest(conn, [Said("T00001", at)], received_at=at)
            deadline = time.monotonic() + _ADVANCES_WITHIN_S
            while last_batch(conn) <= before and time.monotonic() < deadline:
                time.sleep(0.02)
            return last_batch(conn) > before


@pytest.fixture
def feed(database_url: str, db: Conn, monkeypatch: pytest.MonkeyPatch) -> Feed:
    found = Feed(database_url)
    monkeypatch.setattr(sorting, "NoteMatcher", found.during("notes", NoteMatcher))
    monkeypatch.setattr(sorting, "Matcher", found.during("incidents", Matcher))
    monkeypatch.setattr(candidates, "clusters", found.during("groups", grouping.clusters))
    return found


def sorted_by_thread(url: str) -> None:
    with SortingThread(url, clock=lambda: NOW), psycopg.connect(url, autocommit=True) as conn:
        deadline = time.monotonic() + 20
        while {one.kind for one in candidates.offered(conn)} != {"incident", "note"}:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def sorted_by_command(url: str) -> None:
    done = CliRunner().invoke(group, ["sort"], env={"VIGIE_DATABASE_URL": url})
    assert done.exception is None, done.output
    assert "2 groups match nothing" in done.output


@pytest.mark.parametrize("sort", [sorted_by_thread, sorted_by_command])
def test_while_sorting_computes_the_feed_goes_on(database_url: str, feed: Feed, sort: Callable[[str], None]) -> None:
    sort(database_url)
    assert feed.advanced == [("notes", True), ("incidents", True), ("groups", True), ("groups", True)]


class Meanwhile(AbstractContextManager["Meanwhile"]):
    """Does something once while groups of notes are computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        self._patch, self._act, self._done = monkeypatch, act, threading.Event()

    def __enter__(self) -> "Meanwhile":
        def clusters(points: NDArray[np.float32], *, fewest: int) -> list[list[int]]:
            found = grouping.clusters(points, fewest=fewest)
            if fewest == grouping.FEWEST["note"] and not self._done.is_set():
                self._done.set()
                self._act()
            return found

        self._patch.setattr(candidates, "clusters", clusters)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._done.is_set()


def offered_notes(conn: Conn) -> Sequence[candidates.Candidate]:
    return [one for one in candidates.offered(conn) if one.kind == "note"]


def test_a_group_that_is_named_while_groups_are_computed_is_not_offered_again(db: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    Sorter().step(db, now=NOW, regroup=True)
    [before] = offered_notes(db)

    def name() -> None:
        said = {"name": {"fr": "Jeu absent"}, "description": {}, "answer": {}}
        with db.transaction():
            candidates.name_candidate(db, before.id, **said, actor="veille", now=NOW)

    with Meanwhile(monkeypatch, name):
        Sorter().step(db, now=NOW, regroup=True)
    assert offered_notes(db) == []
    assert sorted(candidates.members(db, before.id)) == list(range(300, 306))
    assert {one.decided_by for one in matches.of_refs(db, kind="note", refs=range(300, 306)).values()} == {"veille"}


def test_what_a_person_decided_meanwhile_leaves_its_group(db: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    def decide() -> None:
        matches.decide(db, kind="note", ref=303, typology_id=None, actor="veille", now=NOW)

    with Meanwhile(monkeypatch, decide):
        Sorter().step(db, now=NOW, regroup=True)
    [left] = offered_notes(db)
    assert (left.size, sorted(candidates.members(db, left.id))) == (5, [300, 301, 302, 304, 305])


def test_a_step_that_broke_off_is_done_by_the_next(db: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off() -> None:
        raise ConnectionError("the program ends")

    with pytest.raises(ConnectionError), Meanwhile(monkeypatch, break_off):
        Sorter().step(db, now=NOW, regroup=True)
    assert (len(matches.of_refs(db, kind="note", refs=range(300, 306))), offered_notes(db)) == (6, [])
    for _ in range(2):
        Sorter().step(db, now=NOW, regroup=True)
        assert [one.size for one in offered_notes(db)] == [6]
    assert {one.kind: one.size for one in candidates.offered(db)} == {"note": 6, "incident": 4}
