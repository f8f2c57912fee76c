"""What all faults share: which terminals, from when to when, how strongly, and how an effect grows and fades."""

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.happenings import Agenda, Connectivity
from simulators.opening import Bool, Opening
from simulators.randomness import F32, bits, key_of, normal_table, poisson, terminal_keys, uniform_table, uniforms
from simulators.scenario import FaultSpec
from simulators.temperament import COLUMN
from simulators.world import I32, World

I64 = NDArray[np.int64]

TICKETS, REJECTS, TX_MS, TX_TIMEOUTS = COLUMN["tickets"], COLUMN["rejects"], COLUMN["tx_ms"], COLUMN["tx_timeouts"]
RTT_MS, LOSS_PCT, SIGNAL_DBM = COLUMN["rtt_ms"], COLUMN["loss_pct"], COLUMN["signal_dbm"]
PRINT_ERRORS, PAPER_PCT, HEAD_C = COLUMN["print_errors"], COLUMN["paper_pct"], COLUMN["head_c"]
SCANS, SCAN_ERRORS = COLUMN["scans"], COLUMN["scan_errors"]
CPU_PCT, MEM_MB, DISK_MB = COLUMN["cpu_pct"], COLUMN["mem_mb"], COLUMN["disk_mb"]
BOARD_C, CLOCK_MS = COLUMN["board_c"], COLUMN["clock_ms"]

# Of what has not begun, or does not end: a second that no play reaches (in thousands of years), exact in a float32.
NEVER = 2**40
# A connection that flaps is judged anew in slices of this length.
_FLAP_S = 15


class Site(NamedTuple):
    """What a fault works upon."""

    order: int
    spec: FaultSpec
    world: World
    opening: Opening
    agenda: Agenda
    seed: int
    start_s: int  # of the scenario


class Fault:
    """One `[[fault]]` at work. Per-terminal arrays are over `terminals`; `rows` are positions in them."""

    onset_spread_s: ClassVar[float] = 45.0  # mean of each terminal's own delay (exponential)
    end_spread_s: ClassVar[float] = 45.0
    ramp_s: ClassVar[float] = 0.0  # from nothing to full effect
    recovery_s: ClassVar[float] = 0.0  # from full effect to nothing
    severity_spread: ClassVar[float] = 0.25  # of the terminals' own strengths (log-normal)
    by_shop: ClassVar[bool] = False  # neighbours in one shop suffer together
    alters: ClassVar[bool] = True  # whether it changes samples that were taken
    moves_demand: ClassVar[bool] = False

    def __init__(self, site: Site) -> None:
        self.site, self.spec = site, site.spec
        self._key = key_of(site.seed, "fault", site.order)
        self.terminals = self._chosen()
        n = len(self.terminals)
        draws = uniform_table(key_of(self._key, "spread"), len(site.world), 3)[self._groups()]
        self.begin_s = site.start_s + round(site.spec.at_min * 60)
        self.end_s = self.begin_s + round(site.spec.minutes * 60)
        own = np.minimum(-np.log1p(-draws[:, 0]) * self.onset_spread_s, 6 * self.onset_spread_s)
        if n:
            own -= own.min()
        self.onset_s: I64 = self.begin_s + np.floor(own).astype(np.int64)
        late = np.minimum(-np.log1p(-draws[:, 1]) * self.end_spread_s, 6 * self.end_spread_s)
        self.until_s: I64 = self.end_s + np.floor(late).astype(np.int64)
        z = normal_table(key_of(self._key, "severity"), len(site.world), 1)[self.terminals, 0]
        self.severity: F32 = (site.spec.strength * np.exp(self.severity_spread * z)).astype(np.float32)
        self.temper: F32 = draws[:, 2].astype(np.float32)  # a uniform each, for what differs in kind
        self.keys = terminal_keys(self._key, len(site.world))[self.terminals]
        self.over_s = int(self.until_s.max(initial=self.end_s) + self.recovery_s) + 1
        self.first_effect_s: int | None = None
        self.begun = False
        # Position of each terminal of the world in `terminals`, -1 elsewhere.
        self.slot: I32 = np.full(len(site.world), -1, np.int32)
        self.slot[self.terminals] = np.arange(n, dtype=np.int32)

    def _groups(self) -> I32:
        return self.site.world.shop[self.terminals] if self.by_shop else self.terminals

    def _chosen(self) -> I32:
        """Pick `fraction` of the terminals in scope: whole shops where neighbours suffer together."""
        spec, world = self.spec, self.site.world
        inside = world.rows_of(spec.terminals) if spec.terminals is not None else world.in_scope(spec.scope_by_name())
        wanted = min(len(inside), max(1, round(spec.fraction * len(inside))))
        lot = uniform_table(key_of(self._key, "chosen"), len(world), 2)
        rank = lot[inside, 0] + (lot[world.shop[inside], 1] * 1e6 if self.by_shop else 0)
        return np.sort(inside[np.argsort(rank, kind="stable")[:wanted]])

    def level(self, rows: I32, t_s: int) -> F32:
        """How far the effect has grown on each row, 0 to 1."""
        since = (t_s - self.onset_s[rows]).astype(np.float32)
        up = np.clip(since / self.ramp_s, 0, 1) if self.ramp_s else (since >= 0).astype(np.float32)
        after = (t_s - self.until_s[rows]).astype(np.float32)
        down = np.clip(1 - after / self.recovery_s, 0, 1) if self.recovery_s else (after < 0).astype(np.float32)
        grown: F32 = (up * down).astype(np.float32)
        return grown

    def struck(self, t_s: int) -> Bool:
        """Whose cause is at work at `t_s`; bool over `terminals`."""
        at_work: Bool = (self.onset_s <= t_s) & (t_s < self.until_s)
        return at_work

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Change the samples `block` (len(rows), 18) of `rows` in place; `level` is above 0 somewhere."""

    def connect(self, connectivity: Connectivity, t_s: int) -> None:
        """Change the connectivity of this fault's terminals in place."""

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Put what happens in [t0, t1) on the agenda."""

    def demand(self, rows: I32, t_s: int) -> F32 | None:
        """Return what custom is multiplied with on each row, or None where it stays as it is."""
        del rows, t_s
        return None

    def rebooted(self, terminal: int, t_s: int) -> None:
        """Take note that a terminal restarted, for whatever reason."""

    def lie_dormant(self) -> None:
        """Befall nobody until woken, terminal by terminal: what a release does begins where and when it is installed."""
        self.onset_s[:] = NEVER
        self.until_s[:] = NEVER
        self.end_s = self.over_s = NEVER

    def wake(self, terminal: int, t_s: int) -> bool:
        """Befall a terminal in full from now on; False where it is not among this fault's."""
        row = self.slot[terminal]
        if row < 0:
            return False
        self.onset_s[row], self.until_s[row] = t_s - int(self.ramp_s), NEVER
        return True

    def rest(self, terminal: int, t_s: int) -> None:
        """Leave a terminal at once."""
        row = self.slot[terminal]
        if row >= 0:
            self.until_s[row] = min(int(self.until_s[row]), t_s - int(self.recovery_s))

    def noticed(self, t_s: int) -> None:
        """Keep the first second at which anything differed."""
        if self.first_effect_s is None or t_s < self.first_effect_s:
            self.first_effect_s = t_s

    def uniforms(self, rows: I32, t_s: int, words: int = 1) -> F32:
        """Draw 2 * words uniforms for each row at this second: float32 (2 * words, len(rows))."""
        return uniforms(bits(self.keys[rows], t_s, words))

    def opened(self, rows: I32, t_s: int) -> F32:
        """1 on rows whose shop is open at `t_s`, else 0."""
        return self.site.opening.is_open(t_s)[self.terminals[rows]].astype(np.float32)

    def flapping(self, t_s: int, chance: float) -> Bool:
        """Whose connection is down for this slice of seconds, with `chance` times its severity."""
        drawn = uniforms(bits(self.keys, t_s // _FLAP_S, 1))[0]
        down: Bool = (drawn < chance * self.severity) & self.struck(t_s)
        return down

    def now_and_then(self, t0_s: int, t1_s: int, per_hour: float) -> list[int]:
        """Terminals of open shops that something befalls in [t0, t1), at a rate times severity."""
        drawn = uniforms(bits(self.keys, t0_s, 1))[0]
        rate = per_hour / 3600 * (t1_s - t0_s) * self.severity
        hit = (drawn < rate) & self.struck(t0_s) & self.site.opening.is_open(t0_s)[self.terminals]
        return [int(terminal) for terminal in self.terminals[hit]]


def fill(block: F32, mask: Bool, columns: tuple[int, ...], value: float) -> None:
    """Write one value into the given columns of the rows that `mask` tells, in place."""
    for column in columns:
        block[mask, column] = value


def lost(counts: F32, share: F32, uniform: F32) -> F32:
    """Return how many of `counts` are lost when each is with probability `share` (Poisson, at most all)."""
    return np.minimum(poisson(counts * share, uniform), counts)
