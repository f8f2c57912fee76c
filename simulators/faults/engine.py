"""All faults of a scenario at work together on one fleet."""

from collections.abc import Mapping

import numpy as np

from simulators.faults.base import Fault, Site
from simulators.faults.counter import (
    CentralOutage,
    PaperOut,
    PrinterDegraded,
    ScannerDegraded,
    SettlementError,
    SlowTransactions,
)
from simulators.faults.harmless import EarlyCloseDay, MaintenanceReboot, NewTerminals, RaceRush
from simulators.faults.machine import ClockDrift, CrashLoop, DiskFull, FrozenApp, MemoryLeak, Overheating, PowerCut
from simulators.faults.network import NetworkDegraded, NetworkOutage, WeakRadio
from simulators.happenings import Agenda, Connectivity, FaultTruth
from simulators.opening import EarlyClose, Opening
from simulators.randomness import F32
from simulators.scenario import Effect, FaultSpec, Kind, ReleaseSpec, Scenario, ScenarioError
from simulators.world import I32, World

FAULT_CLASSES: Mapping[Kind, type[Fault]] = {
    Kind.NETWORK_OUTAGE: NetworkOutage,
    Kind.NETWORK_DEGRADED: NetworkDegraded,
    Kind.POWER_CUT: PowerCut,
    Kind.PRINTER_DEGRADED: PrinterDegraded,
    Kind.PAPER_OUT: PaperOut,
    Kind.SCANNER_DEGRADED: ScannerDegraded,
    Kind.MEMORY_LEAK: MemoryLeak,
    Kind.CRASH_LOOP: CrashLoop,
    Kind.SLOW_TRANSACTIONS: SlowTransactions,
    Kind.CENTRAL_OUTAGE: CentralOutage,
    Kind.CLOCK_DRIFT: ClockDrift,
    Kind.OVERHEATING: Overheating,
    Kind.DISK_FULL: DiskFull,
    Kind.FROZEN_APP: FrozenApp,
    Kind.WEAK_RADIO: WeakRadio,
    Kind.SETTLEMENT_ERROR: SettlementError,
    Kind.RACE_RUSH: RaceRush,
    Kind.EARLY_CLOSE: EarlyCloseDay,
    Kind.MAINTENANCE_REBOOT: MaintenanceReboot,
    Kind.NEW_TERMINALS: NewTerminals,
}


# What a bad release does to whoever runs it; its other effects befall those who install it.
KIND_OF_EFFECT: Mapping[Effect, Kind] = {
    Effect.PRINTER_ERRORS: Kind.PRINTER_DEGRADED,
    Effect.SCANNER_ERRORS: Kind.SCANNER_DEGRADED,
    Effect.TRANSACTION_ERRORS: Kind.SLOW_TRANSACTIONS,
    Effect.CRASHES: Kind.CRASH_LOOP,
    Effect.CALLS: Kind.SETTLEMENT_ERROR,
}


class FaultEngine:
    """Applies each fault while it is at work; tells the truth of what it did."""

    def __init__(self, world: World, scenario: Scenario, *, opening: Opening, agenda: Agenda) -> None:
        self.faults: list[Fault] = []
        for order, spec in enumerate(scenario.fault):
            check_terminals(world, scenario, order)
            site = Site(order, spec, world, opening, agenda, scenario.seed, scenario.start_s)
            self.faults.append(FAULT_CLASSES[spec.kind](site))
        opening.close_early(early_closes(self.faults))
        # What releases do, by the order of their tables: dormant until a terminal is updated.
        self._of_release: dict[int, tuple[ReleaseSpec, Fault]] = {}
        for order, release in enumerate(scenario.release):
            if (kind := KIND_OF_EFFECT.get(release.effect)) is not None:
                site = Site(
                    len(self.faults) + order,
                    _as_fault(release, kind, scenario),
                    world,
                    opening,
                    agenda,
                    scenario.seed,
                    scenario.start_s,
                )
                fault = FAULT_CLASSES[kind](site)
                fault.lie_dormant()
                self._of_release[order] = release, fault
        self._active: list[Fault] = []
        self._active_from_s, self._active_until_s = 0, 0
        self._touched = np.zeros(len(world), bool)

    def _everything(self) -> list[Fault]:
        return [*self.faults, *(fault for _, fault in self._of_release.values())]

    def active(self, t_s: int) -> list[Fault]:
        """The faults that are at work, or still fading, at `t_s`."""
        if not self._active_from_s <= t_s < self._active_until_s:
            everything = self._everything()
            self._active = [fault for fault in everything if fault.begin_s <= t_s < fault.over_s]
            edges = [edge for fault in everything for edge in (fault.begin_s, fault.over_s)]
            self._active_from_s = max((edge for edge in edges if edge <= t_s), default=0)
            self._active_until_s = min((edge for edge in edges if edge > t_s), default=2**62)
            self._touched[:] = False
            for fault in self._active:
                if fault.alters:
                    self._touched[fault.terminals] = True
        return self._active

    def apply(self, idx: I32, t_s: int, values: F32) -> None:
        """Change the samples `values` (len(idx), 18) of terminals `idx`, taken at `t_s`, in place."""
        active = self.active(t_s)
        if not active:
            return
        (hit,) = np.nonzero(self._touched[idx])
        if not len(hit):
            return
        terminals = idx[hit]
        block = values[hit]
        for fault in active:
            if not fault.alters:
                continue
            rows = fault.slot[terminals]
            (mine,) = np.nonzero(rows >= 0)
            if not len(mine):
                continue
            level = fault.level(rows[mine], t_s)
            if level.any():
                before = block[mine]
                after = before.copy()
                fault.alter(after, rows[mine], t_s, level)
                block[mine] = after
                if fault.first_effect_s is None and not np.array_equal(before, after, equal_nan=True):
                    fault.noticed(t_s)
        values[hit] = block

    def connectivity(self, t_s: int, into: Connectivity) -> None:
        """Change `into` in place by what each fault does to power and network."""
        for fault in self.active(t_s):
            fault.connect(into, t_s)

    def advance(self, t0_s: int, t1_s: int) -> None:
        """Put what the faults make happen in [t0, t1) on the agenda."""
        for fault in self._everything():
            if fault.begin_s < t1_s and t0_s < fault.over_s:
                fault.happen(t0_s, t1_s)

    def demand(self, idx: I32, t_s: int) -> F32 | None:
        """What custom is multiplied with at `t_s`: float32 (len(idx),), or None when no fault touches it."""
        product: F32 | None = None
        for fault in self.active(t_s):
            if not fault.moves_demand:
                continue
            rows = fault.slot[idx]
            factor = fault.demand(np.maximum(rows, 0), t_s)
            if factor is not None:
                factor = np.where(rows >= 0, factor, np.float32(1))
                product = factor if product is None else product * factor
        return product

    def rebooted(self, terminal: int, t_s: int) -> None:
        """Let the faults that count from a restart know of one."""
        for fault in self.active(t_s):
            if fault.slot[terminal] >= 0:
                fault.rebooted(terminal, t_s)

    def updated(self, terminal: int, version: str, t_s: int) -> list[int]:
        """Let a terminal run a version from now on; returns the orders of the `[[release]]`s that it suffers from."""
        suffers = []
        for order, (release, fault) in self._of_release.items():
            if release.version != version:
                fault.rest(terminal, t_s)
            elif fault.wake(terminal, t_s):
                suffers.append(order)
        return suffers

    def truth(self) -> list[FaultTruth]:
        """What each fault has done so far, in the scenario's order."""
        return [
            FaultTruth(
                order=order,
                kind=str(fault.spec.kind),
                expect=fault.spec.expect,
                scope=None if fault.spec.scope is None else fault.spec.scope_by_name(),
                terminals=fault.terminals,
                onset_s=fault.onset_s,
                first_effect_s=fault.first_effect_s,
                end_s=fault.end_s,
                until_s=fault.until_s,
                over_s=fault.over_s,
            )
            for order, fault in enumerate(self.faults)
        ]


def _as_fault(release: ReleaseSpec, kind: Kind, scenario: Scenario) -> FaultSpec:
    return FaultSpec(
        kind=kind,
        at_min=0,
        minutes=scenario.minutes,
        scope={},
        fraction=release.fraction,
        strength=release.strength,
        expect="incident",
    )


def early_closes(faults: list[Fault]) -> tuple[EarlyClose, ...]:
    """Return every early closing, which the opening hours have to know before the day begins."""
    return tuple(fault.early_close() for fault in faults if isinstance(fault, EarlyCloseDay))


def check_terminals(world: World, scenario: Scenario, order: int) -> None:
    """Refuse a fault that would befall nobody: its terminals are not in this world, or nothing is in its scope."""
    spec = scenario.fault[order]
    where = f"scenario {scenario.name!r}, fault {order + 1} ({spec.kind})"
    if spec.terminals is not None:
        unknown = [terminal for terminal in spec.terminals if terminal not in world.row_of]
        if unknown:
            raise ScenarioError(f"{where}: no terminal {unknown[0]}; this world has {world.ids[0]} to {world.ids[-1]}")
        return
    for dimension, value in spec.scope_by_name().items():
        if value not in world.levels[dimension]:
            known = ", ".join(world.levels[dimension][:40])
            raise ScenarioError(f"{where}: no terminal has {dimension} = {value!r}; there is {known}")
    if not len(world.in_scope(spec.scope_by_name())):
        raise ScenarioError(f"{where}: no terminal is in the scope {spec.scope}; widen it or play with more terminals")
