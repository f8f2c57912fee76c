"""The hotline under load, with 16,000 live terminals and a full floor: `python -m benchmarks.hotline_load`.

Runs `vigie demo` on a quiet scenario, stores three months of calls before it, signs 60 agents in and opens their event streams.
For a minute ten calls a second come in by the call hook, each for one agent by name, are answered and hung up; meanwhile agents
open pages and search. Calls and requests begin when they are due, whether or not the ones before are done. What is timed: from
the beginning of the hook's request to the pop on the right agent's stream, and each page and search to its last byte. Every call
must come up at its agent, with its shop, and be seen to end there, and nowhere else, and be stored as answered and ended; every
page and answer must be the one asked for. This program is on the machine it measures: what it took of it is told.
"""

import argparse
import asyncio
import html
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.engines import described
from benchmarks.hotline_house import AGENTS, Agent, Hotline, Shop, running_house
from benchmarks.past_calls import CALLS
from fleet.database import Connection
from hotline.phone_numbers import show_number
from hotline.roles import Role

ANSWER_AFTER_S, HANGUP_AFTER_S = 1.0, 4.0
LOOKS_PER_S: Final = 5.0
# For the last pops and answers.
PATIENCE_S: Final = 10.0
BOUND_POP_P95_MS: Final = 300.0
BOUND_LOOK_P95_MS: Final = 200.0
_PAGES = ("home", "call", "terminal", "shop", "callbacks", "wallboard", "figures", "figures of 30 days", "incidents")
_SEARCHES = ("code", "name", "terminal id", "number")
LOOKS: Final = {"page": [f"page: {one}" for one in _PAGES], "search": [f"search: {one}" for one in _SEARCHES]}
UNLIMITED: Final = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0)
# A silent stream says every 15 s that it is still there.
TIMEOUT: Final = httpx.Timeout(10.0, read=40.0)


@dataclass(frozen=True, slots=True)
class Sight:
    """A pop on a stream: whose, of which call (the console's id), in which state, when, and its page fragment."""

    login: str
    call: int
    state: str
    at_s: float
    fragment: str


@dataclass
class Noted:
    """All that was seen; moments are seconds of one monotonic clock. `faults` says in words what should not have been."""

    opened: set[str] = field(default_factory=set)
    sights: list[Sight] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    began_s: dict[int, float] = field(default_factory=dict)
    late_ms: list[float] = field(default_factory=list)
    hook_ms: list[float] = field(default_factory=list)
    looks_ms: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Ring, look, print; exit code 1 where a pop is missing or astray, an answer is wrong or a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=16_000)
    parser.add_argument("--past-calls", type=int, default=CALLS, help="calls of the three months before; 0: none")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long calls come in")
    parser.add_argument("--calls-per-s", type=float, default=10.0)
    arguments = parser.parse_args()
    if not (0 < arguments.seconds <= 120 and 0 < arguments.calls_per_s <= 30):
        parser.error("at most 120 seconds and 30 calls a second: the hook refuses more than 100 events a second")
    calls = round(arguments.seconds * arguments.calls_per_s)
    told: dict[str, Any] = {"terminals": arguments.terminals, "past_calls": arguments.past_calls, "agents": AGENTS}
    told |= {"calls": calls, "calls_per_s": arguments.calls_per_s}
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        house = running_house(progress, terminals=arguments.terminals, past_calls=arguments.past_calls)
        with house as (conn, hotline):
            told["load_average_before"] = round(os.getloadavg()[0], 1)
            spent_s = time.process_time()
            noted = asyncio.run(load(hotline, progress, calls=calls, per_s=arguments.calls_per_s))
            # What this program itself took of the machine it measures.
            told["own_processor_s"] = round(time.process_time() - spent_s, 1)
            told["load_average_after"] = round(os.getloadavg()[0], 1)
            pops_ms, amiss = judge(conn, hotline, noted, calls=calls)
    return report(noted, pops_ms, amiss, told)


async def load(hotline: Hotline, progress: Progress, *, calls: int, per_s: float) -> Noted:
    """Open the streams, let it ring, look at pages meanwhile, and wait a while for the last pops."""
    noted = Noted()
    looks = round(calls / per_s * LOOKS_PER_S)
    rung, looked = (progress.add_task(what, total=many) for what, many in (("calls", calls), ("pages and searches", looks)))
    async with client() as screens, client() as exchange, client() as browser:
        streams = [asyncio.create_task(watch(screens, hotline, agent, noted)) for agent in hotline.agents]
        await until_true(lambda: len(noted.opened) == len(hotline.agents) or bool(noted.faults))
        if len(noted.opened) < len(hotline.agents):
            raise SystemExit(f"only {len(noted.opened)} event streams opened: {noted.faults[:3]}")
        await warm_up(exchange, browser, hotline, noted, order=calls)
        first_s = time.perf_counter() + 1.0
        async with asyncio.TaskGroup() as group:
            for order in range(calls):
                one = group.create_task(ring(exchange, hotline, noted, order=order, due_s=first_s + order / per_s))
                one.add_done_callback(lambda _: progress.advance(rung))
            for order in range(looks):
                # A quarter of a beat off the calls.
                due_s = first_s + (order + 0.25) / LOOKS_PER_S
                one = group.create_task(look(browser, hotline, noted, order=order, due_s=due_s))
                one.add_done_callback(lambda _: progress.advance(looked))
        await until_true(lambda: len(noted.ended) > calls)  # With the one that rang before.
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    return noted


def client() -> httpx.AsyncClient:
    """A client whose requests never wait for one another."""
    return httpx.AsyncClient(timeout=TIMEOUT, limits=UNLIMITED, trust_env=False)


async def warm_up(exchange: httpx.AsyncClient, browser: httpx.AsyncClient, hotline: Hotline, noted: Noted, *, order: int) -> None:
    """Ring once and open every page once: the first look since the start compiles a template."""
    await ring(exchange, hotline, noted, order=order, due_s=time.perf_counter())
    await until_true(lambda: bool(noted.sights))
    if not noted.sights:
        raise SystemExit("the first call did not come up")
    for what in (*LOOKS["page"], *LOOKS["search"]):
        if not await ask(browser, hotline, hotline.agents[0], what, hotline.shops[-1], call=noted.sights[-1].call):
            raise SystemExit(f"{what}: not what was asked for")
    noted.late_ms.clear()
    noted.hook_ms.clear()


async def watch(screens: httpx.AsyncClient, hotline: Hotline, agent: Agent, noted: Noted) -> None:
    """Read one agent's event stream until cancelled."""
    kind = ""
    try:
        async with screens.stream("GET", f"{hotline.console}/console/stream", headers={"Cookie": agent.cookie}) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                at_s = time.perf_counter()
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                    if kind == "state":
                        noted.opened.add(agent.login)
                elif kind == "pop" and line.startswith("data: "):
                    told = json.loads(line.removeprefix("data: "))
                    noted.sights.append(Sight(agent.login, told["call"], told["state"], at_s, told["html"]))
                    if told["state"] == "ended":
                        noted.ended.add(told["call"])
    except httpx.HTTPError as error:
        noted.faults.append(f"stream of {agent.login}: {error!r}")
    else:
        noted.faults.append(f"stream of {agent.login}: ended")


async def ring(exchange: httpx.AsyncClient, hotline: Hotline, noted: Noted, *, order: int, due_s: float) -> None:
    """One call, from its ring to its end, as an exchange tells it."""
    agent, shop = hotline.agent(order), hotline.shop(order)
    call = {"callId": f"load {order}", "direction": "in", "from": shop.number, "to": "3008", "user": [agent.login]}
    events = (
        (0.0, {"event": "newCall"}),
        (ANSWER_AFTER_S, {"event": "answer", "answeringNumber": agent.extension}),
        (HANGUP_AFTER_S, {"event": "hangup", "cause": "normalClearing"}),
    )
    for after_s, event in events:
        await until(due_s + after_s)
        began_s = time.perf_counter()
        noted.began_s.setdefault(order, began_s)
        noted.late_ms.append((began_s - due_s - after_s) * 1000)
        try:
            (await exchange.post(hotline.hook, json=call | event)).raise_for_status()
        except httpx.HTTPError as error:
            noted.faults.append(f"{event['event']} of call {order}: {error!r}")
        noted.hook_ms.append((time.perf_counter() - began_s) * 1000)


async def look(browser: httpx.AsyncClient, hotline: Hotline, noted: Noted, *, order: int, due_s: float) -> None:
    """Open a page, or search for something, by turns."""
    turn = order // 2
    shop = hotline.shop(7 * order)
    kinds = LOOKS["page"] if order % 2 == 0 else LOOKS["search"]
    what = kinds[turn % len(kinds)]
    leads = [agent for agent in hotline.agents if agent.role is Role.SUPERVISOR]
    agent = leads[turn % len(leads)] if what.startswith("page: figures") else hotline.agent(turn)
    await until(due_s)
    began_s = time.perf_counter()
    try:
        right = await ask(browser, hotline, agent, what, shop, call=noted.sights[-1].call)
    except httpx.HTTPError as error:
        noted.faults.append(f"{what}: {error!r}")
        return
    noted.looks_ms.setdefault(what, []).append((time.perf_counter() - began_s) * 1000)
    if not right:
        noted.faults.append(f"{what}: not what was asked for")


async def ask(browser: httpx.AsyncClient, hotline: Hotline, agent: Agent, what: str, shop: Shop, *, call: int) -> bool:
    """Ask for one page or search and read the answer; whether it is the right one."""
    since = (datetime.now(UTC) - timedelta(days=30)).date()
    # Path, what is typed, and what the answer must hold.
    known = {
        "page: home": ("", "", 'id="today"'),
        "page: call": (f"/calls/{call}", "", f'data-call="{call}"'),
        "page: terminal": (f"/terminals/{shop.terminal}", "", shop.terminal),
        "page: shop": (f"/points-of-sale/{shop.code}", "", shop.name),
        "page: callbacks": ("/callbacks", "", "/console/callbacks/now"),
        "page: wallboard": ("/wallboard", "", "/console/wallboard/now"),
        "page: figures": ("/figures", "", "/console/figures.csv"),
        "page: figures of 30 days": (f"/figures?by=day&first={since}", "", "/console/figures.csv"),
        "page: incidents": ("/incidents", "", "/console/incidents/now"),
        "search: code": ("/search", shop.code, shop.name),
        "search: name": ("/search", shop.name, shop.name),
        "search: terminal id": ("/search", shop.terminal, shop.terminal),
        "search: number": ("/search", show_number(shop.number), shop.code),
    }
    path, typed, holds = known[what]
    address = httpx.URL(f"{hotline.console}/console{path}", **({"params": {"q": typed}} if typed else {}))
    answer = await browser.get(address, headers={"Cookie": agent.cookie})
    if answer.has_redirect_location:
        # The client would follow without the cookie.
        answer = await browser.get(address.join(answer.headers["Location"]), headers={"Cookie": agent.cookie})
    answer.raise_for_status()
    return answer.url.path != "/sign-in" and holds in html.unescape(answer.text)


def judge(conn: Connection, hotline: Hotline, noted: Noted, *, calls: int) -> tuple[list[float], dict[str, int]]:
    """Milliseconds to each pop, and how many calls something is amiss with.

    The database knows which call of the console is which of the exchange.
    """
    rows = conn.execute(
        "SELECT id, substr(call_id, 6)::integer, state = 'ended' AND answered_by IS NOT NULL FROM hotline.call"
        " WHERE call_id LIKE 'load %'"
    ).fetchall()
    order_of: dict[int, int] = {id_: order for id_, order, _ in rows}
    stored = {order for _, order, whole in rows if whole and order < calls}
    first_s: dict[int, float] = {}
    ended, misdirected, without_shop = set[int](), set[int](), set[int]()
    for sight in noted.sights:
        order = order_of.get(sight.call, calls)
        if order >= calls:
            continue  # The one that rang before, or a simulated shopkeeper's, for whoever answers.
        if sight.login != hotline.agent(order).login:
            misdirected.add(order)
            continue
        shop = hotline.shop(order)
        first_s.setdefault(order, sight.at_s)
        if show_number(shop.number) not in sight.fragment or shop.terminal not in sight.fragment:
            without_shop.add(order)
        if sight.state == "ended":
            ended.add(order)
    amiss = {"lost": calls - len(first_s), "unfinished": calls - len(ended), "not_stored": calls - len(stored)}
    amiss |= {"misdirected": len(misdirected), "without_shop": len(without_shop), "faults": len(noted.faults)}
    return [(at_s - noted.began_s[order]) * 1000 for order, at_s in first_s.items()], amiss


def report(noted: Noted, pops_ms: Sequence[float], amiss: dict[str, int], told: dict[str, Any]) -> int:
    """The table for people, the figures for programs."""
    of_kind = {kind: [one for what in whats for one in noted.looks_ms.get(what, ())] for kind, whats in LOOKS.items()}
    bounds_ms = {"hook to pop": BOUND_POP_P95_MS, "pages": BOUND_LOOK_P95_MS, "searches": BOUND_LOOK_P95_MS}
    measured = {"hook to pop": pops_ms, "pages": of_kind["page"], "searches": of_kind["search"]}
    # Where this program itself was late, the machine was full: what it then measured is more than the console's share.
    measured |= {"hook's own answer": noted.hook_ms, "this program was late by": noted.late_ms}
    figures = {what: percentiles(times) for what, times in (measured | dict(sorted(noted.looks_ms.items()))).items()}
    # Written so that what was not measured is missed.
    missed = [what for what, bound in bounds_ms.items() if not figures[what]["p95_ms"] <= bound]
    table = Table(title=f"the hotline under load, {datetime.now(UTC):%Y-%m-%d}")
    for column in ("", "count", "p50 ms", "p95 ms", "p99 ms", "largest ms", "bound (p95)"):
        table.add_column(column, justify="right" if column else "left", no_wrap=not column)
    for what, values in figures.items():
        table.add_row(what, *(f"{value:,.0f}" for value in values.values()), f"{bounds_ms[what]:.0f}" if what in bounds_ms else "")
    console = Console(stderr=True)
    console.print(table)
    console.print(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in amiss.items()))
    for fault in noted.faults[:10]:
        console.print(fault, markup=False)
    console.print(
        f"load average {told['load_average_before']} before, {told['load_average_after']} after; this program took"
        f" {told['own_processor_s']} s of a processor; {told['past_calls']:,} calls of three months before"
    )
    result = {"benchmark": "hotline_load", "machine": described(), **told, **amiss, "missed": missed}
    print(json.dumps(result | {"figures": figures}))
    return 0 if not missed and not any(amiss.values()) else 1


def percentiles(times_ms: Sequence[float]) -> dict[str, float]:
    """How many, their percentiles and the largest, in milliseconds."""
    cuts = statistics.quantiles(times_ms, n=100, method="inclusive") if len(times_ms) > 1 else [float("nan")] * 99
    named = {"p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98], "largest_ms": max(times_ms, default=float("nan"))}
    return {"count": len(times_ms)} | {name: round(value, 1) for name, value in named.items()}


async def until(due_s: float) -> None:
    """Wait for a moment of the monotonic clock."""
    await asyncio.sleep(max(0.0, due_s - time.perf_counter()))


async def until_true(condition: Callable[[], bool]) -> None:
    """Wait for a condition, for a while."""
    deadline_s = time.perf_counter() + PATIENCE_S
    while not condition() and time.perf_counter() < deadline_s:
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
