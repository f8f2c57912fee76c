from datetime import UTC, datetime

import pytest

from hotline.accounts import Agent
from hotline.call_legs import CallLeg, LegKind
from hotline.floors import Floor
from hotline.queues import Queue
from hotline.roles import Role
from hotline.stored_legs import stands_for

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
QUEUES = {"experts": Queue("experts", 2), "overflow": Queue("overflow", 1, Floor.OVERFLOW)}
AGENTS = {
    1: Agent(1, "alice", "Alice", "", Role.LEVEL1, "fr", active=True),
    2: Agent(2, "bruno", "Bruno", "", Role.LEVEL2, "fr", active=True),
    3: Agent(3, "omar", "Omar", "", Role.LEVEL1, "fr", active=True, floor=Floor.OVERFLOW),
}


@pytest.mark.parametrize(
    ("kind", "queue", "agent", "stands"),
    [
        pytest.param(LegKind.QUEUE, "unheard of", None, (1, Floor.OWN), id="a queue nobody described"),
        pytest.param(LegKind.QUEUE, "experts", None, (2, Floor.OWN), id="level 2's queue"),
        pytest.param(LegKind.QUEUE, "overflow", None, (1, Floor.OVERFLOW), id="the overflow's queue"),
        pytest.param(LegKind.AGENT, "overflow", 1, (1, Floor.OWN), id="an agent is where they sit"),
        pytest.param(LegKind.AGENT, "experts", 1, (2, Floor.OWN), id="level 1 helps out at level 2"),
        pytest.param(LegKind.AGENT, "", 2, (2, Floor.OWN), id="level 2, called directly"),
        pytest.param(LegKind.AGENT, "n1", 2, (1, Floor.OWN), id="level 2 helps out at level 1"),
        pytest.param(LegKind.AGENT, "", 3, (1, Floor.OVERFLOW), id="the overflow, called directly"),
        pytest.param(LegKind.AGENT, "overflow", None, (1, Floor.OVERFLOW), id="somebody without an account counts with the queue"),
    ],
)
def test_a_leg_stands_for_a_level_and_a_floor(kind: LegKind, queue: str, agent: int | None, stands: tuple[int, Floor]) -> None:
    leg = CallLeg(kind, NOW, queue=queue, agent=agent, agent_as="somebody")
    assert stands_for(leg, queues=QUEUES, agents=AGENTS) == stands
