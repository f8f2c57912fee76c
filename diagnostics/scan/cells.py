"""Every cell of the registry, made once: which terminals each conjunction of up to three dimension values holds.

A *cell* is a conjunction such as `firmware=4.3.0 & model=B`, and cell 0 the whole fleet. Conjunctions that name nothing new are
left out: those with a dimension that another of theirs implies (a department implies its region), and those that hold the
very terminals of a shorter one. What is left is named in the fewest words.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diagnostics.detector.observed import I16, I32
from diagnostics.snapshot import Index

F64 = NDArray[np.float64]
# (dimension index, code) pairs in the order of dimensions; the empty one is the whole fleet.
Scope = tuple[tuple[int, int], ...]

WHOLE: Final = 0
# Where terminals are filed whose cell of a combination is left out.
NOWHERE: Final = 1
# Beyond this share of all memberships, summing every cell at once is cheaper than picking.
_FAR: Final = 0.15


class CellIndex:
    """The cells of a fleet of n terminals.

    `ids` (n, combinations) int32: the cell of each terminal in each combination of dimensions; column 0 is the whole fleet.
    `members` int32: the terminals of each cell in turn, from `start` on.
    Per cell: `size` terminals, `conditions` how many, `price` what naming it costs, in nats: ln(dimensions) + ln(levels) for
    each condition, the logarithm of how many other conditions one could have named in its place.
    """

    def __init__(self, codes: I16, levels: Sequence[Sequence[str]], *, max_conditions: int = 3, min_terminals: int = 3) -> None:
        """`codes` (n, dimensions) indexes `levels`; -1 is unknown, and in no cell of that dimension.

        Cells of fewer than `min_terminals` are left out: no incident is that small.
        """
        self.codes, self.levels = codes, levels
        self.n, dimensions = codes.shape
        self.combinations: list[tuple[int, ...]] = _combinations(codes, max_conditions) if self.n else [()]
        self.ids: I32 = np.full((self.n, len(self.combinations)), NOWHERE, np.int32)
        self.ids[:, 0] = WHOLE
        # Of the whole fleet and of nowhere; those of each combination follow.
        self._first, self.size, self.column = np.zeros((3, 2), np.intp)
        self.size[WHOLE] = self.n
        named = _without_second_names(codes)
        for column in range(1, len(self.combinations)):
            self._file(column, named, min_terminals)
        self.count = len(self.size)
        seen = [len(np.unique(values[values >= 0])) for values in codes.T]
        prices = [np.log(dimensions) + np.log(max(1, count)) for count in seen]
        self.conditions: Index = np.array([len(dims) for dims in self.combinations], np.intp)[self.column]
        self.price: F64 = np.array([sum(prices[dim] for dim in dims) for dims in self.combinations], np.float64)[self.column]
        self._sort()

    def _file(self, column: int, named: I16, least: int) -> None:
        """File the terminals under the cells of one combination, and number these."""
        dims = self.combinations[column]
        known = np.flatnonzero((named[:, dims] >= 0).all(axis=1))
        key = _key(self.codes[known][:, dims], [len(self.levels[dim]) for dim in dims])
        _, head, cell, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        head = known[head]
        shorter = [self.combinations.index(part) for part in combinations(dims, len(dims) - 1)]
        parents = self.ids[head][:, shorter]
        # A child of a cell that was left out as another's double is left out with it: the other has the same child.
        kept = (count >= least) & (parents != NOWHERE).all(axis=1) & (count[:, None] < self.size[parents]).all(axis=1)
        self.ids[known, column] = np.where(kept, len(self.size) + np.cumsum(kept) - 1, NOWHERE)[cell]
        self._first = np.concatenate([self._first, head[kept]])
        self.size = np.concatenate([self.size, count[kept]])
        self.column = np.concatenate([self.column, np.full(int(kept.sum()), column)])

    def _sort(self) -> None:
        order = np.argsort(self.ids, axis=0, kind="stable").astype(np.int32)
        filed = np.take_along_axis(self.ids, order, axis=0).T != NOWHERE
        self.start: Index = (np.cumsum(self.size) - self.size).astype(np.intp)
        self.members: I32 = order.T[filed]
        pointers = np.append(self.start, len(self.members)).astype(np.int32)
        # Single precision halves what a sum of every cell reads from memory, and is exact for counts.
        ones = np.ones(len(self.members), np.float32)
        self._matrix = sparse.csr_array((ones, self.members, pointers), shape=(self.count, self.n))

    @property
    def nbytes(self) -> int:
        """Bytes that the index keeps."""
        matrix = self._matrix
        return sum(int(array.nbytes) for array in (self.ids, self.members, matrix.data, matrix.indices, matrix.indptr))

    def scope(self, cell: int) -> Scope:
        """The conjunction that a cell stands for."""
        head = self._first[cell]
        return tuple((dim, int(self.codes[head, dim])) for dim in self.combinations[self.column[cell]])

    def rows(self, cell: int) -> Index:
        """The terminals of a cell, ascending."""
        return self.members[self.start[cell] : self.start[cell] + self.size[cell]].astype(np.intp)

    def sums(self, cells: Index, values: Sequence[F64]) -> list[F64]:
        """Sum each of `values`, arrays (n,), over the terminals of each of these cells."""
        sizes = self.size[cells]
        if int(sizes.sum()) > _FAR * len(self.members):
            return [self.all_sums(value)[cells] for value in values]
        if not len(cells):
            return [np.zeros(0) for _ in values]
        before = np.cumsum(sizes) - sizes
        where = self.members[np.arange(int(sizes.sum())) + np.repeat(self.start[cells] - before, sizes)]
        return [np.add.reduceat(value[where], before) for value in values]

    def all_sums(self, values: F64) -> F64:
        """Sum `values` (n,) over the terminals of every cell: (cells,)."""
        total: F64 = (self._matrix @ values.astype(np.float32)).astype(np.float64)
        return total

    def rows_of(self, scope: Scope) -> Index:
        """The terminals that meet every condition of a scope, whether or not it has a cell of its own."""
        inside = np.ones(self.n, bool)
        for dim, code in scope:
            inside &= self.codes[:, dim] == code
        return np.flatnonzero(inside)

    def words(self, scope: Scope, names: Sequence[str]) -> dict[str, str]:
        """A scope with its values spelt out; `names` are the dimensions'."""
        return {names[dim]: self.levels[dim][code] for dim, code in scope}


def _combinations(codes: I16, most: int) -> list[tuple[int, ...]]:
    """The combinations of dimensions worth looking at, shortest first; the first is that of the whole fleet."""
    dimensions = codes.shape[1]
    useful = [dim for dim in range(dimensions) if len(np.unique(codes[:, dim])) > 1]
    implied = {
        pair for a, b in combinations(useful, 2) for pair in ((a, b), (b, a)) if _implies(codes[:, pair[0]], codes[:, pair[1]])
    }
    return [
        dims
        for length in range(most + 1)
        for dims in combinations(useful, length)
        if not any(pair in implied or pair[::-1] in implied for pair in combinations(dims, 2))
    ]


def _without_second_names(codes: I16) -> I16:
    """Codes in which a value that names the very terminals of an earlier dimension's value is unknown: 974, not its region."""
    named = codes.copy()
    positive = codes.astype(np.int64) + 1
    of_value = [np.bincount(column)[column] if len(column) else column for column in positive.T]
    for one, other in combinations(range(codes.shape[1]), 2):
        pair = positive[:, one] * (positive[:, other].max(initial=0) + 1) + positive[:, other]
        together = np.bincount(pair)[pair] if len(pair) else pair
        named[(together == of_value[one]) & (together == of_value[other]) & (codes[:, one] >= 0), other] = -1
    return named


def _implies(one: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    """Whether each value of `one` occurs with a single value of `other`."""
    pairs = np.unique(one.astype(np.int64) << 16 | other.astype(np.int64) & 0xFFFF)
    return len(pairs) == len(np.unique(one))


def _key(codes: I16, radix: Sequence[int]) -> NDArray[np.int64]:
    key = np.zeros(len(codes), np.int64)
    for column, base in enumerate(radix):
        key = key * base + codes[:, column]
    return key
