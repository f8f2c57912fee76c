"""What agents share, in a real database: incidents' calls, callers passed on, forms two have open, calls by hand."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier

import psycopg
import pytest

from diagnostics.incidents import IncidentError, declare, resolve
from hotline.accounts import add_agent
from hotline.attachments import (
    Attachment,
    AttachmentError,
    attach,
    attached_to,
    attachment_of,
    attachments_of,
    close_with_incidents,
    undo,
)
from hotline.call_events import CallEvent, Happening
from hotline.calls import calls_by_id, record_event
from hotline.editing import come, leave
from hotline.handovers import HandoverError, hand_over, handovers_of, take_over, waited_in_all, waiting, withdraw
from hotline.manual_calls import ManualError, begin_gap, end_gap, enter_call, gaps_between, open_gap
from hotline.qualification import Outcome, StaleError, Subject, qualification_of
from hotline.roles import Role
from hotline.stored_call import StoredCall
from hotline.stored_legs import legs_of
from tests.integration.work_house import NOW, agent, at, call_of, filled, give_up, ring, say, states, tell
from tests.running_web import CAFE, ISLAND, ISLAND_NUMBER, PASSWORD, PORT_BAR, PORT_BAR_NUMBER, SHARED_NUMBER, TABAC


def attach_calls(conn: psycopg.Connection, incident: int, *calls: int) -> Attachment:
    return attach(conn, incident=incident, calls=calls, author="alice", agent=agent(conn, "alice"), now=NOW)


def declared(conn: psycopg.Connection, lot: str = "L07") -> int:
    return declare(conn, scope={"lot": lot}, title="Lot", advice="", actor="veille", now=NOW).id


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


def test_many_calls_are_attached_in_one_action_and_detached_in_one(house: psycopg.Connection) -> None:
    incident, other = declared(house), declared(house, "L02")
    calls = [call_of(house, ring(house, minute)) for minute in range(4)]
    attach_calls(house, other, calls[3])
    made = attach_calls(house, incident, *calls)
    # What is attached elsewhere stays there.
    assert (made.calls, made.author_name) == (calls[:3], "Alice Martin")
    assert attached_to(house, calls=calls) == {**dict.fromkeys(calls[:3], incident), calls[3]: other}
    with pytest.raises(AttachmentError):
        attach_calls(house, incident, *calls)
    undone = undo(house, attachment_id=made.id, author="bruno", now=at(5))
    assert (undone.undone_at, undone.undone_by) == (at(5), "bruno")
    assert attached_to(house, calls=calls) == {calls[3]: other}
    with pytest.raises(AttachmentError):
        undo(house, attachment_id=made.id, author="bruno", now=at(6))
    again = attach_calls(house, incident, calls[0])
    assert attachment_of(house, call=calls[0]) == again
    assert {one.id for one in attachments_of(house, incident=incident)} == {again.id, made.id}


@pytest.mark.parametrize(("incident", "call", "error"), [(False, True, IncidentError), (True, False, AttachmentError)])
def test_only_what_is_there_is_attached(house: psycopg.Connection, incident: bool, call: bool, error: type[Exception]) -> None:
    found, ringing = declared(house), call_of(house, ring(house, 0))
    with pytest.raises(error):
        attach_calls(house, found if incident else 999_999, ringing if call else 999_999)


def test_the_end_of_an_incident_closes_its_calls(house: psycopg.Connection) -> None:
    incident = declared(house)
    abandoned = call_of(house, give_up(house, 0, ISLAND_NUMBER))
    qualified, promised, free = (call_of(house, ring(house, minute)) for minute in (5, 6, 7))
    say(house, qualified, Outcome.SOLVED)
    say(house, promised, Outcome.CALLBACK, callback_at=at(300))
    made = attach_calls(house, incident, abandoned, qualified, promised)
    assert close_with_incidents(house, now=at(10)) == 0
    assert qualification_of(house, call=abandoned) is None
    resolve(house, incident, actor="dsi", detail="", now=at(20))
    assert close_with_incidents(house, now=at(21)) == 3
    assert close_with_incidents(house, now=at(22)) == 0
    closed = qualification_of(house, call=abandoned)
    assert closed is not None
    assert (closed.subject, closed.outcome, closed.author) == (Subject.TECHNICAL, Outcome.ESCALATED, "Vigie")
    stands = qualification_of(house, call=qualified)
    assert stands is not None
    assert stands.outcome is Outcome.SOLVED
    # Nobody needs to ring a shop for what is over; what was promised is kept.
    assert states(house) == [("dropped", "incident_over"), ("open", "")]
    assert qualification_of(house, call=free) is None
    undo(house, attachment_id=made.id, author="alice", now=at(30))
    assert qualification_of(house, call=abandoned) is None
    assert qualification_of(house, call=qualified) == stands
    assert states(house) == [("open", ""), ("open", "")]


def test_undoing_leaves_what_an_agent_said_since(house: psycopg.Connection) -> None:
    incident = declared(house)
    call = call_of(house, ring(house, 0))
    made = attach_calls(house, incident, call)
    resolve(house, incident, actor="dsi", detail="", now=at(20))
    close_with_incidents(house, now=at(21))
    said = say(house, call, Outcome.FIELD_VISIT, seen=1)
    undo(house, attachment_id=made.id, author="alice", now=at(30))
    assert qualification_of(house, call=call) == said


def closed_by_the_end(conn: psycopg.Connection, call: int) -> Attachment:
    incident = declared(conn)
    made = attach_calls(conn, incident, call)
    resolve(conn, incident, actor="dsi", detail="", now=at(20))
    close_with_incidents(conn, now=at(21))
    return made


def test_what_was_seen_before_an_attachment_was_undone_is_stale_for_good(house: psycopg.Connection) -> None:
    call = call_of(house, ring(house, 0))
    for seen in (1, 2):
        made = closed_by_the_end(house, call)
        undo(house, attachment_id=made.id, author="alice", now=at(30))
        assert qualification_of(house, call=call) is None
        with pytest.raises(StaleError):
            say(house, call, Outcome.SOLVED, seen=seen)
    said = say(house, call, Outcome.SOLVED)
    assert said.version == 3
    with pytest.raises(StaleError):
        say(house, call, Outcome.ESCALATED, seen=1)


@pytest.mark.parametrize(
    ("direction", "state"),
    [pytest.param("in", ("dropped", "rang_again"), id="rang again"), pytest.param("out", ("done", ""), id="was reached")],
)
def test_undoing_makes_no_shop_be_called_back_that_was_spoken_to_since(
    house: psycopg.Connection, direction: str, state: tuple[str, str]
) -> None:
    made = closed_by_the_end(house, call_of(house, give_up(house, 0)))
    since = ring(house, 25, direction=direction)
    tell(house, 26, event="answer", callId=since, user="bruno")
    undo(house, attachment_id=made.id, author="alice", now=at(30))
    assert states(house) == [state]


def test_calls_of_a_part_wait_for_the_end_of_the_whole(house: psycopg.Connection) -> None:
    part, whole = declared(house), declared(house, "L02")
    attach_calls(house, part, call_of(house, ring(house, 0)))
    house.execute(
        "UPDATE diagnostics.incident SET state = 'closed', closed_at = %s, parent_id = %s WHERE id = %s", [NOW, whole, part]
    )
    assert close_with_incidents(house, now=at(1)) == 0
    resolve(house, whole, actor="dsi", detail="", now=at(2))
    assert close_with_incidents(house, now=at(3)) == 1


def test_a_call_attached_to_what_is_over_is_closed_at_once(house: psycopg.Connection) -> None:
    incident = declared(house)
    resolve(house, incident, actor="dsi", detail="", now=at(1))
    assert attach_calls(house, incident, call_of(house, ring(house, 0))).closed == 1


def test_who_is_not_heard_of_has_left_the_form(house: psycopg.Connection) -> None:
    call, alice, bruno = call_of(house, ring(house, 0)), agent(house, "alice"), agent(house, "bruno")
    assert [one.id for one in come(house, call=call, agent=alice, now=at(0))] == [alice]
    assert [one.id for one in come(house, call=call, agent=bruno, now=at(1))] == [alice, bruno]
    assert [one.id for one in come(house, call=call, agent=bruno, now=at(2))] == [bruno]
    assert leave(house, call=call, agent=bruno, now=at(2)) == []


def test_a_caller_is_passed_on_once_and_taken_by_one(house: psycopg.Connection) -> None:
    call = call_of(house, ring(house, 0))
    passed = hand_over(house, call=call, reason=" imprimante \n HS ", author="alice", agent=agent(house, "alice"), now=at(5))
    assert (passed.reason, passed.state, passed.author_name) == ("imprimante HS", "waiting", "Alice Martin")
    with pytest.raises(HandoverError):
        hand_over(house, call=call, reason="", author="alice", agent=None, now=at(6))
    assert waiting(house, now=at(6)) == [passed]
    taken = take_over(house, handover=passed.id, agent=agent(house, "carol"), now=at(8))
    assert (taken.state, taken.taken_by_name, taken.settled_at) == ("taken", "Carol Smith", at(8))
    with pytest.raises(HandoverError):
        take_over(house, handover=passed.id, agent=agent(house, "bruno"), now=at(9))
    with pytest.raises(HandoverError):
        withdraw(house, handover=passed.id, now=at(9))
    assert waiting(house, now=at(9)) == []
    # It may be needed once more.
    again = hand_over(house, call=call, reason="", author="alice", agent=None, now=at(10))
    assert withdraw(house, handover=again.id, now=at(11)).state == "withdrawn"


def test_a_caller_who_is_gone_is_not_passed_on_but_one_who_hung_up_waiting_is_kept(house: psycopg.Connection) -> None:
    over, patient = give_up(house, 0), ring(house, 1, ISLAND_NUMBER)
    with pytest.raises(HandoverError) as raised:
        hand_over(house, call=call_of(house, over), reason="", author="alice", agent=None, now=at(2))
    assert raised.value.field == "state"
    passed = hand_over(house, call=call_of(house, patient), reason="", author="alice", agent=None, now=at(2))
    tell(house, 4, event="hangup", callId=patient)
    assert [one.id for one in waiting(house, now=at(5))] == [passed.id]


def test_the_wait_adds_up_over_both_levels(house: psycopg.Connection) -> None:
    call_id = ring(house, 0)
    tell(house, 2, event="answer", callId=call_id, user="alice")
    call = call_of(house, call_id)
    passed = hand_over(house, call=call, reason="", author="alice", agent=None, now=at(10))

    def wait(minutes: float) -> timedelta:
        (stored,) = calls_by_id(house, [call])
        return waited_in_all(house, stored, now=at(minutes))

    assert wait(13) == timedelta(minutes=5)
    take_over(house, handover=passed.id, agent=agent(house, "carol"), now=at(14))
    assert wait(20) == timedelta(minutes=6)


def on_the_line(conn: psycopg.Connection, minutes: float, kind: Happening, who: str, *, call_id: str) -> None:
    record_event(conn, event=CallEvent(kind, call_id, str(kind), direction="in", agent=who), now=at(minutes))


@pytest.mark.parametrize("who", [pytest.param("carol", id="level 2"), pytest.param("bruno", id="another of level 1")])
def test_a_caller_whom_level_2_takes_by_telephone_does_not_wait_any_more(house: psycopg.Connection, who: str) -> None:
    call_id = ring(house, 0)
    on_the_line(house, 2, Happening.CONNECTED, "alice", call_id=call_id)
    call = call_of(house, call_id)
    passed = hand_over(house, call=call, reason="", author="alice", agent=agent(house, "alice"), now=at(10))
    on_the_line(house, 11, Happening.RELEASED, "alice", call_id=call_id)
    assert waiting(house, now=at(11)) == [passed]
    on_the_line(house, 14, Happening.CONNECTED, who, call_id=call_id)
    (after,) = handovers_of(house, call=call)
    if who == "bruno":
        assert after == passed
        return
    assert (after.state, after.taken_by_name, after.settled_at) == ("taken", "Carol Smith", at(14))
    on_the_line(house, 30, Happening.ENDED, "", call_id=call_id)
    (stored,) = calls_by_id(house, [call])
    assert waited_in_all(house, stored, now=at(40)) == timedelta(minutes=6)


def test_who_asked_level_2_before_passing_the_caller_on_leaves_nobody_waiting(house: psycopg.Connection) -> None:
    call_id = ring(house, 0)
    for minute, who in ((2, "alice"), (5, "carol")):
        on_the_line(house, minute, Happening.CONNECTED, who, call_id=call_id)
    call = call_of(house, call_id)
    hand_over(house, call=call, reason="", author="alice", agent=agent(house, "alice"), now=at(10))
    on_the_line(house, 11, Happening.RELEASED, "alice", call_id=call_id)
    (after,) = handovers_of(house, call=call)
    assert (after.state, after.taken_by_name, after.settled_at) == ("taken", "Carol Smith", at(10))


@pytest.mark.parametrize("by_button", [False, True])
def test_who_passed_a_caller_on_over_the_hook_speaks_no_longer_once_level_2_has_them(
    house: psycopg.Connection, by_button: bool
) -> None:
    call_id = ring(house, 0)
    tell(house, 2, event="answer", callId=call_id, user="alice")
    call = call_of(house, call_id)
    passed = hand_over(house, call=call, reason="", author="alice", agent=agent(house, "alice"), now=at(5))
    if by_button:
        take_over(house, handover=passed.id, agent=agent(house, "carol"), now=at(6))
    tell(house, 7, event="answer", callId=call_id, user="carol")
    tell(house, 20, event="hangup", callId=call_id)
    spoken = {
        leg.agent_as: (leg.answered_at, leg.ended_at, leg.outcome) for leg in legs_of(house, call=call) if leg.kind == "agent"
    }
    assert spoken == {"alice": (at(2), at(7), "transferred"), "carol": (at(7), at(20), "answered")}


def enter(conn: psycopg.Connection, caller: str = PORT_BAR, *, minutes: float = -10, talked: int = 4) -> StoredCall:
    times = {"rang_at": at(minutes), "talked": timedelta(minutes=talked)}
    call = enter_call(conn, caller=caller, **times, agent=agent(conn, "alice"), agent_name="Alice Martin", now=NOW)  # type: ignore[arg-type]  # two kinds of time
    (found,) = calls_by_id(conn, [call])
    return found


def test_a_call_entered_by_hand_is_a_call_of_its_shop(house: psycopg.Connection) -> None:
    give_up(house, -30)
    by_code, by_number = enter(house, " pv00001 "), enter(house, "02 62 12 34 56")
    assert (by_code.point_of_sale, by_code.answered_by_name, by_code.rang_at) == (PORT_BAR, "Alice Martin", at(-10))
    assert by_code.ended_at == at(-6)
    assert (by_number.point_of_sale, by_number.number) == (ISLAND, ISLAND_NUMBER)
    shared = enter(house, SHARED_NUMBER)
    assert (shared.point_of_sale, shared.candidates) == (None, [CAFE, TABAC])
    # The shop was spoken to: nobody needs to call it back.
    assert states(house) == [("dropped", "rang_again")]


def test_a_call_sent_twice_is_entered_once(house: psycopg.Connection) -> None:
    assert enter(house).id == enter(house).id
    assert enter(house, SHARED_NUMBER).id == enter(house, SHARED_NUMBER).id
    assert len({enter(house).id, enter(house, minutes=-9).id, enter(house, ISLAND).id, enter(house, PORT_BAR_NUMBER).id}) == 4


@pytest.mark.parametrize(
    ("caller", "minutes", "talked", "field"),
    [
        ("nobody", -10, 4, "caller"),
        (PORT_BAR, 5, 4, "rang_at"),
        (PORT_BAR, -8 * 24 * 60, 4, "rang_at"),
        (PORT_BAR, -10, 300, "minutes"),
        (PORT_BAR, -10, 12, "minutes"),
    ],
)
def test_what_cannot_have_been_is_not_entered(
    house: psycopg.Connection, caller: str, minutes: int, talked: int, field: str
) -> None:
    with pytest.raises(ManualError) as raised:
        enter(house, caller, minutes=minutes, talked=talked)
    assert raised.value.field == field


def test_a_gap_is_one_however_often_it_is_said(house: psycopg.Connection) -> None:
    first = begin_gap(house, author="Alice", now=at(-20))
    assert begin_gap(house, author="Bruno", now=at(-15)) == first
    enter(house)
    assert [one.calls for one in gaps_between(house, since=at(-60), until=NOW)] == [1]
    end_gap(house, author="Bruno", now=at(-5))
    end_gap(house, author="Bruno", now=NOW)
    (gap,) = gaps_between(house, since=at(-60), until=NOW)
    assert (gap.began_at, gap.ended_at, gap.begun_by, gap.ended_by, gap.calls) == (at(-20), at(-5), "Alice", "Bruno", 1)
    assert gaps_between(house, since=at(-4), until=NOW) == []
    assert open_gap(house) is None


def test_two_who_come_at_the_same_moment_see_each_other(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        calls = [call_of(conn, ring(conn, minute, f"01990000{minute:02}")) for minute in range(8)]
        made = add_agent(conn, login="ann", name="Ann", role=Role.LEVEL1, password=PASSWORD)
        conn.execute(
            "INSERT INTO hotline.agent (login, name, role, password_hash) SELECT 'ben', 'Ben', role, password_hash"
            " FROM hotline.agent WHERE id = %s",
            [made.id],
        )
        people = [made.id, agent(conn, "ben")]

    def enter_form(both: Barrier, call: int, who: int) -> int:
        with psycopg.connect(database_url) as conn:
            both.wait(10)
            return len(come(conn, call=call, agent=who, now=NOW))

    with ThreadPoolExecutor(2) as pool:
        for call in calls:
            both = Barrier(2)
            assert sorted(pool.map(partial(enter_form, both, call), people)) == [1, 2]
