"""The fleet scan: which conjunctions of the registry explain who is hit.

The likelihood is told terminal by terminal. A well terminal is hit with its own usual probability p, one inside an incident with
a probability q, so hit terminals speak for an incident with ln(q/p) and spared ones against it with ln((1-q)/(1-p)). A cell's
score is the sum over its terminals at the best q, c of n (Kulldorff's scan statistic; for rare hits Neill's c·ln(c/b)+b-c),
less the price of naming it. For counts instead of yes and no it is that expectation-based Poisson score itself.

At one q scores add up, over disjoint cells and over a parent's children; so a conjunction is too wide where the rest of it
speaks against it, and two narrow causes are told from their wide common parent by what both explain at *their* q.

Costs are kept low for the usual tick, in which hardly anybody is hit: cells are counted over the hit terminals only, and the
sums over all members are taken for those few cells that could still win.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from diagnostics.scan.cells import F64, NOWHERE, WHOLE, CellIndex, Scope
from diagnostics.snapshot import F32, Bool, Index

# Up to so many hit terminals, their cells are sorted; beyond, counted; beyond the second, all cells are summed at once.
_FEW: Final = 64
_MANY: Final = 1500
# A cell's terminals are taken to expect at least this share of the fleet's mean before its sum is looked at: those that would
# not win even so are passed over unsummed. A cell that expects less than that is seen a few hits later, if it is wide.
_LEAST_SHARE: Final = 0.5
# Probabilities are kept off 0 and 1: nothing is certain.
_SURE: Final = 0.97
_NEVER: Final = 1e-6
# The wider cell's causes are looked for at these multiples of its own rate.
_SHARPER: Final = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_MOST_PARTS: Final = 6


@dataclass(frozen=True)
class ScanPolicy:
    """How the scan weighs.

    `threshold`: the least score, in nats. `price`: what the price of naming a cell (`CellIndex.price`) is multiplied with.
    `overdispersion`: how much wider counts scatter than their law says; scores are divided by it. `min_observed`: hits that
    an incident needs. `counts`: hits are counts that may exceed 1 (calls), not yes and no.
    """

    threshold: float = 8.0
    price: float = 0.8
    overdispersion: float = 1.0
    min_observed: float = 5.0
    counts: bool = False
    most: int = 12


class Finding(NamedTuple):
    """One explanation: `observed` hits against `expected` among the `judged` terminals of `scope`; `rows` are all in scope."""

    scope: Scope
    score: float
    observed: float
    expected: float
    judged: int
    rows: Index


class Sums(NamedTuple):
    """What the score needs of each of `cells`: hits, what these weigh, the size, and what everybody weighs.

    For yes and no, the score at rate q is hits·ln(q) + (size - hits)·ln(1-q) + hit_weight + weight. For counts, size and
    weight are both the expected count, and q a multiple of it.
    """

    cells: Index
    hits: F64
    hit_weight: F64
    size: F64
    weight: F64

    def at(self, rate: float | F64, *, counts: bool) -> F64:
        """The log-likelihood ratio of each cell being at this rate against being well."""
        if counts:
            count: F64 = self.hits * np.log(rate) - (np.asarray(rate) - 1.0) * self.size
            return count
        spared = np.maximum(self.size - self.hits, 0.0)
        ratio: F64 = self.hits * np.log(rate) + spared * np.log1p(-np.asarray(rate)) + self.hit_weight + self.weight
        return ratio

    def best_rate(self, *, counts: bool) -> F64:
        """The rate at which each cell's score is highest."""
        rate = self.hits / np.maximum(self.size, 1e-12)
        return np.maximum(rate, 1.0) if counts else np.clip(rate, _NEVER, _SURE)


class _Field:
    """One layer, or a part of it: who is judged and who is hit, and what each cell holds of them.

    `cell`: only cells that lie within this one are looked at; None: all.
    """

    def __init__(
        self, index: CellIndex, hit: F32, expected: F32, *, policy: ScanPolicy, judged: Bool, cell: int | None = None
    ) -> None:
        self.index, self.policy, self.hit, self.expected = index, policy, hit, expected
        self.judged, self.cell = judged, cell
        self.rows: Index = np.flatnonzero((hit > 0) & judged)
        self.total = float(hit[self.rows].sum())
        self._sums: Sums | None = None

    def without(self, rows: Index) -> "_Field":
        """The same with these terminals taken out."""
        judged = self.judged.copy()
        judged[rows] = False
        return _Field(self.index, self.hit, self.expected, policy=self.policy, judged=judged, cell=self.cell)

    def within(self, cell: int) -> "_Field":
        """The same with only the terminals of one cell, and only the cells within it."""
        judged = np.zeros_like(self.judged)
        rows = self.index.rows(cell)
        judged[rows] = self.judged[rows]
        return _Field(self.index, self.hit, self.expected, policy=self.policy, judged=judged, cell=cell)

    def sums(self) -> Sums:
        """The sums of all cells that could exceed the threshold at any rate."""
        if self._sums is None:
            self._sums = self._summed()
        return self._sums

    def _summed(self) -> Sums:
        policy, index = self.policy, self.index
        hit, hit_weight = self._hit_weights()
        cells, hits, hit_weights = self._counted(hit, hit_weight)
        if len(self.rows) <= _MANY and policy.threshold > -np.inf:
            bound = self._bound(cells, hits, hit_weights)
            hopeful = bound / policy.overdispersion - policy.price * index.price[cells] >= policy.threshold
            cells, hits, hit_weights = cells[hopeful], hits[hopeful], hit_weights[hopeful]
        if self.cell is not None:
            among = self._within(cells)
            cells, hits, hit_weights = cells[among], hits[among], hit_weights[among]
        if not len(cells):
            return Sums(cells, hits, hit_weights, hits, hits)
        p = np.where(self.judged, self.expected, 0.0).astype(np.float64)
        if policy.counts:
            (size,) = index.sums(cells, [p])
            return Sums(cells, hits, hit_weights, size, size)
        size, weight = index.sums(cells, [self.judged.astype(np.float64), _minus_log1m(p)])
        return Sums(cells, hits, hit_weights, size, weight)

    def _within(self, cells: Index) -> Bool:
        """Which of these cells lie within the one that is looked into."""
        index = self.index
        inside = np.zeros(index.n)
        inside[index.rows(self.cell or WHOLE)] = 1.0
        (shared,) = index.sums(cells, [inside])
        among: Bool = shared == index.size[cells]
        return among

    def _hit_weights(self) -> tuple[F64, F64]:
        """Of each hit terminal, its hits and what they weigh."""
        hit = self.hit[self.rows].astype(np.float64)
        if self.policy.counts:
            return hit, np.zeros(len(hit))
        p = np.clip(self.expected[self.rows].astype(np.float64), _NEVER, _SURE)
        return hit, hit * np.log((1 - p) / p)

    def _counted(self, hit: F64, hit_weight: F64) -> tuple[Index, F64, F64]:
        """The cells with enough hits, their hits and what these weigh."""
        index, enough = self.index, self.policy.min_observed - 1e-4
        if len(self.rows) > _MANY:
            full = np.zeros((2, index.n))
            full[:, self.rows] = hit, hit_weight
            every = index.all_sums(full[0])
            cells = np.flatnonzero(every >= enough)
            return cells, every[cells], index.all_sums(full[1])[cells]
        ids = index.ids[self.rows]
        columns = ids.shape[1]
        where: Index = ids.ravel().astype(np.intp)
        if len(self.rows) <= _FEW:
            seen, where = np.unique(where, return_inverse=True)
        else:
            seen = np.arange(index.count)
        hits = np.bincount(where, weights=np.repeat(hit, columns), minlength=len(seen)).astype(np.float64)
        hits[seen == NOWHERE] = 0.0
        kept = np.flatnonzero(hits >= enough)
        of_hits = np.bincount(where, weights=np.repeat(hit_weight, columns), minlength=len(seen)).astype(np.float64)
        return seen[kept], hits[kept], of_hits[kept]

    def _bound(self, cells: Index, hits: F64, hit_weight: F64) -> F64:
        """What a cell's score cannot exceed, unless its terminals expect less than `_LEAST_SHARE` of the fleet's mean."""
        part = self.index.size[cells] / self.index.n
        # The wider a cell, the less the rest of the fleet can make it differ from the mean.
        least = part * _LEAST_SHARE ** (1.0 - part)
        b = np.minimum(least * float(self.expected[self.judged].sum()), 0.999 * hits)
        if self.policy.counts:
            count: F64 = hits * np.log(hits / b) + b - hits
            return count
        n = np.maximum(least * np.count_nonzero(self.judged), hits * 1.001)
        b = np.minimum(b, 0.999 * n)
        spread: F64 = hits * np.log(hits / b) + (n - hits) * np.log((n - hits) / (n - b))
        # A terminal that was hit speaks for an incident at most with its own weight, those that were spared against it.
        return np.minimum(spread, hit_weight + hits)


def _minus_log1m(p: F64) -> F64:
    """Return -ln(1-p), what a spared terminal's usual probability weighs; by its series where all are small, as most often."""
    if p.max(initial=0.0) < 0.02:
        return p * (1.0 + p * (0.5 + p / 3.0))
    return -np.log1p(-np.minimum(p, _SURE))


class _Pick(NamedTuple):
    """A cell, its score less its price, and the rate it was scored at."""

    cell: int
    score: float
    rate: float


def scan(index: CellIndex, hit: F32, expected: F32, *, policy: ScanPolicy, excluded: Bool | None = None) -> list[Finding]:
    """Find what explains the hits of one layer, best first; empty where nothing exceeds the threshold.

    `hit` and `expected` (n,) as in `Layer`; who is not judged has expected 0. `excluded` (n,) leaves terminals out. Each
    winner's terminals are taken out before the next is looked for.
    """
    judged = expected > 0
    if excluded is not None:
        judged &= ~excluded
    field = _Field(index, hit, expected, policy=policy, judged=judged)
    found: list[Finding] = []
    while len(found) < policy.most and field.total >= policy.min_observed:
        best = _best(field)
        if best is None:
            break
        for part in _sharper(field, best):
            found.append(_finding(field, part))
            field = field.without(found[-1].rows)
    return found


def cell_sums(index: CellIndex, hit: F32, expected: F32, *, policy: ScanPolicy) -> Sums:
    """What each cell holds, of the cells that could exceed the policy's threshold."""
    return _Field(index, hit, expected, policy=policy, judged=expected > 0).sums()


def _best(field: _Field, rate: float | None = None) -> _Pick | None:
    """The cell with the highest score, at its own best rate or at the given one; None below the threshold."""
    sums, policy = field.sums(), field.policy
    if not len(sums.cells):
        return None
    q = sums.best_rate(counts=policy.counts) if rate is None else np.full(len(sums.cells), rate)
    score = sums.at(q, counts=policy.counts) / policy.overdispersion - policy.price * field.index.price[sums.cells]
    score[sums.hits <= sums.weight] = -np.inf
    top = int(np.argmax(score))
    if score[top] < policy.threshold:
        return None
    return _Pick(int(sums.cells[top]), float(score[top]), float(q[top]))


def _sharper(field: _Field, best: _Pick) -> Sequence[_Pick]:
    """The wide cell alone, or the narrower ones within it that together explain more at a sharper rate."""
    most, parts = best.score, [best]
    limit = np.inf if field.policy.counts else _SURE
    inside: _Field | None = None
    for factor in _SHARPER:
        rate = min(best.rate * factor, limit)
        if rate < 1.5 * best.rate:
            break
        inside = inside or (field if best.cell == WHOLE else field.within(best.cell))
        chosen = _parts(inside, rate, most)
        total = sum(part.score for part in chosen)
        if total > most:
            most, parts = total, chosen
        if rate >= limit:
            break
    return parts


def _parts(field: _Field, rate: float, most: float) -> list[_Pick]:
    """Cells that together explain the hits at this rate, as long as they may explain more than `most`."""
    chosen: list[_Pick] = []
    total = 0.0
    while len(chosen) < _MOST_PARTS and field.total >= field.policy.min_observed:
        part = _best(field, rate)
        # What is picked later explains less than what was picked before.
        if part is None or total + part.score * (_MOST_PARTS - len(chosen)) <= most:
            break
        chosen.append(part)
        total += part.score
        field = field.without(field.index.rows(part.cell))
    return chosen


def _finding(field: _Field, part: _Pick) -> Finding:
    rows = field.index.rows(part.cell)
    judged = rows[field.judged[rows]]
    return Finding(
        scope=field.index.scope(part.cell),
        score=part.score,
        observed=float(field.hit[judged].sum()),
        expected=float(field.expected[judged].sum()),
        judged=len(judged),
        rows=rows,
    )
