"""Plays many seeds' campaigns, several processes at a time, and counts how they ended."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from scipy import stats

from vigie.evaluate_gate.campaign import ByGate, Decider, Ended, Season, run
from vigie.evaluate_gate.cases import CASES, Case, Target
from vigie.evaluate_gate.rivals import BeforeAfter, DailyTest, RawEvidence

GATE: Final = "gate"
METHODS: Final[dict[str, Callable[[Season], Decider]]] = {
    GATE: ByGate,
    "daily z-test": DailyTest,
    "before/after": BeforeAfter,
    "e-value of raw events": RawEvidence,
}
ALL_CASES: Final = tuple(case.name for case in CASES)


@dataclass(frozen=True)
class Played:
    """One campaign: how it was judged, on what, and how it ended."""

    method: str
    case: str
    seed: int
    ended: Ended


def play_seed(seed: int, *, methods: Sequence[str], cases: Sequence[str], target: Target = Target.FLEET) -> list[Played]:
    """Play a seed's campaigns: each case judged in each way."""
    season = Season(seed, target)
    chosen = [case for case in CASES if case.name in cases]
    return [Played(method, case.name, seed, run(season, case, METHODS[method](season))) for case in chosen for method in methods]


def play_all(
    seeds: Iterable[int],
    *,
    methods: Sequence[str] = tuple(METHODS),
    cases: Sequence[str] = ALL_CASES,
    target: Target = Target.FLEET,
    jobs: int = 1,
) -> Iterator[list[Played]]:
    """Play all seeds, `jobs` at a time: each seed's campaigns, in the order of the seeds."""
    wanted = list(seeds)
    if jobs <= 1 or len(wanted) <= 1:
        for seed in wanted:
            yield play_seed(seed, methods=methods, cases=cases, target=target)
        return
    # Not forked: the progress bar has a thread.
    pool = ProcessPoolExecutor(min(jobs, len(wanted)), mp_context=multiprocessing.get_context("spawn"))
    try:
        for running in [pool.submit(play_seed, seed, methods=methods, cases=cases, target=target) for seed in wanted]:
            yield running.result()
    finally:
        # What has not begun when one fails, or the user stops, is not begun.
        pool.shutdown(cancel_futures=True)


def at_most(count: int, of_all: int, *, sure: float = 0.95) -> float:
    """The one-sided upper bound of a share of which `count` of `of_all` were seen (Clopper and Pearson 1934)."""
    if of_all == 0 or count >= of_all:
        return 1.0
    return float(stats.beta.ppf(sure, count + 1, of_all - count))


def at_least(count: int, of_all: int, *, sure: float = 0.95) -> float:
    """The one-sided lower bound of a share (Clopper and Pearson 1934)."""
    return 1.0 - at_most(of_all - count, of_all, sure=sure)


def of_case(played: Iterable[Played], *, method: str, case: Case) -> list[Played]:
    """The campaigns of one case, judged in one way."""
    return [one for one in played if one.method == method and one.case == case.name]


def stopped_by(played: Iterable[Played], reached_pct: float) -> int:
    """How many were halted at `reached_pct` % of the shops or before."""
    return sum(1 for one in played if one.ended.halted and one.ended.reached_pct <= reached_pct)
