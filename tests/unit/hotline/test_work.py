from datetime import UTC, datetime, time, timedelta

import pytest

from hotline import work_words
from hotline.call_state import State
from hotline.callback_rules import CallFacts, Dropped, Step, due_at, step
from hotline.opening import Opening
from hotline.qualification import LATEST_PROMISE, Given, Outcome, QualificationError, Subject, promised_for

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
NUMBER = "+33199001234"


def facts(state: State = State.ENDED, *, direction: str | None = "in", number: str = NUMBER, answered: bool = False) -> CallFacts:
    return CallFacts(direction, state, number, NOW if answered else None)  # type: ignore[arg-type]  # a table's plain words


@pytest.mark.parametrize(
    ("call", "has_one", "decided"),
    [
        pytest.param(facts(), False, Step.MAKE, id="given up"),
        pytest.param(facts(direction=None), False, Step.MAKE, id="given up, direction never told"),
        pytest.param(facts(), True, Step.NOTHING, id="given up, told twice"),
        pytest.param(facts(State.RINGING), False, Step.NOTHING, id="still ringing"),
        pytest.param(facts(answered=True), False, Step.NOTHING, id="answered"),
        pytest.param(facts(answered=True), True, Step.DROP_ANSWERED, id="the answer was told after the hangup"),
        pytest.param(facts(number=""), False, Step.NOTHING, id="number withheld"),
        pytest.param(facts(direction="out"), False, Step.NOTHING, id="we rang, nobody answered"),
    ],
)
def test_who_gives_up_is_called_back_once(call: CallFacts, has_one: bool, decided: Step) -> None:
    assert step(call, has_one=has_one) is decided


@pytest.mark.parametrize(
    ("ended", "due"),
    [
        pytest.param(NOW, NOW + timedelta(minutes=30), id="in the day: soon"),
        pytest.param(datetime(2026, 11, 23, 22, 50, tzinfo=UTC), datetime(2026, 11, 24, 6, 0, tzinfo=UTC), id="over midnight"),
        pytest.param(datetime(2026, 7, 1, 3, 0, tzinfo=UTC), datetime(2026, 7, 1, 5, 0, tzinfo=UTC), id="in a summer night"),
        pytest.param(datetime(2026, 11, 23, 21, 20, tzinfo=UTC), datetime(2026, 11, 24, 6, 0, tzinfo=UTC), id="before the end"),
        pytest.param(datetime(2026, 11, 24, 21, 20, tzinfo=UTC), datetime(2026, 11, 24, 21, 50, tzinfo=UTC), id="races end late"),
        pytest.param(datetime(2026, 11, 24, 23, 20, tzinfo=UTC), datetime(2026, 11, 25, 6, 0, tzinfo=UTC), id="after late races"),
    ],
)
def test_nobody_is_called_back_while_the_hotline_is_closed(ended: datetime, due: datetime) -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert due_at(ended, Opening(usual_end=time(22, 30), ends={late.date(): late})) == due


TOMORROW = NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("outcome", "asked", "stands", "due"),
    [
        pytest.param(Outcome.SOLVED, TOMORROW, None, None, id="nothing is promised"),
        pytest.param(Outcome.CALLBACK, None, None, NOW + timedelta(hours=1), id="without a time: in an hour"),
        pytest.param(Outcome.CALLBACK, TOMORROW, None, TOMORROW, id="as asked"),
        pytest.param(Outcome.CALLBACK, TOMORROW, NOW, TOMORROW, id="moved"),
        pytest.param(Outcome.CALLBACK, None, TOMORROW, TOMORROW, id="left as it stands"),
        pytest.param(
            Outcome.CALLBACK,
            NOW - timedelta(hours=2),
            NOW - timedelta(hours=2, seconds=-20),
            NOW - timedelta(hours=2, seconds=-20),
            id="an old promise does not hinder a correction",
        ),
    ],
)
def test_a_promise_has_a_time(outcome: Outcome, asked: datetime | None, stands: datetime | None, due: datetime | None) -> None:
    assert promised_for(Given(Subject.TECHNICAL, outcome, callback_at=asked), stands=stands, now=NOW) == due


@pytest.mark.parametrize("asked", [NOW - timedelta(minutes=5), NOW + LATEST_PROMISE + timedelta(minutes=1)])
def test_a_promise_for_the_past_or_the_far_future_is_refused(asked: datetime) -> None:
    with pytest.raises(QualificationError) as raised:
        promised_for(Given(Subject.TECHNICAL, Outcome.CALLBACK, callback_at=asked), stands=None, now=NOW)
    assert raised.value.field == "callback_at"


def test_every_subject_outcome_and_reason_has_words() -> None:
    assert set(work_words.SUBJECTS) == set(Subject)
    assert set(work_words.OUTCOMES) == set(Outcome)
    assert set(work_words.DROPPED) == set(Dropped)
