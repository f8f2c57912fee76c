"""What matches no typology, put into groups that may be one: density clusters, what each shares, and its name from day to day.

HDBSCAN (Campello, Moulavi and Sander 2013) needs no number of groups and leaves alone what is like nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.troubles import TROUBLES
from diagnostics.typologies.signature import BOUNDS, CODES, F32, METRICS, Signature, Table
from diagnostics.typologies.signature import table as table_of

# So few make a group worth a look: incidents are rare, notes are many.
FEWEST: Final = {"incident": 3, "symptom": 5, "note": 4}
# Things that lie so near their middle, in parts of their distance from nothing, are one group.
ALIKE_WITHIN: Final = 0.6
# A group found again keeps its name when it holds so much of what it held (Jaccard).
SAME_FROM: Final = 0.3
# A dimension's value is told when the group has it so much more often than the rest, and in so many of its members.
TOLD_LIFT, TOLD_SHARE = 2.0, 0.5
_WEIGHTS: Final = {"trouble": 1.0, "scope": 0.5, "z": 1.0, "events": 0.7}


@dataclass(frozen=True, slots=True)
class Contrast:
    """A value that a group has more often than the rest: `inside` and `outside` are shares."""

    dimension: str
    value: str
    inside: float
    outside: float


def clusters(points: F32, *, fewest: int) -> list[list[int]]:
    """Rows that lie densely together, the largest group first; what is like nothing is in none. `points` (n, dimensions)."""
    if len(points) < fewest:
        return []
    if _all_alike(points):
        # Densities tell nothing apart where there is but one group.
        return [list(range(len(points)))]
    if len(points) < 2 * fewest:
        return []
    from sklearn.cluster import HDBSCAN

    labels: NDArray[np.int64] = HDBSCAN(min_cluster_size=fewest, min_samples=max(2, fewest // 2), copy=True).fit_predict(
        points.astype(np.float64)
    )
    found = [np.flatnonzero(labels == label).tolist() for label in range(int(labels.max(initial=-1)) + 1)]
    return sorted(found, key=lambda rows: (-len(rows), rows))


def _all_alike(points: F32) -> bool:
    away = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    return bool(away <= ALIKE_WITHIN * np.sqrt((points**2).sum(axis=1).mean()))


def signature_points(signatures: Sequence[Signature]) -> F32:
    """Signatures as points whose distance says how unlike they are; what is not known lies in the middle."""
    rows = table_of(signatures, [])
    return np.hstack([_WEIGHTS[block] * _unit(part) for block, part in _parts(rows)]).astype(np.float32)


def _parts(rows: Table) -> Iterable[tuple[str, F32]]:
    return ("trouble", rows.trouble), ("scope", rows.scope), ("z", rows.z[:, :-1]), ("events", rows.events[:, :-1])


def _unit(part: F32) -> F32:
    found: F32 = part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6)
    return found


def same_group(members: Collection[int], offered: Mapping[int, Collection[int]]) -> int | None:
    """Which earlier group (id -> members) this is, if any: the one that it overlaps most."""
    mine = set(members)

    def overlap(group: int) -> float:
        theirs = set(offered[group])
        return len(mine & theirs) / max(len(mine | theirs), 1)

    best = max(sorted(offered), key=overlap, default=None)
    return best if best is not None and overlap(best) >= SAME_FROM else None


def contrasts(inside: Sequence[Mapping[str, str]], fleet: Mapping[str, Mapping[str, float]], *, most: int = 4) -> list[Contrast]:
    """Values that the group's terminals have far more often than the fleet (its shares by dimension and value)."""
    found = []
    for dimension, shares in fleet.items():
        counted = Counter(one[dimension] for one in inside)
        for value, count in counted.items():
            share, usual = count / len(inside), shares.get(value, 0.0)
            if share >= TOLD_SHARE and share >= TOLD_LIFT * usual:
                found.append(Contrast(dimension, value, share, usual))
    return sorted(found, key=lambda c: (-c.inside / max(c.outside, 0.01), c.dimension))[:most]


def in_common(signatures: Sequence[Signature]) -> dict[str, dict[str, float]]:
    """What most of a group's members show: shares of troubles and bounds, mean deviations and events, the strongest first."""
    count = len(signatures)
    rows = table_of(signatures, [])
    deviating = [one for one in signatures if one.z is not None]
    z = rows.z[:, :-1].sum(axis=0) / max(len(deviating), 1)
    return {
        "troubles": _told(TROUBLES, (rows.trouble > 0).sum(axis=0) / count, least=0.3),
        "scope": _told(BOUNDS, rows.scope.sum(axis=0) / count, least=0.5),
        "z": _told(METRICS, z, least=1.0),
        "events": _told(CODES, (rows.events[:, :-1] ** 2).sum(axis=0) / count, least=0.05),
    }


def _told(names: Sequence[str], values: "NDArray[np.floating]", *, least: float) -> dict[str, float]:
    order = np.argsort(-np.abs(values), kind="stable").tolist()
    return {str(names[place]): round(float(values[place]), 2) for place in order if abs(values[place]) >= least}
