"""Every benchmark in turn, each with its own table, then which held: `make bench`, or `python -m benchmarks [NAME …]`.

Each is a program of its own (`python -m benchmarks.NAME --help`) that ends with 1 where an answer was wrong or a bound was
missed. What they write to standard output is kept in the folder given by `--results`.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

# Name, arguments, and what it measures. The look-up fills a tenth of the week here; alone, it fills the whole of it.
BENCHMARKS: dict[str, tuple[tuple[str, ...], str]] = {
    "ingest": ((), "MQTT to committed, against mosquitto_sub and Node-RED in the same run"),
    "latency": ((), "publish to commit at the fleet's rate"),
    "watch": ((), "the watch at 1,000, 16,000 and 64,000 terminals: its tick, its answers, catching up"),
    "scan": ((), "the fleet scan alone at 1,000, 16,000 and 64,000 terminals, and how often it is exact"),
    "rollout": ((), "a step of the rollout at 1,000, 16,000 and 64,000 terminals, and a day counted for its gate"),
    "lookup": (("--terminals", "1600"), "one terminal's last 24 hours"),
    "figures": ((), "pages of figures over 82,000 calls of 92 days, and the wall before sixty people"),
    "search": ((), "the console's one search box over a year of calls"),
    "swarm": ((), "what 16,000 simulated connections cost"),
    "whole": ((), "what the whole house costs with 16,000 live terminals"),
    "live_incident": ((), "from a fault to the incident and its notice, with 16,000 live terminals"),
    "rivals": ((), "incidents found on the public scenarios, beside four simpler detectors"),
    "typologies": ((), "incidents and call notes recognised, what is new left as new"),
    "device_polls": ((), "what polling devices cost the web program, and how soon a halt ends their offers"),
    "rollout_live": ((), "a release that crashes and one that is good, live, in compressed time, with 16,000 terminals"),
    "pop": ((), "call hook to visible pop in the browser, under the fleet's load"),
    "hotline_load": ((), "60 agents, ten calls a second, pages and searches: hook to pop, page times, none lost"),
    "kills": ((), "kill -9 of ingest, broker and database under load: nothing missing, nothing twice"),
}
TIMEOUT_S = 5400.0


def main() -> int:
    """Run the chosen benchmarks; exit code 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all"
    )
    parser.add_argument("--results", type=Path, default=Path("build/benchmarks"), help="folder for what each prints")
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    table = Table(title="benchmarks")
    for column in ("benchmark", "measures", "minutes", "outcome"):
        table.add_column(column)
    held = True
    for name in arguments.names or BENCHMARKS:
        words, what = BENCHMARKS[name]
        console.rule(f"{name}: {what}")
        started = time.monotonic()
        with (arguments.results / f"{name}.json").open("w") as out:
            command = [sys.executable, "-m", f"benchmarks.{name}", *words]
            status = subprocess.run(command, check=False, stdout=out, timeout=TIMEOUT_S).returncode
        held &= status == 0
        table.add_row(name, what, f"{(time.monotonic() - started) / 60:.1f}", "held" if status == 0 else "[red]did not hold[/red]")
    console.print(table)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
