"""When which layer is scanned, and with whom left out: what is explained already, and what is known, costs no scan."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from diagnostics.detector.observed import Fleet, Layer
from diagnostics.scan.search import Finding
from diagnostics.snapshot import Bool
from diagnostics.tracking.case import Case, Seen, seen
from diagnostics.tracking.grouping import distinct, explained, known_already, supported
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.tracking.tracked import Phase
from diagnostics.troubles import TROUBLE_INDEX, Trouble

Scan = Callable[[Layer, Bool | None], Sequence[Finding]]


class Lookout:
    """Looks for findings in layers, each in its pace."""

    def __init__(self, fleet: Fleet, *, scan: Scan, policy: TrackingPolicy) -> None:
        self._fleet, self._scan, self._policy = fleet, scan, policy
        self._turns: dict[tuple[Trouble, int], int] = {}  # the last turn in which each window was scanned
        self._whole_ms: dict[tuple[Trouble, int], int] = {}  # when each was last scanned with nothing known left out

    def due(self, layers: Sequence[Layer], mine: Iterable[Case], *, now_ms: int) -> list[Layer]:
        """Of one trouble's layers those whose turn it is, and those its candidates are in; turns are spread over the ticks."""
        if not layers:
            return []
        trouble = layers[0].trouble
        pace = self._policy.paces[trouble]
        waiting = {case.window_s for case in mine if case.tracked.phase is Phase.CANDIDATE and now_ms - case.found_ms >= pace.look}
        due = []
        for place, layer in enumerate(layers):
            turn = (now_ms - (TROUBLE_INDEX[trouble] + 5 * place) * 10_000) // pace.scan(layer.window_s)
            if self._turns.get((trouble, layer.window_s)) != turn or layer.window_s in waiting:
                self._turns[trouble, layer.window_s] = turn
                due.append(layer)
        return due

    def left_out(self, cases: Iterable[Case], trouble: Trouble, *, window_s: int, now_ms: int) -> Bool | None:
        """The terminals at which a trouble is explained; calls are explained for whole shops."""
        found = explained(cases, trouble, window_s=window_s, now_ms=now_ms, policy=self._policy)
        if found is None or trouble is not Trouble.CALLS:
            return found
        of = np.zeros(int(self._fleet.shop.max(initial=-1)) + 1, bool)
        of[self._fleet.shop[found]] = True
        return of[self._fleet.shop]

    def findings(self, layers: Sequence[Layer], cases: Sequence[Case], *, now_ms: int) -> list[Seen]:
        """What these layers of one trouble show beyond what is explained, best first."""
        found = []
        for layer in layers:
            left_out = self.left_out(cases, layer.trouble, window_s=layer.window_s, now_ms=now_ms)
            if self._looks_again(layer, left_out, cases, now_ms):
                found += self._seen(layer, left_out)
        return self._worth(found)

    def at_work(self, layer: Layer) -> list[Seen]:
        """What is down where work is announced."""
        return self._worth(self._seen(layer, None))

    def _looks_again(self, layer: Layer, left_out: Bool | None, cases: Sequence[Case], now_ms: int) -> bool:
        """Whether a whole scan is worth its time: not where all there is is known, and was looked at a moment ago."""
        known = known_already(cases, layer.trouble, now_ms=now_ms, policy=self._policy)
        place = layer.trouble, layer.window_s
        pause_ms = max(self._policy.refine_every_ms, 2 * self._policy.paces[layer.trouble].scan(layer.window_s))
        if known is not None and now_ms - self._whole_ms.get(place, 0) < pause_ms:
            return bool(self._scan(layer, known if left_out is None else known | left_out))
        self._whole_ms[place] = now_ms
        return True

    def _seen(self, layer: Layer, left_out: Bool | None) -> list[Seen]:
        return [seen(self._fleet, layer, finding, left_out=left_out) for finding in self._scan(layer, left_out)]

    def _worth(self, found: Sequence[Seen]) -> list[Seen]:
        return distinct([one for one in found if supported(one, self._fleet.shop, self._policy)], policy=self._policy)
