"""Tells every open console of its agent's calls, the moment the database tells us.

One connection listens. A notice names a call; the call is read, its pop rendered once per language on screen, and handed
to the screens that should show it, so that a ring needs no second request to be seen. Screens only ever get whole states
(this call looks so now; this call has left), so repeating one harms nothing and a gap is healed by telling all again.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import psycopg
from anyio import CapacityLimiter, to_thread
from prometheus_client import Histogram

from fleet.clock import Clock
from fleet.database import KEEPALIVE
from hotline import work_notices
from hotline.accounts import Agent
from hotline.call_state import State
from hotline.calls import CHANNEL
from hotline.masking import Onlooker
from hotline.matching import sees
from hotline.roles import ANSWERING
from hotline.stored_call import StoredCall

log = logging.getLogger(__name__)

# Pops are rendered beside the pages' own threads, so that a crowd of page views does not delay a ring.
THREADS = 4
# A screen that has not read this many messages is cut; its browser comes back and is told the state anew.
MOST_UNREAD = 200
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0
# Versions of so many calls are remembered, so that a replay read before a change does not undo it.
_MOST_VERSIONS = 5_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A call as screens show it: its pop by who looks."""

    call: StoredCall
    fragments: dict[Onlooker, str]


@dataclass(frozen=True, slots=True)
class Message:
    """One event of the stream."""

    event: str
    data: str
    id: str = ""

    def encode(self) -> bytes:
        """As the event stream's format has it; our data never holds a line break."""
        head = f"id: {self.id}\n" if self.id else ""
        return f"{head}event: {self.event}\ndata: {self.data}\n\n".encode()


@dataclass(eq=False, slots=True)
class Screen:
    """One open console: whose, as whom it looks, what is still to be sent, and which calls it shows."""

    agent: Agent
    onlooker: Onlooker
    unread: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(MOST_UNREAD + 1))
    shows: dict[int, int] = field(default_factory=dict)

    def put(self, message: Message) -> None:
        """Queue a message; one too many ends the stream."""
        if self.unread.qsize() >= MOST_UNREAD:
            self.close()
        else:
            self.unread.put_nowait(message)

    def close(self) -> None:
        """End the stream after what is queued."""
        with suppress(asyncio.QueueFull):
            self.unread.put_nowait(None)


ReadCall = Callable[[int, Sequence[Onlooker]], Shown | None]
ReadLive = Callable[[Sequence[Onlooker]], list[Shown]]
Saw = Callable[[Sequence[tuple[int, Agent]]], Awaitable[None]]


class Hub:
    """Keeps the open screens up to date; lives in the web program's event loop."""

    def __init__(
        self, *, database_url: str, clock: Clock, read_call: ReadCall, read_live: ReadLive, saw: Saw, shown: Histogram
    ) -> None:
        """`read_call` and `read_live` read and render in a thread; the hub itself touches no table.

        `saw` is told which call came up on whose screens; `shown` observes how long a change takes from the database's
        notice to every stream.
        """
        self._url = database_url
        self._clock = clock
        self._read_call = read_call
        self._read_live = read_live
        self._saw = saw
        self._screens: set[Screen] = set()
        self._shown = shown
        self._threads = CapacityLimiter(THREADS)
        self._changing: dict[int, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._versions: dict[int, int] = {}
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def screens(self) -> int:
        """How many consoles are open."""
        return len(self._screens)

    @property
    def answering(self) -> set[int]:
        """The agents with an open console who answer calls."""
        return {screen.agent.id for screen in self._screens if screen.agent.role in ANSWERING}

    async def run(self) -> None:
        """Listen until stopped; a lost connection comes back with back-off, and every screen is then told anew."""
        self._loop = asyncio.get_running_loop()
        wait_s = _FIRST_WAIT_S
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                await self._listen()
            except psycopg.Error as error:
                if time.monotonic() - started > _LONGEST_WAIT_S:
                    wait_s = _FIRST_WAIT_S
                log.warning("listening for calls failed, again in %.1f s: %s", wait_s, error, extra={"action": "listen"})
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def stop(self) -> None:
        """End every stream; callable from a signal's handler or another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self._stopped.set()
        for screen in self._screens:
            screen.close()

    async def stream(
        self, agent: Agent, language: str, *, heartbeat_s: float, still_welcome: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """What one screen is sent: the state now, then every change; a comment when there is nothing to say."""
        screen = Screen(agent, Onlooker(language, agent.floor))
        self._screens.add(screen)
        try:
            # Registered first, read after: a change meanwhile is told twice rather than not at all.
            yield b"retry: 1000\n\n"
            await self._replay([screen])
            asked_at = time.monotonic()
            while not self._stopped.is_set():
                message: Message | None = None
                quiet = False
                try:
                    message = await asyncio.wait_for(screen.unread.get(), heartbeat_s)
                except TimeoutError:
                    quiet = True
                # A busy stream asks as often as a quiet one: who has signed out is not told of the next call for long.
                if time.monotonic() - asked_at >= heartbeat_s:
                    asked_at = time.monotonic()
                    if not await still_welcome():
                        yield Message("signed-out", "{}").encode()
                        return
                if message is not None:
                    yield message.encode()
                elif quiet:
                    yield b": still here\n\n"
                else:
                    return
        finally:
            self._screens.discard(screen)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name="vigie web calls", **KEEPALIVE
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}; LISTEN {work_notices.CHANNEL}")
            # What is told from here on waits in the connection until it is read below.
            await self._replay(list(self._screens))
            async for notice in connection.notifies():
                if notice.channel == CHANNEL:
                    self._change(int(notice.payload))
                else:
                    self._pass_on(notice.payload)

    def _pass_on(self, payload: str) -> None:
        """Send a notice of agents' work to the screens it is for; a screen that was away asks for the state by itself."""
        notice = json.loads(payload)
        for screen in self._screens:
            if screen.agent.id in notice["agents"] or screen.agent.role in notice["roles"]:
                screen.put(Message("work", json.dumps(notice["data"])))

    def _change(self, call: int) -> None:
        """Have the call read and shown; a change during that has it done once more, after."""
        if call in self._changing:
            self._changing[call] = True
            return
        self._changing[call] = False
        task = asyncio.create_task(self._show(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _show(self, call: int) -> None:
        again = True
        try:
            while again:
                begun = time.monotonic()
                self._changing[call] = False
                onlookers = self._onlookers(self._screens)
                shown = await to_thread.run_sync(partial(self._read_call, call, onlookers), limiter=self._threads)
                viewers = self._tell(list(self._screens), shown) if shown is not None else []
                self._shown.observe(time.monotonic() - begun)
                self._witness([(call, agent) for agent in viewers])
                again = self._changing[call]
        except Exception:
            log.exception("a call could not be shown", extra={"action": "show_call", "call": call})
        finally:
            del self._changing[call]

    async def _replay(self, screens: list[Screen]) -> None:
        """Tell screens the whole state: which calls stand, and each of them."""
        if not screens:
            return
        try:
            live = await to_thread.run_sync(partial(self._read_live, self._onlookers(screens)), limiter=self._threads)
            self._tell_all(screens, live)
            self._witness([(call, screen.agent) for screen in screens for call in screen.shows])
        except psycopg.Error as error:
            # The screens stay as they are; the listener's return tells them anew.
            log.warning("the state could not be replayed: %s", error, extra={"action": "replay"})

    def _witness(self, sights: list[tuple[int, Agent]]) -> None:
        """Have it written who saw what, beside the telling: a ring waits for nothing."""
        if sights:
            task = asyncio.create_task(self._write(sights))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, sights: list[tuple[int, Agent]]) -> None:
        try:
            await self._saw(sights)
        except Exception:
            log.exception("who saw %s calls could not be written", len(sights), extra={"action": "audit"})

    def _tell_all(self, screens: list[Screen], live: list[Shown]) -> None:
        now = self._clock()
        for screen in screens:
            theirs = [shown.call.id for shown in live if sees(shown.call, screen.agent, now=now)]
            screen.put(Message("state", json.dumps({"calls": theirs})))
            screen.shows = {call: version for call, version in screen.shows.items() if call in theirs}
        for shown in live:
            self._tell(screens, shown)

    def _tell(self, screens: list[Screen], shown: Shown) -> list[Agent]:
        """Send the call to the screens it belongs on, and take it off the others; on whose it came up now."""
        call, now = shown.call, self._clock()
        viewers: list[Agent] = []
        if call.version < self._versions.get(call.id, 0):
            return viewers
        self._versions[call.id] = call.version
        if len(self._versions) > _MOST_VERSIONS:
            del self._versions[next(iter(self._versions))]
        for screen in screens:
            if sees(call, screen.agent, now=now):
                html = shown.fragments.get(screen.onlooker)
                # An ended call stays where it was on screen; it comes to no new one.
                if html is None or (call.state is State.ENDED and call.id not in screen.shows):
                    continue
                if call.id not in screen.shows:
                    viewers.append(screen.agent)
                screen.shows[call.id] = call.version
                data = {"call": call.id, "version": call.version, "state": call.state, "html": html}
                screen.put(Message("pop", json.dumps(data), id=f"{call.id}-{call.version}"))
            elif screen.shows.pop(call.id, None) is not None:
                screen.put(Message("leave", json.dumps({"call": call.id, "version": call.version})))
        return viewers

    @staticmethod
    def _onlookers(screens: set[Screen] | list[Screen]) -> list[Onlooker]:
        return sorted({screen.onlooker for screen in screens})
