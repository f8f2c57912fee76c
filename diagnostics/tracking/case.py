"""An incident being followed: the `Tracked` that is stored, and what following it needs to remember from look to look."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from diagnostics.detector.calibration import COUNTED_TROUBLES
from diagnostics.detector.observed import Fleet, Layer
from diagnostics.scan.search import Finding
from diagnostics.snapshot import I64, Bool, Index
from diagnostics.tracking.maintenance import in_scope
from diagnostics.tracking.tracked import Scope, Tracked
from diagnostics.troubles import TROUBLE_INDEX
from fleet.registry import DIMENSIONS

# So many standard deviations above its mean a count is no chance: one terminal in a hundred.
_BEYOND_CHANCE: Final = 2.3


class Count(NamedTuple):
    """What some terminals show of one layer: hits against those expected, among so many judged."""

    hits: float
    expected: float
    judged: int

    @property
    def rate(self) -> float:
        """Hits of the judged, 0 where nobody is."""
        return self.hits / self.judged if self.judged else 0.0

    @property
    def score(self) -> float:
        """How unlikely so many hits are of well terminals, nats; 0 where there are not more than expected."""
        if self.hits <= self.expected or self.hits <= 0:
            return 0.0
        expected = max(self.expected, 1e-3)
        return float(self.hits * np.log(self.hits / expected) + expected - self.hits)


def count(layer: Layer, where: Bool) -> Count:
    """Count a layer over the terminals `where` (n,)."""
    judged = where & (layer.expected > 0)
    return Count(float(layer.hit[judged].sum()), float(layer.expected[judged].sum()), int(np.count_nonzero(judged)))


def shown(layer: Layer) -> Bool:
    """Who shows a layer's trouble, bool (n,): of what is counted and happens to well terminals too, more than chance brings."""
    able: Bool = (layer.hit > 0) & (layer.expected > 0)
    if layer.trouble in COUNTED_TROUBLES:
        rows = np.flatnonzero(able)
        usual = layer.expected[rows]
        able[rows] = layer.hit[rows] >= usual + _BEYOND_CHANCE * np.sqrt(usual) + 0.5
    return able


class Seen(NamedTuple):
    """A finding of this look: its layer, its scope by name, the terminals in it (`inside`) and those that are hit, bool (n,)."""

    layer: Layer
    finding: Finding
    scope: Scope
    inside: Bool
    hit: Bool


def seen(fleet: Fleet, layer: Layer, finding: Finding, *, left_out: Bool | None) -> Seen:
    """Put a finding into the tracker's terms; `left_out` (n,) are the terminals that were kept from the scan."""
    inside = np.zeros(len(fleet), bool)
    inside[finding.rows] = True
    able = inside if left_out is None else inside & ~left_out
    hit = able & shown(layer)
    if np.count_nonzero(hit) < 0.5 * finding.observed:
        # Many show a little each.
        hit = able & (layer.hit > 0) & (layer.expected > 0)
    return Seen(layer, finding, scope_by_name(fleet, finding), inside, hit)


def began_ms(found: Seen, since_ms: I64, *, now_ms: int) -> int:
    """When a finding's first terminals began to show it, as far as they know: `since_ms` (n, troubles), 0 where they do not."""
    since = since_ms[found.hit, TROUBLE_INDEX[found.layer.trouble]]
    since = since[since > 0]
    return int(min(np.percentile(since, 10), now_ms)) if len(since) else now_ms


def scope_by_name(fleet: Fleet, finding: Finding) -> Scope:
    """A finding's scope in words, in the order of the registry's dimensions."""
    return tuple((DIMENSIONS[dimension], fleet.levels[dimension][code]) for dimension, code in sorted(finding.scope))


class Case:
    """One incident being followed. Only `tracked` survives a restart."""

    def __init__(self, fleet: Fleet, tracked: Tracked) -> None:
        self.tracked = tracked
        self.inside: Bool = in_scope(fleet, tracked.scope_by_name)
        self.ever: Bool = np.zeros(len(fleet), bool)
        self.ever[tracked.rows] = True
        self.now: Bool = self.ever  # who showed it at the last look
        self.window_s = 0  # of the layer that showed it last
        self.peaks: dict[int, Count] = {}  # the most that each window showed in its scope
        self.found_ms = 0  # when it was last found
        self.looked_ms = 0  # when it was last looked at
        self.first_ms = tracked.began_ms  # when it was first found
        self.better: tuple[Scope, int] | None = None  # another scope, found since
        self.quiet_ms: int | None = None  # since when it looks well
        self.first_rate = tracked.worst_hits / max(1, int(np.count_nonzero(self.inside)))
        self.growing: tuple[int, int, int] | None = None  # since when, to how many hits, and when it last grew by a tenth
        self.stored = (0, tracked.hits, len(tracked.rows), tracked.evidence)  # when, hits, terminals, why
        self.explained_ms = 0  # when its evidence was made
        self.was: set[str] = {tracked.trouble}  # the troubles it was taken for

    def carried_to(self, fleet: Fleet, old_rows: Index) -> "Case":
        """The same on a changed registry: row i was `old_rows[i]`, -1 is new."""
        new = Case(fleet, moved(self.tracked, old_rows))
        for name in _REMEMBERED:
            setattr(new, name, getattr(self, name))
        new.now = (old_rows >= 0) & self.now[np.maximum(old_rows, 0)]
        return new

    @property
    def peak_rate(self) -> float:
        """The part of its scope that showed it at the worst, as far as is known."""
        return max((peak.rate for peak in self.peaks.values()), default=self.first_rate)

    def note(self, layers: Iterable[Layer], *, watch_score: float) -> tuple[Layer, Count]:
        """Count each window over the scope; returns the one to watch: the shortest that ever showed it well."""
        counts = [(layer, count(layer, self.inside)) for layer in layers]
        for layer, here in counts:
            if layer.window_s not in self.peaks or here.score > self.peaks[layer.window_s].score:
                self.peaks[layer.window_s] = here
        most = max(self.peaks[layer.window_s].score for layer, _ in counts)
        enough = min(watch_score, most)
        return min(
            ((layer, here) for layer, here in counts if self.peaks[layer.window_s].score >= enough), key=lambda one: one[0].window_s
        )

    def change(self, **fields: object) -> Tracked:
        """Replace fields of the tracked incident, and return it."""
        self.tracked = replace(self.tracked, **fields)  # type: ignore[arg-type]  # the fields' own types, by name
        return self.tracked

    def rescope(self, fleet: Fleet, scope: Scope, *, now_ms: int) -> None:
        """Give it another scope; who showed it outside of that did so for another reason."""
        self.inside = in_scope(fleet, dict(scope))
        kept = self.inside[self.tracked.rows]
        self.change(scope=scope, settled_ms=now_ms, rows=self.tracked.rows[kept], hit_ms=self.tracked.hit_ms[kept])
        self.ever = self.ever & self.inside
        self.better, self.peaks = None, {}

    def add(self, rows: Bool, since_ms: I64 | int) -> None:
        """Add terminals (bool, n) that show it, since then; those that ever did stay."""
        new = np.flatnonzero(rows & ~self.ever)
        if not len(new):
            return
        hit_ms = np.full(len(new), since_ms, np.int64) if isinstance(since_ms, int) else since_ms[new]
        of: Index = np.concatenate([self.tracked.rows, new])
        order = np.argsort(of, kind="stable")
        self.ever = self.ever.copy()
        self.ever[new] = True
        self.change(rows=of[order], hit_ms=np.concatenate([self.tracked.hit_ms, hit_ms])[order])


# What a case remembers beside terminals.
_REMEMBERED: Final = (
    "window_s", "peaks", "first_rate", "found_ms", "looked_ms", "first_ms", "better", "quiet_ms", "growing", "stored",
    "explained_ms", "was",
)  # fmt: skip


def moved(tracked: Tracked, old_rows: Index) -> Tracked:
    """An incident on a changed registry: row i was `old_rows[i]`, -1 is new; who left the registry leaves the incident."""
    new_row = np.full(max(int(old_rows.max(initial=-1)), int(tracked.rows.max(initial=-1))) + 1, -1, np.intp)
    kept = np.flatnonzero(old_rows >= 0)
    new_row[old_rows[kept]] = kept
    rows = new_row[tracked.rows]
    known = rows >= 0
    order = np.argsort(rows[known], kind="stable")
    return replace(tracked, rows=rows[known][order], hit_ms=tracked.hit_ms[known][order])


def shared(one: Bool, other: Bool) -> float:
    """The part of the smaller set that is in both, 0 where one is empty."""
    smaller = min(int(np.count_nonzero(one)), int(np.count_nonzero(other)))
    return float(np.count_nonzero(one & other) / smaller) if smaller else 0.0


def jaccard(one: Bool, other: Bool) -> float:
    """The part of both sets together that is in both."""
    either = int(np.count_nonzero(one | other))
    return float(np.count_nonzero(one & other) / either) if either else 0.0


def part(one: Bool, of: Bool) -> float:
    """The part of `of` that is in `one`, 0 where `of` is empty."""
    whole = int(np.count_nonzero(of))
    return float(np.count_nonzero(one & of) / whole) if whole else 0.0
