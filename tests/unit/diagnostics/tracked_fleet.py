"""A small fleet and a timeline for tests of tracking: at each tick hits are set, and what happened is compared."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.observed import Fleet, Layer, Signs
from diagnostics.snapshot import Bool
from diagnostics.tracking.looks import Looks
from diagnostics.tracking.maintenance import in_scope
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.tracking.tracked import Change, ChangeKind, Said, Tracked
from diagnostics.tracking.tracker import Sight, Tracker
from diagnostics.troubles import TROUBLES, Trouble
from fleet.registry import DIMENSIONS

START_MS = 1_795_000_000_000
TICK_MS = 10_000
SIZE = 1200

_LEVELS: Mapping[str, Sequence[str]] = {
    "department": ("01", "59", "62", "75", "84"),
    "region": ("11", "32", "84"),
    "model": ("A", "B"),
    "hw": ("1", "2"),
    "firmware": ("4.2.1", "4.3.0"),
    "access": ("4g", "adsl", "fibre"),
    "carrier": ("alpha", "beta", "gamma"),
    "lot": ("L01", "L02", "L03", "L04"),
    "agency": ("AG01", "AG02", "AG03", "AG04", "AG05", "AG06"),
}
_REGION_OF = {"01": "84", "59": "32", "62": "32", "75": "11", "84": "84"}


def small_fleet(size: int = SIZE) -> Fleet:
    """Terminals spread evenly over every dimension, two to a shop."""
    rng = np.random.default_rng(5)
    columns = {name: rng.integers(0, len(levels), size) for name, levels in _LEVELS.items()}
    shop = np.arange(size) // 2
    for name in ("department", "agency"):
        columns[name] = columns[name][2 * shop]
    region = [_LEVELS["region"].index(_REGION_OF[_LEVELS["department"][code]]) for code in columns["department"]]
    columns["region"] = np.array(region)
    columns["model"] = columns["lot"] // 2
    return Fleet(
        terminals=np.array([f"T{i:05d}" for i in range(size)], dtype="S6"),
        codes=np.stack([columns[name] for name in DIMENSIONS], axis=1).astype(np.int16),
        levels=[_LEVELS[name] for name in DIMENSIONS],
        shop=shop.astype(np.int32),
        zone=np.zeros(size, np.int16),
        timezones=["Europe/Paris"],
    )


FLEET = small_fleet()


def no_signs(n: int = SIZE) -> Signs:
    """Signs in which nothing shows."""
    shape = (n, len(TROUBLES))
    return Signs((), np.zeros(shape, bool), np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.ones(shape, np.float32),
                 np.ones(shape, bool), np.zeros((n, 2), np.float32))  # fmt: skip


class Timeline:
    """A tracker fed tick by tick. `hits` says of each trouble who shows it now; `judged` who could."""

    def __init__(self, *, tracked: Sequence[Tracked] = (), policy: TrackingPolicy | None = None, at_ms: int = START_MS) -> None:
        self.now_ms = at_ms
        self.hits: dict[Trouble, Bool] = {}
        self.judged: Bool = np.ones(SIZE, bool)
        self.muted: Bool = np.zeros(SIZE, bool)
        self.down: Bool = np.zeros(SIZE, bool)
        self.late = False
        self.usual = 0.002
        self.changes: list[Change] = []
        looks = Looks(FLEET, Calibration(), ["rtt_ms", "loss_pct"])
        looks.see(no_signs(), now_ms=at_ms)
        self.tracker = Tracker(
            FLEET, scan=looks.scan, explain=looks.explain, policy=policy or TrackingPolicy(), tracked=tracked, started_ms=at_ms
        )

    def show(self, trouble: Trouble, part: float = 1.0, /, **scope: str) -> None:
        """From now on this part of a scope's terminals shows a trouble, whole shops at a time; without scope, nobody."""
        where = self.hits.setdefault(trouble, np.zeros(SIZE, bool)).copy()
        inside = in_scope(FLEET, {} if scope == {"all": "1"} else scope) if scope else np.zeros(SIZE, bool)
        where = where | inside & ((FLEET.shop * 7 % 100) < 100 * part) if scope else inside
        self.hits[trouble] = where

    def run(self, minutes: float, *, said: Sequence[Said] = (), each: Callable[[int], Any] | None = None) -> list[str]:
        """Let time pass; returns what happened in words, FIGURES left out."""
        begun = len(self.changes)
        for tick in range(round(minutes * 6)):
            self.now_ms += TICK_MS
            if each:
                each(tick)
            sight = Sight(self._layers(), self.now_ms, self.muted, self.down, np.zeros((SIZE, len(TROUBLES)), np.int64), self.late)
            self.changes += self.tracker.step(sight, said=said)
            said = ()
        return [told(change) for change in self.changes[begun:] if change.kind is not ChangeKind.FIGURES]

    def _layers(self) -> list[Layer]:
        expected = np.where(self.judged & ~self.muted, np.float32(self.usual), np.float32(0))
        layers = []
        for trouble in TROUBLES:
            hit = self.hits.get(trouble, np.zeros(SIZE, bool)) & (expected > 0)
            layers.append(Layer(trouble, 120, hit.astype(np.float32), expected))
        return layers

    @property
    def living(self) -> list[Tracked]:
        """The incidents that live."""
        return [one for one in self.tracker.tracked if one.lives]


def told(change: Change) -> str:
    """A change in words: kind, trouble, scope."""
    scope = " & ".join(f"{name}={value}" for name, value in change.tracked.scope) or "all"
    return f"{change.kind} {change.tracked.trouble} {scope}"
