"""The hotline's figures, from one row a call: how calls came out, what share was answered in time, how long things took.

Every call has exactly one outcome, every figure is counted from outcomes, and the list of calls behind a figure is picked by
the same rule that counted it: what a supervisor opens is what was counted. An overflowed call is one row, by its final outcome.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotline.counted_calls import CallRow, Calls
from hotline.intervals import Mean, Share, mean_of


class Outcome(StrEnum):
    """How a call came out; each call has one."""

    IN_TIME = "in_time"
    LATE = "late"
    GAVE_UP_IN_TIME = "gave_up_in_time"
    GAVE_UP_LATE = "gave_up_late"
    # Hung up at once, as the setting says: nobody could have answered.
    SHORT = "short"
    # Counted apart: when the hotline is closed, what was written down by hand (it has no measured wait), what still waits.
    OUTSIDE = "outside"
    BY_HAND = "by_hand"
    WAITING = "waiting"


class Reading(StrEnum):
    """The four usual ways to count calls given up within the time in the service level."""

    # Left out: neither for nor against us.
    ABANDONS_IGNORED = "abandons_ignored"
    ABANDONS_AGAINST = "abandons_against"
    # They did not wait too long: as good as answered.
    ABANDONS_FOR = "abandons_for"
    # Of those who were answered at all.
    ANSWERED_ONLY = "answered_only"


@dataclass(frozen=True, slots=True)
class Policy:
    """By which times calls are judged, in seconds."""

    within_s: float = 60.0
    # Given up earlier than this, a call is not counted at all; 0: every one counts.
    short_abandon_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Targets:
    """What the hotline has promised, as shares of one."""

    answered: float = 0.92
    within: float = 0.88
    solved: float = 0.65


TARGETS: Final = Targets()
# The strictest of the four is the one that is held against the target.
AGAINST_TARGET: Final = Reading.ABANDONS_AGAINST


_OUTCOMES: Final = tuple(Outcome)


def outcomes_of(calls: Calls, policy: Policy) -> NDArray[np.int64]:
    """Say how each call came out: its place in `Outcome`."""
    column = calls.column
    wait_s, answered = column("wait_s"), column("answered")
    in_time = wait_s <= policy.within_s
    # The first that is so of a call says how it came out.
    rule: tuple[tuple[NDArray[np.bool_], Outcome], ...] = (
        (column("by_hand"), Outcome.BY_HAND),
        (~column("in_hours"), Outcome.OUTSIDE),
        (answered & in_time, Outcome.IN_TIME),
        (answered, Outcome.LATE),
        (~column("over"), Outcome.WAITING),
        (wait_s < policy.short_abandon_s, Outcome.SHORT),
        (in_time, Outcome.GAVE_UP_IN_TIME),
    )
    said = [_OUTCOMES.index(outcome) for _, outcome in rule]
    return np.select([so for so, _ in rule], said, _OUTCOMES.index(Outcome.GAVE_UP_LATE))


def told(calls: Calls, policy: Policy) -> Iterator[tuple[CallRow, Outcome]]:
    """Each call with how it came out."""
    return ((row, _OUTCOMES[outcome]) for row, outcome in zip(calls, outcomes_of(calls, policy), strict=True))


ANSWERED: Final = frozenset({Outcome.IN_TIME, Outcome.LATE})
ABANDONED: Final = frozenset({Outcome.GAVE_UP_IN_TIME, Outcome.GAVE_UP_LATE})
OFFERED: Final = ANSWERED | ABANDONED


class Picked(StrEnum):
    """A set of calls that a figure counts, and that its list shows."""

    OFFERED = "offered"
    ANSWERED = "answered"
    IN_TIME = "in_time"
    LATE = "late"
    ABANDONED = "abandoned"
    GAVE_UP_IN_TIME = "gave_up_in_time"
    GAVE_UP_LATE = "gave_up_late"
    OVERFLOWED = "overflowed"
    HANDLED = "handled"
    QUALIFIED = "qualified"
    SOLVED = "solved"
    NOT_SOLVED = "not_solved"
    NOT_QUALIFIED = "not_qualified"
    REPEAT = "repeat"
    SHORT = "short"
    OUTSIDE = "outside"
    BY_HAND = "by_hand"
    WAITING = "waiting"


class _Rule(NamedTuple):
    """Which outcomes belong to a set of calls, and what must be so of the call besides."""

    outcomes: frozenset[Outcome]
    also: Callable[[Calls], NDArray[np.bool_]] | None = None

    def __call__(self, calls: Calls, outcomes: NDArray[np.int64]) -> NDArray[np.bool_]:
        mask = _among(self.outcomes, outcomes)
        return mask if self.also is None else mask & self.also(calls)


_RULES: Final[Mapping[Picked, _Rule]] = {
    Picked.OFFERED: _Rule(OFFERED),
    Picked.ANSWERED: _Rule(ANSWERED),
    Picked.IN_TIME: _Rule(frozenset({Outcome.IN_TIME})),
    Picked.LATE: _Rule(frozenset({Outcome.LATE})),
    Picked.ABANDONED: _Rule(ABANDONED),
    Picked.GAVE_UP_IN_TIME: _Rule(frozenset({Outcome.GAVE_UP_IN_TIME})),
    Picked.GAVE_UP_LATE: _Rule(frozenset({Outcome.GAVE_UP_LATE})),
    Picked.OVERFLOWED: _Rule(OFFERED, lambda calls: calls.column("overflowed")),
    Picked.HANDLED: _Rule(ANSWERED, lambda calls: ~np.isnan(calls.column("handled_s"))),
    Picked.QUALIFIED: _Rule(ANSWERED, lambda calls: calls.column("solved") >= 0),
    Picked.SOLVED: _Rule(ANSWERED, lambda calls: calls.column("solved") == 1),
    Picked.NOT_SOLVED: _Rule(ANSWERED, lambda calls: calls.column("solved") == 0),
    Picked.NOT_QUALIFIED: _Rule(ANSWERED, lambda calls: calls.column("over") & (calls.column("solved") < 0)),
    Picked.REPEAT: _Rule(ANSWERED, lambda calls: calls.column("repeat")),
    Picked.SHORT: _Rule(frozenset({Outcome.SHORT})),
    Picked.OUTSIDE: _Rule(frozenset({Outcome.OUTSIDE})),
    Picked.BY_HAND: _Rule(frozenset({Outcome.BY_HAND})),
    Picked.WAITING: _Rule(frozenset({Outcome.WAITING})),
}


def pick(calls: Calls, what: Picked, policy: Policy) -> Calls:
    """The calls that a figure counted, in the order given."""
    return calls.where(_RULES[what](calls, outcomes_of(calls, policy)))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of calls comes to."""

    counts: Mapping[Picked, int]
    # The average speed of answer and the average handling time, in seconds.
    speed_of_answer: Mean
    handling: Mean
    longest_wait_s: float | None

    def __getitem__(self, what: Picked) -> int:
        """How many calls."""
        return self.counts[what]

    @property
    def answer_rate(self) -> Share:
        """Answered, of those offered."""
        return Share(self[Picked.ANSWERED], self[Picked.OFFERED])

    @property
    def abandon_rate(self) -> Share:
        """Given up, of those offered; short ones are not offered."""
        return Share(self[Picked.ABANDONED], self[Picked.OFFERED])

    @property
    def solved_rate(self) -> Share:
        """Solved on line, of the answered ones whose outcome somebody said."""
        return Share(self[Picked.SOLVED], self[Picked.QUALIFIED])

    @property
    def repeat_rate(self) -> Share:
        """From shops that were answered in the seven days before, of those answered."""
        return Share(self[Picked.REPEAT], self[Picked.ANSWERED])

    def service_level(self, reading: Reading) -> Share:
        """Answered within the time, in one of the four readings."""
        in_time, early = self[Picked.IN_TIME], self[Picked.GAVE_UP_IN_TIME]
        match reading:
            case Reading.ABANDONS_IGNORED:
                return Share(in_time, self[Picked.OFFERED] - early)
            case Reading.ABANDONS_AGAINST:
                return Share(in_time, self[Picked.OFFERED])
            case Reading.ABANDONS_FOR:
                return Share(in_time + early, self[Picked.OFFERED])
            case Reading.ANSWERED_ONLY:
                return Share(in_time, self[Picked.ANSWERED])

    @property
    def service_levels(self) -> Mapping[Reading, Share]:
        """All four readings."""
        return {reading: self.service_level(reading) for reading in Reading}


def figures_of(calls: Calls, policy: Policy) -> Figures:
    """Count."""
    outcomes = outcomes_of(calls, policy)
    answered = _among(ANSWERED, outcomes)
    handled_s = calls.column("handled_s")[answered]
    waits_s = calls.column("wait_s")[_among(OFFERED, outcomes)]
    return Figures(
        counts={what: int(np.count_nonzero(rule(calls, outcomes))) for what, rule in _RULES.items()},
        speed_of_answer=mean_of(calls.column("wait_s")[answered]),
        handling=mean_of(handled_s[~np.isnan(handled_s)]),
        longest_wait_s=float(waits_s.max()) if len(waits_s) else None,
    )


def _among(some: frozenset[Outcome], outcomes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which calls came out in one of these ways."""
    belongs = np.array([outcome in some for outcome in Outcome])
    return belongs[outcomes]
