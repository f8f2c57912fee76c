import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotline.accounts import add_agent
from hotline.call_events import CallEvent
from hotline.call_state import Reason, State
from hotline.calls import choose_point_of_sale, events_of, list_calls, live_calls, record_event
from hotline.cti import parse_event
from hotline.roles import Role
from hotline.stored_call import StoredCall
from tests.running_web import CAFE, PASSWORD, PORT_BAR, SHARED_NUMBER, TABAC, seed

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
numbers = itertools.count(1)


def event(**fields: object) -> CallEvent:
    return parse_event(fields)


def ring(conn: psycopg.Connection, number: str, **more: object) -> StoredCall:
    call_id = f"c{next(numbers)}"
    record_event(conn, event=event(event="newCall", callId=call_id, direction="in", **{"from": number, **more}), now=NOW)
    return find(conn, call_id)


def find(conn: psycopg.Connection, call_id: str) -> StoredCall:
    (call,) = [call for call in list_calls(conn, limit=100) if call.call_id == call_id]
    return call


def signals(conn: psycopg.Connection, call: StoredCall) -> list[str]:
    rows = conn.execute("SELECT terminal_id FROM fleet.signal WHERE kind = 'call' AND ref = %s ORDER BY 1", [str(call.id)])
    return [row[0] for row in rows]


def test_a_known_number_is_its_shop_and_a_signal_of_its_terminals(conn: psycopg.Connection) -> None:
    seed(conn, now=NOW)
    call = ring(conn, "01 99 00 12 34")
    assert call.point_of_sale == PORT_BAR
    assert call.from_number == "+33199001234"
    assert signals(conn, call) == ["T00011", "T00012", "T00013"]


@pytest.mark.parametrize(
    ("picked", "shop"),
    [
        pytest.param(None, CAFE, id="the number's shop is the other one"),
        pytest.param(TABAC, TABAC, id="what a person said stays"),
    ],
)
def test_a_call_that_turns_out_to_be_ours_is_of_the_shop_we_rang(conn: psycopg.Connection, picked: str | None, shop: str) -> None:
    seed(conn, now=NOW)
    conn.execute("INSERT INTO fleet.phone_number VALUES ('+33199009876', %s)", [CAFE])
    numbers = {"from": "0199001234", "to": "0199009876"}
    record_event(conn, event=event(event="answer", callId="late", user="alice", **numbers), now=NOW)
    told = find(conn, "late")
    assert (told.direction, told.point_of_sale, signals(conn, told)) == (None, PORT_BAR, ["T00011", "T00012", "T00013"])
    if picked is not None:
        choose_point_of_sale(conn, call=told.id, code=picked)
    record_event(conn, event=event(event="newCall", callId="late", direction="out", **numbers), now=NOW)
    after = find(conn, "late")
    assert (after.direction, after.point_of_sale, after.candidates) == ("out", shop, [shop])
    assert signals(conn, after) == []


def test_a_shared_number_waits_for_the_agent_to_pick(conn: psycopg.Connection) -> None:
    seed(conn, now=NOW)
    call = ring(conn, SHARED_NUMBER)
    assert (call.point_of_sale, call.candidates) == (None, [CAFE, TABAC])
    assert signals(conn, call) == []
    picked = choose_point_of_sale(conn, call=call.id, code=TABAC)
    assert picked.point_of_sale == TABAC
    assert picked.version > call.version
    assert signals(conn, call) == ["T00041"]
    choose_point_of_sale(conn, call=call.id, code=PORT_BAR)
    assert signals(conn, call) == ["T00011", "T00012", "T00013"]
    assert [other.id for other in list_calls(conn, point_of_sale=TABAC)] == []


@pytest.mark.parametrize(("number", "kept"), [("anonymous", ""), ("", ""), ("4021", "4021"), ("0465710000", "+33465710000")])
def test_a_number_of_no_shop_is_a_call_all_the_same(conn: psycopg.Connection, number: str, kept: str) -> None:
    seed(conn, now=NOW)
    call = ring(conn, number)
    assert (call.from_number, call.candidates, call.state) == (kept, [], State.RINGING)


def test_a_number_that_comes_late_still_finds_its_shop(conn: psycopg.Connection) -> None:
    seed(conn, now=NOW)
    record_event(conn, event=event(event="answer", callId="late", user="alice"), now=NOW)
    record_event(conn, event=event(event="newCall", callId="late", direction="in", **{"from": "0199001234"}), now=NOW)
    call = find(conn, "late")
    assert (call.state, call.point_of_sale) == (State.ANSWERED, PORT_BAR)
    assert call.answered_by_name == "Alice Martin"


def test_who_answers_is_told_by_name_extension_or_by_being_alone(conn: psycopg.Connection) -> None:
    seed(conn, now=NOW)
    by_extension, alone = ring(conn, "0199001234"), ring(conn, "0199001234", user="Bruno Lefevre")
    record_event(conn, event=event(event="answer", callId=by_extension.call_id, answeringNumber="4021"), now=NOW)
    record_event(conn, event=event(event="answer", callId=alone.call_id), now=NOW)
    assert find(conn, by_extension.call_id).answered_by_name == "Alice Martin"
    assert find(conn, alone.call_id).answered_by_name == "Bruno Lefèvre"


def test_every_event_is_kept_with_what_became_of_it(conn: psycopg.Connection) -> None:
    call = ring(conn, "anonymous")
    for name in ("hold", "hangup", "hangup"):
        record_event(conn, event=event(event=name, callId=call.call_id), now=NOW)
    assert [(name, applied, reason) for _, name, applied, reason in events_of(conn, call_id=call.call_id)] == [
        ("newCall", True, Reason.STARTED),
        ("hold", False, Reason.IGNORED),
        ("hangup", True, Reason.ENDED),
        ("hangup", False, Reason.REPEATED),
    ]


def test_live_calls_are_those_that_can_be_believed(conn: psycopg.Connection) -> None:
    call = ring(conn, "anonymous")
    assert [live.id for live in live_calls(conn, now=NOW)] == [call.id]
    assert live_calls(conn, now=NOW + timedelta(hours=1)) == []
    record_event(conn, event=event(event="hangup", callId=call.call_id), now=NOW)
    assert live_calls(conn, now=NOW) == []


EVENTS = [
    event(event="newCall", callId="x", direction="in", **{"from": "0199001234", "user[]": ["alice"]}),
    event(event="answer", callId="x", user="alice"),
    event(event="hangup", callId="x", cause="normalClearing"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=8))
def test_any_order_repeat_or_loss_is_one_call_that_never_reopens(conn: psycopg.Connection, events: list[CallEvent]) -> None:
    rank = [State.RINGING, State.ANSWERED, State.ENDED]
    with conn.transaction(force_rollback=True):
        seen: list[int] = []
        for one in events:
            record_event(conn, event=one, now=NOW)
            found = list_calls(conn, limit=10)
            assert len(found) == 1
            seen.append(rank.index(found[0].state))
        assert seen == sorted(seen)


def test_the_same_events_at_the_same_moment_make_one_call(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        seed(conn, now=NOW)

    def post(one: CallEvent) -> None:
        with psycopg.connect(database_url) as conn:
            record_event(conn, event=one, now=NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(post, EVENTS * 8))
    with psycopg.connect(database_url) as conn:
        (call,) = list_calls(conn)
        assert (call.state, call.point_of_sale) == (State.ENDED, PORT_BAR)
        assert len(events_of(conn, call_id="x")) == 24
        assert signals(conn, call) == ["T00011", "T00012", "T00013"]


def test_a_closed_account_answers_no_calls(conn: psycopg.Connection) -> None:
    agent = add_agent(conn, login="zoe", name="Zoé Petit", role=Role.LEVEL1, password=PASSWORD)
    conn.execute("UPDATE hotline.agent SET active = false WHERE id = %s", [agent.id])
    call = ring(conn, "anonymous", user="zoe")
    assert call.called == []
