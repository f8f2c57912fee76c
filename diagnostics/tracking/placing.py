"""Where a confirmed candidate belongs: to a cause still to come, to an incident that is told, or to one that closed."""

from collections.abc import Iterable

from diagnostics.tracking.case import Case, jaccard, shared
from diagnostics.tracking.grouping import is_cause
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.tracking.tracked import Phase
from diagnostics.troubles import CONSEQUENCES, Trouble


def awaits_cause(candidate: Case, cases: Iterable[Case], *, now_ms: int, policy: TrackingPolicy) -> bool:
    """Whether another candidate at the same terminals, not confirmed yet, may be what this one follows from.

    Of two that bring each other about, the plainer one waits for nobody.
    """
    if now_ms - candidate.first_ms >= policy.cause_patience_ms:
        return False
    return any(
        other.tracked.phase is Phase.CANDIDATE
        and other.tracked.trouble is not candidate.tracked.trouble
        and is_cause(other.tracked.trouble, candidate.tracked.trouble)
        and not _plainer(candidate, other, policy)
        and shared(other.inside, candidate.now) >= policy.same_share
        for other in cases
        if other is not candidate
    )


def _plainer(one: Case, other: Case, policy: TrackingPolicy) -> bool:
    mutual = other.tracked.trouble in CONSEQUENCES[one.tracked.trouble]
    return mutual and one.tracked.score >= policy.plainer * other.tracked.score


def told_already(candidate: Case, living: Iterable[Case], *, policy: TrackingPolicy) -> Case | None:
    """The living incident that the candidate is: of the same trouble, or of what follows from it, at the same terminals."""
    trouble = candidate.tracked.trouble
    for told in living:
        if told.tracked.trouble is trouble:
            if told.tracked.scope == candidate.tracked.scope or shared(told.ever, candidate.ever) >= policy.same_share:
                return told
        elif told.tracked.trouble in CONSEQUENCES[trouble] and jaccard(told.inside, candidate.inside) >= policy.same_share:
            return told
    return None


def came_back(candidate: Case, cases: Iterable[Case], *, now_ms: int, policy: TrackingPolicy) -> Case | None:
    """The closed incident that this candidate is: same trouble, nearly the same scope, within a day."""
    nearly = [
        (jaccard(case.inside, candidate.inside), case)
        for case in cases
        if case.tracked.phase is Phase.CLOSED
        and not case.tracked.merged
        and candidate.tracked.trouble is case.tracked.trouble
        and now_ms - (case.tracked.closed_ms or 0) < policy.reopens_within_ms
    ]
    best = max(nearly, key=lambda one: (one[0], one[1].tracked.closed_ms or 0), default=None)
    return best[1] if best and best[0] >= policy.same_share else None


def is_rest(candidate: Case, *, policy: TrackingPolicy) -> bool:
    """Whether what looks like the return of an incident is the rest of it: a slow centre's last few, in shops that sell little."""
    return candidate.tracked.trouble is Trouble.TX_SLOW and candidate.first_rate < policy.min_rate
