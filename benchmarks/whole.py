"""What the whole house costs with 16,000 live terminals: `python -m benchmarks.whole`.

Runs `vigie demo` on a quiet scenario, lets it settle, then reads the processor time and the memory of every part for two minutes.
The simulator is listed but left out of the sum. At the end the database must hold all that was sent, once.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.demonstration import Demonstration, demonstration
from benchmarks.engines import described
from benchmarks.processes import cpu_s, memory_mb

QUIET = Path(__file__).resolve().parent.parent / "simulators/scenarios/quiet-day.toml"
SETTLE_S = 60.0
# What the whole may cost, the simulator left out: percent of one core, and megabytes.
BOUND_CPU_PCT, BOUND_MB = 50.0, 3072.0
SIMULATOR_CPU_PCT, SIMULATOR_MB = 50.0, 1024.0


def main() -> int:
    """Run, measure, print; exit code 1 where a bound is missed or a sample is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to measure")
    arguments = parser.parse_args()
    with demonstration(QUIET, minutes=(SETTLE_S + arguments.seconds) / 60 + 1.5) as running:
        online_s = running.wait_online()
        time.sleep(SETTLE_S)
        costs = measure(running, arguments.seconds)
        whole, words = running.end()
    cpu = sum(pct for name, (pct, _) in costs.items() if name != "simulate")
    memory = sum(mb for name, (_, mb) in costs.items() if name != "simulate")
    simulator_pct, simulator_mb = costs.get("simulate", (0.0, 0.0))
    show(costs, cpu, memory)
    result = {"benchmark": "whole", "machine": described(), "online_s": online_s, "nothing_missing_or_twice": whole}
    result |= {"cpu_pct_of_one_core": round(cpu, 1), "memory_mb": round(memory), "simulator_cpu_pct": round(simulator_pct, 1)}
    result |= {"simulator_mb": round(simulator_mb), "parts": {name: [round(p, 1), round(m)] for name, (p, m) in costs.items()}}
    print(json.dumps(result))
    if not whole:
        sys.stderr.write(words)
    held = cpu <= BOUND_CPU_PCT and memory <= BOUND_MB and simulator_pct <= SIMULATOR_CPU_PCT and simulator_mb <= SIMULATOR_MB
    return 0 if whole and held else 1


def measure(running: Demonstration, seconds: float) -> dict[str, tuple[float, float]]:
    """Percent of one core and megabytes of each part over `seconds`; backends that end meanwhile are counted until then."""
    first: dict[tuple[str, int], float] = {}
    last: dict[tuple[str, int], float] = {}
    memory: dict[str, float] = {}
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds or not memory:
        parts = running.parts()
        for part, pid in ((part, pid) for part, pids in parts.items() for pid in pids):
            with_cpu = _quietly(cpu_s, pid)
            if with_cpu is not None:
                # A process born during the measurement has used nothing before it.
                first.setdefault((part, pid), with_cpu if elapsed < 1.0 else 0.0)
                last[part, pid] = with_cpu
        if elapsed >= seconds / 2 and not memory:
            memory = {part: sum(_measured(pids)) for part, pids in parts.items()}
        time.sleep(2.0)
    elapsed = time.monotonic() - started
    names = {part for part, _ in last}
    used = {name: sum(last[key] - first[key] for key in last if key[0] == name) for name in names}
    return {name: (100 * used[name] / elapsed, memory.get(name, 0.0)) for name in sorted(names)}


def show(costs: dict[str, tuple[float, float]], cpu: float, memory: float) -> None:
    """The table for people."""
    table = Table(title=f"16,000 live terminals on {os.cpu_count()} cores")
    table.add_column("part")
    table.add_column("% of one core", justify="right")
    table.add_column("MB", justify="right")
    for name, (pct, mb) in costs.items():
        table.add_row(name, f"{pct:.1f}", f"{mb:,.0f}", style="dim" if name == "simulate" else "")
    table.add_row("all but the simulator", f"{cpu:.1f}", f"{memory:,.0f}", style="bold")
    Console(stderr=True).print(table)


def _measured(pids: Iterable[int]) -> Iterable[float]:
    return (mb for mb in (_quietly(memory_mb, pid) for pid in pids) if mb is not None)


def _quietly(read: Callable[[int], float], pid: int) -> float | None:
    try:
        return read(pid)
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
