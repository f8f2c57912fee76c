"""What is said of a terminal, one sentence per row."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.judge import judge
from diagnostics.judgement import rearranged
from diagnostics.reasons import REASON_INDEX, REASONS, STATE_OF, STATES, Reason, State
from diagnostics.snapshot import NO_PRESENCE, OFFLINE, ONLINE
from fleet.contract import EventCode
from tests.unit.diagnostics.healthy_fleet import (
    DAY,
    FROZEN,
    HEALTHY,
    HOUR,
    LOST,
    MINUTE,
    NEVER,
    NOW_MS,
    POLICY,
    Like,
    first_judgement,
    judged_twice,
    reasons_of,
    snapshot,
    state_of,
)

NIGHT = replace(HEALTHY, scheduled=False, turned=3 * HOUR, opened=16 * HOUR, closed=3 * HOUR - 60, sold=3.1 * HOUR, heard=200)


@pytest.mark.parametrize(
    ("like", "state", "reasons"),
    [
        pytest.param(HEALTHY, State.OK, [], id="heard ten seconds ago in an open shop, it is well"),
        pytest.param(replace(HEALTHY, heard=80), State.OK, [], id="two missed reports are nobody's business"),
        pytest.param(NEVER, State.UNKNOWN, [Reason.NEVER_SEEN], id="one that never spoke is unknown, not down"),
        pytest.param(
            replace(NEVER, scheduled=False),
            State.UNKNOWN,
            [Reason.NEVER_SEEN],
            id="one that never spoke is unknown in a closed shop too",
        ),
        pytest.param(FROZEN, State.DOWN, [Reason.SILENT], id="connected and mute for ten minutes is frozen"),
        pytest.param(
            LOST, State.DOWN, [Reason.OFFLINE], id="not connected for ten minutes is offline, and not called frozen as well"
        ),
        pytest.param(
            replace(HEALTHY, presence=OFFLINE, presence_since=40),
            State.OK,
            [],
            id="a connection lost for less than the grace is not told",
        ),
        pytest.param(
            replace(HEALTHY, presence=OFFLINE, presence_since=70, heard=75),
            State.DOWN,
            [Reason.OFFLINE],
            id="a connection lost for longer than the grace is told, before the silence is long enough",
        ),
        pytest.param(
            replace(FROZEN, presence=NO_PRESENCE), State.DOWN, [Reason.SILENT], id="without a presence message, silence is silence"
        ),
        pytest.param(
            replace(NIGHT, heard=5 * HOUR), State.CLOSED, [Reason.CLOSED], id="after its usual hours a mute terminal sleeps"
        ),
        pytest.param(
            replace(NIGHT, presence=OFFLINE, presence_since=2 * HOUR),
            State.CLOSED,
            [Reason.CLOSED],
            id="switched off at night is not down",
        ),
        pytest.param(
            replace(HEALTHY, closed=30 * MINUTE, sold=31 * MINUTE, heard=100),
            State.CLOSED,
            [Reason.CLOSED_BY_SHOP],
            id="a shopkeeper who ends the day early closes the shop",
        ),
        pytest.param(
            replace(FROZEN, closed=30 * MINUTE, sold=31 * MINUTE),
            State.CLOSED,
            [Reason.CLOSED_BY_SHOP],
            id="closed early, silence is right",
        ),
        pytest.param(
            replace(HEALTHY, closed=30 * MINUTE, opened=5 * MINUTE),
            State.OK,
            [],
            id="a shop that closed early and opened again is open",
        ),
        pytest.param(
            replace(NIGHT, opened=20 * MINUTE, heard=15, values_age=15),
            State.OK,
            [],
            id="opened before the usual hours, it is open",
        ),
        pytest.param(
            replace(NIGHT, opened=20 * MINUTE, heard=600, sold=700),
            State.DOWN,
            [Reason.SILENT],
            id="opened before the usual hours, it owes reports like any open shop",
        ),
        pytest.param(
            replace(HEALTHY, scheduled=False, turned=5 * MINUTE),
            State.OK,
            [],
            id="past the usual end, a shop that still talks and has not closed is still open",
        ),
        pytest.param(
            replace(HEALTHY, scheduled=False, turned=5 * MINUTE, heard=200, sold=400),
            State.CLOSED,
            [Reason.CLOSED],
            id="past the usual end, a mute one is closed, not down",
        ),
        pytest.param(
            replace(HEALTHY, scheduled=False, turned=3 * HOUR),
            State.CLOSED,
            [Reason.CLOSED],
            id="three hours past the usual end, a lost CLOSE does not keep the shop open",
        ),
        pytest.param(
            replace(HEALTHY, turned=4 * MINUTE, opened=15 * HOUR, sold=15.1 * HOUR, heard=250, values_age=250, pace=300),
            State.OK,
            [],
            id="a shopkeeper late to open still owes only the reports of a closed shop",
        ),
        pytest.param(
            replace(HEALTHY, opened=15 * HOUR, sold=15.1 * HOUR, heard=250, values_age=250, pace=300),
            State.OK,
            [],
            id="who does not open at all today, and reports as a closed shop does, is not frozen",
        ),
        pytest.param(
            replace(FROZEN, opened=None, closed=None, sold=None, pace=None),
            State.DOWN,
            [Reason.SILENT],
            id="hours into its usual hours, one mute since its first report is frozen, though it never told of its opening",
        ),
        pytest.param(
            replace(FROZEN, turned=12 * MINUTE, opened=None, closed=None, sold=None, pace=30, heard=200),
            State.DOWN,
            [Reason.SILENT],
            id="who reported at the pace of an open shop owes such reports from then on",
        ),
        pytest.param(
            replace(FROZEN, turned=12 * MINUTE, opened=11 * MINUTE, closed=15 * HOUR, sold=None, pace=None, heard=200),
            State.DOWN,
            [Reason.SILENT],
            id="who told of its opening owes reports at once",
        ),
        pytest.param(
            replace(FROZEN, turned=12 * MINUTE, opened=None, closed=None, sold=None, pace=None, heard=200),
            State.OK,
            [],
            id="shortly after the usual opening, one report says nothing of the pace",
        ),
        pytest.param(
            replace(LOST, turned=10 * MINUTE, opened=15 * HOUR, sold=15.1 * HOUR, presence_since=9 * HOUR, heard=9 * HOUR),
            State.UNKNOWN,
            [Reason.STALE],
            id="switched off overnight, ten minutes into the usual hours: too early to say",
        ),
        pytest.param(
            replace(LOST, turned=16 * MINUTE, opened=15 * HOUR, sold=15.1 * HOUR, presence_since=9 * HOUR, heard=9 * HOUR),
            State.DOWN,
            [Reason.OFFLINE],
            id="switched off overnight, a quarter of an hour into the usual hours: offline",
        ),
        pytest.param(
            replace(FROZEN, opened=60, closed=5 * MINUTE),
            State.UNKNOWN,
            [Reason.STALE],
            id="just opened and not heard yet is not well, but unknown",
        ),
        pytest.param(
            replace(FROZEN, presence_since=30),
            State.UNKNOWN,
            [Reason.STALE],
            id="just connected and not heard yet is not well, but unknown",
        ),
        pytest.param(replace(HEALTHY, paper=2.9), State.DEGRADED, [Reason.PAPER_LOW], id="three percent of paper is little"),
        pytest.param(replace(HEALTHY, paper=4.0), State.OK, [], id="four percent of paper is not told"),
        pytest.param(replace(HEALTHY, paper=0.0), State.DOWN, [Reason.PAPER_OUT], id="no paper is out, and not low as well"),
        pytest.param(
            replace(HEALTHY, paper=np.nan, sold=300, event=EventCode.PAPER_OUT, event_age=200),
            State.DOWN,
            [Reason.PAPER_OUT],
            id="an event tells of the empty roll where no reading does",
        ),
        pytest.param(
            replace(HEALTHY, paper=np.nan, sold=60, event=EventCode.PAPER_OUT, event_age=200),
            State.OK,
            [],
            id="who sells after the empty roll was told has changed it",
        ),
        pytest.param(
            replace(HEALTHY, sold=190, event=EventCode.PAPER_OUT, event_age=200),
            State.OK,
            [],
            id="a full roll read after the event ends it without a sale",
        ),
        pytest.param(replace(HEALTHY, disk=100.0), State.DEGRADED, [Reason.DISK_LOW], id="hardly any storage left"),
        pytest.param(
            replace(HEALTHY, board=66.0), State.DEGRADED, [Reason.OVERHEATING], id="66 °C is too hot for a board of model B"
        ),
        pytest.param(replace(HEALTHY, board=66.0, model="A"), State.OK, [], id="66 °C is a warm day for a board of model A"),
        pytest.param(
            replace(HEALTHY, head=63.0), State.DEGRADED, [Reason.HEAD_HOT], id="the print head is about to protect itself"
        ),
        pytest.param(replace(HEALTHY, clock=-9000.0), State.DEGRADED, [Reason.CLOCK_OFF], id="nine seconds slow is wrong"),
        pytest.param(replace(HEALTHY, clock=9000.0), State.DEGRADED, [Reason.CLOCK_OFF], id="nine seconds fast is wrong"),
        pytest.param(replace(HEALTHY, board=np.nan), State.OK, [], id="a field that was never measured has no limit"),
        pytest.param(
            replace(HEALTHY, board=90.0, values_age=3 * HOUR),
            State.OK,
            [],
            id="a reading of three hours ago says nothing about now",
        ),
        pytest.param(
            replace(HEALTHY, event=EventCode.APP_CRASH, event_age=600),
            State.DEGRADED,
            [Reason.CRASHED],
            id="a crash ten minutes ago is told",
        ),
        pytest.param(replace(HEALTHY, event=EventCode.APP_CRASH, event_age=1000), State.OK, [], id="an old crash is not"),
        pytest.param(
            replace(HEALTHY, sold=300, event=EventCode.PAPER_JAM, event_age=290),
            State.DEGRADED,
            [Reason.PAPER_JAM],
            id="a jam, and no bet since",
        ),
        pytest.param(replace(HEALTHY, event=EventCode.PAPER_JAM, event_age=290), State.OK, [], id="a jam, and a bet since"),
        pytest.param(
            replace(HEALTHY, event=EventCode.SCANNER_FAIL, event_age=290, scanned=400),
            State.DEGRADED,
            [Reason.SCANNER_FAIL],
            id="bets without slips do not mend the scanner",
        ),
        pytest.param(
            replace(HEALTHY, event=EventCode.COVER_OPEN, event_age=20), State.OK, [], id="an opened cover is how a roll is changed"
        ),
        pytest.param(
            replace(FROZEN, paper=2.0),
            State.DOWN,
            [Reason.SILENT, Reason.PAPER_LOW],
            id="several reasons: the worst makes the state and comes first",
        ),
        pytest.param(
            replace(NIGHT, paper=2.0),
            State.CLOSED,
            [Reason.PAPER_LOW, Reason.CLOSED],
            id="a closed shop is closed, whatever it lacks",
        ),
    ],
)
def test_a_terminal_is_judged(like: Like, state: State, reasons: list[Reason]) -> None:
    judged = judged_twice(like)
    assert (state_of(judged), reasons_of(judged)) == (state, reasons)


@pytest.mark.parametrize(
    ("like", "reason", "since_ago_s", "value"),
    [
        pytest.param(FROZEN, Reason.SILENT, 600, None, id="silent since the last message"),
        pytest.param(LOST, Reason.OFFLINE, 590, None, id="offline since the connection was lost"),
        pytest.param(
            replace(HEALTHY, closed=1800, sold=1900, heard=20), Reason.CLOSED_BY_SHOP, 1800, None, id="closed since the CLOSE"
        ),
        pytest.param(replace(NIGHT, closed=17 * HOUR), Reason.CLOSED, 3 * HOUR, None, id="closed since the usual hours ended"),
        pytest.param(
            replace(HEALTHY, paper=2.5), Reason.PAPER_LOW, 120, 2.5, id="paper low since it was first judged so, with what is left"
        ),
        pytest.param(replace(HEALTHY, clock=-9000.0), Reason.CLOCK_OFF, 120, -9000.0, id="the clock's offset keeps its sign"),
        pytest.param(
            replace(HEALTHY, event=EventCode.APP_CRASH, event_age=600), Reason.CRASHED, 600, None, id="crashed when it said so"
        ),
    ],
)
def test_each_reason_has_its_own_since_and_value(like: Like, reason: Reason, since_ago_s: float, value: float | None) -> None:
    judged = judged_twice(like)
    column = REASON_INDEX[reason]
    assert judged.has(reason)[0]
    assert NOW_MS - judged.reason_since_ms[0, column] == since_ago_s * 1000
    told = float(judged.value[0, column])
    assert told == value or (value is None and np.isnan(told))


def test_the_first_judgement_calls_nobody_silent() -> None:
    """A watch that just started cannot know whether it was not itself that heard nothing."""
    judged = first_judgement(snapshot(FROZEN, LOST), trusted_ago=0)
    assert [state_of(judged, row) for row in (0, 1)] == [State.UNKNOWN, State.UNKNOWN]


@pytest.mark.parametrize("state", STATES)
def test_every_state_but_ok_has_a_reason(state: State) -> None:
    assert state is State.OK or state in STATE_OF.values()
    assert set(STATE_OF) == set(REASONS)


_LIKES = st.builds(
    Like,
    model=st.sampled_from("ABC"),
    heard=st.sampled_from([None, 5, 100, 130, 400, 5000]),
    presence=st.sampled_from([NO_PRESENCE, OFFLINE, ONLINE]),
    presence_since=st.sampled_from([10, 100, DAY]),
    scheduled=st.booleans(),
    turned=st.sampled_from([60, 900, 4 * HOUR, 30 * HOUR]),
    opened=st.sampled_from([None, 30, 4 * HOUR, 20 * HOUR]),
    closed=st.sampled_from([None, 60, 5 * HOUR]),
    sold=st.sampled_from([None, 20, 500]),
    paper=st.sampled_from([np.nan, 0.0, 2.0, 4.0, 60.0]),
    board=st.sampled_from([np.nan, 40.0, 63.0, 90.0]),
    event=st.sampled_from([None, EventCode.PAPER_OUT, EventCode.APP_CRASH, EventCode.PAPER_JAM]),
    event_age=st.sampled_from([10, 300, 2000]),
)
_FLEETS = st.lists(_LIKES, min_size=1, max_size=40)


@given(_FLEETS, st.randoms())
@settings(max_examples=150, deadline=None)
def test_the_order_of_terminals_does_not_matter(likes: list[Like], random: object) -> None:
    order = list(range(len(likes)))
    random.shuffle(order)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    plain = first_judgement(snapshot(*likes))
    shuffled = first_judgement(snapshot(*(likes[row] for row in order)))
    np.testing.assert_array_equal(shuffled.state, plain.state[order])
    np.testing.assert_array_equal(shuffled.reasons, plain.reasons[order])


@given(_FLEETS)
@settings(max_examples=150, deadline=None)
def test_judging_an_unchanged_moment_again_changes_nothing(likes: list[Like]) -> None:
    fleet = snapshot(*likes)
    once = first_judgement(fleet)
    again = judge(fleet, NOW_MS, POLICY, once)
    for name in ("state", "reasons", "state_since_ms", "reason_since_ms", "value", "beyond_ms"):
        np.testing.assert_array_equal(getattr(again, name), getattr(once, name), err_msg=name)


@given(_FLEETS)
@settings(max_examples=50, deadline=None)
def test_judging_changes_none_of_its_inputs(likes: list[Like]) -> None:
    fleet, untouched = snapshot(*likes), snapshot(*likes)
    previous = first_judgement(fleet)
    kept = rearranged(previous, np.arange(len(likes)), policy=POLICY, now_ms=0)
    judge(fleet, NOW_MS + 60_000, POLICY, previous)
    for name, array in vars(untouched).items():
        np.testing.assert_array_equal(getattr(fleet, name), array, err_msg=name)
    for name, array in vars(kept).items():
        np.testing.assert_array_equal(getattr(previous, name), array, err_msg=name)


@given(_FLEETS)
@settings(max_examples=150, deadline=None)
def test_nobody_is_well_who_was_not_heard_lately(likes: list[Like]) -> None:
    judged = first_judgement(snapshot(*likes))
    for row, like in enumerate(likes):
        if state_of(judged, row) in (State.OK, State.DEGRADED):
            assert like.heard is not None
            assert like.heard < POLICY.silent_cadences * POLICY.closed_cadence_s
