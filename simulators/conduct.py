"""Leads a simulated population second by second and has the swarm tell what it lives through.

What a terminal says depends on seed and second alone: a late second is lived in full before the next, with its own times.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from fleet.contract import NEWEST_SAMPLE_S, OLDEST_SAMPLE_S, SAMPLE_FIELDS, EventCode
from fleet.errors import VigieError
from simulators import truth
from simulators.device import Device, Identity, rounded
from simulators.happenings import Event
from simulators.journal import ranges
from simulators.population import Population
from simulators.swarm import Swarm
from simulators.updates.fleet import Updates
from simulators.world import World

_CLOCK = SAMPLE_FIELDS.index("clock_ms")
# A clock this wrong may be refused: the fleet's limits, less what a message can take on its way.
_FAST_MS, _SLOW_MS = (NEWEST_SAMPLE_S - 60) * 1000, (OLDEST_SAMPLE_S - 3600) * 1000
_AT_ONCE_S = 0.2
BY_COMMAND = "expected: command"


def make_devices(world: World, passwords: Mapping[str, str], *, boot: int) -> list[Device]:
    """Make the devices of a world's terminals; `boot` is the first boot's number, above those of any earlier run."""
    if missing := [terminal for terminal in world.ids if terminal not in passwords]:
        raise VigieError(
            f"{len(missing)} terminals have no password, the first is {missing[0]}: "
            "import this scenario's registry (`vigie world`, `vigie registry import --passwords`) and name its password file"
        )
    columns = (world.terminals[name] for name in ("terminal", "firmware", "model", "hw"))
    return [
        Device(Identity(terminal, passwords[terminal], firmware, model, hw), boot=boot)
        for terminal, firmware, model, hw in zip(*columns, strict=True)
    ]


class Conductor:
    """Population and swarm, in step."""

    def __init__(self, population: Population, swarm: Swarm, updates: Updates | None = None) -> None:
        self.population = population
        self.swarm = swarm
        self.updates = updates
        self.produced = 0
        self._devices = swarm.devices
        # How wrong each terminal's clock was at its last sample, ms: its events are told by the same clock.
        self._clock_ms = np.zeros(len(swarm.devices), np.int64)
        # (terminal, boot) -> seqs told with a clock beyond the fleet's limits.
        self._misdated: dict[tuple[int, int], list[int]] = {}

    def live(self, second: int) -> None:
        """Live through one second and send what it brought."""
        population, swarm = self.population, self.swarm
        events = population.advance(second, second + 1)
        if swarm.rebooting:
            told = np.unique(np.array(swarm.rebooting, np.int32))
            swarm.rebooting.clear()
            events += population.reboot(told, second, detail=BY_COMMAND)
        state = population.connectivity(second)
        spoke = self._note_events(events)
        swarm.reach(state.powered, state.connected)
        if self.updates is not None:
            self.updates.live(second, state)
        due = population.due(second, second + 1)
        if len(due):
            self._note_samples(due, population.sample(due, second), second)
        for index in [*spoke, *due.tolist()]:
            delay_s = float(state.delay_s[index])
            swarm.forward(index, delay_s=delay_s if delay_s > _AT_ONCE_S else 0.0)

    @property
    def dead(self) -> Collection[int]:
        """The terminals that an update has bricked."""
        return self.updates.boots.dead if self.updates is not None else ()

    def truth(self) -> Iterator[truth.Terminal]:
        """Tell what every terminal has produced."""
        for index, device in enumerate(self._devices):
            journal = device.journal
            left = journal.left()
            boots = [(boot, last) for boot, last in [*device.boots, (journal.boot, journal.seq)] if last]
            yield truth.Terminal(
                device.identity.id,
                [
                    truth.Boot(
                        boot,
                        last,
                        journal.dropped.get(boot, []),
                        left.get(boot, []),
                        ranges(self._misdated.get((index, boot), [])),
                    )
                    for boot, last in boots
                ],
            )

    def _note_events(self, events: list[Event]) -> list[int]:
        for event in events:
            device = self._devices[event.terminal]
            if event.code is EventCode.REBOOT:
                device.reboot(event.second)
                if self.updates is not None:
                    self.updates.rebooted(event.terminal, event.second)
                self.swarm.restarted(event.terminal)
            offset_ms = int(self._clock_ms[event.terminal])
            device.note_event(event.second * 1000 + offset_ms, event.code, event.detail)
            self._mind(event.terminal, offset_ms)
        self.produced += len(events)
        return [event.terminal for event in events]

    def _note_samples(self, due: np.ndarray, values: np.ndarray, second: int) -> None:
        clock = values[:, _CLOCK]
        known = ~np.isnan(clock)
        self._clock_ms[due[known]] = np.rint(clock[known])
        offsets = self._clock_ms[due]
        rows = rounded(values)
        for index, row, at_ms in zip(due.tolist(), rows, (second * 1000 + offsets).tolist(), strict=True):
            self._devices[index].note_sample(at_ms, row)
        for place in np.flatnonzero((offsets > _FAST_MS) | (offsets < -_SLOW_MS)).tolist():
            self._mind(int(due[place]), int(offsets[place]))
        self.produced += len(rows)

    def _mind(self, index: int, offset_ms: int) -> None:
        if not -_SLOW_MS <= offset_ms <= _FAST_MS:
            journal = self._devices[index].journal
            self._misdated.setdefault((index, journal.boot), []).append(journal.seq)
