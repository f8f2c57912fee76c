"""Who has signed out is told no more calls, however many come."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from hotline.accounts import Agent
from hotline.roles import Role
from hotline.web.hub import Hub
from hotline.web.screens import Message, Shown, Wanted

ALICE = Agent(1, "alice", "Alice Martin", "4021", Role.LEVEL1, "fr", active=True)


def no_call(_call: int, _wanted: Wanted) -> Shown | None:
    return None


def no_calls(_wanted: Wanted) -> list[Shown]:
    return []


async def saw_nothing(_sights: Sequence[tuple[int, Agent]]) -> None:
    return None


async def never_welcome() -> bool:
    return False


async def busy_stream(hub: Hub, *, heartbeat_s: float) -> list[bytes]:
    """What a stream sends that is never quiet for a heartbeat."""
    sent = []
    async for part in hub.stream(ALICE, "fr", heartbeat_s=heartbeat_s, still_welcome=never_welcome):
        sent.append(part)
        for screen in hub._screens:
            screen.put(Message("leave", "{}"))
        await asyncio.sleep(heartbeat_s / 10)
    return sent


def test_a_busy_stream_ends_as_soon_as_a_quiet_one() -> None:
    hub = Hub(
        database_url="",
        clock=lambda: datetime(2026, 11, 23, 9, tzinfo=UTC),
        read_call=no_call,
        read_live=no_calls,
        saw=saw_nothing,
        shown=Histogram("shown", "", registry=CollectorRegistry()),
        faults=Counter("faults", "", registry=CollectorRegistry()),
    )
    sent = asyncio.run(asyncio.wait_for(busy_stream(hub, heartbeat_s=0.2), 5))
    assert sent[-1].startswith(b"event: signed-out")
    assert 2 < len(sent) < 30
