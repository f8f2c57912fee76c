"""The last day of a terminal, as a screen plots it: when it was heard, what it measured step by step, and its symptoms."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from diagnostics.symptom_store import Symptom, symptoms_of
from fleet import history
from fleet.contract import SAMPLE_FIELDS
from fleet.database import Connection

DAY: Final = timedelta(hours=24)
# 96 points a day are as many as a drawing of a few hundred pixels can show; the 5-minute roll-up serves them.
STEP: Final = timedelta(minutes=15)
# The picture moves on in strides, as the roll-up does: between two of them it is the same, and need not be drawn again.
STRIDE: Final = timedelta(minutes=5)
# Within it a day that was read serves again: the roll-up follows the samples by longer than that.
RECENT: Final = timedelta(seconds=30)
# Days of 96 steps, some 50 kB each.
_REMEMBERED: Final = 500
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
# Plotted for every terminal, after the figures that its reasons are about.
USUAL: Final = ("tickets", "tx_ms", "rtt_ms")


@dataclass(frozen=True, slots=True)
class TerminalDay:
    """What one terminal did from `start` to `end`, which is up to a stride ahead.

    `steps` are rows of `fleet.history.series_of`, oldest first; `plotted` are the figures to draw, `blamed` those of them that
    a reason is about; `symptoms` last or ended within the span, found last first.
    """

    start: datetime
    end: datetime
    steps: Sequence[Mapping[str, Any]]
    plotted: tuple[str, ...]
    blamed: frozenset[str]
    symptoms: Sequence[Symptom]

    @property
    def look(self) -> Hashable:
        """Days of equal looks make the same picture; samples that come late for the middle of it wait for its next stride."""
        newest = (self.steps[-1]["at"], self.steps[-1]["samples"]) if self.steps else None
        return self.end, len(self.steps), newest, self.plotted, self.blamed, tuple(self.symptoms)

    @property
    def over(self) -> list[Symptom]:
        """The symptoms that are over; those that last stand among the reasons."""
        return [one for one in self.symptoms if one.ended_at is not None]


def read_days(conn: Connection, *, blamed: Mapping[str, frozenset[str]], now: datetime) -> dict[str, TerminalDay]:
    """The last day of each terminal of `blamed`, which names the figures that its reasons are about."""
    terminals = list(blamed)
    if not terminals:
        return {}
    fields = tuple(dict.fromkeys((*sorted(frozenset().union(*blamed.values())), *USUAL)))
    end = now + (-(now - _EPOCH) % STRIDE)
    start = end - DAY
    series = history.series_of(conn, terminals=terminals, fields=fields, start=start, end=end, step=STEP)
    symptoms = symptoms_of(conn, terminals, since=start)
    return {
        terminal: TerminalDay(
            start=start,
            end=end,
            steps=series[terminal],
            plotted=tuple(dict.fromkeys((*(name for name in SAMPLE_FIELDS if name in blamed[terminal]), *USUAL))),
            blamed=blamed[terminal],
            symptoms=[one for one in symptoms if one.terminal_id == terminal],
        )
        for terminal in terminals
    }


class RecentDays:
    """Reads as `read_days` does, but not what it has just read: a call is shown anew at each of its events."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[datetime, TerminalDay]] = {}

    def __call__(self, conn: Connection, *, blamed: Mapping[str, frozenset[str]], now: datetime) -> dict[str, TerminalDay]:
        """The last day of each terminal of `blamed`, as it was up to half a minute ago."""
        known = {terminal: self._read[terminal] for terminal in blamed if terminal in self._read}
        found = {
            terminal: day
            for terminal, (at, day) in known.items()
            if timedelta(0) <= now - at < RECENT and now <= day.end and day.blamed == blamed[terminal]
        }
        new = read_days(conn, blamed={terminal: names for terminal, names in blamed.items() if terminal not in found}, now=now)
        if len(self._read) + len(new) > _REMEMBERED:
            # Threads share it: emptying is one step.
            self._read = {}
        self._read.update({terminal: (now, day) for terminal, day in new.items()})
        return found | new
