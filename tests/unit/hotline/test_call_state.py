from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.call_events import CallEvent, Happening
from hotline.call_state import Call, Reason, State, apply

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NEW = CallEvent(Happening.RANG, "c", "newCall", "in", "0199001234", "0353010000", ("Alice",), queue="n1")
ANSWER = CallEvent(Happening.CONNECTED, "c", "answer", agent="Alice")
HANGUP = CallEvent(Happening.ENDED, "c", "hangup", cause="normalClearing")
OTHER = CallEvent(Happening.DETAILS, "c", "voicemail")


def play(*events: CallEvent) -> tuple[Call | None, list[Reason]]:
    call: Call | None = None
    reasons = []
    for second, event in enumerate(events):
        step = apply(call, event, now=START + timedelta(seconds=second))
        call = step.call
        reasons.append(step.reason)
    return call, reasons


@pytest.mark.parametrize(
    ("events", "state", "reasons"),
    [
        pytest.param([NEW], State.RINGING, [Reason.STARTED], id="it rings"),
        pytest.param([NEW, ANSWER], State.ANSWERED, [Reason.STARTED, Reason.ANSWERED], id="somebody answers"),
        pytest.param([NEW, ANSWER, HANGUP], State.ENDED, [Reason.STARTED, Reason.ANSWERED, Reason.ENDED], id="a whole call"),
        pytest.param([NEW, HANGUP], State.ENDED, [Reason.STARTED, Reason.ENDED], id="given up while ringing"),
        pytest.param([NEW, NEW], State.RINGING, [Reason.STARTED, Reason.REPEATED], id="newCall twice"),
        pytest.param([NEW, HANGUP, HANGUP], State.ENDED, [Reason.STARTED, Reason.ENDED, Reason.REPEATED], id="hangup twice"),
        pytest.param([ANSWER, NEW], State.ANSWERED, [Reason.STARTED_BY_ANSWER, Reason.DETAILS_FILLED], id="answer before newCall"),
        pytest.param([HANGUP, NEW], State.ENDED, [Reason.STARTED_BY_HANGUP, Reason.DETAILS_FILLED], id="newCall after hangup"),
        pytest.param(
            [NEW, HANGUP, ANSWER], State.ENDED, [Reason.STARTED, Reason.ENDED, Reason.ANSWER_AFTER_HANGUP], id="answer after hangup"
        ),
        pytest.param([NEW, OTHER], State.RINGING, [Reason.STARTED, Reason.IGNORED], id="an event of another kind"),
        pytest.param(
            [NEW, ANSWER, NEW], State.ANSWERED, [Reason.STARTED, Reason.ANSWERED, Reason.REPEATED], id="newCall after answer"
        ),
    ],
)
def test_a_call_only_climbs(events: list[CallEvent], state: State, reasons: list[Reason]) -> None:
    call, seen = play(*events)
    assert call is not None
    assert (call.state, seen) == (state, reasons)


def test_an_event_of_another_kind_starts_no_call() -> None:
    assert apply(None, OTHER, now=START).call is None


def test_a_queue_that_rings_one_after_the_other_gathers_the_called() -> None:
    second = CallEvent(Happening.RANG, "c", "newCall", "in", "0199001234", users=("Bob",))
    call, reasons = play(NEW, second)
    assert call is not None
    assert call.users == ("Alice", "Bob")
    assert reasons[1] is Reason.DETAILS_FILLED


def test_a_second_who_answers_has_taken_over() -> None:
    call, reasons = play(NEW, ANSWER, CallEvent(Happening.CONNECTED, "c", "answer", agent="Bob"))
    assert call is not None
    assert (call.answered_as, call.answered_at) == ("Bob", START + timedelta(seconds=1))
    assert reasons[2] is Reason.TAKEN_OVER


def test_who_is_named_late_has_answered_since_somebody_did() -> None:
    call, _ = play(
        NEW, CallEvent(Happening.RANG, "c", "newCall", users=("Bob",)), CallEvent(Happening.CONNECTED, "c", "answer"), ANSWER
    )
    assert call is not None
    assert call.answered_as == "Alice"
    assert call.legs[1].answered_at == call.answered_at == START + timedelta(seconds=2)


def test_details_fill_a_known_call() -> None:
    call, reasons = play(ANSWER, CallEvent(Happening.DETAILS, "c", "Newstate", from_number="0199001234"))
    assert call is not None
    assert (call.from_number, reasons[1]) == ("0199001234", Reason.DETAILS_FILLED)


def test_a_late_answer_counts_as_answered_when_it_ended() -> None:
    call, _ = play(NEW, HANGUP, ANSWER)
    assert call is not None
    assert call.answered_at == call.ended_at == START + timedelta(seconds=1)


@settings(max_examples=500)
@given(st.lists(st.sampled_from([NEW, ANSWER, HANGUP, OTHER]), max_size=12))
def test_any_order_repeat_or_loss_never_reopens_or_doubles(events: list[CallEvent]) -> None:
    call: Call | None = None
    rank = {State.RINGING: 0, State.ANSWERED: 1, State.ENDED: 2}
    for second, event in enumerate(events):
        before = call
        step = apply(call, event, now=START + timedelta(seconds=second))
        call = step.call
        assert step.applied == (call != before)
        if before is None or call is None:
            continue
        assert rank[call.state] >= rank[before.state]
        assert call.rang_at == before.rang_at
        assert before.ended_at in (None, call.ended_at)
        assert before.answered_at in (None, call.answered_at)


@given(st.permutations([NEW, NEW, ANSWER, ANSWER, HANGUP, HANGUP, OTHER]))
def test_every_order_ends_in_the_same_call(events: list[CallEvent]) -> None:
    call, reasons = play(*events)
    assert call is not None
    assert call.state is State.ENDED
    assert call.answered_at is not None
    assert (call.direction, call.from_number, call.to_number, call.queue) == ("in", "0199001234", "0353010000", "n1")
    assert (call.users, call.answered_as, call.cause) == (("Alice",), "Alice", "normalClearing")
    assert reasons.count(Reason.IGNORED) == 1
