"""Health over time: what comes, stays and goes, minute by minute."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from diagnostics.judge import judge
from diagnostics.judgement import Judgement
from diagnostics.reasons import REASON_INDEX, Reason, State
from diagnostics.snapshot import OFFLINE, ONLINE
from fleet.contract import EventCode
from tests.unit.diagnostics.healthy_fleet import (
    FROZEN,
    HEALTHY,
    HOUR,
    NOW_MS,
    POLICY,
    Like,
    first_judgement,
    reasons_of,
    snapshot,
    state_of,
)


@dataclass
class Timeline:
    """Judges a fleet of equal terminals over time; ages in `Like` count from the moment of each step."""

    size: int = 1
    now_ms: int = NOW_MS
    judged: Judgement | None = None
    states: list[State] = field(default_factory=list)

    def at(self, seconds: float, like: Like, *, fed: float = 1) -> Judgement:
        """Judge at so many seconds after the start."""
        now_ms = NOW_MS + round(seconds * 1000)
        fleet = snapshot(*[like] * self.size, now_ms=now_ms, fed=fed)
        self.judged = judge(fleet, now_ms, POLICY, self.judged) if self.judged else first_judgement(fleet, now_ms=now_ms)
        self.states.append(state_of(self.judged))
        return self.judged


def test_a_limit_begins_at_one_figure_and_ends_at_another() -> None:
    time = Timeline()
    for second, paper in enumerate([6.0, 4.0, 3.0, 4.0, 4.9, 5.0, 4.0]):
        time.at(30 * second, replace(HEALTHY, paper=paper))
    ok, low = State.OK, State.DEGRADED
    assert time.states == [ok, ok, low, low, low, ok, ok]


def test_one_wild_reading_is_not_a_fault() -> None:
    time = Timeline()
    for second, board in [(0, 45.0), (30, 95.0), (60, 45.0), (90, 95.0), (120, 95.0), (150, 95.0)]:
        time.at(second, replace(HEALTHY, board=board))
    assert time.states == [State.OK] * 5 + [State.DEGRADED]


def test_a_limit_that_is_no_longer_measured_keeps_its_reason() -> None:
    time = Timeline()
    time.at(0, replace(HEALTHY, paper=2.0))
    assert reasons_of(time.at(3 * HOUR, replace(HEALTHY, paper=2.0, values_age=3 * HOUR))) == [Reason.PAPER_LOW]
    assert reasons_of(time.at(3 * HOUR + 30, replace(HEALTHY, paper=90.0))) == []


def test_a_flapping_link_is_one_outage() -> None:
    """Down at 70 s; up for ten seconds at a time is not back; up for half a minute and heard is."""
    time = Timeline()
    time.at(0, replace(HEALTHY, presence=OFFLINE, presence_since=70, heard=80))
    time.at(10, replace(HEALTHY, presence=ONLINE, presence_since=10, heard=5))
    time.at(20, replace(HEALTHY, presence=OFFLINE, presence_since=5, heard=15))
    time.at(50, replace(HEALTHY, presence=ONLINE, presence_since=29, heard=5))
    time.at(60, replace(HEALTHY, presence=ONLINE, presence_since=39, heard=15))
    down = State.DOWN
    assert time.states == [down, down, down, down, State.OK]


def test_connected_again_but_mute_turns_from_offline_into_silent_without_being_well_between() -> None:
    time = Timeline()
    time.at(0, replace(FROZEN, presence=OFFLINE, presence_since=590))
    for second in range(10, 140, 10):
        time.at(second, replace(FROZEN, heard=600 + second, presence_since=second - 5))
    assert set(time.states) == {State.DOWN}
    assert time.judged is not None
    assert reasons_of(time.judged) == [Reason.SILENT]
    assert time.judged.state_since_ms[0] == NOW_MS - 590_000, "one outage: down since the connection was lost"


def test_a_silent_terminal_is_back_with_its_first_report() -> None:
    time = Timeline()
    time.at(0, FROZEN)
    time.at(10, replace(HEALTHY, heard=70))
    time.at(20, replace(HEALTHY, heard=2))
    assert time.states == [State.DOWN, State.DOWN, State.OK], "a report of a minute ago is not talking again"


def test_an_unchanged_reason_keeps_its_since() -> None:
    time = Timeline()
    first = time.at(0, FROZEN)
    later = time.at(600, replace(FROZEN, heard=1200))
    np.testing.assert_array_equal(later.reason_since_ms, first.reason_since_ms)
    np.testing.assert_array_equal(later.state_since_ms, first.state_since_ms)


def test_an_unchanged_state_keeps_its_since() -> None:
    time = Timeline()
    first = time.at(0, HEALTHY)
    np.testing.assert_array_equal(time.at(600, HEALTHY).state_since_ms, first.state_since_ms)


def test_an_empty_roll_told_by_an_event_alone_ends_with_a_sale() -> None:
    time = Timeline()
    out = replace(HEALTHY, paper=np.nan, sold=300, event=EventCode.PAPER_OUT, event_age=200)
    time.at(0, out)
    time.at(60, replace(out, event_age=260, sold=20))
    assert time.states == [State.DOWN, State.OK]


@pytest.mark.parametrize(("moved_to", "told"), [(2.6, 2.0), (0.9, 0.9)], ids=["noise is not told", "a step is told"])
def test_a_value_is_told_anew_only_when_it_moved_by_a_step(moved_to: float, told: float) -> None:
    time = Timeline()
    time.at(0, replace(HEALTHY, paper=2.0))
    judged = time.at(30, replace(HEALTHY, paper=moved_to))
    assert np.nanmax(judged.value) == pytest.approx(told)


def test_a_late_closing_flips_once() -> None:
    """Usual end at 0; the shop serves until 300 s, then its shopkeeper ends the day."""
    time = Timeline()
    late = replace(HEALTHY, scheduled=False)
    for second in range(10, 300, 30):
        time.at(second, replace(late, turned=second))
    judged = time.at(310, replace(late, turned=310, closed=10, sold=40))
    time.at(600, replace(late, turned=600, closed=300, sold=330, heard=290))
    time.at(700, replace(late, turned=700, closed=400, sold=430, heard=5))
    assert reasons_of(judged) == [Reason.CLOSED]
    assert time.states == [State.OK] * 10 + [State.CLOSED] * 3


def test_a_closed_shop_whose_close_was_lost_is_not_opened_by_a_late_report() -> None:
    time = Timeline()
    late = replace(HEALTHY, scheduled=False)
    time.at(200, replace(late, turned=200, heard=190, sold=400))
    time.at(300, replace(late, turned=300, heard=5, sold=500))
    assert time.states == [State.CLOSED, State.CLOSED]


class TestOurOwnPipeline:
    """While it is late, nothing open is called well, and nobody is blamed."""

    def test_ingest_down_makes_everyone_unknown_and_blames_no_one(self) -> None:
        time = Timeline(size=100)
        time.at(0, HEALTHY)
        for second in range(30, 600, 30):
            time.at(second, replace(HEALTHY, heard=10 + second), fed=second)
        assert time.states == [State.OK] * 2 + [State.UNKNOWN] * 18
        assert time.judged is not None
        assert reasons_of(time.judged) == [Reason.TELEMETRY_LATE]
        assert time.judged.reason_since_ms[0, REASON_INDEX[Reason.TELEMETRY_LATE]] == NOW_MS + 60_000

    def test_after_ingest_came_back_silence_counts_anew(self) -> None:
        time = Timeline(size=100)
        time.at(0, HEALTHY)
        time.at(300, replace(HEALTHY, heard=310), fed=300)
        back = time.at(310, replace(HEALTHY, heard=320), fed=1)
        assert (state_of(back), reasons_of(back)) == (State.UNKNOWN, [Reason.STALE])
        assert reasons_of(time.at(420, replace(HEALTHY, heard=430), fed=1)) == [Reason.STALE]
        assert reasons_of(time.at(430, replace(HEALTHY, heard=440), fed=1)) == [Reason.SILENT]

    def test_what_was_wrong_before_stays_known(self) -> None:
        time = Timeline(size=100)
        lost = replace(FROZEN, presence=OFFLINE, presence_since=590)
        first = time.at(0, replace(lost, paper=2.0))
        fleet = snapshot(*[replace(lost, paper=2.0)] * 100, *[HEALTHY] * 100, fed=300)
        assert first.has(Reason.OFFLINE).all()
        both = Timeline(size=1)
        both.judged = judge(fleet, NOW_MS, POLICY, first_judgement(snapshot(*[lost] * 100, *[HEALTHY] * 100)))
        assert state_of(both.judged, 0) is State.UNKNOWN
        assert reasons_of(both.judged, 0) == [Reason.TELEMETRY_LATE, Reason.OFFLINE]

    def test_a_backlog_is_late_although_messages_come_in(self) -> None:
        judged = first_judgement(snapshot(*[replace(HEALTHY, lag=120)] * 60, *[HEALTHY] * 40))
        assert reasons_of(judged) == [Reason.TELEMETRY_LATE]

    def test_one_regions_journals_after_an_outage_are_not_our_backlog(self) -> None:
        fleet = snapshot(*[replace(HEALTHY, lag=1800)] * 40, *[HEALTHY] * 60)
        assert not first_judgement(fleet).late

    def test_a_small_fleet_is_not_late_between_two_reports(self) -> None:
        assert not first_judgement(snapshot(replace(HEALTHY, heard=50)), trusted_ago=HOUR).late
        assert not first_judgement(snapshot(replace(HEALTHY, heard=60), fed=60)).late

    def test_a_fleet_that_is_all_offline_owes_nothing(self) -> None:
        lost = replace(HEALTHY, presence=OFFLINE, presence_since=300, heard=310)
        judged = first_judgement(snapshot(*[lost] * 100, fed=299))
        assert reasons_of(judged) == [Reason.OFFLINE]
