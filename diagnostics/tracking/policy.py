"""How incidents are tracked: every duration and share in one place, with what it is for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from diagnostics.detector.calibration import Calibration
from diagnostics.troubles import Trouble

MINUTE_MS: Final = 60_000

# Seen within a report or two: confirmed by the next look.
_FAST: Final = frozenset({Trouble.OFFLINE, Trouble.TX_FAILING})
# Smoothed over a few reports already: confirmed by the next look as well, but followed for longer.
_BRISK: Final = frozenset({Trouble.NETWORK, Trouble.TX_SLOW})


@dataclass(frozen=True)
class Pace:
    """How one trouble is followed, in milliseconds.

    `look`: how often its incidents are looked at, and the fleet is scanned for it at the most. `confirm`: how long a candidate must
    be seen again before it opens.
    `clear`, `close`: how long its scope must look well before it is said to clear, and is closed.
    """

    look: int
    confirm: int
    clear: int
    close: int
    # What is gathered over a window changes little in a small part of it.
    scans_a_window: int = 6

    def scan(self, window_s: int) -> int:
        """How often a window is scanned; candidates are looked at in the pace of `look`."""
        return max(self.look, window_s * 1000 // self.scans_a_window // 10_000 * 10_000)


FAST: Final = Pace(look=10_000, confirm=10_000, clear=MINUTE_MS, close=6 * MINUTE_MS)
BRISK: Final = Pace(look=10_000, confirm=10_000, clear=3 * MINUTE_MS, close=12 * MINUTE_MS, scans_a_window=30)
SLOW: Final = Pace(look=30_000, confirm=MINUTE_MS, clear=3 * MINUTE_MS, close=12 * MINUTE_MS)
CALLED: Final = Pace(look=60_000, confirm=MINUTE_MS, clear=10 * MINUTE_MS, close=30 * MINUTE_MS)


def _paces() -> dict[Trouble, Pace]:
    of_all = dict.fromkeys(Trouble, SLOW)
    return of_all | dict.fromkeys(_FAST, FAST) | dict.fromkeys(_BRISK, BRISK) | {Trouble.CALLS: CALLED}


@dataclass(frozen=True)
class TrackingPolicy:
    """Everything that tracking may choose; durations in milliseconds."""

    paces: Mapping[Trouble, Pace] = field(default_factory=_paces)
    # After its first minutes an incident's scope is known, unless it grew by so much.
    rescope_grown: float = 1.3
    # What opens an incident; the diagnosis takes it from its calibration.
    open_score: Mapping[Trouble, float] = field(default_factory=lambda: Calibration().open_score)
    # An incident is of many: fewer terminals, or one shop and its neighbour, are symptoms.
    min_terminals: int = 5
    min_shops: int = 3
    # Of the terminals judged in scope at least this share shows it (of what is counted: any), and at least so many times the usual.
    min_rate: float = 0.035
    # A centre that begins to answer slowly is felt by few at first, anywhere.
    min_rate_tx_slow: float = 0.01
    min_lift: float = 1.7
    # A candidate that is not found again for so long never was one.
    candidate_lasts_ms: int = 2 * MINUTE_MS
    # A consequence that is confirmed before its cause waits so long for it.
    cause_patience_ms: int = 90_000
    # In its scope a cause shows itself by this score (nats), and at this part of the terminals that show the consequence.
    cause_score: float = 8.0
    cause_share: float = 0.35
    # Of two troubles that bring each other about, the one that is plainer by so much is the cause. An incident is taken for another
    # trouble so many times at the most.
    plainer: float = 1.5
    most_recasts: int = 2
    # Who was hit by an incident that ended shows its aftermath (restarts, journals, impatience) for so long.
    aftermath_ms: int = 20 * MINUTE_MS
    calls_aftermath_ms: int = 150 * MINUTE_MS
    # Two findings, or incidents, with this part of the smaller one's terminals in common are one.
    same_share: float = 0.5
    # A better scope must be found for so long before it is told.
    scope_holds_ms: int = 60_000
    # An incident is watched in the shortest window that ever showed it by this score: the sooner its end is seen.
    watch_score: float = 12.0
    # A scope is taken up sooner so long after the opening; afterwards what is known is scanned anew so often.
    fresh_ms: int = 3 * MINUTE_MS
    refine_every_ms: int = 2 * MINUTE_MS
    # In scope it looks well below this score and below this share of the worst rate.
    quiet_score: float = 3.0
    quiet_share: float = 0.25
    quiet_hits: float = 2.5
    # What clears comes back at this share of the worst rate: between the two it goes on clearing.
    back_share: float = 0.45
    # Of the terminals hit at least this part must be judged before their health says anything: closed shops are no proof.
    judged_share: float = 0.25
    grew_by: float = 1.5
    grew_least: int = 10
    grew_settles_ms: int = 60_000
    grew_at_last_ms: int = 6 * MINUTE_MS
    reopens_within_ms: int = 24 * 60 * MINUTE_MS
    # So many returns within so long are flapping; then it must stay away for longer before it is closed.
    flaps: int = 3
    flaps_within_ms: int = 120 * MINUTE_MS
    latched_close_ms: int = 60 * MINUTE_MS
    # So many incidents of one trouble within so long are a storm.
    storm: int = 4
    storm_within_ms: int = 10 * MINUTE_MS
    # After a start the detector has yet to hear of everybody: until then nothing is well.
    settles_ms: int = 10 * MINUTE_MS
    counts_settle_ms: int = 40 * MINUTE_MS
    # After announced work the last terminals are still on their way back.
    maintenance_grace_ms: int = 3 * MINUTE_MS
    # During announced work only what is down for so long is worth a record.
    maintenance_down_ms: int = 5 * MINUTE_MS
    # What a person resolved is left alone for so long, whatever the signs.
    resolved_rests_ms: int = 15 * MINUTE_MS
    figures_every_ms: int = MINUTE_MS
    evidence_every_ms: int = 5 * MINUTE_MS
