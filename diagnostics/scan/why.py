"""Why an incident has its scope: the figures a person checks before believing it, kept as JSON beside the incident."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from diagnostics.scan.cells import CellIndex, Scope
from diagnostics.scan.search import Finding
from diagnostics.snapshot import F32, I64, Bool, Index

# z beyond this says no more than "very far", and one wild terminal shall not lead.
_CLIP_Z: Final = 8.0
# A metric leads when the inside stands out from the outside by so many z.
_LEADS_Z: Final = 0.5
_MOST_LEADING: Final = 5
# Levels shown for each dimension: the incident's own and the worst of the others.
_MOST_LEVELS: Final = 6
# A level of fewer judged terminals tells no rate.
_LEAST_JUDGED: Final = 5


@dataclass(frozen=True, slots=True)
class Level:
    """One value of a dimension: of `judged` terminals, `rate` are hit. `inside`: it is a condition of the scope."""

    value: str
    judged: int
    rate: float
    inside: bool


@dataclass(frozen=True, slots=True)
class Contrast:
    """How the values of one dimension differ where all other conditions of the scope hold.

    For a dimension of the scope the others should be well; for any other dimension all should be hit alike.
    """

    dimension: str
    in_scope: bool
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Leading:
    """A metric that deviates: its mean clipped z inside the scope and outside it."""

    metric: str
    inside: float
    outside: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The figures of one incident. Rates are shares of judged terminals, or calls per terminal where hits are counted.

    `firmware_changed_h`: median hours since the hit terminals' last change of firmware, None where none is known;
    `firmware_changed_share`: of the hit terminals, those it is known of.
    """

    scope: Mapping[str, str]
    terminals: int
    judged: int
    observed: float
    expected: float
    rate_inside: float
    rate_outside: float
    contrasts: tuple[Contrast, ...] = ()
    leading: tuple[Leading, ...] = ()
    firmware_changed_h: float | None = None
    firmware_changed_share: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what `json.dumps` and a jsonb column take."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Evidence":
        """Read what `to_json` returned, lists in place of tuples."""
        fields = dict(stored)
        fields["contrasts"] = tuple(
            Contrast(one["dimension"], one["in_scope"], tuple(Level(**level) for level in one["levels"]))
            for one in stored["contrasts"]
        )
        fields["leading"] = tuple(Leading(**one) for one in stored["leading"])
        return cls(**fields)


def why(
    index: CellIndex,
    finding: Finding,
    *,
    names: Sequence[str],
    hit: F32,
    expected: F32,
    z: F32 | None = None,
    metrics: Sequence[str] = (),
    firmware_changed_ms: I64 | None = None,
    now_ms: int = 0,
) -> Evidence:
    """Gather the evidence for a finding.

    `names` are the dimensions'; `hit` and `expected` (n,) the layer it was found in; `z` (n, metrics) with NaN where not
    measured; `firmware_changed_ms` (n,) the last change of firmware, 0 where unknown.
    """
    judged = expected > 0
    inside = np.zeros(index.n, bool)
    inside[finding.rows] = True
    hit_rows = np.flatnonzero(inside & judged & (hit > 0))
    changed_h, share = _since_firmware(hit_rows, firmware_changed_ms, now_ms)
    return Evidence(
        scope=index.words(finding.scope, names),
        terminals=len(finding.rows),
        judged=int((inside & judged).sum()),
        observed=float(hit[inside & judged].sum()),
        expected=float(expected[inside & judged].sum()),
        rate_inside=_rate(hit, inside & judged),
        rate_outside=_rate(hit, ~inside & judged),
        contrasts=tuple(_contrast(index, finding.scope, (dim, name), hit, judged) for dim, name in enumerate(names)),
        leading=() if z is None else _leading(z, metrics, hit_rows, np.flatnonzero(~inside & judged)),
        firmware_changed_h=changed_h,
        firmware_changed_share=share,
    )


def _rate(hit: F32, rows: Bool) -> float:
    count = int(rows.sum())
    return round(float(hit[rows].sum()) / count, 5) if count else 0.0


def _contrast(index: CellIndex, scope: Scope, dimension: tuple[int, str], hit: F32, judged: Bool) -> Contrast:
    """The rate of each level of one dimension inside the rest of the scope; the incident's own first, then the worst."""
    dim, name = dimension
    own = dict(scope).get(dim)
    rest = np.zeros(index.n, bool)
    rest[index.rows_of(tuple(pair for pair in scope if pair[0] != dim))] = True
    rest &= judged & (index.codes[:, dim] >= 0)
    codes = index.codes[rest, dim]
    size = np.bincount(codes, minlength=len(index.levels[dim]))
    hits = np.bincount(codes, weights=hit[rest], minlength=len(size))
    rate = hits / np.maximum(size, 1)
    told = [int(code) for code in np.argsort(-rate, kind="stable") if size[code] >= _LEAST_JUDGED or code == own]
    told.sort(key=lambda code: code != own)
    levels = tuple(
        Level(index.levels[dim][code], int(size[code]), round(float(rate[code]), 5), code == own) for code in told[:_MOST_LEVELS]
    )
    return Contrast(name, own is not None, levels)


def _leading(z: F32, metrics: Sequence[str], hit_rows: Index, outside: Index) -> tuple[Leading, ...]:
    """The metrics that stand out at the hit terminals, the strongest first."""
    means = [_mean_z(z[rows]) for rows in (hit_rows, outside)]
    ahead = np.abs(means[0] - means[1])
    order = [int(column) for column in np.argsort(-ahead, kind="stable") if ahead[column] >= _LEADS_Z]
    return tuple(
        Leading(metrics[column], round(float(means[0][column]), 2), round(float(means[1][column]), 2))
        for column in order[:_MOST_LEADING]
    )


def _mean_z(z: F32) -> F32:
    """The mean clipped z of each metric over the terminals that measured it; 0 where none did."""
    measured = np.isfinite(z)
    total = np.where(measured, np.clip(z, -_CLIP_Z, _CLIP_Z), 0.0).sum(axis=0)
    mean: F32 = (total / np.maximum(measured.sum(axis=0), 1)).astype(np.float32)
    return mean


def _since_firmware(rows: Index, changed_ms: I64 | None, now_ms: int) -> tuple[float | None, float]:
    if changed_ms is None or not len(rows):
        return None, 0.0
    known = changed_ms[rows]
    known = known[known > 0]
    if not len(known):
        return None, 0.0
    return round(float(now_ms - np.median(known)) / 3_600_000, 2), round(len(known) / len(rows), 3)
