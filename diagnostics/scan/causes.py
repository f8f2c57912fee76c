"""Root cause: which conjunctions, ranked, best describe where something went wrong, when that something is known to be real.

The fleet scan asks *is there an incident, and where*; this asks only *where*, of counts so large that chance no longer matters.
What matters then is that a cause rarely strikes all it touches alike: the narrow cell that suffers most always scores best,
though the rest of its parent is ill as well. So cells are scored at a rate between the usual one and the worst cell's
(`CausePolicy.temper`): a part that is only a few times above its usual still counts as ill, one that is as usual speaks
against. At one rate scores add up, so values of one dimension (two bit rates, two regions) can be taken together.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from diagnostics.scan.cells import F64, WHOLE, CellIndex, Scope
from diagnostics.scan.search import ScanPolicy, cell_sums
from diagnostics.snapshot import F32

_MOST_VALUES = 3


@dataclass(frozen=True)
class CausePolicy:
    """How causes are weighed; both figures as the folds of benchmarks/root_cause.py agree on them.

    `temper`: cells are scored at the usual rate times (worst over usual)**temper: 1 is the plain scan, which wants the worst
    cell; towards 0 whatever is a little above its usual is taken in. `share`: what a further value of one dimension has to
    explain of the whole, and what naming it costs.
    """

    temper: float = 0.6
    share: float = 0.1


def rank_causes(
    index: CellIndex, hit: F32, expected: F32, *, k: int = 5, policy: CausePolicy | None = None
) -> list[frozenset[Scope]]:
    """Return up to `k` answers, best first; each is a set of conjunctions that together are the cause.

    `hit` and `expected` (n,) are counts of what happened and of what was usual. The conjunctions of an answer differ in the
    value of one dimension only. The whole fleet is an answer only where there is no other.
    """
    policy = policy or CausePolicy()
    sums = cell_sums(index, hit, expected, policy=ScanPolicy(counts=True, threshold=-np.inf, min_observed=1e-3))
    above = (sums.hits > sums.size) & (sums.cells != WHOLE)
    if not above.any():
        whole: frozenset[Scope] = frozenset([()])
        return [whole][:k]
    worst = np.where(above, sums.at(sums.best_rate(counts=True), counts=True), -np.inf)
    top = int(np.argmax(worst))
    rate = float(sums.hits[top] / sums.size[top]) ** policy.temper
    score = np.full(index.count, -np.inf)
    score[sums.cells[above]] = sums.at(rate, counts=True)[above]
    answers = {frozenset([cell]): float(score[cell]) for cell in np.argsort(-score)[: 2 * k].tolist() if np.isfinite(score[cell])}
    answers.update(_value_sets(index, score, policy))
    best = sorted(answers, key=lambda cells: -answers[cells])[:k]
    return [frozenset(index.scope(cell) for cell in cells) for cells in best]


def _value_sets(index: CellIndex, score: F64, policy: CausePolicy) -> dict[frozenset[int], float]:
    """Two or three values of one dimension under the same other conditions, each explaining its share."""
    least = policy.share * float(score.max()) / _MOST_VALUES
    families: dict[tuple[Scope, int], list[tuple[float, int]]] = defaultdict(list)
    for cell in np.flatnonzero(score > max(least, 0.0)).tolist():
        scope = index.scope(cell)
        for place, (dim, _) in enumerate(scope):
            families[scope[:place] + scope[place + 1 :], dim].append((float(score[cell]), cell))
    sets = {}
    for (rest, dim), members in families.items():
        members.sort(reverse=True)
        values = len(np.unique(index.codes[index.rows_of(rest), dim])) if len(members) > 1 else 0
        for count in range(2, min(_MOST_VALUES, len(members), values - 1) + 1):
            total = sum(one for one, _ in members[:count])
            if members[count - 1][0] < policy.share * total:
                break
            sets[frozenset(cell for _, cell in members[:count])] = total * (1 - policy.share * (count - 1))
    return sets
