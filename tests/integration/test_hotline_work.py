"""Qualifications and callbacks in a real database."""

import random
from collections.abc import Iterator
from datetime import time

import psycopg
import pytest

from hotline.callbacks import Callback, CallbackError, done, give_back, list_callbacks, open_callbacks, take
from hotline.calls import choose_point_of_sale
from hotline.qualification import Outcome, QualificationError, StaleError, qualification_of
from hotline.race_days import set_race_days
from tests.integration.work_house import NOW, agent, at, call_of, filled, give_up, ring, say, states, tell
from tests.running_web import CAFE, ISLAND_NUMBER, PORT_BAR, PORT_BAR_NUMBER, SHARED_NUMBER, TABAC


@pytest.fixture(scope="module")
def seeded(shared_database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that has filled the database, and never commits."""
    with filled(shared_database_url) as conn:
        yield conn


@pytest.fixture
def house(seeded: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A small fleet with its agents; what a test does is taken back."""
    with seeded.transaction(force_rollback=True):
        yield seeded


def test_an_abandoned_call_makes_one_dated_callback(house: psycopg.Connection) -> None:
    call_id = give_up(house, 0)
    tell(house, 2, event="hangup", callId=call_id)
    (one,) = open_callbacks(house)
    assert (one.number, one.point_of_sale, one.made_by_abandon) == (PORT_BAR_NUMBER, PORT_BAR, True)
    assert one.due_at == at(31)
    assert open_callbacks(house, point_of_sale=PORT_BAR) == [one]
    assert open_callbacks(house, point_of_sale=CAFE) == []


def test_a_shop_that_gives_up_at_the_races_end_is_called_back_in_the_morning(house: psycopg.Connection) -> None:
    evening = 8 * 60 + 20
    give_up(house, evening)
    assert [one.due_at for one in open_callbacks(house)] == [at(17 * 60)]
    set_race_days(house, ends={NOW.date(): time(23)}, by="dsi", now=NOW)
    give_up(house, evening, ISLAND_NUMBER)
    assert [one.due_at for one in open_callbacks(house)] == [at(evening + 31), at(17 * 60)]


def test_an_answered_call_makes_none_even_if_the_answer_is_told_last(house: psycopg.Connection) -> None:
    call_id = ring(house, 0)
    tell(house, 1, event="answer", callId=call_id, user="alice")
    tell(house, 2, event="hangup", callId=call_id)
    assert states(house) == []
    late = give_up(house, 10)
    tell(house, 12, event="answer", callId=late, user="alice")
    assert states(house) == [("dropped", "answered_after_all")]


def test_a_shop_that_rings_again_needs_no_callback(house: psycopg.Connection) -> None:
    give_up(house, 0)
    give_up(house, 0, ISLAND_NUMBER)
    ring(house, 10)
    assert states(house) == [("dropped", "rang_again"), ("open", "")]
    # Another number of the same shop counts as the shop.
    give_up(house, 20)
    ring(house, 30, "+33639981234")
    assert [state for state, _ in states(house)] == ["dropped", "open", "dropped"]


def test_a_hangup_told_after_the_next_ring_makes_a_callback_that_is_dropped(house: psycopg.Connection) -> None:
    first = ring(house, 0)
    second = ring(house, 5)
    tell(house, 6, event="answer", callId=second, user="alice")
    tell(house, 7, event="hangup", callId=first, cause="cancel")
    assert states(house) == [("dropped", "rang_again")]


def test_shops_that_share_a_number_are_told_apart_once_they_are_known(house: psycopg.Connection) -> None:
    first = give_up(house, 0, SHARED_NUMBER)
    choose_point_of_sale(house, call=call_of(house, first), code=CAFE)
    (one,) = open_callbacks(house)
    assert one.point_of_sale == CAFE
    second = ring(house, 5, SHARED_NUMBER)
    # Which of the two rings is not known yet: that it is the first is likelier than not.
    assert states(house) == [("dropped", "rang_again")]
    choose_point_of_sale(house, call=call_of(house, second), code=TABAC)
    tell(house, 6, event="hangup", callId=second, cause="cancel")
    assert [(one.point_of_sale, one.state) for one in list_callbacks(house)[::-1]] == [(CAFE, "dropped"), (TABAC, "open")]


def test_a_withheld_number_and_a_call_of_ours_make_none(house: psycopg.Connection) -> None:
    give_up(house, 0, "anonymous")
    ours = ring(house, 5, direction="out")
    tell(house, 6, event="hangup", callId=ours)
    assert states(house) == []


def test_reaching_the_shop_is_having_called_back(house: psycopg.Connection) -> None:
    give_up(house, 0)
    unanswered = ring(house, 20, direction="out")
    tell(house, 21, event="hangup", callId=unanswered)
    assert states(house) == [("open", "")]
    reached = ring(house, 30, direction="out")
    tell(house, 31, event="answer", callId=reached, user="bruno")
    (one,) = list_callbacks(house)
    assert (one.state, one.agent_name) == ("done", "Bruno Lefèvre")


def test_any_order_of_two_calls_leaves_the_same_callbacks(house: psycopg.Connection) -> None:
    events: list[tuple[float, dict[str, object]]] = [
        (0, {"event": "newCall", "callId": "a", "direction": "in", "from": PORT_BAR_NUMBER}),
        (1, {"event": "hangup", "callId": "a", "cause": "cancel"}),
        (9, {"event": "newCall", "callId": "b", "direction": "in", "from": PORT_BAR_NUMBER}),
        (10, {"event": "hangup", "callId": "b", "cause": "cancel"}),
    ]
    chance = random.Random(7)
    for _ in range(12):
        with house.transaction(force_rollback=True):
            # Each call's ring comes before the other's; within, and between what follows, anything goes.
            told = [events[0], *chance.sample([events[1], events[2], events[3], events[1], events[3]], 5)]
            for minute, fields in told:
                tell(house, minute, **fields)
            open_now = open_callbacks(house)
            assert len(open_now) <= 1
            assert len(list_callbacks(house)) == 2


def test_a_callback_is_one_agents_until_it_is_left_or_done(house: psycopg.Connection) -> None:
    give_up(house, 0)
    (one,) = open_callbacks(house)
    alice, bruno = agent(house, "alice"), agent(house, "bruno")
    assert take(house, callback=one.id, agent=alice).agent_name == "Alice Martin"
    with pytest.raises(CallbackError):
        take(house, callback=one.id, agent=bruno)
    give_back(house, callback=one.id, agent=alice)
    take(house, callback=one.id, agent=bruno)
    closed: Callback = done(house, callback=one.id, agent=bruno, now=at(40))
    assert (closed.state, closed.agent, closed.done_at) == ("done", bruno, at(40))
    with pytest.raises(CallbackError):
        done(house, callback=one.id, agent=alice, now=at(41))


def test_a_qualification_is_kept_and_corrected(house: psycopg.Connection) -> None:
    call = call_of(house, ring(house, 0))
    assert qualification_of(house, call=call) is None
    first = say(house, call, Outcome.SOLVED)
    assert (first.version, first.outcome, first.author_name, first.typology) == (1, Outcome.SOLVED, "Alice Martin", None)
    second = say(house, call, Outcome.FIELD_VISIT, seen=1)
    assert (second.version, second.outcome) == (2, Outcome.FIELD_VISIT)
    assert qualification_of(house, call=call) == second


@pytest.mark.parametrize("seen", [0, 2])
def test_a_stale_save_is_refused_and_says_what_stands(house: psycopg.Connection, seen: int) -> None:
    call = call_of(house, ring(house, 0))
    stands = say(house, call, Outcome.SOLVED)
    with pytest.raises(StaleError) as raised:
        say(house, call, Outcome.ESCALATED, seen=seen)
    assert raised.value.current == stands
    assert qualification_of(house, call=call) == stands


@pytest.mark.parametrize(("call", "typology", "field"), [(None, None, "call"), (1, 999_999, "typology")])
def test_what_is_not_there_is_named(house: psycopg.Connection, call: int | None, typology: int | None, field: str) -> None:
    known = call_of(house, ring(house, 0))
    with pytest.raises(QualificationError) as raised:
        say(house, known if call else 999_999, Outcome.SOLVED, typology=typology)
    assert raised.value.field == field


def test_a_promise_is_a_callback_and_goes_with_its_outcome(house: psycopg.Connection) -> None:
    call = call_of(house, ring(house, 0))
    say(house, call, Outcome.CALLBACK, callback_at=at(120))
    (one,) = open_callbacks(house)
    assert (one.due_at, one.made_by_abandon, one.agent_name, one.point_of_sale) == (at(120), False, "Alice Martin", PORT_BAR)
    say(house, call, Outcome.CALLBACK, seen=1, callback_at=at(180))
    assert [other.due_at for other in open_callbacks(house)] == [at(180)]
    # What an agent promised stands, though the shop rings again.
    ring(house, 30)
    assert len(open_callbacks(house)) == 1
    say(house, call, Outcome.SOLVED, seen=2)
    assert states(house) == [("dropped", "requalified")]


def test_a_correction_does_not_reopen_a_promise_that_was_kept(house: psycopg.Connection) -> None:
    call = call_of(house, ring(house, 0))
    say(house, call, Outcome.CALLBACK, callback_at=at(120))
    (one,) = open_callbacks(house)
    done(house, callback=one.id, agent=None, now=at(121))
    say(house, call, Outcome.CALLBACK, seen=1, callback_at=at(120))
    assert states(house) == [("done", "")]
    say(house, call, Outcome.CALLBACK, seen=2, callback_at=at(240))
    assert states(house) == [("open", "")]
