"""Says of every terminal how it is and why: arrays and `now` in, states and reasons out; no loop over terminals.

Three rules run through it. Missing data is never health: what was not heard lately is `unknown` or `down`, and while our
own pipeline is late nothing open is called well. A reason leaves only on evidence: a limit that is no longer measured
keeps its reason. Nothing flaps: every way in has another way out.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from diagnostics.judgement import REASON_BITS, U32, Case, Draft, Judgement, packed
from diagnostics.limits import Policy
from diagnostics.readings import judge_events, judge_limits, judge_paper_event
from diagnostics.reasons import REASON_INDEX, REASONS, STATE_INDEX, STATE_OF, Reason, State
from diagnostics.silence import Hours, judge_presence, shop_hours, telemetry_late
from diagnostics.snapshot import F32, I8, I64, Bool, Index, Snapshot

_STATE_OF_REASON: Final = np.array([STATE_INDEX[STATE_OF[reason]] for reason in REASONS], np.int8)
# A terminal's own reasons: what it keeps while our pipeline says nothing new of it.
_OWN: Final = np.isin(_STATE_OF_REASON, [STATE_INDEX[State.DOWN], STATE_INDEX[State.DEGRADED]])
# Who knows nothing says nothing, and a closed shop has no fault: the last of these that applies is the state.
_RISING: Final = {
    state: np.uint32(REASON_BITS[np.equal(_STATE_OF_REASON, STATE_INDEX[state])].sum())
    for state in (State.DEGRADED, State.DOWN, State.CLOSED, State.UNKNOWN)
}


class Held(NamedTuple):
    """A reason found elsewhere: where it holds, since when, with which value (NaN: none); arrays (n,)."""

    where: Bool
    since_ms: I64
    value: F32


def judge(fleet: Snapshot, now_ms: int, policy: Policy, previous: Judgement) -> Judgement:
    """Judge every terminal of `fleet` at `now_ms`; `previous` has the same rows. Neither is changed."""
    return judge_by_hours(fleet, now_ms, policy, previous)[0]


def judge_by_hours(fleet: Snapshot, now_ms: int, policy: Policy, previous: Judgement) -> tuple[Judgement, Hours]:
    """The same, with what it took the shops' hours to be."""
    late = telemetry_late(fleet, now_ms, policy, was_late=previous.late)
    trusted_ms = now_ms if previous.late and not late else previous.trusted_ms
    case = Case(fleet, now_ms, policy, previous, previous.table(), trusted_ms)
    draft = Draft(len(fleet), now_ms)
    hours = shop_hours(case)
    judge_presence(draft, case, hours)
    beyond_ms = judge_limits(draft, case)
    judge_events(draft, case)
    judge_paper_event(draft, case)
    if late:
        _keep_what_was(draft, case, hours)

    # Few reasons hold at once: all but the states is worked out where one does.
    rows, columns, since_ms, value = draft.holding()
    was = case.was[rows, columns]
    since_ms = np.where(was, previous.reason_since_ms[rows, columns], since_ms)
    reason_since_ms = np.zeros(draft.on.shape, np.int64, order="F")
    reason_since_ms[rows, columns] = since_ms
    told = np.full(draft.on.shape, np.nan, np.float32, order="F")
    told[rows, columns] = _told(value, previous.value[rows, columns], columns, was=was, policy=policy)
    reasons = packed(draft.on)
    state, state_since_ms = _stated(
        reasons, reason_since_ms, now_ms=now_ms, before=previous.state, before_ms=previous.state_since_ms
    )
    judged = Judgement(
        state=state,
        reasons=reasons,
        state_since_ms=state_since_ms,
        reason_since_ms=reason_since_ms,
        value=told,
        beyond_ms=beyond_ms,
        late=late,
        trusted_ms=trusted_ms,
    )
    return judged, hours


def with_reasons(judged: Judgement, more: Mapping[Reason, Held], *, now_ms: int, previous: Judgement) -> Judgement:
    """The judgement with further reasons, found elsewhere with a hysteresis of their own; `previous` as for `judge`.

    They are told of terminals whose shop is open and that are heard of, and of nobody while our own pipeline is late.
    """
    if judged.late or not more:
        return judged
    hidden = judged.is_state(State.CLOSED) | judged.is_state(State.UNKNOWN)
    rows = np.flatnonzero(np.logical_or.reduce([held.where for held in more.values()]) & ~hidden)
    if not len(rows):
        return judged
    columns = np.array([REASON_INDEX[reason] for reason in more])
    where = np.stack([held.where[rows] for held in more.values()], axis=1)
    found = np.stack([held.value[rows] for held in more.values()], axis=1)
    # A told value stays told while the reason does, unless it moved by a tenth: a row is not rewritten for noise.
    told = previous.value[rows][:, columns]
    near = ~np.isnan(told) & (np.isnan(found) | (np.abs(found - told) < 0.1 * np.abs(told)))
    on, since_ms, value = judged.table()[rows], judged.reason_since_ms.copy(order="K"), judged.value.copy(order="K")
    on[:, columns] = where
    since_ms[np.ix_(rows, columns)] = np.where(where, np.stack([held.since_ms[rows] for held in more.values()], axis=1), 0)
    value[np.ix_(rows, columns)] = np.where(where, np.where(near, told, found), np.nan)
    state, state_since_ms, reasons = judged.state.copy(), judged.state_since_ms.copy(), judged.reasons.copy()
    reasons[rows] = packed(on)
    state[rows], state_since_ms[rows] = _stated(
        reasons[rows], since_ms[rows], now_ms=now_ms, before=previous.state[rows], before_ms=previous.state_since_ms[rows]
    )
    return replace(judged, state=state, reasons=reasons, state_since_ms=state_since_ms, reason_since_ms=since_ms, value=value)


def _stated(reasons: U32, since_ms: I64, *, now_ms: int, before: I8, before_ms: I64) -> tuple[I8, I64]:
    """The state that the reasons make, and since when: with the first of them, though not before the state it follows."""
    state = _states(reasons)
    (turned,) = np.nonzero(state != before)
    on = (reasons[turned, None] & REASON_BITS) != 0
    makes_it = on & (state[turned, None] == _STATE_OF_REASON)
    begun_ms = np.where(makes_it, since_ms[turned], now_ms).min(axis=1, initial=now_ms)
    state_since_ms = before_ms.copy()
    state_since_ms[turned] = np.maximum(begun_ms, before_ms[turned])
    return state, state_since_ms


def _keep_what_was(draft: Draft, case: Case, hours: Hours) -> None:
    """While our pipeline is late: terminals of open shops keep their own reasons, and are unknown."""
    unheard = hours.is_open & ~draft.has(Reason.NEVER_SEEN)
    draft.on[unheard] = case.was[unheard] & _OWN
    draft.put(Reason.TELEMETRY_LATE, unheard)


def _states(reasons: U32) -> I8:
    """The state that the reasons make: int8 (n,) of STATES."""
    state = np.full(len(reasons), STATE_INDEX[State.OK], np.int8)
    for name, leads_there in _RISING.items():
        state[(reasons & leads_there) != 0] = STATE_INDEX[name]
    return state


def _told(value: F32, told: F32, columns: Index, *, was: Bool, policy: Policy) -> F32:
    """The values to tell of reasons that hold: the last told ones unless they moved by a step; NaN where there is none."""
    step = np.full(len(REASONS), np.inf, np.float32)
    for limit in policy.limits:
        step[REASON_INDEX[limit.reason]] = limit.step
    near = np.isnan(value) | (np.abs(value - told) < step[columns])
    return np.where(was & near, told, value)
