"""The times when the exchange was not heard, whatever ended the program that listened."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from hotline.manual_calls import begin_gap, end_gap, gaps_between, open_gap
from hotline.telephony.ami import Lost, Reached
from hotline.telephony.listening import AUTHOR, Metrics, Recorder

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def listening(conn: psycopg.Connection, *, since: float) -> Recorder:
    """A program that has just reached the exchange."""
    recorder = Recorder(Metrics(CollectorRegistry()))
    recorder.hear(Reached(at(since)))
    recorder.store(conn)
    return recorder


def hears(recorder: Recorder, conn: psycopg.Connection, *seconds: float) -> None:
    for second in seconds:
        recorder.hear_nothing(now=at(second))
        recorder.store(conn)


def gaps(conn: psycopg.Connection) -> list[tuple[float, float | None]]:
    """From when to when, in seconds after noon."""
    found = gaps_between(conn, since=at(-3600), until=at(7200))
    return [
        ((one.began_at - NOON).total_seconds(), (one.ended_at - NOON).total_seconds() if one.ended_at else None) for one in found
    ]


def test_who_listens_for_the_first_time_has_missed_nothing(conn: psycopg.Connection) -> None:
    listening(conn, since=0)
    assert gaps(conn) == []


def test_the_time_after_a_program_was_killed_is_noted_by_the_next(conn: psycopg.Connection) -> None:
    hears(listening(conn, since=0), conn, 4, 8, 12, 61)
    after = listening(conn, since=300)
    assert gaps(conn) == [(61, 300)]
    # It was there all the time since.
    hears(after, conn, 350, 399)
    listening(conn, since=400)
    assert gaps(conn) == [(61, 300), (399, 400)]


def test_what_was_heard_counts_up_to_a_few_seconds(conn: psycopg.Connection) -> None:
    hears(listening(conn, since=0), conn, 10, 14.9)
    listening(conn, since=100)
    assert gaps(conn) == [(10, 100)]


def test_an_exchange_that_was_lost_is_one_gap_though_the_program_was_killed_meanwhile(conn: psycopg.Connection) -> None:
    recorder = listening(conn, since=0)
    recorder.hear(Lost(at(50)))
    hears(recorder, conn, 60, 70)
    listening(conn, since=300)
    assert gaps(conn) == [(50, 300)]


@pytest.mark.parametrize(
    ("ended_at", "noted"),
    [
        pytest.param(None, [(20, None)], id="it lasts, and is theirs to end"),
        pytest.param(200, [(20, 200), (200, 300)], id="it is over, and nobody listened"),
    ],
)
def test_a_gap_that_a_person_noted_counts_once(
    conn: psycopg.Connection, ended_at: float | None, noted: list[tuple[float, float | None]]
) -> None:
    hears(listening(conn, since=0), conn, 10)
    begin_gap(conn, author="alice", now=at(20))
    if ended_at is not None:
        end_gap(conn, author="alice", now=at(ended_at))
    listening(conn, since=300)
    assert gaps(conn) == noted


def test_who_stopped_in_order_is_followed_without_a_second_gap(conn: psycopg.Connection) -> None:
    hears(listening(conn, since=0), conn, 10)
    begin_gap(conn, author=AUTHOR, now=at(12))
    listening(conn, since=30)
    assert gaps(conn) == [(12, 30)]
    assert open_gap(conn) is None
