"""One terminal's last 24 hours out of a full week's table: `python -m benchmarks.lookup`.

Fills a throw-away TimescaleDB with a week of the whole fleet (a sample every 30 s for 14 hours a day, every 300 s for the rest,
in the order of their times, as they would have arrived), has closed hours put in order as `vigie ingest` does, then asks for the
last day of many terminals, each asked for once, so that none is answered from its own cached pages. The rows are counted against
what was filled in. A full week of 16,000 terminals needs about 45 GB of disk and half an hour; `--terminals 1600` is a look.
"""

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.engines import described
from fleet import chunk_order
from fleet.contract import CLOSED_CADENCE_S, OPEN_CADENCE_S, SAMPLE_FIELDS
from fleet.database import Connection, connect
from fleet.history import samples_between
from fleet.migrate import migrate
from fleet.settings import read
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings
from vigie.engines.postgres import EmbeddedPostgres

OPEN_FROM_H, OPEN_TO_H = 7, 21
ROWS_A_DAY = (OPEN_TO_H - OPEN_FROM_H) * 3600 // OPEN_CADENCE_S + (24 - OPEN_TO_H + OPEN_FROM_H) * 3600 // CLOSED_CADENCE_S
# Just before the hour's samples are put in order, with five minutes of the next hour: the worst moment to ask.
END = datetime(2026, 11, 23, 15, 5, tzinfo=UTC)
BOUND_MS = 30.0


def main() -> int:
    """Fill, ask, check, print; exit code 1 where the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=16_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--lookups", type=int, default=400)
    parser.add_argument("--folder", type=Path, help="where the throw-away database goes (default: the system's temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep the filled database, and say where")
    parser.add_argument("--kept", type=Path, help="ask the database that an earlier run with --keep filled")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    home = arguments.kept or Path(tempfile.mkdtemp(prefix="vigie-lookup-", dir=arguments.folder))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(fetch_engines(read(EngineSettings), console.print), home / "postgres")
    try:
        postgres.start()
        migrate(postgres.url)
        with connect(postgres.url, program="benchmark", autocommit=True) as conn:
            if not arguments.kept:
                fill(conn, terminals=arguments.terminals, days=arguments.days, console=console)
            order_s = put_in_order(conn, console=console)
            rows = arguments.terminals * arguments.days * ROWS_A_DAY
            size = conn.execute("SELECT hypertable_size('fleet.sample')").fetchone()
            times_ms = ask(conn, terminals=arguments.terminals, lookups=arguments.lookups)
    finally:
        postgres.stop()
        if arguments.keep or arguments.kept:
            console.print(f"the filled database is kept in {home}: ask it again with --kept {home}")
        else:
            shutil.rmtree(home)
    result = {
        "benchmark": "lookup",
        "machine": described(),
        "lookups": len(times_ms),
        "rows": rows,
        "order_s_per_chunk": order_s,
        "table_gb": round(size[0] / 1e9, 1) if size else None,
        "p50_ms": round(statistics.median(times_ms), 2),
        "p95_ms": round(statistics.quantiles(times_ms, n=20)[-1], 2),
        "max_ms": round(max(times_ms), 2),
    }
    print(json.dumps(result))
    return 0 if result["p95_ms"] <= BOUND_MS else 1


def fill(conn: Connection, *, terminals: int, days: int, console: Console) -> None:
    """Insert the week, an hour at a time, in the order of arrival."""
    # Cheap arithmetic instead of random(): what matters here is where rows lie, not what they say.
    values = ", ".join(f"((n * {7 + i}) %% 1000)::real" for i in range(len(SAMPLE_FIELDS)))
    statement = f"""
        INSERT INTO fleet.sample (at, received_at, boot, seq, terminal_id, {", ".join(SAMPLE_FIELDS)})
        SELECT at + phase, at + phase + interval '1 second', 1, extract(epoch FROM at)::bigint %% 1000000, id, {values}
        FROM (
            SELECT at, n, 'T' || lpad(n::text, 5, '0') AS id, n %% 30 * interval '1 second' AS phase
            FROM generate_series(%(start)s, %(end)s - interval '1 second', interval '{OPEN_CADENCE_S} seconds') AS at,
                 generate_series(1, %(terminals)s) AS n
            WHERE extract(hour FROM at) BETWEEN {OPEN_FROM_H} AND {OPEN_TO_H - 1}
               OR extract(epoch FROM at)::bigint %% {CLOSED_CADENCE_S} = 0
        ) AS arrival
    """
    start = END - timedelta(days=days)
    with Progress(console=console) as progress:
        task = progress.add_task("filling the week", total=days * 24)
        for hour in range(days * 24):
            span = {"start": start + timedelta(hours=hour), "end": start + timedelta(hours=hour + 1), "terminals": terminals}
            conn.execute(statement, span)
            progress.advance(task)


def put_in_order(conn: Connection, *, console: Console) -> float | None:
    """Let housekeeping order the last day's closed hours, all that a look-up can touch; returns the median seconds a chunk took."""
    seconds = []
    with Progress(console=console) as progress:
        task = progress.add_task("ordering the last day", total=25)
        for _ in range(25):
            started = time.monotonic()
            if not chunk_order.step(conn, now=END):
                break
            seconds.append(time.monotonic() - started)
            progress.advance(task)
    return round(statistics.median(seconds), 1) if seconds else None


def ask(conn: Connection, *, terminals: int, lookups: int) -> list[float]:
    """Ask for the last day of `lookups` different terminals; returns milliseconds each, having checked every answer."""
    times_ms = []
    for number in random.Random(7).sample(range(1, terminals + 1), min(lookups, terminals)):
        started = time.perf_counter()
        rows = samples_between(conn, terminal_id=f"T{number:05}", start=END - timedelta(days=1), end=END + timedelta(minutes=1))
        times_ms.append((time.perf_counter() - started) * 1000)
        if len(rows) != ROWS_A_DAY:
            raise SystemExit(f"terminal {number}: {len(rows)} rows instead of {ROWS_A_DAY}")
    return times_ms


if __name__ == "__main__":
    sys.exit(main())
