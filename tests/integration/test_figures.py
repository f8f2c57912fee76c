from datetime import date, time, timedelta

import psycopg
import pytest

from hotline.accounts import Agent, add_agent, agents
from hotline.attendance import attendance, note_present, present_now
from hotline.counted_calls import CallRow
from hotline.figures import Asked, Grouping, House, Period, read_period
from hotline.floors import Floor
from hotline.kpi import Picked, Policy, Reading
from hotline.kpi_rows import Doing, read_calls, settle
from hotline.opening import Opening, moment
from hotline.race_days import RaceDayError, opening, race_days, set_race_days
from hotline.roles import Role
from hotline.wallboard import FloorNow, floors_now
from tests.running_web import PASSWORD
from tests.stored_calls import put_call, put_leg

MONDAY = date(2026, 11, 23)
NOON = moment(MONDAY, time(12))
NOW = moment(MONDAY, time(15))
HOUSE = House(Policy(), time(22, 30), wrap_up=timedelta(seconds=60))
ALL_DAY = Opening(time(22, 30))


@pytest.fixture
def ann(conn: psycopg.Connection) -> Agent:
    """Answers on our own floor."""
    return add_agent(conn, login="ann", name="Ann", role=Role.LEVEL1, password=PASSWORD)


@pytest.fixture
def lea(conn: psycopg.Connection) -> Agent:
    """Answers on the overflow floor, at the second level."""
    return add_agent(conn, login="lea", name="Léa", role=Role.LEVEL2, floor=Floor.OVERFLOW, password=PASSWORD)


def rows(conn: psycopg.Connection, *, days: int = 1) -> list[CallRow]:
    since = moment(MONDAY, time())
    found = read_calls(conn, since=since, until=since + timedelta(days=days), wrap_up=HOUSE.wrap_up, now=NOW)
    return list(settle(found, opening=ALL_DAY, staff={agent.id: agent for agent in agents(conn)}, now=NOW))


def period(conn: psycopg.Connection, **asked: object) -> Period:
    return read_period(conn, asked=Asked(MONDAY, MONDAY, **asked), house=HOUSE, now=NOW)  # type: ignore[arg-type]  # as named


def test_a_call_is_a_row_with_waits_by_our_own_clock(conn: psycopg.Connection, ann: Agent) -> None:
    call = put_call(conn, rang_at=NOON, answered_s=20, ended_s=200, agent=ann.id)
    put_leg(conn, call, number=1, rang_at=NOON, began_s=0, ended_s=20, kind="queue")
    put_leg(conn, call, number=2, rang_at=NOON, began_s=5, answered_s=20, ended_s=200, wrapped_s=230, agent=ann.id)
    (row,) = rows(conn)
    assert (row.answered, row.over, row.wait_s, row.handled_s) == (True, True, 20.0, 210.0)
    assert (row.floor, row.level, row.agent, row.overflowed, row.solved) == ("own", 1, ann.id, False, None)


def test_an_overflowed_call_is_one_row_where_it_came_out(conn: psycopg.Connection, ann: Agent, lea: Agent) -> None:
    call = put_call(conn, rang_at=NOON, answered_s=95, ended_s=300, agent=lea.id)
    put_leg(conn, call, number=1, rang_at=NOON, began_s=0, ended_s=60, kind="queue", outcome="overflowed")
    put_leg(conn, call, number=2, rang_at=NOON, began_s=10, ended_s=30, agent=ann.id, outcome="missed")
    put_leg(conn, call, number=3, rang_at=NOON, began_s=60, ended_s=95, kind="queue", floor="overflow")
    put_leg(conn, call, number=4, rang_at=NOON, began_s=70, answered_s=95, ended_s=300, agent=lea.id, floor="overflow", level=2)
    (row,) = rows(conn)
    assert (row.floor, row.level, row.agent, row.overflowed, row.wait_s) == ("overflow", 2, lea.id, True, 95.0)
    found = period(conn)
    assert [(group.key, group.figures[Picked.OFFERED]) for group in found.groups(Grouping.FLOOR)] == [("overflow", 1)]
    assert found.whole().figures[Picked.OFFERED] == found.whole().figures[Picked.OVERFLOWED] == 1


def test_a_call_given_up_in_the_overflow_queue_is_an_abandon_of_that_floor(conn: psycopg.Connection) -> None:
    call = put_call(conn, rang_at=NOON, ended_s=110)
    put_leg(conn, call, number=1, rang_at=NOON, began_s=0, ended_s=60, kind="queue", outcome="overflowed")
    put_leg(conn, call, number=2, rang_at=NOON, began_s=60, ended_s=110, kind="queue", floor="overflow", outcome="abandoned")
    (row,) = rows(conn)
    assert (row.answered, row.floor, row.wait_s, row.agent) == (False, "overflow", 110.0, None)


def test_a_transferred_call_counts_once_with_the_time_of_both(conn: psycopg.Connection, ann: Agent, lea: Agent) -> None:
    call = put_call(conn, rang_at=NOON, answered_s=10, ended_s=400, agent=ann.id)
    put_leg(
        conn,
        call,
        number=1,
        rang_at=NOON,
        began_s=0,
        answered_s=10,
        ended_s=110,
        wrapped_s=110,
        agent=ann.id,
        outcome="transferred",
    )
    put_leg(conn, call, number=2, rang_at=NOON, began_s=100, answered_s=150, ended_s=400, wrapped_s=450, agent=lea.id, level=2)
    (row,) = rows(conn)
    assert (row.wait_s, row.handled_s, row.level, row.agent) == (10.0, 400.0, 2, lea.id)
    agents = {group.key: group for group in period(conn).groups(Grouping.AGENT)}
    assert agents[str(lea.id)].figures[Picked.ANSWERED] == 1
    assert agents[str(ann.id)].figures[Picked.ANSWERED] == 0
    assert agents[str(ann.id)].occupied.busy_s == 100.0


def test_calls_that_we_made_are_no_calls_of_the_figures(conn: psycopg.Connection) -> None:
    put_call(conn, rang_at=NOON, answered_s=5, ended_s=60, direction="out")
    assert rows(conn) == []


@pytest.mark.parametrize(
    ("before", "repeat"),
    [
        pytest.param([], False, id="never before"),
        pytest.param([(timedelta(hours=2), 10.0)], True, id="answered two hours ago"),
        pytest.param([(timedelta(hours=2), None)], False, id="given up two hours ago"),
        pytest.param([(timedelta(days=6, hours=23), 10.0)], True, id="answered within seven days"),
        pytest.param([(timedelta(days=7, hours=1), 10.0)], False, id="answered longer ago"),
        pytest.param([(timedelta(days=3), 10.0), (timedelta(minutes=2), None)], True, id="answered, then given up"),
    ],
)
def test_a_shop_that_was_answered_within_seven_days_calls_again(
    conn: psycopg.Connection, before: list[tuple[timedelta, float | None]], repeat: bool
) -> None:
    for ago, answered in before:
        put_call(conn, rang_at=NOON - ago, answered_s=answered, ended_s=100, shop="PV1")
    put_call(conn, rang_at=NOON - timedelta(hours=1), answered_s=10, ended_s=100, shop="PV2")
    call = put_call(conn, rang_at=NOON, answered_s=10, ended_s=100, shop="PV1", number="")
    assert {row.call: row.repeat for row in rows(conn)}[call] is repeat


def test_who_withholds_the_number_is_nobody_in_particular(conn: psycopg.Connection) -> None:
    for minute in (0, 30):
        put_call(conn, rang_at=NOON + timedelta(minutes=minute), answered_s=10, ended_s=100, number="")
    assert [row.repeat for row in rows(conn)] == [False, False]


def test_a_repeat_is_known_by_number_where_the_shop_is_not(conn: psycopg.Connection) -> None:
    for minute in (0, 30):
        put_call(conn, rang_at=NOON + timedelta(minutes=minute), answered_s=10, ended_s=100, number="+33465710000")
    assert [row.repeat for row in rows(conn)] == [False, True]


def test_calls_outside_opening_hours_are_counted_apart(conn: psycopg.Connection) -> None:
    put_call(conn, rang_at=NOON, answered_s=10, ended_s=100)
    put_call(conn, rang_at=moment(MONDAY, time(6, 30)), answered_s=10, ended_s=100)
    put_call(conn, rang_at=moment(MONDAY, time(23)), ended_s=100)
    figures = period(conn).whole().figures
    assert (figures[Picked.OFFERED], figures[Picked.OUTSIDE]) == (1, 2)
    set_race_days(conn, ends={MONDAY: time(23, 30)}, by="vera", now=NOW)
    assert period(conn).whole().figures[Picked.OUTSIDE] == 1


def test_what_is_asked_for_narrows_calls_and_agents(conn: psycopg.Connection, ann: Agent, lea: Agent) -> None:
    for minute, agent, floor in ((0, ann, "own"), (40, lea, "overflow")):
        rang_at = NOON + timedelta(minutes=minute)
        call = put_call(conn, rang_at=rang_at, answered_s=10, ended_s=310, agent=agent.id)
        level = 2 if agent is lea else 1
        put_leg(
            conn,
            call,
            number=1,
            rang_at=rang_at,
            began_s=0,
            answered_s=10,
            ended_s=310,
            agent=agent.id,
            floor=floor,
            level=level,
        )
    assert [group.key for group in period(conn).groups(Grouping.HALF_HOUR)] == ["12:00", "12:30"]
    assert [group.key for group in period(conn).groups(Grouping.DAY)] == ["2026-11-23"]
    for narrowed in (period(conn, floor=Floor.OVERFLOW), period(conn, level=2), period(conn, agent=lea.id)):
        assert [row.agent for row in narrowed.rows] == [lea.id]
        assert set(narrowed.slots["agent"].tolist()) == {lea.id}
        assert narrowed.whole().occupied.busy_s == 360.0


def test_the_reference_case_comes_out_of_the_database_too(conn: psycopg.Connection) -> None:
    for count, answered, ended in ((70, 20.0, 100.0), (10, None, 30.0), (20, 90.0, 200.0)):
        for place in range(count):
            put_call(conn, rang_at=NOON + timedelta(seconds=place), answered_s=answered, ended_s=ended)
    levels = {reading: share.value for reading, share in period(conn).whole().figures.service_levels.items()}
    assert levels[Reading.ABANDONS_IGNORED] == pytest.approx(0.778, abs=0.0005)
    assert levels[Reading.ABANDONS_AGAINST] == 0.7
    assert levels[Reading.ABANDONS_FOR] == 0.8


def test_occupancy_is_of_the_time_a_console_was_open(conn: psycopg.Connection, ann: Agent) -> None:
    for minute in range(0, 61):
        note_present(conn, agents=[ann.id], now=NOON + timedelta(minutes=minute))
    assert attendance(conn, since=NOON, until=NOW) == {ann.id: [(NOON, NOON + timedelta(hours=1))]}
    call = put_call(conn, rang_at=NOON, answered_s=600, ended_s=1440, agent=ann.id)
    put_leg(conn, call, number=1, rang_at=NOON, began_s=0, answered_s=600, ended_s=1440, agent=ann.id)
    assert period(conn).whole().occupied.value == 0.25


def test_who_was_away_for_minutes_was_not_there(conn: psycopg.Connection, ann: Agent) -> None:
    for minute in (0, 1, 10):
        note_present(conn, agents=[ann.id], now=NOON + timedelta(minutes=minute))
    assert len(attendance(conn, since=NOON, until=NOW)[ann.id]) == 2
    assert present_now(conn, now=NOON + timedelta(minutes=11)) == {ann.id}
    assert present_now(conn, now=NOON + timedelta(minutes=15)) == set()


def test_the_wall_tells_each_floor_as_it_is(conn: psycopg.Connection, ann: Agent, lea: Agent) -> None:
    bob = add_agent(conn, login="bob", name="Bob", role=Role.LEVEL1, password=PASSWORD)
    eva = add_agent(conn, login="eva", name="Eva", role=Role.SUPERVISOR, password=PASSWORD)
    note_present(conn, agents=[ann.id, bob.id, eva.id], now=NOW)
    for seconds in (70, 20):
        put_call(conn, rang_at=NOW - timedelta(seconds=seconds))
    # Its end got lost: nobody waits for an hour.
    put_call(conn, rang_at=NOW - timedelta(hours=1))
    for agent, ended in ((lea, None), (bob, 90.0)):
        rang_at = NOW - timedelta(seconds=100)
        call = put_call(conn, rang_at=rang_at, answered_s=10, ended_s=ended, agent=agent.id)
        put_leg(conn, call, number=1, rang_at=rang_at, began_s=0, answered_s=10, ended_s=ended, agent=agent.id, floor=agent.floor)
    own, overflow = floors_now(conn, house=HOUSE, now=NOW)
    assert own == FloorNow(Floor.OWN, [70.0, 20.0], 0, {Doing.FREE: 1, Doing.WRAPPING_UP: 1})
    assert overflow == FloorNow(Floor.OVERFLOW, [], 1, {Doing.SPEAKING: 1})
    assert own.longest_wait_s == 70.0


def test_the_calendar_keeps_who_said_a_days_end(conn: psycopg.Connection) -> None:
    tuesday = MONDAY + timedelta(days=1)
    set_race_days(conn, ends={MONDAY: time(21, 15), tuesday: time(0, 20)}, by="vera", now=NOON)
    set_race_days(conn, ends={MONDAY: time(21, 15), tuesday: time(0, 30)}, by="sam", now=NOW)
    known = race_days(conn, first=MONDAY, last=tuesday)
    assert (known[MONDAY].changed_by, known[tuesday].changed_by) == ("vera", "sam")
    hours = opening(conn, first=tuesday, last=tuesday, usual_end=time(22, 30))
    assert hours.hours_of(tuesday)[1] == moment(tuesday + timedelta(days=1), time(0, 30))
    assert hours.hours_of(MONDAY)[1] == moment(MONDAY, time(21, 15))
    set_race_days(conn, ends={tuesday: None}, by="sam", now=NOW)
    assert set(race_days(conn, first=MONDAY, last=tuesday)) == {MONDAY}


def test_no_day_ends_when_it_begins(conn: psycopg.Connection) -> None:
    with pytest.raises(RaceDayError):
        set_race_days(conn, ends={MONDAY: time(7)}, by="vera", now=NOW)


@pytest.mark.parametrize(
    ("wrapped_s", "handled_s"),
    [
        pytest.param(130.0, 120.0, id="qualified soon"),
        pytest.param(900.0, 150.0, id="known to be over only much later"),
        pytest.param(None, 150.0, id="never said to be over"),
    ],
)
def test_the_work_after_a_call_lasts_no_longer_than_the_setting(
    conn: psycopg.Connection, ann: Agent, wrapped_s: float | None, handled_s: float
) -> None:
    call = put_call(conn, rang_at=NOON, answered_s=10, ended_s=100, agent=ann.id)
    put_leg(conn, call, number=1, rang_at=NOON, began_s=0, answered_s=10, ended_s=100, wrapped_s=wrapped_s, agent=ann.id)
    (row,) = rows(conn)
    assert row.handled_s == handled_s
    assert period(conn).whole().occupied.busy_s == handled_s


def test_what_was_entered_by_hand_is_counted_apart(conn: psycopg.Connection) -> None:
    put_call(conn, rang_at=NOON, answered_s=0, ended_s=300, manual=True)
    put_call(conn, rang_at=NOON, answered_s=10, ended_s=100)
    figures = period(conn).whole().figures
    assert (figures[Picked.OFFERED], figures[Picked.BY_HAND]) == (1, 1)
    assert figures.speed_of_answer.value == 10.0
