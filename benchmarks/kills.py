"""Kills under load: `python -m benchmarks.kills` ends ingest, Mosquitto and PostgreSQL with SIGKILL while 16,000 terminals report.

Each is restarted by the supervisor; at the end of the run the database must hold every sample and event that was produced, once.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from benchmarks.demonstration import Demonstration, demonstration
from benchmarks.engines import described

QUIET = Path(__file__).resolve().parent.parent / "simulators/scenarios/quiet-day.toml"
VICTIMS = ("ingest", "mosquitto", "postgres")
PAUSE_S = 35.0
BACK_TIMEOUT_S = 60.0


def main() -> int:
    """Run, kill, check; exit code 1 where anything was missing or twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0, help="how long the fleet plays (at least 4)")
    arguments = parser.parse_args()
    back: dict[str, float] = {}
    with demonstration(QUIET, minutes=max(4.0, arguments.minutes)) as running:
        running.wait_online()
        for victim in VICTIMS:
            time.sleep(PAUSE_S)
            back[victim] = kill(running, victim)
        whole, words = running.end()
    print(json.dumps({"benchmark": "kills", "machine": described(), "back_after_s": back, "nothing_missing_or_twice": whole}))
    if not whole:
        sys.stderr.write(words)
    return 0 if whole else 1


def kill(running: Demonstration, part: str) -> float:
    """SIGKILL a part's first process (PostgreSQL's parent) and wait for its successor; returns the seconds until it was there."""
    victim = running.parts()[part][0]
    sys.stderr.write(f"kill -9 {part} (process {victim})\n")
    started = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    while time.monotonic() - started < BACK_TIMEOUT_S:
        time.sleep(0.25)
        if any(pid != victim for pid in running.parts().get(part, [])[:1]):
            return round(time.monotonic() - started, 1)
    raise SystemExit(f"{part} was not restarted within {BACK_TIMEOUT_S:g} s")


if __name__ == "__main__":
    sys.exit(main())
