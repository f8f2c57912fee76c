"""The words in which the console speaks of the hotline's figures, and how shares and seconds are written."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from babel.dates import format_date

from hotline.figures import Grouping
from hotline.floors import Floor
from hotline.intervals import Mean, Share, Verdict
from hotline.kpi import Outcome, Picked, Reading
from hotline.translations import mark as _
from hotline.words import NNBSP

READINGS: Final[Mapping[Reading, str]] = {
    Reading.ABANDONS_IGNORED: _("abandons within the time left out"),
    Reading.ABANDONS_AGAINST: _("abandons counted against"),
    Reading.ABANDONS_FOR: _("abandons within the time counted for"),
    Reading.ANSWERED_ONLY: _("answered calls only"),
}

PICKED: Final[Mapping[Picked, str]] = {
    Picked.OFFERED: _("Calls offered"),
    Picked.ANSWERED: _("Calls answered"),
    Picked.IN_TIME: _("Answered within the time"),
    Picked.LATE: _("Answered later"),
    Picked.ABANDONED: _("Given up"),
    Picked.GAVE_UP_IN_TIME: _("Given up within the time"),
    Picked.GAVE_UP_LATE: _("Given up later"),
    Picked.OVERFLOWED: _("Overflowed"),
    Picked.HANDLED: _("Calls handled"),
    Picked.QUALIFIED: _("Calls qualified"),
    Picked.SOLVED: _("Solved on line"),
    Picked.NOT_SOLVED: _("Not solved on line"),
    Picked.NOT_QUALIFIED: _("Not qualified yet"),
    Picked.REPEAT: _("Repeat calls within 7 days"),
    Picked.SHORT: _("Hung up at once"),
    Picked.OUTSIDE: _("Outside opening hours"),
    Picked.BY_HAND: _("Entered by hand"),
    Picked.WAITING: _("Still waiting"),
}

OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.IN_TIME: _("answered within the time"),
    Outcome.LATE: _("answered later"),
    Outcome.GAVE_UP_IN_TIME: _("given up within the time"),
    Outcome.GAVE_UP_LATE: _("given up later"),
    Outcome.SHORT: _("hung up at once"),
    Outcome.OUTSIDE: _("outside opening hours"),
    Outcome.BY_HAND: _("entered by hand"),
    Outcome.WAITING: _("without an end so far"),
}

GROUPINGS: Final[Mapping[Grouping, str]] = {
    Grouping.HALF_HOUR: _("half-hour"),
    Grouping.DAY: _("day"),
    Grouping.FLOOR: _("floor"),
    Grouping.LEVEL: _("level"),
    Grouping.AGENT: _("agent"),
}

FLOORS: Final[Mapping[Floor, str]] = {
    Floor.OWN: _("own floor"),
    Floor.OVERFLOW: _("overflow floor"),
}

LEVELS: Final[Mapping[int, str]] = {1: _("level 1"), 2: _("level 2")}

VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.MET: _("target met"),
    Verdict.MISSED: _("target missed"),
    Verdict.CLOSE: _("too close to tell"),
    Verdict.UNKNOWN: _("no call yet"),
}

# A verdict's shape and colour are those of a terminal's state.
VERDICT_STATES: Final[Mapping[Verdict, str]] = {
    Verdict.MET: "ok",
    Verdict.MISSED: "down",
    Verdict.CLOSE: "degraded",
    Verdict.UNKNOWN: "unknown",
}


def percentage(value: float | None, language: str) -> str:
    """A share of one: `77,8 %`, `70.0%`; a dash where there is none."""
    if value is None:
        return "—"
    space = "" if language == "en" else NNBSP
    return f"{_hundredfold(value, language)}{space}%"


def seconds_text(value: float | None) -> str:
    """A length of time as it is read at a glance: `60 s`, `3:05 min`, `1:02 h`; a dash where there is none."""
    if value is None:
        return "—"
    whole = round(value)
    if whole < 100:
        return f"{whole}{NNBSP}s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}{NNBSP}min"
    minutes = round(value / 60)
    return f"{minutes // 60}:{minutes % 60:02}{NNBSP}h"


def interval_text(of: Share | Mean, language: str) -> str:
    """The figure's 95 % interval: `74,1–81,0 %`, `38–52 s`; empty where there is none."""
    if of.interval is None:
        return ""
    low, high = of.interval
    if isinstance(of, Share):
        return f"{_hundredfold(low, language)}–{percentage(high, language)}"
    return f"{seconds_text(low)}–{seconds_text(high)}"


def day_text(day: date | str, language: str) -> str:
    """A day with its weekday: `lun. 23 nov. 2026`."""
    found = date.fromisoformat(day) if isinstance(day, str) else day
    return format_date(found, "EEE d MMM y", locale="en_GB" if language == "en" else language)


def filters(language: str) -> Mapping[str, Callable[..., Any]]:
    """What templates write figures with."""
    return {
        "share": lambda value: percentage(value, language),
        "seconds": seconds_text,
        "interval": lambda of: interval_text(of, language),
        "day_of": lambda day: day_text(day, language),
    }


def _hundredfold(share: float, language: str) -> str:
    """Always with one decimal, so that columns line up."""
    text = f"{share * 100:.1f}"
    return text if language == "en" else text.replace(".", ",")
