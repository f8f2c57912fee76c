"""Who is silent, lost, closed or not yet heard, and whether it is not ourselves who hear nothing.

A shop is open by its usual hours unless the shopkeeper did otherwise since they last turned: opened or closed early, still
serving past the end. Silence counts only while the shop is open, and only the time in which a report was owed: not
before the shop opened, the link came up, or our own pipeline could hear.
"""

from typing import NamedTuple

import numpy as np

from diagnostics.judgement import Case, Draft
from diagnostics.limits import Policy
from diagnostics.reasons import REASON_INDEX, Reason, State
from diagnostics.snapshot import EVENT_INDEX, I64, NO_PRESENCE, OFFLINE, ONLINE, Bool, Snapshot
from fleet.contract import EventCode


class Hours(NamedTuple):
    """Whether each shop is open, as its hours and its shopkeeper say; arrays (n,)."""

    is_open: Bool
    by_shop: Bool  # closed by the shopkeeper before the usual end
    opened_ms: I64
    closed_ms: I64
    open_pace: Bool  # the terminal owes reports at the pace of an open shop
    silent_ms: I64  # so long without a report is silence


def telemetry_late(fleet: Snapshot, now_ms: int, policy: Policy, *, was_late: bool) -> bool:
    """Whether our own pipeline is behind or stopped, so that what is not heard says nothing about the terminals.

    Stopped: nothing was committed for a while in which connected terminals owed many messages. Behind: of the terminals
    heard lately, half told us of things long past; one region's journals after an outage do not make that half.
    """
    quiet_s = (now_ms - fleet.fed_ms) / 1000
    cadence_s = np.where(fleet.scheduled, policy.open_cadence_s, policy.closed_cadence_s)
    owed = (quiet_s / cadence_s)[fleet.presence == ONLINE].sum()
    if quiet_s >= policy.feed_late_s and owed >= policy.feed_due_messages:
        return True
    lately = (now_ms - fleet.heard_ms < policy.lag_late_s * 1000) & (fleet.measured_ms > 0)
    if np.count_nonzero(lately) < policy.lag_terminals:
        return False
    lag_s = float(np.median(fleet.heard_ms[lately] - fleet.measured_ms[lately])) / 1000
    return lag_s >= (policy.lag_late_s / 2 if was_late else policy.lag_late_s)


def shop_hours(case: Case) -> Hours:
    """Combine the usual hours with what the shopkeeper did since they last turned."""
    fleet, now_ms, policy = case.fleet, case.now_ms, case.policy
    opened = fleet.event_ms[:, EVENT_INDEX[EventCode.OPEN]]
    closed = fleet.event_ms[:, EVENT_INDEX[EventCode.CLOSE]]
    turned = fleet.boundary_ms
    open_pace = _open_pace(case, opened, closed)
    cadence_s = np.where(open_pace, policy.open_cadence_s, policy.closed_cadence_s)
    silent_ms = policy.silent_cadences * 1000 * cadence_s

    closed_early = fleet.scheduled & (closed > opened) & (closed >= turned)
    opened_early = ~fleet.scheduled & (opened > closed) & (opened >= turned)
    # Past the usual end without a CLOSE and still talking: the shopkeeper serves the last customer. Once closed, a late
    # report does not open the shop again.
    was_closed = case.previous.is_state(State.CLOSED)
    lingers = ~fleet.scheduled & (opened > closed) & (opened < turned) & ~was_closed
    lingers &= (now_ms - turned < policy.late_closing_s * 1000) & (now_ms - fleet.heard_ms < silent_ms)
    is_open = (fleet.scheduled & ~closed_early) | opened_early | lingers
    # A CLOSE that a sale followed was another day's; its own next sample may still count the last bet before it.
    latest = (closed > opened) & (closed + policy.open_cadence_s * 1000 >= fleet.sold_ms)
    return Hours(
        is_open=is_open,
        by_shop=~is_open & (closed_early | (latest & (closed < turned))),
        opened_ms=np.maximum(turned, opened),
        closed_ms=np.where(closed_early | latest, closed, turned),
        open_pace=open_pace,
        silent_ms=silent_ms,
    )


def _open_pace(case: Case, opened: I64, closed: I64) -> Bool:
    """Who owes reports at the pace of an open shop.

    Shopkeepers are late, and some do not open at all: until an OPEN, a bet or the reports' own pace shows the shop open, the
    closed pace is enough for a while. A terminal that measures at the closed pace is believed to be closed.
    """
    fleet, policy, turned = case.fleet, case.policy, case.fleet.boundary_ms
    shown = np.maximum(opened, fleet.sold_ms) > np.maximum(closed, turned - policy.early_opening_s * 1000)
    between_ms = np.where(fleet.before_ms > 0, fleet.measured_ms - fleet.before_ms, 0)
    since_turned = fleet.measured_ms >= turned
    unhurried = 2 * 1000 * policy.open_cadence_s
    fast = since_turned & (between_ms > 0) & (between_ms <= unhurried)
    slow = since_turned & (between_ms > unhurried)
    long_open = fleet.scheduled & (case.now_ms - turned >= policy.late_opening_s * 1000)
    return np.asarray((shown | fast | long_open) & ~slow)


def judge_presence(draft: Draft, case: Case, hours: Hours) -> None:
    """Write the reasons of closing, connection and silence on the draft."""
    fleet, now_ms = case.fleet, case.now_ms
    never = (fleet.heard_ms == 0) & (fleet.presence == NO_PRESENCE)
    judged = hours.is_open & ~never
    silent, silent_since_ms = _silent(case, hours)
    lost, lost_since_ms = _lost(case, hours, silent)
    lost &= judged
    silent &= judged & ~lost
    stale = judged & ~lost & ~silent & (now_ms - fleet.heard_ms >= hours.silent_ms)
    draft.put(Reason.NEVER_SEEN, never)
    draft.put(Reason.OFFLINE, lost, since_ms=lost_since_ms)
    draft.put(Reason.SILENT, silent, since_ms=silent_since_ms)
    draft.put(Reason.STALE, stale, since_ms=np.where(fleet.heard_ms > 0, fleet.heard_ms, now_ms))
    draft.put(Reason.CLOSED_BY_SHOP, hours.by_shop & ~never, since_ms=hours.closed_ms)
    draft.put(Reason.CLOSED, ~hours.is_open & ~hours.by_shop & ~never, since_ms=hours.closed_ms)


def _silent(case: Case, hours: Hours) -> tuple[Bool, I64]:
    """Who owes us several reports by now, and since when."""
    fleet, policy = case.fleet, case.policy
    link_up_ms = np.where(fleet.presence == ONLINE, fleet.presence_ms, 0)
    owed_from_ms = np.maximum(np.maximum(hours.opened_ms, link_up_ms), case.trusted_ms)
    silent = case.now_ms - np.maximum(owed_from_ms, fleet.heard_ms) >= hours.silent_ms
    talking_ms = hours.silent_ms // policy.silent_cadences * policy.talking_cadences
    still = case.was[:, REASON_INDEX[Reason.SILENT]] & (case.now_ms - fleet.heard_ms >= talking_ms)
    return silent | still, np.where(fleet.heard_ms > 0, fleet.heard_ms, owed_from_ms)


def _lost(case: Case, hours: Hours, silent: Bool) -> tuple[Bool, I64]:
    """Who is not connected and should be, and since when."""
    fleet, now_ms, policy = case.fleet, case.now_ms, case.policy
    online, offline = fleet.presence == ONLINE, fleet.presence == OFFLINE
    grace_ms = 1000 * np.where(hours.open_pace, policy.offline_grace_s, policy.late_opening_s)
    missed_from_ms = np.maximum(np.maximum(fleet.presence_ms, hours.opened_ms), case.trusted_ms)
    lost = offline & (now_ms - missed_from_ms >= grace_ms)
    # On the way back it must stay connected for a while and say something; connected and mute is another fault.
    back = online & (now_ms - fleet.presence_ms >= policy.back_after_s * 1000) & (fleet.heard_ms >= fleet.presence_ms)
    still = case.was[:, REASON_INDEX[Reason.OFFLINE]] & ~back & ~(online & silent)
    return lost | still, np.where(offline, fleet.presence_ms, missed_from_ms)
