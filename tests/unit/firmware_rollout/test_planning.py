"""The life of a terminal in a campaign, as planned: what moves it, what does not, and that planning twice plans once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_rollout.planning import MOST_STEPS, Step, Why, next_step, plan
from firmware_rollout.seeing import is_well
from firmware_rollout.snapshot import Action, Memory, Standing
from firmware_rollout.states import SETTLED, ActionKind, ActionState, CampaignState, Outcome, State
from tests.unit.firmware_rollout.standing_terminals import DAY, HOUR, MINUTE, NOW, RUNNING, SOAKED, TRIED, asked, in_state, terminal

TOLD: dict[str, Any] = {"told_at": NOW - 30 * MINUTE}
LONG_AGO: dict[str, Any] = {"opened_at": NOW - DAY, "retrieved_at": NOW - DAY}
NEVER_FETCHED: dict[str, Any] = {"opened_at": NOW - DAY, "retrieved_at": None}


@pytest.mark.parametrize(
    ("one", "after", "why", "outcome"),
    [
        pytest.param(terminal(), State.UPDATING, Why.WAVE_DUE, None, id="its wave and its window are open"),
        pytest.param(terminal(wave=3), None, None, None, id="its wave has not begun"),
        pytest.param(terminal(online=False), None, None, None, id="not connected: wait"),
        pytest.param(terminal(online=None, reported=None), None, None, None, id="never seen: wait"),
        pytest.param(terminal(reported=None), None, None, None, id="nobody knows what it runs: wait"),
        pytest.param(terminal(opening_hours="24/7"), None, None, None, id="its shop is open"),
        pytest.param(terminal(reported="4.3.0"), State.DONE, Why.ALREADY_THERE, None, id="it runs the target"),
        pytest.param(terminal(reported="4.10.0"), State.DONE, Why.ALREADY_THERE, None, id="it runs a later one"),
        pytest.param(
            terminal(memory=TRIED._replace(attempts=0), reported="4.3.0"),
            State.SOAKING,
            Why.CAME_LATE,
            None,
            id="it said that it stopped, and runs the target",
        ),
        pytest.param(
            terminal(memory=TRIED._replace(retry_at=NOW + MINUTE)), None, None, None, id="its next attempt is not yet due"
        ),
        pytest.param(
            terminal(memory=TRIED._replace(retry_at=NOW)), State.UPDATING, Why.WAVE_DUE, None, id="its next attempt is due"
        ),
        pytest.param(terminal(State.UPDATING), None, None, None, id="on its way"),
        pytest.param(
            terminal(State.UPDATING, reported="4.3.0", boot=8),
            State.SOAKING,
            Why.TARGET_SEEN,
            Outcome.SUCCESS,
            id="seen with the target in a new boot",
        ),
        pytest.param(terminal(State.UPDATING, reported="4.3.0"), None, None, None, id="the target, but in the boot from before"),
        pytest.param(
            terminal(State.UPDATING, reported="4.3.0", heard_at=NOW - 2 * HOUR, action=asked(boot_before=None)),
            None,
            None,
            None,
            id="heard before it was asked",
        ),
        pytest.param(
            terminal(State.UPDATING, action=asked(ActionState.TOLD, **TOLD)),
            None,
            None,
            None,
            id="it says so: its word is no proof",
        ),
        pytest.param(
            terminal(State.UPDATING, boot=8, action=asked(ActionState.TOLD, **TOLD)),
            State.PLANNED,
            Why.SAID_SO_BUT_DID_NOT,
            Outcome.UNTRUE,
            id="it says so, rebooted, and runs the old version",
        ),
        pytest.param(
            terminal(State.UPDATING, action=asked(ActionState.TOLD, **LONG_AGO, **TOLD)),
            State.PLANNED,
            Why.SAID_SO_BUT_DID_NOT,
            Outcome.UNTRUE,
            id="it says so and runs the old version at the deadline",
        ),
        pytest.param(
            terminal(State.UPDATING, online=False, heard_at=NOW - DAY, action=asked(ActionState.TOLD, **LONG_AGO, **TOLD)),
            State.FAILED,
            Why.SILENT,
            Outcome.SILENT,
            id="it says so and is not seen again: bricked",
        ),
        pytest.param(
            terminal(State.UPDATING, online=False, action=asked(**LONG_AGO)),
            State.FAILED,
            Why.SILENT,
            Outcome.SILENT,
            id="gone at the deadline",
        ),
        pytest.param(
            terminal(State.UPDATING, action=asked(**LONG_AGO)), State.PLANNED, Why.TOO_SLOW, Outcome.FAILURE, id="too slow"
        ),
        pytest.param(
            terminal(State.UPDATING, action=asked(**NEVER_FETCHED)),
            State.PLANNED,
            Why.NOT_FETCHED_IN_TIME,
            Outcome.FAILURE,
            id="connected, but it never came for it",
        ),
        pytest.param(
            terminal(State.UPDATING, action=asked(ActionState.CLOSED, outcome=Outcome.FAILURE)),
            State.PLANNED,
            Why.DEVICE_FAILED,
            None,
            id="it says it failed",
        ),
        pytest.param(
            terminal(State.UPDATING, memory=TRIED._replace(attempts=3), action=asked(ActionState.CLOSED, outcome=Outcome.FAILURE)),
            State.FAILED,
            Why.DEVICE_FAILED,
            None,
            id="it says it failed for the last time",
        ),
        pytest.param(terminal(State.SOAKING), None, None, None, id="it soaks"),
        pytest.param(
            terminal(State.SOAKING, memory=SOAKED._replace(well_since=NOW - 2 * HOUR)),
            State.DONE,
            Why.WELL_FOR_LONG,
            None,
            id="well for long enough",
        ),
        pytest.param(terminal(State.SOAKING, online=False), State.SOAKING, Why.GOT_WORSE, None, id="it soaks and is lost"),
        pytest.param(terminal(State.SOAKING, health="degraded"), State.SOAKING, Why.GOT_WORSE, None, id="worse than before"),
        pytest.param(
            terminal(State.SOAKING, health="degraded", memory=SOAKED._replace(health_before="degraded")),
            None,
            None,
            None,
            id="no worse than before",
        ),
        pytest.param(
            terminal(State.SOAKING, health="unknown", memory=SOAKED._replace(well_since=NOW - DAY)),
            State.SOAKING,
            Why.NOT_KNOWN,
            None,
            id="nobody knows how it is: that does not count as well",
        ),
        pytest.param(
            terminal(State.SOAKING, health="unknown", memory=SOAKED._replace(well_since=None)),
            None,
            None,
            None,
            id="nobody knows how it is: wait",
        ),
        pytest.param(
            terminal(State.SOAKING, since=NOW - DAY, online=False, memory=SOAKED._replace(well_since=None)),
            State.FAILED,
            Why.SILENT_AFTERWARDS,
            None,
            id="silent since its update: failed by its deadline",
        ),
        pytest.param(
            terminal(State.SOAKING, since=NOW - DAY, health="down", memory=SOAKED._replace(well_since=None)),
            State.FAILED,
            Why.UNWELL,
            None,
            id="unwell since its update",
        ),
        pytest.param(terminal(State.SOAKING, reported="4.2.1"), State.PLANNED, Why.FELL_BACK, None, id="it fell back"),
        pytest.param(terminal(State.DONE), None, None, None, id="done"),
        pytest.param(terminal(State.DONE, online=False, reported=None), None, None, None, id="done and silent: that is the gate's"),
        pytest.param(terminal(State.DONE, reported="4.2.1"), State.ROLLED_BACK, Why.OLDER_REPORTED, None, id="an older one again"),
        pytest.param(terminal(State.FAILED), None, None, None, id="failed"),
        pytest.param(
            terminal(State.FAILED, memory=TRIED._replace(retry_at=NOW)), State.PLANNED, Why.CAME_BACK, None, id="silent, and back"
        ),
        pytest.param(
            terminal(State.FAILED, memory=TRIED._replace(retry_at=NOW), online=False), None, None, None, id="silent, and still away"
        ),
        pytest.param(terminal(State.FAILED, reported="4.3.0"), State.SOAKING, Why.CAME_LATE, None, id="late is better than never"),
        pytest.param(terminal(State.ROLLED_BACK, reported="4.3.0"), State.SOAKING, Why.CAME_LATE, None, id="updated by hand"),
        pytest.param(terminal(State.WITHDRAWN), None, None, None, id="withdrawn"),
    ],
)
def test_a_terminal_moves_for_a_reason(one: Standing, after: State | None, why: Why | None, outcome: Outcome | None) -> None:
    found = plan(RUNNING, [one], now=NOW)
    assert [(step.after, step.why) for step in found] == ([(after, why)] if after else [])
    assert [step.closing.outcome for step in found if step.closing] == ([outcome] if outcome else [])


@pytest.mark.parametrize(
    ("campaign", "one", "after", "closes"),
    [
        pytest.param(CampaignState.PAUSED, terminal(), None, None, id="paused: nobody is begun"),
        pytest.param(
            CampaignState.PAUSED,
            terminal(State.UPDATING, action=asked(retrieved_at=None)),
            State.PLANNED,
            ActionState.CLOSED,
            id="paused: what was not fetched is taken back",
        ),
        pytest.param(CampaignState.PAUSED, terminal(State.UPDATING), None, None, id="paused: what was fetched goes on"),
        pytest.param(CampaignState.HALTED, terminal(State.UPDATING), None, None, id="halted: what was fetched goes on"),
        pytest.param(
            CampaignState.HALTED,
            terminal(State.UPDATING, reported="4.3.0", boot=8),
            State.SOAKING,
            ActionState.CLOSED,
            id="halted: what got through is seen",
        ),
        pytest.param(CampaignState.ABORTED, terminal(), State.WITHDRAWN, None, id="aborted: what waits is withdrawn"),
        pytest.param(
            CampaignState.ABORTED,
            terminal(State.UPDATING, action=asked(retrieved_at=None)),
            State.WITHDRAWN,
            ActionState.CLOSED,
            id="aborted: what was not fetched is withdrawn",
        ),
        pytest.param(
            CampaignState.ABORTED, terminal(State.UPDATING), State.UPDATING, ActionState.CANCELLING, id="aborted: asked to stop"
        ),
        pytest.param(
            CampaignState.ABORTED,
            terminal(State.UPDATING, action=asked(ActionState.CANCELLING, **LONG_AGO), online=False),
            State.FAILED,
            ActionState.CLOSED,
            id="aborted: who does not answer is not waited for without end",
        ),
        pytest.param(
            CampaignState.ABORTED,
            terminal(State.UPDATING, action=asked(ActionState.CLOSED, outcome=Outcome.CANCELLED)),
            State.WITHDRAWN,
            None,
            id="aborted: it stopped",
        ),
        pytest.param(CampaignState.ROLLING_BACK, terminal(), State.WITHDRAWN, None, id="rolling back: what waits is withdrawn"),
        pytest.param(
            CampaignState.ROLLING_BACK, terminal(State.DONE), State.UPDATING, None, id="rolling back: what was done is undone"
        ),
        pytest.param(CampaignState.ROLLING_BACK, terminal(State.SOAKING), State.UPDATING, None, id="rolling back: what soaks, too"),
        pytest.param(CampaignState.ROLLING_BACK, terminal(State.DONE, way_back=False), None, None, id="there is no way back"),
        pytest.param(
            CampaignState.ROLLING_BACK,
            terminal(State.UPDATING, action=asked(ActionState.CLOSED, outcome=Outcome.CANCELLED)),
            None,
            None,
            id="rolling back: who says it stopped may come up with it all the same",
        ),
        pytest.param(
            CampaignState.ROLLING_BACK,
            terminal(State.UPDATING, action=asked(ActionState.CLOSED, outcome=Outcome.CANCELLED, **LONG_AGO)),
            State.WITHDRAWN,
            None,
            id="rolling back: it stopped, and did not come up with it in time",
        ),
        *(
            pytest.param(
                ending,
                terminal(State.UPDATING, action=asked(ActionState.CLOSED, outcome=Outcome.FAILURE, **when)),
                after,
                None,
                id=f"{ending}: it could not stop, {words}",
            )
            for ending in (CampaignState.ABORTED, CampaignState.ROLLING_BACK)
            for when, after, words in (({}, None, "and may come up with it"), (LONG_AGO, State.FAILED, "and did not come up"))
        ),
        *(
            pytest.param(
                ending,
                terminal(State.UPDATING, action=asked(ActionState.CANCELLING, **LONG_AGO), online=online),
                State.FAILED,
                ActionState.CLOSED,
                id=f"{ending}: it fetched it and never answered, online {online}",
            )
            for ending in (CampaignState.ABORTED, CampaignState.ROLLING_BACK)
            for online in (True, False)
        ),
        pytest.param(
            CampaignState.ROLLING_BACK,
            terminal(memory=TRIED._replace(retry_at=NOW + HOUR)),
            State.FAILED,
            None,
            id="rolling back: who was tried may come up with it",
        ),
        pytest.param(
            CampaignState.ROLLING_BACK,
            terminal(memory=TRIED, reported="4.3.0", health="down"),
            State.SOAKING,
            None,
            id="rolling back: it came up with it late, and unwell",
        ),
        pytest.param(
            CampaignState.ROLLING_BACK,
            terminal(State.WITHDRAWN, memory=Memory(firmware_before="4.2.1"), reported="4.3.0"),
            State.SOAKING,
            None,
            id="rolling back: it said it stopped, and runs it",
        ),
        pytest.param(
            CampaignState.ROLLING_BACK,
            terminal(State.ROLLED_BACK, reported="4.3.0"),
            State.UPDATING,
            None,
            id="rolling back: it was back, and runs it again",
        ),
        pytest.param(CampaignState.ROLLING_BACK, terminal(State.FAILED), None, None, id="it never ran it"),
        pytest.param(CampaignState.APPROVED, terminal(), None, None, id="approved: not begun"),
    ],
)
def test_a_campaign_that_does_not_go_on_takes_back_what_it_can(
    campaign: CampaignState, one: Standing, after: State | None, closes: ActionState | None
) -> None:
    found = plan(in_state(campaign), [one], now=NOW)
    assert [step.after for step in found] == ([after] if after else [])
    assert [step.closing.after for step in found if step.closing] == ([closes] if closes else [])


def test_a_halt_may_ask_to_stop_what_was_fetched() -> None:
    [step] = plan(in_state(CampaignState.HALTED, cancel_on_halt=True), [terminal(State.UPDATING)], now=NOW)
    assert step.closing is not None
    assert step.closing.after is ActionState.CANCELLING


def test_a_halt_for_harm_asks_to_stop_what_was_fetched_whatever_the_policy_says() -> None:
    harmful = in_state(CampaignState.HALTED)._replace(harms=True)
    [step] = plan(harmful, [terminal(State.UPDATING)], now=NOW)
    assert (step.why, step.closing and step.closing.after) == (Why.ASKED_TO_STOP, ActionState.CANCELLING)
    assert plan(in_state(CampaignState.PAUSED)._replace(harms=True), [terminal(State.UPDATING)], now=NOW) == []
    # Asked to stop and never heard of again is no attempt called off: it may be a brick.
    asked_long_ago = asked(ActionState.CANCELLING, **LONG_AGO)
    [dead] = plan(harmful, [terminal(State.UPDATING, action=asked_long_ago, online=False)], now=NOW)
    assert (dead.after, dead.closing and dead.closing.outcome) == (State.FAILED, Outcome.SILENT)
    [deaf] = plan(harmful, [terminal(State.UPDATING, action=asked_long_ago)], now=NOW)
    assert (deaf.after, deaf.closing and deaf.closing.outcome) == (State.PLANNED, Outcome.CANCELLED)


def test_an_attempt_taken_back_does_not_count_and_a_failed_one_waits_longer_each_time() -> None:
    [back] = plan(in_state(CampaignState.PAUSED), [terminal(State.UPDATING, action=asked(retrieved_at=None))], now=NOW)
    assert back.memory.attempts == 0
    pauses = []
    for attempts in (1, 2):
        failed = terminal(
            State.UPDATING, memory=TRIED._replace(attempts=attempts), action=asked(ActionState.CLOSED, outcome=Outcome.FAILURE)
        )
        [step] = plan(RUNNING, [failed], now=NOW)
        assert step.memory.retry_at is not None
        pauses.append(step.memory.retry_at - NOW)
    assert pauses == [HOUR, 2 * HOUR]


def test_what_a_terminal_was_like_before_its_update_is_not_what_a_failed_attempt_made_of_it() -> None:
    ill = terminal(memory=TRIED._replace(retry_at=NOW), health="down", reported="4.2.0")
    [again] = plan(RUNNING, [ill], now=NOW)
    assert (again.memory.attempts, again.memory.health_before, again.memory.firmware_before) == (2, "ok", "4.2.1")
    [first] = plan(RUNNING, [ill._replace(memory=TRIED._replace(attempts=0))], now=NOW)
    assert (first.memory.health_before, first.memory.firmware_before) == ("down", "4.2.0"), "it was never begun in truth"


def test_the_way_back_is_proven_like_the_way_there() -> None:
    rolling = in_state(CampaignState.ROLLING_BACK)
    [begun] = plan(rolling, [terminal(State.DONE)], now=NOW)
    assert begun.opening is not None
    assert (begun.opening.kind, begun.opening.release, begun.opening.attempt) == (ActionKind.ROLL_BACK, "4.2.1", 1)
    back = asked()._replace(kind=ActionKind.ROLL_BACK, release="4.2.1", boot_before=8)
    on_its_way = terminal(State.UPDATING, reported="4.3.0", boot=8, action=back)
    assert plan(rolling, [on_its_way], now=NOW) == []
    assert plan(in_state(CampaignState.ROLLED_BACK), [on_its_way], now=NOW) == [], "begun in the very step that ended it"
    assert plan(rolling, [on_its_way._replace(boot=9)], now=NOW) == [], "another boot, and still the release"
    tried = terminal(State.FAILED, reported="4.3.0", memory=TRIED._replace(attempts=3), action=back)
    assert plan(rolling, [tried], now=NOW) == [], "its way back has failed three times"
    again = plan(rolling, [tried._replace(memory=TRIED)], now=NOW)
    assert [step.opening.attempt for step in again if step.opening] == [2]
    [proven] = plan(rolling, [on_its_way._replace(reported="4.2.1", boot=9)], now=NOW)
    assert (proven.after, proven.why) == (State.ROLLED_BACK, Why.OLD_SEEN)
    [failed] = plan(
        rolling, [on_its_way._replace(action=back._replace(state=ActionState.CLOSED, outcome=Outcome.FAILURE))], now=NOW
    )
    assert (failed.after, failed.memory.retry_at) == (State.FAILED, NOW + HOUR)
    unfetched = on_its_way._replace(action=back._replace(state=ActionState.OPEN, retrieved_at=None), memory=TRIED)
    [called_off] = plan(in_state(CampaignState.ABORTED), [unfetched], now=NOW)
    assert (called_off.after, called_off.memory.attempts) == (State.FAILED, TRIED.attempts - 1)
    asked_again = unfetched._replace(state=State.FAILED, memory=called_off.memory)
    assert plan(rolling, [asked_again], now=NOW) != [], "called off is not tried in vain"
    assert called_off.memory.retry_at is not None, "which tells it from one that was"


def test_as_many_are_begun_as_there_is_room_for_and_shop_by_shop() -> None:
    fleet = [
        terminal(terminal_id=f"T{number:05}", point_of_sale=f"P{9 - number // 2:05}", wave=1 + number % 4 // 2)
        for number in range(12)
    ]
    fleet.append(terminal(State.UPDATING, terminal_id="T00099"))
    found = plan(in_state(CampaignState.RUNNING, cap_in_flight=5), fleet, now=NOW)
    assert [step.terminal_id for step in found] == ["T00008", "T00009", "T00004", "T00005"], "wave 1 first, by shop"
    full = plan(in_state(CampaignState.RUNNING, cap_in_flight=1), fleet, now=NOW)
    assert full == []


def test_those_who_are_asked_to_stop_keep_nobody_from_the_way_back() -> None:
    stopping = [terminal(State.UPDATING, terminal_id=f"T{number:05}", action=asked(ActionState.CANCELLING)) for number in range(5)]
    back = asked()._replace(kind=ActionKind.ROLL_BACK, release="4.2.1", boot_before=8)
    on_its_way = terminal(State.UPDATING, terminal_id="T00050", reported="4.3.0", boot=8, action=back)
    done = [terminal(State.DONE, terminal_id=f"T{number:05}") for number in range(60, 65)]
    found = plan(in_state(CampaignState.ROLLING_BACK, cap_in_flight=3), [*stopping, on_its_way, *done], now=NOW)
    assert [step.terminal_id for step in found] == ["T00060", "T00061"]


def test_a_whole_fleet_is_taken_back_in_portions() -> None:
    fleet = [terminal(terminal_id=f"T{number:05}") for number in range(MOST_STEPS + 1)]
    assert len(plan(in_state(CampaignState.ABORTED), fleet, now=NOW)) == MOST_STEPS
    assert len(plan(in_state(CampaignState.ABORTED), fleet[MOST_STEPS:], now=NOW)) == 1


def test_what_nobody_looked_at_is_no_time_of_being_well() -> None:
    soaked = terminal(State.SOAKING, memory=SOAKED._replace(well_since=NOW - DAY))
    looks_again = RUNNING._replace(looked_since=NOW)
    [step] = plan(looks_again, [soaked], now=NOW)
    assert (step.after, step.memory.well_since) == (State.SOAKING, NOW)
    assert plan(looks_again, [soaked._replace(memory=step.memory)], now=NOW + HOUR) == []
    [done] = plan(looks_again, [soaked._replace(memory=step.memory)], now=NOW + 2 * HOUR)
    assert done.after is State.DONE


def test_after_a_break_everybody_soaks_anew_though_a_step_does_not_reach_all() -> None:
    fleet = {f"T{number:05}": SOAKED._replace(well_since=NOW - DAY) for number in range(2 * MOST_STEPS + 1)}
    looks_again = RUNNING._replace(looked_since=NOW)
    for portion in (MOST_STEPS, MOST_STEPS, 1, 0):
        soaking = [terminal(State.SOAKING, terminal_id=one, memory=memory) for one, memory in fleet.items()]
        steps = plan(looks_again, soaking, now=NOW + MINUTE)
        assert [step.why for step in steps] == [Why.GOT_WELL] * portion
        fleet |= {step.terminal_id: step.memory for step in steps}


def test_who_was_never_reached_is_given_up_when_the_last_wave_is_long_open() -> None:
    away = terminal(online=False)
    assert plan(RUNNING._replace(give_up_at=NOW + DAY), [away], now=NOW) == []
    [step] = plan(RUNNING._replace(give_up_at=NOW), [away], now=NOW)
    assert (step.after, step.why) == (State.FAILED, Why.NEVER_REACHED)
    silent = terminal(State.FAILED, memory=TRIED._replace(retry_at=NOW))
    assert plan(RUNNING._replace(give_up_at=NOW + DAY), [silent], now=NOW) != [], "it is back"
    assert plan(RUNNING._replace(give_up_at=NOW), [silent], now=NOW) == [], "too late"
    waiting = terminal(memory=TRIED._replace(retry_at=NOW + HOUR))
    [step] = plan(RUNNING._replace(give_up_at=NOW), [waiting], now=NOW)
    assert plan(RUNNING._replace(give_up_at=NOW), [waiting._replace(state=step.after, memory=step.memory)], now=NOW) == []


@pytest.mark.parametrize(
    ("online", "health", "before", "well"),
    [
        (True, "ok", "ok", True),
        (True, "ok", None, True),
        (True, "closed", "ok", True),
        (True, "down", "degraded", False),
        (True, "unknown", "ok", None),
        (False, "ok", "ok", False),
        (None, "ok", "ok", False),
    ],
)
def test_well_is_connected_and_no_worse_than_before(
    online: bool | None, health: str, before: str | None, well: bool | None
) -> None:
    assert is_well(terminal(online=online, health=health, memory=Memory(health_before=before))) is well


@dataclass
class Played:
    """A terminal that lives: a step is taken, as the database would have it."""

    one: Standing

    def take(self, step: Step, now: datetime) -> None:
        action = self.one.action
        if step.closing is not None and action is not None:
            action = action._replace(state=step.closing.after, outcome=step.closing.outcome)
        if step.opening is not None:
            opening = step.opening
            action = Action(2, opening.kind, opening.release, ActionState.OPEN, None, now, boot_before=opening.boot_before)
        moved = step.before is not step.after
        shown = action if step.after in (State.UPDATING, State.FAILED, State.ROLLED_BACK) else None
        self.one = self.one._replace(state=step.after, memory=step.memory, action=shown, since=now if moved else self.one.since)


_ACTIONS = st.builds(
    Action,
    id=st.just(1),
    kind=st.sampled_from(ActionKind),
    release=st.just("4.3.0"),
    state=st.sampled_from([ActionState.OPEN, ActionState.TOLD, ActionState.CANCELLING]),
    outcome=st.none(),
    opened_at=st.sampled_from([NOW - MINUTE, NOW - DAY]),
    retrieved_at=st.sampled_from([None, NOW - MINUTE]),
    told_at=st.sampled_from([None, NOW - MINUTE]),
    boot_before=st.sampled_from([None, 7]),
)
_WORLDS = st.builds(
    terminal,
    st.sampled_from(State),
    wave=st.sampled_from([1, 3]),
    since=st.sampled_from([NOW - HOUR, NOW - DAY]),
    reported=st.sampled_from([None, "4.2.1", "4.3.0"]),
    boot=st.sampled_from([None, 7, 8]),
    heard_at=st.sampled_from([None, NOW - 2 * DAY, NOW]),
    online=st.sampled_from([None, False, True]),
    health=st.sampled_from(["ok", "degraded", "unknown"]),
    way_back=st.booleans(),
    memory=st.builds(
        Memory,
        attempts=st.integers(0, 3),
        retry_at=st.sampled_from([None, NOW, NOW + HOUR]),
        firmware_before=st.just("4.2.1"),
        health_before=st.just("ok"),
        well_since=st.sampled_from([None, NOW, NOW - DAY]),
    ),
    action=st.one_of(st.none(), _ACTIONS),
)


@given(_WORLDS, st.sampled_from(CampaignState))
def test_planning_an_unchanged_world_comes_to_rest(one: Standing, state: CampaignState) -> None:
    played = Played(one)
    for _ in range(5):
        found = plan(in_state(state), [played.one], now=NOW)
        if not found:
            break
        played.take(found[0], NOW)
    assert plan(in_state(state), [played.one], now=NOW) == []


@given(_WORLDS)
def test_nobody_is_in_progress_for_ever(one: Standing) -> None:
    """Whatever a terminal that is never heard of again was doing, it ends within its deadlines."""
    played, now = Played(one._replace(online=False)), NOW
    for _ in range(20):
        for step in plan(RUNNING._replace(give_up_at=NOW + DAY), [played.one], now=now):
            played.take(step, now)
        now += HOUR * 12
    assert played.one.state in SETTLED


def test_what_is_remembered_already_is_no_step() -> None:
    assert next_step(RUNNING, terminal(State.SOAKING, online=False, memory=SOAKED._replace(well_since=None)), now=NOW) is None
