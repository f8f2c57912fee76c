"""The watch on a live fleet, incidents and all, database included: `python -m benchmarks.watch`.

For each size a throw-away TimescaleDB gets a registry, what was learnt of a simulated week, and, ten seconds' clock at a time, the
rows of a simulated fleet that lives through an outage of one carrier in one region; the watch's tick (read, judge, detect, scan,
track, store, commit) is what is timed. The answer is known: one incident, its scope, in time. Then ingest stops and comes back
(two ticks in which every row of the fleet flips at once, the worst there is), the watch is killed, and a new one catches up the
half hour that it missed, in which the carrier fails again.
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
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from benchmarks.engines import described
from benchmarks.processes import cpu_s
from benchmarks.stored_feed import STEP_S, StoredFeed, register
from diagnostics.baseline_store import save_baseline
from diagnostics.health import counts
from diagnostics.incidents import list_incidents
from diagnostics.limits import Policy
from diagnostics.reasons import State
from diagnostics.troubles import Trouble
from diagnostics.watch import Watch
from diagnostics.watch_metrics import Metrics
from fleet import chunk_order
from fleet.clock import from_ms
from fleet.database import Connection, connect
from fleet.migrate import migrate
from fleet.settings import read
from simulators.scenario import Scenario
from vigie.engines.fetch import fetch_engines
from vigie.engines.layout import EngineSettings
from vigie.engines.postgres import EmbeddedPostgres
from vigie.history import history

SIZES = (1_000, 16_000, 64_000)
# The bounds hold at the size of the fleet.
BOUND_SIZE, BOUND_MS, BOUND_MB, BOUND_PACE = 16_000, 250.0, 1536.0, 50.0
BEFORE_MIN, FAULT_MIN, FAULT_LASTS_MIN, LIVE_MIN = 20, 3, 5, 20
CATCH_UP_MIN = 30
# A fault's first effect may come with the next report; told within this time it was told in time.
IN_TIME = timedelta(seconds=120)
SCOPE = {"region": "84", "carrier": "beta"}
SCENARIO = {
    "name": "a carrier drops a region, twice",
    "seed": 11,
    "start": "2026-11-23T10:00:00+01:00",
    "minutes": 120,
    "fault": [
        {"kind": "network_outage", "at_min": at_min, "minutes": FAULT_LASTS_MIN, "scope": SCOPE, "expect": "incident"}
        for at_min in (FAULT_MIN, LIVE_MIN + 15)
    ],
}


@dataclass
class House:
    """A fleet that lives in a database, and the watch over it."""

    feed: StoredFeed
    ingest: Connection
    conn: Connection
    times_ms: list[float] = field(default_factory=list)

    def at(self, minutes: float) -> datetime:
        """A moment of the scenario."""
        return self.feed.population.scenario.start + timedelta(minutes=minutes)

    def store(self, minutes: float) -> None:
        """Let the fleet live until then."""
        self.feed.store(self.ingest, until_s=int(self.at(minutes).timestamp()))

    def watch(self, minutes: float) -> Watch:
        """A watch that starts then."""
        return Watch(self.conn, now=self.at(minutes), policy=Policy(), metrics=Metrics(CollectorRegistry()))

    def cpu_s(self) -> float:
        """What the watch and its database session have used."""
        return cpu_s(os.getpid()) + cpu_s(self.conn.info.backend_pid)


def main() -> int:
    """Measure each size, print one line of JSON each; exit code 1 where an answer is wrong or a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, nargs="*", default=SIZES)
    arguments = parser.parse_args()
    good = True
    shown = ("terminals", "tick_p50_ms", "tick_p99_ms", "tick_cpu_ms", "start_s", "catch_up_times_real_time", "peak_mb", "answers")
    bounds = f"the watch (bounds at {BOUND_SIZE:,}: p99 ≤ {BOUND_MS:g} ms, catch-up ≥ {BOUND_PACE:g} ×, ≤ {BOUND_MB:,.0f} MB)"
    table = Table(*(name.replace("_", " ") for name in shown), title=bounds)
    for terminals in arguments.terminals:
        result = measure(terminals)
        print(json.dumps(result), flush=True)
        held = (
            result["tick_p99_ms"] <= BOUND_MS and result["catch_up_times_real_time"] >= BOUND_PACE and result["peak_mb"] <= BOUND_MB
        )
        good = good and result["answers"] == "right" and (terminals > BOUND_SIZE or held)
        table.add_row(*(str(result[name]) for name in shown))
    Console(stderr=True).print(table)
    return 0 if good else 1


def measure(terminals: int) -> dict[str, Any]:
    """Figures of one size, on a database of its own."""
    scenario = Scenario.model_validate(SCENARIO | {"terminals": terminals})
    settings = read(EngineSettings)
    learnt = history(
        settings.cache() / "history", seed=scenario.seed, terminals=terminals, at=scenario.start, progress=lambda _: None
    ).read_bytes()
    home = Path(tempfile.mkdtemp(prefix="vigie-watch-"))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(fetch_engines(settings, Console(stderr=True).print), home / "postgres")
    try:
        postgres.start()
        migrate(postgres.url)
        with (
            connect(postgres.url, program="benchmark", autocommit=True) as ingest,
            connect(postgres.url, program="watch", autocommit=True) as conn,
        ):
            begins_s = scenario.start_s - BEFORE_MIN * 60
            house = House(StoredFeed(scenario, starts_s=begins_s), ingest, conn)
            register(ingest, house.feed.world)
            begun = from_ms(begins_s * 1000)
            save_baseline(ingest, learnt, terminals=terminals, learnt_until=begun, now=begun)
            return figures(house)
    finally:
        postgres.stop()
        shutil.rmtree(home)


def figures(house: House) -> dict[str, Any]:
    """Let the fleet live, the ticks be timed, ingest stop, and the watch be killed."""
    house.store(0)
    begun = time.perf_counter()
    watch = house.watch(0)
    start_s = time.perf_counter() - begun
    spent_s = live(house, watch)
    found_s = told_after(house, since=house.at(FAULT_MIN))
    # Nothing from ingest for a minute: unknown, all at once. Then it is back.
    stopped_ms = timed(watch, house.at(LIVE_MIN + 1))
    unknown = counts(house.conn, now=house.at(LIVE_MIN + 1)).states[State.UNKNOWN]
    house.store(LIVE_MIN + 1.5)
    back_ms = timed(watch, house.at(LIVE_MIN + 1.5))
    caught_up, again_s = catch_up(house)
    settled = sorted(house.times_ms)
    answers = [found_s, again_s, unknown > len(house.feed.world) / 2 or None]
    return {
        "benchmark": "watch",
        "machine": described(),
        "terminals": len(house.feed.world),
        "ticks": len(settled),
        "tick_p50_ms": round(statistics.median(settled), 1),
        "tick_p99_ms": round(settled[-1 - len(settled) // 100], 1),
        "tick_max_ms": round(settled[-1], 1),
        # Of the program and its database session together: what a busy machine cannot blur.
        "tick_cpu_ms": round(spent_s * 1000 / len(settled), 1),
        "whole_fleet_flips_ms": [round(stopped_ms, 1), round(back_ms, 1)],
        "start_s": round(start_s, 1),
        "incident_after_s": found_s,
        "caught_up_incident_after_s": again_s,
        **caught_up,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "answers": "right" if None not in answers else "WRONG",
    }


def live(house: House, watch: Watch) -> float:
    """Tick through the outage and its end; returns the processor time of the ticks."""
    spent_s = 0.0
    for tick in range(1, LIVE_MIN * 60 // STEP_S + 1):
        minutes = tick * STEP_S / 60
        house.store(minutes)
        spent_s -= house.cpu_s()
        house.times_ms.append(timed(watch, house.at(minutes)))
        spent_s += house.cpu_s()
    return spent_s


def catch_up(house: House) -> tuple[dict[str, float], float | None]:
    """Miss half an hour, with its hours put in order as the house does, and catch up."""
    end = LIVE_MIN + 1.5 + CATCH_UP_MIN
    house.store(end)
    while chunk_order.step(house.ingest, now=house.at(end)):
        pass
    begun, spent_s = time.perf_counter(), -house.cpu_s()
    watch = house.watch(end)
    started_s = time.perf_counter() - begun
    watch.tick(house.at(end))
    took_s, spent_s = time.perf_counter() - begun - started_s, spent_s + house.cpu_s()
    found = {
        "restart_s": round(started_s, 1),
        "catch_up_times_real_time": round(CATCH_UP_MIN * 60 / took_s),
        # With the restart's warm-up: per hour caught up.
        "catch_up_cpu_s_an_hour": round(spent_s * 60 / CATCH_UP_MIN, 1),
    }
    return found, told_after(house, since=house.at(SCENARIO["fault"][1]["at_min"]))  # type: ignore[index]  # a table of plain values


def told_after(house: House, *, since: datetime) -> float | None:
    """Seconds from a fault to the incident that says it, None where none does, or not in time, or others are told as well."""
    told = [
        event[0]
        for one in list_incidents(house.conn, limit=50)
        if one.trouble in (Trouble.OFFLINE, Trouble.NETWORK) and one.scope == SCOPE
        for event in house.conn.execute(
            "SELECT at FROM diagnostics.incident_event WHERE incident_id = %s AND kind IN ('opened', 'reopened')", (one.id,)
        )
        if timedelta(0) <= event[0] - since <= IN_TIME
    ]
    others = [one for one in list_incidents(house.conn, limit=50) if one.scope != SCOPE]
    if others:
        print(f"false incidents: {[(one.trouble, one.scope, f'{one.opened_at:%T}', one.hits) for one in others]}", file=sys.stderr)
    return (min(told) - since).total_seconds() if told and not others else None


def timed(watch: Watch, now: datetime) -> float:
    """One tick, in milliseconds."""
    begun = time.perf_counter()
    watch.tick(now)
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    sys.exit(main())
