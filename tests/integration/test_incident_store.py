"""Incidents that the watch finds: its changes become rows, rows become what is tracked, and people's acts are heard."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from diagnostics.detector.observed import Fleet
from diagnostics.fleet_arrays import fleet_arrays
from diagnostics.incident_store import StoredHits, last_event, load_tracked, lock, said_since, save_changes, save_minutes
from diagnostics.incident_views import terminals_after
from diagnostics.incidents import (
    acknowledge,
    comment,
    declare,
    events_of,
    incident,
    minutes_of,
    open_incidents,
    open_incidents_of,
    reopen,
    resolve,
)
from diagnostics.tracking.tracked import Change, ChangeKind, Phase, Point, Said, Tracked
from diagnostics.troubles import Trouble
from fleet.clock import to_ms
from fleet.registry import all_terminals
from hotline.incident_words import event_text
from tests.integration.small_fleet import Conn, add_shops

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOW_MS = to_ms(NOW)


def fleet_of(conn: Conn) -> Fleet:
    """Two shops of two terminals with one carrier, two with another."""
    add_shops(conn, 2)
    add_shops(conn, 2, first=3, carrier="beta")
    return fleet_arrays(all_terminals(conn))


def found(key: int = 7, rows: Sequence[int] = (0, 1, 2), **fields: object) -> Tracked:
    one = Tracked(
        key=key,
        trouble=Trouble.NETWORK,
        scope=(("carrier", "alpha"),),
        phase=Phase.OPEN,
        began_ms=NOW_MS - 60_000,
        rows=np.array(rows, np.intp),
        hit_ms=np.array([NOW_MS - 60_000 + row for row in rows], np.int64),
        hits=len(rows),
        worst_hits=len(rows),
        score=31.5,
        opened_ms=NOW_MS,
        told_hits=len(rows),
        settled_ms=NOW_MS - 10_000,
        returns_ms=(NOW_MS - 90_000,),
    )
    return replace(one, **fields)  # type: ignore[arg-type]  # a table of any of its fields


def changed(kind: ChangeKind, one: Tracked, **details: object) -> Change:
    return Change(kind, one.key, NOW_MS, one, details)


def save(conn: Conn, fleet: Fleet, *changes: Change, stored: StoredHits | None = None) -> None:
    save_changes(conn, changes, fleet=fleet, stored={} if stored is None else stored, now=NOW)


def same(one: Tracked, other: Tracked) -> bool:
    """Equal in every field, arrays by their values."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        if isinstance(getattr(one, name), np.ndarray)
        else getattr(one, name) == getattr(other, name)
        for name in Tracked.__dataclass_fields__
    )


def test_an_opened_incident_touches_its_scope_and_says_who_was_hit(conn: Conn) -> None:
    fleet = fleet_of(conn)
    save(conn, fleet, changed(ChangeKind.OPENED, found()))
    (one,) = open_incidents(conn)
    assert (one.trouble, one.title, one.scope, one.state) == (Trouble.NETWORK, "", {"carrier": "alpha"}, "open")
    assert (one.began_at, one.opened_at, one.hits, one.terminals) == (NOW - MINUTE, NOW, 3, 4)
    assert [(t.terminal_id, t.hit_at is not None) for t in terminals_after(conn, one, limit=100)] == [
        ("T00001", True),
        ("T00002", True),
        ("T00003", True),
        ("T00004", False),
    ]
    assert [(e.kind, e.actor, e.data, e.replayed) for e in events_of(conn, one.id)] == [
        ("opened", "watch", {"hits": 3, "terminals": 3}, False)
    ]
    assert open_incidents_of(conn, ["T00004", "T00005"]) == {"T00004": [one], "T00005": []}


def test_what_was_stored_is_tracked_again_as_it_was(conn: Conn) -> None:
    fleet = fleet_of(conn)
    stored = found(acknowledged_ms=NOW_MS, phase=Phase.ACKNOWLEDGED, muted=True, latched=True, reopened=2)
    save(conn, fleet, changed(ChangeKind.OPENED, stored))
    (again,) = load_tracked(conn, fleet, now=NOW)
    assert same(again, stored)
    # Rows follow the terminals through a changed registry.
    conn.execute("DELETE FROM fleet.terminal WHERE id = 'T00001'")
    (moved,) = load_tracked(conn, fleet_arrays(all_terminals(conn)), now=NOW)
    assert moved.rows.tolist() == [0, 1]


def test_closed_incidents_are_tracked_for_a_day_unless_they_live_on_in_another(conn: Conn) -> None:
    fleet = fleet_of(conn)
    wide = found(key=1, scope=())
    merged = found(key=2, phase=Phase.CLOSED, closed_ms=NOW_MS, parent=1)
    save(
        conn,
        fleet,
        changed(ChangeKind.OPENED, wide),
        changed(ChangeKind.OPENED, found(key=2)),
        changed(ChangeKind.MERGED, merged, into=1),
        changed(ChangeKind.OPENED, found(key=3)),
        changed(ChangeKind.CLOSED, found(key=3, phase=Phase.CLOSED, closed_ms=NOW_MS)),
    )
    assert [one.key for one in load_tracked(conn, fleet, now=NOW + timedelta(hours=23))] == [1, 3]
    assert [one.key for one in load_tracked(conn, fleet, now=NOW + timedelta(hours=25))] == [1]
    (parent,) = open_incidents(conn)
    child = conn.execute("SELECT id FROM diagnostics.incident WHERE key = 2").fetchone()
    assert child
    assert incident(conn, child[0]).parent_id == parent.id
    assert events_of(conn, child[0])[-1].data["into"] == parent.id


def test_figures_are_stored_without_an_event_and_only_new_hits_are_added(conn: Conn) -> None:
    fleet, stored = fleet_of(conn), StoredHits()
    save(conn, fleet, changed(ChangeKind.OPENED, found()), stored=stored)
    grown = found(rows=(0, 1, 2, 3), hits=4, worst_hits=4)
    save(conn, fleet, changed(ChangeKind.FIGURES, grown), stored=stored)
    (one,) = open_incidents(conn)
    assert (one.hits, one.worst_hits) == (4, 4)
    assert [t.terminal_id for t in terminals_after(conn, one, limit=100) if t.hit_at] == ["T00001", "T00002", "T00003", "T00004"]
    assert [e.kind for e in events_of(conn, one.id)] == ["opened"]


def test_another_scope_leaves_out_who_was_only_in_the_first(conn: Conn) -> None:
    fleet = fleet_of(conn)
    save(conn, fleet, changed(ChangeKind.OPENED, found(scope=())))
    save(conn, fleet, changed(ChangeKind.SCOPE, found(), **{"from": {}, "trouble_from": Trouble.TX_SLOW}))
    (one,) = open_incidents(conn)
    assert [t.terminal_id for t in terminals_after(conn, one, limit=100)] == ["T00001", "T00002", "T00003", "T00004"]
    assert events_of(conn, one.id)[-1].data == {
        "from": {},
        "to": {"carrier": "alpha"},
        "trouble": found().trouble.value,
        "trouble_from": "tx_slow",
        "hits": 3,
        "terminals": 3,
    }


def test_an_incident_that_is_of_another_trouble_says_of_which(conn: Conn) -> None:
    save(conn, fleet_of(conn), changed(ChangeKind.SCOPE, found(), **{"from": {}, "trouble_from": Trouble.TX_SLOW}))
    (one,) = open_incidents(conn)
    said = event_text(events_of(conn, one.id)[-1], translate=str, language="en")
    assert said == "it is known better what is wrong: Network degraded; before, Bets slow to go through"


def test_candidates_are_nobodys_business(conn: Conn) -> None:
    save(conn, fleet_of(conn), changed(ChangeKind.FIGURES, found(phase=Phase.CANDIDATE)))
    assert open_incidents(conn) == []


def test_people_are_heard_once_and_what_they_did_is_not_told_twice(conn: Conn) -> None:
    fleet = fleet_of(conn)
    save(conn, fleet, changed(ChangeKind.OPENED, found()))
    (one,) = open_incidents(conn)
    declared = declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW)
    before = last_event(conn)
    acknowledge(conn, one.id, actor="maxime", now=NOW + MINUTE)
    comment(conn, one.id, actor="maxime", text="asked", now=NOW + MINUTE)
    acknowledge(conn, declared.id, actor="maxime", now=NOW + MINUTE)
    resolve(conn, one.id, actor="maxime", detail="", now=NOW + 2 * MINUTE)
    reopen(conn, one.id, actor="maxime", detail="", now=NOW + 3 * MINUTE)
    lock(conn, now=NOW)
    said, newest = said_since(conn, event_id=before)
    assert said == [
        Said(ChangeKind.ACKNOWLEDGED, 7, NOW_MS + 60_000),
        Said(ChangeKind.RESOLVED, 7, NOW_MS + 120_000),
        Said(ChangeKind.REOPENED, 7, NOW_MS + 180_000),
    ]
    assert said_since(conn, event_id=newest) == ([], newest)


def test_what_a_person_resolved_while_it_cleared_is_known_to_be_resolved_after_a_restart(conn: Conn) -> None:
    fleet = fleet_of(conn)
    clearing = found(phase=Phase.CLEARING, clearing_ms=NOW_MS, latched=True)
    save(conn, fleet, changed(ChangeKind.CLEARING, clearing))
    (one,) = open_incidents(conn)
    resolve(conn, one.id, actor="maxime", detail="", now=NOW + MINUTE)
    (again,) = load_tracked(conn, fleet, now=NOW + 2 * MINUTE)
    # What clears by itself has a time of clearing, and may come back at once.
    assert same(again, replace(clearing, phase=Phase.CLOSED, clearing_ms=None, latched=False, closed_ms=NOW_MS + 60_000))


def test_who_took_an_incident_on_stays_known_while_its_figures_change_and_not_when_it_comes_back(conn: Conn) -> None:
    fleet = fleet_of(conn)
    save(conn, fleet, changed(ChangeKind.OPENED, found()))
    (one,) = open_incidents(conn)
    acknowledge(conn, one.id, actor="maxime", now=NOW)
    save(conn, fleet, changed(ChangeKind.FIGURES, found(phase=Phase.ACKNOWLEDGED, acknowledged_ms=NOW_MS, hits=2)))
    assert (incident(conn, one.id).state, incident(conn, one.id).acknowledged_by) == ("acknowledged", "maxime")
    save(conn, fleet, changed(ChangeKind.REOPENED, found()))
    assert (incident(conn, one.id).state, incident(conn, one.id).acknowledged_by) == ("open", None)


def test_the_minutes_of_plots_are_stored_once(conn: Conn) -> None:
    fleet = fleet_of(conn)
    save(conn, fleet, changed(ChangeKind.OPENED, found()))
    (one,) = open_incidents(conn)
    for hits in (2, 3):
        save_minutes(conn, [Point(7, NOW_MS, hits, 4, 0, 4, {"rtt_ms": (4.12345, 0.1)}), Point(99, NOW_MS, 1, 1, 1, 1, {})])
    (minute,) = minutes_of(conn, one.id)
    assert (minute.inside_hit, minute.outside, minute.z) == (3.0, 4.0, {"rtt_ms": [4.123, 0.1]})
