"""Calls put straight into the database, as the telephone system's events leave them: for tests of what is read from them."""

import itertools
from datetime import datetime, timedelta

import psycopg

_numbers = itertools.count(1)


def put_call(
    conn: psycopg.Connection,
    *,
    rang_at: datetime,
    answered_s: float | None = None,
    ended_s: float | None = None,
    number: str = "+33199001234",
    shop: str | None = None,
    agent: int | None = None,
    direction: str = "in",
    manual: bool = False,
) -> int:
    """A call, with the seconds after its ring at which it was answered and ended."""
    answered_at = rang_at + timedelta(seconds=answered_s) if answered_s is not None else None
    ended_at = rang_at + timedelta(seconds=ended_s) if ended_s is not None else None
    state = "ended" if ended_at else "answered" if answered_at else "ringing"
    row = conn.execute(
        "INSERT INTO hotline.call"
        " (call_id, direction, state, from_number, rang_at, answered_at, ended_at, answered_by, point_of_sale, manual)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        [f"stored-{next(_numbers)}", direction, state, number, rang_at, answered_at, ended_at, agent, shop, manual],
    ).fetchone()
    assert row is not None
    return int(row[0])


def put_leg(
    conn: psycopg.Connection,
    call: int,
    *,
    number: int,
    rang_at: datetime,
    began_s: float,
    answered_s: float | None = None,
    ended_s: float | None = None,
    wrapped_s: float | None = None,
    kind: str = "agent",
    level: int = 1,
    floor: str = "own",
    agent: int | None = None,
    outcome: str | None = "answered",
) -> None:
    """A part of a call, in seconds after the call's ring."""

    def at(seconds: float | None) -> datetime | None:
        return rang_at + timedelta(seconds=seconds) if seconds is not None else None

    conn.execute(
        "INSERT INTO hotline.leg (call, number, kind, level, floor, agent, began_at, answered_at, ended_at, wrapped_at, outcome)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [call, number, kind, level, floor, agent, at(began_s), at(answered_s), at(ended_s), at(wrapped_s), outcome],
    )
