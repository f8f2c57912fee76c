"""The parts of one call: its waits in queues, and what each agent had of it. Pure.

`heard` takes in what an event says of the legs; `settled` then says of each when it ended and how, from all that is known.
Facts only fill in, and the first time of each stays. What is told twice or late finds its leg by the source's own id of
it, or by the agent; where the order was lost, a leg may be a little off in time but is never opened again or doubled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from hotline.call_events import CallEvent, Happening


class LegKind(StrEnum):
    """What a leg is."""

    QUEUE = "queue"
    AGENT = "agent"


class Outcome(StrEnum):
    """How a leg ended."""

    # A queue's: an agent took the call from it. An agent's: they had it to its end, or it went on to nobody.
    ANSWERED = "answered"
    # It rang at the agent's phone, and they did not take it: too late, gone, or another was quicker.
    MISSED = "missed"
    # The caller gave up waiting.
    ABANDONED = "abandoned"
    # The agent had the call and gave it on.
    TRANSFERRED = "transferred"
    # The call waited on, or was taken, elsewhere.
    OVERFLOWED = "overflowed"


@dataclass(frozen=True, slots=True)
class CallLeg:
    """One leg of a call; `agent` is the id of one of ours, `agent_as` what the source calls them, `told_as` its id of the leg."""

    kind: LegKind
    began_at: datetime
    # An agent's: the one they were called from, empty where they were called directly.
    queue: str = ""
    agent: int | None = None
    agent_as: str = ""
    told_as: str = ""
    answered_at: datetime | None = None
    # When the source said that it is over.
    released_at: datetime | None = None
    # When it ended, as far as all that is known tells.
    ended_at: datetime | None = None
    held_since: datetime | None = None
    held_s: float = 0.0
    outcome: Outcome | None = None

    @property
    def talks(self) -> bool:
        """Whether an agent has the caller now."""
        return self.kind is LegKind.AGENT and self.answered_at is not None and self.ended_at is None

    @property
    def rings(self) -> bool:
        """Whether it rings at an agent's phone now."""
        return self.kind is LegKind.AGENT and self.answered_at is None and self.ended_at is None


Legs = tuple[CallLeg, ...]


def heard(legs: Legs, event: CallEvent, *, who: Mapping[str, int], now: datetime) -> Legs:
    """The legs with what an event says of them; `who` are our agents by the names the event uses."""
    match event.kind:
        case Happening.RANG:
            after = _rang(legs, event, who=who, now=now)
        case Happening.QUEUED:
            after = _queue(legs, event.queue, now=now, told_as=event.leg)
        case Happening.OFFERED:
            # Somebody has the caller from this very queue: it was offered before that, and we hear of it late.
            late = event.queue and any(leg.talks and leg.queue == event.queue for leg in legs)
            after = _offer(_queue(legs, event.queue, now=now), event, event.agent, who=who, now=now, over=bool(late))
        case Happening.CONNECTED:
            after = _connect(_queue(legs, event.queue, now=now), event, who=who, now=now)
        case Happening.HELD | Happening.RESUMED:
            after = _hold(legs, event, who=who, now=now)
        case Happening.RELEASED:
            after = _release(legs, event, who=who, now=now)
        case Happening.LEFT_QUEUE:
            after = _leave(legs, event.queue, now=now, told_as=event.leg)
        case _:
            after = legs
    return after


def settled(legs: Legs, *, answered_at: datetime | None, ended_at: datetime | None) -> Legs:
    """Each leg with its end and outcome, from what is known of all of them and of the call's answer and end."""
    if answered_at is not None and not _answered(legs):
        legs = _claimed(legs, answered_at)
    # What is found of one leg may tell of another; each round settles one more at least, so this comes to an end.
    for _ in range(2 * len(legs) + 2):
        before, legs = legs, _settled_once(legs, answered_at=answered_at, ended_at=ended_at)
        if legs == before:
            break
    return legs


def _settled_once(legs: Legs, *, answered_at: datetime | None, ended_at: datetime | None) -> Legs:
    legs = _placed(legs)
    # Agents first: a queue's end follows from who took the call from it.
    answers = _answered(legs)
    legs = tuple(_within(_settle_agent(leg, legs, answers, ended_at=ended_at)) for leg in legs)
    queues, answers = _queues(legs), _answered(legs)
    # Somebody answered whose name we are not told: it was from the queue the caller came to last.
    unnamed = answered_at if not answers else None
    return tuple(_within(_settle_queue(leg, queues, answers, unnamed=unnamed, ended_at=ended_at)) for leg in legs)


def holder(legs: Legs) -> CallLeg | None:
    """The leg of who has the call; where it is over, or waits again, of who had it last."""
    return max(_answered(legs), key=lambda leg: (leg.ended_at is None, leg.answered_at), default=None)


def _rang(legs: Legs, event: CallEvent, *, who: Mapping[str, int], now: datetime) -> Legs:
    legs = _queue(legs, event.queue, now=now)
    # Several users are a group, and which of them will take it is not known yet.
    if len(event.users) != 1:
        return legs
    return _offer(legs, event, event.users[0], who=who, now=now, over=any(leg.talks for leg in legs))


def _queue(legs: Legs, queue: str, *, now: datetime, told_as: str = "", released_at: datetime | None = None) -> Legs:
    """The legs with a wait in this queue."""
    if not queue:
        return legs
    new = CallLeg(LegKind.QUEUE, began_at=now, queue=queue, told_as=told_as, released_at=released_at)
    return _joined(legs, _find_wait(legs, queue, told_as), new)


def _find_wait(legs: Legs, queue: str, told_as: str) -> int | None:
    """The wait with the source's id; else the last one in this queue.

    A queue that the call comes to again is told from a repeated event by that id alone.
    """
    waits = [(i, leg) for i, leg in enumerate(legs) if leg.kind is LegKind.QUEUE and leg.queue == queue]
    exact = [i for i, leg in waits if leg.told_as == told_as]
    if told_as and not exact:
        # Heard of before we knew what it is called, it waits still.
        exact = [i for i, leg in waits if not leg.told_as and leg.ended_at is None]
    found = exact if told_as else [i for i, _ in waits]
    return found[-1] if found else None


def _offer(legs: Legs, event: CallEvent, name: str, *, who: Mapping[str, int], now: datetime, over: bool) -> Legs:
    """The legs with a ring at an agent's phone, `over` where it cannot ring any more."""
    if not name and not event.leg:
        return legs
    at = _find_agent(legs, name, event.leg, who)
    new = _agent_leg(event, name, who=who, now=now)
    return _joined(legs, at, replace(new, released_at=now) if over and at is None else new)


def _connect(legs: Legs, event: CallEvent, *, who: Mapping[str, int], now: datetime) -> Legs:
    if event.agent or event.leg:
        new = _agent_leg(event, event.agent, who=who, now=now)
        return _joined(legs, _find_agent(legs, event.agent, event.leg, who), replace(new, answered_at=now))
    ringing = [i for i, leg in enumerate(legs) if leg.rings]
    if len(ringing) != 1 or _answered(legs):
        return legs
    return _joined(legs, ringing[0], replace(legs[ringing[0]], answered_at=now))


def _hold(legs: Legs, event: CallEvent, *, who: Mapping[str, int], now: datetime) -> Legs:
    at = _meant(legs, event, who)
    if at is None or not legs[at].talks:
        return legs
    leg = legs[at]
    if event.kind is Happening.HELD:
        return _with(legs, at, replace(leg, held_since=leg.held_since or now))
    return _with(legs, at, _taken_back(leg, now))


def _release(legs: Legs, event: CallEvent, *, who: Mapping[str, int], now: datetime) -> Legs:
    at = _meant(legs, event, who)
    if at is None and not event.agent and not event.leg:
        return legs
    new = legs[at] if at is not None else _agent_leg(event, event.agent, who=who, now=now)
    return _joined(legs, at, replace(new, released_at=now))


def _leave(legs: Legs, queue: str, *, now: datetime, told_as: str) -> Legs:
    known = [leg.queue for leg in _queues(legs)]
    return _queue(legs, queue or (known[-1] if known else ""), now=now, told_as=told_as, released_at=now)


def _agent_leg(event: CallEvent, name: str, *, who: Mapping[str, int], now: datetime) -> CallLeg:
    return CallLeg(LegKind.AGENT, began_at=now, queue=event.queue, agent=who.get(name), agent_as=name, told_as=event.leg)


def _meant(legs: Legs, event: CallEvent, who: Mapping[str, int]) -> int | None:
    """Which leg an event is about; one that names nobody, about the one who talks."""
    if event.agent or event.leg:
        return _find_agent(legs, event.agent, event.leg, who)
    talking = [i for i, leg in enumerate(legs) if leg.talks]
    return talking[0] if len(talking) == 1 else None


def _find_agent(legs: Legs, name: str, told_as: str, who: Mapping[str, int]) -> int | None:
    """The leg with the source's id; else the agent's, of which the last one where there are several."""
    agents = [(i, leg) for i, leg in enumerate(legs) if leg.kind is LegKind.AGENT]
    if told_as:
        exact = next((i for i, leg in agents if leg.told_as == told_as), None)
        if exact is not None:
            return exact
    if not name:
        return None
    theirs = [(i, leg) for i, leg in agents if leg.agent_as == name or (leg.agent is not None and leg.agent == who.get(name))]
    # A leg with another id is another ring at the same agent.
    found = [i for i, leg in theirs if not told_as or not leg.told_as]
    return found[-1] if found else None


def _joined(legs: Legs, at: int | None, new: CallLeg) -> Legs:
    """The legs with a leg's facts: the earliest time of each, and what was not known."""
    if at is None:
        return (*legs, new)
    old = legs[at]
    joined = replace(
        old,
        queue=old.queue or new.queue,
        agent=old.agent if old.agent is not None else new.agent,
        agent_as=old.agent_as or new.agent_as,
        told_as=old.told_as or new.told_as,
        began_at=min(old.began_at, new.began_at),
        answered_at=_earlier(old.answered_at, new.answered_at),
        released_at=_earlier(old.released_at, new.released_at),
    )
    return _with(legs, at, joined)


def _claimed(legs: Legs, answered_at: datetime) -> Legs:
    """Somebody answered without a name: where it rang for one agent only, it was that one."""
    agents = [i for i, leg in enumerate(legs) if leg.kind is LegKind.AGENT]
    if len(agents) != 1:
        return legs
    return _with(legs, agents[0], replace(legs[agents[0]], answered_at=answered_at))


def _settle_queue(
    leg: CallLeg,
    queues: Sequence[CallLeg],
    answers: Sequence[CallLeg],
    *,
    unnamed: datetime | None,
    ended_at: datetime | None,
) -> CallLeg:
    if leg.kind is not LegKind.QUEUE:
        return leg
    took = _earlier(*(one.answered_at for one in answers if _took_from(leg, one, queues)))
    if leg is queues[-1]:
        took = took or unnamed
    if took is not None:
        end = _earlier(took, ended_at)
        return _ended(leg if leg.answered_at == end else replace(leg, answered_at=end), end, Outcome.ANSWERED)
    later = queues[queues.index(leg) + 1 :]
    end = _earlier(leg.ended_at, leg.released_at, ended_at, *(one.began_at for one in later))
    if end is None:
        return leg
    elsewhere = bool(later) or any(_until(one, ended_at) for one in answers)
    over = Outcome.ABANDONED if ended_at is not None else None
    return _ended(leg, end, Outcome.OVERFLOWED if elsewhere else over)


def _took_from(wait: CallLeg, answer: CallLeg, queues: Sequence[CallLeg]) -> bool:
    """Whether an agent took the call from this wait; of several in one queue, from the last that had begun."""
    begun = [one for one in queues if one.queue == answer.queue and answer.answered_at and one.began_at <= answer.answered_at]
    # Where the order was lost, the answer may be told before the first wait.
    first = next((one for one in queues if one.queue == answer.queue), None)
    return wait is (begun[-1] if begun else first)


def _settle_agent(leg: CallLeg, legs: Legs, answers: Sequence[CallLeg], *, ended_at: datetime | None) -> CallLeg:
    if leg.kind is not LegKind.AGENT:
        return leg
    if leg.answered_at is None:
        # An answer ends it: others' phones stop ringing.
        quicker = (one.answered_at for one in answers if one.answered_at is not None and one.answered_at >= leg.began_at)
        end = _earlier(leg.ended_at, leg.released_at, ended_at, *quicker)
        return _ended(leg, end, Outcome.MISSED if end is not None else None)
    end = _earlier(leg.released_at, ended_at)
    gone_on = end is not None and not _until(leg, ended_at) and any(_follows(one, leg) for one in legs)
    given = Outcome.TRANSFERRED if gone_on else Outcome.ANSWERED
    return _ended(leg, end, given if end is not None else None)


def _follows(other: CallLeg, leg: CallLeg) -> bool:
    """Whether the call went on there after this agent had it."""
    assert leg.answered_at is not None
    if other.kind is LegKind.QUEUE:
        return other.began_at > leg.answered_at
    return other is not leg and other.answered_at is not None and other.answered_at > leg.answered_at


def _within(leg: CallLeg) -> CallLeg:
    """The leg with its times in order, and no hold beyond its end."""
    end = leg.ended_at
    answered = _earlier(leg.answered_at, end) if leg.answered_at is not None else None
    began = _earlier(leg.began_at, answered, end) or leg.began_at
    if (began, answered) != (leg.began_at, leg.answered_at):
        leg = replace(leg, began_at=began, answered_at=answered)
    return _taken_back(leg, end) if end is not None else leg


def _ended(leg: CallLeg, end: datetime | None, outcome: Outcome | None) -> CallLeg:
    if (end, outcome) == (leg.ended_at, leg.outcome):
        return leg
    return replace(leg, ended_at=end, outcome=outcome)


def _taken_back(leg: CallLeg, at: datetime) -> CallLeg:
    if leg.held_since is None:
        return leg
    return replace(leg, held_since=None, held_s=leg.held_s + max(0.0, (at - leg.held_since).total_seconds()))


def _answered(legs: Sequence[CallLeg]) -> list[CallLeg]:
    return [leg for leg in legs if leg.kind is LegKind.AGENT and leg.answered_at is not None]


def _queues(legs: Sequence[CallLeg]) -> list[CallLeg]:
    return [leg for leg in legs if leg.kind is LegKind.QUEUE]


def _until(leg: CallLeg, ended_at: datetime | None) -> bool:
    """Whether the agent has the caller, or had them to the call's end."""
    return leg.released_at is None or (ended_at is not None and leg.released_at >= ended_at)


def _placed(legs: Legs) -> Legs:
    """The legs where each answer that names no queue is from the one the caller waited in, if they did; once said, it stays."""
    for leg in sorted(_answered(legs), key=lambda one: one.answered_at or one.began_at):
        if leg.queue:
            continue
        queues = _queues(legs)
        waited = [one for one in queues if one.ended_at is None and leg.answered_at and one.began_at <= leg.answered_at]
        # Where nobody took the call from a queue so far, this answer did, whatever we heard first.
        found = waited or ([] if any(one.queue for one in _answered(legs)) else queues)
        if found:
            legs = _with(legs, legs.index(leg), replace(leg, queue=found[-1].queue))
    return legs


def _with(legs: Legs, at: int, leg: CallLeg) -> Legs:
    return (*legs[:at], leg, *legs[at + 1 :])


def _earlier(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
