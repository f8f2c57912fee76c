"""Who answers the calls, where: the exchange's queues, the floors behind them, and the agents who sit there.

Every call waits in a queue. The exchange sends a third of the callers straight to the overflow floor, another company's, and
who waits long at our own flows over to it; some shops know the number of level 2.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fleet.errors import VigieError


class Desk(NamedTuple):
    """One queue of the exchange: the level and the floor behind it, and which part of the simulated agents sits there."""

    queue: str
    level: int
    floor: str
    share: float
    # Of its agents' names.
    prefix: str


OWN = Desk("hotline", 1, "own", 0.6, "agent")
OVERFLOW = Desk("overflow", 1, "overflow", 0.3, "overflow")
LEVEL2 = Desk("niveau2", 2, "own", 0.1, "expert")
DESKS = (OWN, OVERFLOW, LEVEL2)
# After so long in our own queue a caller waits on in the overflow floor's as well, seconds.
OVERFLOW_AFTER_S = 30.0
OVERFLOW_SHARE = 0.35
# Of the others.
LEVEL2_SHARE = 0.06

# By queue, who answers there; whoever stands first answers while free.
Crew = Mapping[str, Sequence[str]]


def crew(agents: int, staff: str = "") -> dict[str, list[str]]:
    """Name the agents who answer, `agents` in all, by queue.

    `staff` are people of the console, comma-separated, each `name` or `name@queue`; they come first. A queue that does not
    exist raises `VigieError`.
    """
    named: dict[str, list[str]] = {desk.queue: [] for desk in DESKS}
    for entry in filter(None, map(str.strip, staff.split(","))):
        name, _, queue = entry.partition("@")
        if (queue or OWN.queue) not in named:
            raise VigieError(f"VIGIE_SIMULATE_STAFF: {entry}: there is no queue {queue}, only {', '.join(named)}")
        named[queue or OWN.queue].append(name)
    seats = {desk.queue: round(agents * desk.share) for desk in (OVERFLOW, LEVEL2)}
    seats[OWN.queue] = agents - sum(seats.values())
    return {
        desk.queue: [
            *named[desk.queue],
            *(f"{desk.prefix}{number:02d}" for number in range(len(named[desk.queue]) + 1, seats[desk.queue] + 1)),
        ][: seats[desk.queue]]
        for desk in DESKS
    }


def people(staff: str) -> frozenset[str]:
    """The names of `staff`, without their queues."""
    return frozenset(entry.partition("@")[0].strip() for entry in staff.split(",") if entry.strip())


def first_desk(number: int, *, technical: bool) -> Desk:
    """Where a call begins to wait; spread evenly over calls."""
    if is_overflow(number):
        return OVERFLOW
    return LEVEL2 if technical and number * 0.414214 % 1 < LEVEL2_SHARE else OWN


def is_overflow(number: int) -> bool:
    """Whether the exchange sends the call straight to the overflow floor."""
    return number * 0.618034 % 1 < OVERFLOW_SHARE
