"""How what a simulated fleet lives through reaches the house: late after an outage, by the terminals' own clocks, never twice.

It does for the arrays of a `Population` what the live swarm, the broker, ingest and the telephone do one message at a time:
terminals keep what they cannot send and send it when the link is back; a broker notices a vanished client by its
keep-alive; ingest refuses what is dated beyond its limits; a call names a shop only by its number.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diagnostics.detector.observed import Calls, Observed
from diagnostics.snapshot import EVENT_INDEX, F32, I64, Bool, Index
from fleet.contract import NEWEST_SAMPLE_S, OLDEST_SAMPLE_S, SAMPLE_FIELDS, EventCode
from simulators.happenings import EXPECTED, Event
from simulators.population import Population
from simulators.world import World

# A broker notices a vanished client after one and a half keep-alives, here of 60 s.
WILL_S: Final = 90
# From the terminal to the committed batch, where the way itself takes no extra time.
TRANSPORT_MS: Final = 300
_CLOCK: Final = SAMPLE_FIELDS.index("clock_ms")


class Heard(NamedTuple):
    """What the house learns in one step: the messages, and who came or went (each terminal at most once)."""

    seen: Observed
    presence_rows: Index
    presence_online: Bool
    presence_ms: I64


class _Samples(NamedTuple):
    rows: Index
    at_ms: I64
    values: F32

    def only(self, which: Bool) -> "_Samples":
        return _Samples(self.rows[which], self.at_ms[which], self.values[which])


class _Told(NamedTuple):
    """An event as it was told, by the terminal's own clock."""

    row: int
    at_ms: int
    code: int
    expected: bool


class Uplink:
    """Between a population and the house; `step` must be asked for one stretch of time after the other."""

    def __init__(self, population: Population, calls: Calls) -> None:
        n = len(population.world)
        self.population = population
        self._calls = calls
        self._online: Bool = np.zeros(n, bool)
        self._reachable: Bool = np.zeros(n, bool)
        self._lost_s: I64 = np.zeros(n, np.int64)
        # How wrong each terminal's clock was at its last sample: its events are told by the same clock.
        self._clock_ms: I64 = np.zeros(n, np.int64)
        self._kept: list[_Samples] = []
        self._kept_events: list[_Told] = []

    def step(self, t0_s: int, t1_s: int) -> Heard:
        """Live through [t0, t1) and say what was heard by `t1_s`."""
        events = self.population.advance(t0_s, t1_s)
        state = self.population.connectivity(t1_s - 1)
        reachable = state.powered & state.connected
        # Who has just restarted needs some seconds more to connect.
        reachable[[event.terminal for event in events if event.code is EventCode.REBOOT]] = False
        presence = self._connect(reachable, t1_s)
        # A bad way's delay is far below a step's length: it is passed over.
        samples = self._hand_over(self._measure(t0_s, t1_s), reachable)
        told = self._hand_over_events(events, reachable)
        heard_ms = (t1_s - 1) * 1000 + TRANSPORT_MS
        seen = Observed(
            rows=samples.rows,
            at_ms=samples.at_ms,
            received_ms=np.full(len(samples.rows), heard_ms, np.int64),
            values=samples.values,
            event_rows=np.array([one.row for one in told], np.intp),
            event_codes=np.array([one.code for one in told], np.intp),
            event_at_ms=np.array([one.at_ms for one in told], np.int64),
            event_received_ms=np.full(len(told), heard_ms, np.int64),
            event_expected=np.array([one.expected for one in told], bool),
            calls=self._rung(t0_s, t1_s),
        )
        return Heard(_accepted(seen, heard_ms), *presence)

    def _connect(self, reachable: Bool, t_s: int) -> tuple[Index, Bool, I64]:
        """Who connects anew does so at once; who is gone is missed later, at the second the broker gives up."""
        born = reachable & ~self._reachable
        self._lost_s = np.where(reachable, 0, np.where(self._lost_s > 0, self._lost_s, t_s))
        missed = self._online & ~reachable & (t_s - self._lost_s >= WILL_S)
        self._reachable = reachable
        self._online = (self._online | born) & ~missed
        rows = np.flatnonzero(born | missed)
        return rows, born[rows], np.full(len(rows), t_s * 1000 - 500, np.int64)

    def _measure(self, t0_s: int, t1_s: int) -> _Samples:
        due = self.population.due(t0_s, t1_s)
        values = self.population.sample(due, t1_s - 1)
        clock = values[:, _CLOCK]
        known = ~np.isnan(clock)
        self._clock_ms[due[known]] = np.rint(clock[known]).astype(np.int64)
        return _Samples(due.astype(np.intp), (t1_s - 1) * 1000 + self._clock_ms[due], values)

    def _hand_over(self, fresh: _Samples, now: Bool) -> _Samples:
        """What can be sent now, oldest first; the rest is kept."""
        goes = now[fresh.rows]
        sent = [fresh.only(goes)] if not goes.all() else [fresh]
        still: list[_Samples] = []
        for kept in self._kept:
            back = now[kept.rows]
            if back.any():
                sent.insert(-1, kept.only(back))
            if not back.all():
                still.append(kept.only(~back) if back.any() else kept)
        if not goes.all():
            still.append(fresh.only(~goes))
        self._kept = still
        if len(sent) == 1:
            return sent[0]
        return _Samples(*(np.concatenate(parts) for parts in zip(*sent, strict=True)))

    def _hand_over_events(self, events: Sequence[Event], now: Bool) -> list[_Told]:
        offset = self._clock_ms
        for event in events:
            at_ms = event.second * 1000 + int(offset[event.terminal])
            expected = event.code is EventCode.REBOOT and event.detail.startswith(EXPECTED)
            self._kept_events.append(_Told(event.terminal, at_ms, EVENT_INDEX[event.code], expected))
        sent = [one for one in self._kept_events if now[one.row]]
        if sent:
            self._kept_events = [one for one in self._kept_events if not now[one.row]]
        return sent

    def _rung(self, t0_s: int, t1_s: int) -> Calls:
        first, last = np.searchsorted(self._calls.at_ms, (t0_s * 1000, t1_s * 1000))
        return Calls(self._calls.shop[first:last], self._calls.at_ms[first:last])


def _accepted(seen: Observed, heard_ms: int) -> Observed:
    """Without what ingest refuses for its date."""
    oldest_ms, newest_ms = heard_ms - OLDEST_SAMPLE_S * 1000, heard_ms + NEWEST_SAMPLE_S * 1000
    good = (seen.at_ms >= oldest_ms) & (seen.at_ms <= newest_ms)
    event_good = (seen.event_at_ms >= oldest_ms) & (seen.event_at_ms <= newest_ms)
    if good.all() and event_good.all():
        return seen
    return Observed(
        rows=seen.rows[good],
        at_ms=seen.at_ms[good],
        received_ms=seen.received_ms[good],
        values=seen.values[good],
        event_rows=seen.event_rows[event_good],
        event_codes=seen.event_codes[event_good],
        event_at_ms=seen.event_at_ms[event_good],
        event_received_ms=seen.event_received_ms[event_good],
        event_expected=seen.event_expected[event_good],
        calls=seen.calls,
    )


def signalled(world: World, plan: pd.DataFrame) -> Calls:
    """The calls that name a shop by their number: who withholds it, rings from another line or shares one names none."""
    shops: dict[str, set[int]] = {}
    phones: NDArray[np.object_] = world.shops["phones"].to_numpy()
    for row, numbers in enumerate(phones):
        for number in numbers:
            shops.setdefault(number, set()).add(row)
    alone = {number: min(several) for number, several in shops.items() if len(several) == 1}
    shop: NDArray[np.int32] = np.array([alone.get(caller, -1) for caller in plan["caller"]], np.int32)
    known = shop >= 0
    return Calls(shop[known], plan["second"].to_numpy(np.int64)[known] * 1000)
