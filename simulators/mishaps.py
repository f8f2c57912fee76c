"""The small mishaps of ordinary days: an opened cover, a jam, a restart, a connection that drops for half a minute.

They are no faults of a scenario: a detector must live with them. Drawn for each terminal in windows of ten minutes.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fleet.contract import EventCode
from simulators.geography import TIMEZONES
from simulators.happenings import EXPECTED, UNEXPECTED, Agenda
from simulators.opening import DAY_S, Bool, Opening
from simulators.randomness import bits, key_of, terminal_keys, uniform_table, uniforms
from simulators.world import World

_WINDOW_S = 600
# What happens how often: a terminal a day while its shop is open, and for BLIP, crash and power also at night.
_PER_DAY: tuple[tuple[str, float, bool], ...] = (
    ("blip", 0.22, False),
    ("cover", 0.02, True),
    ("crash", 0.006, False),
    ("jam", 0.004, True),
    ("failover", 0.003, False),
    ("power", 0.003, False),
    ("scanner", 0.001, True),
    ("reader", 0.001, True),
    ("tamper", 0.0001, True),
)
_EVENTS = {
    "cover": (EventCode.COVER_OPEN, "opened by hand"),
    "jam": (EventCode.PAPER_JAM, "cleared"),
    "failover": (EventCode.NET_FAILOVER, "back on the main line"),
    "scanner": (EventCode.SCANNER_FAIL, "recovered"),
    "reader": (EventCode.READER_FAIL, "recovered"),
    "tamper": (EventCode.TAMPER, "case opened"),
}
_EDGES = np.cumsum([rate for _, rate, _ in _PER_DAY]) / DAY_S * _WINDOW_S
# Every terminal restarts in one night of its week, between 03:30 and 04:30 on its own clocks.
_WEEKLY_FROM_S, _WEEKLY_SPREAD_S = 12_600, 3600
_WEEKLY_OFF_S = 55
_OTHER_WORDS = 2**40


class Mishaps:
    """Draws each window's mishaps once and lets them happen at their second."""

    def __init__(self, world: World, seed: int, opening: Opening, agenda: Agenda) -> None:
        self._opening = opening
        self._agenda = agenda
        self._keys = terminal_keys(key_of(seed, "mishaps"), len(world))
        slot = uniform_table(key_of(seed, "weekly"), len(world), 2)
        weekday = np.floor(slot[:, 0] * 7)
        self._weekly_s: NDArray[np.int64] = (weekday * DAY_S + _WEEKLY_FROM_S + slot[:, 1] * _WEEKLY_SPREAD_S).astype(np.int64)
        self._blip: NDArray[np.int64] = np.zeros((2, len(world)), np.int64)
        self._window = -1
        self._queue: list[tuple[int, int, str, int]] = []  # (second, terminal, what, for how long), latest first

    def advance(self, t0_s: int, t1_s: int) -> None:
        """Let the mishaps of [t0, t1) happen."""
        for window in range(t0_s // _WINDOW_S, (t1_s - 1) // _WINDOW_S + 1):
            if window > self._window:
                self._window = window
                self._draw(window)
        while self._queue and self._queue[-1][0] < t1_s:
            second, terminal, what, lasting_s = self._queue.pop()
            if second >= t0_s:
                self._happen(second, terminal, what, lasting_s)

    def connected(self, t_s: int) -> Bool:
        """Who has not just dropped off the network for a moment; bool (terminals,)."""
        on: Bool = (t_s < self._blip[0]) | (t_s >= self._blip[1])
        return on

    def restarted_s(self, t_s: int) -> NDArray[np.int64]:
        """When each terminal's weekly restart before `t_s` was over, seconds since the epoch (terminals,)."""
        weekdays = [datetime.fromtimestamp(t_s, ZoneInfo(zone)).weekday() for zone in TIMEZONES]
        slot = np.array(weekdays, np.int64) * DAY_S + self._opening.wall_s(t_s).astype(np.int64)
        since = (slot[self._opening.zone] - self._weekly_s - _WEEKLY_OFF_S) % (7 * DAY_S)
        return t_s - since

    def _draw(self, window: int) -> None:
        from_s = window * _WINDOW_S
        (hit,) = np.nonzero(uniforms(bits(self._keys, window, 1))[0] < _EDGES[-1])
        # Other words of the same window say what happens to them and when.
        draws = uniforms(bits(self._keys[hit], window + _OTHER_WORDS, 2))
        kinds = np.searchsorted(_EDGES / _EDGES[-1], draws[0])
        seconds = from_s + (draws[1] * _WINDOW_S).astype(np.int64)
        # Most breaks last some twenty seconds (a cell is changed, a box renews its address), few more than a minute.
        lasting = (5 + 14 * np.exp(3 * (draws[2] - 0.5))).astype(np.int64)
        open_now = self._opening.is_open(from_s)
        for terminal, kind, second, long_s in zip(hit.tolist(), kinds.tolist(), seconds.tolist(), lasting.tolist(), strict=True):
            what, _, only_open = _PER_DAY[min(kind, len(_PER_DAY) - 1)]
            if open_now[terminal] or not only_open:
                self._queue.append((second, terminal, what, long_s))
        self._draw_weekly(from_s)
        self._queue.sort(reverse=True)

    def _draw_weekly(self, from_s: int) -> None:
        weekdays = [datetime.fromtimestamp(from_s, ZoneInfo(zone)).weekday() for zone in TIMEZONES]
        slot = np.array(weekdays, np.int64) * DAY_S + self._opening.wall_s(from_s).astype(np.int64)
        wait = self._weekly_s - slot[self._opening.zone]
        for terminal in np.nonzero((wait >= 0) & (wait < _WINDOW_S))[0].tolist():
            self._queue.append((from_s + int(wait[terminal]), terminal, "weekly", _WEEKLY_OFF_S))

    def _happen(self, second: int, terminal: int, what: str, lasting_s: int) -> None:
        agenda = self._agenda
        if agenda.is_off(terminal, second):
            return
        if what == "blip":
            self._blip[:, terminal] = second, second + lasting_s
        elif what == "weekly":
            agenda.restart(terminal, from_s=second, back_s=second + lasting_s, detail=f"{EXPECTED}: weekly restart")
        elif what == "crash":
            agenda.tell(second, terminal, EventCode.APP_CRASH, "watchdog")
            back_s = second + 40 + lasting_s // 4
            agenda.restart(terminal, from_s=second + 1, back_s=back_s, detail=f"{UNEXPECTED}: application crash")
        elif what == "power":
            back_s = second + 30 + lasting_s
            agenda.restart(terminal, from_s=second, back_s=back_s, detail=f"{UNEXPECTED}: power loss")
            agenda.tell(back_s + 1, terminal, EventCode.POWER_LOSS, f"off for {back_s - second} s")
        else:
            code, detail = _EVENTS[what]
            agenda.tell(second, terminal, code, detail)
