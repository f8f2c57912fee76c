"""The pages of figures over three months of calls, and the wall before sixty people: `python -m benchmarks.figures`.

Fills a throw-away database with 82,000 calls of 92 days, runs `vigie web` on it, waits until it has stored the days that are over
and asks for every kind of page and file, of today, 30 and 92 days. Every answer is checked for the number of calls it must show.
Then sixty people look at the wall, each asking every five seconds. Exit code 1 where the 95th percentile of a kind of page is over
the bound.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console

from benchmarks.engines import described
from benchmarks.past_calls import CALLS, DAYS, fill_past
from benchmarks.processes import cpu_s
from diagnostics.typologies.store import deliver
from fleet.database import Connection, connect
from fleet.migrate import migrate
from fleet.settings import read
from hotline.accounts import add_agent
from hotline.opening import ZONE
from hotline.roles import Role
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings
from vigie.engines.postgres import EmbeddedPostgres

BOUND_MS = 200.0
WAIT_S = 180.0
PASSWORD = "a-long-benchmark-password"
PAGES: Final = (
    *(f"/console/figures?by={by}" for by in ("half_hour", "day", "floor", "level", "agent")),
    "/console/figures?by=day&floor=overflow",
    "/console/figures/calls?what=offered",
    "/console/figures/calls?what=late&skip=300",
)
_FILL: Final = (
    "INSERT INTO fleet.point_of_sale SELECT 'PV' || lpad(n::text, 5, '0'), 'Bar ' || n, '59', '32', 'AG01', 'Europe/Paris', '24/7'"
    " FROM generate_series(1, 10000) n",
    "INSERT INTO fleet.phone_number SELECT '+336' || lpad((39980000 + n)::text, 8, '0'), 'PV' || lpad(n::text, 5, '0')"
    " FROM generate_series(1, 10000) n",
)


def main() -> int:
    """Fill, run, ask, look, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--wall-s", type=float, default=20.0)
    arguments = parser.parse_args()
    console = Console(stderr=True)
    home = Path(tempfile.mkdtemp(prefix="vigie-figures-"))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(fetch_engines(read(EngineSettings), console.print), home / "postgres")
    try:
        postgres.start()
        migrate(postgres.url)
        with connect(postgres.url, program="benchmark", autocommit=True) as conn:
            fill(conn)
            result = measure(postgres.url, conn, rounds=arguments.rounds, wall_s=arguments.wall_s)
    finally:
        postgres.stop()
        shutil.rmtree(home)
    print(json.dumps({"benchmark": "figures", "machine": described(), "calls": CALLS, "days": DAYS, **result}))
    return 0 if all(kind["p95_ms"] <= BOUND_MS for kind in result["pages"].values()) else 1


def fill(conn: Connection) -> None:
    """Shops, three months of calls, and somebody who may see figures of agents."""
    now = datetime.now(UTC)
    for statement in _FILL:
        conn.execute(statement.encode())
    deliver(conn, now=now)
    # The newest of them rang today.
    fill_past(conn, until=now + timedelta(days=1))
    add_agent(conn, login="eva", name="Eva", role=Role.SUPERVISOR, password=PASSWORD)
    conn.execute("VACUUM ANALYZE")


def measure(url: str, conn: Connection, *, rounds: int, wall_s: float) -> dict[str, Any]:
    """Start the web program, and ask it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"VIGIE_DATABASE_URL": url, "VIGIE_WEB_PORT": str(port)}
    web = subprocess.Popen([sys.executable, "-m", "vigie", "web"], env=os.environ | settings, stdout=subprocess.DEVNULL)
    try:
        browser = sign_in(f"http://127.0.0.1:{port}")
        stored_s = wait_for_days(conn)
        today = datetime.now(ZONE).date()
        pages: dict[str, dict[str, float]] = {}
        for days in (1, 30, DAYS):
            before = cpu_s(web.pid)
            times_ms = ask(browser, conn, today, days=days, rounds=rounds)
            # Beside other work, processor time says more than the clock.
            pages[f"{days} days"] = percentiles(times_ms) | {"cpu_ms": round((cpu_s(web.pid) - before) * 1000 / len(times_ms), 1)}
        pages["wall"], cores = look(browser, web.pid, seconds=wall_s)
        return {"days_stored_after_s": round(stored_s, 1), "pages": pages, "wall_cores": round(cores, 3)}
    finally:
        web.terminate()
        web.wait(15)


def sign_in(base: str) -> httpx.Client:
    """A browser of somebody who may see everything; waits for the program to listen."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            answer = httpx.post(f"{base}/sign-in", data={"login": "eva", "password": PASSWORD}, timeout=30)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
            continue
        return httpx.Client(base_url=base, cookies=answer.cookies, timeout=60)


def wait_for_days(conn: Connection) -> float:
    """Until every day that is over is stored [s]."""
    begun = time.monotonic()
    while time.monotonic() - begun < WAIT_S:
        (count,) = conn.execute("SELECT count(*) FROM hotline.closed_day").fetchone() or (0,)
        if count >= DAYS - 2:
            return time.monotonic() - begun
        time.sleep(0.5)
    raise SystemExit("the days that are over were not stored")


def ask(browser: httpx.Client, conn: Connection, today: date, *, days: int, rounds: int) -> list[float]:
    """Every kind of page of so many days, so many times; returns milliseconds, having checked each answer."""
    first = today - timedelta(days=days - 1)
    (calls,) = conn.execute(
        # Neither hung up at once nor outside the usual opening.
        "SELECT count(*) FROM hotline.call, LATERAL (SELECT rang_at AT TIME ZONE 'Europe/Paris') p (clock)"
        " WHERE clock::date BETWEEN %(first)s AND %(today)s AND (answered_at IS NOT NULL OR ended_at - rang_at >= interval '5 s')"
        " AND clock::time >= '07:00' AND clock::time < '22:30'",
        {"first": first, "today": today},
    ).fetchone() or (0,)
    times_ms: list[float] = []
    for _ in range(rounds):
        for page in PAGES:
            begun = time.perf_counter()
            answer = browser.get(f"{page}&first={first}&last={today}")
            times_ms.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{page}: {answer.status_code}")
            if page.endswith("=offered") and counted(answer.text) != calls:
                raise SystemExit(f"{page}: {counted(answer.text)} of {calls} calls")
    return times_ms


def counted(page: str) -> int:
    """How many calls a list says it holds."""
    found = re.search(r'<h1>[^<]*<span class="muted">([^<]*)<', page)
    return int(re.sub(r"\D", "", found.group(1))) if found else -1


def look(browser: httpx.Client, pid: int, *, seconds: float) -> tuple[dict[str, float], float]:
    """Sixty people before the wall: how long each waits for it, and how many cores the web program spends."""
    times_ms: list[float] = []
    lock = threading.Lock()
    # Made before: sixty of them keep this program's own processor busy for seconds.
    browsers = [httpx.Client(base_url=browser.base_url, cookies=browser.cookies, timeout=60) for _ in range(60)]
    begun, cpu_before = time.monotonic(), cpu_s(pid)

    def person(order: int) -> None:
        with browsers[order] as own:
            time.sleep(order * 5 / 60)
            while time.monotonic() - begun < seconds:
                asked = time.perf_counter()
                own.get("/console/wallboard/now").raise_for_status()
                took_s = time.perf_counter() - asked
                with lock:
                    times_ms.append(took_s * 1000)
                time.sleep(max(0.0, 5 - took_s))

    people = [threading.Thread(target=person, args=(order,)) for order in range(60)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    return percentiles(times_ms), (cpu_s(pid) - cpu_before) / (time.monotonic() - begun)


def percentiles(times_ms: list[float]) -> dict[str, float]:
    """Of one kind of page."""
    return {
        "count": len(times_ms),
        "p50_ms": round(statistics.median(times_ms), 1),
        "p95_ms": round(statistics.quantiles(times_ms, n=20)[-1], 1),
        "slowest_ms": round(max(times_ms), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
