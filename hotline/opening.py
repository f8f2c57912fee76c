"""When the hotline is open: every day from 07:00 in Paris to the end of the races, which the race calendar tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from fleet.departments import MAINLAND_TIMEZONE

# The hotline is in Paris, wherever the shop is.
ZONE: Final = ZoneInfo(MAINLAND_TIMEZONE)
OPENS: Final = time(7)
# When it closes on a day that the race calendar does not name, where nothing else is set.
USUAL_END: Final = time(22, 30)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """The opening of each day; a day that the calendar does not name ends at the usual time."""

    usual_end: time
    ends: Mapping[date, datetime] = field(default_factory=dict)
    _known: dict[date, tuple[datetime, datetime]] = field(default_factory=dict, compare=False, repr=False)

    def hours_of(self, day: date) -> tuple[datetime, datetime]:
        """From when to when the hotline is open on a day; the end may be past midnight."""
        if day not in self._known:
            self._known[day] = moment(day, OPENS), self.ends.get(day) or end_of(day, self.usual_end)
        return self._known[day]

    def is_open(self, at: datetime) -> bool:
        """Whether the hotline is open at this moment; its end no longer is."""
        day = at.astimezone(ZONE).date()
        return any(start <= at < end for start, end in map(self.hours_of, (day, day - _DAY)))

    def next_start(self, at: datetime) -> datetime:
        """The first opening after this moment."""
        day = at.astimezone(ZONE).date()
        today, _ = self.hours_of(day)
        return today if today > at else self.hours_of(day + _DAY)[0]


def end_of(day: date, clock: time) -> datetime:
    """The moment a day's races end: what lies before the opening is meant of the next morning."""
    return moment(day if clock > OPENS else day + _DAY, clock)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """A day in Paris, from midnight to midnight, whatever its length."""
    return moment(day, time()), moment(day + _DAY, time())


def moment(day: date, clock: time) -> datetime:
    """When the clocks in Paris show this; in UTC, since lengths within one zone with summer time come out wrong."""
    return datetime.combine(day, clock, ZONE).astimezone(UTC)
