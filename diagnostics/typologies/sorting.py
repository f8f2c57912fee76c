"""Puts everything into typologies, step by step: loads what is new, matches it, stores it, and now and then looks for groups.

It runs beside the watch, as a thread with its own connection; one instance works at a time, another takes over when it ends.
What is costly is computed while no transaction is open: one that has written anything holds back the watch's feed until it ends.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from diagnostics.typologies import candidates, matches
from diagnostics.typologies.matching import I64, LEAST_LIKENESS, MATCHED_BELOW, Match, Matcher, best_elsewhere, p_values
from diagnostics.typologies.notes import NoteSpace, similarities, without_itself
from diagnostics.typologies.signature import F32, Bool
from diagnostics.typologies.store import Typology, deliver, typologies
from diagnostics.typologies.things import (
    LOOKED_BACK,
    MOST_NOTES,
    MOST_THINGS,
    Thing,
    forget_explained,
    incidents_to_match,
    notes_to_match,
    recent_notes,
    symptoms_to_match,
)
from fleet.alone import run_alone
from fleet.clock import Clock
from fleet.database import Connection

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK = 0x7661_6769_0007
# An incident is recognised at most so long after it opened.
EVERY_S: Final = 15.0
# Grouping takes a second of the watch's processor.
REGROUP_EVERY_S: Final = 1800.0
# The words in use drift slowly: the space of notes is built anew so often, of so many notes.
_SPACE_LASTS_S: Final = 1800.0
_CORPUS: Final = 2000
# A note less alike than this matches nothing, however rare: few examples are an experiment that proves little.
_LEAST_ALIKE: Final = 0.25
_STOP_WITHIN_S: Final = 30.0
# Once all that waited is matched only what is younger can be new: what incidents explain would be looked through over and over.
_FRESH_SYMPTOMS, _FRESH_NOTES = timedelta(hours=2), timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Sorted:
    """What one step did."""

    incidents: int
    symptoms: int
    notes: int
    offered: int | None


class NoteMatcher:
    """Matches notes with the typologies' examples; p is found as in `diagnostics.typologies.matching`."""

    def __init__(self, examples: Sequence[tuple[int, Sequence[str]]], corpus: Sequence[str] = ()) -> None:
        """`examples` are typologies' ids with their notes; `corpus` are other notes, for the language they are written in."""
        self._ids = [typology for typology, notes in examples if notes]
        texts = [note for _, notes in examples for note in notes]
        self._labels = np.repeat(np.arange(len(self._ids)), [len(notes) for _, notes in examples if notes])
        self._space = NoteSpace([*texts, *corpus]) if len(texts) > 1 else None
        if self._space is not None:
            self._examples = self._space.points(texts)
            own = without_itself(self._examples, self._labels, len(self._ids))
            self._null = best_elsewhere(own, self._labels, _kin(own, self._labels, len(self._ids)))

    def match(self, texts: Sequence[str]) -> list[Match]:
        """The nearest typology of each note."""
        if self._space is None or not texts:
            return [Match(None, False, 0.0, 1.0) for _ in texts]
        near = similarities(self._space.points(texts), self._examples, self._labels, len(self._ids))
        best = near.argmax(axis=1)
        nearest = near[np.arange(len(near)), best]
        p = p_values(nearest, self._null)
        return [
            Match(self._ids[place], bool(chance <= MATCHED_BELOW and likeness >= _LEAST_ALIKE), float(likeness), float(chance))
            for place, likeness, chance in zip(best.tolist(), nearest, p, strict=True)
        ]


class Sorter:
    """Steps that share what is costly to build; `step` may be called by any one thread."""

    def __init__(self) -> None:
        self._notes: NoteMatcher | None = None
        self._notes_of: object = None
        self._built_s = 0.0
        self._caught_up = False

    def step(self, conn: Connection, *, now: datetime, regroup: bool) -> Sorted:
        """Match what is new; with `regroup`, also look for groups among what matches nothing.

        Give it an autocommit connection: each part reads, computes, and is then stored in a short transaction of its own. Whoever
        ends between two loses nothing: what is not stored waits for the next step, what is stored is only written again.
        """
        known = typologies(conn, states=("known", "dismissed"))
        notes = self._match_notes(conn, known, now=now)
        with matches.writing(conn):
            forget_explained(conn, now=now)
        incidents = self._titled(conn, known, incidents_to_match(conn, now=now), now=now)
        symptoms = symptoms_to_match(conn, now=now, back=_FRESH_SYMPTOMS if self._caught_up else LOOKED_BACK)
        if incidents or symptoms:
            # A thing must not be its own stranger.
            ours = {thing.ref for thing in incidents}
            unknown = [signature for ref, signature in matches.strangers(conn, now=now) if ref not in ours]
            matcher = Matcher(matches.known_typologies(conn), unknown)
            self._save(conn, "incident", incidents, matcher.match([thing.signature for thing in incidents]), now=now)
            lone = matcher.match([thing.signature for thing in symptoms])
            self._save(conn, "symptom", symptoms, [_by_likeness(match) for match in lone], now=now)
        self._caught_up |= notes < MOST_NOTES and len(symptoms) < MOST_THINGS
        offered = candidates.regroup(conn, now=now) if regroup else None
        return Sorted(len(incidents), len(symptoms), notes, offered)

    def _match_notes(self, conn: Connection, known: Sequence[Typology], *, now: datetime) -> int:
        found = notes_to_match(conn, now=now, back=_FRESH_NOTES if self._caught_up else LOOKED_BACK)
        if not found:
            return 0
        matched = self._matcher(conn, known, now=now).match([note.text for note in found])
        results = [
            matches.Matched("note", note.ref, note.at, match, {"digest": _digest(note.text)})
            for note, match in zip(found, matched, strict=True)
        ]
        with matches.writing(conn):
            matches.save(conn, results, now=now)
        return len(found)

    def _titled(self, conn: Connection, known: Sequence[Typology], things: Sequence[Thing], *, now: datetime) -> list[Thing]:
        """What people declared is what its title says: no telemetry tells of it."""
        titles = [thing.title for thing in things if thing.title]
        said = dict(zip(titles, self._matcher(conn, known, now=now).match(titles) if titles else (), strict=True))
        return [
            replace(thing, signature=replace(thing.signature, words=_all_of(said[thing.title]))) if thing.title else thing
            for thing in things
        ]

    def _matcher(self, conn: Connection, known: Sequence[Typology], *, now: datetime) -> NoteMatcher:
        """The matcher of the examples as they are now."""
        state = tuple((one.id, tuple(one.example_notes)) for one in known)
        if self._notes is None or self._notes_of != state or time.monotonic() - self._built_s > _SPACE_LASTS_S:
            self._notes = NoteMatcher(state, recent_notes(conn, now=now, most=_CORPUS))
            self._notes_of, self._built_s = state, time.monotonic()
        return self._notes

    def _save(self, conn: Connection, kind: str, things: Sequence[Thing], found: Sequence[Match], *, now: datetime) -> None:
        results = [
            matches.Matched(kind, thing.ref, thing.at, match, thing.signature.to_json())
            for thing, match in zip(things, found, strict=True)
        ]
        with matches.writing(conn):
            matches.save(conn, results, now=now)


class SortingThread:
    """The sorter beside a running watch, for as long as the `with` block lasts; its end waits for the step under way."""

    def __init__(self, url: str, *, clock: Clock) -> None:
        self._url, self._clock = url, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="typologies", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        run_alone(self._url, self._work, program="typologies", lock=LOCK, stop=self._stop)

    def _work(self, conn: Connection) -> None:
        with conn.transaction():
            deliver(conn, now=self._clock())
        sorter, regrouped = Sorter(), -REGROUP_EVERY_S
        while not self._stop.is_set():
            due = time.monotonic() - regrouped >= REGROUP_EVERY_S
            done = sorter.step(conn, now=self._clock(), regroup=due)
            if due:
                regrouped = time.monotonic()
                log.info("%s groups match no typology", done.offered, extra={"action": "regroup", "offered": done.offered})
            self._stop.wait(EVERY_S)


def _kin(own: F32, labels: I64, count: int) -> Bool:
    """Each typology with itself and with the one that its examples are most like (count, count).

    An outage and a poor link share their words: without one, the other's notes are of a kind that is known after all.
    """
    likeness = np.array([own[labels == place].mean(axis=0) for place in range(count)])
    np.fill_diagonal(likeness, -1.0)
    found = np.eye(count, dtype=bool)
    found[np.arange(count), likeness.argmax(axis=1)] = True
    kin: Bool = found | found.T
    return kin


def _all_of(match: Match) -> dict[int, float] | None:
    return {match.typology: 1.0} if match.matched and match.typology is not None else None


def _by_likeness(match: Match) -> Match:
    """A lone symptom's trouble is one of those the typologies were made for: likeness alone decides."""
    return match._replace(matched=match.similarity >= LEAST_LIKENESS)


def _digest(text: str) -> str:
    """As PostgreSQL's md5() gives it: tells a note that was written anew."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
