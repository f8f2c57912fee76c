"""Vigie's diagnosis beside simpler detectors, on the same scenarios in the same run: `python -m benchmarks.rivals [FILE …]`.

The rivals: static limits; each terminal's own median and MAD; scikit-learn's IsolationForest; pyod's ECOD. They see the same
messages at the same moments (each minute), the same opening hours, and get the incident rule of `rival_incidents`. Their two
thresholds (how odd a terminal must be, by its share of quiet history; how surprising a cell) are chosen, each rival for itself,
where its F1 *on these very scenarios* is best: better than anybody could choose them beforehand. Vigie's are those it is
delivered with. Without files the public scenarios are played, the demonstration left out.

pyod is no dependency of Vigie: it is installed from `benchmarks/rivals.lock` into a throw-away folder.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.engines import described
from benchmarks.rival_incidents import Cells, Rule
from benchmarks.rival_scores import F32, Readings, Score, Usual, beyond_limits, eligible, farthest, trained
from diagnostics.detector.observed import Observed
from diagnostics.snapshot import Bool
from simulators.scenario import load, shipped
from vigie.evaluate.matching import INCIDENT, Outcome, match
from vigie.evaluate.player import Player, Tick
from vigie.evaluate.record import Life, Record, Symptom

LOCK: Final = Path(__file__).with_name("rivals.lock")
RIVALS: Final = ("static limits", "median/MAD", "IsolationForest", "ECOD")
OURS: Final = "Vigie"
# The share of well terminals that alarm, and the surprise a cell must be; every pair is tried.
_RATES: Final = (1e-2, 1e-3, 1e-4)
_SURPRISES: Final = (4.0, 6.0, 9.0, 14.0, 20.0, 30.0)
_LOOK_S: Final = 60
# History is looked at so often: enough for a median, little for the memory.
_HISTORY_EVERY_S: Final = 3 * 3600
_SETTLING_LOOK_S: Final = 300


@dataclass
class _Spoken:
    """A rival's incidents in the form that the matching takes."""

    lives: Mapping[int, Life]
    was_open: Mapping[int, Bool]
    symptoms: Sequence[Symptom] = ()


@dataclass
class _Rival:
    name: str
    score: Score
    limits: list[float] = field(default_factory=list)  # by rate
    rates: list[float] = field(default_factory=list)  # as really met on quiet history
    rules: dict[tuple[int, float], Rule] = field(default_factory=dict)

    def calibrate(self, quiet: Sequence[float], cells: Cells) -> None:
        """Set the limit of each wanted rate on scores of the quiet fleet."""
        scores = np.asarray(quiet)
        for number, rate in enumerate(_RATES):
            limit = 0.5 if self.name == RIVALS[0] else float(np.quantile(scores, 1 - rate))
            self.limits.append(limit)
            self.rates.append(max(float((scores > limit).mean()), 1e-5))
            for surprise in _SURPRISES:
                self.rules[number, surprise] = Rule(surprise, cells)

    def look(self, raw: F32, deviation: F32, could: Bool, *, second: int) -> None:
        """Look at the fleet once, with every pair of thresholds."""
        scores = np.zeros(len(could))
        rows = np.flatnonzero(could)
        if len(rows):
            scores[rows] = self.score(raw[rows], deviation[rows])
        for number, (limit, rate) in enumerate(zip(self.limits, self.rates, strict=True)):
            cells = self.rules[number, _SURPRISES[0]].cells
            found = cells.surprising(scores > limit, could, rate, least=_SURPRISES[0])
            for surprise in _SURPRISES:
                self.rules[number, surprise].look(found, second=second, every_s=2 * _LOOK_S)


class _Bench:
    """All rivals on one player."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._readings = Readings(len(player.world), player.fleet.shop)
        self._history: list[tuple[F32, Bool]] = []
        self._cells = Cells(player.fleet)
        self.rivals: list[_Rival] = []

    def remember(self, second: int, seen: Observed) -> None:
        """One step of history."""
        self._readings.take(seen, second=second)
        if second % _HISTORY_EVERY_S == 0:
            self._history.append((self._readings.raw(second), self._player.population.is_open(second - 1).copy()))

    def train(self) -> None:
        """Learn what is usual, and train on it."""
        self._usual = Usual(self._history)
        deviations = [self._usual.deviation(raw)[is_open] for raw, is_open in self._history if is_open.any()]
        sample = np.concatenate(deviations)
        scores = (beyond_limits, farthest, trained("IsolationForest", sample), trained("ECOD", sample))
        self.rivals = [_Rival(name, score) for name, score in zip(RIVALS, scores, strict=True)]
        self._quiet: dict[str, list[float]] = {name: [] for name in RIVALS}
        self._history.clear()

    def settle(self, tick: Tick) -> None:
        """A tick of the quiet hour: what well terminals score."""
        self._readings.take(tick.seen, second=tick.second)
        if tick.second % _SETTLING_LOOK_S == 0:
            raw = self._readings.raw(tick.second)
            could = eligible(tick.step.judged)
            for rival in self.rivals:
                self._quiet[rival.name] += rival.score(raw[could], self._usual.deviation(raw)[could]).tolist()

    def begin(self) -> None:
        """The quiet hour is over."""
        for rival in self.rivals:
            rival.calibrate(self._quiet[rival.name], self._cells)

    def note(self, tick: Tick) -> None:
        """A tick of the scenario."""
        self._readings.take(tick.seen, second=tick.second)
        if tick.second % _LOOK_S == 0:
            raw = self._readings.raw(tick.second)
            deviation = self._usual.deviation(raw)
            could = eligible(tick.step.judged)
            for rival in self.rivals:
                rival.look(raw, deviation, could, second=tick.second)


def play(file: Path) -> dict[tuple[str, int, float], Outcome]:
    """One scenario: what Vigie and each rival at each pair of thresholds made of it."""
    player = Player(load(file))
    bench = _Bench(player)
    player.warm_up(look=bench.remember)
    bench.train()
    player.settle(look=bench.settle)
    bench.begin()
    record = Record(player)
    for tick in player.play():
        record.note(tick)
        bench.note(tick)
    truth = player.population.truth()
    outcomes = {(OURS, 0, 0.0): match(record, truth, player.fleet)}
    for rival in bench.rivals:
        for (number, surprise), rule in rival.rules.items():
            outcomes[rival.name, number, surprise] = match(_Spoken(rule.lives, record.was_open), truth, player.fleet)
    return outcomes


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of one detector over all scenarios."""
    faults = [fault for one in outcomes for fault in one.faults if fault.expect == INCIDENT and fault.detected is not None]
    found = [fault for fault in faults if fault.detected]
    true, false = sum(one.true_incidents for one in outcomes), sum(len(one.false_incidents) for one in outcomes)
    recall = len(found) / max(1, len(faults))
    precision = true / max(1, true + false)
    latency = [fault.latency_s for fault in found if fault.latency_s is not None]
    return {
        "f1": round(2 * recall * precision / max(1e-9, recall + precision), 3),
        "recall": round(recall, 3),
        "precision": round(precision, 3),
        "false_incidents": false,
        "scope_exact": round(sum(bool(fault.scope_exact) for fault in found) / max(1, len(found)), 3),
        "latency_p50_s": round(float(np.median(latency))) if latency else None,
        "latency_worst_s": round(max(latency)) if latency else None,
    }


def best(played: Sequence[Mapping[tuple[str, int, float], Outcome]], name: str) -> dict[str, Any]:
    """A detector's figures at its own best thresholds."""
    tried = []
    for key in played[0]:
        if key[0] == name:
            chosen = {"alarm_rate": _RATES[key[1]], "surprise": key[2]} if name != OURS else {}
            tried.append(figures([one[key] for one in played]) | chosen)
    return max(tried, key=lambda one: (one["f1"], -one["false_incidents"], -(one["latency_p50_s"] or 0)))


def _table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="incidents on the same scenarios")
    table.add_column("detector")
    names = ("f1", "recall", "precision", "false_incidents", "scope_exact", "latency_p50_s", "latency_worst_s")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for detector, row in rows.items():
        table.add_row(detector, *(str(row[name]) for name in names))
    return table


def _bring_pyod(folder: Path) -> None:
    """Install what `rivals.lock` names where only this run finds it, behind Vigie's own packages."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    subprocess.run([*command, "--target", str(folder), "--requirement", str(LOCK)], check=True, stdout=sys.stderr)


def _find_pyod(folder: str) -> None:
    sys.path.append(folder)


def main() -> int:
    """Play, choose, compare; exit code 1 where a rival is ahead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="scenarios; none: the public ones")
    parser.add_argument("--jobs", type=int, default=2, help="scenarios at a time")
    arguments = parser.parse_args()
    files = arguments.files or [path for name, path in shipped().items() if name != "demo"]
    console = Console(stderr=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vigie-rivals-") as folder:
        _bring_pyod(Path(folder))
        context = multiprocessing.get_context("spawn")
        # The longest first, so that none is left alone at the end.
        by_length = sorted(files, key=lambda file: -load(file).minutes)
        with ProcessPoolExecutor(arguments.jobs, mp_context=context, initializer=_find_pyod, initargs=(folder,)) as pool:
            played = []
            for file, outcomes in zip(by_length, pool.map(play, by_length), strict=True):
                played.append(outcomes)
                console.print(f"{file.stem}: played after {time.monotonic() - begun:.0f} s")
    rows = {name: best(played, name) for name in (OURS, *RIVALS)}
    console.print(_table(rows))
    ahead = all(
        rows[OURS]["f1"] > rows[name]["f1"] and rows[OURS]["false_incidents"] <= rows[name]["false_incidents"] for name in RIVALS
    )
    print(
        json.dumps(
            {"machine": described(), "scenarios": [file.stem for file in files], "detectors": rows, "ahead": ahead}, indent=1
        )
    )
    return 0 if ahead else 1


if __name__ == "__main__":
    sys.exit(main())
