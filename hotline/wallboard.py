"""The hotline at this moment: who waits and for how long, who speaks, who is free."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.database import Connection
from hotline.accounts import agents
from hotline.attendance import present_now
from hotline.calls import live_calls
from hotline.figures import House
from hotline.floors import Floor
from hotline.kpi_rows import Doing, on_calls
from hotline.roles import ANSWERING


@dataclass(frozen=True, slots=True)
class FloorNow:
    """One floor at this moment: how long each caller has waited, how many calls are spoken, what its agents do."""

    floor: Floor
    waits_s: Sequence[float]
    spoken: int
    doing: Mapping[Doing, int]

    @property
    def longest_wait_s(self) -> float | None:
        """How long the one waits who has waited longest."""
        return max(self.waits_s, default=None)


def floors_now(conn: Connection, *, house: House, now: datetime) -> list[FloorNow]:
    """Each floor as it is; a call whose end got lost is believed as long as on the agents' screens."""
    live = [call for call in live_calls(conn, now=now) if call.direction != "out"]
    where = _floors(conn, [call.id for call in live])
    busy, there = on_calls(conn, wrap_up=house.wrap_up, now=now), present_now(conn, now=now)
    staff = [
        agent for agent in agents(conn, active_only=True) if agent.id in busy or (agent.id in there and agent.role in ANSWERING)
    ]
    return [
        FloorNow(
            floor=floor,
            waits_s=[
                max(0.0, (now - call.rang_at).total_seconds())
                for call in live
                if where[call.id] == floor and call.answered_at is None
            ],
            spoken=sum(where[call.id] == floor and call.answered_at is not None for call in live),
            doing=Counter(busy.get(agent.id, Doing.FREE) for agent in staff if agent.floor == floor),
        )
        for floor in Floor
    ]


def _floors(conn: Connection, calls: Sequence[int]) -> dict[int, str]:
    """Where calls are: with the last who speaks to the caller, else where it waits last."""
    return dict(
        conn.execute(
            """
            SELECT c.id, coalesce(l.floor, g.floor, 'own') FROM hotline.call c
            LEFT JOIN LATERAL (
                SELECT floor FROM hotline.leg WHERE call = c.id
                ORDER BY kind = 'agent' AND answered_at IS NOT NULL DESC, number DESC LIMIT 1
            ) l ON true
            LEFT JOIN hotline.agent g ON g.id = c.answered_by
            WHERE c.id = ANY(%(calls)s)
            """,
            {"calls": list(calls)},
        ).fetchall()
    )
