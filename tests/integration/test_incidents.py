"""What people do to incidents, and what pages read of them."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from diagnostics.incident_views import HitTerminal, terminals_after, victims_of
from diagnostics.incidents import (
    CHANNEL,
    IncidentError,
    acknowledge,
    comment,
    declare,
    events_of,
    incident,
    minutes_of,
    open_incidents,
    reopen,
    resolve,
)
from tests.integration.small_fleet import Conn, add_shops

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def hit(conn: Conn, incident: int, terminals: list[str], at: datetime) -> None:
    """As the watch has found it: of a declared incident, all in scope count as hit."""
    conn.execute("UPDATE diagnostics.incident SET trouble = 'offline' WHERE id = %s", (incident,))
    conn.execute(
        "UPDATE diagnostics.incident_terminal SET hit_at = %s WHERE incident_id = %s AND terminal_id = ANY(%s)",
        (at, incident, terminals),
    )


def ring(conn: Conn, terminals: list[str], at: datetime) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fleet.signal (at, terminal_id, kind, ref) VALUES (%s, %s, 'call', '1')", [(at, one) for one in terminals]
        )


def touched(conn: Conn, incident_id: int) -> list[HitTerminal]:
    """Those hit first, then those only in scope."""
    found = terminals_after(conn, incident(conn, incident_id), limit=100)
    return sorted(found, key=lambda one: (one.hit_at is None, one.terminal_id))


def test_a_comment_is_kept_and_an_empty_one_refused(conn: Conn) -> None:
    add_shops(conn, 1)
    made = declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW)
    comment(conn, made.id, actor="dsi", text="  asked the carrier ", now=NOW + MINUTE)
    assert [(one.kind, one.detail) for one in events_of(conn, made.id)] == [("declared", ""), ("commented", "asked the carrier")]
    with pytest.raises(IncidentError, match="text"):
        comment(conn, made.id, actor="dsi", text=" \n", now=NOW + MINUTE)
    with pytest.raises(IncidentError, match="no incident 0"):
        comment(conn, 0, actor="dsi", text="x", now=NOW)


def test_a_resolved_incident_opens_again_and_nobody_has_taken_it_on_yet(conn: Conn) -> None:
    add_shops(conn, 1)
    made = declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW)
    acknowledge(conn, made.id, actor="dsi", now=NOW + MINUTE)
    resolve(conn, made.id, actor="dsi", detail="", now=NOW + 2 * MINUTE)
    for _ in range(2):
        again = reopen(conn, made.id, actor="level1", detail="it goes on", now=NOW + 3 * MINUTE)
    assert (again.state, again.closed_at, again.acknowledged_at, again.acknowledged_by, again.reopened) == (
        "open",
        None,
        None,
        None,
        1,
    )
    assert [one.id for one in open_incidents(conn)] == [made.id]
    assert [one.kind for one in events_of(conn, made.id)] == ["declared", "acknowledged", "resolved", "reopened"]


def test_what_was_merged_into_another_stays_closed(conn: Conn) -> None:
    add_shops(conn, 1)
    wide, narrow = (declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW).id for _ in range(2))
    conn.execute(
        "UPDATE diagnostics.incident SET state = 'closed', closed_at = %s, parent_id = %s WHERE id = %s", (NOW, wide, narrow)
    )
    conn.execute(
        "INSERT INTO diagnostics.incident_event (incident_id, at, kind, actor) VALUES (%s, %s, 'merged', 'watch')", (narrow, NOW)
    )
    with pytest.raises(IncidentError, match=f"merged into {wide}"):
        reopen(conn, narrow, actor="dsi", detail="", now=NOW + MINUTE)


def test_shops_that_are_hit_and_have_not_rung_are_silent_victims(conn: Conn) -> None:
    ids = add_shops(conn, 3)
    made = declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW)
    hit(conn, made.id, ids[2:4], NOW + MINUTE)
    hit(conn, made.id, ids[:1], NOW)
    ring(conn, ids[4:], NOW + MINUTE)
    ring(conn, ids[2:4], NOW - MINUTE)
    silent = victims_of(conn, incident(conn, made.id)).silent
    assert [(one.point_of_sale, one.terminals, one.since) for one in silent] == [
        ("P00001", 1, NOW),
        ("P00002", 2, NOW + MINUTE),
    ]
    ring(conn, ids[2:4], NOW + 2 * MINUTE)
    assert [one.point_of_sale for one in victims_of(conn, incident(conn, made.id)).silent] == ["P00001"]
    assert [(one.terminal_id, one.hit_at, one.rang) for one in touched(conn, made.id)] == [
        ("T00001", NOW, False),
        ("T00003", NOW + MINUTE, True),
        ("T00004", NOW + MINUTE, True),
        ("T00002", None, False),
        ("T00005", None, True),
        ("T00006", None, True),
    ]


def test_calls_long_after_the_end_are_about_something_else(conn: Conn) -> None:
    ids = add_shops(conn, 1)
    made = declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW)
    hit(conn, made.id, ids, NOW)
    resolve(conn, made.id, actor="dsi", detail="", now=NOW + MINUTE)
    ring(conn, ids, NOW + timedelta(hours=2))
    assert [one.rang for one in touched(conn, made.id)] == [False, False]
    ring(conn, ids[:1], NOW + timedelta(minutes=30))
    assert [one.rang for one in touched(conn, made.id)] == [True, False]


def test_the_minutes_of_an_incident_are_read_in_order(conn: Conn) -> None:
    add_shops(conn, 1)
    made = declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW)
    assert minutes_of(conn, made.id) == []
    for minute in (1, 0):
        conn.execute(
            "INSERT INTO diagnostics.incident_minute VALUES (%s, %s, 1, 2, 0, 9, '{\"rtt_ms\": [4.5, 0.25]}')",
            (made.id, NOW + minute * MINUTE),
        )
    found = minutes_of(conn, made.id)
    assert [(one.at, one.inside_hit, one.outside, one.z) for one in found] == [
        (NOW + minute * MINUTE, 1.0, 9.0, {"rtt_ms": [4.5, 0.25]}) for minute in (0, 1)
    ]


def test_every_step_is_heard_when_it_is_committed(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        add_shops(conn, 1)
        conn.execute(f"LISTEN {CHANNEL}")
        made = declare(conn, scope={}, title="x", advice="", actor="veille", now=NOW)
        assert [one.payload for one in conn.notifies(timeout=5, stop_after=1)] == [str(made.id)]
