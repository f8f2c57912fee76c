"""The last day of a terminal, as a screen plots it: when it was heard, what it measured step by step, and its symptoms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from diagnostics.symptom_store import Symptom, symptoms_of
from fleet import history
from fleet.contract import SAMPLE_FIELDS
from fleet.database import Connection

DAY: Final = timedelta(hours=24)
# 96 points a day are as many as a drawing of a few hundred pixels can show; the 5-minute roll-up serves them.
STEP: Final = timedelta(minutes=15)
# Plotted for every terminal, after the figures that its reasons are about.
USUAL: Final = ("tickets", "tx_ms", "rtt_ms")


@dataclass(frozen=True, slots=True)
class TerminalDay:
    """What one terminal did from `start` to `end`.

    `steps` are rows of `fleet.history.series_of`, oldest first; `plotted` are the figures to draw, `blamed` those of them that
    a reason is about; `symptoms` last or ended within the span, found last first.
    """

    start: datetime
    end: datetime
    steps: Sequence[Mapping[str, Any]]
    plotted: Sequence[str]
    blamed: frozenset[str]
    symptoms: Sequence[Symptom]

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
    start = now - DAY
    series = history.series_of(conn, terminals=terminals, fields=fields, start=start, end=now, step=STEP)
    symptoms = symptoms_of(conn, terminals, since=start)
    return {
        terminal: TerminalDay(
            start=start,
            end=now,
            steps=series[terminal],
            plotted=tuple(dict.fromkeys((*(name for name in SAMPLE_FIELDS if name in blamed[terminal]), *USUAL))),
            blamed=blamed[terminal],
            symptoms=[one for one in symptoms if one.terminal_id == terminal],
        )
        for terminal in terminals
    }
