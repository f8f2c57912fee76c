"""Which events are crashes: of the application, and restarts that nobody expected; each counted once."""

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from diagnostics.detector.observed import Observed
from diagnostics.snapshot import EVENT_INDEX, I64, Index
from fleet.contract import EventCode

_CRASH, _REBOOT, _POWER = (EVENT_INDEX[code] for code in (EventCode.APP_CRASH, EventCode.REBOOT, EventCode.POWER_LOSS))
# The restart that follows a crash is the same mishap.
_SAME_MS: Final = 10 * 60_000
# Power that returns is told of just after the restart: wait this long before blaming the machine.
_WAIT_MS: Final = 40_000
_AROUND_MS: Final = 120_000
# What is told much later than it happened is history.
_LATE_MS: Final = 10 * 60_000


class Crashes:
    """Newest crash, power loss and undecided restart of each terminal, in its own time; int64 (n,), 0: none."""

    TERMINAL_AXIS: ClassVar[Mapping[str, int]] = {"crash_ms": 0, "power_ms": 0, "restart_ms": 0, "told_ms": 0}

    def __init__(self, n: int) -> None:
        self.crash_ms: I64 = np.zeros(n, np.int64)
        self.power_ms: I64 = np.zeros(n, np.int64)
        self.restart_ms: I64 = np.zeros(n, np.int64)
        self.told_ms: I64 = np.zeros(n, np.int64)

    def take(self, seen: Observed, *, now_ms: int) -> Index:
        """Take in a tick's events; returns the terminals that crashed, each as often as it did."""
        use = (seen.event_rows >= 0) & (seen.event_received_ms - seen.event_at_ms <= _LATE_MS)
        rows, codes, at = seen.event_rows[use], seen.event_codes[use], seen.event_at_ms[use]
        received, expected = seen.event_received_ms[use], seen.event_expected[use]
        crash, power = codes == _CRASH, codes == _POWER
        np.maximum.at(self.crash_ms, rows[crash], at[crash])
        np.maximum.at(self.power_ms, rows[power], at[power])
        restart = (codes == _REBOOT) & ~expected
        np.maximum.at(self.restart_ms, rows[restart], at[restart])
        np.maximum.at(self.told_ms, rows[restart], received[restart])
        undecided = np.flatnonzero((self.restart_ms > 0) & (now_ms - self.told_ms >= _WAIT_MS))
        begun = self.restart_ms[undecided]
        explained = np.abs(begun - self.power_ms[undecided]) <= _AROUND_MS
        explained |= (begun >= self.crash_ms[undecided]) & (begun - self.crash_ms[undecided] <= _SAME_MS)
        self.restart_ms[undecided] = 0
        return np.concatenate([rows[crash], undecided[~explained]]).astype(np.intp)
