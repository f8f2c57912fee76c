"""Shops that ring, and the telephone system that tells Vigie's call hook of it, as Zammad's generic CTI bridges do.

Who answers when is decided ahead and without a clock (`schedule`); one thread then posts each event at its time. Bridges
differ, so the calls take turns between JSON and form, and between the known spellings of the call's id. What the
shopkeeper says is not telephony: it goes to the truth file, and by REST into what the agent keeps of the call when it is over
(`simulators.desk_work`).
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

import httpx
import pandas as pd

from simulators import truth
from simulators.crew import LEVEL2, OVERFLOW, OVERFLOW_AFTER_S, OWN, Crew, first_desk
from simulators.desk_work import DeskWork

# Numbers reserved for fiction: what is dialled to come to a queue first.
NUMBERS = {OWN.queue: "+33199000360", OVERFLOW.queue: "+33199000361", LEVEL2.queue: "+33199000362"}
# From the first ring to "hello" of an agent who is free, seconds.
REACTION_S = (3.0, 9.0)
TIMEOUT_S = 5.0
# Waits before the tries after the first.
RETRIES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_SPELLINGS = ("callId", "call_id", "callid")

logger = logging.getLogger(__name__)


class Step(StrEnum):
    """What the telephone system tells, in the hook's words; and the agent's work after a call, of which it knows nothing."""

    NEW = "newCall"
    ANSWER = "answer"
    HANGUP = "hangup"
    DESK_WORK = "desk work"


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
    """One event of one call at its time.

    A new call, and one that flows over, names its `queue` and the `users` it rings for; `agent` (a name or an extension) is set
    from the answer on.
    """

    second: float
    number: int
    step: Step
    agent: str = ""
    cause: str = ""
    queue: str = ""
    users: tuple[str, ...] = ()


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


class Switchboard:
    """Who answers when: the first who is free of the agents behind the call's queue, else whoever is free first.

    A call that our own floor does not take in time flows over; who runs out of patience hangs up.
    """

    def __init__(self, crew: Crew, *, seed: int) -> None:
        self._crew = crew
        self._chance = random.Random(seed)
        self._free_at = dict.fromkeys(itertools.chain.from_iterable(crew.values()), 0.0)

    def acts(self, call: Planned) -> list[Act]:
        """Decide how a call goes; calls come in order of time."""
        return _course(call, self._crew, self._free_at, reaction_s=self._chance.uniform(*REACTION_S))


def schedule(calls: Iterable[Planned], *, crew: Crew, seed: int) -> list[Act]:
    """Decide ahead how every call goes."""
    board = Switchboard(crew, seed=seed)
    return sorted(act for call in sorted(calls, key=lambda call: call.second) for act in board.acts(call))


def _course(call: Planned, crew: Crew, free_at: dict[str, float], *, reaction_s: float) -> list[Act]:
    """The acts of one call; who takes it is busy until its end."""
    first = first_desk(call.number, technical=call.subject == "technical").queue
    # Where nobody sits, nobody is sent.
    queue = first if crew.get(first) else OWN.queue
    users = tuple(crew.get(queue, ()))
    acts = [Act(call.second, call.number, Step.NEW, queue=queue, users=users)]
    agent, answered = _taken(users, free_at, call.second, reaction_s)
    flows_over = call.second + OVERFLOW_AFTER_S
    if queue == OWN.queue and crew.get(OVERFLOW.queue) and answered > flows_over and call.patience_s > OVERFLOW_AFTER_S:
        users = tuple(crew[OVERFLOW.queue])
        acts.append(Act(flows_over, call.number, Step.NEW, queue=OVERFLOW.queue, users=users))
        agent, answered = _taken(users, free_at, flows_over, reaction_s)
    if answered - call.second > call.patience_s:
        return [*acts, Act(call.second + call.patience_s, call.number, Step.HANGUP, cause="cancel")]
    ended = free_at[agent] = answered + call.talk_s
    return [
        *acts,
        Act(answered, call.number, Step.ANSWER, agent),
        Act(ended, call.number, Step.HANGUP, agent, "normalClearing"),
    ]


def _taken(agents: Sequence[str], free_at: dict[str, float], second: float, reaction_s: float) -> tuple[str, float]:
    """Who of these takes a call that rings from this second on, and when: nobody, never, where there is nobody."""
    # Of those who are free now the first is meant, not the one who has been free longest.
    agent = min(agents, key=lambda name: max(free_at[name], second), default="")
    return agent, max(second, free_at[agent]) + reaction_s if agent else float("inf")


def fields(act: Act, call: Planned, *, call_id: str) -> dict[str, str | list[str]]:
    """Write what the telephone system tells of an act; later events of two calls in three leave the numbers out."""
    told: dict[str, str | list[str]] = {"event": act.step.value, _SPELLINGS[call.number % 3]: call_id, "direction": "in"}
    if act.step is Step.NEW or call.number % 3 == 0:
        told |= {"from": call.caller, "to": NUMBERS[first_desk(call.number, technical=call.subject == "technical").queue]}
    if act.step is Step.NEW:
        # The queue rings at everybody's who sits behind it.
        told |= {"queue": act.queue, "user[]": list(act.users)}
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
        desk_work: DeskWork | None = None,
        late: Switchboard | None = None,
    ) -> None:
        """`late` answers the calls that are added."""
        self._late = late or Switchboard({}, seed=0)
        self._added: deque[Planned] = deque()
        self._url, self._desk_work = url, desk_work
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
        # By step, `flowed over` for what rang in a second queue, and `failed` for what was given up.
        self.posted: Counter[str] = Counter()

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
        if act.step is Step.DESK_WORK and self._desk_work is not None:
            self.posted += self._desk_work.after(self._client, live.call_id, call.caller, call.subject, call.words)
            return
        status = self._post(act, live)
        live.statuses.append(status)
        if 200 <= status < 300:
            flowed = act.step is Step.NEW and act.second > call.second
            self.posted["flowed over" if flowed else act.step] += 1
            if act.step is Step.HANGUP and live.answered_ms is not None and self._desk_work is not None:
                due = self._clock_s() + self._desk_work.takes_s(act.agent)
                heapq.heappush(self._due, (due, next(self._order), Act(due, act.number, Step.DESK_WORK), 0))
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

    def _hang_up_all(self) -> None:
        for live in list(self._live.values()):
            if live.rang_ms is not None and live.ended_ms is None:
                talked = live.answered_ms is not None
                act = Act(self._clock_s(), live.call.number, Step.HANGUP, cause="normalClearing" if talked else "cancel")
                status = self._post(act, live)
                live.statuses.append(status)
                self.posted[act.step if 200 <= status < 300 else "failed"] += 1
                if not status:
                    return  # nobody is there: waiting for each of them would only hold up the end
