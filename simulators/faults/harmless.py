"""Changes that are no faults: a detector that cries at them cries wolf."""

from typing import ClassVar

import numpy as np

from simulators.faults.base import I64, Fault, Site
from simulators.happenings import EXPECTED
from simulators.opening import EarlyClose
from simulators.randomness import F32
from simulators.world import I32


class RaceRush(Fault):
    """A great race: custom swells to its start and ebbs away."""

    onset_spread_s: ClassVar[float] = 1.0
    end_spread_s: ClassVar[float] = 1.0
    alters: ClassVar[bool] = False
    moves_demand: ClassVar[bool] = True

    def demand(self, rows: I32, t_s: int) -> F32 | None:
        """Swell over the first three quarters, ebb over the last."""
        part = (t_s - self.begin_s) / max(1, self.end_s - self.begin_s)
        if not 0 <= part < 1:
            return None
        self.noticed(t_s)
        swell = (part / 0.75) ** 2 if part < 0.75 else (1 - part) / 0.25
        return (1 + 1.1 * self.severity[rows] * np.float32(swell)).astype(np.float32)


class EarlyCloseDay(Fault):
    """Shopkeepers of a region go home an hour or more before time (a storm, a match)."""

    by_shop: ClassVar[bool] = True
    alters: ClassVar[bool] = False

    def early_close(self) -> EarlyClose:
        """Return what the opening has to know; each shop has its own lead."""
        lead = (3600 + 7200 * self.temper) * self.spec.strength
        return EarlyClose(self.terminals, self.begin_s, self.end_s, lead.astype(np.int64))

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Begin when the first can have closed."""
        del t0_s
        if t1_s > self.begin_s:
            self.noticed(self.begin_s)


class MaintenanceReboot(Fault):
    """An announced restart of all, spread over the window."""

    alters: ClassVar[bool] = False
    _off_s: ClassVar[int] = 70

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._at_s: I64 = self.begin_s + (self.temper * (self.end_s - self.begin_s)).astype(np.int64)
        self.onset_s = self._at_s
        self._done = np.zeros(len(self.terminals), bool)

    def happen(self, t0_s: int, t1_s: int) -> None:
        """Restart each in its turn."""
        now = (self._at_s < t1_s) & ~self._done
        for row in np.nonzero(now)[0].tolist():
            second = max(int(self._at_s[row]), t0_s)
            back_s = second + self._off_s
            self.site.agenda.restart(int(self.terminals[row]), from_s=second, back_s=back_s, detail=f"{EXPECTED}: maintenance")
            self.noticed(second)
        self._done |= now


class NewTerminals(Fault):
    """Terminals that are installed during the window; before it they have never been seen."""

    alters: ClassVar[bool] = False

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._at_s: I64 = self.begin_s + (self.temper * (self.end_s - self.begin_s)).astype(np.int64)
        self.onset_s = self._at_s
        for row, terminal in enumerate(self.terminals.tolist()):
            detail = f"{EXPECTED}: first start"
            site.agenda.restart(terminal, from_s=-(2**62), back_s=int(self._at_s[row]), detail=detail)

    def happen(self, t0_s: int, t1_s: int) -> None:
        """The first to appear is the first effect."""
        del t0_s
        if len(self.terminals) and t1_s > int(self._at_s.min()):
            self.noticed(int(self._at_s.min()))
