"""What one terminal did in a day, for those who look closer: its figures over time, and everything that happened, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from diagnostics.symptom_store import Symptom, symptoms_of
from fleet import history, presence
from fleet.contract import COUNTERS, SAMPLE_FIELDS
from fleet.database import Connection
from hotline.terminal_day import DAY, STEP

# A terminal that crashes again and again says so hundreds of times a day.
MOMENTS_SHOWN: Final = 100
# Says nothing that the restarts do not say.
_NOT_PLOTTED: Final = frozenset({"uptime_s"})


class Happened(StrEnum):
    """What a line of the time line tells of."""

    EVENT = "event"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    SYMPTOM = "symptom"
    SYMPTOM_OVER = "symptom_over"


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the time line: an event's code and detail, or a symptom."""

    at: datetime
    what: Happened
    code: str = ""
    detail: str = ""
    symptom: Symptom | None = None


@dataclass(frozen=True, slots=True)
class TerminalHistory:
    """A day of one terminal; `steps` as `fleet.history.series_of` has them, `moments` newest first."""

    start: datetime
    end: datetime
    steps: Sequence[Mapping[str, Any]]
    moments: Sequence[Moment]
    # Whether more happened than is shown.
    more: bool

    @property
    def plotted(self) -> list[str]:
        """The figures that have something to plot."""
        return [name for name in SAMPLE_FIELDS if name not in _NOT_PLOTTED and self._measured(name) and not self._all_zero(name)]

    @property
    def zero(self) -> list[str]:
        """The counters that counted nothing all day: said, not plotted."""
        return [name for name in SAMPLE_FIELDS if self._measured(name) and self._all_zero(name)]

    def _measured(self, name: str) -> bool:
        return any(row[name] is not None for row in self.steps)

    def _all_zero(self, name: str) -> bool:
        return name in COUNTERS and not any(row[name] for row in self.steps)


def read_history(conn: Connection, *, terminal_id: str, now: datetime) -> TerminalHistory:
    """The last day of a terminal."""
    start = now - DAY
    moments = time_line(
        events=history.events_between(conn, terminal_id=terminal_id, start=start, end=now, limit=MOMENTS_SHOWN + 1),
        changes=presence.changes_between(conn, terminal_id=terminal_id, start=start, end=now, limit=MOMENTS_SHOWN + 1),
        symptoms=symptoms_of(conn, [terminal_id], since=start),
        start=start,
    )
    return TerminalHistory(
        start=start,
        end=now,
        steps=history.series_between(conn, terminal_id=terminal_id, start=start, end=now, step=STEP),
        moments=moments[:MOMENTS_SHOWN],
        more=len(moments) > MOMENTS_SHOWN,
    )


def time_line(
    *,
    events: Sequence[tuple[datetime, str, str]],
    changes: Sequence[tuple[datetime, bool]],
    symptoms: Sequence[Symptom],
    start: datetime,
) -> list[Moment]:
    """Everything that happened since `start`, newest first; a symptom stands where it began and where it ended."""
    found = [Moment(at, Happened.EVENT, code, detail) for at, code, detail in events]
    found += [Moment(at, Happened.CONNECTED if online else Happened.DISCONNECTED) for at, online in changes]
    for one in symptoms:
        found.append(Moment(one.began_at, Happened.SYMPTOM, symptom=one))
        if one.ended_at is not None:
            found.append(Moment(one.ended_at, Happened.SYMPTOM_OVER, symptom=one))
    return sorted((one for one in found if one.at >= start), key=lambda one: one.at, reverse=True)
