"""Which findings and incidents belong together: the same one, the consequence of another, part of a storm."""

from collections.abc import Iterable, Sequence

import numpy as np

from diagnostics.detector.calibration import COUNTED_TROUBLES
from diagnostics.detector.observed import I32, Layer
from diagnostics.snapshot import Bool
from diagnostics.tracking.case import Case, Count, Seen, count, jaccard, part, shared, shown
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.tracking.tracked import Phase
from diagnostics.troubles import CONSEQUENCES, TROUBLE_INDEX, Trouble


def supported(found: Seen, shop: I32, policy: TrackingPolicy) -> bool:
    """Whether a finding is of enough terminals of enough shops, and enough of them."""
    finding = found.finding
    rows = np.flatnonzero(found.hit)
    if len(np.unique(shop[rows])) < policy.min_shops or finding.observed < policy.min_lift * finding.expected:
        return False
    if found.layer.trouble is Trouble.CALLS:
        return finding.observed >= policy.min_terminals
    if found.layer.trouble in COUNTED_TROUBLES:
        return len(rows) >= policy.min_terminals
    min_rate = policy.min_rate_tx_slow if found.layer.trouble is Trouble.TX_SLOW else policy.min_rate
    return len(rows) >= policy.min_terminals and finding.observed >= min_rate * finding.judged


def explained(cases: Iterable[Case], trouble: Trouble, *, window_s: int, now_ms: int, policy: TrackingPolicy) -> Bool | None:
    """The terminals (n,) at which what this trouble showed in the last `window_s` follows from an incident; None: nowhere."""
    found: Bool | None = None
    for case in cases:
        if not follows(trouble, case, window_s=window_s, now_ms=now_ms, policy=policy):
            continue
        # Where most of the scope is hit, the rest of it is about to be.
        reach = case.ever | case.inside if case.peak_rate >= policy.same_share else case.ever
        found = reach if found is None else found | reach
    return found


def follows(trouble: Trouble, case: Case, *, window_s: int, now_ms: int, policy: TrackingPolicy) -> bool:
    """Whether an incident explains at its terminals what a trouble showed in `window_s`: its own past, or what it brings."""
    tracked = case.tracked
    closed_ms = now_ms - (tracked.closed_ms or 0) if tracked.phase is Phase.CLOSED else None
    if trouble is tracked.trouble:
        # A long window still shows what is over.
        return closed_ms is not None and now_ms - (tracked.clearing_ms or tracked.closed_ms or 0) < window_s * 1000
    if trouble not in CONSEQUENCES[tracked.trouble]:
        return False
    if closed_ms is not None:
        lasts_ms = policy.calls_aftermath_ms if trouble is Trouble.CALLS else policy.aftermath_ms + window_s * 1000
        return closed_ms < lasts_ms
    return tracked.lives


def known_already(cases: Iterable[Case], trouble: Trouble, *, now_ms: int, policy: TrackingPolicy) -> Bool | None:
    """The terminals (n,) of incidents of this trouble that live and have found their scope; None: nowhere."""
    found: Bool | None = None
    for case in cases:
        tracked = case.tracked
        if tracked.trouble is trouble and tracked.lives and now_ms - tracked.settled_ms >= policy.fresh_ms and case.better is None:
            reach = case.ever | case.inside
            found = reach if found is None else found | reach
    return found


def same(found: Seen, cases: Iterable[Case], *, policy: TrackingPolicy) -> Case | None:
    """The case that a finding is of: the one with which it shares most terminals, or the scope."""
    best: tuple[float, Case] | None = None
    for case in cases:
        if case.tracked.scope == found.scope:
            return case
        share = max(part(case.ever, found.hit), part(found.hit, case.now))
        if share >= policy.same_share and (best is None or share > best[0]):
            best = share, case
    return best[1] if best else None


def distinct(seen_now: Sequence[Seen], *, policy: TrackingPolicy) -> list[Seen]:
    """Of findings in several windows, the best of each: those that share most hits with a better one are left out."""
    kept: list[Seen] = []
    for found in sorted(seen_now, key=lambda one: -one.finding.score):
        if all(shared(found.hit, better.hit) < policy.same_share for better in kept):
            kept.append(found)
    return kept


def best_count(layers: Iterable[Layer], where: Bool) -> Count:
    """Of a trouble's layers the one that says most about these terminals."""
    return max((count(layer, where) for layer in layers), key=lambda one: one.score, default=Count(0.0, 0.0, 0))


def better_cause(
    case: Case, layers: dict[Trouble, list[Layer]], shop: I32, *, policy: TrackingPolicy
) -> tuple[Trouble, Count] | None:
    """What else in its scope explains a case better than its own trouble; None: nothing.

    A cause must show itself at a good part of the very terminals (of calls: shops) that show the consequence. Of two troubles that
    bring each other about the plainer one is the cause.
    """
    trouble = case.tracked.trouble
    own = best_count(layers.get(trouble, ()), case.inside)
    best: tuple[Trouble, Count] | None = None
    for cause, consequences in CONSEQUENCES.items():
        if trouble not in consequences or cause not in layers or cause is trouble:
            continue
        there = best_count(layers[cause], case.inside)
        if there.score < policy.cause_score or there.hits < policy.min_terminals:
            continue
        if part(_showing(layers[cause], shop, whole_shops=trouble is Trouble.CALLS), case.now) < policy.cause_share:
            continue
        if cause in CONSEQUENCES[trouble] and there.score < policy.plainer * max(own.score, case.tracked.score):
            continue
        if best is None or there.score > best[1].score:
            best = cause, there
    return best


def is_consequence(candidate: Case, cases: Iterable[Case], *, now_ms: int, policy: TrackingPolicy) -> bool:
    """Whether a candidate follows from an incident at the same terminals, or in the same scope."""
    return any(
        follows(candidate.tracked.trouble, case, window_s=candidate.window_s, now_ms=now_ms, policy=policy)
        and (jaccard(case.inside, candidate.inside) >= policy.same_share or part(case.ever, candidate.ever) >= policy.same_share)
        for case in cases
        if case is not candidate and case.tracked.phase is not Phase.CANDIDATE
    )


def _showing(layers: Iterable[Layer], shop: I32, *, whole_shops: bool) -> Bool:
    """Who shows a trouble in any window; of shops, every terminal where one does."""
    found: Bool = np.logical_or.reduce([shown(layer) for layer in layers])
    if whole_shops:
        of = np.zeros(int(shop.max(initial=-1)) + 1, bool)
        of[shop[found]] = True
        found = of[shop]
    return found


def is_cause(one: Trouble, other: Trouble) -> bool:
    """Whether `one` brings `other` about; of two that bring each other about, the first in order does."""
    if other not in CONSEQUENCES[one]:
        return False
    return one not in CONSEQUENCES[other] or TROUBLE_INDEX[one] < TROUBLE_INDEX[other]


def one_incident(one: Case, other: Case, *, policy: TrackingPolicy) -> tuple[Case, Case] | None:
    """Of two living cases that are one: (the one that lives on, the one that was part of it); None: they are two."""
    a, b = one.tracked, other.tracked
    if a.trouble is b.trouble:
        if a.scope != b.scope and shared(one.ever, other.ever) < policy.same_share:
            return None
        return (one, other) if (a.worst_hits, -a.key) >= (b.worst_hits, -b.key) else (other, one)
    for cause, consequence in ((one, other), (other, one)):
        # A wide trouble does not follow from a narrow one that lies within it.
        if is_cause(cause.tracked.trouble, consequence.tracked.trouble):
            together = a.scope == b.scope or part(cause.ever, consequence.ever) >= policy.same_share
            return (cause, consequence) if together else None
    return None


def above(case: Case, cases: Sequence[Case]) -> Case | None:
    """The widest living incident that a case is part of, also by way of one that is over; None: it is part of none.

    Who is muted speaks for nobody but those that are muted as well.
    """
    of_key = {one.tracked.key: one for one in cases}
    widest: Case | None = None
    met, key = {case.tracked.key}, case.tracked.parent
    while key is not None and key not in met and key in of_key:
        met.add(key)
        one = of_key[key]
        if one.tracked.lives and (case.tracked.muted or not one.tracked.muted):
            widest = one
        key = one.tracked.parent
    return widest


def storm(cases: Sequence[Case], *, now_ms: int, policy: TrackingPolicy) -> tuple[Case, list[Case]] | None:
    """The widest of many incidents of one trouble that opened within minutes, and the others; None: no storm."""
    for trouble in {case.tracked.trouble for case in cases}:
        young = [
            case
            for case in cases
            if case.tracked.trouble is trouble
            and case.tracked.lives
            and now_ms - (case.tracked.opened_ms or 0) < policy.storm_within_ms
        ]
        if len(young) >= policy.storm:
            widest = max(young, key=lambda case: (not case.tracked.scope, case.tracked.worst_hits, -case.tracked.key))
            return widest, [case for case in young if case is not widest]
    return None
