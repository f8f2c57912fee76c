"""Figures and lists of calls as files for spreadsheets: counts and seconds, no telephone number, no text that somebody typed."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hotline.counted_calls import Calls
from hotline.figures import Group, Grouping, Period
from hotline.kpi import Picked, Policy, Reading, told
from hotline.web.spreadsheets import plain

_SHARES = ("answer_rate", "abandon_rate", "solved_rate", "repeat_rate")
_MEANS = ("speed_of_answer", "handling")


def figures_file(period: Period) -> Iterator[str]:
    """All together first (its group is empty), then one line for each group; shares are of one, times in seconds."""
    header = [
        str(period.asked.by),
        *Picked,
        *(column for name in (*_SHARES, *Reading) for column in (name, f"{name}_low", f"{name}_high")),
        *(column for name in _MEANS for column in (f"{name}_s", f"{name}_s_low", f"{name}_s_high")),
        "longest_wait_s",
        "busy_s",
        "there_s",
        "occupancy",
    ]
    groups = [period.whole(), *period.groups(period.asked.by)]
    return _lines(header, ([plain(_name(group.key, period)), *_figures_line(group)] for group in groups))


def calls_file(calls: Calls, *, shops: Mapping[int, str], policy: Policy) -> Iterator[str]:
    """One line for each call."""
    header = ["call", "rang_at", "shop", "outcome", "floor", "level", "overflowed", "wait_s", "handled_s", "solved", "repeat"]
    lines = (
        [
            row.call,
            row.rang_at.isoformat(timespec="seconds"),
            plain(shops.get(row.call, "")),
            outcome,
            row.floor,
            row.level,
            int(row.overflowed),
            _number(row.wait_s),
            _number(row.handled_s),
            "" if row.solved is None else int(row.solved),
            int(row.repeat),
        ]
        for row, outcome in told(calls, policy)
    )
    return _lines(header, lines)


def _name(key: str, period: Period) -> str:
    """A group's key; an agent's is the login."""
    if period.asked.by is Grouping.AGENT and key.isdigit() and int(key) in period.staff:
        return period.staff[int(key)].login
    return key


def _figures_line(group: Group) -> list[object]:
    figures = group.figures
    line: list[object] = [figures[what] for what in Picked]
    shares = [getattr(figures, name) for name in _SHARES] + [figures.service_level(reading) for reading in Reading]
    for one in (*shares, *(getattr(figures, name) for name in _MEANS)):
        low, high = one.interval or (None, None)
        line += [_number(one.value), _number(low), _number(high)]
    occupied = group.occupied
    return [
        *line,
        _number(figures.longest_wait_s),
        _number(occupied.busy_s),
        _number(occupied.there_s),
        _number(occupied.value),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def _lines(header: Sequence[object], lines: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of the file; a byte-order mark lets spreadsheets read it as what it is."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    buffer.write("\N{BYTE ORDER MARK}")
    for line in (header, *lines):
        writer.writerow(line)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
