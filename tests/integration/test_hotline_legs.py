from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hotline.accounts import Agent, add_agent, agents
from hotline.call_events import CallEvent, Happening
from hotline.call_legs import LegKind, Outcome
from hotline.call_state import Reason, State
from hotline.calls import end_wrap_up, find_call, list_calls, live_calls, record_event
from hotline.floors import Floor
from hotline.matching import sees
from hotline.queues import Queue, QueueError, queues, remove_queue, set_queue
from hotline.roles import Role
from hotline.stored_call import StoredCall
from hotline.stored_legs import legs_of
from tests.running_web import PASSWORD
from vigie.cli import app

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


def tell(conn: psycopg.Connection, second: float, kind: Happening, agent: str = "", *, queue: str = "", call: str = "x") -> Reason:
    event = CallEvent(kind, call, str(kind), direction="in", from_number="0465710000", agent=agent, queue=queue)
    return record_event(conn, event=event, now=at(second))


def the_call(conn: psycopg.Connection, call_id: str = "x") -> StoredCall:
    (call,) = [one for one in list_calls(conn, limit=10) if one.call_id == call_id]
    return call


def on_screen_of(conn: psycopg.Connection, second: float) -> list[str]:
    return [agent.login for agent in agents(conn) if sees(the_call(conn), agent, now=at(second))]


@pytest.fixture
def house(conn: psycopg.Connection) -> psycopg.Connection:
    """Two floors, two levels, three queues of which one is not known."""
    people = [
        ("alice", Role.LEVEL1, Floor.OWN, "4021"),
        ("bruno", Role.LEVEL2, Floor.OWN, "4022"),
        ("omar", Role.LEVEL1, Floor.OVERFLOW, "5001"),
    ]
    for login, role, floor, extension in people:
        add_agent(conn, login=login, name=login.title(), role=role, password=PASSWORD, floor=floor, extension=extension)
    set_queue(conn, name="overflow", level=1, floor=Floor.OVERFLOW)
    set_queue(conn, name="experts", level=2, floor=Floor.OWN)
    return conn


def test_a_call_s_legs_are_stored_with_level_and_floor(house: psycopg.Connection) -> None:
    tell(house, 0, Happening.QUEUED, queue="n1")
    tell(house, 1, Happening.OFFERED, "4021", queue="n1")
    tell(house, 20, Happening.RELEASED, "4021")
    tell(house, 60, Happening.LEFT_QUEUE, queue="n1")
    tell(house, 60, Happening.QUEUED, queue="overflow")
    tell(house, 65, Happening.OFFERED, "sip:5001@pbx", queue="overflow")
    tell(house, 70, Happening.CONNECTED, "5001", queue="overflow")
    tell(house, 80, Happening.HELD, "5001")
    tell(house, 90, Happening.RESUMED, "5001")
    tell(house, 100, Happening.RELEASED, "5001")
    tell(house, 100, Happening.QUEUED, queue="experts")
    tell(house, 130, Happening.CONNECTED, "Bruno", queue="experts")
    tell(house, 190, Happening.ENDED)
    legs = legs_of(house, call=the_call(house).id)
    assert [
        (leg.number, leg.queue, leg.agent_name, leg.level, leg.floor, leg.outcome, leg.wait_s(now=at(500)), leg.talk_s(now=at(500)))
        for leg in legs
    ] == [
        (1, "n1", None, 1, Floor.OWN, Outcome.OVERFLOWED, 60, 0),
        (2, "n1", "Alice", 1, Floor.OWN, Outcome.MISSED, 19, 0),
        (3, "overflow", None, 1, Floor.OVERFLOW, Outcome.ANSWERED, 10, 0),
        (4, "overflow", "Omar", 1, Floor.OVERFLOW, Outcome.TRANSFERRED, 5, 30),
        (5, "experts", None, 2, Floor.OWN, Outcome.ANSWERED, 30, 0),
        (6, "experts", "Bruno", 2, Floor.OWN, Outcome.ANSWERED, 0, 60),
    ]
    assert [leg.held_s for leg in legs] == [0, 0, 0, 10, 0, 0]
    call = the_call(house)
    assert (call.state, call.answered_at, call.answered_by_name) == (State.ENDED, at(70), "Bruno")


def test_a_call_is_only_on_the_screens_of_whom_it_rings_and_who_has_it(house: psycopg.Connection) -> None:
    tell(house, 0, Happening.QUEUED, queue="n1")
    assert on_screen_of(house, 0) == []
    tell(house, 1, Happening.OFFERED, "4021", queue="n1")
    assert on_screen_of(house, 1) == ["alice"]
    tell(house, 20, Happening.RELEASED, "4021")
    assert on_screen_of(house, 20) == []
    tell(house, 21, Happening.OFFERED, "5001", queue="n1")
    tell(house, 25, Happening.CONNECTED, "5001", queue="n1")
    assert on_screen_of(house, 25) == ["omar"]
    tell(house, 30, Happening.OFFERED, "4022")
    assert on_screen_of(house, 30) == ["bruno", "omar"]
    tell(house, 35, Happening.CONNECTED, "4022")
    tell(house, 36, Happening.RELEASED, "5001")
    # Omar has not finished with it yet.
    assert on_screen_of(house, 36) == ["bruno", "omar"]
    end_wrap_up(house, call=the_call(house).id, agent=the_agent(house, "omar").id, now=at(50))
    assert on_screen_of(house, 50) == ["bruno"]
    tell(house, 60, Happening.ENDED)
    assert on_screen_of(house, 60) == ["bruno"]


def test_a_caller_who_waits_is_a_live_call_whatever_the_order(house: psycopg.Connection) -> None:
    tell(house, 0, Happening.LEFT_QUEUE, queue="n1")
    tell(house, 1, Happening.QUEUED, queue="n1")
    assert [call.call_id for call in live_calls(house, now=at(1))] == ["x"]
    tell(house, 2, Happening.ENDED)
    assert [leg.outcome for leg in legs_of(house, call=the_call(house).id)] == [Outcome.ABANDONED]


def test_the_work_after_a_call_ends_once_or_with_the_next_call(house: psycopg.Connection) -> None:
    alice = the_agent(house, "alice")
    for name, begun in (("x", 0), ("y", 100), ("z", 200)):
        tell(house, begun, Happening.CONNECTED, "alice", call=name)
        tell(house, begun + 50, Happening.ENDED, call=name)
    first, second, third = (the_call(house, name) for name in ("x", "y", "z"))
    assert [legs_of(house, call=call.id)[0].wrapped_at for call in (first, second, third)] == [at(100), at(200), None]
    end_wrap_up(house, call=third.id, agent=alice.id, now=at(260))
    end_wrap_up(house, call=third.id, agent=alice.id, now=at(290))
    end_wrap_up(house, call=first.id, agent=alice.id, now=at(300))
    assert [legs_of(house, call=call.id)[0].wrapped_at for call in (first, third)] == [at(100), at(260)]
    after = find_call(house, call=third.id)
    assert after is not None
    assert after.version == third.version + 1


def test_a_call_of_the_release_before_keeps_who_answered(house: psycopg.Connection) -> None:
    house.execute(
        "INSERT INTO hotline.call (call_id, direction, state, from_number, rang_at, answered_at, answered_as, answered_by)"
        " VALUES ('x', 'in', 'answered', '', %s, %s, 'alice', %s)",
        [NOW, NOW, the_agent(house, "alice").id],
    )
    tell(house, 9, Happening.ENDED)
    assert (the_call(house).answered_as, the_call(house).answered_by_name) == ("alice", "Alice")


def test_a_queue_stands_for_what_it_was_last_said_to(conn: psycopg.Connection) -> None:
    set_queue(conn, name="n1", level=1, floor=Floor.OWN)
    set_queue(conn, name="n1", level=2, floor=Floor.OVERFLOW)
    assert queues(conn) == {"n1": Queue("n1", 2, Floor.OVERFLOW)}
    with pytest.raises(QueueError, match="1 or 2"):
        set_queue(conn, name="n1", level=3, floor=Floor.OWN)
    with pytest.raises(QueueError, match="name"):
        set_queue(conn, name=" ", level=1, floor=Floor.OWN)
    remove_queue(conn, name="n1")
    with pytest.raises(QueueError, match="no queue"):
        remove_queue(conn, name="n1")
    assert queues(conn) == {}


def test_queues_by_command(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)
    runner = CliRunner()
    assert runner.invoke(app, ["queue", "set", "debord", "--floor", "overflow"]).exit_code == 0
    assert runner.invoke(app, ["queue", "set", "experts", "--level", "2"]).exit_code == 0
    listed = runner.invoke(app, ["queue", "list"]).output
    assert "debord" in listed
    assert "overflow" in listed
    assert runner.invoke(app, ["queue", "remove", "experts"]).exit_code == 0
    with psycopg.connect(database_url) as conn:
        assert queues(conn) == {"debord": Queue("debord", 1, Floor.OVERFLOW)}


TOLD = [
    (Happening.RANG, "", ""),
    *((Happening.QUEUED, "", queue) for queue in ("n1", "overflow")),
    *((kind, "4021", "n1") for kind in (Happening.OFFERED, Happening.CONNECTED, Happening.RELEASED)),
    *((kind, "5001", "overflow") for kind in (Happening.OFFERED, Happening.CONNECTED, Happening.HELD, Happening.RESUMED)),
    *((Happening.CONNECTED, name, "") for name in ("", "Bruno", "stranger")),
    (Happening.LEFT_QUEUE, "", "n1"),
    (Happening.ENDED, "", ""),
]


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(TOLD), min_size=1, max_size=8))
def test_any_order_repeat_or_loss_is_stored_as_one_call(
    house: psycopg.Connection, events: list[tuple[Happening, str, str]]
) -> None:
    with house.transaction(force_rollback=True):
        for second, (kind, agent, queue) in enumerate(events):
            tell(house, second, kind, agent, queue=queue)
        calls = list_calls(house, limit=10)
        # A hold of a call that nobody knows is no call.
        assert len(calls) == 1 or all(kind in (Happening.HELD, Happening.RESUMED) for kind, _, _ in events)
        for call in calls:
            legs = legs_of(house, call=call.id)
            assert [leg.number for leg in legs] == list(range(1, len(legs) + 1))
            assert len({(leg.kind, leg.queue if leg.kind is LegKind.QUEUE else leg.agent or leg.agent_as) for leg in legs}) == len(
                legs
            )
            assert call.state is not State.ENDED or all(leg.outcome for leg in legs)


def the_agent(conn: psycopg.Connection, login: str) -> Agent:
    (found,) = [agent for agent in agents(conn) if agent.login == login]
    return found
