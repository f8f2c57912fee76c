"""Calls whose hangup was lost end by themselves, at the last moment they can be believed."""

from datetime import datetime, time, timedelta

import psycopg
import pytest

from hotline.call_events import CallEvent
from hotline.call_state import Reason, State
from hotline.callbacks import list_callbacks
from hotline.calls import end_wrap_up, events_of, find_call, record_event
from hotline.lost_hangups import end_lost
from hotline.stored_call import LONGEST_RING, LONGEST_TALK, StoredCall
from hotline.stored_legs import legs_of
from tests.integration.work_house import agent, at, call_of, ring, states, tell
from tests.running_web import RunningWeb, seed
from tests.stored_calls import put_call
from vigie.engines.process import wait_until

HOUR = 60


@pytest.fixture
def house(conn: psycopg.Connection) -> psycopg.Connection:
    """A small fleet with its agents."""
    seed(conn, now=at(0))
    return conn


def stored(conn: psycopg.Connection, call_id: str) -> StoredCall:
    found = find_call(conn, call=call_of(conn, call_id))
    assert found is not None
    return found


def test_a_ring_that_nobody_ended_is_given_up_and_to_be_called_back(house: psycopg.Connection) -> None:
    call_id = ring(house, 0)
    assert end_lost(house, now=at(2 * HOUR - 1)) == 0
    assert end_lost(house, now=at(2 * HOUR)) == 1
    call = stored(house, call_id)
    assert (call.state, call.ended_at, call.cause) == (State.ENDED, at(0) + LONGEST_RING, "unheard")
    (made,) = list_callbacks(house)
    assert (made.call, made.state, made.due_at) == (call.id, "open", at(45))
    assert end_lost(house, now=at(2 * HOUR + 1)) == 0


def test_a_ring_that_is_answered_late_still_comes_to_its_agent(house: psycopg.Connection) -> None:
    call_id = ring(house, 0)
    end_lost(house, now=at(HOUR))
    tell(house, HOUR + 1, event="answer", callId=call_id, user="alice")
    assert end_lost(house, now=at(3 * HOUR)) == 0
    assert (stored(house, call_id).state, stored(house, call_id).answered_by_name) == (State.ANSWERED, "Alice Martin")


def test_a_talk_that_nobody_ended_ends_with_its_agents_next_call(house: psycopg.Connection) -> None:
    lost, following, alone = (ring(house, minute) for minute in (0, 10, 11))
    for minute, call_id, user in ((1, lost, "alice"), (12, following, "alice"), (13, alone, "bruno")):
        tell(house, minute, event="answer", callId=call_id, user=user)
    tell(house, 15, event="hangup", callId=following)
    assert end_lost(house, now=at(4 * HOUR)) == 0
    assert end_lost(house, now=at(4 * HOUR + 20)) == 2
    assert stored(house, lost).ended_at == at(12)
    assert stored(house, alone).ended_at == at(13) + LONGEST_TALK
    (leg,) = legs_of(house, call=stored(house, lost).id)
    assert (leg.ended_at, leg.outcome) == (at(12), "answered")
    end_wrap_up(house, call=leg.call, agent=agent(house, "alice"), now=at(5 * HOUR))
    assert states(house) == []


def test_the_hangup_that_comes_at_last_changes_nothing(house: psycopg.Connection) -> None:
    call_id = ring(house, 0)
    end_lost(house, now=at(3 * HOUR))
    before = stored(house, call_id)
    tell(house, 4 * HOUR, event="hangup", callId=call_id, cause="cancel")
    assert stored(house, call_id) == before
    assert [reason for *_, reason in events_of(house, call_id=call_id)] == [Reason.STARTED, Reason.ENDED, Reason.REPEATED]


def test_a_shop_that_rang_again_since_is_not_to_be_called_back(house: psycopg.Connection) -> None:
    ring(house, 0)
    again = ring(house, 30)
    tell(house, 31, event="answer", callId=again, user="alice")
    tell(house, 33, event="hangup", callId=again)
    end_lost(house, now=at(0) + timedelta(hours=3))
    assert states(house) == [("dropped", "rang_again")]


def test_a_shop_that_we_reached_since_is_not_to_be_called_back(house: psycopg.Connection) -> None:
    ring(house, 0)
    ours = ring(house, 20, direction="out")
    tell(house, 21, event="answer", callId=ours, user="bruno")
    tell(house, 22, event="hangup", callId=ours)
    end_lost(house, now=at(3 * HOUR))
    (one,) = list_callbacks(house)
    assert (one.state, one.agent_name) == ("done", "Bruno Lefèvre")


def test_the_web_program_ends_them(database_url: str) -> None:
    web = RunningWeb(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        lost = put_call(conn, rang_at=web.clock() - timedelta(days=2))
        web.start()
        try:
            ended = "SELECT state = 'ended' FROM hotline.call WHERE id = %s"
            assert wait_until(lambda: conn.execute(ended, [lost]).fetchone() == (True,), timeout_s=10)
        finally:
            web.stop()


def test_one_that_cannot_be_ended_does_not_keep_the_others(house: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, other = ring(house, 0), ring(house, 1)

    def record(conn: psycopg.Connection, *, event: CallEvent, now: datetime, usual_end: time) -> Reason:
        if event.call_id == refused:
            conn.execute("SELECT 1 / 0")
        return record_event(conn, event=event, now=now, usual_end=usual_end)

    monkeypatch.setattr("hotline.lost_hangups.record_event", record)
    assert end_lost(house, now=at(3 * HOUR)) == 1
    assert (stored(house, refused).state, stored(house, other).state) == (State.RINGING, State.ENDED)
