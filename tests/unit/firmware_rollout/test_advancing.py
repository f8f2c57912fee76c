"""What becomes of a campaign as a whole: what opens a wave, what halts, what ends it."""

from datetime import timedelta
from typing import Any

import pytest

from firmware_rollout.advancing import Because, ReadingNow, WaveNow, advance, count_failures
from firmware_rollout.gate.judging import Verdict
from firmware_rollout.planning import CampaignNow
from firmware_rollout.policy import Policy
from firmware_rollout.snapshot import Memory, Standing
from firmware_rollout.states import ActionKind, CampaignState, State
from tests.unit.firmware_rollout.standing_terminals import DAY, HOUR, NOW, asked, terminal

POLICY = Policy(halt_failed_least=3, halt_failed_pct=10)
RUNNING = CampaignNow(CampaignState.RUNNING, "4.3.0", POLICY, 1, None)
BEGAN = NOW - 5 * DAY
ONE_OPEN = [WaveNow(1, BEGAN, 5, BEGAN), WaveNow(2, BEGAN, 50, None), WaveNow(3, BEGAN, 100, None)]
ALL_OPEN = [wave._replace(opened_at=BEGAN) for wave in ONE_OPEN]
PASS = ReadingNow(9, 1, NOW - HOUR, Verdict.PROMOTE, "unchanged", worse=False)
HALT = PASS._replace(verdict=Verdict.HALT, finding="calls 1.8 times as often", worse=True)


def failed(number: int) -> list[Standing]:
    return [terminal(State.FAILED, terminal_id=f"T{one:05}", since=NOW - HOUR, memory=Memory(attempts=3)) for one in range(number)]


def done(number: int) -> list[Standing]:
    return [terminal(State.DONE, terminal_id=f"T{one + 500:05}", since=NOW - HOUR) for one in range(number)]


def of_earlier_waves(number: int) -> list[Standing]:
    return [one._replace(wave=0) for one in done(number)]


def decide(campaign: CampaignNow = RUNNING, **changed: Any) -> tuple[CampaignState, Because, int | None] | None:
    given = {
        "waves": ONE_OPEN,
        "standings": [],
        "reading": None,
        "since": BEGAN,
        "withdrawn": None,
        "overruled": 8,
        "now": NOW,
        **changed,
    }
    found = advance(campaign, given.pop("waves"), given.pop("standings"), given.pop("reading"), **given)
    return None if found is None else (found.after, found.because, found.opens)


OPENS_TWO = (CampaignState.RUNNING, Because.WAVE_PASSED, 2)
HALTS = (CampaignState.HALTED, Because.GATE_HALTS, None)
FAILS = (CampaignState.HALTED, Because.UPDATES_FAIL, None)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, None, id="no word of the gate: wait"),
        pytest.param({"reading": PASS}, OPENS_TWO, id="the gate lets the wave pass"),
        pytest.param({"reading": PASS._replace(verdict=Verdict.WAIT)}, None, id="the gate waits"),
        pytest.param({"reading": PASS._replace(wave=0)}, None, id="its word is about an earlier wave"),
        pytest.param({"reading": PASS._replace(at=NOW - 3 * DAY)}, None, id="its word is old"),
        pytest.param({"reading": PASS._replace(at=NOW - 25 * HOUR)}, None, id="a newer day is due to be judged"),
        pytest.param({"reading": PASS._replace(at=NOW - 24 * HOUR)}, OPENS_TWO, id="a newer day has yet to settle"),
        pytest.param({"reading": PASS, "waves": [ONE_OPEN[0], ONE_OPEN[1]._replace(planned_at=NOW + HOUR)]}, None, id="too early"),
        pytest.param(
            {"reading": PASS, "withdrawn": "bad"}, (CampaignState.HALTED, Because.RELEASE_WITHDRAWN, None), id="withdrawn"
        ),
        pytest.param({"reading": HALT}, HALTS, id="the gate halts"),
        pytest.param(
            {"reading": HALT._replace(worse=False)},
            (CampaignState.HALTED, Because.GATE_UNDECIDED, None),
            id="the gate has been undecided for too long",
        ),
        pytest.param({"reading": HALT, "overruled": 9}, None, id="a person let it go on against that"),
        pytest.param({"standings": failed(3)}, FAILS, id="too many updates fail"),
        pytest.param({"standings": failed(3), "reading": PASS}, FAILS, id="too many fail, whatever the gate says"),
        pytest.param({"standings": failed(2)}, None, id="too few to say"),
        pytest.param({"standings": failed(3) + done(27)}, None, id="one in ten fails, as is allowed"),
        pytest.param({"standings": failed(3) + done(26)}, FAILS, id="more than one in ten fails"),
        pytest.param({"standings": failed(3), "forgiven_at": NOW - HOUR}, None, id="they failed before a person let it go on"),
        pytest.param({"standings": failed(3), "since": NOW - HOUR}, FAILS, id="a pause forgives nothing"),
        pytest.param({"standings": failed(3) + of_earlier_waves(300)}, FAILS, id="thousands that went well hide nothing"),
        pytest.param({"standings": failed(3) + of_earlier_waves(27) + done(27)}, None, id="of the newest wave, one in ten fails"),
        pytest.param(
            {"waves": ALL_OPEN, "standings": done(2) + failed(1)},
            (CampaignState.FINISHED, Because.ALL_SETTLED, None),
            id="everybody is settled",
        ),
        pytest.param({"waves": ALL_OPEN, "standings": [*done(2), terminal()]}, None, id="somebody still waits"),
        pytest.param({"standings": done(2)}, None, id="waves still to come"),
    ],
)
def test_a_running_campaign_moves_for_a_reason(changed: dict[str, Any], expected: object) -> None:
    assert decide(**changed) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (CampaignState.DRAFT, None),
        (CampaignState.APPROVED, (CampaignState.RUNNING, Because.FIRST_WAVE_DUE, 1)),
        (CampaignState.PAUSED, None),
        (CampaignState.HALTED, None),
        (CampaignState.ABORTED, None),
        (CampaignState.FINISHED, None),
    ],
)
def test_only_an_approved_campaign_begins_and_only_a_running_one_goes_on(state: CampaignState, expected: object) -> None:
    assert decide(RUNNING._replace(state=state), reading=PASS) == expected


@pytest.mark.parametrize("state", CampaignState)
def test_a_withdrawn_release_halts_what_goes_on_or_may(state: CampaignState) -> None:
    may = state in (CampaignState.APPROVED, CampaignState.RUNNING, CampaignState.PAUSED)
    waiting = [ONE_OPEN[0]._replace(planned_at=NOW + HOUR)]
    halts = (CampaignState.HALTED, Because.RELEASE_WITHDRAWN, None)
    standings = [terminal(State.UPDATING)]
    found = decide(RUNNING._replace(state=state), waves=waiting, standings=standings, reading=PASS, withdrawn="bad")
    assert found == (halts if may else None)


def test_a_campaign_does_not_finish_before_those_whom_it_will_try_again() -> None:
    silent = terminal(State.FAILED, online=False, memory=Memory(attempts=1, retry_at=NOW))
    waiting = RUNNING._replace(give_up_at=NOW + DAY)
    given: dict[str, Any] = {"waves": ALL_OPEN, "standings": [*done(2), silent]}
    assert decide(waiting, **given) is None
    finished = (CampaignState.FINISHED, Because.ALL_SETTLED, None)
    assert decide(waiting._replace(give_up_at=NOW), **given) == finished
    for_good = silent._replace(memory=Memory(attempts=3))
    assert decide(waiting, **{**given, "standings": [*done(2), for_good]}) == finished


def test_the_gate_halts_a_paused_campaign_too() -> None:
    assert decide(RUNNING._replace(state=CampaignState.PAUSED), reading=HALT) == HALTS


def test_what_a_campaign_moves_for_is_told_with_it() -> None:
    approved = RUNNING._replace(state=CampaignState.APPROVED)
    for withdrawn, told in ((None, {"planned_at": BEGAN}), ("bad", {"withdrawn": "bad"})):
        found = advance(approved, ONE_OPEN, [], None, since=BEGAN, withdrawn=withdrawn, overruled=0, now=NOW)
        assert found is not None
        assert found.inputs == told


def test_an_approved_campaign_waits_for_its_first_wave() -> None:
    later = [ONE_OPEN[0]._replace(planned_at=NOW + HOUR)]
    assert decide(RUNNING._replace(state=CampaignState.APPROVED), waves=later) is None


def test_the_way_back_ends_when_nobody_is_on_it_or_after_a_long_wait() -> None:
    rolling = RUNNING._replace(state=CampaignState.ROLLING_BACK)
    back = [terminal(State.ROLLED_BACK), terminal(State.FAILED)]
    ended = (CampaignState.ROLLED_BACK, Because.ALL_BACK, None)
    assert decide(rolling, standings=back) == ended
    assert decide(rolling, standings=[*back, terminal(State.UPDATING)]) is None
    away = terminal(State.DONE, online=False)
    assert decide(rolling, standings=[*back, away]) is None
    assert decide(rolling, standings=[*back, away], since=NOW - timedelta(days=31)) == ended


def test_the_way_back_says_who_still_runs_it_and_who_may() -> None:
    rolling = RUNNING._replace(state=CampaignState.ROLLING_BACK)
    tried = Memory(attempts=3, firmware_before="4.2.1")
    in_vain = terminal(State.FAILED, reported="4.3.0", memory=tried, action=asked()._replace(kind=ActionKind.ROLL_BACK))
    stranded = terminal(State.DONE, memory=tried, way_back=False)
    had_it = terminal(State.DONE, memory=Memory(), way_back=False)
    ended = advance(rolling, ONE_OPEN, [in_vain, stranded, had_it], None, since=BEGAN, withdrawn=None, overruled=0, now=NOW)
    assert ended is not None
    assert ended.inputs == {"rolled_back": 0, "had_it": 1, "left": 0, "away": 0, "in_vain": 1, "stranded": 1}
    assert ended.finding.startswith("0 terminals are back, 1 ran it before the campaign and stay, 1 run it after every attempt")
    away = terminal(State.FAILED, memory=Memory(attempts=1), online=False)
    assert decide(rolling, standings=[away]) is None, "nobody knows what it will come up with"
    assert decide(rolling, standings=[away], since=NOW - 31 * DAY) is not None


def test_who_was_never_begun_has_not_failed() -> None:
    never = terminal(State.FAILED, since=NOW - HOUR, memory=Memory())
    assert count_failures([never, *failed(2), *done(1)], BEGAN) == (2, 1)
