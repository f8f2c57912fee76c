"""The figures of the campaigns that were played: as JSON for programs, as a table for people."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from rich.table import Table

from firmware_rollout.gate.judging import Why
from firmware_rollout.gate.policy import DEFAULT_POLICY
from fleet.errors import VigieError
from vigie.evaluate_gate.campaign import WAVES_PCT
from vigie.evaluate_gate.cases import CASES, FALSE_HALTS_AT_MOST, Case, Kind, Target, kind_of_seed
from vigie.evaluate_gate.evaluating import GATE, METHODS, Played, at_least, at_most, of_case, stopped_by

SHOWN_PCT: Final = WAVES_PCT[:-1]


class GateReportError(VigieError):
    """A file of campaigns that cannot be read."""


class _Kept(msgspec.Struct):
    judged_by: str
    campaigns: list[Played]


def judged_by(target: Target) -> str:
    """A name of what campaigns were judged by, and aimed at: others' are not to be counted with them."""
    told = msgspec.json.encode([DEFAULT_POLICY, WAVES_PCT, target])
    return hashlib.sha256(told).hexdigest()


def missed(figures: Sequence[dict[str, Any]]) -> list[str]:
    """The cases that miss a figure to reach. So few harmless campaigns without a halt that they prove nothing miss none."""
    return [
        one["case"] for one in figures for goal in one["goals"] if not goal["met"] and not ("bound" in goal and one["halted"] == 0)
    ]


def summaries(played: Sequence[Played], target: Target = Target.FLEET) -> list[dict[str, Any]]:
    """The figures of each case and way of judging, in the order of cases; those that were not played are left out."""
    found = []
    for case in CASES:
        for method in METHODS:
            campaigns = of_case(played, method=method, case=case)
            if campaigns:
                found.append(_summary(case, method, campaigns, target))
    return found


def write_json(path: Path, played: Sequence[Played], target: Target = Target.FLEET) -> None:
    """Write figures and campaigns, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    told = {"judged_by": judged_by(target), "target": target, "figures": summaries(played, target), "campaigns": played}
    partial.write_bytes(msgspec.json.encode(told) + b"\n")
    partial.rename(path)


def read_campaigns(path: Path, target: Target = Target.FLEET) -> list[Played]:
    """The campaigns that `write_json` wrote; none where there is no such file.

    Raises:
        GateReportError: the file holds something else, or campaigns that another policy judged or that aimed at others.
    """
    if not path.exists():
        return []
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError) as error:
        raise GateReportError(f"{path}: holds no campaigns to go on from ({error})") from None
    if kept.judged_by != judged_by(target):
        raise GateReportError(f"{path}: its campaigns were judged by another policy, or aimed at others; name another file")
    return kept.campaigns


def table(played: Sequence[Played], target: Target = Target.FLEET) -> Table:
    """One row for each case and way of judging; bounds are one-sided, 95 %, of Clopper and Pearson."""
    shown = Table(
        title=f"campaigns ({target}), and where they were stopped",
        caption="stopped: % of campaigns, by % of its shops reached; undecided: a person had to decide",
    )
    shown.add_column("case", no_wrap=True)
    shown.add_column("judged by", no_wrap=True)
    shown.add_column("campaigns", justify="right")
    shown.add_column("halted", justify="right", no_wrap=True)
    for pct in SHOWN_PCT:
        shown.add_column(f"≤ {pct:g} %", justify="right", no_wrap=True)
    shown.add_column("undecided", justify="right")
    shown.add_column("days (p90)", justify="right", no_wrap=True)
    shown.add_column("figure to reach", no_wrap=True)
    last = ""
    for one in summaries(played, target):
        if one["case"] != last and last:
            shown.add_section()
        shown.add_row(*_cells(one, first=one["case"] != last))
        last = one["case"]
    return shown


def _summary(case: Case, method: str, campaigns: Sequence[Played], target: Target) -> dict[str, Any]:
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
        "undecided": sum(1 for one in ended if one.metrics == (str(Why.UNDECIDED),)),
        "days_p50": float(np.median(days)),
        "days_p90": float(np.percentile(days, 90)),
        "wave_days_mean": [round(float(mean), 1) for mean in np.mean(waves, axis=0)] if waves else None,
        "blamed": dict(Counter(metric for one in ended for metric in one.metrics).most_common()),
        # The figures to reach are parts of the fleet.
        "goals": _goals(case, campaigns) if method == GATE and target is Target.FLEET else [],
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
    held = str(one["held_up"] + one["undecided"]) if one["held_up"] + one["undecided"] else ""
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
