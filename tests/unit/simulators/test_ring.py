"""Callers: who answers when, what the telephone system posts, and that no failure of the hook ends the play."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import VigieError
from simulators.crew import DESKS, LEVEL2, OVERFLOW, OVERFLOW_AFTER_S, OWN, crew, first_desk, is_overflow, people
from simulators.desk_work import DeskWork
from simulators.ring import Act, Planned, Ring, Step, Switchboard, fields, planned, request, schedule

HOOK = "http://vigie.test/api/v1/cti/token"


def call(number: int = 0, second: float = 100.0, *, patience_s: float = 60.0, talk_s: float = 40.0) -> Planned:
    return Planned(number, second, "P00001", "+33199001234", "technical", "la borne est en panne", patience_s, talk_s, 0)


CALLS = st.lists(st.tuples(st.integers(0, 600), st.integers(1, 200), st.integers(1, 300)), max_size=40).map(
    lambda rows: [
        call(number, float(second), patience_s=patience, talk_s=talk) for number, (second, patience, talk) in enumerate(rows)
    ]
)


@given(CALLS, st.integers(0, 9))
def test_every_call_rings_and_ends_and_no_agent_talks_twice_at_once(calls: list[Planned], agents: int) -> None:
    sitting = crew(agents)
    acts = schedule(calls, crew=sitting, seed=3)
    assert acts == schedule(list(reversed(calls)), crew=sitting, seed=3) or len({c.second for c in calls}) < len(calls)
    busy: dict[str, float] = {}
    for one in calls:
        first, *steps = [act for act in acts if act.number == one.number]
        assert (first.step, first.second, first.users) == (Step.NEW, one.second, tuple(sitting[first.queue]))
        if steps[0].step is Step.NEW:
            over = steps.pop(0)
            assert (first.queue, over.queue, over.second) == (OWN.queue, OVERFLOW.queue, one.second + OVERFLOW_AFTER_S)
        if len(steps) == 1:
            assert steps[0][2:5] == (Step.HANGUP, "", "cancel")
            assert steps[0].second == one.second + one.patience_s
        else:
            assert [act.step for act in steps] == [Step.ANSWER, Step.HANGUP]
            assert steps[0].second - one.second <= one.patience_s
            assert steps[1].second == pytest.approx(steps[0].second + one.talk_s)
    for act in acts:
        if act.step is Step.ANSWER:
            assert busy.get(act.agent, 0.0) <= act.second
            busy[act.agent] = act.second + calls[act.number].talk_s


def test_without_agents_everybody_hangs_up() -> None:
    assert [act.cause for act in schedule([call(0), call(1)], crew=crew(0), seed=1) if act.step is Step.HANGUP] == [
        "cancel",
        "cancel",
    ]


OWN_CALLS = [n for n in range(40) if first_desk(n, technical=True) is OWN]


def test_whoever_stands_first_answers_while_free() -> None:
    calls = [call(number, second) for number, second in zip(OWN_CALLS, (100.0, 110.0, 200.0), strict=False)]
    acts = schedule(calls, crew=crew(3, "level1, level2"), seed=1)
    assert [act.agent for act in acts if act.step is Step.ANSWER] == ["level1", "level2", "level1"]


def test_the_people_of_the_console_stand_before_the_simulated_ones_of_their_queue() -> None:
    assert crew(10, "level1, noa@overflow, camille@niveau2") == {
        "hotline": ["level1", "agent02", "agent03", "agent04", "agent05", "agent06"],
        "overflow": ["noa", "overflow02", "overflow03"],
        "niveau2": ["camille"],
    }
    assert people("level1, noa@overflow") == {"level1", "noa"}
    with pytest.raises(VigieError, match="no queue level3"):
        crew(10, "noa@level3")
    assert sum(map(len, crew(30).values())) == 30


def test_a_call_that_nobody_of_our_own_takes_in_time_flows_over() -> None:
    first, second = OWN_CALLS[:2]
    calls = [call(first, 100.0, talk_s=300.0), call(second, 101.0, patience_s=90.0)]
    acts = schedule(calls, crew={OWN.queue: ["alix"], OVERFLOW.queue: ["noa"]}, seed=1)
    course = [act for act in acts if act.number == second]
    assert [(act.step, act.queue or act.agent) for act in course] == [
        (Step.NEW, "hotline"),
        (Step.NEW, "overflow"),
        (Step.ANSWER, "noa"),
        (Step.HANGUP, "noa"),
    ]
    assert course[2].second - 101.0 > OVERFLOW_AFTER_S
    told = fields(course[1], calls[1], call_id="c")
    assert (told["event"], told["queue"], told["user[]"]) == ("newCall", "overflow", ["noa"])


def test_a_third_of_the_calls_rings_on_the_overflow_floor_and_some_at_level_2() -> None:
    assert sum(is_overflow(number) for number in range(850)) == pytest.approx(300, abs=10)
    began = Counter(first_desk(number, technical=number % 3 > 0) for number in range(850))
    assert began[LEVEL2] == pytest.approx(25, abs=10)
    assert set(began) == set(DESKS)


def test_later_events_of_most_calls_leave_the_numbers_out() -> None:
    told = [fields(Act(1.0, n, Step.ANSWER, "agent04"), call(n), call_id="c") for n in range(3)]
    assert ["from" in one for one in told] == [True, False, False]
    assert {name for one in told for name in one if "call" in name.lower()} == {"callId", "call_id", "callid"}
    assert fields(Act(1.0, 1, Step.NEW, queue="hotline"), call(1), call_id="c")["from"] == "+33199001234"


def test_calls_take_turns_between_json_and_form() -> None:
    act = Act(1.0, 0, Step.NEW, queue="hotline", users=("agent01", "agent02"))
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

    acts = schedule(calls, crew=crew(5), seed=1)
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


def test_the_agent_notes_what_an_answered_call_was_about_and_qualifies_it() -> None:
    asked_for: list[tuple[str, str, Any]] = []

    def house(asked: httpx.Request) -> httpx.Response:
        assert asked.url.path == "/api/v1/cti/token" or asked.headers["Authorization"] == "Bearer abc"
        if asked.method == "GET":
            assert asked.url.params["phone"] == "+33199001234"
            return httpx.Response(200, json={"items": [{"id": 6, "call_id": "other"}, {"id": 7, "call_id": "t-0"}]})
        if asked.method == "PUT":
            asked_for.append((asked.url.path, str(asked.headers["Authorization"]), msgspec.json.decode(asked.content)))
        return httpx.Response(204)

    acts = schedule([call(0), call(1)._replace(patience_s=1.0)], crew=crew(1), seed=1)
    work, began = DeskWork("http://house", "abc"), time.monotonic()
    with httpx.Client(transport=httpx.MockTransport(house)) as client:
        # The agent takes twenty seconds, of this clock's a fifth of one.
        ring = Ring(
            HOOK,
            [call(0), call(1)],
            acts,
            name="t",
            clock_s=lambda: 1e6 + 100 * (time.monotonic() - began),
            client=client,
            desk_work=work,
        )
        ring.start()
        while len(asked_for) < 2:
            assert time.monotonic() - began < 20
            time.sleep(0.01)
        ring.stop()
    (note, _, text), (qualified, _, kept) = asked_for
    assert (note, text) == ("/api/v1/exchange-calls/t-0/note", {"text": "la borne est en panne"})
    assert qualified == "/api/v1/calls/7/qualification"
    assert kept["subject"] == "technical"
    assert kept["outcome"] in {"solved", "escalated", "field_visit"}


def test_people_have_their_time_before_a_simulated_agent_qualifies_for_them() -> None:
    work = DeskWork("http://house", "abc", people=frozenset({"level1"}))
    assert work.takes_s("level1") > 4 * work.takes_s("agent02")


def test_a_call_that_nobody_planned_is_made_and_answered_by_those_called_in() -> None:
    hook = Hook(lambda _: 200)
    client = httpx.Client(transport=httpx.MockTransport(hook))
    ring = Ring(HOOK, [], [], name="t", clock_s=lambda: 1e6, client=client, late=Switchboard(crew(2), seed=1))
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
