"""What terminals say of themselves: measured fields against plain limits, and the events that name a trouble."""

from typing import Final

import numpy as np

from diagnostics.judgement import Case, Draft
from diagnostics.limits import METRICS, limit_table
from diagnostics.reasons import REASON_INDEX, Reason
from diagnostics.snapshot import EVENT_INDEX, I64
from fleet.contract import EventCode

# Troubles that nothing in the samples shows to be over: told for a while.
_PASSING: Final = {Reason.CRASHED: EventCode.APP_CRASH, Reason.READER_FAIL: EventCode.READER_FAIL}
# Troubles that the next bet or slip shows to be over.
_UNRESOLVED: Final = {
    Reason.SCANNER_FAIL: EventCode.SCANNER_FAIL,
    Reason.PAPER_JAM: EventCode.PAPER_JAM,
}


def judge_limits(draft: Draft, case: Case) -> I64:
    """Write the reasons of plain limits and their values on the draft; returns since when each limit is passed."""
    fleet, now_ms, limits = case.fleet, case.now_ms, case.policy.limits
    table = limit_table(limits, fleet.models)
    beyond_ms = np.zeros((len(fleet), len(limits)), np.int64, order="F")
    for number, limit in enumerate(limits):
        column = METRICS.index(limit.metric)
        measured, was_beyond_ms = fleet.values[:, column], case.previous.beyond_ms[:, number]
        fresh = ~np.isnan(measured) & (now_ms - fleet.value_at_ms[:, column] < case.policy.value_lasts_s * 1000)
        compared = (np.abs(measured) if limit.absolute else measured) * table.sign[number]
        beyond = fresh & (compared >= table.enter[fleet.model, number])
        began_ms = np.where(was_beyond_ms > 0, was_beyond_ms, now_ms)
        since_ms = np.where(beyond, began_ms, np.where(fresh, 0, was_beyond_ms))
        held = beyond & (now_ms - since_ms >= limit.hold_s * 1000)
        left = fresh & (compared <= table.leave[fleet.model, number])
        still = case.was[:, REASON_INDEX[limit.reason]] & ~left
        draft.put(limit.reason, held | still, since_ms=since_ms, value=np.where(fresh, measured, np.float32(np.nan)))
        beyond_ms[:, number] = since_ms
    return beyond_ms


def judge_events(draft: Draft, case: Case) -> None:
    """Write the reasons that events give on the draft: for a while, or until the next bet or slip."""
    fleet, policy = case.fleet, case.policy
    for reason, code in (_PASSING | _UNRESOLVED).items():
        told_ms = fleet.event_ms[:, EVENT_INDEX[code]]
        lasts_s = policy.event_lasts_s if reason in _PASSING else policy.unresolved_lasts_s
        active = (told_ms > 0) & (case.now_ms - told_ms < lasts_s * 1000)
        if reason in _UNRESOLVED:
            proof_ms = fleet.scanned_ms if reason is Reason.SCANNER_FAIL else fleet.sold_ms
            active &= ~_after(proof_ms, told_ms, case)
        draft.put(reason, active, since_ms=told_ms)


def judge_paper_event(draft: Draft, case: Case) -> None:
    """Join the PAPER_OUT event to the limit on paper: either begins the reason, a new roll or a sale ends it."""
    fleet, policy = case.fleet, case.policy
    limit = next(limit for limit in policy.limits if limit.reason is Reason.PAPER_OUT)
    column = METRICS.index(limit.metric)
    paper, paper_at_ms = fleet.values[:, column], fleet.value_at_ms[:, column]
    told_ms = fleet.event_ms[:, EVENT_INDEX[EventCode.PAPER_OUT]]
    refilled = (paper >= limit.bounds.leave) & (paper_at_ms > told_ms)
    sold = _after(fleet.sold_ms, told_ms, case)
    told = (told_ms > 0) & (case.now_ms - told_ms < policy.unresolved_lasts_s * 1000) & ~refilled & ~sold
    # What an event began without a reading must be able to end without one.
    empty = (paper <= limit.bounds.enter) & (paper_at_ms > told_ms)
    over = (told_ms > 0) & (refilled | (sold & ~empty))
    by_limit = draft.has(Reason.PAPER_OUT)
    begun_ms = np.where(told, told_ms, draft.since_ms[:, REASON_INDEX[Reason.PAPER_OUT]])
    draft.put(Reason.PAPER_OUT, told | (by_limit & ~over), since_ms=begun_ms)
    draft.put(Reason.PAPER_LOW, draft.has(Reason.PAPER_LOW) & ~draft.has(Reason.PAPER_OUT))


def _after(proof_ms: I64, told_ms: I64, case: Case) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Whether the proof came after the trouble: a sample counts what was done before it was taken, so only the next one's count."""
    return np.asarray(proof_ms > told_ms + case.policy.open_cadence_s * 1000)
