"""The rollout's audit on a real database: chained, append-only, and able to tell that it was tampered with."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from firmware_rollout.audit import GENESIS, Entry, canonical, check_chain, entries_of, is_in, note, tell_head, verify
from tests.integration.small_fleet import Conn

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def fill(conn: Conn, rows: int = 5) -> None:
    for row in range(rows):
        note(conn, actor="sacha", deed="paused", campaign_id=None, details={"why": f"{row} \u2028 é", "at": NOW}, now=NOW)


def tamper(conn: Conn, statement: str) -> None:
    conn.execute("ALTER TABLE firmware_rollout.audit DISABLE TRIGGER audit_is_for_ever")
    conn.execute(statement)


def test_a_chain_that_nobody_touched_holds(conn: Conn) -> None:
    assert verify(conn) == check_chain([])
    fill(conn)
    found = verify(conn)
    assert (found.rows, found.bad) == (5, None)
    assert found.head != GENESIS


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        pytest.param("UPDATE firmware_rollout.audit SET actor = 'claude' WHERE number = 3", 3, id="another actor"),
        pytest.param("UPDATE firmware_rollout.audit SET details = '{}' WHERE number = 5", 5, id="other details, in the last row"),
        pytest.param("UPDATE firmware_rollout.audit SET at = at + interval '1 microsecond' WHERE number = 1", 1, id="another time"),
        pytest.param("DELETE FROM firmware_rollout.audit WHERE number = 2", 3, id="a row left out"),
        pytest.param("UPDATE firmware_rollout.audit SET hash = before_hash WHERE number = 4", 4, id="another hash"),
    ],
)
def test_what_was_tampered_with_is_found_at_its_first_row(conn: Conn, statement: str, bad: int) -> None:
    fill(conn)
    tamper(conn, statement)
    assert verify(conn).bad == bad


def test_who_keeps_a_rows_hash_notices_what_was_cut_off_or_written_anew(conn: Conn) -> None:
    fill(conn)
    kept = verify(conn)
    assert is_in(conn, number=kept.rows, hash_=kept.head)
    tamper(conn, "DELETE FROM firmware_rollout.audit WHERE number > 3")
    assert verify(conn).bad is None, "what is left holds"
    assert not is_in(conn, number=kept.rows, hash_=kept.head)
    note(conn, actor="claude", deed="paused", campaign_id=None, details={}, now=NOW)
    fill(conn, 1)
    assert (verify(conn).bad, is_in(conn, number=kept.rows, hash_=kept.head)) == (None, False)


def test_the_log_is_told_every_hour_how_far_the_chain_goes(conn: Conn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="firmware_rollout.audit")
    told_at = tell_head(conn, told_at=None, now=NOW)
    assert caplog.messages == [], "there is none"
    fill(conn)
    for minutes in (1, 61, 62, 125):
        told_at = tell_head(conn, told_at=told_at, now=NOW + timedelta(minutes=minutes))
    assert caplog.messages == [f"the audit's newest row is 5, its hash {verify(conn).head.hex()}"] * 2


def test_rows_cannot_be_changed_by_the_way(conn: Conn) -> None:
    fill(conn)
    for statement in ("UPDATE firmware_rollout.audit SET actor = ''", "DELETE FROM firmware_rollout.audit"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"), conn.transaction():
            conn.execute(statement)
    assert verify(conn).bad is None


def test_the_same_hash_cannot_stand_for_two_readings_of_a_row(conn: Conn) -> None:
    fill(conn, 1)
    [entry] = conn.execute("SELECT number, at, actor, deed, campaign_id, details, before_hash, hash FROM firmware_rollout.audit")
    said = Entry(*entry)
    assert check_chain([said]).bad is None
    assert check_chain([replace(said, actor="sachap", deed="aused")]).bad == 1, "letters don't wander from field to field"
    assert check_chain([replace(said, at=said.at.astimezone().astimezone(UTC) + timedelta(0))]).bad is None


def test_two_who_append_at_once_make_one_chain(database_url: str) -> None:
    def append() -> None:
        with psycopg.connect(database_url) as conn:
            for _ in range(20):
                note(conn, actor="a", deed="d", campaign_id=None, details={}, now=NOW)
                conn.commit()

    both = [threading.Thread(target=append) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    with psycopg.connect(database_url) as conn:
        assert verify(conn).rows == 40
        assert verify(conn).bad is None
        assert entries_of(conn, 1) == []


def test_canonical_json_has_one_form() -> None:
    assert canonical({"b": 1, "a": [NOW, "é"]}) == canonical({"a": [NOW, "é"], "b": 1})
    assert canonical({"a": "é"}) == '{"a":"é"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"a": float("nan")})
