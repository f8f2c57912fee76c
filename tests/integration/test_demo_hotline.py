"""The demonstration's hotline: somebody of each role, queues that stand for floors and levels, and a wall that is alive."""

import socket
from datetime import UTC, datetime, time, timedelta
from typing import Any

import psycopg
import pytest

from hotline.accounts import agents
from hotline.calls import list_calls, record_event
from hotline.cti import parse_event
from hotline.figures import House
from hotline.floors import Floor
from hotline.kpi import Policy
from hotline.kpi_rows import Doing
from hotline.roles import Role
from hotline.stored_legs import legs_of
from hotline.wallboard import floors_now
from simulators.crew import LEVEL2, OVERFLOW, OWN, Desk, crew, first_desk
from simulators.ring import Act, Planned, fields, schedule
from vigie.demo_hotline import AGENTS, PEOPLE, STAFF, Presence, furnish
from vigie.engines.process import hold_port

NOW = datetime(2026, 11, 26, 13, 0, tzinfo=UTC)
HOUSE = House(Policy(), time(22, 30), wrap_up=timedelta(seconds=60))
Conn = psycopg.Connection[Any]


def planned(desk: Desk, *, order: int = 0, patience_s: float = 600.0) -> Planned:
    """A call of a shop that begins to wait there."""
    numbers = [number for number in range(200) if first_desk(number, technical=True) is desk]
    return Planned(numbers[order], NOW.timestamp() + order, "", "+33199001234", "technical", "panne", patience_s, 240.0, -1)


def tell(conn: Conn, calls: list[Planned], acts: list[Act], *, until_s: float) -> None:
    """Post what the exchange says up to so many seconds from now."""
    by_number = {call.number: call for call in calls}
    for act in acts:
        if act.second <= NOW.timestamp() + until_s:
            told = fields(act, by_number[act.number], call_id=f"call {act.number}")
            record_event(conn, event=parse_event(told), now=datetime.fromtimestamp(act.second, UTC))


def test_somebody_of_every_role_and_of_the_other_floor_can_sign_in(conn: Conn) -> None:
    access = furnish(conn, now=NOW)
    assert {person.role for person in PEOPLE} == set(Role)
    known = {agent.login: agent for agent in agents(conn)}
    assert set(access.passwords) == {person.login for person in PEOPLE}
    assert known["overflow"].floor is Floor.OVERFLOW
    # Everybody whom the simulated exchange names has an account, and nobody shares a name.
    assert {login for sitting in crew(AGENTS, STAFF).values() for login in sitting} <= set(known)
    assert len({agent.name for agent in known.values()}) == len(known)


def test_a_call_of_each_queue_has_its_level_and_floor(conn: Conn) -> None:
    furnish(conn, now=NOW)
    calls = [planned(desk) for desk in (OWN, OVERFLOW, LEVEL2)]
    tell(conn, calls, schedule(calls, crew=crew(AGENTS, STAFF), seed=1), until_s=600)
    for call, (floor, level) in zip(calls, [("own", 1), ("overflow", 1), ("own", 2)], strict=True):
        [stored] = [one for one in list_calls(conn) if one.call_id == f"call {call.number}"]
        wait, talk = legs_of(conn, call=stored.id)
        assert [(leg.kind, leg.floor, leg.level, leg.outcome) for leg in (wait, talk)] == [
            ("queue", floor, level, "answered"),
            ("agent", floor, level, "answered"),
        ]
        assert talk.agent == stored.answered_by is not None


def test_the_wall_shows_both_floors_at_work(conn: Conn) -> None:
    access = furnish(conn, now=NOW)
    presence = Presence(access.simulated, lambda: NOW)
    assert presence.due()
    presence.note(conn)
    assert not presence.due()
    # Of two callers for one agent, who sits on our own floor, the second flows over.
    calls = [planned(OWN), planned(OWN, order=1), planned(OVERFLOW, order=2)]
    sitting = {OWN.queue: ["level1"], OVERFLOW.queue: ["overflow", "overflow02"]}
    tell(conn, calls, schedule(calls, crew=sitting, seed=1), until_s=60)
    own, overflow = floors_now(conn, house=HOUSE, now=NOW + timedelta(seconds=60))
    assert (own.floor, own.spoken, own.doing[Doing.SPEAKING]) == (Floor.OWN, 1, 1)
    assert (overflow.spoken, overflow.doing[Doing.SPEAKING]) == (2, 2)
    assert own.doing[Doing.FREE] > overflow.doing[Doing.FREE] > 3
    outcomes = {tuple(leg.outcome for leg in legs_of(conn, call=call.id) if leg.kind == "queue") for call in list_calls(conn)}
    assert outcomes == {("answered",), ("overflowed", "answered")}


def test_a_held_port_is_nobody_elses_and_its_program_listens_there() -> None:
    port = hold_port()
    with pytest.raises(OSError, match="in use"):
        hold_port(port)
    with socket.create_server(("127.0.0.1", port)) as program, socket.create_connection(("127.0.0.1", port)):
        assert program.getsockname()[1] == port
