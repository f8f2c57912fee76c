"""The hotline's figures, from one row a call: how calls came out, what share was answered in time, how long things took.

Every call has exactly one outcome, every figure is counted from outcomes, and the list of calls behind a figure is picked by
the same rule that counted it: what a supervisor opens is what was counted. An overflowed call is one row, by its final outcome.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

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


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call that came in, as the figures see it; `floor`, `level` and `agent` are where it came out in the end."""

    call: int
    rang_at: datetime
    in_hours: bool
    by_hand: bool
    answered: bool
    # It has ended; a call that neither is answered nor has ended still waits.
    over: bool
    # From the first ring, by our own clock, until somebody answered or the caller gave up.
    wait_s: float
    # Speech, hold and wrap-up of everybody who had it; None while it goes on.
    handled_s: float | None
    floor: str
    level: int
    agent: int | None
    overflowed: bool
    # None: nobody has qualified it.
    solved: bool | None
    # The shop was answered in the seven days before.
    repeat: bool


def outcome_of(row: CallRow, policy: Policy) -> Outcome:
    """Say how a call came out."""
    if row.by_hand:
        return Outcome.BY_HAND
    if not row.in_hours:
        return Outcome.OUTSIDE
    in_time = row.wait_s <= policy.within_s
    if row.answered:
        return Outcome.IN_TIME if in_time else Outcome.LATE
    if not row.over:
        return Outcome.WAITING
    if row.wait_s < policy.short_abandon_s:
        return Outcome.SHORT
    return Outcome.GAVE_UP_IN_TIME if in_time else Outcome.GAVE_UP_LATE


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
    also: Callable[[CallRow], bool] | None = None

    def __call__(self, row: CallRow, outcome: Outcome) -> bool:
        return outcome in self.outcomes and (self.also is None or self.also(row))


_RULES: Final[Mapping[Picked, _Rule]] = {
    Picked.OFFERED: _Rule(OFFERED),
    Picked.ANSWERED: _Rule(ANSWERED),
    Picked.IN_TIME: _Rule(frozenset({Outcome.IN_TIME})),
    Picked.LATE: _Rule(frozenset({Outcome.LATE})),
    Picked.ABANDONED: _Rule(ABANDONED),
    Picked.GAVE_UP_IN_TIME: _Rule(frozenset({Outcome.GAVE_UP_IN_TIME})),
    Picked.GAVE_UP_LATE: _Rule(frozenset({Outcome.GAVE_UP_LATE})),
    Picked.OVERFLOWED: _Rule(OFFERED, lambda row: row.overflowed),
    Picked.HANDLED: _Rule(ANSWERED, lambda row: row.handled_s is not None),
    Picked.QUALIFIED: _Rule(ANSWERED, lambda row: row.solved is not None),
    Picked.SOLVED: _Rule(ANSWERED, lambda row: row.solved is True),
    Picked.NOT_SOLVED: _Rule(ANSWERED, lambda row: row.solved is False),
    Picked.NOT_QUALIFIED: _Rule(ANSWERED, lambda row: row.over and row.solved is None),
    Picked.REPEAT: _Rule(ANSWERED, lambda row: row.repeat),
    Picked.SHORT: _Rule(frozenset({Outcome.SHORT})),
    Picked.OUTSIDE: _Rule(frozenset({Outcome.OUTSIDE})),
    Picked.BY_HAND: _Rule(frozenset({Outcome.BY_HAND})),
    Picked.WAITING: _Rule(frozenset({Outcome.WAITING})),
}


def pick(rows: Iterable[CallRow], what: Picked, policy: Policy) -> list[CallRow]:
    """The calls that a figure counted, in the order given."""
    rule = _RULES[what]
    return [row for row in rows if rule(row, outcome_of(row, policy))]


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


def figures_of(rows: Sequence[CallRow], policy: Policy) -> Figures:
    """Count."""
    by_outcome: dict[Outcome, list[CallRow]] = {outcome: [] for outcome in Outcome}
    for row in rows:
        by_outcome[outcome_of(row, policy)].append(row)
    counts = {
        what: sum(len(by_outcome[outcome]) if also is None else sum(map(also, by_outcome[outcome])) for outcome in outcomes)
        for what, (outcomes, also) in _RULES.items()
    }
    answered = [row for outcome in ANSWERED for row in by_outcome[outcome]]
    return Figures(
        counts=counts,
        speed_of_answer=mean_of([row.wait_s for row in answered]),
        handling=mean_of([row.handled_s for row in answered if row.handled_s is not None]),
        longest_wait_s=max((row.wait_s for outcome in OFFERED for row in by_outcome[outcome]), default=None),
    )


def grouped(rows: Iterable[CallRow], key: Callable[[CallRow], str]) -> dict[str, list[CallRow]]:
    """The calls by what the key says of each, keys in order; an empty key leaves a call out."""
    groups: dict[str, list[CallRow]] = {}
    for row in rows:
        if name := key(row):
            groups.setdefault(name, []).append(row)
    return dict(sorted(groups.items()))
