"""Holds what a simulator says it did against what the database says it heard: nothing missing, nothing twice.

It lives in the front door because it must know both; simulators never see the database. `compare` is pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from fleet.clock import from_ms
from fleet.contract import NEWEST_SAMPLE_S, OLDEST_SAMPLE_S
from fleet.database import Connection
from simulators.truth import Boot, Range, Truth

# How many of each kind of finding are named; all are counted.
MOST_NAMED = 20

_STORED = """
WITH said AS (
    SELECT terminal_id, boot, seq FROM fleet.sample
    WHERE at >= %(since)s AND at < %(until)s AND boot BETWEEN %(first_boot)s AND %(last_boot)s
    UNION ALL
    SELECT terminal_id, boot, seq FROM fleet.event
    WHERE at >= %(since)s AND at < %(until)s AND boot BETWEEN %(first_boot)s AND %(last_boot)s
), numbered AS (
    SELECT terminal_id, boot, seq, count(*) AS times,
           seq - row_number() OVER (PARTITION BY terminal_id, boot ORDER BY seq) AS island
    FROM said GROUP BY terminal_id, boot, seq
)
SELECT terminal_id AS terminal, boot, min(seq) AS low, max(seq) AS high, (sum(times) - count(*))::bigint AS extra
FROM numbered GROUP BY terminal_id, boot, island ORDER BY terminal_id, boot, low
"""


class Stored(NamedTuple):
    """Neighbouring numbers of one boot that the database holds; `extra`: rows beyond one for each."""

    terminal: str
    boot: int
    low: int
    high: int
    extra: int


@dataclass(frozen=True)
class Finding:
    """How truth and database compare; counts of samples and events, or of calls."""

    produced: int
    stored: int
    missing: int
    twice: int
    unexpected: int
    dropped: int
    """Pushed out of a full journal: the terminal itself gave them up."""
    left: int
    """Not acknowledged when the play ended, and not stored either."""
    refused_for_clock: int
    """Told with a clock beyond the limits, and therefore not stored."""
    calls: int
    calls_missing: int
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    named: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is missing, twice or unexplained."""
        return not (self.missing or self.twice or self.unexpected or self.calls_missing)


def check(conn: Connection, truth: Truth) -> Finding:
    """Compare a play with the database."""
    window = _window(truth)
    with conn.cursor() as cursor:
        stored = [Stored(*row) for row in cursor.execute(_STORED, window)]
        letters = cursor.execute(
            "SELECT reason, count(*) FROM fleet.dead_letter"
            " WHERE last_at >= %(start)s AND received_at < %(until)s GROUP BY reason ORDER BY reason",
            window,
        ).fetchall()
        delivered = [call.call_id for call in truth.calls if any(200 <= status < 300 for status in call.statuses)]
        known = cursor.execute("SELECT call_id FROM hotline.call WHERE call_id = ANY(%(ids)s)", {"ids": delivered}).fetchall()
    lost_calls = sorted(set(delivered) - {call_id for (call_id,) in known})
    return compare(truth, stored, dead_letters=dict(letters), lost_calls=lost_calls)


def compare(
    truth: Truth, stored: Iterable[Stored], *, dead_letters: Mapping[str, int] | None = None, lost_calls: Iterable[str] = ()
) -> Finding:
    """Compare what was produced with what is stored."""
    held: dict[tuple[str, int], list[Range]] = {}
    twice = total = 0
    named = []
    for row in stored:
        held.setdefault((row.terminal, row.boot), []).append((row.low, row.high))
        total += row.high - row.low + 1
        if row.extra:
            twice += row.extra
            named.append(f"{row.terminal} boot {row.boot}: {row.extra} of {row.low} to {row.high} twice")
    produced = missing = unexpected = dropped = left = misdated = 0
    for terminal in truth.terminals:
        for boot in terminal.boots:
            have = held.pop((terminal.terminal, boot.boot), [])
            gone = _judge(boot, have)
            produced += boot.last
            missing, dropped, left = missing + count(gone.missing), dropped + count(gone.dropped), left + count(gone.left)
            misdated, unexpected = misdated + count(gone.misdated), unexpected + count(gone.unexpected)
            where = f"{terminal.terminal} boot {boot.boot}"
            named += [f"{where}: {low} to {high} missing" for low, high in gone.missing]
            named += [f"{where}: {low} to {high} never sent" for low, high in gone.unexpected]
    for (name, number), have in held.items():
        unexpected += count(have)
        named.append(f"{name} boot {number}: a boot that never was")
    lost_calls = list(lost_calls)
    named += [f"call {call_id} missing" for call_id in lost_calls]
    return Finding(
        produced=produced,
        stored=total,
        missing=missing,
        twice=twice,
        unexpected=unexpected,
        dropped=dropped,
        left=left,
        refused_for_clock=misdated,
        calls=len(truth.calls),
        calls_missing=len(lost_calls),
        dead_letters=dead_letters or {},
        named=tuple(named[:MOST_NAMED]),
    )


class _Gone(NamedTuple):
    """What one boot produced and the database does not have, by reason; and what it has that was never sent."""

    missing: list[Range]
    dropped: list[Range]
    left: list[Range]
    misdated: list[Range]
    unexpected: list[Range]


def _judge(boot: Boot, have: list[Range]) -> _Gone:
    absent = minus([(1, boot.last)] if boot.last else [], have)
    unexplained = absent
    by_reason: dict[str, list[Range]] = {}
    # A number may be both dropped and misdated: it counts under its first reason.
    for reason, those in (("dropped", boot.dropped), ("left", boot.left), ("misdated", boot.misdated)):
        rest = minus(unexplained, those)
        by_reason[reason] = minus(unexplained, rest)
        unexplained = rest
    return _Gone(missing=unexplained, unexpected=minus(have, [(1, boot.last)]), **by_reason)


def minus(these: list[Range], those: list[Range]) -> list[Range]:
    """Take ranges away from ranges, both ascending and with both ends included."""
    rest: list[Range] = []
    for whole_low, high in these:
        low = whole_low
        for start, end in those:
            if end < low or start > high:
                continue
            if start > low:
                rest.append((low, start - 1))
            low = end + 1
        if low <= high:
            rest.append((low, high))
    return rest


def count(ranges: Iterable[Range]) -> int:
    """Count the numbers in ranges."""
    return sum(high - low + 1 for low, high in ranges)


def _window(truth: Truth) -> dict[str, datetime | int]:
    """Where a play's rows can lie: boots are numbered by the second they began, so those of other plays stay out."""
    start, end = from_ms(truth.play.start_ms), from_ms(truth.play.end_ms)
    boots = [boot.boot for terminal in truth.terminals for boot in terminal.boots]
    return {
        "start": start,
        "since": start - timedelta(seconds=OLDEST_SAMPLE_S + 3600),
        "until": end + timedelta(seconds=NEWEST_SAMPLE_S + 3600),
        "first_boot": truth.play.start_ms // 1000,
        "last_boot": max([truth.play.end_ms // 1000, *boots]),
    }
