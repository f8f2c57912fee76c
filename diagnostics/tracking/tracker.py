"""Follows incidents from look to look: findings of the fleet scan in, changes out.

Each trouble is looked at in its own rhythm. A look scans the fleet, leaving out the terminals at which it follows from another
incident; each finding is the next sight of an incident that is followed, or a new candidate; every living incident of it is
judged anew. Confirmed candidates find their place: aftermath, better known cause, one that came back, or an incident of its own.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from diagnostics.detector.calibration import COUNTED_TROUBLES
from diagnostics.detector.observed import Fleet, Layer
from diagnostics.scan.why import Evidence
from diagnostics.snapshot import I64, Bool, Index
from diagnostics.tracking import lifecycle
from diagnostics.tracking.case import Case, Seen, began_ms, count, part, shown
from diagnostics.tracking.grouping import (
    above,
    better_cause,
    is_consequence,
    one_incident,
    same,
    storm,
)
from diagnostics.tracking.lookout import Lookout, Scan
from diagnostics.tracking.placing import awaits_cause, came_back, is_rest, told_already
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.tracking.tracked import Change, ChangeKind, Phase, Said, Tracked, new_key
from diagnostics.troubles import TROUBLE_INDEX, TROUBLES, Trouble

# Of a case and its layer: why it is one.
Explain = Callable[[Case, Layer], Evidence]

# How long a better cause is looked for, and a scope taken up sooner, after the opening.
_YOUNG_MS = 15 * 60_000
# After these, incidents may have become one.
_REGROUPS = frozenset({ChangeKind.OPENED, ChangeKind.SCOPE, ChangeKind.REOPENED, ChangeKind.UNMUTED})
# Of terminals that are worked on, so many are expected to stay down for long.
_DOWN_AT_WORK = 0.01


class Sight(NamedTuple):
    """What one step shows the tracker.

    `muted` (n,): announced work is going on there. `down` (n,): of those, who is long down. `since_ms` (n, troubles): since when
    each terminal shows each trouble, 0 where it does not. `frozen`: our own pipeline is late, nothing can be said.
    """

    layers: Sequence[Layer]
    now_ms: int
    muted: Bool
    down: Bool
    since_ms: I64
    frozen: bool


class Tracker:
    """The incidents of a fleet, moved on by `step`."""

    def __init__(
        self, fleet: Fleet, *, scan: Scan, explain: Explain, policy: TrackingPolicy, tracked: Sequence[Tracked], started_ms: int
    ) -> None:
        self._fleet, self._explain, self._policy = fleet, explain, policy
        self._lookout = Lookout(fleet, scan=scan, policy=policy)
        self._cases = [Case(fleet, one) for one in tracked]
        # Incidents of before the start are not believed well until the detector has heard of everybody.
        self._started_ms = started_ms if tracked else 0
        # Keys of what people resolved, and until when it is left alone; what clears by itself has a time of clearing.
        self._rests_ms = {
            one.key: (one.closed_ms or 0) + policy.resolved_rests_ms
            for one in tracked
            if one.phase is Phase.CLOSED and one.clearing_ms is None
        }
        self._serial = 0
        self._changes: list[Change] = []
        self._layers: dict[Trouble, list[Layer]] = {}

    def carried_to(self, fleet: Fleet, old_rows: Index, *, scan: Scan, explain: Explain) -> "Tracker":
        """The same on a changed registry: row i was `old_rows[i]`, -1 is new."""
        new = Tracker(fleet, scan=scan, explain=explain, policy=self._policy, tracked=(), started_ms=0)
        new._cases = [case.carried_to(fleet, old_rows) for case in self._cases]
        new._started_ms, new._rests_ms, new._serial = self._started_ms, self._rests_ms, self._serial
        return new

    @property
    def tracked(self) -> list[Tracked]:
        """Everything followed: candidates, living and lately closed incidents."""
        return [case.tracked for case in self._cases]

    @property
    def living(self) -> list[Case]:
        """The cases of incidents that live."""
        return [case for case in self._cases if case.tracked.lives]

    def calls_explained(self, *, now_ms: int) -> Bool:
        """The terminals (n,) of shops whose calls follow from an incident."""
        found = self._lookout.left_out(self._cases, Trouble.CALLS, window_s=0, now_ms=now_ms)
        return np.zeros(len(self._fleet), bool) if found is None else found

    def step(self, sight: Sight, *, said: Sequence[Said] = ()) -> list[Change]:
        """Look at what is due; returns what happened, in order."""
        self._changes = []
        self._heed(said, now_ms=sight.now_ms)
        if sight.frozen:
            return self._changes
        self._layers = {}
        for layer in sight.layers:
            self._layers.setdefault(layer.trouble, []).append(layer)
        if sight.muted.any():
            self._look_at_work(sight)
        for case in self.living:
            if case.tracked.muted or sight.muted.any():
                self._changes += lifecycle.mute(case, sight.muted, now_ms=sight.now_ms, policy=self._policy)
        for trouble in TROUBLES:
            self._look(trouble, sight)
        self._decide(sight)
        if any(change.kind in _REGROUPS for change in self._changes) or sight.now_ms % 60_000 < 10_000:
            self._gather(sight.now_ms)
        self._keep_parts(sight.now_ms)
        self._keep_figures(sight.now_ms)
        self._forget(sight.now_ms)
        return self._changes

    # -- looking

    def _look(self, trouble: Trouble, sight: Sight) -> None:
        """Scan what is due for one trouble, and judge its living incidents anew."""
        mine = [case for case in self._cases if case.tracked.trouble is trouble and case.tracked.phase is not Phase.CLOSED]
        due = self._lookout.due(self._layers.get(trouble, ()), mine, now_ms=sight.now_ms)
        if due:
            found = self._lookout.findings(due, self._cases, now_ms=sight.now_ms)
            self._match(found, mine, sight, muted=False)
        pace = self._policy.paces[trouble]
        for case in mine:
            if case.tracked.lives and trouble in self._layers and sight.now_ms - case.looked_ms >= pace.look:
                self._follow(case, sight)

    def _match(self, found: Sequence[Seen], mine: Sequence[Case], sight: Sight, *, muted: bool) -> list[Case]:
        """Give each finding to the case it is of, or make a candidate of it; returns the cases seen."""
        matched: list[Case] = []
        for one in found:
            case = same(one, [case for case in mine if case not in matched], policy=self._policy)
            if case is None:
                if any(part(other.ever, one.hit) >= self._policy.same_share for other in matched):
                    continue
                case = self._candidate(one, sight, muted=muted)
            matched.append(case)
            self._sighted(case, one, sight)
        return matched

    def _candidate(self, one: Seen, sight: Sight, *, muted: bool) -> Case:
        self._serial += 1
        rows = np.flatnonzero(one.hit)
        began = began_ms(one, sight.since_ms, now_ms=sight.now_ms)
        tracked = Tracked(
            key=new_key(sight.now_ms, self._serial),
            trouble=one.layer.trouble,
            scope=one.scope,
            phase=Phase.CANDIDATE,
            began_ms=began,
            rows=rows,
            hit_ms=np.full(len(rows), began, np.int64),
            hits=len(rows),
            worst_hits=len(rows),
            score=one.finding.score,
            settled_ms=sight.now_ms,
            muted=muted,
        )
        case = Case(self._fleet, tracked)
        case.first_ms = sight.now_ms
        self._cases.append(case)
        return case

    def _sighted(self, case: Case, one: Seen, sight: Sight) -> None:
        """A case was found again: it knows its hits, and perhaps its scope, better."""
        now_ms, tracked = sight.now_ms, case.tracked
        case.found_ms, case.window_s = now_ms, one.layer.window_s
        case.change(score=one.finding.score)
        if tracked.phase is Phase.CANDIDATE:
            if one.scope != tracked.scope:
                case.rescope(self._fleet, one.scope, now_ms=now_ms)
            case.add(one.hit, now_ms)
            case.now = one.hit
            case.first_rate = max(case.first_rate, one.finding.observed / max(1, one.finding.judged))
            case.change(
                hits=int(np.count_nonzero(one.hit)),
                began_ms=min(tracked.began_ms, began_ms(one, sight.since_ms, now_ms=sight.now_ms)),
            )
        elif one.scope == tracked.scope:
            case.better = None
        elif np.count_nonzero(one.hit) >= self._telling(case, now_ms) * tracked.worst_hits:
            self._refine(case, one, now_ms)

    def _telling(self, case: Case, now_ms: int) -> float:
        """How many hits, as a part of its worst, a finding needs to say more of a scope than is known: more and more of them."""
        return 0.7 if now_ms - (case.tracked.opened_ms or 0) < _YOUNG_MS else self._policy.rescope_grown

    def _refine(self, case: Case, one: Seen, now_ms: int) -> None:
        """Take up another scope when it was found for a while, and evidence does not fade."""
        if case.better is None or case.better[0] != one.scope:
            case.better = (one.scope, now_ms)
            return
        pace = self._policy.paces[case.tracked.trouble]
        fresh = now_ms - (case.tracked.opened_ms or 0) < self._policy.fresh_ms
        holds_ms = pace.look if fresh else max(self._policy.scope_holds_ms, 2 * pace.look)
        if now_ms - case.better[1] >= holds_ms:
            before = case.tracked.scope
            case.rescope(self._fleet, one.scope, now_ms=now_ms)
            self._tell_scope(case, one.layer, now_ms=now_ms, details={"from": dict(before)})

    def _tell_scope(self, case: Case, layer: Layer, *, now_ms: int, details: dict[str, object]) -> None:
        tracked = case.change(evidence=self._explain(case, layer))
        case.explained_ms = now_ms
        self._changes.append(Change(ChangeKind.SCOPE, tracked.key, now_ms, tracked, details))

    def _follow(self, case: Case, sight: Sight) -> None:
        """Judge a living incident anew by what its scope shows now."""
        if case.tracked.muted and bool((sight.muted & case.ever).any()):
            return
        now_ms, pace = sight.now_ms, self._policy.paces[case.tracked.trouble]
        case.looked_ms = now_ms
        layer, here = case.note(self._layers[case.tracked.trouble], watch_score=self._policy.watch_score)
        now = case.inside & shown(layer)
        found = now_ms - case.found_ms < 2 * max(pace.scan(case.window_s), self._policy.refine_every_ms)
        if found:
            # Twice in a row: what shows itself once is chance.
            case.add(now & case.now, now_ms)
        case.now = now
        hits = int(np.count_nonzero(now & case.ever))
        case.change(hits=hits, worst_hits=max(case.tracked.worst_hits, hits))
        if case.found_ms == now_ms and case.tracked.muted:
            self._changes += lifecycle.unmuted(case, now_ms=now_ms)
        proof = self._proves(case, layer, now_ms)
        peak = case.peaks[layer.window_s]
        self._changes += lifecycle.looked_at(case, here, peak, proof=proof, pace=pace, now_ms=now_ms, policy=self._policy)
        if case.tracked.lives and not case.tracked.muted:
            self._changes += lifecycle.grown(case, now_ms=now_ms, policy=self._policy)
            self._recast(case, now_ms)
        if found and now_ms - case.explained_ms >= self._policy.evidence_every_ms:
            case.change(evidence=self._explain(case, layer))
            case.explained_ms = now_ms

    def _layer_of(self, case: Case) -> Layer:
        """The layer that showed it best, else the one that does now."""
        layers = self._layers[case.tracked.trouble]
        own = [layer for layer in layers if layer.window_s == case.window_s]
        return own[0] if own else max(layers, key=lambda layer: count(layer, case.inside).score)

    def _proves(self, case: Case, layer: Layer, now_ms: int) -> bool:
        """Whether the health of its terminals would be believed: enough of them are judged, and not just since a start."""
        # What is counted must be counted anew.
        settles_ms = {Trouble.CALLS: self._policy.calls_aftermath_ms}.get(
            case.tracked.trouble,
            self._policy.counts_settle_ms if case.tracked.trouble in COUNTED_TROUBLES else self._policy.settles_ms,
        )
        judged = np.count_nonzero(case.ever & (layer.expected > 0))
        return bool(now_ms >= self._started_ms + settles_ms and judged >= self._policy.judged_share * np.count_nonzero(case.ever))

    def _recast(self, case: Case, now_ms: int) -> None:
        """In its first minutes an incident may turn out to follow from something deeper at the same terminals."""
        if now_ms - (case.tracked.opened_ms or 0) >= _YOUNG_MS:
            return
        better = better_cause(case, self._layers, self._fleet.shop, policy=self._policy)
        if better is None or better[0] in case.was or len(case.was) > self._policy.most_recasts:
            return
        # Where the cause is an incident already, the two become one.
        if not is_consequence(case, self.living, now_ms=now_ms, policy=self._policy):
            self._take_for(case, better[0], now_ms=now_ms)

    def _take_for(self, case: Case, trouble: Trouble, *, now_ms: int) -> None:
        """Say of an incident that it is of another trouble."""
        before = case.tracked.trouble
        case.was.add(trouble)
        case.window_s = 0
        case.change(trouble=trouble)
        layer = self._layer_of(case)
        case.add(case.inside & shown(layer), now_ms)
        case.peaks = {}
        if case.tracked.lives:
            self._tell_scope(case, layer, now_ms=now_ms, details={"from": case.tracked.scope_by_name, "trouble_from": before})

    # -- candidates

    def _decide(self, sight: Sight) -> None:
        """Let confirmed candidates find their place, causes first."""
        waiting = [case for case in self._cases if case.tracked.phase is Phase.CANDIDATE]
        for case in sorted(waiting, key=lambda one: (TROUBLE_INDEX[one.tracked.trouble], -one.tracked.score)):
            if case in self._cases and self._confirmed(case, sight.now_ms):
                self._place(case, sight)

    def _confirmed(self, case: Case, now_ms: int) -> bool:
        """Found now, plainly, for long enough, and with a scope that does not dance."""
        if case.found_ms != now_ms or case.tracked.score < self._policy.open_score[case.tracked.trouble]:
            return False
        pace = self._policy.paces[case.tracked.trouble]
        steady = now_ms - case.tracked.settled_ms >= pace.look or now_ms - case.first_ms >= 3 * (pace.confirm + pace.look)
        return now_ms - case.first_ms >= pace.confirm and steady

    def _place(self, case: Case, sight: Sight) -> None:
        now_ms, policy = sight.now_ms, self._policy
        if awaits_cause(case, self._cases, now_ms=now_ms, policy=policy):
            return
        better = None if case.tracked.muted else better_cause(case, self._layers, self._fleet.shop, policy=policy)
        if better:
            self._take_for(case, better[0], now_ms=now_ms)
        # Of two that bring each other about, a candidate that is not plainer is no cause of what is told.
        if is_consequence(case, self._cases, now_ms=now_ms, policy=policy):
            self._cases.remove(case)
            return
        told = told_already(case, self.living, policy=policy)
        if told:
            self._cases.remove(case)
            if told.tracked.trouble is not case.tracked.trouble:
                told.rescope(self._fleet, case.tracked.scope, now_ms=now_ms)
                told.add(case.ever, now_ms)
                self._take_for(told, case.tracked.trouble, now_ms=now_ms)
            return
        before = came_back(case, self._cases, now_ms=now_ms, policy=policy)
        if before and is_rest(case, policy=policy):
            return
        if before:
            self._cases.remove(case)
            if now_ms >= self._rests_ms.get(before.tracked.key, 0):
                self._bring_back(before, case, now_ms)
            return
        case.change(evidence=self._explain(case, self._layer_of(case)))
        case.explained_ms = now_ms
        self._changes += lifecycle.opened(case, now_ms=now_ms, muted=case.tracked.muted)

    def _bring_back(self, case: Case, candidate: Case, now_ms: int) -> None:
        case.rescope(self._fleet, candidate.tracked.scope, now_ms=now_ms)
        case.add(candidate.ever, now_ms)
        case.found_ms, case.window_s, case.now = now_ms, candidate.window_s, candidate.now
        case.change(hits=candidate.tracked.hits, score=candidate.tracked.score, parent=None, muted=candidate.tracked.muted)
        case.change(evidence=self._explain(case, self._layer_of(case)))
        self._changes += lifecycle.returned(case, now_ms=now_ms, policy=self._policy)

    # -- the whole picture

    def _gather(self, now_ms: int) -> None:
        """Make one of incidents that are one, and a family of a storm."""
        living = self.living
        for i, one in enumerate(living):
            for other in living[i + 1 :]:
                if not (one.tracked.lives and other.tracked.lives) or one.tracked.muted != other.tracked.muted:
                    continue
                pair = one_incident(one, other, policy=self._policy)
                if pair:
                    self._changes += lifecycle.merged(pair[1], pair[0], now_ms=now_ms)
        family = storm([case for case in self.living if not case.tracked.muted], now_ms=now_ms, policy=self._policy)
        if family:
            # The widest may be part of an earlier storm: then that one grows.
            head = above(family[0], self._cases) or family[0]
            for child in family[1]:
                if child is not head:
                    self._changes += lifecycle.put_under(child, head, now_ms=now_ms)

    def _keep_parts(self, now_ms: int) -> None:
        """Let every part be of something that lives, or stand alone."""
        for case in self.living:
            if case.tracked.parent is not None:
                self._changes += lifecycle.stays_under(case, above(case, self._cases), now_ms=now_ms)

    def _look_at_work(self, sight: Sight) -> None:
        """What is long down where work is announced: recorded, as far as many are."""
        hit = (sight.down & sight.muted).astype(np.float32)
        if hit.sum() < self._policy.min_terminals:
            return
        layer = Layer(Trouble.OFFLINE, 0, hit, np.full(len(hit), _DOWN_AT_WORK, np.float32))
        mine = [case for case in self._cases if case.tracked.muted and case.tracked.phase is not Phase.CLOSED]
        self._layers.setdefault(Trouble.OFFLINE, []).append(layer)
        self._match(self._lookout.at_work(layer), mine, sight, muted=True)
        self._layers[Trouble.OFFLINE].remove(layer)

    def _heed(self, said: Sequence[Said], *, now_ms: int) -> None:
        for one in said:
            for case in self._cases:
                if case.tracked.key == one.key:
                    lifecycle.heed(case, one, now_ms=now_ms)
                    if one.kind is ChangeKind.RESOLVED:
                        self._rests_ms[one.key] = one.at_ms + self._policy.resolved_rests_ms

    def _keep_figures(self, now_ms: int) -> None:
        told = {change.key for change in self._changes}
        for case in self.living:
            if case.tracked.key in told:
                case.stored = (now_ms, case.tracked.hits, len(case.tracked.rows), case.tracked.evidence)
        self._changes += lifecycle.figures(self.living, now_ms=now_ms, policy=self._policy)

    def _forget(self, now_ms: int) -> None:
        """Let candidates go that were not found again, and incidents that closed long ago."""
        policy = self._policy
        self._cases = [
            case
            for case in self._cases
            if (case.tracked.phase is not Phase.CANDIDATE or now_ms - case.found_ms < policy.candidate_lasts_ms)
            and (case.tracked.phase is not Phase.CLOSED or now_ms - (case.tracked.closed_ms or 0) < policy.reopens_within_ms)
        ]
