"""The figures of an evaluation: as JSON for programs, as a table for people. Their words are defined in `matching`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from rich.table import Table

from vigie.evaluate.evaluation import Result
from vigie.evaluate.matching import INCIDENT, SYMPTOM, FaultOutcome
from vigie.evaluate.trace import scope_in_words

_DAY_S: Final = 86_400


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Everything, in the form that `vigie evaluate --json` writes."""
    return {"scenarios": [_scenario(one) for one in results], "total": totals(results)}


def write_json(path: Path, results: Sequence[Result]) -> None:
    """Write the JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(as_json(results))) + b"\n")
    partial.rename(path)


def totals(results: Sequence[Result]) -> dict[str, float | None]:
    """The figures over all scenarios; null where nothing was there to be counted.

    `recall`, `precision`, `scope_exact` and the latencies (seconds) are of incidents: precision counts those that matched a
    fault of all that were told, latency and exact scopes are over the detected faults. `symptom_recall` is over the faults that
    expect a symptom; `symptom_precision` is theirs against the false symptoms of the same scenarios. Ticks (milliseconds of
    deciding alone) and `times_real_time` (the time played by the time that playing took, warm-up left out) are over all.
    """
    faults = [fault for one in results for fault in one.outcome.faults if fault.detected is not None]
    incidents = [fault for fault in faults if fault.expect == INCIDENT]
    symptoms = [fault for fault in faults if fault.expect == SYMPTOM]
    found = [fault for fault in incidents if fault.detected]
    latency = [fault.latency_s for fault in found if fault.latency_s is not None]
    scopes = [fault.scope_exact for fault in found if fault.scope_exact is not None]
    ill = sum(1 for fault in symptoms if fault.detected)
    wrongly_ill = sum(len(one.outcome.false_symptoms) for one in results if _expects(one, SYMPTOM))
    false = sum(len(one.outcome.false_incidents) for one in results)
    true = sum(one.outcome.true_incidents for one in results)
    took_s = np.concatenate([one.took_s for one in results]) if results else np.zeros(0)
    return {
        "recall": _part(len(found), len(incidents)),
        "precision": _part(true, true + false),
        "scope_exact": _part(sum(scopes), len(scopes)),
        "latency_p50_s": _percentile(latency, 50),
        "latency_p95_s": _percentile(latency, 95),
        "false_incidents_per_day": _part(false, sum(one.played_s for one in results) / _DAY_S),
        "symptom_precision": _part(ill, ill + wrongly_ill),
        "symptom_recall": _part(ill, len(symptoms)),
        "tick_p99_ms": round(float(np.percentile(took_s, 99)) * 1000, 2) if len(took_s) else None,
        "times_real_time": _part(sum(one.played_s for one in results), sum(one.play_wall_s for one in results)),
    }


def scenario_table(results: Sequence[Result]) -> Table:
    """One row for each fault that expects an incident; what was found of symptoms, and said without cause, is in the last ones."""
    table = Table(title="what was found")
    for name in ("scenario", "fault"):
        table.add_column(name, no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("scope stated", min_width=14)
    for name in ("jaccard", "symptoms", "false", "×"):
        table.add_column(name, justify="right", no_wrap=True)
    table.caption = "false: incidents, symptoms; ×: played time by the time it took"
    for one in results:
        false = _must_be_none(len(one.outcome.false_incidents))
        sums = (_counted(one), f"{false}, {len(one.outcome.false_symptoms)}", f"{one.played_s / one.play_wall_s:.0f}")
        rows = [_fault_cells(fault) for fault in one.outcome.faults if fault.expect == INCIDENT] or [("", "", "", "")]
        for number, cells in enumerate(rows):
            table.add_row(Path(one.file).stem if number == 0 else "", *cells, *(sums if number == 0 else ("",) * len(sums)))
        table.add_section()
    return table


def total_table(results: Sequence[Result]) -> Table:
    """The figures over all scenarios, and how many faults could not show."""
    table = Table(title="over all scenarios", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in totals(results).items():
        table.add_row(name.replace("_", " "), "—" if value is None else f"{value:,.4g}")
    unseen = sum(
        1 for one in results for fault in one.outcome.faults if fault.detected is None and fault.expect in (INCIDENT, SYMPTOM)
    )
    table.add_row("faults that could not show", str(unseen))
    table.add_row("warm-up of a scenario, s", f"{np.mean([one.warm_wall_s for one in results]):.1f}" if results else "—")
    return table


def _scenario(one: Result) -> dict[str, Any]:
    return {
        "file": one.file,
        "name": one.name,
        "faults": [_fault(fault) for fault in one.outcome.faults],
        "false_incidents": len(one.outcome.false_incidents),
        "false_symptoms": len(one.outcome.false_symptoms),
        "days": round(one.played_s / _DAY_S, 4),
    }


def _fault(fault: FaultOutcome) -> Mapping[str, Any]:
    return {
        "kind": fault.kind,
        "expect": fault.expect,
        "terminals": fault.terminals,
        "detected": fault.detected,
        "latency_s": fault.latency_s,
        "incident_scope": fault.incident_scope,
        "scope_exact": fault.scope_exact,
        "jaccard": None if fault.jaccard is None else round(fault.jaccard, 4),
    }


def _fault_cells(fault: FaultOutcome) -> tuple[str, str, str, str]:
    what = f"{fault.kind} {fault.terminals:,}"
    if fault.detected is None:
        return what, "could not show", "", ""
    if not fault.detected or fault.incident_scope is None:
        return what, "[red]missed[/]", "", ""
    scope = scope_in_words(tuple(fault.incident_scope.items()))
    colour = {True: "green", False: "red", None: "white"}[fault.scope_exact]
    return what, f"{fault.latency_s:.0f} s", f"[{colour}]{scope}[/]", f"{fault.jaccard:.2f}"


def _counted(one: Result) -> str:
    symptoms = [fault for fault in one.outcome.faults if fault.expect == SYMPTOM and fault.detected is not None]
    return f"{sum(1 for fault in symptoms if fault.detected)} of {len(symptoms)}" if symptoms else ""


def _must_be_none(count: int) -> str:
    return f"[red]{count}[/]" if count else "0"


def _expects(one: Result, what: str) -> bool:
    return any(fault.expect == what for fault in one.outcome.faults)


def _part(some: float, of_all: float) -> float | None:
    return round(some / of_all, 4) if of_all else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None
