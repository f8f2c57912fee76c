"""From a fault to the IT department, live, with 16,000 terminals over MQTT and the database: `python -m benchmarks.live_incident`.

Runs `vigie demo` on a scenario with an outage of one carrier in one region and slow transactions on one model, and a webhook
receiver of its own. What is timed, from each fault's first effect (as the simulator's truth says): the incident's row in the
database, and the signed notice at the receiver. Nothing else may be found.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.demonstration import Demonstration, demonstration
from benchmarks.engines import described
from fleet.database import connect
from simulators.truth import Fault
from simulators.truth import read as read_truth
from vigie.running import read_environment

SCENARIO = """
name = "a carrier drops a region, and one model's bets take long"
seed = 2026
terminals = {terminals}
start = "2026-11-23T14:00:00+01:00"
minutes = {minutes}

[[fault]]
kind = "network_outage"
at_min = 4
minutes = 5
scope = {{ carrier = "beta", region = "84" }}
expect = "incident"

[[fault]]
kind = "slow_transactions"
at_min = 5
minutes = 10
scope = {{ model = "C" }}
strength = 1.5
expect = "incident"
"""
MINUTES = 15
# Of the fault's kind: network and power, and what degrades.
BOUND_S = {"network_outage": 120.0, "slow_transactions": 600.0}
SECRET = "of-this-benchmark-only"
_HOME = re.compile(r"VIGIE_STATE_DIR=(\S+)")


@dataclass
class Receiver:
    """A webhook receiver: when each incident was first heard of, by its id, in the machine's time."""

    url: str
    heard: dict[int, float] = field(default_factory=dict)


@dataclass
class Seen:
    """When each incident's row was first seen, by its id, in the machine's time, with its scope at last; and the truth."""

    rows: dict[int, float] = field(default_factory=dict)
    scopes: dict[int, str] = field(default_factory=dict)
    truth: Path | None = None


def main() -> int:
    """Run, measure, print; exit code 1 where a bound is missed, an incident was not found or too many were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=16_000)
    arguments = parser.parse_args()
    kept = Path(tempfile.mkdtemp(prefix="vigie-live-"))
    try:
        scenario = kept / "scenario.toml"
        scenario.write_text(SCENARIO.format(terminals=arguments.terminals, minutes=MINUTES))
        with receiver() as heard:
            os.environ |= {"VIGIE_NOTICE_WEBHOOK_URLS": heard.url, "VIGIE_NOTICE_WEBHOOK_SECRET": SECRET}
            with demonstration(scenario, minutes=MINUTES) as running:
                running.wait_online()
                seen = watch_rows(running, kept)
                whole, words = running.end()
        if seen.truth is None:
            raise SystemExit(f"the simulator wrote no truth:\n{words}")
        told = read_truth(seen.truth)
        ahead_ms = told.play.clock_offset_s * 1000
        faults = [latencies(fault, seen, heard, ahead_ms) for fault in told.faults]
    finally:
        shutil.rmtree(kept)
    false = sorted(set(seen.scopes.values()) - {one["scope"] for one in faults})
    held = whole and not false and all(one["held"] for one in faults)
    result = {"benchmark": "live_incident", "machine": described(), "terminals": arguments.terminals, "faults": faults}
    print(json.dumps(result | {"false_incidents": false, "nothing_missing_or_twice": whole}))
    show(faults, false)
    return 0 if held else 1


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A webhook receiver on a free port of this machine."""
    heard = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            if told["incident"]:
                heard.heard.setdefault(told["incident"]["id"], time.time())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_address[1]}/vigie"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


def watch_rows(running: Demonstration, kept: Path) -> Seen:
    """Look for incidents as a page would, until the demonstration has written its truth, which is kept."""
    found = _HOME.search("".join(running.words))
    if found is None:
        raise SystemExit("the demonstration did not say where it lives")
    home, seen = Path(found[1]), Seen()
    url = read_environment(home)["VIGIE_DATABASE_URL"]
    truth = home / "truth.jsonl"
    with connect(url, program="benchmark", autocommit=True) as conn:
        while running.alive() and seen.truth is None:
            try:
                for incident, scope in conn.execute("SELECT id, scope FROM diagnostics.incident WHERE trouble IS NOT NULL"):
                    seen.rows.setdefault(incident, time.time())
                    seen.scopes[incident] = _key(scope)
            except psycopg.OperationalError:
                break
            if truth.exists():
                seen.truth = kept / "truth.jsonl"
                shutil.copy(truth, seen.truth)
            time.sleep(0.1)
    return seen


def latencies(fault: Fault, seen: Seen, heard: Receiver, ahead_ms: int) -> dict[str, Any]:
    """Seconds from the fault's first effect to the row and to the notice, None where it never came."""
    scope = _key(fault.scope)
    began_s = ((fault.first_effect_ms or 0) - ahead_ms) / 1000
    found = [incident for incident in seen.rows if seen.scopes[incident] == scope and seen.rows[incident] >= began_s]
    row_s = min((round(seen.rows[incident] - began_s, 1) for incident in found), default=None)
    notice_s = min((round(heard.heard[incident] - began_s, 1) for incident in found if incident in heard.heard), default=None)
    bound_s = BOUND_S[fault.fault]
    return {
        "kind": fault.fault,
        "scope": scope,
        "terminals": len(fault.terminals),
        "row_after_s": row_s,
        "notice_after_s": notice_s,
        "bound_s": bound_s,
        "held": row_s is not None and notice_s is not None and max(row_s, notice_s) <= bound_s,
    }


def show(faults: list[dict[str, Any]], false: list[str]) -> None:
    """The table for people."""
    table = Table(title=f"from a fault's first effect to the IT department, {datetime.now(UTC):%Y-%m-%d}")
    shown = ("kind", "scope", "terminals", "row_after_s", "notice_after_s", "bound_s")
    for name in shown:
        table.add_column(name.replace("_", " "))
    for one in faults:
        table.add_row(*(str(one[name]) for name in shown))
    console = Console(stderr=True)
    console.print(table)
    console.print(f"others found: {', '.join(false) or 'none'}")


def _key(scope: dict[str, str] | None) -> str:
    return " & ".join(f"{name}={value}" for name, value in sorted((scope or {}).items())) or "all"


if __name__ == "__main__":
    sys.exit(main())
