"""What the gate watches, how sure it must be to halt, and how sure to go on."""

import math
from enum import StrEnum

import msgspec

from fleet.errors import FieldError


class Metric(StrEnum):
    """What is counted, of shops and days."""

    PRINTER_ERRORS = "printer_errors"
    SCANNER_ERRORS = "scanner_errors"
    TRANSACTION_ERRORS = "transaction_errors"
    CRASHES = "crashes"
    REBOOTS = "reboots"
    SILENCE = "silence"
    CALLS = "calls"


class PolicyError(FieldError):
    """A policy that cannot be followed; `field` names what is wrong."""


class Needed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Before more than `beyond_pct` % of the fleet's shops are reached, `odds` to 1 for *unchanged*."""

    beyond_pct: float
    odds: float


class MetricPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one metric is judged.

    `surge`: a mark is a day worse than the shop's own past; else any event is one. `ratios`: how much worse it may have become,
    each as likely as the others. `tolerated`: a release as bad as this must not pass. `needed`: the odds of *unchanged* against
    *tolerated*, rising. `grace_days`: so long after a wave's beginning the metric counts for nobody: people ring about any update.
    """

    metric: Metric
    surge: bool
    ratios: tuple[float, ...]
    tolerated: float
    needed: tuple[Needed, ...]
    grace_days: int = 0

    def odds_beyond(self, next_pct: float) -> float:
        """The odds needed before `next_pct` % of the fleet's shops are reached; 0 where nothing is asked yet."""
        return max((one.odds for one in self.needed if next_pct > one.beyond_pct), default=0.0)


class GatePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it.

    `alpha`: the chance that a harmless release is ever halted for being worse, over all metrics and looks, is at most this.
    """

    alpha: float
    metrics: tuple[MetricPolicy, ...]
    # A wave is seen through at least this many days, and by this part of it being updated and well; failures wait for a person.
    least_days: float = 3.0
    least_updated_pct: float = 80.0
    # A wave that has not become sure by then is a person's to decide: the campaign halts.
    longest_days: float = 45.0

    @property
    def log_threshold(self) -> float:
        """The natural logarithm of m/α: what one metric's evidence must reach for a halt."""
        return math.log(len(self.metrics)) - math.log(self.alpha)


# Figures beyond these are mistyped.
MOST_DAYS = 3_650
MOST_RATIO = 1_000
# The issue is how much worse; a grid in equal steps of the logarithm, from what is worth halting for on.
RATIOS = (1.3, 1.6, 2.0, 2.5, 3.2, 4.0)
# A bricked terminal is no ratio of 2: of a hundred well ones a day hardly one falls silent.
SILENCE_RATIOS = (3.0, 6.0, 12.0, 24.0, 48.0)
_TELEMETRY = (Needed(0.0, 0.02), Needed(5.0, 40.0), Needed(15.0, 100.0))
_CALLS = (Needed(0.0, 0.02), Needed(5.0, 1.0), Needed(15.0, 40.0))
_SILENCE = (Needed(0.5, 20.0),)


DEFAULT_POLICY = GatePolicy(
    # Half of the 1 % that may be lost: the bound of what a thousand trials show lies above what they show.
    alpha=0.005,
    metrics=(
        MetricPolicy(Metric.PRINTER_ERRORS, surge=True, ratios=RATIOS, tolerated=2.2, needed=_TELEMETRY),
        MetricPolicy(Metric.SCANNER_ERRORS, surge=True, ratios=RATIOS, tolerated=2.2, needed=_TELEMETRY),
        MetricPolicy(Metric.TRANSACTION_ERRORS, surge=True, ratios=RATIOS, tolerated=2.2, needed=_TELEMETRY),
        MetricPolicy(Metric.CRASHES, surge=False, ratios=RATIOS, tolerated=1.8, needed=_TELEMETRY),
        MetricPolicy(Metric.REBOOTS, surge=False, ratios=RATIOS, tolerated=2.0, needed=_TELEMETRY),
        MetricPolicy(Metric.SILENCE, surge=False, ratios=SILENCE_RATIOS, tolerated=6.0, needed=_SILENCE),
        MetricPolicy(Metric.CALLS, surge=False, ratios=RATIOS, tolerated=1.4, needed=_CALLS, grace_days=2),
    ),
)


def check_policy(policy: GatePolicy) -> None:
    """Raise `PolicyError` unless the policy can be followed: a gate that cannot be read must not open."""
    if not 0 < policy.alpha < 1:
        raise PolicyError("alpha", "%(alpha)s is no chance between 0 and 1", alpha=policy.alpha)
    if not policy.metrics:
        raise PolicyError("metrics", "a gate that watches nothing would let everything through")
    names = [one.metric for one in policy.metrics]
    if len(set(names)) < len(names):
        raise PolicyError("metrics", "each may be named once")
    if not 0 <= policy.least_days < policy.longest_days:
        raise PolicyError("least_days", "days, from 0 to less than the longest of %(longest)s", longest=policy.longest_days)
    if policy.longest_days > MOST_DAYS:
        raise PolicyError("longest_days", "must be at most %(most)s", most=MOST_DAYS)
    if not 0 <= policy.least_updated_pct <= 100:
        raise PolicyError("least_updated_pct", "percent, from 0 to 100")
    for one in policy.metrics:
        if not one.ratios or min(one.ratios) <= 1 or max(one.ratios) > MOST_RATIO:
            raise PolicyError(f"{one.metric}.ratios", "name at least one, each above 1 and at most %(most)s", most=MOST_RATIO)
        if not 1 < one.tolerated <= MOST_RATIO:
            raise PolicyError(f"{one.metric}.tolerated", "must be above 1 and at most %(most)s", most=MOST_RATIO)
        if one.grace_days < 0 or (one.grace_days and one.metric is Metric.SILENCE):
            raise PolicyError(f"{one.metric}.grace_days", "from 0 on, and none for silence: a brick is silent at once")
        if any(not 0 <= need.beyond_pct <= 100 for need in one.needed):
            raise PolicyError(f"{one.metric}.needed", "beyond_pct is percent, from 0 to 100")
        if any(need.odds < 0 or not math.isfinite(need.odds) for need in one.needed):
            raise PolicyError(f"{one.metric}.needed", "odds are finite and not below 0")
