"""Shops that ring, and the telephone system that tells Vigie's call hook of it, as Zammad's generic CTI bridges do.

Who answers when is decided ahead and without a clock (`schedule`); one thread then posts each event at its time. Bridges
differ, so the calls take turns between JSON and form, and between the known spellings of the call's id. What the
shopkeeper says is not telephony: it goes to the truth file, and by REST into the agent's note when the call is over.
"""

import heapq
import itertools
import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pandas as pd

from simulators import truth

# Numbers reserved for fiction: the hotline's own, and the overflow floor's.
HOTLINE, OVERFLOW = "+33199000360", "+33199000361"
OVERFLOW_SHARE = 0.35
# From the first ring to "hello" of an agent who is free, seconds.
REACTION_S = (3.0, 9.0)
TIMEOUT_S = 5.0
# Waits before the tries after the first.
RETRIES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_SPELLINGS = ("callId", "call_id", "callid")

logger = logging.getLogger(__name__)


class Step(StrEnum):
    """What the telephone system tells; the values are the hook's words."""

    NEW = "newCall"
    ANSWER = "answer"
    HANGUP = "hangup"


class Planned(NamedTuple):
    """One call that will be made; times in seconds since the epoch, of the simulated clock."""

    number: int
    second: float
    point_of_sale: str  # empty: no known shop
    caller: str
    subject: str
    words: str
    patience_s: float
    talk_s: float
    fault: int


class Act(NamedTuple):
    """One event of one call at its time; `agent` (a name or an extension) is set from the answer on."""

    second: float
    number: int
    step: Step
    agent: str
    cause: str


def crew(agents: int, staff: str = "") -> list[str]:
    """Name the agents who answer: first the people of `staff` (comma-separated), then simulated ones, `agents` in all."""
    names = [name.strip() for name in staff.split(",") if name.strip()]
    return [*names, *(f"agent{number:02d}" for number in range(len(names) + 1, agents + 1))][:agents]


def planned(plan: pd.DataFrame, codes: "pd.Series[Any]") -> list[Planned]:
    """Turn the callers' plan into calls; `codes` are the shops' codes by row."""
    return [
        Planned(
            number,
            float(row["second"]),
            str(codes.iloc[row["shop"]]) if row["shop"] >= 0 else "",
            row["caller"],
            row["subject"],
            row["words"],
            max(1.0, float(row["patience_s"])),
            float(row["talk_s"]),
            int(row["cause"]),
        )
        for number, row in enumerate(plan.to_dict("records"))
    ]


class Crew:
    """Agents who answer: the first of them who is free, else whoever is free first; who runs out of patience hangs up."""

    def __init__(self, agents: Sequence[str], *, seed: int) -> None:
        self._chance = random.Random(seed)
        self._free_at = dict.fromkeys(agents, 0.0)

    def acts(self, call: Planned) -> list[Act]:
        """Decide how a call goes; calls come in order of time."""
        free_at, reaction_s = self._free_at, self._chance.uniform(*REACTION_S)
        rings = Act(call.second, call.number, Step.NEW, "", "")
        # Of those who are free now the first is meant, not the one who has been free longest.
        agent = min(free_at, key=lambda name: max(free_at[name], call.second), default="")
        answered = max(call.second, free_at[agent]) + reaction_s if agent else float("inf")
        if answered - call.second > call.patience_s:
            return [rings, Act(call.second + call.patience_s, call.number, Step.HANGUP, "", "cancel")]
        ended = free_at[agent] = answered + call.talk_s
        talks = Act(answered, call.number, Step.ANSWER, agent, "")
        return [rings, talks, Act(ended, call.number, Step.HANGUP, agent, "normalClearing")]


def schedule(calls: Iterable[Planned], *, agents: Sequence[str], seed: int) -> list[Act]:
    """Decide ahead how every call goes."""
    answering = Crew(agents, seed=seed)
    return sorted(act for call in sorted(calls, key=lambda call: call.second) for act in answering.acts(call))


def is_overflow(number: int) -> bool:
    """Whether the call rings on the overflow floor; spread evenly over calls."""
    return number * 0.618034 % 1 < OVERFLOW_SHARE


def fields(act: Act, call: Planned, *, call_id: str) -> dict[str, str | list[str]]:
    """Write what the telephone system tells of an act; later events of two calls in three leave the numbers out."""
    overflow = is_overflow(call.number)
    told: dict[str, str | list[str]] = {"event": act.step.value, _SPELLINGS[call.number % 3]: call_id, "direction": "in"}
    if act.step is Step.NEW or call.number % 3 == 0:
        told |= {"from": call.caller, "to": OVERFLOW if overflow else HOTLINE}
    if act.step is Step.NEW:
        # A group's name, which is no agent's: the call rings at everybody's.
        queue = "overflow" if overflow else "hotline"
        told |= {"queue": queue, "user[]": [queue]}
    elif act.agent:
        told |= {"user": act.agent, "answeringNumber": act.agent}
    if act.cause:
        told["cause"] = act.cause
    return told


def request(act: Act, call: Planned, *, call_id: str) -> dict[str, Any]:
    """Choose the form of a post: every other call's in JSON, the others' as a form."""
    told = fields(act, call, call_id=call_id)
    if call.number % 2:
        return {"data": told}
    return {"json": {name.removesuffix("[]"): value for name, value in told.items()}}


class Notes(NamedTuple):
    """Where agents write down what a call was about: the house's address, and a token that may handle calls."""

    url: str
    token: str

    def request(self, call_id: str, text: str) -> httpx.Request:
        """The note of a call that the telephone system names so."""
        return httpx.Request(
            "PUT",
            f"{self.url}/api/v1/exchange-calls/{quote(call_id, safe='')}/note",
            headers={"Authorization": f"Bearer {self.token}"},
            json={"text": text},
        )


class _Live:
    """A call that is being made."""

    def __init__(self, call: Planned, call_id: str) -> None:
        self.call, self.call_id = call, call_id
        self.rang_ms: int | None = None
        self.answered_ms: int | None = None
        self.ended_ms: int | None = None
        self.cause = ""
        self.statuses: list[int] = []
        self.held_until = 0.0  # an event of it is being tried again: the next ones wait

    def outcome(self) -> str:
        if self.ended_ms is None:
            return "unfinished"
        return "answered" if self.answered_ms is not None else "abandoned"


class Ring:
    """Posts the acts of a schedule at their times, in one thread that no failure ends."""

    def __init__(
        self,
        url: str,
        calls: list[Planned],
        acts: list[Act],
        *,
        name: str,
        clock_s: Callable[[], float],
        client: httpx.Client | None = None,
        notes: Notes | None = None,
        late: Crew | None = None,
    ) -> None:
        """`late` answers the calls that are added."""
        self._late = late or Crew([], seed=0)
        self._added: deque[Planned] = deque()
        self._url, self._notes = url, notes
        self._calls = {call.number: call for call in calls}
        self._planned = len(calls)
        self._clock_s = clock_s
        self._client = client or httpx.Client(timeout=TIMEOUT_S)
        self._name = name
        self._live: dict[int, _Live] = {}
        self._order = itertools.count()
        # (when, order, act, tries so far)
        self._due: list[tuple[float, int, Act, int]] = [(act.second, next(self._order), act, 0) for act in acts]
        heapq.heapify(self._due)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ring", daemon=True)
        self.posted: Counter[str] = Counter()  # by step, and `failed` for what was given up

    def start(self) -> None:
        """Begin to ring."""
        self._thread.start()

    def add(self, call: Planned) -> None:
        """Have a call made that nobody planned; its number is its own."""
        self._added.append(call)

    def stop(self, *, timeout_s: float = 15.0) -> None:
        """End: calls that are being talked on are hung up, nobody rings any more."""
        self._stop.set()
        self._thread.join(timeout_s)
        self._client.close()

    @property
    def planned(self) -> int:
        """Count the calls that were planned ahead; they have the numbers below it."""
        return self._planned

    @property
    def ongoing(self) -> int:
        """Count the calls that ring or are talked on."""
        return sum(1 for live in list(self._live.values()) if live.ended_ms is None)

    def truth(self) -> list[truth.Call]:
        """Tell how the calls made so far went."""
        return [
            truth.Call(
                live.call_id,
                live.call.caller,
                live.call.point_of_sale,
                live.call.subject,
                live.call.words,
                live.call.fault,
                live.rang_ms,
                live.answered_ms,
                live.ended_ms,
                live.outcome(),
                live.statuses,
            )
            for live in self._live.values()
            if live.rang_ms is not None
        ]

    def _run(self) -> None:
        while not self._stop.is_set():
            while self._added:
                call = self._added.popleft()
                self._calls[call.number] = call
                for act in self._late.acts(call):
                    heapq.heappush(self._due, (act.second, next(self._order), act, 0))
            wait_s = self._due[0][0] - self._clock_s() if self._due else 3600.0
            if wait_s > 0:
                self._stop.wait(min(wait_s, 0.25))
                continue
            when, _, act, tries = heapq.heappop(self._due)
            self._perform(act, tries, when)
        self._hang_up_all()

    def _perform(self, act: Act, tries: int, when: float) -> None:
        call = self._calls[act.number]
        live = self._live.get(act.number) or self._live.setdefault(act.number, _Live(call, f"{self._name}-{act.number}"))
        if tries == 0 and live.held_until >= when:
            # Just after the try that holds it up, so that a call's events keep their order.
            heapq.heappush(self._due, (live.held_until + 0.01, next(self._order), act, 0))
            return
        status = self._post(act, live)
        live.statuses.append(status)
        if 200 <= status < 300:
            self.posted[act.step] += 1
            if act.step is Step.HANGUP and live.answered_ms is not None:
                self._write_down(live)
        elif tries < len(RETRIES_S) and (status in {0, 429} or status >= 500):
            again = self._clock_s() + RETRIES_S[tries]
            live.held_until = again
            heapq.heappush(self._due, (again, next(self._order), act, tries + 1))
            return
        else:
            self.posted["failed"] += 1
            logger.warning("the call hook refused an event (status %s)", status, extra={"action": "ring", "call_id": live.call_id})
        live.held_until = 0.0

    def _post(self, act: Act, live: _Live) -> int:
        now_ms = int(self._clock_s() * 1000)
        if act.step is Step.NEW:
            live.rang_ms = live.rang_ms or now_ms
        elif act.step is Step.ANSWER:
            live.answered_ms = live.answered_ms or now_ms
        else:
            live.ended_ms, live.cause = live.ended_ms or now_ms, act.cause
        try:
            return self._client.post(self._url, **request(act, live.call, call_id=live.call_id)).status_code
        except httpx.HTTPError as error:
            logger.debug("the call hook did not answer: %s", type(error).__name__, extra={"action": "ring"})
            return 0

    def _write_down(self, live: _Live) -> None:
        """Let the agent note what the call was about; a note that gets lost is an agent's who forgot."""
        if self._notes is None or not live.call.words:
            return
        try:
            answer = self._client.send(self._notes.request(live.call_id, live.call.words))
            self.posted["note" if answer.is_success else "note refused"] += 1
        except httpx.HTTPError as error:
            logger.debug("a note was not taken: %s", type(error).__name__, extra={"action": "note"})

    def _hang_up_all(self) -> None:
        for live in list(self._live.values()):
            if live.rang_ms is not None and live.ended_ms is None:
                talked = live.answered_ms is not None
                act = Act(self._clock_s(), live.call.number, Step.HANGUP, "", "normalClearing" if talked else "cancel")
                status = self._post(act, live)
                live.statuses.append(status)
                self.posted[act.step if 200 <= status < 300 else "failed"] += 1
                if not status:
                    return  # nobody is there: waiting for each of them would only hold up the end
