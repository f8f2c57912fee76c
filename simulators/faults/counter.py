"""Faults seen at the counter: printing, paper, reading slips, and the central system's answers."""

from typing import ClassVar

import numpy as np

from fleet.contract import EventCode
from simulators.faults.base import (
    HEAD_C,
    PAPER_PCT,
    PRINT_ERRORS,
    REJECTS,
    SCAN_ERRORS,
    SCANS,
    TICKETS,
    TX_MS,
    TX_TIMEOUTS,
    Fault,
    Site,
    fill,
    lost,
)
from simulators.randomness import F32, poisson
from simulators.world import I32

# Errors a sample that a failing device reports by itself while the shop is open.
_SELF_TEST_ERRORS = np.float32(0.02)
# What the population takes as a new roll.
PAPER_CHANGED = "paper changed"


class PrinterDegraded(Fault):
    """The printer wears: errors with every few tickets, a hotter head, jams."""

    ramp_s: ClassVar[float] = 600.0
    recovery_s: ClassVar[float] = 60.0
    severity_spread: ClassVar[float] = 0.35

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Errors grow with tickets sold; some sales are given up."""
        force = level * self.severity[rows]
        u = self.uniforms(rows, t_s)
        # Beside the tickets, a worn printer fails its own self-test every half hour or so.
        block[:, PRINT_ERRORS] += poisson(force * (0.15 * block[:, TICKETS] + _SELF_TEST_ERRORS * self.opened(rows, t_s)), u[0])
        block[:, TICKETS] -= lost(block[:, TICKETS], np.minimum(0.05 * force, 0.5), u[1])
        block[:, HEAD_C] += np.round(4 * force, 1)

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Jam now and then."""
        for terminal in self.now_and_then(t0_s, t1_s, 0.5):
            self.site.agenda.tell(t0_s, terminal, EventCode.PAPER_JAM, "cutter")


class PaperOut(Fault):
    """The roll comes to its end and nobody changes it: no tickets until somebody does."""

    onset_spread_s: ClassVar[float] = 60.0
    end_spread_s: ClassVar[float] = 120.0

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        # The rest of the roll lasts some minutes, less when strong.
        self._empty_s = self.onset_s + (60 + 180 * self.temper / site.spec.strength).astype(np.int64)
        self._stage = np.zeros(len(self.terminals), np.int8)  # 0 paper, 1 told empty, 2 changed

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Tell when the roll is at its end, and when it is changed."""
        del t0_s
        for stage, at_s in ((0, self._empty_s), (1, self.until_s)):
            for row in np.nonzero((self._stage == stage) & (at_s < t1_s))[0].tolist():
                code, detail = (EventCode.PAPER_OUT, "end of roll") if stage == 0 else (EventCode.COVER_OPEN, PAPER_CHANGED)
                self.site.agenda.tell(int(at_s[row]), int(self.terminals[row]), code, detail)
                self._stage[row] = stage + 1

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Run down to nothing, then sell nothing."""
        lasting = (self._empty_s[rows] - self.onset_s[rows]).astype(np.float32)
        left = np.clip((self._empty_s[rows] - t_s) / lasting, 0, 1).astype(np.float32)
        block[:, PAPER_PCT] = np.where(level > 0, np.round(np.minimum(block[:, PAPER_PCT], 12) * left, 1), block[:, PAPER_PCT])
        empty = (level > 0) & (left <= 0)
        fill(block, empty, (TICKETS, REJECTS, TX_TIMEOUTS, PRINT_ERRORS), 0)
        block[empty, TX_MS] = np.nan
        block[empty, SCANS] = np.floor(block[empty, SCANS] * 0.25)
        block[empty, SCAN_ERRORS] = np.minimum(block[empty, SCAN_ERRORS], block[empty, SCANS])


class ScannerDegraded(Fault):
    """The reader is dirty or dying: slips are not read, bets are keyed in by hand, some not at all."""

    ramp_s: ClassVar[float] = 300.0
    recovery_s: ClassVar[float] = 30.0
    severity_spread: ClassVar[float] = 0.3

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Slips fail and are tried again."""
        force = level * self.severity[rows]
        u = self.uniforms(rows, t_s)
        failed = lost(block[:, SCANS], np.minimum(0.45 * force, 0.95), u[0])
        again = poisson(failed * 1.2 + force * _SELF_TEST_ERRORS * self.opened(rows, t_s), u[1])
        block[:, SCANS] -= np.floor(failed * 0.6)
        block[:, SCAN_ERRORS] += failed + again
        block[:, TICKETS] -= np.minimum(np.floor(failed * 0.4), block[:, TICKETS])

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Give up altogether now and then."""
        for terminal in self.now_and_then(t0_s, t1_s, 0.3):
            self.site.agenda.tell(t0_s, terminal, EventCode.SCANNER_FAIL, "lamp")


class SlowTransactions(Fault):
    """The centre answers slowly; the network itself is as ever."""

    onset_spread_s: ClassVar[float] = 10.0
    ramp_s: ClassVar[float] = 240.0
    recovery_s: ClassVar[float] = 180.0
    severity_spread: ClassVar[float] = 0.12

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Bets take longer; a few are given up or refused."""
        force = level * self.severity[rows]
        u = self.uniforms(rows, t_s)
        block[:, TX_MS] *= 1 + 1.2 * force * np.exp(0.4 * (u[0] - 0.5))
        block[:, TX_TIMEOUTS] += lost(block[:, TICKETS], np.minimum(0.015 * force, 0.3), u[1])


class CentralOutage(Fault):
    """The centre answers nobody: bets time out, what gets an answer is refused, customers try again."""

    onset_spread_s: ClassVar[float] = 5.0
    end_spread_s: ClassVar[float] = 20.0
    severity_spread: ClassVar[float] = 0.0

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Attempts grow by a third, nearly all are lost; a fifth of them is refused."""
        share = np.minimum(0.97 * level * self.severity[rows], 1)
        u = self.uniforms(rows, t_s, 2)
        attempts = block[:, TICKETS] + poisson(block[:, TICKETS] * 0.33 * level, u[0])
        # The smaller side is drawn, so that an outage without exception stays one.
        failed = np.where(share > 0.5, attempts - lost(attempts, 1 - share, u[1]), lost(attempts, share, u[1]))
        refused = lost(failed, np.full_like(failed, 0.2), u[2])
        block[:, REJECTS] += refused
        block[:, TX_TIMEOUTS] += failed - refused
        block[:, TICKETS] = np.minimum(block[:, TICKETS], attempts - failed)
        block[block[:, TICKETS] <= 0, TX_MS] = np.nan


class SettlementError(Fault):
    """Winning tickets are paid wrongly: no signal of any terminal shows it, only the shops that ring."""

    alters: ClassVar[bool] = False
    by_shop: ClassVar[bool] = True

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Begin unseen."""
        del t0_s
        if t1_s > self.begin_s:
            self.noticed(self.begin_s)
