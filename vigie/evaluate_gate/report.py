"""The figures of the campaigns that were played: as JSON for programs, as a table for people."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from rich.table import Table

from fleet.errors import VigieError
from vigie.evaluate_gate.campaign import WAVES_PCT
from vigie.evaluate_gate.cases import CASES, FALSE_HALTS_AT_MOST, Case, Kind, kind_of_seed
from vigie.evaluate_gate.evaluating import GATE, METHODS, Played, at_least, at_most, of_case, stopped_by

SHOWN_PCT: Final = WAVES_PCT[:-1]


class GateReportError(VigieError):
    """A file of campaigns that cannot be read."""


class _Kept(msgspec.Struct):
    campaigns: list[Played]


def summaries(played: Sequence[Played]) -> list[dict[str, Any]]:
    """The figures of each case and way of judging, in the order of cases; those that were not played are left out."""
    found = []
    for case in CASES:
        for method in METHODS:
            campaigns = of_case(played, method=method, case=case)
            if campaigns:
                found.append(_summary(case, method, campaigns))
    return found


def write_json(path: Path, played: Sequence[Played]) -> None:
    """Write figures and campaigns, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(msgspec.json.encode({"figures": summaries(played), "campaigns": played}) + b"\n")
    partial.rename(path)


def read_campaigns(path: Path) -> list[Played]:
    """The campaigns that `write_json` wrote; none where there is no such file.

    Raises:
        GateReportError: the file holds something else.
    """
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept).campaigns
    except (OSError, msgspec.DecodeError) as error:
        raise GateReportError(f"{path}: holds no campaigns to go on from ({error})") from None


def table(played: Sequence[Played]) -> Table:
    """One row for each case and way of judging; bounds are one-sided, 95 %, of Clopper and Pearson."""
    shown = Table(title="campaigns, and where they were stopped", caption="stopped: % of campaigns, by % of shops reached")
    shown.add_column("case", no_wrap=True)
    shown.add_column("judged by", no_wrap=True)
    shown.add_column("campaigns", justify="right")
    shown.add_column("halted", justify="right", no_wrap=True)
    for pct in SHOWN_PCT:
        shown.add_column(f"≤ {pct:g} %", justify="right", no_wrap=True)
    shown.add_column("held up", justify="right")
    shown.add_column("days (p90)", justify="right", no_wrap=True)
    shown.add_column("figure to reach", no_wrap=True)
    last = ""
    for one in summaries(played):
        if one["case"] != last and last:
            shown.add_section()
        shown.add_row(*_cells(one, first=one["case"] != last))
        last = one["case"]
    return shown


def _summary(case: Case, method: str, campaigns: Sequence[Played]) -> dict[str, Any]:
    count = len(campaigns)
    ended = [one.ended for one in campaigns]
    halted = sum(one.halted for one in ended)
    days = [one.days for one in ended]
    waves = [one.wave_days for one in ended if one.finished]
    return {
        "case": case.name,
        "method": method,
        "harmless": case.harmless,
        "campaigns": count,
        "halted": halted,
        "halted_at_most": round(at_most(halted, count), 5),
        "stopped_by_pct": _stopped(campaigns),
        "kinds": _kinds(campaigns) if case.faults > 1 else None,
        "held_up": sum(1 for one in ended if not one.halted and not one.finished),
        "days_p50": float(np.median(days)),
        "days_p90": float(np.percentile(days, 90)),
        "wave_days_mean": [round(float(mean), 1) for mean in np.mean(waves, axis=0)] if waves else None,
        "blamed": dict(Counter(metric for one in ended for metric in one.metrics).most_common()),
        "goals": _goals(case, campaigns) if method == GATE else [],
    }


def _stopped(campaigns: Sequence[Played]) -> dict[str, int]:
    return {f"{pct:g}": stopped_by(campaigns, pct) for pct in SHOWN_PCT}


def _kinds(campaigns: Sequence[Played]) -> dict[str, Any]:
    """The same by the kind of fault, because some are much rarer than others."""
    found = {}
    for kind in Kind:
        chosen = [one for one in campaigns if kind_of_seed(one.seed) is kind]
        if chosen:
            days = float(np.median([one.ended.days for one in chosen]))
            found[str(kind)] = {"campaigns": len(chosen), "stopped_by_pct": _stopped(chosen), "days_p50": days}
    return found


def _goals(case: Case, campaigns: Sequence[Played]) -> list[dict[str, Any]]:
    count = len(campaigns)
    goals = []
    for goal in case.goals:
        stopped = stopped_by(campaigns, goal.by_pct)
        share = stopped / count
        goals.append(
            {
                "stopped_by_pct": goal.by_pct,
                "at_least": goal.at_least,
                "share": round(share, 5),
                "share_at_least": round(at_least(stopped, count), 5),
                "met": share >= goal.at_least,
            }
        )
    if case.harmless and not case.biased:
        bound = at_most(sum(1 for one in campaigns if one.ended.halted), count)
        goals.append({"false_halts_at_most": FALSE_HALTS_AT_MOST, "bound": round(bound, 5), "met": bound <= FALSE_HALTS_AT_MOST})
    return goals


def _cells(one: dict[str, Any], *, first: bool) -> tuple[str, ...]:
    count = one["campaigns"]
    halted = f"{100 * one['halted'] / count:.1f} %"
    if one["harmless"]:
        halted += f" (at most {100 * one['halted_at_most']:.1f} %)"
    stopped = [f"{100 * found / count:.1f}" for found in one["stopped_by_pct"].values()]
    days = f"{one['days_p50']:.0f} ({one['days_p90']:.0f})"
    held = str(one["held_up"]) if one["held_up"] else ""
    return (one["case"] if first else "", one["method"], f"{count:,}", halted, *stopped, held, days, _goals_in_words(one["goals"]))


def _goals_in_words(goals: Sequence[dict[str, Any]]) -> str:
    words = []
    for goal in goals:
        colour = "green" if goal["met"] else "red"
        if "bound" in goal:
            words.append(f"[{colour}]at most {100 * goal['false_halts_at_most']:g} %[/]")
        else:
            words.append(f"[{colour}]≥ {100 * goal['at_least']:g} % by {goal['stopped_by_pct']:g} %[/]")
    return ", ".join(words)
