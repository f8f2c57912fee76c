"""How an incident lives: it clears when its terminals look well, closes when they stay so, and comes back under its own name.

Missing evidence is never recovery: while few of its terminals are judged (shops close, work is going on, a start was just made)
an incident stays what it is. Every way out has another way in, so that nothing flaps; what does so nevertheless is latched.
"""

from collections.abc import Sequence

from diagnostics.snapshot import Bool
from diagnostics.tracking.case import Case, Count, part
from diagnostics.tracking.policy import Pace, TrackingPolicy
from diagnostics.tracking.tracked import Change, ChangeKind, Phase, Said

_BACK = {True: Phase.ACKNOWLEDGED, False: Phase.OPEN}


def opened(case: Case, *, now_ms: int, muted: bool) -> list[Change]:
    """A candidate becomes an incident; during announced work nobody is told."""
    hits = case.tracked.hits
    tracked = case.change(
        phase=Phase.OPEN, opened_ms=now_ms, worst_hits=hits, told_hits=0 if muted else hits, muted=muted, settled_ms=now_ms
    )
    changes = [Change(ChangeKind.OPENED, tracked.key, now_ms, tracked)]
    if muted:
        changes.append(Change(ChangeKind.MUTED, tracked.key, now_ms, tracked))
    return changes


def returned(case: Case, *, now_ms: int, policy: TrackingPolicy) -> list[Change]:
    """It is back after it was clearing or closed: told, unless it does so over and over."""
    tracked = case.tracked
    returns = (*(at for at in tracked.returns_ms if now_ms - at < policy.flaps_within_ms), now_ms)
    flapping = not tracked.latched and len(returns) >= policy.flaps
    case.quiet_ms = None
    tracked = case.change(
        phase=_BACK[tracked.acknowledged_ms is not None and tracked.phase is not Phase.CLOSED],
        clearing_ms=None,
        closed_ms=None,
        reopened=tracked.reopened + 1,
        returns_ms=returns,
        latched=tracked.latched or flapping,
        told_hits=0 if tracked.muted else max(tracked.hits, 1),
    )
    if tracked.latched and not flapping:
        return [Change(ChangeKind.FIGURES, tracked.key, now_ms, tracked)]
    changes = [Change(ChangeKind.REOPENED, tracked.key, now_ms, tracked)]
    if flapping:
        changes.append(Change(ChangeKind.FLAPPING, tracked.key, now_ms, tracked))
    return changes


def looked_at(
    case: Case, here: Count, peak: Count, *, proof: bool, pace: Pace, now_ms: int, policy: TrackingPolicy
) -> list[Change]:
    """One look at a living incident: what its scope shows, what it did at its worst, and whether health would be believed."""
    tracked = case.tracked
    clearing = tracked.phase is Phase.CLEARING
    if not _quiet(here, peak, policy) and not (clearing and here.rate < policy.back_share * peak.rate):
        case.quiet_ms = None
        return returned(case, now_ms=now_ms, policy=policy) if clearing else []
    if not proof:
        case.quiet_ms = None if case.quiet_ms is None else now_ms
        return []
    if case.quiet_ms is None:
        case.quiet_ms = now_ms
    clear, close = pace.clear, policy.latched_close_ms if tracked.latched else pace.close
    if clearing:
        if now_ms - (tracked.clearing_ms or now_ms) >= close - clear:
            return closed(case, now_ms=now_ms)
    elif now_ms - case.quiet_ms >= clear:
        tracked = case.change(phase=Phase.CLEARING, clearing_ms=now_ms)
        kind = ChangeKind.FIGURES if tracked.latched else ChangeKind.CLEARING
        return [Change(kind, tracked.key, now_ms, tracked)]
    return []


def closed(case: Case, *, now_ms: int) -> list[Change]:
    """It stayed away."""
    tracked = case.change(phase=Phase.CLOSED, closed_ms=now_ms, hits=0, latched=False)
    return [Change(ChangeKind.CLOSED, tracked.key, now_ms, tracked)]


def merged(case: Case, into: Case, *, now_ms: int) -> list[Change]:
    """It was part of another one."""
    into.add(case.ever, now_ms)
    tracked = case.change(phase=Phase.CLOSED, closed_ms=now_ms, clearing_ms=None, parent=into.tracked.key, merged=True)
    return [Change(ChangeKind.MERGED, tracked.key, now_ms, tracked, {"into": into.tracked.key})]


def put_under(case: Case, parent: Case, *, now_ms: int) -> list[Change]:
    """It lives on as a part of a wider one."""
    if case.tracked.parent == parent.tracked.key:
        return []
    tracked = case.change(parent=parent.tracked.key)
    return [Change(ChangeKind.PARENT, tracked.key, now_ms, tracked, {"parent": parent.tracked.key})]


def stays_under(case: Case, above: Case | None, *, now_ms: int) -> list[Change]:
    """What it is part of may be over, or part of something wider by now: `above` is the widest that lives, None: nothing.

    Alone, it is told by itself; not while it looks well, for what ends with the wider one has been told with it.
    """
    if above is not None:
        return put_under(case, above, now_ms=now_ms)
    if case.tracked.phase is Phase.CLEARING or case.quiet_ms is not None:
        return []
    return apart(case, now_ms=now_ms)


def apart(case: Case, *, now_ms: int) -> list[Change]:
    """It is no part of another one any more."""
    tracked = case.change(parent=None)
    return [Change(ChangeKind.APART, tracked.key, now_ms, tracked)]


def grown(case: Case, *, now_ms: int, policy: TrackingPolicy) -> list[Change]:
    """Tell of growth when it has come to rest, or goes on for minutes."""
    tracked = case.tracked
    if tracked.hits < max(policy.grew_by * tracked.told_hits, tracked.told_hits + policy.grew_least):
        case.growing = None
        return []
    begun_ms, hits, since_ms = case.growing or (now_ms, 0, now_ms)
    if tracked.hits > 1.1 * hits:
        hits, since_ms = tracked.hits, now_ms
    case.growing = begun_ms, hits, since_ms
    if now_ms - since_ms < policy.grew_settles_ms and now_ms - begun_ms < policy.grew_at_last_ms:
        return []
    case.growing = None
    tracked = case.change(told_hits=tracked.hits)
    return [Change(ChangeKind.GREW, tracked.key, now_ms, tracked)]


def mute(case: Case, muted: Bool, *, now_ms: int, policy: TrackingPolicy) -> list[Change]:
    """Announced work on most of its terminals mutes an incident; when the work is over, what was told before is told again."""
    tracked = case.tracked
    in_it = part(muted, case.ever) >= policy.same_share
    if in_it and not tracked.muted:
        tracked = case.change(muted=True)
        return [Change(ChangeKind.MUTED, tracked.key, now_ms, tracked)]
    if not in_it and tracked.muted and tracked.told_hits:
        return unmuted(case, now_ms=now_ms)
    return []


def unmuted(case: Case, *, now_ms: int) -> list[Change]:
    """The work is over, it is still wrong: told from here on."""
    tracked = case.change(muted=False, told_hits=max(case.tracked.hits, 1))
    return [Change(ChangeKind.UNMUTED, tracked.key, now_ms, tracked)]


def heed(case: Case, said: Said, *, now_ms: int) -> None:
    """What a person did: they stored and told it themselves."""
    tracked = case.tracked
    if said.kind is ChangeKind.ACKNOWLEDGED and tracked.lives:
        phase = Phase.ACKNOWLEDGED if tracked.phase is Phase.OPEN else tracked.phase
        case.change(phase=phase, acknowledged_ms=said.at_ms)
    elif said.kind is ChangeKind.RESOLVED and tracked.lives:
        case.change(phase=Phase.CLOSED, closed_ms=said.at_ms, clearing_ms=None, latched=False)
    elif said.kind is ChangeKind.REOPENED and tracked.phase is Phase.CLOSED:
        case.change(phase=Phase.OPEN, closed_ms=None, clearing_ms=None, reopened=tracked.reopened + 1)
        case.quiet_ms = now_ms


def figures(cases: Sequence[Case], *, now_ms: int, policy: TrackingPolicy) -> list[Change]:
    """What is to be stored anew although nothing happened: at most each minute, and only where it differs."""
    changes = []
    for case in cases:
        tracked = case.tracked
        at_ms, *before = case.stored
        present = [tracked.hits, len(tracked.rows), tracked.evidence]
        if now_ms - at_ms >= policy.figures_every_ms and present != before:
            case.stored = (now_ms, tracked.hits, len(tracked.rows), tracked.evidence)
            changes.append(Change(ChangeKind.FIGURES, tracked.key, now_ms, tracked))
    return changes


def _quiet(here: Count, peak: Count, policy: TrackingPolicy) -> bool:
    """Whether the scope looks well: little more than usual, or little of what it was at its worst."""
    little = here.score < policy.quiet_score or here.hits < policy.quiet_hits
    return little or here.rate < policy.quiet_share * peak.rate
