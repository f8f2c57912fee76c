"""Faults of the way between shop and centre: gone, bad, or weak."""

from typing import ClassVar

import numpy as np

from fleet.contract import EventCode
from simulators.faults.base import (
    LOSS_PCT,
    REJECTS,
    RTT_MS,
    SCAN_ERRORS,
    SCANS,
    SIGNAL_DBM,
    TICKETS,
    TX_MS,
    TX_TIMEOUTS,
    Fault,
    Site,
    fill,
    lost,
)
from simulators.happenings import Connectivity
from simulators.randomness import F32
from simulators.world import I32

# Of the terminals on a line, so many have a radio card that takes over; it needs about a minute to notice.
_FAILOVER_SHARE = 0.10
_FAILOVER_AFTER_S = (60, 30)
_FAILOVER_RTT_MS, _FAILOVER_LOSS_PCT = 55.0, 0.8


class NetworkOutage(Fault):
    """The carrier is gone: the app lives on, sells nothing, journals; a few fail over to their radio card."""

    onset_spread_s: ClassVar[float] = 5.0
    end_spread_s: ClassVar[float] = 40.0
    by_shop: ClassVar[bool] = True

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        world = site.world
        access = np.array(world.levels["access"])[world.codes["access"][self.terminals]]
        on_line = np.isin(access, ("adsl", "fibre"))
        self._saved = on_line & (self.temper < _FAILOVER_SHARE / site.spec.strength)
        wait = _FAILOVER_AFTER_S[0] + _FAILOVER_AFTER_S[1] * self.temper * site.spec.strength / _FAILOVER_SHARE
        self._saved_s = np.where(self._saved, self.onset_s + wait.astype(np.int64), 2**62)
        self._told = np.zeros(len(self.terminals), bool)

    def connect(self, connectivity: Connectivity, t_s: int) -> None:
        """Cut the connection until the end, or until the radio card takes over."""
        cut = self.struck(t_s) & (t_s < self._saved_s)
        connectivity.connected[self.terminals[cut]] = False
        if cut.any():
            self.noticed(int(self.onset_s.min()))

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Tell of each failover once."""
        now = (self._saved_s < t1_s) & (self._saved_s < self.until_s) & ~self._told
        for row in np.nonzero(now)[0].tolist():
            second = max(int(self._saved_s[row]), t0_s)
            self.site.agenda.tell(second, int(self.terminals[row]), EventCode.NET_FAILOVER, "radio card")
        self._told |= now

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Every bet times out without a network; behind a radio card all is a little slower."""
        saved = self._saved_s[rows] <= t_s
        away = (level > 0) & ~saved
        block[away, TX_TIMEOUTS] += block[away, TICKETS]
        fill(block, away, (TICKETS, REJECTS), 0)
        fill(block, away, (RTT_MS, TX_MS), np.nan)
        block[away, LOSS_PCT] = 100
        block[away, SCANS] = np.floor(block[away, SCANS] * 0.3)
        block[away, SCAN_ERRORS] = np.minimum(block[away, SCAN_ERRORS], block[away, SCANS])
        spared = (level > 0) & saved
        block[spared, RTT_MS] += _FAILOVER_RTT_MS
        block[spared, LOSS_PCT] += _FAILOVER_LOSS_PCT
        block[spared, TX_MS] += 1.6 * _FAILOVER_RTT_MS


class NetworkDegraded(Fault):
    """The way is bad: round trips and losses up, transactions slower, some without an answer, short breaks."""

    ramp_s: ClassVar[float] = 180.0
    recovery_s: ClassVar[float] = 120.0
    _flap: ClassVar[float] = 0.006

    def connect(self, connectivity: Connectivity, t_s: int) -> None:
        """Break now and then, and delay what gets through."""
        connectivity.connected[self.terminals[self.flapping(t_s, self._flap)]] = False
        struck = self.struck(t_s)
        connectivity.delay_s[self.terminals[struck]] += 0.4 * self.severity[struck]

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Slow, lossy, uneven."""
        force = level * self.severity[rows]
        u = self.uniforms(rows, t_s)
        uneven = np.exp(0.8 * (u[0] - 0.5))
        block[:, RTT_MS] *= 1 + 1.4 * force * uneven
        block[:, LOSS_PCT] = np.minimum(block[:, LOSS_PCT] * (1 + force) + np.round(3.0 * force * uneven * uneven, 1), 100)
        block[:, TX_MS] *= 1 + 0.7 * force * uneven
        unanswered = lost(block[:, TICKETS], np.minimum(0.05 * force, 0.6), u[1])
        block[:, TX_TIMEOUTS] += unanswered
        block[:, TICKETS] -= np.floor(unanswered / 2)


class WeakRadio(NetworkDegraded):
    """The signal fades (an antenna, a new building): weaker, lossier, a little slower.

    A fixed line has no signal to report: there the same is the shop's own wireless bridge, seen in losses only.
    """

    ramp_s: ClassVar[float] = 240.0
    _flap: ClassVar[float] = 0.004

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Weaker and lossier."""
        force = level * self.severity[rows]
        u = self.uniforms(rows, t_s)
        uneven = np.exp(0.8 * (u[0] - 0.5))
        block[:, SIGNAL_DBM] = np.maximum(np.rint(block[:, SIGNAL_DBM] - 13 * force), -125)
        block[:, LOSS_PCT] = np.minimum(block[:, LOSS_PCT] + np.round(2.5 * force * uneven, 1), 100)
        block[:, RTT_MS] *= 1 + 0.35 * force * uneven
        block[:, TX_MS] *= 1 + 0.15 * force
        block[:, TX_TIMEOUTS] += lost(block[:, TICKETS], np.minimum(0.02 * force, 0.5), u[1])
