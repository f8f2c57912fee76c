"""A small fleet whose shops ring, for tests of what agents do with calls."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from hotline.callbacks import list_callbacks
from hotline.calls import list_calls, record_event
from hotline.cti import parse_event
from hotline.qualification import Given, Outcome, Qualification, Subject, qualify
from tests.running_web import PORT_BAR_NUMBER, seed

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
ids = itertools.count(1)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def tell(conn: psycopg.Connection, minutes: float, **fields: object) -> None:
    record_event(conn, event=parse_event(fields), now=at(minutes))


def ring(conn: psycopg.Connection, minutes: float, number: str = PORT_BAR_NUMBER, direction: str = "in") -> str:
    call_id = f"w{next(ids)}"
    shop_side = {"from": number, "to": "3008"} if direction == "in" else {"from": "3008", "to": number}
    tell(conn, minutes, event="newCall", callId=call_id, direction=direction, **shop_side)
    return call_id


def call_of(conn: psycopg.Connection, call_id: str) -> int:
    (found,) = [call.id for call in list_calls(conn, limit=100) if call.call_id == call_id]
    return found


def give_up(conn: psycopg.Connection, minutes: float, number: str = PORT_BAR_NUMBER) -> str:
    call_id = ring(conn, minutes, number)
    tell(conn, minutes + 1, event="hangup", callId=call_id, cause="cancel")
    return call_id


def states(conn: psycopg.Connection) -> list[tuple[str, str]]:
    return [(one.state, one.reason) for one in list_callbacks(conn)[::-1]]


def agent(conn: psycopg.Connection, login: str) -> int:
    row = conn.execute("SELECT id FROM hotline.agent WHERE login = %s", [login]).fetchone()
    assert row is not None
    return int(row[0])


def say(conn: psycopg.Connection, call: int, outcome: Outcome, *, seen: int = 0, **more: datetime | int | None) -> Qualification:
    given = Given(Subject.TECHNICAL, outcome, **more)  # type: ignore[arg-type]  # typology or callback_at
    return qualify(conn, call=call, given=given, seen=seen, level=1, author="alice", agent=agent(conn, "alice"), now=NOW)


@contextmanager
def filled(url: str) -> Iterator[psycopg.Connection]:
    """A connection that has filled the database with the fleet, and never commits."""
    with psycopg.connect(url) as conn:
        seed(conn, now=NOW)
        yield conn
        conn.rollback()
