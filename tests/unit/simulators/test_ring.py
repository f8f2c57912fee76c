"""Callers: who answers when, what the telephone system posts, and that no failure of the hook ends the play."""

import time
from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.ring import Act, Crew, Notes, Planned, Ring, Step, crew, fields, is_overflow, planned, request, schedule

HOOK = "http://vigie.test/api/v1/cti/token"


def call(number: int = 0, second: float = 100.0, *, patience_s: float = 60.0, talk_s: float = 40.0) -> Planned:
    return Planned(number, second, "P00001", "+33199001234", "technical", "la borne est en panne", patience_s, talk_s, 0)


CALLS = st.lists(st.tuples(st.integers(0, 600), st.integers(1, 200), st.integers(1, 300)), max_size=40).map(
    lambda rows: [
        call(number, float(second), patience_s=patience, talk_s=talk) for number, (second, patience, talk) in enumerate(rows)
    ]
)


@given(CALLS, st.integers(0, 5))
def test_every_call_rings_and_ends_and_no_agent_talks_twice_at_once(calls: list[Planned], agents: int) -> None:
    acts = schedule(calls, agents=crew(agents), seed=3)
    assert acts == schedule(list(reversed(calls)), agents=crew(agents), seed=3) or len({c.second for c in calls}) < len(calls)
    busy: dict[str, float] = {}
    for one in calls:
        steps = [act for act in acts if act.number == one.number]
        assert [act.step for act in steps] in (
            [Step.NEW, Step.ANSWER, Step.HANGUP],
            [Step.NEW, Step.HANGUP],
        )
        if len(steps) == 2:
            assert steps[1].cause == "cancel"
            assert steps[1].second == one.second + one.patience_s
        else:
            assert steps[1].second - one.second <= one.patience_s
            assert steps[2].second == pytest.approx(steps[1].second + one.talk_s)
    for act in acts:
        if act.step is Step.ANSWER:
            assert busy.get(act.agent, 0.0) <= act.second
            busy[act.agent] = act.second + calls[act.number].talk_s


def test_without_agents_everybody_hangs_up() -> None:
    assert [act.cause for act in schedule([call(0), call(1)], agents=crew(0), seed=1) if act.step is Step.HANGUP] == [
        "cancel",
        "cancel",
    ]


def test_whoever_stands_first_answers_while_free() -> None:
    calls = [call(0, 100.0), call(1, 110.0), call(2, 200.0)]
    acts = schedule(calls, agents=crew(3, "level1, level2"), seed=1)
    assert [act.agent for act in acts if act.step is Step.ANSWER] == ["level1", "level2", "level1"]
    assert crew(3, "level1, level2") == ["level1", "level2", "agent03"]


def test_a_third_of_the_calls_rings_on_the_overflow_floor() -> None:
    assert sum(is_overflow(number) for number in range(850)) == pytest.approx(300, abs=10)


def test_later_events_of_most_calls_leave_the_numbers_out() -> None:
    told = [fields(Act(1.0, n, Step.ANSWER, "agent04", ""), call(n), call_id="c") for n in range(3)]
    assert ["from" in one for one in told] == [True, False, False]
    assert {name for one in told for name in one if "call" in name.lower()} == {"callId", "call_id", "callid"}
    assert fields(Act(1.0, 1, Step.NEW, "", ""), call(1), call_id="c")["from"] == "+33199001234"


def test_calls_take_turns_between_json_and_form() -> None:
    act = Act(1.0, 0, Step.NEW, "", "")
    assert set(request(act, call(0), call_id="c")) == {"json"}
    assert "user" in request(act, call(0), call_id="c")["json"]
    assert "user[]" in request(act, call(1), call_id="c")["data"]


def test_a_plan_becomes_calls_of_known_and_unknown_shops() -> None:
    plan = pd.DataFrame(
        {
            "second": [5, 9],
            "shop": [1, -1],
            "caller": ["+33199001234", "anonymous"],
            "subject": ["technical", "commercial"],
            "words": ["panne", "bonjour"],
            "patience_s": [60, 0],
            "talk_s": [90, 80],
            "cause": [2, -1],
        }
    )
    calls = planned(plan, pd.Series(["P00001", "P00002"]))
    assert [(c.number, c.second, c.point_of_sale, c.caller, c.patience_s, c.fault) for c in calls] == [
        (0, 5.0, "P00002", "+33199001234", 60.0, 2),
        (1, 9.0, "", "anonymous", 1.0, -1),
    ]


class Hook:
    """A call hook that answers as told and remembers what it heard."""

    def __init__(self, answers: Callable[[int], int]) -> None:
        self.heard: list[tuple[str, str]] = []
        self.asked = 0
        self._answers = answers

    def __call__(self, asked: httpx.Request) -> httpx.Response:
        self.asked += 1
        status = self._answers(self.asked)
        if status == 0:
            raise httpx.ConnectError("refused")
        if asked.headers["content-type"] == "application/json":
            told = msgspec.json.decode(asked.content)
        else:
            told = {name: values[0] for name, values in parse_qs(asked.content.decode()).items()}
        call_id = next(value for name, value in told.items() if name.replace("_", "").lower() == "callid")
        if status < 300:
            self.heard.append((call_id, told["event"]))
        return httpx.Response(status)


def rung(hook: Hook, calls: list[Planned], *, until: Callable[[Ring], bool], times: float = 100.0) -> Ring:
    began = time.monotonic()

    def clock_s() -> float:
        return 100.0 + (time.monotonic() - began) * times

    acts = schedule(calls, agents=crew(5), seed=1)
    client = httpx.Client(transport=httpx.MockTransport(hook))
    ring = Ring(HOOK, calls, acts, name="t", clock_s=clock_s, client=client)
    ring.start()
    while not until(ring):
        assert time.monotonic() - began < 20
        time.sleep(0.01)
    ring.stop()
    return ring


def test_calls_are_told_in_order_and_the_truth_knows_them() -> None:
    hook = Hook(lambda _: 200)
    ring = rung(hook, [call(0), call(1, 110.0)], until=lambda ring: ring.posted[Step.HANGUP] == 2)
    for name in ("t-0", "t-1"):
        assert [event for call_id, event in hook.heard if call_id == name] == ["newCall", "answer", "hangup"]
    told = ring.truth()
    assert [(c.call_id, c.outcome, c.words, c.statuses) for c in told] == [
        (name, "answered", "la borne est en panne", [200, 200, 200]) for name in ("t-0", "t-1")
    ]
    assert told[0].answered_ms is not None
    assert told[0].rang_ms < told[0].answered_ms


def test_the_agent_notes_what_an_answered_call_was_about() -> None:
    written: list[tuple[str, str, str]] = []

    def house(asked: httpx.Request) -> httpx.Response:
        if asked.method == "PUT":
            written.append((asked.url.path, asked.headers["Authorization"], msgspec.json.decode(asked.content)["text"]))
        return httpx.Response(204)

    acts = schedule([call(0), call(1)._replace(patience_s=1.0)], agents=crew(1), seed=1)
    with httpx.Client(transport=httpx.MockTransport(house)) as client:
        ring = Ring(
            HOOK, [call(0), call(1)], acts, name="t", clock_s=lambda: 1e6, client=client, notes=Notes("http://house", "abc")
        )
        ring.start()
        began = time.monotonic()
        while ring.posted[Step.HANGUP] < 2:
            assert time.monotonic() - began < 20
            time.sleep(0.01)
        ring.stop()
    assert written == [("/api/v1/exchange-calls/t-0/note", "Bearer abc", "la borne est en panne")]


def test_a_call_that_nobody_planned_is_made_and_answered_by_those_called_in() -> None:
    hook = Hook(lambda _: 200)
    client = httpx.Client(transport=httpx.MockTransport(hook))
    ring = Ring(HOOK, [], [], name="t", clock_s=lambda: 1e6, client=client, late=Crew(crew(2), seed=1))
    ring.start()
    ring.add(call(7))
    began = time.monotonic()
    while ring.posted[Step.HANGUP] < 1:
        assert time.monotonic() - began < 20
        time.sleep(0.01)
    ring.stop()
    assert hook.heard == [("t-7", "newCall"), ("t-7", "answer"), ("t-7", "hangup")]
    assert ring.planned == 0


@pytest.mark.parametrize("failure", [0, 503, 429])
def test_a_failing_hook_is_tried_again_and_a_calls_events_keep_their_order(failure: int) -> None:
    hook = Hook(lambda asked: failure if asked <= 3 else 200)
    ring = rung(hook, [call(0)], until=lambda ring: ring.posted[Step.HANGUP] == 1)
    assert [event for _, event in hook.heard] == ["newCall", "answer", "hangup"]
    assert ring.truth()[0].statuses == [failure, failure, failure, 200, 200, 200]
    assert ring.posted["failed"] == 0


def test_a_refusal_is_counted_and_the_next_call_rings() -> None:
    hook = Hook(lambda asked: 401 if asked == 1 else 200)
    ring = rung(hook, [call(0), call(1, 150.0)], until=lambda ring: ring.posted[Step.HANGUP] == 2)
    assert ring.posted["failed"] == 1
    assert hook.heard.count(("t-1", "newCall")) == 1


def test_an_end_hangs_up_who_still_talks() -> None:
    hook = Hook(lambda _: 200)
    ring = rung(hook, [call(0, talk_s=1e6), call(1, 1e9)], until=lambda ring: ring.posted[Step.ANSWER] == 1)
    assert hook.heard[-1] == ("t-0", "hangup")
    assert [(c.call_id, c.outcome) for c in ring.truth()] == [("t-0", "answered")]
