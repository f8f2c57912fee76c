"""The wall as it is read once for everybody who looks: sixty screens cost the database no more than one."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from psycopg_pool import ConnectionPool

from fleet.clock import Clock
from fleet.database import Connection
from hotline.figures import Asked, Group, Grouping, House, Period, read_period
from hotline.floors import Floor
from hotline.manual_calls import Gap, gaps_between
from hotline.opening import ZONE, Opening
from hotline.race_days import opening
from hotline.wallboard import FloorNow, floors_now

# A screen asks every five seconds.
KEPT_S: Final = 2.0
OLDEST_S: Final = 6.0


@dataclass(frozen=True, slots=True)
class TodaySoFar:
    """Today's figures, of the whole house or of one floor."""

    period: Period
    whole: Group
    by_floor: list[Group]
    by_level: list[Group]
    by_half_hour: list[Group]


@dataclass(frozen=True, slots=True)
class Wall:
    """The hotline at a moment; today's figures by the floor whose wall it is, None: the whole house's."""

    at: datetime
    live: list[FloorNow]
    hours: Opening
    gaps: list[Gap]
    today: Mapping[Floor | None, TodaySoFar]


class SharedWall:
    """Reads the wall when somebody looks, unless it was read a moment ago."""

    def __init__(self, pool: ConnectionPool[Connection], clock: Clock, house: House) -> None:
        """Read nothing yet."""
        self._pool = pool
        self._clock = clock
        self._house = house
        # Held by who reads it.
        self._lock = threading.Lock()
        self._read: tuple[float, Wall] | None = None

    def look(self) -> Wall:
        """The wall, at most `KEPT_S` old; while somebody reads it anew, all others see the last one, if that is not too old."""
        last = self._read
        if last and _age_s(last) <= KEPT_S:
            return last[1]
        if not self._lock.acquire(blocking=last is None or _age_s(last) > OLDEST_S):
            assert last is not None
            return last[1]
        try:
            # Somebody else may have read it while we waited.
            if self._read is None or self._read is last or _age_s(self._read) > KEPT_S:
                self._read = time.monotonic(), self._look()
            return self._read[1]
        finally:
            self._lock.release()

    def _look(self) -> Wall:
        now, house = self._clock(), self._house
        today = now.astimezone(ZONE).date()
        asked = Asked(today, today)
        with self._pool.connection() as conn:
            period = read_period(conn, asked=asked, house=house, now=now)
            return Wall(
                at=now,
                live=floors_now(conn, house=house, now=now),
                hours=opening(conn, first=today, last=today, usual_end=house.usual_end),
                gaps=gaps_between(conn, since=asked.period[0], until=now),
                # Our own floor sees the whole house, another company's its own floor.
                today={
                    None: _today(period),
                    Floor.OVERFLOW: _today(period.narrowed(replace(asked, floor=Floor.OVERFLOW))),
                },
            )


def _age_s(read: tuple[float, Wall]) -> float:
    return time.monotonic() - read[0]


def _today(period: Period) -> TodaySoFar:
    return TodaySoFar(
        period,
        period.whole(),
        period.groups(Grouping.FLOOR),
        period.groups(Grouping.LEVEL),
        period.groups(Grouping.HALF_HOUR),
    )
