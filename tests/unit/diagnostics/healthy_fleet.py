"""A fleet of healthy terminals at eleven on a Monday, which tests then spoil."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diagnostics.judge import judge
from diagnostics.judgement import Judgement, unjudged
from diagnostics.limits import METRICS, Policy
from diagnostics.reasons import REASONS, STATES, Reason, State
from diagnostics.snapshot import EVENT_INDEX, NO_PRESENCE, OFFLINE, ONLINE, Snapshot
from fleet.contract import EventCode

NOW_MS = 1_795_428_000_000
POLICY = Policy()
MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True)
class Like:
    """What a terminal is like, times as seconds before now; None is never."""

    model: str = "B"
    heard: float | None = 10
    # How old the last sample was when it came.
    lag: float = 0.2
    # From the sample before to the last one; None: only one sample was ever seen.
    pace: float | None = 30
    presence: int = ONLINE
    presence_since: float = DAY
    scheduled: bool = True
    turned: float = 4 * HOUR
    opened: float | None = 4 * HOUR
    closed: float | None = 14 * HOUR
    sold: float | None = 40
    scanned: float | None = 40
    paper: float = 60.0
    disk: float = 5000.0
    board: float = 45.0
    head: float = 35.0
    clock: float = 20.0
    values_age: float = 10
    event: EventCode | None = None
    event_age: float = 0


HEALTHY = Like()
FROZEN = replace(HEALTHY, heard=600, values_age=600, sold=700, scanned=700)
LOST = replace(FROZEN, presence=OFFLINE, presence_since=590)
_NAN = float("nan")
NEVER = Like(
    heard=None,
    presence=NO_PRESENCE,
    opened=None,
    closed=None,
    sold=None,
    scanned=None,
    paper=_NAN,
    disk=_NAN,
    board=_NAN,
    head=_NAN,
    clock=_NAN,
)


def snapshot(*likes: Like, now_ms: int = NOW_MS, fed: float = 1) -> Snapshot:
    fleet = Snapshot([f"T{row:05}" for row in range(len(likes))], [like.model for like in likes])

    def ms(field: str) -> Any:
        ages = [getattr(like, field) for like in likes]
        return np.array([0 if age is None else now_ms - round(age * 1000) for age in ages], np.int64)

    fleet.heard_ms = ms("heard")
    fleet.measured_ms = np.where(fleet.heard_ms > 0, fleet.heard_ms - np.array([round(like.lag * 1000) for like in likes]), 0)
    paces = np.array([0 if like.pace is None else round(like.pace * 1000) for like in likes])
    fleet.before_ms = np.where((fleet.measured_ms > 0) & (paces > 0), fleet.measured_ms - paces, 0)
    fleet.presence = np.array([like.presence for like in likes], np.int8)
    fleet.presence_ms = np.where(fleet.presence == NO_PRESENCE, 0, ms("presence_since"))
    fleet.sold_ms, fleet.scanned_ms = ms("sold"), ms("scanned")
    fleet.event_ms[:, EVENT_INDEX[EventCode.OPEN]] = ms("opened")
    fleet.event_ms[:, EVENT_INDEX[EventCode.CLOSE]] = ms("closed")
    for row, like in enumerate(likes):
        if like.event is not None:
            fleet.event_ms[row, EVENT_INDEX[like.event]] = now_ms - round(like.event_age * 1000)
    named = {"paper_pct": "paper", "disk_mb": "disk", "board_c": "board", "head_c": "head", "clock_ms": "clock"}
    fleet.values = np.array([[getattr(like, named[metric]) for metric in METRICS] for like in likes], np.float32)
    fleet.value_at_ms = np.where(np.isnan(fleet.values), 0, ms("values_age")[:, None])
    fleet.set_opening(scheduled=np.array([like.scheduled for like in likes]), boundary_ms=ms("turned"))
    fleet.fed_ms = now_ms - round(fed * 1000)
    return fleet


def first_judgement(fleet: Snapshot, *, now_ms: int = NOW_MS, trusted_ago: float = HOUR) -> Judgement:
    """Judge with a pipeline that has long been heard."""
    return judge(fleet, now_ms, POLICY, unjudged(len(fleet), policy=POLICY, now_ms=now_ms - round(trusted_ago * 1000)))


def judged_twice(like: Like) -> Judgement:
    """Judge one terminal now, having judged the same of it two minutes ago: what must be confirmed is."""
    fleet = snapshot(like)
    return judge(fleet, NOW_MS, POLICY, first_judgement(fleet, now_ms=NOW_MS - 120_000))


def state_of(judgement: Judgement, row: int = 0) -> State:
    return STATES[int(judgement.state[row])]


def reasons_of(judgement: Judgement, row: int = 0) -> list[Reason]:
    return [reason for reason, on in zip(REASONS, judgement.table()[row], strict=True) if on]
