from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.call_events import CallEvent, Happening
from hotline.call_legs import CallLeg, LegKind, Outcome
from hotline.call_state import Call, Reason, State, apply

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WHO: Mapping[str, int] = {"alice": 1, "4021": 1, "bob": 2, "chloe": 3}


def event(kind: Happening, agent: str = "", *, queue: str = "", leg: str = "", **more: object) -> CallEvent:
    return CallEvent(kind, "c", str(kind), agent=agent, queue=queue, leg=leg, **more)  # type: ignore[arg-type]  # texts by name


RANG = event(Happening.RANG, direction="in", from_number="0199001234")
IN_N1, IN_N2 = event(Happening.QUEUED, queue="n1"), event(Happening.QUEUED, queue="n2")
OUT_OF_N1 = event(Happening.LEFT_QUEUE, queue="n1")
IN_N1_AGAIN, OUT_OF_N1_AGAIN = (event(kind, queue="n1", leg="again") for kind in (Happening.QUEUED, Happening.LEFT_QUEUE))
RINGS_ALICE, RINGS_BOB = event(Happening.OFFERED, "alice", queue="n1"), event(Happening.OFFERED, "bob", queue="n1")
ALICE, BOB = event(Happening.CONNECTED, "alice", queue="n1"), event(Happening.CONNECTED, "bob", queue="n1")
ALICE_OUT, BOB_OUT = event(Happening.RELEASED, "alice"), event(Happening.RELEASED, "bob")
HELD, RESUMED = event(Happening.HELD), event(Happening.RESUMED)
ENDED = event(Happening.ENDED, cause="16")


def play(*events: CallEvent) -> Call:
    """The call after these events, one a second."""
    call: Call | None = None
    for second, one in enumerate(events):
        call = apply(call, one, now=START + timedelta(seconds=second), who=WHO).call
    assert call is not None
    return call


def told(leg: CallLeg) -> tuple[str, int, int | None, int | None, str | None]:
    """A leg in short: where, and at which second it began, was answered and ended, and how."""

    def second(at: datetime | None) -> int | None:
        return round((at - START).total_seconds()) if at else None

    where = leg.queue if leg.kind is LegKind.QUEUE else leg.agent_as
    return where, second(leg.began_at) or 0, second(leg.answered_at), second(leg.ended_at), leg.outcome


@pytest.mark.parametrize(
    ("events", "legs"),
    [
        pytest.param(
            [RANG, IN_N1, RINGS_ALICE, ALICE, ENDED],
            [("n1", 1, 3, 3, "answered"), ("alice", 2, 3, 4, "answered")],
            id="waits, rings, is answered, ends",
        ),
        pytest.param([RANG, IN_N1], [("n1", 1, None, None, None)], id="waits"),
        pytest.param([IN_N1, RINGS_ALICE, ALICE], [("n1", 0, 2, 2, "answered"), ("alice", 1, 2, None, None)], id="talks"),
        pytest.param([RANG, IN_N1, ENDED], [("n1", 1, None, 2, "abandoned")], id="gives up in the queue"),
        pytest.param(
            [RANG, IN_N1, OUT_OF_N1, ENDED], [("n1", 1, None, 2, "abandoned")], id="gives up, which is told of the queue first"
        ),
        pytest.param(
            [IN_N1, RINGS_ALICE, ENDED],
            [("n1", 0, None, 2, "abandoned"), ("alice", 1, None, 2, "missed")],
            id="gives up while it rings",
        ),
        pytest.param(
            [IN_N1, RINGS_ALICE, RINGS_BOB, BOB],
            [("n1", 0, 3, 3, "answered"), ("alice", 1, None, 3, "missed"), ("bob", 2, 3, None, None)],
            id="the quicker one takes it",
        ),
        pytest.param(
            [IN_N1, RINGS_ALICE, ALICE_OUT, RINGS_BOB],
            [("n1", 0, None, None, None), ("alice", 1, None, 2, "missed"), ("bob", 3, None, None, None)],
            id="not taken, rings the next",
        ),
        pytest.param(
            [IN_N1, OUT_OF_N1, IN_N2, event(Happening.CONNECTED, "bob", queue="n2"), ENDED],
            [("n1", 0, None, 1, "overflowed"), ("n2", 2, 3, 3, "answered"), ("bob", 3, 3, 4, "answered")],
            id="overflows",
        ),
        pytest.param(
            [IN_N1, IN_N2], [("n1", 0, None, 1, "overflowed"), ("n2", 1, None, None, None)], id="overflows, the leaving is not told"
        ),
        pytest.param(
            [IN_N1, ALICE, ALICE_OUT, event(Happening.CONNECTED, "chloe"), ENDED],
            [("n1", 0, 1, 1, "answered"), ("alice", 1, 1, 2, "transferred"), ("chloe", 3, 3, 4, "answered")],
            id="is given on",
        ),
        pytest.param(
            [IN_N1, ALICE, ALICE_OUT, IN_N2, ENDED],
            [("n1", 0, 1, 1, "answered"), ("alice", 1, 1, 2, "transferred"), ("n2", 3, None, 4, "abandoned")],
            id="is given on to a queue and gives up there",
        ),
        pytest.param(
            [IN_N1, ALICE, ALICE_OUT, ENDED],
            [("n1", 0, 1, 1, "answered"), ("alice", 1, 1, 2, "answered")],
            id="the agent hangs up first",
        ),
        pytest.param(
            [IN_N1, ALICE, event(Happening.CONNECTED, "chloe"), ENDED],
            [("n1", 0, 1, 1, "answered"), ("alice", 1, 1, 3, "answered"), ("chloe", 2, 2, 3, "answered")],
            id="two have it to its end",
        ),
        pytest.param(
            [event(Happening.CONNECTED, "bob", queue="n2"), IN_N1, ENDED],
            [("n2", 0, 0, 0, "answered"), ("bob", 0, 0, 2, "answered"), ("n1", 1, None, 2, "overflowed")],
            id="a queue is told while somebody has the call",
        ),
        pytest.param(
            [RANG, event(Happening.CONNECTED), event(Happening.RANG, users=("alice",))],
            [("alice", 1, 1, None, None)],
            id="answered without a name, then told for whom it rang",
        ),
        pytest.param(
            [RANG, event(Happening.RANG, users=("alice",)), event(Happening.CONNECTED, "4021")],
            [("alice", 1, 2, None, None)],
            id="one agent under two names",
        ),
        pytest.param(
            [event(Happening.RANG, users=("alice",)), event(Happening.CONNECTED)],
            [("alice", 0, 1, None, None)],
            id="answered without a name, it rang for one",
        ),
        pytest.param(
            [event(Happening.RANG, users=("alice", "bob"), queue="n1"), event(Happening.CONNECTED), ENDED],
            [("n1", 0, 1, 1, "answered")],
            id="answered without a name, it rang for several",
        ),
        pytest.param(
            [ENDED, RINGS_ALICE, ALICE],
            [("n1", 0, 0, 0, "answered"), ("alice", 0, 0, 0, "answered")],
            id="all is told after the end",
        ),
        pytest.param(
            [IN_N1, BOB, RINGS_ALICE],
            [("n1", 0, 1, 1, "answered"), ("bob", 1, 1, None, None), ("alice", 2, None, 2, "missed")],
            id="a ring is told after another's answer",
        ),
        pytest.param(
            [
                IN_N1,
                event(Happening.OFFERED, "alice", queue="n1", leg="1"),
                event(Happening.RELEASED, "alice", leg="1"),
                event(Happening.OFFERED, "alice", queue="n1", leg="2"),
                event(Happening.RELEASED, "alice", leg="1"),
            ],
            [("n1", 0, None, None, None), ("alice", 1, None, 2, "missed"), ("alice", 3, None, None, None)],
            id="rings twice at one agent",
        ),
        pytest.param(
            [IN_N1, OUT_OF_N1, IN_N2, event(Happening.LEFT_QUEUE, queue="n2"), IN_N1_AGAIN, BOB, ENDED],
            [
                ("n1", 0, None, 1, "overflowed"),
                ("n2", 2, None, 3, "overflowed"),
                ("n1", 4, 5, 5, "answered"),
                ("bob", 5, 5, 6, "answered"),
            ],
            id="comes back to a queue and is answered there",
        ),
        pytest.param(
            [IN_N1, OUT_OF_N1, IN_N2, IN_N1_AGAIN, IN_N1_AGAIN, ENDED],
            [("n1", 0, None, 1, "overflowed"), ("n2", 2, None, 3, "overflowed"), ("n1", 3, None, 5, "abandoned")],
            id="comes back to a queue and gives up there",
        ),
        pytest.param(
            [IN_N1, ALICE, ALICE_OUT, IN_N1_AGAIN, OUT_OF_N1_AGAIN, BOB, ENDED],
            [
                ("n1", 0, 1, 1, "answered"),
                ("alice", 1, 1, 2, "transferred"),
                ("n1", 3, 5, 5, "answered"),
                ("bob", 5, 5, 6, "answered"),
            ],
            id="is given back to the queue it was taken from",
        ),
        pytest.param(
            [event(Happening.RANG, queue="n1"), IN_N1_AGAIN, IN_N1],
            [("n1", 0, None, None, None)],
            id="a wait whose name is heard later is the same wait",
        ),
    ],
)
def test_legs(events: list[CallEvent], legs: list[tuple[str, int, int | None, int | None, str | None]]) -> None:
    assert [told(leg) for leg in play(*events).legs] == legs


@pytest.mark.parametrize(
    ("events", "held_s"),
    [
        pytest.param([ALICE, HELD, RESUMED, ENDED], 1.0, id="held and taken back"),
        pytest.param([ALICE, HELD, HELD, RESUMED, RESUMED, ENDED], 2.0, id="each told twice"),
        pytest.param([ALICE, HELD, RESUMED, HELD, RESUMED, ENDED], 2.0, id="held twice"),
        pytest.param([ALICE, HELD, ENDED, RESUMED], 1.0, id="gives up on hold"),
        pytest.param([ALICE, RESUMED, ENDED, HELD], 0.0, id="told in no order"),
        pytest.param([RINGS_ALICE, HELD, ALICE, ENDED], 0.0, id="nobody talks yet"),
    ],
)
def test_holds_are_added_up(events: list[CallEvent], held_s: float) -> None:
    (alice,) = [leg for leg in play(*events).legs if leg.kind is LegKind.AGENT]
    assert alice.held_s == held_s
    assert alice.held_since is None


def test_a_transferred_call_is_the_one_s_who_has_it() -> None:
    assert play(IN_N1, ALICE, ALICE_OUT, event(Happening.CONNECTED, "chloe")).answered_as == "chloe"
    assert play(IN_N1, ALICE, event(Happening.CONNECTED, "chloe"), event(Happening.RELEASED, "chloe")).answered_as == "alice"


def test_who_is_rung_directly_does_not_take_the_call_from_a_queue_it_left() -> None:
    bob = event(Happening.CONNECTED, "bob", queue="n2")
    call = play(IN_N1, OUT_OF_N1, IN_N2, bob, BOB_OUT, event(Happening.CONNECTED, "chloe"), ENDED)
    assert [leg.outcome for leg in call.legs if leg.kind is LegKind.QUEUE] == [Outcome.OVERFLOWED, Outcome.ANSWERED]
    assert [leg.queue for leg in call.legs if leg.kind is LegKind.AGENT] == ["n2", ""]


def test_only_a_source_that_tells_of_offers_keeps_a_call_from_all_screens() -> None:
    assert not play(RANG).offers
    assert play(RANG, IN_N1).offers


def test_what_cannot_begin_a_call_is_left_alone() -> None:
    for one in (HELD, RESUMED, event(Happening.DETAILS, queue="n1")):
        assert apply(None, one, now=START).reason is Reason.IGNORED


HAPPENED = [
    RANG,
    event(Happening.RANG, users=("alice",), queue="n1"),
    event(Happening.RANG, users=("alice", "bob")),
    *(IN_N1, IN_N2, OUT_OF_N1, event(Happening.LEFT_QUEUE), IN_N1_AGAIN, OUT_OF_N1_AGAIN),
    *(RINGS_ALICE, RINGS_BOB, ALICE, BOB, ALICE_OUT, BOB_OUT),
    *(event(Happening.OFFERED, "alice", queue="n2", leg="7"), event(Happening.CONNECTED, "4021", leg="7")),
    *(
        event(Happening.RELEASED, leg="7"),
        event(Happening.RELEASED),
        event(Happening.CONNECTED),
        event(Happening.CONNECTED, "stranger"),
    ),
    *(HELD, RESUMED, event(Happening.HELD, "bob"), event(Happening.DETAILS, from_number="0199001234"), ENDED),
]
# A whole call: overflow, two rings, a hold, a transfer.
WHOLE = [
    *(RANG, IN_N1, RINGS_ALICE, ALICE_OUT, OUT_OF_N1, IN_N2),
    *(event(Happening.OFFERED, "bob", queue="n2"), event(Happening.CONNECTED, "bob", queue="n2")),
    *(event(Happening.HELD, "bob"), event(Happening.RESUMED, "bob"), BOB_OUT, event(Happening.CONNECTED, "chloe"), ENDED),
]
# Some of what happened, in any order, with repeats and losses; or a whole call out of order, with repeats.
orders = st.lists(st.sampled_from(HAPPENED), max_size=8) | st.lists(st.sampled_from(WHOLE), min_size=5, max_size=13)


def assert_goes_forward(before: Call, after: Call) -> None:
    rank = [State.RINGING, State.ANSWERED, State.ENDED]
    assert rank.index(after.state) >= rank.index(before.state), "reopened"
    assert after.rang_at == before.rang_at
    assert before.ended_at in (None, after.ended_at)
    assert before.answered_at in (None, after.answered_at)
    assert len(after.legs) >= len(before.legs)
    for old, new in zip(before.legs, after.legs, strict=False):
        assert (new.kind, new.agent_as) == (old.kind, old.agent_as or new.agent_as)
        assert new.began_at <= old.began_at
        # A phone that does not ring any more rings again only to have been answered.
        assert old.ended_at is None or new.ended_at is not None or (old.answered_at is None and new.talks), "a leg reopened"
        assert new.held_s >= old.held_s


def assert_is_sound(call: Call) -> None:
    keys = [(leg.kind, leg.told_as, leg.queue if leg.kind is LegKind.QUEUE else leg.agent or leg.agent_as) for leg in call.legs]
    assert len(set(keys)) == len(keys), "doubled"
    for leg in call.legs:
        assert (leg.ended_at is None) == (leg.outcome is None) or (leg.kind is LegKind.QUEUE and leg.outcome is None)
        times = [at for at in (leg.began_at, leg.answered_at, leg.ended_at) if at is not None]
        assert times == sorted(times)
        if leg.ended_at is not None:
            assert leg.held_since is None
            assert 0 <= leg.held_s <= (leg.ended_at - leg.began_at).total_seconds()
    if call.state is State.ENDED:
        assert all(leg.outcome is not None for leg in call.legs), "goes on after the end"
        assert all(leg.ended_at is not None and call.ended_at is not None and leg.ended_at <= call.ended_at for leg in call.legs)
    if any(leg.kind is LegKind.AGENT and leg.outcome in (Outcome.ANSWERED, Outcome.TRANSFERRED) for leg in call.legs):
        assert call.answered_at is not None


@settings(max_examples=10_000, deadline=None, database=None)
@given(orders)
def test_ten_thousand_orders_repeats_and_losses_never_reopen_double_or_crash(events: list[CallEvent]) -> None:
    call: Call | None = None
    for second, one in enumerate(events):
        step = apply(call, one, now=START + timedelta(seconds=second), who=WHO)
        assert step.applied == (step.call != call)
        if call is not None and step.call is not None:
            assert_goes_forward(call, step.call)
        call = step.call
    if call is not None:
        assert_is_sound(call)
        again = apply(call, events[-1], now=START + timedelta(seconds=len(events)), who=WHO)
        assert events[-1].kind in (Happening.HELD, Happening.RESUMED) or again.call == call, (
            "told at once again, it changes nothing"
        )


@settings(max_examples=300, deadline=None, database=None)
@given(st.permutations([*WHOLE[:8], *WHOLE[10:]]))
def test_every_order_of_a_whole_call_ends_in_the_same_parts(events: list[CallEvent]) -> None:
    call = play(*events)
    assert (call.state, call.from_number, call.direction, call.cause) == (State.ENDED, "0199001234", "in", "16")
    assert call.answered_at is not None
    parts = {(leg.kind, leg.queue if leg.kind is LegKind.QUEUE else leg.agent_as, leg.answered_at is not None) for leg in call.legs}
    assert {part for part in parts if part[0] is LegKind.AGENT} == {
        (LegKind.AGENT, "alice", False),
        (LegKind.AGENT, "bob", True),
        (LegKind.AGENT, "chloe", True),
    }
    assert {part[1] for part in parts if part[0] is LegKind.QUEUE} == {"n1", "n2"}
