"""Figures and the wall of calls told by events, as agents work: qualified while they speak, waited for long."""

from datetime import date, time, timedelta

import psycopg
import pytest

from hotline.accounts import Agent, add_agent
from hotline.attendance import note_present
from hotline.call_events import CallEvent, Happening
from hotline.calls import list_calls, record_event
from hotline.figures import Asked, House, read_period
from hotline.kpi import Policy
from hotline.kpi_rows import Doing
from hotline.opening import moment
from hotline.qualification import Given, Outcome, Subject, qualify
from hotline.roles import Role
from hotline.wallboard import floors_now
from tests.running_web import PASSWORD

MONDAY = date(2026, 11, 23)
NOON = moment(MONDAY, time(12))
HOUSE = House(Policy(), time(22, 30), wrap_up=timedelta(seconds=60))


@pytest.fixture
def ann(conn: psycopg.Connection) -> Agent:
    return add_agent(conn, login="ann", name="Ann", role=Role.LEVEL1, password=PASSWORD)


def tell(conn: psycopg.Connection, kind: Happening, at_s: float, **more: object) -> None:
    event = CallEvent(kind, "x", str(kind), **more)  # type: ignore[arg-type]  # as named
    record_event(conn, event=event, now=NOON + timedelta(seconds=at_s))


def test_who_qualifies_while_speaking_still_speaks_and_has_no_work_left_after_the_call(
    conn: psycopg.Connection, ann: Agent
) -> None:
    tell(conn, Happening.RANG, 0, users=("ann",), from_number="+33199001234")
    tell(conn, Happening.CONNECTED, 10, agent="ann")
    (call,) = list_calls(conn)
    given = Given(Subject.TECHNICAL, Outcome.SOLVED)
    qualify(conn, call=call.id, given=given, seen=0, level=1, author="ann", agent=ann.id, now=NOON + timedelta(seconds=40))
    note_present(conn, agents=[ann.id], now=NOON + timedelta(seconds=50))
    own, _ = floors_now(conn, house=HOUSE, now=NOON + timedelta(seconds=60))
    assert (own.spoken, own.doing) == (1, {Doing.SPEAKING: 1})
    tell(conn, Happening.ENDED, 310)
    note_present(conn, agents=[ann.id], now=NOON + timedelta(seconds=320))
    own, _ = floors_now(conn, house=HOUSE, now=NOON + timedelta(seconds=320))
    assert (own.spoken, own.doing) == (0, {Doing.FREE: 1})
    found = read_period(conn, asked=Asked(MONDAY, MONDAY), house=HOUSE, now=NOON + timedelta(hours=1)).whole()
    assert (found.figures.handling.value, found.occupied.busy_s) == (300.0, 300.0)


def test_an_agent_whose_hangup_got_lost_is_not_on_the_call_for_days(conn: psycopg.Connection, ann: Agent) -> None:
    tell(conn, Happening.RANG, 0, users=("ann",), from_number="+33199001234")
    tell(conn, Happening.CONNECTED, 10, agent="ann")
    asked = Asked(MONDAY, MONDAY + timedelta(days=4))
    found = read_period(conn, asked=asked, house=HOUSE, now=NOON + timedelta(days=6)).whole()
    assert found.occupied.busy_s == timedelta(hours=4).total_seconds()


@pytest.mark.parametrize(
    ("kind", "minutes", "waits_s"),
    [
        pytest.param(Happening.QUEUED, 20, [1200.0], id="an exchange that tells of each phone is believed for long"),
        pytest.param(Happening.QUEUED, 121, [], id="nobody waits for two hours"),
        pytest.param(Happening.RANG, 14, [840.0], id="a bare ring is believed for a while"),
        pytest.param(Happening.RANG, 16, [], id="the end of a bare ring got lost"),
    ],
)
def test_the_wall_knows_who_waits_as_long_as_the_agents_screens_do(
    conn: psycopg.Connection, kind: Happening, minutes: int, waits_s: list[float]
) -> None:
    tell(conn, kind, 0, from_number="+33199001234")
    own, _ = floors_now(conn, house=HOUSE, now=NOON + timedelta(minutes=minutes))
    assert own.waits_s == waits_s
