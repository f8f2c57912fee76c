"""Days stored for the figures: read like the calls themselves, and never believed once a call changed."""

import random
from collections.abc import Iterator
from datetime import date, time, timedelta

import psycopg
import pytest

from fleet.database import connect
from fleet.settings import read
from hotline.accounts import Agent, add_agent
from hotline.closed_days import store_days
from hotline.figures import Asked, Grouping, House, Period, read_period
from hotline.floors import Floor
from hotline.kpi import Picked, Policy
from hotline.opening import moment
from hotline.race_days import set_race_days
from hotline.retention import forget
from hotline.roles import Role
from hotline.settings import RetentionOfCalls
from tests.running_web import PASSWORD
from tests.stored_calls import put_call, put_leg

MONDAY = date(2026, 11, 23)
NOW = moment(MONDAY, time(15))
FIRST = MONDAY - timedelta(days=5)
HOUSE = House(Policy(), time(22, 30), wrap_up=timedelta(seconds=60))


@pytest.fixture
def kept(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that commits by itself, to a house with some days of calls of every kind."""
    with connect(database_url, program="test", autocommit=True) as conn:
        ann = add_agent(conn, login="ann", name="Ann", role=Role.LEVEL1, password=PASSWORD)
        lea = add_agent(conn, login="lea", name="Léa", role=Role.LEVEL2, floor=Floor.OVERFLOW, password=PASSWORD)
        fill(conn, [ann, lea])
        yield conn


def fill(conn: psycopg.Connection, staff: list[Agent]) -> None:
    """Calls with and without legs, ends, answers, shops, outcomes; the night before each day too."""
    chance = random.Random(3)
    for number in range(120):
        rang_at = moment(FIRST - timedelta(days=3), time()) + timedelta(minutes=90 * number, seconds=chance.randrange(3000))
        answered = chance.choice([None, 4.0, 30.0, 90.0])
        ended = chance.choice([None, 100.0, 700.0]) if chance.random() < 0.2 else 200.0
        agent = chance.choice(staff) if answered is not None else None
        call = put_call(
            conn,
            rang_at=rang_at,
            answered_s=answered,
            ended_s=ended,
            number=f"+33199001{chance.randrange(30):03}",
            shop=chance.choice([None, "PV1", "PV2", "PV3"]),
            agent=agent.id if agent else None,
            manual=chance.random() < 0.1,
        )
        if chance.random() < 0.8:
            put_leg(conn, call, number=1, rang_at=rang_at, began_s=0, ended_s=answered or ended, kind="queue", outcome="overflowed")
            if agent:
                more = {"answered_s": answered, "ended_s": ended, "floor": agent.floor, "agent": agent.id}
                put_leg(conn, call, number=2, rang_at=rang_at, began_s=1, **more)  # type: ignore[arg-type]  # as named
        if agent and chance.random() < 0.5:
            qualify(conn, call, chance.choice(["solved", "escalated"]))
    for agent in staff:
        conn.execute(
            "INSERT INTO hotline.attendance SELECT %(agent)s, day + interval '9 h', day + interval '26 h'"
            " FROM generate_series(%(first)s::timestamptz, %(now)s, interval '2 days') day",
            {"agent": agent.id, "first": moment(FIRST, time()), "now": NOW},
        )


def qualify(conn: psycopg.Connection, call: int, outcome: str) -> None:
    conn.execute(
        "INSERT INTO hotline.qualification (call, subject, outcome, level, author, at)"
        " VALUES (%(call)s, 'technical', %(outcome)s, 1, 'ann', %(now)s)",
        {"call": call, "outcome": outcome, "now": NOW},
    )


def period(conn: psycopg.Connection, **asked: object) -> Period:
    return read_period(conn, asked=Asked(FIRST, MONDAY, **asked), house=HOUSE, now=NOW)  # type: ignore[arg-type]  # as named


def told(found: Period) -> object:
    """Everything that is shown of a period."""
    groups = [(group.key, group.figures, group.occupied) for by in Grouping for group in found.groups(by)]
    return list(found.rows), found.whole(), groups


def from_the_calls(conn: psycopg.Connection, **asked: object) -> object:
    """The same, with nothing stored."""
    with conn.transaction(force_rollback=True):
        conn.execute("DELETE FROM hotline.closed_day")
        return told(period(conn, **asked))


def store(conn: psycopg.Connection) -> int:
    return store_days(conn, wrap_up=HOUSE.wrap_up, now=NOW)


def days(conn: psycopg.Connection) -> int:
    (count,) = conn.execute("SELECT count(*) FROM hotline.closed_day").fetchone() or (0,)
    return int(count)


def test_stored_days_are_read_like_the_calls_themselves(kept: psycopg.Connection) -> None:
    assert store(kept) == 8
    assert store(kept) == 0
    for asked in ({}, {"floor": Floor.OVERFLOW}, {"level": 2}, {"agent": 1}):
        assert told(period(kept, **asked)) == from_the_calls(kept, **asked)


def test_today_is_never_stored(kept: psycopg.Connection) -> None:
    store(kept)
    assert kept.execute("SELECT max(day) FROM hotline.closed_day").fetchone() == (MONDAY - timedelta(days=1),)


CHANGES = {
    "a call is qualified late": "INSERT INTO hotline.qualification (call, subject, outcome, level, author, at)"
    " SELECT id, 'technical', 'solved', 1, 'ann', rang_at FROM hotline.call c WHERE answered_at IS NOT NULL"
    " AND id NOT IN (SELECT call FROM hotline.qualification) AND rang_at > '2026-11-20 12:00Z' ORDER BY id LIMIT 1",
    "a qualification is undone": "DELETE FROM hotline.qualification WHERE call IN (SELECT id FROM hotline.call"
    " WHERE rang_at > '2026-11-20 12:00Z' ORDER BY id LIMIT 12)",
    "a shop is chosen days before": "UPDATE hotline.call SET point_of_sale = 'PV1' WHERE rang_at < '2026-11-17 12:00Z'"
    " AND answered_at IS NOT NULL",
    "a call ends after all": "UPDATE hotline.call SET ended_at = rang_at + interval '300 s', state = 'ended'"
    " WHERE ended_at IS NULL",
    "the work after a call was shorter": "UPDATE hotline.leg SET wrapped_at = ended_at WHERE ended_at IS NOT NULL",
    "a leg is told late": "UPDATE hotline.leg SET level = 2 WHERE kind = 'agent'",
    "a call is entered by hand": "INSERT INTO hotline.call (call_id, direction, state, rang_at, answered_at, ended_at, manual)"
    " VALUES ('by hand', 'in', 'ended', '2026-11-21 12:00Z', '2026-11-21 12:00Z', '2026-11-21 12:03Z', true)",
    "calls are gone": "DELETE FROM hotline.call WHERE rang_at > '2026-11-21 12:00Z'",
    "attendance is forgotten": "DELETE FROM hotline.attendance WHERE began_at < '2026-11-21 12:00Z'",
    "an agent moves to the other floor": "UPDATE hotline.agent SET floor = 'overflow', role = 'level2'",
}


def test_whatever_changes_a_day_changes_its_figures_at_once(kept: psycopg.Connection) -> None:
    store(kept)
    for what, change in CHANGES.items():
        before = told(period(kept))
        kept.execute(change.encode())
        after = told(period(kept))
        assert after != before, what
        assert after == from_the_calls(kept), what
        store(kept)
        assert told(period(kept)) == after, what
        assert days(kept) == 8, what


def test_the_race_calendar_and_the_policy_change_stored_days(kept: psycopg.Connection) -> None:
    store(kept)
    before = period(kept).whole().figures[Picked.OUTSIDE]
    set_race_days(kept, ends={FIRST: time(10)}, by="vera", now=NOW)
    assert period(kept).whole().figures[Picked.OUTSIDE] > before
    strict = House(Policy(within_s=3.0), HOUSE.usual_end, HOUSE.wrap_up)
    assert read_period(kept, asked=Asked(FIRST, MONDAY), house=strict, now=NOW).whole().figures[Picked.IN_TIME] == 0


def test_days_counted_with_another_longest_work_after_a_call_are_not_believed(kept: psycopg.Connection) -> None:
    store_days(kept, wrap_up=timedelta(seconds=10), now=NOW)
    assert told(period(kept)) == from_the_calls(kept)
    assert store(kept) == 8


def test_a_change_that_is_not_committed_when_days_are_stored_is_not_missed(kept: psycopg.Connection, database_url: str) -> None:
    with connect(database_url, program="test") as other:
        other.execute("UPDATE hotline.call SET answered_at = NULL WHERE rang_at > '2026-11-20 12:00Z'")
        store(kept)
        stored = told(period(kept))
        other.commit()
    assert told(period(kept)) == from_the_calls(kept) != stored
    store(kept)
    assert told(period(kept)) == from_the_calls(kept)


def test_a_day_is_not_stored_while_the_work_after_one_of_its_calls_goes_on(kept: psycopg.Connection) -> None:
    kept.execute("UPDATE hotline.leg SET ended_at = %(now)s WHERE number = 2", {"now": NOW - timedelta(seconds=20)})
    assert store(kept) == 0


def test_a_forgotten_number_is_nobodys_repeat_in_stored_days_too(kept: psycopg.Connection) -> None:
    kept.execute("UPDATE hotline.call SET point_of_sale = NULL")
    store(kept)
    assert period(kept).whole().figures[Picked.REPEAT] > 0
    with kept.transaction():
        forget(kept, settings=read(RetentionOfCalls), now=NOW + timedelta(days=120))
    assert period(kept).whole().figures[Picked.REPEAT] == 0
