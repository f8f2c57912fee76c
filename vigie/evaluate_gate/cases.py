"""What an update may do to a shop, and how its waves may have been drawn: the cases that campaigns are tried on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from firmware_rollout.gate.policy import Metric


class Kind(StrEnum):
    """Kinds of faults that an update brings; of a case that names several, each seed has one of them."""

    PRINTER = "printer"
    SCANNER = "scanner"
    TRANSACTION = "transaction"
    CRASH = "crash"


def kind_of_seed(seed: int) -> Kind:
    """The kind of fault that a seed's update brings."""
    return list(Kind)[seed % len(Kind)]


HITS: Final[Mapping[Kind, tuple[Metric, ...]]] = {
    Kind.PRINTER: (Metric.PRINTER_ERRORS,),
    Kind.SCANNER: (Metric.SCANNER_ERRORS,),
    Kind.TRANSACTION: (Metric.TRANSACTION_ERRORS,),
    # An application that crashes restarts the terminal.
    Kind.CRASH: (Metric.CRASHES, Metric.REBOOTS),
}


class Target(StrEnum):
    """At whom a campaign aims: the whole fleet of 10,000 shops, some of its shops by lot, or those with one model of terminal."""

    FLEET = "fleet"
    SHOPS_2000 = "2000-shops"
    SHOPS_1000 = "1000-shops"
    SHOPS_300 = "300-shops"
    MODEL_A = "model-a"
    MODEL_C = "model-c"


SHOPS_OF: Final[Mapping[Target, int]] = {Target.SHOPS_2000: 2000, Target.SHOPS_1000: 1000, Target.SHOPS_300: 300}
# The code that worlds give the model (`simulators.world`): of 10,000 shops 3,300 have A, 1,300 have C.
MODEL_OF: Final[Mapping[Target, int]] = {Target.MODEL_A: 0, Target.MODEL_C: 2}


@dataclass(frozen=True)
class Goal:
    """A figure to reach: `at_least` of the campaigns are stopped at `by_pct` % of the shops."""

    by_pct: float
    at_least: float


@dataclass(frozen=True)
class Case:
    """One case.

    Factors multiply what a shop has once it is updated. `brick`: this part of its terminals never comes back. `spike`: callers on
    the day of the update, in multiples of an ordinary day's. `biased`: the waves were not drawn by lot but reach busy and troubled
    shops first. `harmless`: a halt is false.
    """

    name: str
    harmless: bool = False
    faults: float = 1.0
    calls: float = 1.0
    brick: float = 0.0
    spike: float = 1.0
    biased: bool = False
    goals: tuple[Goal, ...] = field(default=())


# A harmless campaign may be halted this often, at most, in the 95 % upper bound.
FALSE_HALTS_AT_MOST: Final = 0.01

CASES: Final = (
    Case("no defect", harmless=True),
    Case("harmless calls on day 0", harmless=True, spike=4.0),
    Case("biased waves, no defect", harmless=True, biased=True),
    Case("one kind of fault × 2", faults=2.0, goals=(Goal(5, 0.95), Goal(15, 0.99))),
    Case("one kind of fault × 3", faults=3.0, goals=(Goal(5, 0.95), Goal(15, 0.99))),
    Case("biased waves, fault × 2", faults=2.0, biased=True),
    Case("calls × 1.5, telemetry normal", calls=1.5, goals=(Goal(15, 0.95),)),
    Case("bricks 10 %", brick=0.1),
    Case("bricks 100 %", brick=1.0, goals=(Goal(0.5, 1.0),)),
)
