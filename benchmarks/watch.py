"""One tick of the watch on a live fleet: `python -m benchmarks.watch`.

For each size a throw-away TimescaleDB gets a registry and, tick by tick of ten seconds' clock, the samples that a third of
the fleet sends; the watch's tick (read, judge, store, commit) is what is timed. Some terminals go silent, lose their
connection or run out of paper on the way, so the answer is known: every state is counted and compared. Then ingest stops
and comes back: two ticks in which every row of the fleet flips at once, the worst there is.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from benchmarks.processes import cpu_s
from diagnostics.health import counts
from diagnostics.limits import Policy
from diagnostics.reasons import State
from diagnostics.watch import Metrics, Watch
from fleet.contract import SAMPLE_FIELDS
from fleet.database import Connection, connect
from fleet.migrate import migrate
from fleet.settings import read
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings
from vigie.engines.postgres import EmbeddedPostgres

SIZES = (1_000, 16_000, 64_000)
# The bound holds at the size of the fleet.
BOUND_MS, BOUND_SIZE = 250.0, 16_000
# Eleven in Paris on a Monday.
START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICK_S = 10
WARM_UP_TICKS, TICKS = 6, 60
# Of a hundred terminals: one falls silent, one loses its connection, two have little paper.
SILENT, LOST, LOW = (1,), (2,), (3, 4)
# So many transactions of ingest lie in one tick.
BATCHES = 4


def main() -> int:
    """Measure each size, print one line of JSON each; exit code 1 where an answer is wrong or the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, nargs="*", default=SIZES)
    parser.add_argument("--ticks", type=int, default=TICKS, help="at least 15: silence takes two minutes")
    arguments = parser.parse_args()
    good = True
    shown = ("terminals", "tick_p50_ms", "tick_p99_ms", "tick_cpu_ms", "start_ms", "answers")
    bound = f"one tick of the watch (bound: p99 ≤ {BOUND_MS:g} ms at {BOUND_SIZE:,} terminals)"
    table = Table(*(name.replace("_", " ") for name in shown), title=bound)
    for terminals in arguments.terminals:
        result = measure(terminals, ticks=arguments.ticks)
        print(json.dumps(result), flush=True)
        good = good and result["answers"] == "right" and (terminals > BOUND_SIZE or result["tick_p99_ms"] <= BOUND_MS)
        table.add_row(*(str(result[name]) for name in shown))
    Console(stderr=True).print(table)
    return 0 if good else 1


def measure(terminals: int, *, ticks: int) -> dict[str, Any]:
    """Figures of one size, on a database of its own."""
    home = Path(tempfile.mkdtemp(prefix="vigie-watch-"))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(fetch_engines(read(EngineSettings), Console(stderr=True).print), home / "postgres")
    try:
        postgres.start()
        migrate(postgres.url)
        with connect(postgres.url, program="benchmark", autocommit=True) as feed:
            register(feed, terminals)
            with connect(postgres.url, program="watch", autocommit=True) as conn:
                return live(feed, conn, terminals=terminals, ticks=ticks)
    finally:
        postgres.stop()
        shutil.rmtree(home)


def register(conn: Connection, terminals: int) -> None:
    """Two terminals a shop, a few patterns of opening hours, everyone connected."""
    patterns = ["Mo-Su 07:00-20:00", "Mo-Sa 08:00-19:30; Su 08:00-13:00", "Mo-Su 06:30-21:00", "24/7"]
    conn.execute(
        "INSERT INTO fleet.point_of_sale (code, name, department, region, agency, timezone, opening_hours)"
        " SELECT 'P' || n, 'Bar', '75', '11', 'AG01', 'Europe/Paris', (%(patterns)s::text[])[1 + n %% %(kinds)s]"
        " FROM generate_series(0, %(shops)s) n",
        {"patterns": patterns, "kinds": len(patterns), "shops": terminals // 2},
    )
    conn.execute(
        "INSERT INTO fleet.terminal (id, point_of_sale, model, hw, firmware, access, carrier, lot, password_hash)"
        " SELECT 'T' || lpad(n::text, 5, '0'), 'P' || n / 2, 'B', '2', '4.2.1', 'adsl', 'alpha', 'L01', 'x'"
        " FROM generate_series(0, %(last)s) n",
        {"last": terminals - 1},
    )
    conn.execute(
        "INSERT INTO fleet.presence (terminal_id, online, session, changed_at, boot, at, firmware, slot, model, hw)"
        " SELECT id, true, 1, %(at)s, 1, %(at)s, '4.2.1', 'A', 'B', '2' FROM fleet.terminal",
        {"at": START - timedelta(hours=8)},
    )


def live(feed: Connection, conn: Connection, *, terminals: int, ticks: int) -> dict[str, Any]:
    """Let the fleet live through the ticks, and time the watch's."""
    now = START
    for third in range(3):
        report(feed, terminals, third=third, at=now - timedelta(seconds=TICK_S * (3 - third)), faulty=False)
    begun = time.perf_counter()
    watch = Watch(conn, now=now, policy=Policy(), metrics=Metrics(CollectorRegistry()))
    load_ms = (time.perf_counter() - begun) * 1000
    watch.tick(now)
    times_ms: list[float] = []
    spent_s = 0.0
    for tick in range(1, WARM_UP_TICKS + ticks + 1):
        now = START + timedelta(seconds=TICK_S * tick)
        if tick == WARM_UP_TICKS:
            disconnect(feed, at=now)
        report(feed, terminals, third=tick % 3, at=now - timedelta(seconds=1), faulty=tick > WARM_UP_TICKS)
        if tick > WARM_UP_TICKS:
            spent_s -= cpu_s(os.getpid()) + cpu_s(conn.info.backend_pid)
        times_ms.append(timed(watch, now))
        if tick > WARM_UP_TICKS:
            spent_s += cpu_s(os.getpid()) + cpu_s(conn.info.backend_pid)
    right = answers(conn, terminals, now)
    # Nothing from ingest for a minute: unknown, all at once. Then it is back.
    now += timedelta(seconds=60)
    stop_ms = timed(watch, now)
    all_unknown = counts(conn, now=now).states[State.UNKNOWN] == terminals
    for third in range(3):
        report(feed, terminals, third=third, at=now + timedelta(seconds=third + 1), faulty=True)
    now += timedelta(seconds=TICK_S)
    back_ms = timed(watch, now)
    right = right and all_unknown and answers(conn, terminals, now)
    settled = times_ms[WARM_UP_TICKS:]
    return {
        "terminals": terminals,
        "ticks": len(settled),
        "samples_a_tick": terminals // 3,
        "tick_p50_ms": round(statistics.median(settled), 1),
        "tick_p99_ms": round(sorted(settled)[-1 - len(settled) // 100], 1),
        # Of the program and its database session together: what a busy machine cannot blur.
        "tick_cpu_ms": round(spent_s * 1000 / len(settled), 1),
        "whole_fleet_flips_ms": [round(stop_ms, 1), round(back_ms, 1)],
        "start_ms": round(load_ms, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "answers": "right" if right else "WRONG",
    }


def timed(watch: Watch, now: datetime) -> float:
    """One tick, in milliseconds."""
    begun = time.perf_counter()
    watch.tick(now)
    return (time.perf_counter() - begun) * 1000


def report(conn: Connection, terminals: int, *, third: int, at: datetime, faulty: bool) -> None:
    """What ingest commits of a third of the fleet, in some transactions."""
    quiet = [*SILENT, *LOST] if faulty else []
    others = [name for name in SAMPLE_FIELDS if name not in ("paper_pct", "board_c", "head_c", "clock_ms", "disk_mb")]
    for batch in range(BATCHES):
        received_at = at + timedelta(milliseconds=100 * (batch + 1))
        with conn.transaction():
            drawn = conn.execute("SELECT fleet.open_batch()").fetchone()
            stored = conn.execute(
                f"INSERT INTO fleet.sample (at, received_at, boot, seq, terminal_id, paper_pct, board_c, head_c, clock_ms, disk_mb,"
                f" {', '.join(others)}) SELECT %(at)s, %(received)s, 1, extract(epoch FROM %(at)s::timestamptz)::bigint,"
                f" 'T' || lpad(n::text, 5, '0'), CASE WHEN n %% 100 = ANY(%(low)s) AND %(faulty)s THEN 2 ELSE 60 END, 45, 35, 20,"
                f" 5000, {', '.join(['1'] * len(others))} FROM generate_series(%(first)s::integer, %(last)s, %(step)s) n"
                " WHERE n %% 100 <> ALL(%(quiet)s::integer[])",
                {
                    "at": at,
                    "received": received_at,
                    "low": list(LOW),
                    "faulty": faulty,
                    "quiet": quiet,
                    "first": third + 3 * batch,
                    "last": terminals - 1,
                    "step": 3 * BATCHES,
                },
            ).rowcount
            conn.execute(
                "INSERT INTO fleet.ingest_batch"
                " (id, xid, worker, received_at, messages, samples, events, repeats, dead_letters, at_min, at_max)"
                " VALUES (%(id)s, pg_current_xact_id(), 'benchmark', %(received)s, %(n)s, %(n)s, 0, 0, 0, %(at)s, %(at)s)",
                {"id": drawn[0] if drawn else None, "received": received_at, "n": stored, "at": at},
            )


def disconnect(conn: Connection, *, at: datetime) -> None:
    """The wills of those that lose their connection."""
    conn.execute(
        "UPDATE fleet.presence SET online = false, changed_at = %(at)s"
        " WHERE substr(terminal_id, 2)::integer %% 100 = ANY(%(lost)s)",
        {"at": at, "lost": list(LOST)},
    )


def answers(conn: Connection, terminals: int, now: datetime) -> bool:
    """Whether every terminal is in the state that its script says."""

    def of(endings: tuple[int, ...]) -> int:
        return sum(len(range(ending, terminals, 100)) for ending in endings)

    down, degraded = of((*SILENT, *LOST)), of(LOW)
    states = counts(conn, now=now).states
    expected = {
        State.DOWN: down,
        State.DEGRADED: degraded,
        State.OK: terminals - down - degraded,
        State.UNKNOWN: 0,
        State.CLOSED: 0,
    }
    if states != expected:
        print(f"states are {states}, expected {expected}", file=sys.stderr)
    return states == expected


if __name__ == "__main__":
    sys.exit(main())
