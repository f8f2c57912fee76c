"""The fleet scan alone: `python -m benchmarks.scan`.

At each size, on a generated registry: what the index of cells costs to build and to keep, what one scan costs where a few
terminals show something by chance, where a twentieth of the fleet has one cause, and where everybody is hit; then how often the
planted scope is found exactly, and nothing else, at 15 terminals and at a random share of a random cell. Every scan's answer is
checked. Times are processor time, the median of several. The result goes to standard output as JSON.
"""

import argparse
import json
import statistics
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.engines import described
from diagnostics.scan.cells import NOWHERE, CellIndex
from diagnostics.scan.search import Finding, ScanPolicy, scan
from diagnostics.snapshot import F32
from fleet.registry import DIMENSIONS
from simulators.world import build_world

SIZES = (1_000, 16_000, 64_000)
# The bounds hold at the size of the fleet.
BOUND_SIZE, BOUND_BUILD_S, BOUND_MB, BOUND_FEW_MS, BOUND_ALL_MS, BOUND_EXACT = 16_000, 1.0, 150.0, 0.3, 15.0, 0.95
USUAL = 0.002
FEW = 15
REPEATS = 30
POLICY = ScanPolicy(threshold=14.0)


def main() -> int:
    """Measure, check, print; exit code 1 where an answer is wrong or a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--trials", type=int, default=300, help="planted causes of each kind")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    results = [measured(size, trials=arguments.trials) for size in arguments.sizes]
    table = Table(title="the fleet scan", box=SIMPLE)
    columns = ("terminals", "cells", "build_s", "mb", "few_ms", "cause_ms", "all_ms", "exact_at_15", "exact_at_any_share")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for result in results:
        table.add_row(*(f"{result[column]:,}" for column in columns))
    console.print(table)
    print(json.dumps({"benchmark": "scan", "machine": described(), "sizes": results}))
    return 0 if all(held(result) for result in results) else 1


def held(result: dict[str, Any]) -> bool:
    """Whether the answers are right and, at the fleet's size, the bounds are kept."""
    if result["terminals"] != BOUND_SIZE:
        return bool(result["right"])
    return bool(
        result["right"]
        and result["build_s"] <= BOUND_BUILD_S
        and result["mb"] <= BOUND_MB
        and result["few_ms"] <= BOUND_FEW_MS
        and result["all_ms"] <= BOUND_ALL_MS
        and min(result["exact_at_15"], result["exact_at_any_share"]) >= BOUND_EXACT
    )


def measured(size: int, *, trials: int) -> dict[str, Any]:
    """All figures of one size."""
    world = build_world(7, size)
    codes = np.stack([world.codes[name] for name in DIMENSIONS], axis=1).astype(np.int16)
    started = time.process_time()
    index = CellIndex(codes, [world.levels[name] for name in DIMENSIONS])
    build_s = time.process_time() - started
    rng = np.random.default_rng(1)
    expected = np.full(size, USUAL, np.float32)
    few, one, everybody = np.zeros((3, size), np.float32)
    few[rng.choice(size, FEW, replace=False)] = 1.0
    cause = int(np.flatnonzero((index.conditions == 1) & (index.size >= size // 20))[0])
    one[index.rows(cause)] = 1.0
    everybody[:] = 1.0
    few_ms, nothing = timed(index, few, np.maximum(expected, FEW / size).astype(np.float32))
    cause_ms, told = timed(index, one, expected)
    all_ms, whole = timed(index, everybody, expected)
    right = not nothing and [found.scope for found in whole] == [()] and [found.scope for found in told] == [index.scope(cause)]
    return {
        "terminals": size,
        "cells": index.count,
        "build_s": round(build_s, 2),
        "mb": round(index.nbytes / 1e6, 1),
        "few_ms": round(few_ms, 3),
        "cause_ms": round(cause_ms, 2),
        "all_ms": round(all_ms, 2),
        "right": right,
        "exact_at_15": exact_share(index, trials=trials, fraction=(0.3, 0.3), rng=rng),
        "exact_at_any_share": exact_share(index, trials=trials, fraction=(0.3, 1.0), rng=rng),
    }


def timed(index: CellIndex, hit: F32, expected: F32) -> tuple[float, list[Finding]]:
    """The median milliseconds of a scan, and its answer."""
    took_ms = []
    found: list[Finding] = []
    for _ in range(REPEATS):
        started = time.process_time()
        found = scan(index, hit, expected, policy=POLICY)
        took_ms.append((time.process_time() - started) * 1000)
    return statistics.median(took_ms), found


def exact_share(index: CellIndex, *, trials: int, fraction: tuple[float, float], rng: np.random.Generator) -> float:
    """How often a cell of 0 to 3 conditions, `FEW` of its terminals or this share of them hit, was found, and nothing else."""
    exact = 0
    for trial in range(trials):
        expected = np.asarray(USUAL * rng.lognormal(0.0, 0.5, index.n), np.float32)
        hit = np.where(rng.random(index.n) < expected, 1.0, 0.0).astype(np.float32)
        rows = planted(index, trial % 4, rng)
        hit[rng.choice(rows, max(FEW, round(rng.uniform(*fraction) * len(rows))), replace=False)] = 1.0
        found = scan(index, hit, expected, policy=POLICY)
        exact += len(found) == 1 and np.array_equal(found[0].rows, rows)
    return round(exact / trials, 3)


def planted(index: CellIndex, conditions: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The terminals of a cell of so many conditions; each combination of dimensions is as likely as another."""
    cells = np.flatnonzero((index.conditions == conditions) & (index.size >= FEW) & (np.arange(index.count) != NOWHERE))
    column = rng.choice(np.unique(index.column[cells]))
    return index.rows(int(rng.choice(cells[index.column[cells] == column])))


if __name__ == "__main__":
    sys.exit(main())
