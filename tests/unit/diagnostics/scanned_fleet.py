"""A generated fleet of 16,000 terminals with its cells, in which tests plant causes."""

from functools import cache

import numpy as np

from diagnostics.scan.cells import NOWHERE, CellIndex
from diagnostics.scan.search import Finding
from diagnostics.snapshot import F32, Index
from fleet.registry import DIMENSIONS
from simulators.world import build_world

TERMINALS = 16_000
USUAL = 0.002


@cache
def fleet_index() -> CellIndex:
    world = build_world(7, TERMINALS)
    codes = np.stack([world.codes[name] for name in DIMENSIONS], axis=1).astype(np.int16)
    return CellIndex(codes, [world.levels[name] for name in DIMENSIONS])


def rows_where(**conditions: str) -> Index:
    """The terminals that meet every condition."""
    index = fleet_index()
    scope = [(DIMENSIONS.index(name), index.levels[DIMENSIONS.index(name)].index(value)) for name, value in conditions.items()]
    return index.rows_of(tuple(scope))


def in_words(finding: Finding) -> dict[str, str]:
    return fleet_index().words(finding.scope, DIMENSIONS)


def usual_noise(rng: np.random.Generator, *, usual: float = USUAL) -> tuple[F32, F32]:
    """(hit, expected) of a well fleet whose terminals differ in how often they show something."""
    expected = (usual * rng.lognormal(0.0, 0.5, TERMINALS)).astype(np.float32)
    return (rng.random(TERMINALS) < expected).astype(np.float32), expected


def strike(hit: F32, rows: Index, count: int, rng: np.random.Generator) -> None:
    """Hit so many of these terminals, in place."""
    hit[rng.choice(rows, min(count, len(rows)), replace=False)] = 1.0


def any_cell(rng: np.random.Generator, conditions: int, *, least: int) -> int:
    """A cell of so many conditions and at least so many terminals, each combination of dimensions as likely."""
    index = fleet_index()
    cells = np.flatnonzero((index.conditions == conditions) & (index.size >= least) & (np.arange(index.count) != NOWHERE))
    column = rng.choice(np.unique(index.column[cells]))
    return int(rng.choice(cells[index.column[cells] == column]))
