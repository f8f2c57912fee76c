"""Sees to it that the audit holds what people and programs saw and changed: a row is written before the answer leaves.

Guards say who asks. What somebody has seen already within the hour is not written again, so that a page which renews itself
leaves one row an hour and not thousands; changes and refusals are always written. What a page says by itself, that its form is
still under somebody's hands, changes nothing that lasts: it counts as a sight. Where the audit cannot be written, what was asked
for is not shown; a change has been made by then, and the answer says that it may have been.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from urllib.parse import parse_qsl

import psycopg
from anyio import to_thread
from fastapi import Request
from psycopg_pool import ConnectionPool, PoolTimeout
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet.clock import Clock
from fleet.database import Connection
from hotline.accounts import Agent
from hotline.audit import CHANGED, SAW, Actor, Deed, record
from hotline.web.envelope import path_of
from hotline.web.problems import problem_response

log = logging.getLogger(__name__)

SEEN_FOR_S = 3600.0
# So many sights are remembered; beyond, the oldest are written once more.
MOST_REMEMBERED = 100_000
# Under this a call that came up by itself stands in the audit.
POP_ROUTE = "GET /console/stream"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_STATE, _BY_ITSELF = "audit_actor", "audit_by_itself"


def tell_actor(request: Request, actor: Actor, *, by_itself: bool = False) -> None:
    """Say who asks; the guards do, as soon as they know. `by_itself`: their page does, without their hand."""
    setattr(request.state, _STATE, actor)
    setattr(request.state, _BY_ITSELF, by_itself)


class Memory:
    """What was seen lately; not for several threads at once."""

    def __init__(self, *, keep_s: float = SEEN_FOR_S, most: int = MOST_REMEMBERED) -> None:
        self._keep_s = keep_s
        self._most = most
        self._seen: OrderedDict[Hashable, float] = OrderedDict()

    def knows(self, key: Hashable, *, now_s: float) -> bool:
        """Whether it was seen within the time that is remembered."""
        seen_s = self._seen.get(key)
        return seen_s is not None and now_s - seen_s < self._keep_s

    def keep(self, key: Hashable, *, now_s: float) -> None:
        """Remember that it is seen now."""
        self._seen[key] = now_s
        self._seen.move_to_end(key)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)


class Witness:
    """Writes deeds to the audit; lives in the web program's event loop and writes in its threads."""

    def __init__(self, pool: ConnectionPool[Connection], clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._memory = Memory()

    async def write(self, deeds: Iterable[Deed]) -> None:
        """Write what is not known yet; raises what the database raises."""
        now_s = time.monotonic()
        new = [deed for deed in deeds if not (_is_sight(deed) and self._memory.knows(_key(deed), now_s=now_s))]
        if not new:
            return
        await to_thread.run_sync(self._record, new)
        for deed in filter(_is_sight, new):
            self._memory.keep(_key(deed), now_s=now_s)

    async def pops(self, sights: Sequence[tuple[int, Agent]]) -> None:
        """These calls came up on these agents' screens; they have been sent already, since a ring waits for nothing."""
        await self.write(
            Deed(Actor(one.login, one.id, one.floor), SAW, POP_ROUTE, {"call": str(call)}, status=200) for call, one in sights
        )

    def _record(self, deeds: Sequence[Deed]) -> None:
        with self._pool.connection() as conn:
            record(conn, deeds, now=self._clock())


class WitnessLayer:
    """The layer around the application that holds each answer until its row is written."""

    def __init__(self, app: ASGIApp, witness: Witness) -> None:
        self._app = app
        self._witness = witness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        withheld = False

        async def send_when_written(message: Message) -> None:
            nonlocal withheld
            if withheld:
                return
            deed = _deed(scope, message["status"]) if message["type"] == "http.response.start" else None
            if deed is not None:
                try:
                    await self._witness.write([deed])
                except (psycopg.Error, PoolTimeout) as error:
                    log.error("the audit cannot be written: %s", type(error).__name__, extra={"action": "audit"})
                    withheld = True
                    # The route has committed by now: to do it again may be to do it twice.
                    done = "; what was asked for may have been done" if deed.action == CHANGED and deed.status < 400 else ""
                    await problem_response(503, f"the audit cannot be written{done}")(scope, receive, send)
                    return
            await send(message)

        await self._app(scope, receive, send_when_written)


def _deed(scope: Scope, status: int) -> Deed | None:
    """What this request did, or None where nobody is known to have asked."""
    state = scope.get("state", {})
    actor = state.get(_STATE)
    if not isinstance(actor, Actor):
        return None
    is_sight = scope["method"] in _SAFE_METHODS or state.get(_BY_ITSELF)
    asked = {name: str(value) for name, value in scope.get("path_params", {}).items()}
    asked |= dict(parse_qsl(scope["query_string"].decode("latin-1")))
    client = scope.get("client")
    return Deed(
        actor,
        SAW if is_sight else CHANGED,
        f"{scope['method']} {path_of(scope)}",
        asked,
        address=client[0] if client else "",
        status=status,
    )


def _is_sight(deed: Deed) -> bool:
    """Whether it shows something and was not refused: that is worth one row, not one for every time."""
    return deed.action == SAW and deed.status < 400


def _key(deed: Deed) -> Hashable:
    return deed.actor.name, deed.route, tuple(sorted(deed.subject.items()))
