"""The hotline at this moment: who waits and for how long, who speaks, who is free."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fleet.database import Connection
from hotline.accounts import agents
from hotline.attendance import present_now
from hotline.figures import House
from hotline.floors import Floor
from hotline.kpi_rows import Doing, on_calls, read_rows
from hotline.opening import ZONE
from hotline.race_days import opening
from hotline.roles import ANSWERING
from hotline.stored_call import LONGEST_RING, LONGEST_TALK

_LONGEST_RING_S: Final = LONGEST_RING.total_seconds()


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
    """Each floor as it is; a call whose end got lost is no longer believed."""
    today = now.astimezone(ZONE).date()
    hours = opening(conn, first=today, last=today, usual_end=house.usual_end)
    live = [
        row
        for row in read_rows(conn, since=now - LONGEST_TALK, until=now, opening=hours, wrap_up=house.wrap_up, now=now)
        if not row.over
    ]
    busy, there = on_calls(conn, wrap_up=house.wrap_up, now=now), present_now(conn, now=now)
    staff = [
        agent for agent in agents(conn, active_only=True) if agent.id in busy or (agent.id in there and agent.role in ANSWERING)
    ]
    return [
        FloorNow(
            floor=floor,
            waits_s=[row.wait_s for row in live if row.floor == floor and not row.answered and row.wait_s < _LONGEST_RING_S],
            spoken=sum(row.floor == floor and row.answered for row in live),
            doing=Counter(busy.get(agent.id, Doing.FREE) for agent in staff if agent.floor == floor),
        )
        for floor in Floor
    ]
