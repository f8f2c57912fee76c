"""The race calendar as it is kept: when the last race of a day is run, and with it when the hotline closes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline.opening import OPENS, ZONE, Opening, end_of


class RaceDayError(VigieError):
    """A day's end that cannot be: the text says why."""


class RaceDaysChangedError(VigieError):
    """Somebody else changed these days since they were looked at."""

    def __init__(self, days: Sequence[date]) -> None:
        super().__init__(f"changed meanwhile: {', '.join(map(str, days))}")
        self.days = days


@dataclass(frozen=True, slots=True)
class RaceDay:
    """A day of the calendar, with who said so."""

    day: date
    ends_at: datetime
    changed_by: str
    changed_at: datetime

    @property
    def clock(self) -> time:
        """What the clocks in Paris show at the end."""
        return self.ends_at.astimezone(ZONE).time()


def race_days(conn: Connection, *, first: date, last: date) -> dict[date, RaceDay]:
    """What the calendar names of these days, both included."""
    with conn.cursor(row_factory=class_row(RaceDay)) as cursor:
        found = cursor.execute(
            "SELECT day, ends_at, changed_by, changed_at FROM hotline.race_day"
            " WHERE day BETWEEN %(first)s AND %(last)s ORDER BY day",
            {"first": first, "last": last},
        ).fetchall()
    return {one.day: one for one in found}


def set_race_days(
    conn: Connection,
    *,
    ends: Mapping[date, time | None],
    by: str,
    now: datetime,
    seen: Mapping[date, time | None] | None = None,
) -> None:
    """Say when each day's races end (before the opening: the next morning); None leaves a day to the usual time.

    Who said a day's end stays who said it first, as long as it is the same. `seen`: what stood there for whoever says so.

    Raises:
        RaceDayError: an end that cannot be.
        RaceDaysChangedError: of a day something else stands there than was seen; nothing is changed.
    """
    if any(clock == OPENS for clock in ends.values()):
        raise RaceDayError("the races cannot end when the hotline opens")
    if seen is not None and ends:
        # A day that nobody named yet has no row to lock.
        conn.execute("LOCK TABLE hotline.race_day IN SHARE ROW EXCLUSIVE MODE")
        known = race_days(conn, first=min(ends), last=max(ends))
        stands = {day: known[day].clock if day in known else None for day in ends}
        if changed := sorted(day for day, clock in stands.items() if clock not in (seen[day], ends[day])):
            raise RaceDaysChangedError(changed)
    with conn.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM hotline.race_day WHERE day = %(day)s", [{"day": day} for day, clock in ends.items() if clock is None]
        )
        cursor.executemany(
            "INSERT INTO hotline.race_day (day, ends_at, changed_by, changed_at) VALUES (%(day)s, %(ends_at)s, %(by)s, %(now)s)"
            " ON CONFLICT (day) DO UPDATE SET ends_at = excluded.ends_at, changed_by = excluded.changed_by,"
            " changed_at = excluded.changed_at WHERE race_day.ends_at <> excluded.ends_at",
            [{"day": day, "ends_at": end_of(day, clock), "by": by, "now": now} for day, clock in ends.items() if clock is not None],
        )


def opening(conn: Connection, *, first: date, last: date, usual_end: time) -> Opening:
    """When the hotline is open on these days; the night before the first belongs to it."""
    named = race_days(conn, first=first - timedelta(days=1), last=last)
    return Opening(usual_end, {day: one.ends_at for day, one in named.items()})
