"""Axes of charts: round figures to stand at, and local times to stand at; pure arithmetic, no drawing."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_DAYS: Final = (1, 2, 7, 14, 28, 91)
_STEPS: Final = (*(timedelta(minutes=count) for count in _MINUTES), *(timedelta(days=count) for count in _DAYS))
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Tick:
    """One place of an axis, with what is written there; `day` is a second line, on the first place of each day."""

    value: float
    label: str
    day: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to pixels, linearly; a span of nothing is widened so that a single value has a place."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)


def number(value: float, *, language: str, decimals: int | None = None) -> str:
    """A figure as the language writes it: `1 234,5` or `1,234.5`; without `decimals`, as many as its size deserves."""
    if decimals is None:
        decimals = 0 if abs(value) >= 100 or value == round(value) else 1 if abs(value) >= 10 else 2
    text = f"{value + 0.0:,.{decimals}f}"
    if "." in text and decimals > 1:
        text = text.rstrip("0").rstrip(".")
    text = text.replace("-", "\N{MINUS SIGN}")
    return text.replace(",", "\u202f").replace(".", ",") if language == "fr" else text


def figure_ticks(low: float, high: float, *, most: int, language: str) -> list[Tick]:
    """Round figures from at most `low` to at least `high`, `most` or fewer steps between them."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    step = _round_step((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 1):
        decimals += 1
    return [
        Tick(round(i * step, 10), number(round(i * step, 10), language=language, decimals=decimals)) for i in range(first, last + 1)
    ]


def time_ticks(first: datetime, last: datetime, *, most: int, zone: tzinfo, language: str) -> list[Tick]:
    """Round local times within the span; values are seconds since the epoch, each new day is named once."""
    span = max(last - first, timedelta(minutes=1))
    step = next((step for step in _STEPS if span / step <= most), _STEPS[-1])
    moments = _days(first, last, step, zone) if step >= _DAY else _hours(first, last, step, zone)
    ticks: list[Tick] = []
    named: date | None = None
    for moment in moments:
        local = moment.astimezone(zone)
        day = day_label(local.date(), language=language)
        if step >= _DAY:
            ticks.append(Tick(moment.timestamp(), day))
            continue
        ticks.append(Tick(moment.timestamp(), f"{local:%H:%M}", "" if named == local.date() else day))
        named = local.date()
    # Where all is one day, the chart's title or its surroundings say which.
    if len({tick.day for tick in ticks if tick.day}) == 1:
        return [Tick(tick.value, tick.label) for tick in ticks]
    return ticks


def day_label(day: date, *, language: str) -> str:
    """A short date: `23/11` in French, `23 Nov` in English."""
    return f"{day:%d/%m}" if language == "fr" else f"{day.day} {_MONTHS[day.month - 1]}"


def finite(values: Iterable[float | None]) -> list[float]:
    """The figures among them: neither absent nor infinite nor not a number."""
    return [value for value in values if value is not None and math.isfinite(value)]


def spread(count: int, most: int) -> Sequence[int]:
    """At most `most` of `count` places, evenly spread, the last always among them."""
    if count <= most:
        return range(count)
    stride = math.ceil(count / most)
    return range((count - 1) % stride, count, stride)


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in _ROUND if power * factor >= least * (1 - 1e-9))


def _hours(first: datetime, last: datetime, step: timedelta, zone: tzinfo) -> list[datetime]:
    """Every `step` of the local day, by the wall clock that holds at `first`."""
    local = first.astimezone(zone)
    since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    moment = first.astimezone(UTC) + (math.ceil(since_midnight / step) * step - since_midnight)
    found: list[datetime] = []
    while moment <= last:
        found.append(moment)
        moment += step
    return found


def _days(first: datetime, last: datetime, step: timedelta, zone: tzinfo) -> list[datetime]:
    """Local midnights, whatever the day's length in hours."""
    day = first.astimezone(zone).date()
    if datetime.combine(day, time(), zone) < first:
        day += _DAY
    found: list[datetime] = []
    while datetime.combine(day, time(), zone) <= last:
        found.append(datetime.combine(day, time(), zone))
        day += step
    return found
