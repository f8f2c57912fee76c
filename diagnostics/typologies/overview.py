"""Typologies by day: how many of each kind of thing, which of them grow, and what an answer or an action changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from diagnostics.typologies import matches
from diagnostics.typologies.daily import Effect, day_of, days_until, effect, per_day
from diagnostics.typologies.emergence import F64, FIRST_DAY, grows
from diagnostics.typologies.store import DELIVERY_ACTOR, Typology, TypologyEvent, events_of, typologies
from fleet.database import Connection

SHOWN_DAYS: Final = 28
# What `effect` compares: things of each kind, and terminals touched.
TERMINALS: Final = "terminal"


@dataclass(frozen=True, slots=True)
class Counts:
    """Things per day of one typology (None: of none), oldest day first; `growing` are the kinds that grow on the last day.

    `grew` says by kind on which of the days it did.
    """

    typology: Typology | None
    days: Sequence[date]
    by_kind: Mapping[str, F64]
    grew: Mapping[str, Sequence[bool]]

    @property
    def total(self) -> F64:
        """Things of all kinds per day."""
        found: F64 = np.sum(list(self.by_kind.values()), axis=0)
        return found

    @property
    def growing(self) -> list[str]:
        """The kinds that grow on the last day."""
        return [kind for kind, days in self.grew.items() if days and days[-1]]

    def last(self, kind: str, days: int) -> int:
        """How many in the last so many days."""
        return int(self.by_kind[kind][-days:].sum())


@dataclass(frozen=True, slots=True)
class Change:
    """What was done about a typology, and by what factor its calls, incidents and terminals changed."""

    event: TypologyEvent
    effects: Mapping[str, Effect]


def overview(conn: Connection, *, last: date, days: int = SHOWN_DAYS) -> list[Counts]:
    """Every known typology up to a day, those that grow first, then by how many in the last week; last, what is of none.

    The last day may not be over: it can only be flagged too late.
    """
    asked = days_until(last, days + FIRST_DAY)
    by_typology: dict[int | None, dict[str, list[tuple[date, int]]]] = {}
    for typology, kind, day, count in matches.daily_counts(conn, first=asked[0], last=last):
        by_typology.setdefault(typology, {}).setdefault(kind, []).append((day, count))
    since = matches.first_day(conn)
    known = [_counts(one, by_typology.get(one.id, {}), asked, days, since) for one in typologies(conn)]
    known.sort(key=lambda one: (-len(one.growing), -float(one.total[-7:].sum())))
    return [*known, _counts(None, by_typology.get(None, {}), asked, days, since)]


def counts_of(conn: Connection, typology: Typology, *, last: date, days: int = SHOWN_DAYS) -> Counts:
    """The same of one typology, whatever its state."""
    asked = days_until(last, days + FIRST_DAY)
    counted: dict[str, list[tuple[date, int]]] = {}
    for number, kind, day, count in matches.daily_counts(conn, first=asked[0], last=last):
        if number == typology.id:
            counted.setdefault(kind, []).append((day, count))
    return _counts(typology, counted, asked, days, matches.first_day(conn))


def _counts(
    typology: Typology | None,
    counted: Mapping[str, Sequence[tuple[date, int]]],
    asked: Sequence[date],
    days: int,
    since: date | None,
) -> Counts:
    """`since`: the first day of which anything is known; a week that reaches before it tells nothing about growth."""
    series = {kind: per_day(counted.get(kind, ()), asked) for kind in matches.KINDS}
    judged = np.array([since is not None and day - timedelta(days=FIRST_DAY) >= since for day in asked])
    return Counts(
        typology,
        asked[-days:],
        {kind: values[-days:] for kind, values in series.items()},
        {kind: (grows(values) & judged)[-days:].tolist() for kind, values in series.items()},
    )


def changes_of(conn: Connection, typology: Typology, *, today: date) -> list[Change]:
    """What each answer but the delivered one, and each marked action, changed, newest first. Today is not over: it is left out."""
    first = matches.first_day(conn)
    acts = [event for event in events_of(conn, typology.id, kinds=("answered", "acted")) if event.actor != DELIVERY_ACTOR]
    if first is None or not acts:
        return []
    last = today - timedelta(days=1)
    counted: dict[str, dict[date, int]] = {kind: {} for kind in matches.KINDS}
    for number, kind, day, count in matches.daily_counts(conn, first=first, last=last):
        if number == typology.id:
            counted[kind][day] = count
    counted[TERMINALS] = dict(matches.daily_terminals(conn, typology.id, first=first, last=last))
    return [
        Change(event, {kind: effect(days, acted=day_of(event.at), first=first, last=last) for kind, days in counted.items()})
        for event in acts
    ]
