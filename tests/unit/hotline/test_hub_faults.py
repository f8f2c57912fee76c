"""A pop is never missed: what fails is tried again, who could not be told comes back, and one fault ends nothing."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from hotline.accounts import Agent
from hotline.call_state import State
from hotline.floors import Floor
from hotline.masking import Onlooker
from hotline.roles import Role
from hotline.stored_call import StoredCall
from hotline.web import hub as hubs
from hotline.web.hub import Hub
from hotline.web.screens import Shown, Wanted

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ALICE = Agent(1, "alice", "Alice Martin", "4021", Role.LEVEL1, "fr", active=True)
BRUNO = Agent(2, "bruno", "Bruno Lefèvre", "4022", Role.LEVEL1, "en", active=True)
PATIENCE_S = 5.0


def call(number: int, *, version: int = 1, called: Iterable[int] = (), state: State = State.RINGING, **more: Any) -> StoredCall:
    """A call that rings for these agents, or for everyone."""
    known: dict[str, Any] = dict.fromkeys(("answered_at", "ended_at", "answered_by", "answered_by_name", "point_of_sale"))
    texts = dict.fromkeys(("from_number", "to_number", "queue", "cause", "answered_as"), "")
    lists: dict[str, Any] = {"users": [], "called": list(called), "candidates": []}
    begun = {"id": number, "call_id": f"c{number}", "version": version, "direction": "in", "state": state, "rang_at": NOW}
    return StoredCall(**{**begun, **known, **texts, **lists, **more})


class House:
    """The database as the hub reads it: its calls, and how often a reading fails before it succeeds."""

    def __init__(self, *calls: StoredCall) -> None:
        self.calls = {one.id: one for one in calls}
        self.fails = 0
        self.readings = 0
        self.rendered: list[tuple[int, Onlooker]] = []
        # Cleared, a reading of the state has read, and does not come back.
        self.lets_go = threading.Event()
        self.lets_go.set()

    def one(self, number: int, wanted: Wanted) -> Shown:
        self._fail()
        return self._shown(self.calls[number], wanted)

    def live(self, wanted: Wanted) -> list[Shown]:
        self.readings += 1
        self._fail()
        found = [self._shown(one, wanted) for one in self.calls.values()]
        assert self.lets_go.wait(PATIENCE_S)
        return found

    def _fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise psycopg.OperationalError("the database is away")

    def _shown(self, one: StoredCall, wanted: Wanted) -> Shown:
        looking = wanted(one)
        self.rendered += [(one.id, onlooker) for onlooker in looking]
        return Shown(one, dict.fromkeys(looking, f"<p>{one.id}</p>"))


def hub_of(house: House) -> Hub:
    async def saw(_sights: Sequence[tuple[int, Agent]]) -> None:
        return None

    return Hub(
        database_url="",
        clock=lambda: NOW,
        read_call=house.one,
        read_live=house.live,
        saw=saw,
        shown=Histogram("shown", "", registry=CollectorRegistry()),
        faults=Counter("faults", "", registry=CollectorRegistry()),
    )


class Console:
    """What one stream was sent."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.ended = False

    def calls(self) -> list[int]:
        """The calls that came up and still stand, as console.js keeps them."""
        stands: list[int] = []
        for event, data in self.told:
            if event == "pop" and data["call"] not in stands:
                stands.append(data["call"])
            elif event == "state":
                stands = [one for one in stands if one in data["calls"]]
            elif event == "leave":
                stands.remove(data["call"])
        return stands


@asynccontextmanager
async def opened(hub: Hub, agent: Agent) -> AsyncIterator[Console]:
    """The console of one agent, open."""

    async def welcome() -> bool:
        return True

    console = Console()

    async def read() -> None:
        async for part in hub.stream(agent, agent.language, heartbeat_s=30, still_welcome=welcome):
            lines = dict(line.split(": ", 1) for line in part.decode().splitlines() if ": " in line)
            if "event" in lines:
                console.told.append((lines["event"], json.loads(lines["data"])))
        console.ended = True

    task = asyncio.create_task(read())
    yield console
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, for a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        await asyncio.sleep(0.01)


def run(case: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(case, 4 * PATIENCE_S)

    asyncio.run(bounded())


def test_a_call_that_cannot_be_read_is_read_again() -> None:
    async def case() -> None:
        house = House()
        hub = hub_of(house)
        async with opened(hub, ALICE) as alice:
            await until(lambda: alice.told)
            house.calls[1], house.fails = call(1), 2
            hub._change(1)
            await until(lambda: alice.calls() == [1])

    run(case())


def test_a_screen_that_cannot_be_told_the_state_is_cut_so_that_it_comes_back() -> None:
    async def case() -> None:
        house = House(call(1))
        house.fails = 1
        hub = hub_of(house)
        async with opened(hub, ALICE) as alice:
            await until(lambda: alice.ended)
        async with opened(hub, ALICE) as alice:
            await until(lambda: alice.calls() == [1])

    run(case())


def test_a_ring_while_the_state_is_read_is_not_taken_off_by_the_state() -> None:
    async def case() -> None:
        house = House()
        hub = hub_of(house)
        house.lets_go.clear()
        async with opened(hub, ALICE) as alice:
            await until(lambda: house.readings)
            house.calls[1] = call(1)
            hub._change(1)
            await until(lambda: [screen for screen in hub._screens if screen.shows])
            house.lets_go.set()
            await until(lambda: "state" in dict(alice.told))
            assert alice.calls() == [1]

    run(case())


def test_screens_that_come_together_are_told_from_two_readings_at_most() -> None:
    async def case() -> None:
        house = House(call(1))
        hub = hub_of(house)
        house.lets_go.clear()
        async with opened(hub, ALICE) as first:
            await until(lambda: house.readings)
            async with opened(hub, ALICE) as second, opened(hub, BRUNO) as third, opened(hub, BRUNO) as fourth:
                await until(lambda: hub.screens == 4)
                house.lets_go.set()
                await until(lambda: all(one.calls() == [1] for one in (first, second, third, fourth)))
        assert house.readings == 2

    run(case())


def test_who_leaves_while_reading_for_all_leaves_nobody_untold() -> None:
    async def case() -> None:
        house = House(call(1))
        hub = hub_of(house)
        house.lets_go.clear()
        house.lets_go.clear()
        async with AsyncExitStack() as leaving:
            async with hub._one_reading:
                await leaving.enter_async_context(opened(hub, BRUNO))
                await until(lambda: hub.screens == 1)
                remaining = opened(hub, ALICE)
                alice = await remaining.__aenter__()
                await until(lambda: hub.screens == 2)
            await until(lambda: house.readings)
            await leaving.aclose()
            house.lets_go.set()
            await until(lambda: alice.calls() == [1])
            await remaining.__aexit__(None, None, None)

    run(case())


def test_a_call_is_rendered_only_for_those_before_whom_it_stands() -> None:
    async def case() -> None:
        house = House(call(1, called=[ALICE.id]), call(2, called=[99]))
        hub = hub_of(house)
        async with opened(hub, ALICE) as alice, opened(hub, BRUNO) as bruno:
            await until(lambda: alice.calls() == [1] and bruno.told)
            hub._change(2)
            hub._change(1)
            await until(lambda: len(alice.told) == 3)
        assert set(house.rendered) == {(1, Onlooker("fr", Floor.OWN))}

    run(case())


@pytest.mark.parametrize(
    ("ended_ago", "handling", "comes"),
    [
        pytest.param(timedelta(minutes=3), [ALICE.id], True, id="still to be finished"),
        pytest.param(timedelta(minutes=3), [], False, id="finished"),
        pytest.param(timedelta(minutes=3), [BRUNO.id], False, id="another's"),
        pytest.param(timedelta(hours=1), [ALICE.id], False, id="forgotten"),
    ],
)
def test_an_ended_call_comes_back_to_who_is_to_finish_it(ended_ago: timedelta, handling: list[int], *, comes: bool) -> None:
    async def case() -> None:
        ended = call(1, state=State.ENDED, answered_by=ALICE.id, ended_at=NOW - ended_ago, handling=handling)
        hub = hub_of(House(ended))
        async with opened(hub, ALICE) as alice:
            await until(lambda: alice.told)
            assert alice.told[0] == ("state", {"agent": ALICE.id, "calls": [1] if comes else []})
            await until(lambda: alice.calls() == ([1] if comes else []))

    run(case())


def test_whatever_ends_the_listening_the_hub_goes_on_and_says_that_it_is_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    async def fail(_hub: Hub) -> None:
        tried.append(time.monotonic())
        raise RuntimeError("a fault that nobody thought of")

    monkeypatch.setattr(Hub, "_listen", fail)
    monkeypatch.setattr(hubs, "_DEAF_AFTER_S", 0.3)

    async def case() -> None:
        hub = hub_of(House())
        async with opened(hub, ALICE) as alice:
            running = asyncio.create_task(hub.run())
            await until(lambda: len(tried) > 2 and alice.ended)
            assert hub.deaf_s > 0.3
            hub.stop()
            await running

    run(case())
