"""Plans the next step of every terminal of a campaign: rows and `now` in, steps with reasons out.

Unknown means wait: a terminal that nothing is known of keeps its state until its deadline, and none is begun that is not
connected. A device's word is no proof: it has succeeded when the new version was seen in a new boot. Planning a world
again in which the steps were taken plans nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from firmware_rollout.policy import Policy
from firmware_rollout.seeing import is_at_least, is_proven, is_well, runs_other, runs_target, way_back_attempts
from firmware_rollout.snapshot import Action, Memory, Standing
from firmware_rollout.states import ActionKind, ActionState, CampaignState, Outcome, State
from firmware_rollout.windows import Window, ask


class Why(StrEnum):
    """Why a terminal moves."""

    WAVE_DUE = "wave_due"
    ALREADY_THERE = "already_there"
    TARGET_SEEN = "target_seen"
    WELL_FOR_LONG = "well_for_long"
    GOT_WELL = "got_well"
    GOT_WORSE = "got_worse"
    NOT_KNOWN = "not_known"
    UNWELL = "unwell"
    SILENT_AFTERWARDS = "silent_afterwards"
    DEVICE_FAILED = "device_failed"
    TOO_SLOW = "too_slow"
    SILENT = "silent"
    SAID_SO_BUT_DID_NOT = "said_so_but_did_not"
    FELL_BACK = "fell_back"
    OLDER_REPORTED = "older_reported"
    CAME_BACK = "came_back"
    CAME_LATE = "came_late"
    NEVER_REACHED = "never_reached"
    NOT_FETCHED_IN_TIME = "not_fetched_in_time"
    ASKED_TO_STOP = "asked_to_stop"
    STOPPED = "stopped"
    ROLLING_BACK = "rolling_back"
    OLD_SEEN = "old_seen"


class Closing(NamedTuple):
    """An action to be closed, or asked to stop, if it still is as it was seen."""

    action: int
    seen: ActionState
    retrieved: bool
    after: ActionState
    outcome: Outcome | None


class Opening(NamedTuple):
    """An action to be opened."""

    kind: ActionKind
    release: str
    attempt: int
    boot_before: int | None


class Step(NamedTuple):
    """One step of one terminal, from the state it was planned on; `memory` is what is remembered of it afterwards."""

    terminal_id: str
    before: State
    after: State
    why: Why
    memory: Memory
    closing: Closing | None = None
    opening: Opening | None = None


class CampaignNow(NamedTuple):
    """What planning needs to know of a campaign.

    Waves up to `open_wave` have begun. From `give_up_at` on, who is away is waited for no more (None: not yet known).
    `looked_since`: since when planning has looked without a break (None: always); how anybody was before, nobody knows.
    `harms`: the release was found to do harm, or was withdrawn, so that a halt also asks those to stop that have fetched it.
    """

    state: CampaignState
    release: str
    policy: Policy
    open_wave: int
    give_up_at: datetime | None
    harms: bool = False
    looked_since: datetime | None = None

    def gives_up(self, now: datetime) -> bool:
        """Whether nobody is waited for any more."""
        return self.give_up_at is not None and now >= self.give_up_at


# So many steps at most are taken at once, so that an abort of a whole fleet does not keep a halt of another campaign waiting.
MOST_STEPS: Final = 1_000
# On its way to the end of a campaign, and after it, nobody is begun any more; those on their way are seen to their own end.
_ENDING = (CampaignState.FINISHED, CampaignState.ABORTED, CampaignState.ROLLING_BACK, CampaignState.ROLLED_BACK)
_MAY_RUN_IT = (State.SOAKING, State.DONE, State.FAILED, State.ROLLED_BACK)
_STOPPED = (*_ENDING, CampaignState.PAUSED, CampaignState.HALTED)


def plan(campaign: CampaignNow, standings: Sequence[Standing], *, now: datetime) -> list[Step]:
    """The steps that are due now: those of terminals on their way, then as many new ones as there is room for.

    Of very many, the first are taken; the others are due the next time.
    """
    due = (step for one in standings if (step := next_step(campaign, one, now=now)) is not None)
    steps = list(islice(due, MOST_STEPS))
    if len(steps) == MOST_STEPS:
        return steps
    moved = {step.terminal_id for step in steps}
    ended = {step.terminal_id for step in steps if step.before is State.UPDATING and step.after is not State.UPDATING}
    in_flight = sum(_takes_room(campaign, one) for one in standings if one.terminal_id not in ended)
    room = max(campaign.policy.cap_in_flight - in_flight, 0)
    windows = _Windows(campaign.policy.window, now)
    waiting = (one for one in standings if one.terminal_id not in moved and _wants_to_begin(campaign, one, now, windows))
    # Shop by shop, so that the terminals of one counter change together.
    if room:
        by_shop = sorted(waiting, key=lambda one: (one.wave, one.point_of_sale, one.terminal_id))
        steps += [_begin(campaign, one) for one in by_shop[: min(room, MOST_STEPS)]]
    return steps


def next_step(campaign: CampaignNow, one: Standing, *, now: datetime) -> Step | None:
    """The step of a terminal that needs no room of its own; None: it stays as it is."""
    step = _OF_STATE[one.state](campaign, one, now)
    # What is remembered already is no step.
    return None if step is not None and step.after is one.state and step.memory == one.memory and not step.closing else step


def may_roll_back(campaign: CampaignNow, one: Standing) -> bool:
    """Whether this terminal runs what is to be undone and has a way back that has not failed too often."""
    return (
        campaign.state is CampaignState.ROLLING_BACK
        and one.state in _MAY_RUN_IT
        and one.way_back
        and runs_target(one, campaign.release)
        and way_back_attempts(one) < campaign.policy.max_attempts
    )


class _Windows(dict[tuple[str, str], bool]):
    """Whether the window is open now, by opening hours and time zone; there are a few dozen for a whole fleet."""

    def __init__(self, window: Window | None, now: datetime) -> None:
        self._window, self._now = window, now

    def __missing__(self, key: tuple[str, str]) -> bool:
        self[key] = ask(self._window, hours=key[0], timezone=key[1], now=self._now).open
        return self[key]


def _wants_to_begin(campaign: CampaignNow, one: Standing, now: datetime, windows: _Windows) -> bool:
    """Whether this terminal is to be offered its update, or its way back, now; it must be connected, and its window open."""
    if one.memory.retry_at is not None and one.memory.retry_at > now:
        return False
    if campaign.state is CampaignState.RUNNING:
        older = is_at_least(one.reported, campaign.release) is False
        if one.state is not State.PLANNED or one.wave > campaign.open_wave or not older:
            return False
    elif not may_roll_back(campaign, one):
        return False
    return bool(one.online) and windows[one.opening_hours, one.timezone]


def _takes_room(campaign: CampaignNow, one: Standing) -> bool:
    """Whether it is on its way; on the way back, those of whom one only waits to see what they run don't count."""
    if campaign.state is CampaignState.ROLLING_BACK and not (one.action and one.action.kind is ActionKind.ROLL_BACK):
        return False
    return one.state is State.UPDATING


def _planned(campaign: CampaignNow, one: Standing, now: datetime) -> Step | None:
    # Also after an attempt that was called off: a device may have gone through with it.
    if one.memory.firmware_before is not None and runs_target(one, campaign.release):
        return _came_late(one, now)
    if campaign.state in _ENDING:
        # Whoever was tried may still come up with it.
        after = State.FAILED if one.memory.attempts else State.WITHDRAWN
        return _to(one, after, Why.STOPPED, memory=one.memory._replace(retry_at=None))
    if runs_target(one, campaign.release):
        return _to(one, State.DONE, Why.ALREADY_THERE)
    if campaign.gives_up(now):
        return _to(one, State.FAILED, Why.NEVER_REACHED, memory=one.memory._replace(retry_at=None))
    return None


def _updating(campaign: CampaignNow, one: Standing, now: datetime) -> Step | None:
    action = one.action
    if action is None:
        return _released(campaign, one, Why.STOPPED)
    if is_proven(one, campaign.release):
        closing = _closing(one, Outcome.SUCCESS)
        if action.kind is ActionKind.ROLL_BACK:
            return _to(one, State.ROLLED_BACK, Why.OLD_SEEN, closing=closing)
        fresh = one.memory._replace(treated_at=now, well_since=now if is_well(one) else None, retry_at=None)
        return _to(one, State.SOAKING, Why.TARGET_SEEN, memory=fresh, closing=closing)
    if action.state is ActionState.CLOSED:
        if _may_come_up_with_it(campaign, action, now):
            return None
        stopped = action.outcome is Outcome.CANCELLED
        return _released(campaign, one, Why.STOPPED) if stopped else _tried_in_vain(campaign, one, Why.DEVICE_FAILED, now)
    return _stopping(campaign, one) or _overdue(campaign, one, now)


def _may_come_up_with_it(campaign: CampaignNow, action: Action, now: datetime) -> bool:
    """Whether an ending campaign still waits to see what a device runs that was asked to stop.

    One that could not stop says that it failed; and one may say that it stopped when all it still had to do was to restart.
    """
    ends = (CampaignState.ROLLING_BACK,) if action.outcome is Outcome.CANCELLED else _ENDING
    late = now - action.opened_at >= campaign.policy.deadline
    return campaign.state in ends and action.kind is ActionKind.UPDATE and not late


def _stopping(campaign: CampaignNow, one: Standing) -> Step | None:
    """What a campaign that does not go on asks of a terminal on its way."""
    action = one.action
    assert action is not None  # only asked of one that has
    undoing = (CampaignState.ROLLING_BACK, CampaignState.ROLLED_BACK)
    undoes_itself = action.kind is ActionKind.ROLL_BACK and campaign.state in undoing
    if campaign.state not in _STOPPED or action.state is not ActionState.OPEN or undoes_itself:
        return None
    if action.retrieved_at is None:
        return _released(campaign, one, Why.STOPPED, closing=_closing(one, Outcome.CANCELLED))
    asks_to_stop = campaign.harms or campaign.policy.cancel_on_halt
    if campaign.state in _ENDING or (campaign.state is CampaignState.HALTED and asks_to_stop):
        asked = Closing(action.id, action.state, True, ActionState.CANCELLING, None)
        return _to(one, State.UPDATING, Why.ASKED_TO_STOP, closing=asked)
    return None


def _overdue(campaign: CampaignNow, one: Standing, now: datetime) -> Step | None:
    """What is said of a terminal whose proof does not come."""
    action = one.action
    assert action is not None  # only asked of one that has
    old = runs_other(one, campaign.release)
    told = action.told_at is not None
    rebooted = action.boot_before is not None and one.boot not in (None, action.boot_before)
    heard_since = told and one.heard_at is not None and one.heard_at > (action.told_at or now)
    if told and old and rebooted and heard_since:
        return _tried_in_vain(campaign, one, Why.SAID_SO_BUT_DID_NOT, now, closing=_closing(one, Outcome.UNTRUE))
    if now - action.opened_at < campaign.policy.deadline:
        return None
    if action.state is ActionState.CANCELLING and one.online and campaign.state not in _ENDING:
        return _released(campaign, one, Why.SILENT, closing=_closing(one, Outcome.CANCELLED))
    if told and old and (one.online or heard_since):
        return _tried_in_vain(campaign, one, Why.SAID_SO_BUT_DID_NOT, now, closing=_closing(one, Outcome.UNTRUE))
    if one.online:
        why = Why.TOO_SLOW if action.retrieved_at else Why.NOT_FETCHED_IN_TIME
        return _tried_in_vain(campaign, one, why, now, closing=_closing(one, Outcome.FAILURE))
    # Away, or dead: whoever waits for it would wait for ever. It is tried again when it is seen again.
    return _tried_in_vain(campaign, one, Why.SILENT, now, closing=_closing(one, Outcome.SILENT), gone=True)


def _soaking(campaign: CampaignNow, one: Standing, now: datetime) -> Step | None:
    if is_at_least(one.reported, campaign.release) is False:
        return _tried_in_vain(campaign, one, Why.FELL_BACK, now)
    well, since = is_well(one), one.memory.well_since
    # What is from before a break begins anew, however many steps it takes to reach everybody.
    if since is not None and campaign.looked_since is not None and since < campaign.looked_since:
        since = None
    if well and since is not None and now - since >= campaign.policy.soak:
        return _to(one, State.DONE, Why.WELL_FOR_LONG)
    if well and since is None:
        return _to(one, State.SOAKING, Why.GOT_WELL, memory=one.memory._replace(well_since=now))
    if well is False and now - one.since >= campaign.policy.deadline:
        return _to(one, State.FAILED, Why.UNWELL if one.online else Why.SILENT_AFTERWARDS)
    # Where nobody knows how it is, that is no time of being well.
    why = Why.NOT_KNOWN if well is None else Why.GOT_WORSE
    return None if well else _to(one, State.SOAKING, why, memory=one.memory._replace(well_since=None))


def _done(campaign: CampaignNow, one: Standing, _: datetime) -> Step | None:
    # Only a version that was read and is older says that it fell back; silence says nothing.
    fell_back = is_at_least(one.reported, campaign.release) is False
    return _to(one, State.ROLLED_BACK, Why.OLDER_REPORTED) if fell_back else None


def _failed(campaign: CampaignNow, one: Standing, now: datetime) -> Step | None:
    if campaign.state in _ENDING:
        return None
    if is_at_least(one.reported, campaign.release):
        # Late is better than never, but it has to be well as long as any other; who was not in time is waited for no more.
        return _came_late(one, now) if one.memory.treated_at is None or is_well(one) else None
    if campaign.state is CampaignState.RUNNING and is_tried_again(campaign, one, now) and one.online:
        return _to(one, State.PLANNED, Why.CAME_BACK)
    return None


def is_tried_again(campaign: CampaignNow, one: Standing, now: datetime) -> bool:
    """Whether one that has failed will get another attempt when it is seen again."""
    again = one.memory.attempts < campaign.policy.max_attempts and one.memory.retry_at is not None
    return one.state is State.FAILED and again and not campaign.gives_up(now)


def _rolled_back(campaign: CampaignNow, one: Standing, now: datetime) -> Step | None:
    late = campaign.state not in _ENDING and is_at_least(one.reported, campaign.release)
    return _came_late(one, now) if late and is_well(one) else None


def _withdrawn(campaign: CampaignNow, one: Standing, now: datetime) -> Step | None:
    """Who was begun and withdrawn again runs it all the same, whatever it said when it was asked to stop."""
    asked = one.memory.firmware_before is not None
    return _came_late(one, now) if asked and runs_target(one, campaign.release) else None


def _came_late(one: Standing, now: datetime) -> Step:
    well_since = now if is_well(one) else None
    kept = one.memory._replace(treated_at=one.memory.treated_at or now, well_since=well_since, retry_at=None)
    return _to(one, State.SOAKING, Why.CAME_LATE, memory=kept)


_OF_STATE: dict[State, Callable[[CampaignNow, Standing, datetime], Step | None]] = {
    State.PLANNED: _planned,
    State.UPDATING: _updating,
    State.SOAKING: _soaking,
    State.DONE: _done,
    State.FAILED: _failed,
    State.ROLLED_BACK: _rolled_back,
    State.WITHDRAWN: _withdrawn,
}


def _begin(campaign: CampaignNow, one: Standing) -> Step:
    if campaign.state is CampaignState.ROLLING_BACK:
        kind, release, why = ActionKind.ROLL_BACK, one.memory.firmware_before or "", Why.ROLLING_BACK
        attempt, memory = way_back_attempts(one) + 1, one.memory
    else:
        kind, release, why = ActionKind.UPDATE, campaign.release, Why.WAVE_DUE
        attempt = one.memory.attempts + 1
        memory = one.memory
        if memory.attempts == 0:
            # What a failed attempt has left behind is not what it was like before the update.
            memory = memory._replace(firmware_before=one.reported, health_before=one.health)
    kept = memory._replace(attempts=attempt, retry_at=None, well_since=None)
    return _to(one, State.UPDATING, why, memory=kept, opening=Opening(kind, release, attempt, one.boot))


def _tried_in_vain(
    campaign: CampaignNow, one: Standing, why: Why, now: datetime, *, closing: Closing | None = None, gone: bool = False
) -> Step:
    """A failed attempt: tried again after a pause that grows, or, the last one, failed."""
    attempts = one.memory.attempts
    back = one.action is not None and one.action.kind is ActionKind.ROLL_BACK
    retry_at = now + campaign.policy.backoff(max(attempts, 1)) if attempts < campaign.policy.max_attempts else None
    kept = one.memory._replace(retry_at=retry_at, well_since=None)
    last = State.ROLLED_BACK if why is Why.FELL_BACK else State.FAILED
    if campaign.state in _ENDING and not back:
        return _to(one, last, why, memory=kept._replace(retry_at=None), closing=closing)
    if retry_at is not None and not gone and not back:
        return _to(one, State.PLANNED, why, memory=kept, closing=closing)
    return _to(one, last, why, memory=kept, closing=closing)


def _released(campaign: CampaignNow, one: Standing, why: Why, *, closing: Closing | None = None) -> Step:
    """An attempt that was called off and so does not count."""
    before = max(one.memory.attempts - 1, 0)
    if one.action is not None and one.action.kind is ActionKind.ROLL_BACK:
        # Its way back was not tried in vain: it may be begun at any time, should the campaign be rolled back once more.
        memory = one.memory._replace(attempts=before, retry_at=one.action.opened_at)
        return _to(one, State.FAILED, why, memory=memory, closing=closing)
    ended = State.FAILED if before else State.WITHDRAWN
    after = ended if campaign.state in _ENDING else State.PLANNED
    return _to(one, after, why, memory=one.memory._replace(attempts=before), closing=closing)


def _closing(one: Standing, outcome: Outcome) -> Closing | None:
    action = one.action
    if action is None or action.state is ActionState.CLOSED:
        return None
    return Closing(action.id, action.state, action.retrieved_at is not None, ActionState.CLOSED, outcome)


def _to(
    one: Standing,
    after: State,
    why: Why,
    *,
    memory: Memory | None = None,
    closing: Closing | None = None,
    opening: Opening | None = None,
) -> Step:
    return Step(one.terminal_id, one.state, after, why, one.memory if memory is None else memory, closing, opening)


def count_whys(steps: Iterable[Step]) -> dict[str, int]:
    """How many steps there are of each reason."""
    counted: dict[str, int] = {}
    for step in steps:
        counted[step.why.value] = counted.get(step.why.value, 0) + 1
    return counted
