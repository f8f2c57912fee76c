"""The planner's step over a whole fleet, database included: `python -m benchmarks.rollout`.

For each size a throw-away TimescaleDB gets a registry, a release, everybody connected and well, and an approved campaign whose
every wave opens at once. Timed are the steps of `vigie rollout` as it runs: one that has nothing to do, one that begins as many
terminals as the cap lets it, the longest of those in which the whole fleet moves at the same moment (the worst there is:
everybody is begun, then everybody is seen with the new firmware), and one that has to find that nobody moved. The answers are
known and checked. Then, up to the fleet's size, a day of the 5-minute roll-up is put there, and counted as the gate counts it.
"""

import argparse
import json
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

from benchmarks.engines import described
from benchmarks.stored_feed import register
from firmware_rollout.campaigns import campaign, create_campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.gate_counts import count
from firmware_rollout.planning import MOST_STEPS
from firmware_rollout.policy import Policy
from firmware_rollout.reconcile import Metrics, step
from firmware_rollout.releases import add_release
from firmware_rollout.states import State
from fleet.database import Connection, connect
from fleet.migrate import migrate
from fleet.settings import read
from simulators.world import build_world
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings
from vigie.engines.postgres import EmbeddedPostgres

SIZES = (1_000, 16_000, 64_000)
# The bound holds at the size of the fleet, for every kind of step.
BOUND_SIZE, BOUND_S = 16_000, 1.0
CAP = 500
NAME, NOW = "benchmark", datetime(2026, 11, 23, 10, tzinfo=UTC)
# An idle step is what a day has thousands of; one that moves everybody can be had once.
IDLE_STEPS = 9


def main() -> int:
    """Measure each size, check, print; exit code 1 where an answer was wrong or the bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    arguments = parser.parse_args()
    console = Console(stderr=True)
    results = [measure(size, console=console) for size in arguments.sizes]
    table = Table(title="a step of the rollout, s")
    for column in ("terminals", "idle", f"begins {CAP}", "all move", "idle again", "a day counted"):
        table.add_column(column, justify="right")
    for result in results:
        took = [result[name] for name in ("idle_s", "begin_s", "all_s", "after_s", "count_s")]
        table.add_row(f"{result['terminals']:,}", *("" if seconds is None else f"{seconds:.3f}" for seconds in took))
    console.print(table)
    print(json.dumps({"benchmark": "rollout", "machine": described(), "sizes": results}))
    bound = [result for result in results if result["terminals"] == BOUND_SIZE]
    worst = max((result[name] for result in bound for name in ("idle_s", "begin_s", "all_s", "after_s")), default=0.0)
    return 0 if worst <= BOUND_S and all(result["right"] for result in results) else 1


def measure(terminals: int, *, console: Console) -> dict[str, Any]:
    """One size, in a database of its own."""
    home = Path(tempfile.mkdtemp(prefix="vigie-rollout-"))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(fetch_engines(read(EngineSettings), console.print), home / "postgres")
    try:
        postgres.start()
        migrate(postgres.url)
        with connect(postgres.url, program="benchmark", autocommit=True) as conn:
            console.print(f"{terminals:,} terminals")
            return steps(conn, terminals)
    finally:
        postgres.stop()
        shutil.rmtree(home)


def steps(conn: Connection, terminals: int) -> dict[str, Any]:
    """Furnish, then take the steps that are timed."""
    world = build_world(1, terminals)
    register(conn, world)
    furnish(conn, Policy(window=None, cap_in_flight=CAP, shares_pct=(100.0,)))
    timed(conn, NOW)
    begun, moved = timed(conn, NOW)
    right = moved == min(CAP, terminals)
    idle = [timed(conn, NOW) for _ in range(IDLE_STEPS)]
    right &= all(moved == 0 for _, moved in idle)
    conn.execute("UPDATE firmware_rollout.campaign SET policy = jsonb_set(policy, '{cap_in_flight}', '1000000')")
    everybody = [longest(conn, NOW, terminals - CAP)]
    seen(conn, NOW + timedelta(minutes=10))
    everybody.append(longest(conn, NOW + timedelta(minutes=10), terminals))
    after = [timed(conn, NOW + timedelta(minutes=10)) for _ in range(IDLE_STEPS)]
    right &= all(moved == 0 for _, moved in after) and campaign(conn, NAME).states == {State.SOAKING: terminals}
    return {
        "terminals": terminals,
        "idle_s": round(statistics.median(seconds for seconds, _ in idle), 4),
        "begin_s": round(begun, 4),
        "all_s": round(max(everybody), 4),
        "after_s": round(statistics.median(seconds for seconds, _ in after), 4),
        # A day of a larger fleet takes longer to put there than it is worth.
        "count_s": round(counted(conn), 4) if terminals <= BOUND_SIZE else None,
        "right": bool(right),
    }


def furnish(conn: Connection, policy: Policy) -> None:
    """Everybody is connected, watched and well; a campaign brings 9.0.0 to all of them."""
    with conn.transaction():
        add_release(conn, version="9.0.0", models=["A", "B", "C"], notes="", now=NOW)
        conn.execute(
            "UPDATE firmware_rollout.release SET filename = 'f', length = 1, sha256 = repeat('0', 64), sha1 = repeat('0', 40)"
        )
        conn.execute(
            "INSERT INTO fleet.presence (terminal_id, online, session, changed_at, boot, at, firmware)"
            " SELECT id, true, 1, %(at)s, 1, %(at)s, firmware FROM fleet.terminal",
            {"at": NOW - timedelta(hours=1)},
        )
        conn.execute("INSERT INTO diagnostics.health SELECT id, 'ok', %(at)s, '[]' FROM fleet.terminal", {"at": NOW})
        conn.execute("INSERT INTO diagnostics.watermark VALUES ('watch', 0, %(at)s)", {"at": NOW + timedelta(minutes=10)})
        create_campaign(conn, name=NAME, release="9.0.0", where={}, seed=1, actor="one", policy=policy, now=NOW)
        do(conn, NAME, Deed.APPROVE, actor="other", why="", now=NOW)
    conn.execute("ANALYZE")


def seen(conn: Connection, at: datetime) -> None:
    """Every terminal comes back with the new firmware."""
    conn.execute("UPDATE fleet.presence SET firmware = '9.0.0', boot = 2, changed_at = %(at)s, at = %(at)s", {"at": at})


def timed(conn: Connection, now: datetime) -> tuple[float, int]:
    """One step: seconds, and how many terminals moved."""
    metrics = Metrics(CollectorRegistry())
    began = time.monotonic()
    taken = step(conn, now=now, metrics=metrics)
    return time.monotonic() - began, len(taken)


def longest(conn: Connection, now: datetime, terminals: int) -> float:
    """So many terminals move at the same moment, over as many steps as are needed; the longest step's seconds."""
    seconds = 0.0
    while terminals > 0:
        took, moved = timed(conn, now)
        assert moved == min(terminals, MOST_STEPS)
        seconds, terminals = max(seconds, took), terminals - moved
    return seconds


def counted(conn: Connection) -> float:
    """Seconds to count a day of the whole fleet, as the gate does once a day."""
    start = NOW - timedelta(days=1)
    conn.execute(
        "INSERT INTO fleet.sample_5min (bucket, terminal_id, samples, print_errors, scan_errors, tx_timeouts, tickets)"
        " SELECT at, id, 10, 0, 1, 0, 3 FROM fleet.terminal,"
        " generate_series(%(start)s, %(end)s - interval '5 minutes', interval '5 minutes') AS at",
        {"start": start, "end": NOW},
    )
    conn.execute("ANALYZE fleet.sample_5min")
    shops = [row[0] for row in conn.execute("SELECT code FROM fleet.point_of_sale ORDER BY 1")]
    began = time.monotonic()
    found = count(conn, shops, start=start, end=NOW, pace=1.0)
    assert found.tickets.sum() > 0
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
