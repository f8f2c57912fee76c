"""Typologies in a real database: delivered, matched, grouped, edited, and what agents are told of them."""

import time
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from diagnostics.typologies import candidates, matches, store
from diagnostics.typologies.advice import advice_for, advice_for_incident
from diagnostics.typologies.sorting import Sorter, SortingThread
from tests.integration.small_fleet import Conn, add_shops
from tests.integration.typology_cases import add_events, add_incident, add_note, add_symptom

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.fixture
def terminals(conn: Conn) -> list[str]:
    store.deliver(conn, now=NOW - timedelta(days=30))
    return add_shops(conn, 20)


def code_of(conn: Conn, kind: str, ref: int) -> str | None:
    found = matches.of_refs(conn, kind=kind, refs=[ref])[ref]
    return None if found.typology_id is None else store.typology(conn, found.typology_id).code


def sort(conn: Conn, *, regroup: bool = False, now: datetime = NOW) -> None:
    Sorter().step(conn, now=now, regroup=regroup)


def test_delivery_adds_each_typology_once_and_leaves_edits_alone(conn: Conn, terminals: list[str]) -> None:
    known = store.typologies(conn)
    assert len(known) == 17
    assert all(one.version == 1 and one.answer_fr and one.answer_en and one.description("en") for one in known)
    printer = next(one for one in known if one.code == "printer_degraded")
    store.set_answer(conn, printer.id, answer={"fr": "Autre réponse."}, actor="veille", now=NOW)
    assert store.deliver(conn, now=NOW) == 0
    after = store.typology(conn, printer.id)
    assert (after.version, after.answer("fr"), after.answer("en")) == (2, "Autre réponse.", "Autre réponse.")
    assert [answer.version for answer in store.answers_of(conn, printer.id)] == [2, 1]


def test_an_incident_is_recognised_and_its_answer_reaches_its_terminals(conn: Conn, terminals: list[str]) -> None:
    hit = terminals[:16]
    incident = add_incident(
        conn, trouble="printer", scope={"firmware": "4.3.0", "model": "B"}, terminals=hit, at=NOW, z={"print_errors": 5.2}
    )
    add_events(conn, terminals=hit[:3], code="PAPER_JAM", at=NOW)
    sort(conn, now=NOW + timedelta(seconds=30))
    assert code_of(conn, "incident", incident) == "printer_degraded"
    [advice] = advice_for(conn, terminals=[hit[0], terminals[-1]])
    assert (advice.incident_id, advice.terminals, advice.version) == (incident, [hit[0]], 1)
    assert advice.text["fr"].startswith("Ouvrez le capot")
    found = advice_for_incident(conn, incident_id=incident)
    assert found is not None
    assert found.typology_id == advice.typology_id
    assert advice_for(conn, terminals=[terminals[-1]]) == []


def test_each_of_two_incidents_of_one_typology_has_the_answer(conn: Conn, terminals: list[str]) -> None:
    # Whoever shows one of them alone (a part of a wider one is not said twice) finds the answer with it.
    part, whole = (
        add_incident(conn, trouble="printer", scope=scope, terminals=terminals[:9], at=NOW, z={"print_errors": 6.0})
        for scope in ({"firmware": "4.3.0", "model": "B"}, {"model": "B"})
    )
    sort(conn, now=NOW + timedelta(seconds=30))
    assert code_of(conn, "incident", part) == code_of(conn, "incident", whole) == "printer_degraded"
    told = advice_for(conn, terminals=terminals[:2])
    assert [(one.incident_id, one.terminals) for one in told] == [(part, terminals[:2]), (whole, terminals[:2])]


def test_a_power_cut_and_a_network_outage_are_told_apart(conn: Conn, terminals: list[str]) -> None:
    outage = add_incident(conn, trouble="offline", scope={"carrier": "alpha", "region": "32"}, terminals=terminals[:10], at=NOW)
    cut = add_incident(conn, trouble="offline", scope={"department": "59"}, terminals=terminals[10:20], at=NOW)
    add_events(conn, terminals=terminals[10:20], code="POWER_LOSS", at=NOW)
    sort(conn, now=NOW + timedelta(minutes=1))
    assert (code_of(conn, "incident", outage), code_of(conn, "incident", cut)) == ("network_outage", "power_cut")


def test_a_lone_symptom_gets_the_answer_for_one_terminal_until_an_incident_explains_it(conn: Conn, terminals: list[str]) -> None:
    lone = add_symptom(conn, terminal=terminals[0], trouble="offline", at=NOW - timedelta(minutes=5))
    paper = add_symptom(conn, terminal=terminals[2], trouble="paper", at=NOW - timedelta(minutes=5))
    young = add_symptom(conn, terminal=terminals[4], trouble="paper", at=NOW - timedelta(seconds=30))
    sort(conn)
    assert (code_of(conn, "symptom", lone), code_of(conn, "symptom", paper)) == ("shop_line", "paper_out")
    assert young not in matches.of_refs(conn, kind="symptom", refs=[young])
    assert [advice.text["en"][:14] for advice in advice_for(conn, terminals=terminals[:1])] == ["I see no outag"]
    incident = add_incident(conn, trouble="offline", scope={"carrier": "alpha"}, terminals=terminals, at=NOW)
    sort(conn, now=NOW + timedelta(minutes=1))
    assert [advice.incident_id for advice in advice_for(conn, terminals=terminals[:1])] == [incident]
    assert lone not in matches.of_refs(conn, kind="symptom", refs=[lone])


def test_an_incident_of_calls_is_what_its_notes_are_about(conn: Conn, terminals: list[str]) -> None:
    said = ("Gagnant réglé moins que prévu.", "Refuse d'encaisser un reçu gagnant", "rapports pas à jour, versements contestés")
    known = add_incident(conn, trouble="calls", scope={}, terminals=terminals[:10], at=NOW - timedelta(minutes=10))
    other = add_incident(conn, trouble="calls", scope={}, terminals=terminals[20:30], at=NOW - timedelta(minutes=10))
    for number in range(6):
        add_note(
            conn, call=100 + number, text=said[number % 3], at=NOW - timedelta(minutes=9 - number), terminals=[terminals[number]]
        )
        add_note(
            conn,
            call=200 + number,
            text="le nouveau jeu du dimanche n'apparaît pas au menu",
            at=NOW,
            terminals=[terminals[20 + number]],
        )
    sort(conn)
    assert code_of(conn, "note", 101) == "settlement_error"
    assert (code_of(conn, "incident", known), code_of(conn, "incident", other)) == ("settlement_error", None)


def test_what_matches_nothing_is_offered_under_one_id_named_and_then_recognised(conn: Conn, terminals: list[str]) -> None:
    for number in range(6):
        add_note(
            conn,
            call=300 + number,
            text=f"le nouveau jeu spot du dimanche n'apparaît pas au menu {'ce matin' if number % 2 else ''}",
            at=NOW - timedelta(hours=number),
            terminals=[terminals[number]],
        )
    sort(conn, regroup=True)
    [group] = candidates.offered(conn)
    assert (group.kind, group.size) == ("note", 6)
    assert {"jeu", "spot", "menu", "dimanche"} & set(" ".join(group.shared["terms"]).split())
    add_note(conn, call=306, text="Nouveau jeu spot absent du menu dimanche", at=NOW, terminals=[terminals[9]])
    sort(conn, regroup=True, now=NOW + timedelta(minutes=15))
    [same] = candidates.offered(conn)
    assert (same.id, same.found_at, same.size) == (group.id, group.found_at, 7)
    made = candidates.name_candidate(
        conn,
        group.id,
        name={"fr": "Jeu absent du menu"},
        description={},
        answer={"fr": "Relancez le menu."},
        actor="veille",
        now=NOW,
    )
    assert candidates.offered(conn) == []
    assert store.typology(conn, made).name("en") == "Jeu absent du menu"
    add_note(conn, call=307, text="spot du dimanche pas dans le menu des jeux", at=NOW, terminals=[terminals[9]])
    sort(conn, regroup=True, now=NOW + timedelta(minutes=30))
    assert matches.of_refs(conn, kind="note", refs=[307])[307].typology_id == made
    with pytest.raises(store.TypologyError):
        candidates.dismiss_candidate(conn, group.id, name="rien", actor="veille", now=NOW)


def test_a_dismissed_group_takes_what_is_like_it_and_is_not_offered_again(conn: Conn, terminals: list[str]) -> None:
    for number in range(5):
        add_note(conn, call=400 + number, text="demande le calendrier des fêtes du quartier", at=NOW, terminals=[terminals[number]])
    sort(conn, regroup=True)
    [group] = candidates.offered(conn)
    candidates.dismiss_candidate(conn, group.id, name="calendrier", actor="veille", now=NOW)
    for number in range(5):
        add_note(conn, call=410 + number, text="demande encore le calendrier des fêtes", at=NOW, terminals=[terminals[number]])
    sort(conn, regroup=True, now=NOW + timedelta(minutes=15))
    assert candidates.offered(conn) == []
    assert len(store.typologies(conn)) == 17


def test_incidents_of_an_unknown_kind_are_grouped_by_what_they_share(conn: Conn, terminals: list[str]) -> None:
    for number in range(4):
        add_incident(
            conn,
            trouble="heat",
            scope={"agency": "AG01", "access": "4g"},
            terminals=terminals[:8],
            at=NOW - timedelta(days=number),
            closed_at=NOW - timedelta(days=number) + timedelta(hours=2),
            z={"signal_dbm": 7.0, "disk_mb": 5.0 + number / 4, "clock_ms": -4.0},
        )
    sort(conn, regroup=True)
    [group] = candidates.offered(conn)
    assert (group.kind, group.size) == ("incident", 4)
    assert group.shared["scope"] == {"access": 1.0, "agency": 1.0}
    assert set(group.shared["z"]) == {"signal_dbm", "disk_mb", "clock_ms"}
    made = candidates.name_candidate(conn, group.id, name={"en": "Odd heat"}, description={}, answer={}, actor="veille", now=NOW)
    again = add_incident(
        conn,
        trouble="heat",
        scope={"agency": "AG01"},
        terminals=terminals[:8],
        at=NOW,
        z={"signal_dbm": 6.0, "disk_mb": 5.0, "clock_ms": -3.0},
    )
    sort(conn, now=NOW + timedelta(minutes=1))
    assert matches.of_refs(conn, kind="incident", refs=[again])[again].typology_id == made


def test_what_a_person_decided_stays(conn: Conn, terminals: list[str]) -> None:
    incident = add_incident(conn, trouble="printer", scope={"model": "B"}, terminals=terminals[:9], at=NOW, z={"print_errors": 6.0})
    sort(conn)
    other = next(one.id for one in store.typologies(conn) if one.code == "paper_out")
    matches.decide(conn, kind="incident", ref=incident, typology_id=other, actor="veille", now=NOW)
    sort(conn, now=NOW + timedelta(minutes=1))
    assert code_of(conn, "incident", incident) == "paper_out"


def test_merging_moves_members_examples_and_refuses_itself(conn: Conn, terminals: list[str]) -> None:
    incident = add_incident(conn, trouble="heat", scope={"model": "B"}, terminals=terminals[:9], at=NOW, z={"board_c": 6.0})
    sort(conn)
    ids = {one.code: one.id for one in store.typologies(conn)}
    with pytest.raises(store.TypologyError, match="itself"):
        store.merge(conn, ids["overheating"], into=ids["overheating"], actor="veille", now=NOW)
    store.merge(conn, ids["overheating"], into=ids["disk_full"], actor="veille", now=NOW)
    assert code_of(conn, "incident", incident) == "disk_full"
    assert "ventilateur bruyant, surchauffe" in store.typology(conn, ids["disk_full"]).example_notes
    assert len(store.typologies(conn)) == 16


def test_days_are_days_of_paris(conn: Conn, terminals: list[str]) -> None:
    # 23:30 in Paris on the 23rd is 22:30 UTC; half past midnight on the 24th is 23:30 UTC.
    for minutes in (0, 60):
        at = datetime(2026, 11, 23, 22, 30, tzinfo=UTC) + timedelta(minutes=minutes)
        add_incident(
            conn, trouble="disk", scope={"model": "B"}, terminals=terminals[:9], at=at + timedelta(minutes=1), z={"disk_mb": -6.0}
        )
    sort(conn)
    counted = matches.daily_counts(conn, first=date(2026, 11, 23), last=date(2026, 11, 24))
    assert [(kind, day.day, count) for _, kind, day, count in counted] == [("incident", 23, 1), ("incident", 24, 1)]
    ids = {one.code: one.id for one in store.typologies(conn)}
    touched = matches.daily_terminals(conn, ids["disk_full"], first=date(2026, 11, 23), last=date(2026, 11, 24))
    assert [(day.day, count) for day, count in touched] == [(23, 9), (24, 9)]


def test_beside_a_watch_typologies_are_delivered_and_incidents_recognised_by_one_of_two(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        hit = add_shops(conn, 5)
        incident = add_incident(conn, trouble="clock", scope={"lot": "L01"}, terminals=hit, at=NOW, z={"clock_ms": 6.0})

    def clock() -> datetime:
        return NOW + timedelta(seconds=20)

    with SortingThread(database_url, clock=clock), SortingThread(database_url, clock=clock), psycopg.connect(database_url) as conn:
        deadline = time.monotonic() + 30
        while not (found := matches.of_refs(conn, kind="incident", refs=[incident])):
            conn.rollback()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert store.typology(conn, found[incident].typology_id or 0).code == "clock_drift"
        assert len(store.typologies(conn)) == 17
