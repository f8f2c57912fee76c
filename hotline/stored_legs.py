"""The legs of calls as they are stored, with the level and floor they stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from fleet.database import Connection
from hotline.accounts import Agent
from hotline.call_legs import CallLeg, LegKind, Legs, Outcome
from hotline.floors import Floor
from hotline.queues import Queue, queues
from hotline.roles import level_of


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a call; `number` is its place in the call, times are when we heard of them."""

    id: int
    call: int
    number: int
    kind: LegKind
    level: int
    floor: Floor
    queue: str
    agent: int | None
    agent_name: str | None
    # What the telephone system calls the agent, and this leg.
    agent_as: str
    told_as: str
    began_at: datetime
    answered_at: datetime | None
    # When the telephone system said that it is over; `ended_at` is what follows from all that was said.
    released_at: datetime | None
    ended_at: datetime | None
    held_since: datetime | None
    held_s: float
    # When the agent had finished the work after it.
    wrapped_at: datetime | None
    outcome: Outcome | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", LegKind(self.kind))
        object.__setattr__(self, "floor", Floor(self.floor))
        object.__setattr__(self, "outcome", Outcome(self.outcome) if self.outcome else None)

    def wait_s(self, *, now: datetime) -> float:
        """How long it waited or rang, until it was answered, ended, or now [s]."""
        return ((self.answered_at or self.ended_at or now) - self.began_at).total_seconds()

    def talk_s(self, *, now: datetime) -> float:
        """How long the agent had the caller, holds included [s]; nothing for a queue."""
        if self.kind is LegKind.QUEUE or self.answered_at is None:
            return 0.0
        return ((self.ended_at or now) - self.answered_at).total_seconds()


_SELECT = (
    "SELECT l.id, l.call, l.number, l.kind, l.level, l.floor, l.queue, l.agent, a.name AS agent_name, l.agent_as, l.told_as,"
    " l.began_at, l.answered_at, l.released_at, l.ended_at, l.held_since, l.held_s, l.wrapped_at, l.outcome"
    " FROM hotline.leg l LEFT JOIN hotline.agent a ON a.id = l.agent"
)
_UPSERT = """
    INSERT INTO hotline.leg (call, number, kind, level, floor, queue, agent, agent_as, told_as, began_at, answered_at, released_at,
                             ended_at, held_since, held_s, outcome)
    VALUES (%(call)s, %(number)s, %(kind)s, %(level)s, %(floor)s, %(queue)s, %(agent)s, %(agent_as)s, %(told_as)s, %(began_at)s,
            %(answered_at)s, %(released_at)s, %(ended_at)s, %(held_since)s, %(held_s)s, %(outcome)s)
    ON CONFLICT (call, number) DO UPDATE SET
        level = excluded.level, floor = excluded.floor, queue = excluded.queue, agent = excluded.agent,
        agent_as = excluded.agent_as, told_as = excluded.told_as, began_at = excluded.began_at,
        answered_at = excluded.answered_at, released_at = excluded.released_at, ended_at = excluded.ended_at,
        held_since = excluded.held_since, held_s = excluded.held_s, outcome = excluded.outcome
"""


def legs_of(conn: Connection, *, call: int) -> list[Leg]:
    """The legs of one call, in order."""
    return _read(conn, "WHERE l.call = %(call)s ORDER BY l.number", {"call": call})


def told_legs(conn: Connection, *, call: int) -> Legs:
    """The legs of one call as `hotline.call_legs` decides upon them."""
    return tuple(
        CallLeg(
            kind=leg.kind,
            began_at=leg.began_at,
            queue=leg.queue,
            agent=leg.agent,
            agent_as=leg.agent_as,
            told_as=leg.told_as,
            answered_at=leg.answered_at,
            released_at=leg.released_at,
            ended_at=leg.ended_at,
            held_since=leg.held_since,
            held_s=leg.held_s,
            outcome=leg.outcome,
        )
        for leg in legs_of(conn, call=call)
    )


def save_legs(conn: Connection, *, call: int, before: Legs, after: Legs, staff: Sequence[Agent]) -> None:
    """Store the legs that an event changed; an agent who takes a call has finished the work after their last one."""
    changed = [(number, leg) for number, leg in enumerate(after, 1) if number > len(before) or leg != before[number - 1]]
    if not changed:
        return
    known, agents = queues(conn), {agent.id: agent for agent in staff}
    for number, leg in changed:
        level, floor = stands_for(leg, queues=known, agents=agents)
        conn.execute(
            _UPSERT,
            {
                "call": call,
                "number": number,
                "kind": leg.kind,
                "level": level,
                "floor": floor,
                "queue": leg.queue,
                "agent": leg.agent,
                "agent_as": leg.agent_as,
                "told_as": leg.told_as,
                "began_at": leg.began_at,
                "answered_at": leg.answered_at,
                "released_at": leg.released_at,
                "ended_at": leg.ended_at,
                "held_since": leg.held_since,
                "held_s": leg.held_s,
                "outcome": leg.outcome,
            },
        )
        if leg.agent is not None and leg.talks:
            _finish_earlier(conn, call=call, agent=leg.agent, at=leg.answered_at)


def stands_for(leg: CallLeg, *, queues: Mapping[str, Queue], agents: Mapping[int, Agent]) -> tuple[int, Floor]:
    """Level and floor of a leg: a queue's own; an agent works at the level of the queue they were called from, where they sit."""
    queue = queues.get(leg.queue, Queue(leg.queue))
    agent = agents.get(leg.agent) if leg.agent is not None else None
    if agent is None:
        return queue.level, queue.floor
    return (queue.level if leg.queue else level_of(agent.role)), agent.floor


def finish_wrap_up(conn: Connection, *, call: int, agent: int, now: datetime) -> bool:
    """Say that an agent has finished the work after a call; whether that was not known yet."""
    return (
        conn.execute(
            "UPDATE hotline.leg SET wrapped_at = greatest(%(now)s, ended_at)"
            " WHERE call = %(call)s AND agent = %(agent)s AND answered_at IS NOT NULL AND wrapped_at IS NULL",
            {"call": call, "agent": agent, "now": now},
        ).rowcount
        > 0
    )


def _finish_earlier(conn: Connection, *, call: int, agent: int, at: datetime | None) -> None:
    conn.execute(
        "UPDATE hotline.leg SET wrapped_at = greatest(%(at)s, ended_at)"
        " WHERE agent = %(agent)s AND call <> %(call)s AND answered_at IS NOT NULL AND ended_at IS NOT NULL AND wrapped_at IS NULL",
        {"agent": agent, "call": call, "at": at},
    )


def _read(conn: Connection, condition: str, parameters: Mapping[str, object]) -> list[Leg]:
    with conn.cursor(row_factory=class_row(Leg)) as cursor:
        return cursor.execute(f"{_SELECT} {condition}", parameters).fetchall()
