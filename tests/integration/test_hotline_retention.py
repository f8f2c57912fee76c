"""What is past its time is forgotten, what is not stays, and doing it again changes nothing."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from diagnostics.incidents import comment, declare, events_of
from hotline.accounts import add_agent
from hotline.attendance import attendance, note_present
from hotline.audit import COMMAND_LINE, SAW, Deed, entries, record
from hotline.masking import FORGOTTEN
from hotline.notes import notes_of, write_note
from hotline.retention import Forgotten, forget
from hotline.roles import Role
from hotline.settings import RetentionOfCalls

NOW = datetime.now(UTC)
SETTINGS = RetentionOfCalls(keep_numbers_days=90, keep_notes_days=200, keep_audit_days=365, keep_attendance_days=300)


def call(conn: psycopg.Connection, name: str, *, days: int, direction: str = "in", number: str = "+33199001234") -> int:
    """A call so many days old, with a note that holds a number."""
    shop, us = ("to_number", "from_number") if direction == "out" else ("from_number", "to_number")
    row = conn.execute(
        f"INSERT INTO hotline.call (call_id, direction, state, {shop}, {us}, rang_at, ended_at)"
        " VALUES (%s, %s, 'ended', %s, '3008', %s, %s) RETURNING id",
        [name, direction, number, NOW - timedelta(days=days), NOW - timedelta(days=days)],
    ).fetchone()
    assert row is not None
    note = "imprimante, rappeler au 06 39 98 12 34"
    write_note(conn, call=row[0], author="alice", agent_id=None, text=note, now=NOW - timedelta(days=days))
    return int(row[0])


def numbers(conn: psycopg.Connection, call: int) -> tuple[str, str]:
    row = conn.execute("SELECT from_number, to_number FROM hotline.call WHERE id = %s", [call]).fetchone()
    assert row is not None
    return row[0], row[1]


def test_old_numbers_are_forgotten_and_the_calls_stay(conn: psycopg.Connection) -> None:
    young, old = call(conn, "young", days=89), call(conn, "old", days=91)
    out = call(conn, "out", days=91, direction="out")
    withheld = call(conn, "withheld", days=91, number="")
    assert forget(conn, settings=SETTINGS, now=NOW) == Forgotten(numbers=2, texts=3, notes=0, attendance=0, audit=0)
    assert numbers(conn, young) == ("+33199001234", "3008")
    assert numbers(conn, old) == (FORGOTTEN, "3008")
    assert numbers(conn, out) == ("3008", FORGOTTEN)
    assert numbers(conn, withheld) == ("", "3008")
    assert [note.text for note in notes_of(conn, call=old)] == [f"imprimante, rappeler au {FORGOTTEN}"]
    assert "06 39 98" in notes_of(conn, call=young)[0].text
    assert forget(conn, settings=SETTINGS, now=NOW) == Forgotten(numbers=0, texts=0, notes=0, attendance=0, audit=0)


def test_old_notes_go_whole(conn: psycopg.Connection) -> None:
    young, old = call(conn, "young", days=199), call(conn, "old", days=201)
    assert forget(conn, settings=SETTINGS, now=NOW).notes == 1
    assert (len(notes_of(conn, call=young)), notes_of(conn, call=old)) == (1, [])


def test_why_a_call_was_passed_on_is_forgotten_like_a_note(conn: psycopg.Connection) -> None:
    for days in (89, 91, 201):
        conn.execute(
            "INSERT INTO hotline.handover (call, author, at, reason, state, settled_at)"
            " VALUES (%s, 'alice', %s, 'rappeler au 06 39 98 12 34', 'withdrawn', %s)",
            [call(conn, str(days), days=days), NOW - timedelta(days=days), NOW],
        )
    forget(conn, settings=SETTINGS, now=NOW)
    assert [reason for (reason,) in conn.execute("SELECT reason FROM hotline.handover ORDER BY at DESC").fetchall()] == [
        "rappeler au 06 39 98 12 34",
        f"rappeler au {FORGOTTEN}",
        "",
    ]


def test_what_is_learnt_from_notes_never_holds_a_number(conn: psycopg.Connection) -> None:
    call(conn, "new", days=0)
    assert conn.execute("SELECT detail FROM fleet.signal WHERE kind = 'note'").fetchall() == [
        (f"imprimante, rappeler au {FORGOTTEN}",)
    ]


@pytest.mark.parametrize(
    ("state", "due_days_ago", "kept"),
    [
        pytest.param("open", 89, True, id="still to be made"),
        pytest.param("open", 91, False, id="long overdue"),
        pytest.param("done", 89, False, id="made"),
    ],
)
def test_a_callbacks_number_stays_while_somebody_may_still_call(
    conn: psycopg.Connection, state: str, due_days_ago: int, kept: bool
) -> None:
    made, due = NOW - timedelta(days=100), NOW - timedelta(days=due_days_ago)
    conn.execute(
        "INSERT INTO hotline.callback (call, made_by_abandon, number, made_at, due_at, state, done_at)"
        " VALUES (%s, false, '+33199001234', %s, %s, %s, %s)",
        [call(conn, "old", days=100), made, due, state, NOW if state == "done" else None],
    )
    forget(conn, settings=SETTINGS, now=NOW)
    assert conn.execute("SELECT number = '+33199001234' FROM hotline.callback").fetchall() == [(kept,)]


def test_numbers_that_stand_for_an_agent_are_forgotten_and_extensions_stay(conn: psycopg.Connection) -> None:
    for days in (89, 91):
        one = call(conn, str(days), days=days)
        conn.execute(
            "UPDATE hotline.call SET answered_as = 'sip:+33639981234@pbx', users = '{4021,0639981234,4022}' WHERE id = %s", [one]
        )
        conn.execute(
            "INSERT INTO hotline.leg (call, number, kind, level, floor, agent_as, began_at)"
            " VALUES (%s, 1, 'agent', 1, 'own', '0639981234', %s)",
            [one, NOW - timedelta(days=days)],
        )
    forget(conn, settings=SETTINGS, now=NOW)
    kept = conn.execute(
        "SELECT c.answered_as, c.users, l.agent_as FROM hotline.call c JOIN hotline.leg l ON l.call = c.id ORDER BY c.rang_at DESC"
    ).fetchall()
    assert kept == [
        ("sip:+33639981234@pbx", ["4021", "0639981234", "4022"], "0639981234"),
        (f"sip:{FORGOTTEN}@pbx", ["4021", FORGOTTEN, "4022"], FORGOTTEN),
    ]
    assert forget(conn, settings=SETTINGS, now=NOW).texts == 0


def test_numbers_in_what_was_said_of_an_incident_are_forgotten(conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO fleet.point_of_sale VALUES ('PV1', 'Bar', '13', '93', 'AG04', 'Europe/Paris', 'Mo-Su 00:00-24:00')")
    conn.execute(
        "INSERT INTO fleet.terminal (id, point_of_sale, model, hw, firmware, access, carrier, lot, password_hash)"
        " VALUES ('T00012', 'PV1', 'B', '2', '4.2.1', '4g', 'beta', 'L07', '-')"
    )
    declared = declare(conn, scope={}, title="Coupure", advice="", actor="veille", now=NOW - timedelta(days=91))
    comment(conn, declared.id, actor="veille", text="joint au 06 39 98 12 34, terminal T00012", now=NOW - timedelta(days=91))
    forget(conn, settings=SETTINGS, now=NOW)
    said = [event.detail for event in events_of(conn, declared.id) if event.kind == "commented"]
    assert said == [f"joint au {FORGOTTEN}, terminal T00012"]


def test_who_was_there_is_forgotten_in_its_time(conn: psycopg.Connection) -> None:
    ann = add_agent(conn, login="ann", name="Ann", role=Role.LEVEL1, password="a-long-test-password")
    for days in (299, 301):
        note_present(conn, agents=[ann.id], now=NOW - timedelta(days=days))
    assert forget(conn, settings=SETTINGS, now=NOW).attendance == 1
    assert len(attendance(conn, since=NOW - timedelta(days=400), until=NOW)[ann.id]) == 1


def test_a_clock_ahead_of_the_databases_forgets_numbers_all_the_same(database_url: str) -> None:
    ahead = RetentionOfCalls(keep_numbers_days=90, keep_notes_days=200, keep_audit_days=181, keep_attendance_days=300)
    with psycopg.connect(database_url, autocommit=True) as conn:
        old = call(conn, "old", days=91)
        record(conn, [Deed(COMMAND_LINE, SAW, "179", {})], now=NOW - timedelta(days=179))
        assert forget(conn, settings=ahead, now=NOW + timedelta(days=5)).audit == 0
        assert numbers(conn, old) == (FORGOTTEN, "3008")


def test_what_cannot_go_keeps_nothing_else_back(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        old = call(conn, "old", days=91)
        conn.execute("ALTER TABLE hotline.audit RENAME TO audit_away")
        with pytest.raises(psycopg.errors.UndefinedTable):
            forget(conn, settings=SETTINGS, now=NOW)
        assert numbers(conn, old) == (FORGOTTEN, "3008")


def test_the_audit_outlives_the_numbers_and_goes_in_its_time(conn: psycopg.Connection) -> None:
    for days in (364, 366):
        record(conn, [Deed(COMMAND_LINE, SAW, f"{days}", {})], now=NOW - timedelta(days=days))
    assert forget(conn, settings=SETTINGS, now=NOW).audit == 1
    assert [row.route for row in entries(conn)] == ["364"]


def test_the_settings_cannot_ask_for_what_the_database_refuses() -> None:
    with pytest.raises(ValueError, match="keep_audit_days"):
        RetentionOfCalls(keep_numbers_days=90, keep_notes_days=200, keep_audit_days=180, keep_attendance_days=300)
