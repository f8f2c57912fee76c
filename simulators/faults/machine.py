"""Faults of the machine itself: its power, memory, storage, clock, heat and its application."""

from typing import ClassVar

import numpy as np

from fleet.contract import EventCode
from simulators.faults.base import (
    BOARD_C,
    CLOCK_MS,
    CPU_PCT,
    DISK_MB,
    HEAD_C,
    I64,
    MEM_MB,
    NEVER,
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
)
from simulators.happenings import EXPECTED, UNEXPECTED, Connectivity
from simulators.randomness import F32
from simulators.world import I32

_CRASH = f"{UNEXPECTED}: application crash"
# Down time of a crash: the watchdog waits, the system boots.
_CRASH_OFF_S = (40, 50)


class PowerCut(Fault):
    """No current: silence at once for neighbours; power comes back street by street, and is then told of."""

    onset_spread_s: ClassVar[float] = 0.5
    end_spread_s: ClassVar[float] = 90.0
    by_shop: ClassVar[bool] = True
    alters: ClassVar[bool] = False

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._cut = np.zeros(len(self.terminals), bool)

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Switch off, and have the return told."""
        now = (self.onset_s < t1_s) & ~self._cut
        agenda = self.site.agenda
        for row in np.nonzero(now)[0].tolist():
            terminal, off_s = int(self.terminals[row]), int(self.onset_s[row])
            boot_s = 35 + int(30 * self.temper[row])
            back_s = int(self.until_s[row]) + boot_s
            agenda.restart(terminal, from_s=off_s, back_s=back_s, detail=f"{UNEXPECTED}: power loss")
            agenda.tell(back_s + 1, terminal, EventCode.POWER_LOSS, f"off for {back_s - boot_s - off_s} s")
            self.noticed(off_s)
        self._cut |= now
        del t0_s


class MemoryLeak(Fault):
    """Memory falls slowly for hours; the application dies of it, restarts, and leaks on."""

    onset_spread_s: ClassVar[float] = 120.0
    end_spread_s: ClassVar[float] = 600.0
    severity_spread: ClassVar[float] = 0.18
    # All free memory is gone after so long, at strength 1.
    _exhausted_after_s: ClassVar[float] = 5 * 3600.0

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._since_s: I64 = self.onset_s.copy()
        self._mended = np.zeros(len(self.terminals), bool)

    def rebooted(self, terminal: int, t_s: int) -> None:
        """A restart gives all memory back."""
        row = self.slot[terminal]
        self._since_s[row] = max(t_s, int(self.onset_s[row]))

    def _leaked(self, rows: I32, t_s: int) -> F32:
        """Return the part of free memory that is gone."""
        since = np.maximum(t_s - self._since_s[rows], 0).astype(np.float32)
        return since * self.severity[rows] / np.float32(self._exhausted_after_s)

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Less memory; near the end the machine swaps and labours."""
        gone = np.minimum(self._leaked(rows, t_s), 1) * level
        labour = np.clip((gone - 0.8) / 0.2, 0, 1)
        block[:, MEM_MB] = np.round(block[:, MEM_MB] * (1 - 0.97 * gone), 1)
        block[:, CPU_PCT] = np.minimum(block[:, CPU_PCT] + np.round(25 * labour, 1), 100)
        block[:, TX_MS] *= 1 + 0.5 * labour

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Crash when nothing is left; be restarted when the fix comes."""
        everyone = np.arange(len(self.terminals), dtype=np.int32)
        agenda = self.site.agenda
        dying = (self._leaked(everyone, t1_s) >= 1) & self.struck(t0_s)
        for row in np.nonzero(dying)[0].tolist():
            terminal = int(self.terminals[row])
            if not agenda.is_off(terminal, t0_s):
                agenda.tell(t0_s, terminal, EventCode.APP_CRASH, "out of memory")
                back_s = t0_s + _CRASH_OFF_S[0] + int(_CRASH_OFF_S[1] * self.temper[row])
                agenda.restart(terminal, from_s=t0_s + 1, back_s=back_s, detail=_CRASH)
                self._since_s[row] = back_s
        mended = (self.until_s < t1_s) & ~self._mended
        for row in np.nonzero(mended)[0].tolist():
            terminal = int(self.terminals[row])
            if not agenda.is_off(terminal, t0_s):
                agenda.restart(terminal, from_s=t0_s, back_s=t0_s + _CRASH_OFF_S[0], detail=f"{EXPECTED}: service")
        self._mended |= mended


class CrashLoop(Fault):
    """The application crashes every few minutes."""

    onset_spread_s: ClassVar[float] = 60.0
    # Between two crashes at strength 1, seconds: mean (exponential), least.
    _between_s: ClassVar[tuple[float, float]] = (260.0, 60.0)

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._next_s: I64 = self.onset_s.copy()

    def lie_dormant(self) -> None:
        """Crash nobody until woken."""
        super().lie_dormant()
        self._next_s[:] = NEVER

    def wake(self, terminal: int, t_s: int) -> bool:
        """Crash a terminal, first within a minute or two."""
        woken = super().wake(terminal, t_s)
        if woken:
            row = self.slot[terminal]
            self._next_s[row] = t_s + 30 + int(60 * self.temper[row])
        return woken

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Crash, and draw the next time."""
        agenda = self.site.agenda
        now = (self._next_s < t1_s) & (self._next_s < self.until_s)
        for row in np.nonzero(now)[0].tolist():
            terminal, second = int(self.terminals[row]), max(int(self._next_s[row]), t0_s)
            draws = self.uniforms(np.array([row], np.int32), second)[:, 0]
            back_s = second + _CRASH_OFF_S[0] + int(_CRASH_OFF_S[1] * draws[1])
            mean, least = self._between_s
            wait = (least - mean * float(np.log(draws[0]))) / float(self.severity[row])
            self._next_s[row] = back_s + max(20, int(wait))
            if not agenda.is_off(terminal, second):
                agenda.tell(second, terminal, EventCode.APP_CRASH, "segmentation fault")
                agenda.restart(terminal, from_s=second + 1, back_s=back_s, detail=_CRASH)
                self.noticed(second)


class ClockDrift(Fault):
    """The clock runs away, all of a batch in one direction, until the time service steps it back."""

    onset_spread_s: ClassVar[float] = 20.0
    severity_spread: ClassVar[float] = 0.3
    _ms_per_min: ClassVar[float] = 400.0

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Farther off each minute."""
        since_min = np.maximum(t_s - self.onset_s[rows], 0).astype(np.float32) / 60
        # One quartz in ten is slow where the others are fast.
        sign = np.where(self.temper[rows] < 0.1, -1, 1)
        block[:, CLOCK_MS] += np.rint(sign * self._ms_per_min * self.severity[rows] * since_min * level)


class Overheating(Fault):
    """The fan stands still: board and head warm up over half an hour, the processor throttles."""

    onset_spread_s: ClassVar[float] = 120.0
    end_spread_s: ClassVar[float] = 200.0
    recovery_s: ClassVar[float] = 1500.0
    _tau_s: ClassVar[float] = 1200.0
    _board_c: ClassVar[float] = 22.0
    _throttled_above_c: ClassVar[float] = 62.0

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Warm up as a mass does: quickly first, then ever more slowly."""
        since = np.maximum(t_s - self.onset_s[rows], 0).astype(np.float32)
        force = level * self.severity[rows] * (1 - np.exp(-since / np.float32(self._tau_s)))
        block[:, BOARD_C] += np.round(self._board_c * force, 1)
        block[:, HEAD_C] += np.round(10 * force, 1)
        throttled = np.clip((block[:, BOARD_C] - self._throttled_above_c) / 15, 0, 1)
        block[:, CPU_PCT] = np.minimum(np.round(block[:, CPU_PCT] * (1 + 0.8 * throttled), 1), 100)
        block[:, TX_MS] *= 1 + 0.25 * throttled


class DiskFull(Fault):
    """Something fills the storage in an hour and a half; then writing fails and the application stumbles."""

    onset_spread_s: ClassVar[float] = 60.0
    severity_spread: ClassVar[float] = 0.2
    _full_after_s: ClassVar[float] = 90 * 60.0

    def _filled(self, rows: I32, t_s: int) -> F32:
        since = np.maximum(t_s - self.onset_s[rows], 0).astype(np.float32)
        filled: F32 = np.minimum(since * self.severity[rows] / np.float32(self._full_after_s), 1)
        return filled

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Less storage; when it is gone, each bet waits for it."""
        filled = self._filled(rows, t_s) * level
        block[:, DISK_MB] = np.rint(block[:, DISK_MB] * (1 - 0.998 * filled))
        block[:, TX_MS] *= 1 + 0.3 * (filled >= 1)

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Crash now and then once full."""
        full = self._filled(np.arange(len(self.terminals), dtype=np.int32), t0_s) >= 1
        if full.any():
            for terminal in self.now_and_then(t0_s, t1_s, 1.0):
                if full[self.slot[terminal]] and not self.site.agenda.is_off(terminal, t0_s):
                    self.site.agenda.tell(t0_s, terminal, EventCode.APP_CRASH, "no space left")
                    detail = f"{UNEXPECTED}: application crash"
                    self.site.agenda.restart(terminal, from_s=t0_s + 1, back_s=t0_s + _CRASH_OFF_S[0], detail=detail)


class FrozenApp(Fault):
    """The application hangs: the connection answers. Half send nothing any more, half send samples and sell nothing."""

    onset_spread_s: ClassVar[float] = 90.0
    _silent_share: ClassVar[float] = 0.5

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._restarted = np.zeros(len(self.terminals), bool)

    def connect(self, connectivity: Connectivity, t_s: int) -> None:
        """Keep the connection, without samples, where the whole application hangs."""
        silent = self.struck(t_s) & (self.temper < self._silent_share)
        connectivity.frozen[self.terminals[silent]] = True
        if silent.any():
            self.noticed(int(self.onset_s[silent].min()))

    def alter(self, block: F32, rows: I32, t_s: int, level: F32) -> None:
        """Sell nothing: one thread spins, or waits for ever."""
        del t_s
        hung = level > 0
        fill(block, hung, (TICKETS, REJECTS, TX_TIMEOUTS, SCANS, SCAN_ERRORS, PRINT_ERRORS), 0)
        block[hung, TX_MS] = np.nan
        spins = self.temper[rows] < self._silent_share + 0.35
        busy = np.where(spins, np.minimum(96 + 0.1 * block[:, CPU_PCT], 100), 0.4 * block[:, CPU_PCT])
        block[hung, CPU_PCT] = np.round(busy[hung], 1)

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Be restarted by the watchdog or by the shopkeeper at the end."""
        now = (self.until_s < t1_s) & ~self._restarted
        for row in np.nonzero(now)[0].tolist():
            terminal = int(self.terminals[row])
            if not self.site.agenda.is_off(terminal, t0_s):
                detail = f"{UNEXPECTED}: watchdog"
                self.site.agenda.restart(terminal, from_s=t0_s, back_s=t0_s + _CRASH_OFF_S[0], detail=detail)
        self._restarted |= now
