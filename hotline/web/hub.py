"""Tells every open console of its agent's calls, the moment the database tells us.

One connection listens. A notice names a call; the call is read, its pop rendered once per language on screen, and handed
to the screens that should show it, so that a ring needs no second request to be seen. Screens only ever get whole states
(this call looks so now; this call has left), so repeating one harms nothing and a gap is healed by telling all again.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

import psycopg
from anyio import CapacityLimiter, to_thread
from prometheus_client import Counter, Histogram

from fleet.clock import Clock
from fleet.database import KEEPALIVE
from hotline import work_notices
from hotline.accounts import Agent
from hotline.calls import CHANNEL
from hotline.masking import Onlooker
from hotline.matching import comes_to, sees
from hotline.roles import ANSWERING
from hotline.stored_call import LONGEST_RING, StoredCall
from hotline.web.screens import Message, Screen, Shown, Wanted

log = logging.getLogger(__name__)

# Pops are rendered beside the pages' own threads, so that a crowd of page views does not delay a ring.
THREADS = 4
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0
# A call that could not be read is read again, as long as a ring is believed.
_LONGEST_RETRY_S = 2.0
_TRIED_FOR_S = LONGEST_RING.total_seconds()
# Screens of a hub that has heard nothing for longer are cut, again and again: each that comes back is told the state anew.
_DEAF_AFTER_S = 5.0
# Versions of so many calls are remembered, so that a replay read before a change does not undo it.
_MOST_VERSIONS = 5_000


ReadCall = Callable[[int, Wanted], Shown | None]
ReadLive = Callable[[Wanted], list[Shown]]
Saw = Callable[[Sequence[tuple[int, Agent]]], Awaitable[None]]


class Hub:
    """Keeps the open screens up to date; lives in the web program's event loop."""

    def __init__(
        self,
        *,
        database_url: str,
        clock: Clock,
        read_call: ReadCall,
        read_live: ReadLive,
        saw: Saw,
        shown: Histogram,
        faults: Counter,
    ) -> None:
        """`read_call` and `read_live` read and render in a thread; the hub itself touches no table.

        `saw` is told which call came up on whose screens; `shown` observes how long a change takes from the database's
        notice to every stream, `faults` counts what had to be tried again.
        """
        self._url = database_url
        self._clock = clock
        self._read_call = read_call
        self._read_live = read_live
        self._saw = saw
        self._screens: set[Screen] = set()
        self._joining: list[Screen] = []
        self._one_reading = asyncio.Lock()
        self._shown = shown
        self._faults = faults
        self._deaf_since: float | None = time.monotonic()
        self._threads = CapacityLimiter(THREADS)
        self._changing: dict[int, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._versions: dict[int, int] = {}
        self._tellings = 0
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

    @property
    def deaf_s(self) -> float:
        """For how long no change of a call could be heard of; 0 while all is well."""
        return 0.0 if self._deaf_since is None else time.monotonic() - self._deaf_since

    async def run(self) -> None:
        """Listen until stopped; whatever fails comes back with back-off, and every screen is then told anew."""
        self._loop = asyncio.get_running_loop()
        wait_s = _FIRST_WAIT_S
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                await self._listen()
            except Exception as error:
                if time.monotonic() - started > _LONGEST_WAIT_S:
                    wait_s = _FIRST_WAIT_S
                self._failed(f"listening for calls failed, again in {wait_s:.1f} s", error, action="listen")
            finally:
                self._deaf_since = self._deaf_since or time.monotonic()
            if self.deaf_s > _DEAF_AFTER_S:
                for screen in self._screens:
                    screen.close()
            await self._rest(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _rest(self, wait_s: float) -> None:
        """Wait, unless stopped meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), wait_s)

    def _failed(self, what: str, error: Exception, *, action: str, **more: object) -> None:
        """Log and count a fault; a database that is away needs no trace."""
        known = isinstance(error, psycopg.OperationalError)
        level = logging.WARNING if known else logging.ERROR
        log.log(level, "%s: %s", what, error, exc_info=not known, extra={"action": action, **more})
        self._faults.inc()

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
            await self._join(screen)
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
            self._deaf_since = None
            # What is told from here on waits in the connection until it is read below.
            await self._replay(list(self._screens))
            async for notice in connection.notifies():
                try:
                    self._hear(notice)
                except (ValueError, TypeError, LookupError) as error:
                    self._failed(f"a notice on {notice.channel} cannot be understood", error, action="listen")

    def _hear(self, notice: psycopg.Notify) -> None:
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
        """Show the call as it is now; what fails is tried again, for a pop must not be missed."""
        begun, wait_s, again = time.monotonic(), _FIRST_WAIT_S, True
        try:
            while again and not self._stopped.is_set():
                self._changing[call] = False
                try:
                    await self._show_once(call)
                    self._shown.observe(time.monotonic() - begun)
                    again, wait_s = self._changing[call], _FIRST_WAIT_S
                    begun = time.monotonic()
                except Exception as error:
                    self._failed("a call could not be shown", error, action="show_call", call=call)
                    again = time.monotonic() - begun < _TRIED_FOR_S
                    await self._rest(wait_s)
                    wait_s = min(wait_s * 2, _LONGEST_RETRY_S)
        finally:
            del self._changing[call]

    async def _show_once(self, call: int) -> None:
        wanted = self._wanted(self._screens)
        shown = await to_thread.run_sync(partial(self._read_call, call, wanted), limiter=self._threads)
        if shown is not None:
            viewers = self._tell(list(self._screens), shown)
            self._witness([(call, agent) for agent in viewers])

    async def _join(self, screen: Screen) -> None:
        """Tell a new screen the state; screens that come together, as after a restart, are told from one reading."""
        self._joining.append(screen)
        async with self._one_reading:
            if screen not in self._joining:
                return
            screens, self._joining = self._joining, []
            told = False
            try:
                await self._replay(screens)
                told = True
            finally:
                if not told:
                    # Whoever read for all has gone: the next of them reads.
                    self._joining[:0] = screens

    async def _replay(self, screens: list[Screen]) -> None:
        """Tell screens the whole state: which calls stand, and each of them; where that fails, they are to come back for it."""
        if not screens:
            return
        begun = self._tellings
        try:
            live = await to_thread.run_sync(partial(self._read_live, self._wanted(screens)), limiter=self._threads)
            self._tell_all(screens, live, begun=begun)
        except Exception as error:
            self._failed("the state could not be replayed", error, action="replay")
            for screen in screens:
                screen.close()
            return
        self._witness([(call, screen.agent) for screen in screens for call in screen.shows])

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

    def _tell_all(self, screens: list[Screen], live: list[Shown], *, begun: int) -> None:
        """Tell the state that was read since the telling `begun`; what was told meanwhile is newer, and stays."""
        now = self._clock()
        for screen in screens:
            theirs = {shown.call.id for shown in live if comes_to(shown.call, screen.agent, now=now)}
            theirs |= {call for call, telling in screen.shows.items() if telling > begun}
            screen.put(Message("state", json.dumps({"agent": screen.agent.id, "calls": sorted(theirs)})))
            screen.shows = {call: telling for call, telling in screen.shows.items() if call in theirs}
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
        self._tellings += 1
        messages = shown.messages(now=now)
        for screen in screens:
            if sees(call, screen.agent, now=now):
                # An ended call stays where it was on screen; it comes to no new one, save of who is to finish it.
                if call.id not in screen.shows and not comes_to(call, screen.agent, now=now):
                    continue
                message = messages.get(screen.onlooker)
                if message is None:
                    # Who looks so came after the reading had begun.
                    self._change(call.id)
                    continue
                if call.id not in screen.shows:
                    viewers.append(screen.agent)
                screen.shows[call.id] = self._tellings
                screen.put(message)
            elif screen.shows.pop(call.id, None) is not None:
                screen.put(Message("leave", json.dumps({"call": call.id, "version": call.version})))
        return viewers

    def _wanted(self, screens: Iterable[Screen]) -> Wanted:
        """For whom a call is rendered: those of these screens before which it stands."""
        looking = [(screen.agent, screen.onlooker) for screen in screens]
        now = self._clock()

        def wanted(call: StoredCall) -> list[Onlooker]:
            return sorted({onlooker for agent, onlooker in looking if sees(call, agent, now=now)})

        return wanted
