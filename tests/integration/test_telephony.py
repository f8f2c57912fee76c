"""Calls of a real Asterisk, made by SIPp, as the database keeps them."""

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from fleet.clock import system_clock
from fleet.settings import read
from hotline.call_legs import LegKind, Outcome
from hotline.call_state import State
from hotline.manual_calls import begin_gap, gaps_between, open_gap
from hotline.stored_call import StoredCall
from hotline.telephony.address import read_address
from hotline.telephony.ami import conversation
from hotline.telephony.listening import end_own_gap
from hotline.telephony.protocol import AmiError
from tests.running_asterisk import OWN_FLOOR_S, Asterisk
from tests.running_sipp import Sipp
from tests.running_telephony import KeptCall, RunningTelephony, staff_both_floors
from tests.running_web import PORT_BAR, seed
from vigie.engines.apt import AptError
from vigie.engines.layout import EngineSettings
from vigie.engines.telephony import fetch_telephony

SHOP = "0199001234"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def telephony(database_url: str, exchange: Asterisk) -> Iterator[RunningTelephony]:
    """The telephony program between the exchange and a small fleet's database."""
    with psycopg.connect(database_url) as conn:
        seed(conn, now=system_clock()())
        staff_both_floors(conn)
    running = RunningTelephony(database_url, exchange.ami_url)
    running.start()
    yield running
    running.stop()


def all_ended(kept: list[KeptCall]) -> bool:
    return bool(kept) and all(one.call.state is State.ENDED for one in kept)


def rings(kept: list[KeptCall]) -> bool:
    return any(leg.agent_as for one in kept for leg in one.legs)


def spoken(kept: list[KeptCall]) -> bool:
    return any(one.call.state is State.ANSWERED for one in kept)


def on_hold(kept: list[KeptCall]) -> bool:
    return any(leg.held_since is not None for one in kept for leg in one.legs)


def speaks(agent: str) -> Callable[[list[KeptCall]], bool]:
    """Whether this agent speaks to a caller now."""
    return lambda kept: any(
        leg.agent_as == agent and leg.answered_at is not None and leg.ended_at is None for one in kept for leg in one.legs
    )


def expect_waited_through_both_queues(call: StoredCall, *, since: datetime) -> None:
    """The wait is measured from the first ring; the exchange's own count begins anew with the second queue."""
    assert call.answered_at is not None
    assert timedelta(seconds=OWN_FLOOR_S - 1) < call.answered_at - call.rang_at < system_clock()() - since


def test_a_call_flows_over_and_its_waits_are_of_our_own_clock(telephony: RunningTelephony, sipp: Sipp) -> None:
    before = system_clock()()
    sipp.agent("4031", talks_s=0.5)
    sipp.shop(SHOP, in_a_hurry=True)
    [kept] = telephony.wait_for(all_ended)
    own, missed, overflow, taken = kept.parts()
    assert own == ("hotline", "1 own", "overflowed")
    assert missed == ("4021", "1 own", "missed")
    assert (overflow, taken) == (("overflow", "1 overflow", "answered"), ("4031", "1 overflow", "answered"))
    assert kept.legs[-1].agent_name == "Dora Blanc"
    expect_waited_through_both_queues(kept.call, since=before)
    assert (kept.call.number, kept.call.point_of_sale, kept.call.direction) == ("+33199001234", PORT_BAR, "in")
    sipp.finish()


def test_who_refuses_a_call_is_passed_over(telephony: RunningTelephony, sipp: Sipp) -> None:
    sipp.agent("4021", refuses=True)
    sipp.agent("4022", talks_s=0.3)
    sipp.shop(SHOP)
    [kept] = telephony.wait_for(all_ended)
    assert kept.parts() == [("hotline", "1 own", "answered"), ("4021", "1 own", "missed"), ("4022", "1 own", "answered")]
    sipp.finish()


def test_passed_on_to_level_2_it_stays_one_call(telephony: RunningTelephony, sipp: Sipp) -> None:
    sipp.agent("4021", holds=True, transfers_to="600", by_hand=True)
    sipp.agent("4023", talks_s=0.5)
    sipp.shop(SHOP)
    sipp.act("4021")
    telephony.wait_for(speaks("4021"))
    sipp.act("4021")
    telephony.wait_for(on_hold)
    sipp.act("4021")
    # Taken back, the caller is passed on.
    sipp.act("4021")
    [kept] = telephony.wait_for(all_ended)
    assert kept.parts() == [
        ("hotline", "1 own", "answered"),
        ("4021", "1 own", "transferred"),
        ("level2", "2 own", "answered"),
        ("4023", "2 own", "answered"),
    ]
    alice = kept.legs[1]
    assert alice.answered_at is not None
    assert alice.ended_at is not None
    assert 0 < alice.held_s < (alice.ended_at - alice.answered_at).total_seconds()
    assert kept.call.answered_by_name == "Carol Smith"
    sipp.finish()


def test_passed_on_after_asking_level_2_it_stays_one_call_too(telephony: RunningTelephony, sipp: Sipp) -> None:
    sipp.agent("4021", asks="600", by_hand=True)
    sipp.agent("4023", by_hand=True)
    sipp.shop(SHOP)
    sipp.act("4021")
    telephony.wait_for(speaks("4021"))
    sipp.act("4021")
    sipp.act("4023")
    telephony.wait_for(speaks("4023"))
    # Who asked lays down, and the caller goes on with level 2.
    sipp.act("4021")
    telephony.wait_for(lambda kept: not speaks("4021")(kept))
    sipp.act("4023")
    [kept] = telephony.wait_for(all_ended)
    assert kept.parts() == [
        ("hotline", "1 own", "answered"),
        ("4021", "1 own", "transferred"),
        ("level2", "2 own", "answered"),
        ("4023", "2 own", "answered"),
    ]
    assert kept.call.number == "+33199001234"
    sipp.finish()


def test_given_back_to_the_queue_it_came_from_it_waits_there_anew(
    telephony: RunningTelephony, exchange: Asterisk, sipp: Sipp
) -> None:
    sipp.agent("4021", transfers_to="601", by_hand=True)
    sipp.agent("4022", talks_s=0.5)
    sipp.shop(SHOP)
    sipp.act("4021")
    telephony.wait_for(speaks("4021"))
    # Who gives a call back is not the next to have it.
    exchange.pause("4021")
    sipp.act("4021")
    [kept] = telephony.wait_for(all_ended)
    waits = [(leg.queue, leg.outcome) for leg in kept.legs if leg.kind is LegKind.QUEUE]
    assert waits == [("hotline", "answered"), ("hotline", "answered")]
    assert ("4021", "1 own", "transferred") in kept.parts()
    assert kept.call.answered_by_name == "Bruno Lefèvre"
    sipp.finish()


def test_a_caller_who_gives_up_is_to_be_called_back(telephony: RunningTelephony, sipp: Sipp) -> None:
    sipp.shop(SHOP)
    telephony.wait_for(rings)
    sipp.act(SHOP)
    [kept] = telephony.wait_for(all_ended)
    assert kept.parts() == [("hotline", "1 own", "abandoned"), ("4021", "1 own", "missed")]
    with psycopg.connect(telephony.database_url) as conn:
        assert conn.execute("SELECT call, point_of_sale, state FROM hotline.callback").fetchall() == [
            (kept.call.id, PORT_BAR, "open")
        ]
    sipp.finish()


def test_what_happened_while_the_exchange_was_out_of_reach_is_made_up_for(
    telephony: RunningTelephony, exchange: Asterisk, sipp: Sipp
) -> None:
    sipp.agent("4021")
    sipp.shop(SHOP)
    telephony.wait_for(spoken)
    exchange.stop()
    exchange.start()
    sipp.shop("0353010000")
    first, second = telephony.wait_for(lambda kept: len(kept) == 2 and kept[0].call.state is State.ENDED)
    assert first.call.cause == "unheard"
    with psycopg.connect(telephony.database_url) as conn:
        [gap] = gaps_between(conn, since=first.call.rang_at, until=second.call.rang_at)
    assert gap.ended_at is not None
    assert first.call.rang_at < gap.began_at < gap.ended_at < second.call.rang_at
    assert second.call.state is State.RINGING


def test_a_call_that_was_there_before_we_listened_is_known(database_url: str, exchange: Asterisk, sipp: Sipp) -> None:
    with psycopg.connect(database_url) as conn:
        seed(conn, now=system_clock()())
    sipp.agent("4021", by_hand=True)
    sipp.shop(SHOP)
    sipp.act("4021")
    sipp.wait_until_answered()
    late = RunningTelephony(database_url, exchange.ami_url)
    late.start()
    try:
        [kept] = late.wait_for(spoken)
        assert (kept.call.number, kept.call.answered_by_name) == ("+33199001234", "Alice Martin")
        sipp.act("4021")
        late.wait_for(all_ended)
    finally:
        late.stop()


def test_what_was_heard_while_the_database_was_away_is_kept_with_its_time(telephony: RunningTelephony, sipp: Sipp) -> None:
    before = system_clock()()
    sipp.agent("4031", talks_s=0.5)
    sipp.shop(SHOP, in_a_hurry=True)
    telephony.wait_for(rings)
    with psycopg.connect(telephony.database_url, autocommit=True) as conn:
        # As a restart of the database does.
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vigie telephony'")
    [kept] = telephony.wait_for(all_ended)
    assert kept.parts()[-1] == ("4031", "1 overflow", "answered")
    expect_waited_through_both_queues(kept.call, since=before)


def test_many_callers_at_once_are_each_one_call(telephony: RunningTelephony, sipp: Sipp) -> None:
    for agent in ("4021", "4022", "4031"):
        sipp.agent(agent, after_s=0.1, talks_s=0.3, calls=5)
    for caller in range(5):
        sipp.shop(f"01990020{caller:02}")
    kept = telephony.wait_for(lambda kept: len(kept) == 5 and all_ended(kept))
    assert len({one.call.number for one in kept}) == 5
    assert [[leg.outcome for leg in one.legs].count(Outcome.ANSWERED) for one in kept] == [2] * 5


def test_an_exchange_that_cannot_be_had_is_said_so_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    settings = read(EngineSettings, cache_dir=tmp_path, debian_mirror=f"file://{tmp_path}/nowhere")
    with pytest.raises(AptError, match="update failed"):
        fetch_telephony(settings, lambda _line: None)
    assert [path.name for path in (tmp_path / "engines").iterdir()] == [".lock"]


def test_a_gap_that_a_person_noted_is_theirs_to_end(conn: psycopg.Connection) -> None:
    begin_gap(conn, author="alice", now=NOON)
    end_own_gap(conn, now=NOON + timedelta(minutes=1))
    gap = open_gap(conn)
    assert gap is not None
    assert gap.begun_by == "alice"


def test_who_stops_listening_notes_it_and_who_listens_again_ends_it(database_url: str, exchange: Asterisk) -> None:
    def open_author() -> str | None:
        with psycopg.connect(database_url) as conn:
            gap = open_gap(conn)
        return gap.begun_by if gap else None

    for before, after in ((None, "vigie telephony"), ("vigie telephony", "vigie telephony")):
        assert open_author() == before
        running = RunningTelephony(database_url, exchange.ami_url)
        running.start()
        assert open_author() is None
        running.stop()
        assert open_author() == after


def test_a_wrong_secret_is_refused_in_the_exchanges_words(exchange: Asterisk) -> None:
    wrong = read_address(exchange.ami_url.replace("a-test-secret", "another"))
    with pytest.raises(AmiError, match="sign-in refused: Authentication failed"):
        next(iter(conversation(wrong, stop=threading.Event())))


def test_over_tls_the_exchange_is_heard_as_well(database_url: str, exchange: Asterisk, sipp: Sipp) -> None:
    with psycopg.connect(database_url) as conn:
        seed(conn, now=system_clock()())
    running = RunningTelephony(database_url, exchange.amis_url, ca_file=exchange.ca_file)
    running.start()
    try:
        sipp.agent("4021", talks_s=0.3)
        sipp.shop(SHOP)
        [kept] = running.wait_for(all_ended)
        assert kept.parts() == [("hotline", "1 own", "answered"), ("4021", "1 own", "answered")]
    finally:
        running.stop()


def test_an_exchange_whose_certificate_nobody_vouches_for_is_told_no_secret(exchange: Asterisk) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        next(iter(conversation(read_address(exchange.amis_url), stop=threading.Event())))
