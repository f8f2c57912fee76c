"""Holds what the diagnosis said against what really was wrong.

The words, as the figures mean them:

An *incident* counts when it was told: not muted by maintenance, not from its start a part of another one. Incidents that the
diagnosis itself merged, or put under a wider one, are one incident: told when the first of them was, with the scope of the one
that lives on.

A fault that expects an incident is *detected* when an incident was told while it acted (from its first effect to the end of its
recovery) and most of the terminals that showed it then are the fault's. Each incident is matched to one fault at most, the one
that explains most of its terminals; of several for one fault the first is the match, and every other one is *false*, as are
those that match no fault. Faults that expect a symptom, or nothing, explain no incident.

A fault that expects a symptom is *detected* when a symptom of that terminal was found while it acted on it. A symptom is *false*
at a terminal that no harmful fault acts on, or acted on a little while ago.

A fault that *could not show* is neither detected nor missed: it had no effect before the play ended, or all of its terminals
stood in closed shops. Its `detected` is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Fleet
from diagnostics.snapshot import Bool, Index
from diagnostics.tracking.maintenance import in_scope
from simulators.happenings import FaultTruth
from simulators.scenario import HARMLESS
from vigie.evaluate.record import Life, Said, Symptom

# What a fault leaves behind (a restart, a calming call, a window that still remembers) is its own for so long.
AFTERMATH_S: Final = 900
# Of the terminals that show an incident, the part that must be the fault's.
_MOSTLY: Final = 0.5
INCIDENT, SYMPTOM = "incident", "symptom"


@dataclass(frozen=True)
class FaultOutcome:
    """What became of one fault; None where the question does not arise."""

    order: int
    kind: str
    expect: str
    terminals: int
    detected: bool | None
    latency_s: float | None = None
    incident_scope: Mapping[str, str] | None = None
    scope_exact: bool | None = None
    jaccard: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario: its faults in order, and what was said without cause."""

    faults: Sequence[FaultOutcome]
    false_incidents: Sequence[Life]
    false_symptoms: Sequence[Symptom]
    # Incidents that matched a fault.
    true_incidents: int


def match(said: Said, truth: Sequence[FaultTruth], fleet: Fleet) -> Outcome:
    """Hold all that was said in a play against its truth."""
    lives = _families(said.lives)
    matched, false = _matched(lives, truth, n=len(fleet))
    faults = [_judge_fault(fault, matched.get(fault.order), said, fleet) for fault in truth]
    return Outcome(
        faults=faults,
        false_incidents=false,
        false_symptoms=_without_cause(said.symptoms, truth, n=len(fleet)),
        true_incidents=len(matched),
    )


def _families(lives: Mapping[int, Life]) -> list[Life]:
    """The incidents that were told, each with those that were merged into it or put under it; in order of their telling."""
    root: dict[int, Life] = {}
    for life in sorted((life for life in lives.values() if life.told_s is not None), key=lambda life: (life.told_s, life.key)):
        above, seen = life, {life.key}
        while (parent := above.last.parent) is not None and parent in lives and parent not in seen:
            above = lives[parent]
            seen.add(parent)
        first = root.get(above.key, life)
        root[above.key] = Life(
            key=above.key,
            trouble=above.trouble,
            opened_s=first.opened_s,
            rows_then=first.rows_then,
            last=above.last,
            told_s=first.told_s,
            closed_s=above.closed_s,
            moments=above.moments,
        )
    return sorted(root.values(), key=lambda life: (life.told_s or 0, life.key))


def _matched(lives: Sequence[Life], truth: Sequence[FaultTruth], *, n: int) -> tuple[dict[int, Life], list[Life]]:
    """The incident of each detected fault, by the fault's order; and the false ones."""
    matched: dict[int, Life] = {}
    false: list[Life] = []
    for life in lives:
        told_s = life.told_s or 0
        shares = {
            fault.order: _share(life, fault, n=n)
            for fault in truth
            if fault.expect == INCIDENT and fault.first_effect_s is not None and fault.first_effect_s <= told_s < fault.over_s
        }
        # Of faults that explain it equally the one not yet detected comes first.
        best = max(shares, key=lambda order: (shares[order], order not in matched), default=None)
        if best is None or shares[best] < _MOSTLY or best in matched:
            false.append(life)
        else:
            matched[best] = life
    return matched, false


def _share(life: Life, fault: FaultTruth, *, n: int) -> float:
    if not len(life.rows_then):
        return 0.0
    return float(_members(fault.terminals, n)[life.rows_then].mean())


def _judge_fault(fault: FaultTruth, life: Life | None, said: Said, fleet: Fleet) -> FaultOutcome:
    size = len(fault.terminals)
    opened = said.was_open.get(fault.order, np.zeros(size, bool))
    if fault.expect not in (INCIDENT, SYMPTOM):
        return FaultOutcome(fault.order, fault.kind, fault.expect, size, detected=None)
    if fault.first_effect_s is None or not opened.any():
        return FaultOutcome(fault.order, fault.kind, fault.expect, size, detected=None)
    if fault.expect == SYMPTOM:
        found_s = _found_s(fault, said.symptoms, n=len(fleet))
        latency = None if found_s is None else float(found_s - fault.first_effect_s)
        return FaultOutcome(fault.order, fault.kind, fault.expect, size, detected=found_s is not None, latency_s=latency)
    if life is None or life.told_s is None:
        return FaultOutcome(fault.order, fault.kind, fault.expect, size, detected=False)
    exact = None
    if fault.scope is not None:
        exact = bool(np.array_equal(in_scope(fleet, life.last.scope_by_name), in_scope(fleet, fault.scope)))
    return FaultOutcome(
        fault.order,
        fault.kind,
        fault.expect,
        size,
        detected=True,
        latency_s=float(life.told_s - fault.first_effect_s),
        incident_scope=life.last.scope_by_name,
        scope_exact=exact,
        jaccard=_jaccard(life.last.rows, fault.terminals[opened], n=len(fleet)),
    )


def _jaccard(shown: Index, affected: NDArray[np.int32], *, n: int) -> float:
    """Terminals that showed the incident against those of the fault that stood in open shops."""
    said, true = _members(shown, n), _members(affected, n)
    return float((said & true).sum() / max(1, (said | true).sum()))


def _found_s(fault: FaultTruth, symptoms: Sequence[Symptom], *, n: int) -> int | None:
    """When the first symptom of any of the fault's terminals was found while it acted there."""
    slot = np.full(n, -1)
    slot[fault.terminals] = np.arange(len(fault.terminals))
    times = [
        one.found_s
        for one in symptoms
        if (at := int(slot[one.row])) >= 0 and fault.onset_s[at] <= one.found_s < max(fault.over_s, int(fault.until_s[at]))
    ]
    return min(times, default=None)


def _without_cause(symptoms: Sequence[Symptom], truth: Sequence[FaultTruth], *, n: int) -> list[Symptom]:
    """The symptoms at terminals that nothing harmful acts on, or just acted on."""
    rows = np.array([one.row for one in symptoms], np.intp)
    found_s = np.array([one.found_s for one in symptoms], np.int64)
    caused = np.zeros(len(symptoms), bool)
    for fault in truth:
        if fault.kind in HARMLESS:
            continue
        from_s = np.full(n, 2**62, np.int64)
        from_s[fault.terminals] = fault.onset_s
        caused |= (from_s[rows] <= found_s) & (found_s < fault.over_s + AFTERMATH_S)
    return [one for one, has_cause in zip(symptoms, caused.tolist(), strict=True) if not has_cause]


def _members(rows: NDArray[np.integer], n: int) -> Bool:
    members = np.zeros(n, bool)
    members[rows] = True
    return members
