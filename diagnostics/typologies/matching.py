"""Which known typology a thing is of, with a p-value that means what it says.

The p-value answers: *were this of a kind nobody knows, how often would its nearest typology be as near as this?* It is found
by experiment: every thing whose typology is known is compared with all typologies but its own and that one's kin (leave one
family out: a power cut and an outage of the network are told apart by which is nearer), and its best likeness there is one
draw of that null distribution. For a thing that is exchangeable with those, p is uniform
(conformal prediction; Vovk et al., *Algorithmic Learning in a Random World*, 2005). It costs no assumption on likenesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diagnostics.typologies.catalogue import variants
from diagnostics.typologies.signature import F32, Bool, Signature, likeness, mean_of, table

I64 = NDArray[np.int64]

# One thing in twenty of an unknown kind is taken for a known one; the veille sees p and can say otherwise.
MATCHED_BELOW: Final = 0.05
# Nothing less alike than this matches, however rare: the experiment knows only the kinds that are known.
LEAST_LIKENESS: Final = 0.5
_VARIANTS: Final = 40
# Typologies so much alike are kin.
_KIN_FROM: Final = 0.55


class Match(NamedTuple):
    """The nearest typology (its id; None: nothing is like it at all), whether that is near enough, and how near."""

    typology: int | None
    matched: bool
    similarity: float
    p: float


@dataclass(frozen=True, slots=True)
class Known:
    """A typology as the matching sees it: its signature before and its members since."""

    id: int
    signature: Signature
    members: Sequence[Signature] = ()


class Matcher:
    """Compares signatures with the known typologies; built anew when these change."""

    def __init__(self, known: Sequence[Known], strangers: Sequence[Signature] = ()) -> None:
        """`strangers` are past things that matched nothing: each is a draw of the null as it is."""
        self._ids = [one.id for one in known]
        self._typologies = table([mean_of(one.members, prior=one.signature) for one in known], self._ids)
        alike = likeness(self._typologies, self._typologies)
        self._kin: Bool = (np.maximum(alike, alike.T) >= _KIN_FROM) | np.eye(len(self._ids), dtype=bool)
        drawn: list[Signature] = []
        own: list[int] = []
        for place, one in enumerate(known):
            like = [*one.members, *variants(one.signature, one.id, count=_VARIANTS, seed=one.id)]
            drawn += like
            own += [place] * len(like)
        drawn += strangers
        own += [-1] * len(strangers)
        self._drawn = table(drawn, self._ids)
        self._own = np.array(own, np.int64)

    def match(self, things: Sequence[Signature]) -> list[Match]:
        """The nearest typology of each thing."""
        if not self._ids or not things:
            return [Match(None, False, 0.0, 1.0) for _ in things]
        rows = table(things, self._ids)
        near = likeness(rows, self._typologies)
        best = near.argmax(axis=1)
        found: list[Match] = []
        for row, place in enumerate(best.tolist()):
            similarity = float(near[row, place])
            p = p_values(near[row, place : place + 1], self._null(rows.known[row], by_calls=bool(rows.by_calls[row])))[0]
            matched = p <= MATCHED_BELOW and similarity >= LEAST_LIKENESS
            found.append(Match(self._ids[place], bool(matched), similarity, float(p)))
        return found

    def _null(self, blocks: Bool, *, by_calls: bool) -> F32:
        """The best likeness that things of an unknown kind have, by these blocks only.

        What only calls tell of is held against its like: it is compared by words, all else by telemetry.
        """
        null = best_elsewhere(likeness(self._drawn, self._typologies, blocks=blocks), self._own, self._kin)
        alike: F32 = null[self._drawn.by_calls == by_calls]
        return alike


def best_elsewhere(near: F32, own: I64, kin: Bool | None = None) -> F32:
    """The best likeness of each row among all typologies but its own (`own` -1: it has none) and that one's `kin`."""
    others = near.copy()
    rows = np.flatnonzero(own >= 0)
    if kin is None:
        others[rows, own[rows]] = 0
    else:
        others[rows] = np.where(kin[own[rows]], 0, others[rows])
    found: F32 = others.max(axis=1) if others.shape[1] else np.zeros(len(others), np.float32)
    return found


def p_values(statistic: F32, null: F32) -> NDArray[np.float64]:
    """The share of the null that is as large or larger, the thing itself counted in: never 0, uniform under the null."""
    order = np.sort(null)
    as_large = len(order) - np.searchsorted(order, statistic, side="left")
    found: NDArray[np.float64] = (1 + as_large) / (1 + len(order))
    return found
