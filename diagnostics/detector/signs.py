"""Weak signs of every trouble as layers for the fleet scan: what each terminal shows beside what a well one would."""

from typing import Final

import numpy as np

from diagnostics.detector.gauges import Gauges
from diagnostics.detector.metrics import BOARD, CLOCK, COUNTS, CPU, DISK, LOSS, MEM, RTT, SIGNAL, TX
from diagnostics.detector.observed import Layer
from diagnostics.detector.rates import LAYER_WINDOWS_MIN, CountWindows
from diagnostics.snapshot import F32, Bool
from diagnostics.troubles import TROUBLE_INDEX, TROUBLES, Trouble

# Over which a sign that holds now was gathered, s; what a counted one is looked at over stands in LAYER_WINDOWS_MIN.
_SPAN_S: Final = {Trouble.OFFLINE: 60, Trouble.PAPER: 60, Trouble.TX_SLOW: 600, Trouble.NO_SALES: 300, Trouble.MEMORY: 300}
_COMMON_SPAN_S: Final = 120
SIGNALLED: Final = tuple(trouble for trouble in TROUBLES if trouble not in {Trouble.CALLS, *(count.trouble for count in COUNTS)})
# Troubles that one gauge tells by itself.
_ALONE: Final = (
    (TX, Trouble.TX_SLOW),
    (MEM, Trouble.MEMORY),
    (DISK, Trouble.DISK),
    (BOARD, Trouble.HEAT),
    (CLOCK, Trouble.CLOCK),
)


def gauge_signs(gauges: Gauges, fresh: Bool, idle: Bool) -> tuple[Bool, Bool]:
    """Signs of the troubles that gauges tell, and who is judged: bool (troubles, n) each; `idle` (n,): who sells nothing."""
    n = len(fresh)
    signs, judged = np.zeros((len(TROUBLES), n), bool), np.zeros((len(TROUBLES), n), bool)
    now = gauges.sign & fresh
    for gauge, trouble in _ALONE:
        row = TROUBLE_INDEX[trouble]
        signs[row], judged[row] = now[:, gauge], fresh[:, gauge]
    network, radio, sales = (TROUBLE_INDEX[t] for t in (Trouble.NETWORK, Trouble.RADIO, Trouble.NO_SALES))
    signs[network], judged[network] = now[:, RTT] | now[:, LOSS], fresh[:, RTT]
    signs[radio], judged[radio] = now[:, SIGNAL], fresh[:, SIGNAL]
    signs[sales], judged[sales] = now[:, CPU] & idle, fresh[:, CPU]
    return signs, judged


def layers_of(signs: Bool, judged: Bool, share: F32, counts: CountWindows, counted: Bool) -> list[Layer]:
    """All layers: of `signs` (troubles, n) that hold now, and of what was counted (`counted` (n,): whose counts are judged)."""
    layers = []
    for trouble in SIGNALLED:
        row = TROUBLE_INDEX[trouble]
        layers.append(Layer(trouble, _SPAN_S.get(trouble, _COMMON_SPAN_S), signs[row].astype(np.float32), judged[row] * share[row]))
    hits, means = counts.bounded(counted)
    for index, count in enumerate(COUNTS):
        for place, minutes in enumerate(LAYER_WINDOWS_MIN):
            layers.append(Layer(count.trouble, 60 * minutes, hits[place, index], means[place, index]))
    return layers
