"""Charts as SVG text, for the console and for reports: data in, markup out, no script and no inline style.

Several series are told apart by dash, mark and hatching, not by colour alone. Every chart carries a title and a description
for those who do not see it. Classes are styled by `static/plot.css`; `standalone` puts that inside, for a page or file of its own.

    svg = line_chart([Series("inside", points)], title="…", description="…", unit="%", marks=[Mark(at, "opened")])
"""

import importlib.resources
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from diagnostics.plot_axes import Scale, Tick, figure_ticks, finite, number, spread, time_ticks
from diagnostics.plot_shapes import CHARACTER, KINDS, Box, block, dot, flag, stroke, svg, text

# What an unstyled page needs; the console serves the same text as a file.
STYLESHEET: Final = (importlib.resources.files("diagnostics") / "static" / "plot.css").read_text(encoding="utf-8")

_MARKS_SHOWN: Final = 24  # a series' points that get a mark and a tooltip
_LINE: Final = 18
_RIGHT, _BOTTOM, _BOTTOM_DAY = 14, 24, 40
_ROW_THICK, _ROW_GAP = 16, 10
# A chart of one or two groups is no wall of colour.
_BAR_AT_MOST = 72.0


@dataclass(frozen=True, slots=True)
class Series:
    """A line: values over time, in order of time; None or NaN leaves a gap.

    `spans`: for each point, from where to where chance may have moved it (None: not said); drawn upright through the marks.
    """

    name: str
    points: Sequence[tuple[datetime, float | None]]
    spans: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar for each label of the chart; None leaves a gap."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a row chart: its label and one value for each name of the chart; `kind` moves on to another hatching."""

    label: str
    values: Sequence[float | None]
    kind: int = 0


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level that matters, drawn across."""

    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, drawn upright."""

    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class BarMark:
    """Something that happened before the bar of this index, drawn upright."""

    before: int
    label: str


@dataclass(frozen=True, slots=True)
class Look:
    """How large, in which language, by which clock; pixels are those of the drawing, which scales with its place."""

    width: int = 640
    height: int = 240
    language: str = "fr"
    zone: tzinfo = field(default_factory=lambda: ZoneInfo("Europe/Paris"))


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    description: str,
    unit: str = "",
    low: float | None = 0.0,
    thresholds: Sequence[Threshold] = (),
    marks: Sequence[Mark] = (),
    look: Look | None = None,
    empty: str = "—",
) -> str:
    """Lines over local time; the value axis takes in `low` (None: only what the data needs) and every threshold."""
    look = look or Look()
    moments = [at for one in series for at, value in one.points if finite([value])]
    values = finite([value for one in series for _, value in one.points])
    if not values:
        return _empty(title, description, look, empty)
    first, last = min(moments), max(moments)
    times = time_ticks(first, last, most=max(2, look.width // 90), zone=look.zone, language=look.language)
    ends = [end for one in series for span in one.spans if span is not None for end in span]
    reached = [*values, *finite(ends), *(one.value for one in thresholds), *([] if low is None else [low])]
    legend = _legend([one.name for one in series], look, lines=True)
    frame = _Frame(look, unit, reached, legend, bottom=look.height - (_BOTTOM_DAY if any(tick.day for tick in times) else _BOTTOM))
    across = Scale(first.timestamp(), last.timestamp(), frame.left, look.width - _RIGHT)
    frame.mark([(across(one.at.timestamp()), one.label) for one in marks if first <= one.at <= last])
    parts = [frame.grid(), _time_axis(times, across, frame), frame.uprights()]
    parts += [_line(one, index % KINDS, across, frame) for index, one in enumerate(series)]
    return svg(title, description, (look.width, look.height), [*parts, *(frame.threshold(one) for one in thresholds)])


def bar_chart(
    labels: Sequence[str],
    bars: Sequence[Bars],
    *,
    title: str,
    description: str,
    unit: str = "",
    thresholds: Sequence[Threshold] = (),
    flagged: Collection[int] = (),
    marks: Sequence[BarMark] = (),
    look: Look | None = None,
    empty: str = "—",
) -> str:
    """Upright bars from zero, one group for each label; `flagged` groups carry a triangle above them."""
    look = look or Look()
    values = finite([value for one in bars for value in one.values])
    if not values or not labels:
        return _empty(title, description, look, empty)
    legend = _legend([one.name for one in bars], look, lines=False)
    reached = [*values, *(one.value for one in thresholds), 0.0]
    frame = _Frame(look, unit, reached, legend, bottom=look.height - _BOTTOM, head=22 if flagged else 8)
    group = (look.width - _RIGHT - frame.left) / len(labels)
    frame.mark([(frame.left + one.before * group, one.label) for one in marks if 0 <= one.before <= len(labels)])
    parts = [frame.grid()]
    thick = min(group * 0.8 / len(bars), _BAR_AT_MOST)
    parts += [_bars(one, (index, len(bars)), labels, frame, thick=thick) for index, one in enumerate(bars)]
    room = max(2, int((look.width - frame.left) / (max(map(len, labels)) * CHARACTER + 12)))
    for place in range(len(labels)):
        middle = frame.left + (place + 0.5) * group
        if place in spread(len(labels), room):
            parts.append(text((middle, frame.bottom + 17), labels[place], "plot-tick", "middle"))
        if place in flagged:
            highest = max(finite([one.values[place] for one in bars if place < len(one.values)]) or [0.0])
            parts.append(flag((middle, frame.up(max(highest, 0.0)) - 18)))
    parts += [frame.uprights(), *(frame.threshold(one) for one in thresholds)]
    return svg(title, description, (look.width, look.height), parts)


def row_chart(
    rows: Sequence[Row],
    names: Sequence[str],
    *,
    title: str,
    description: str,
    unit: str = "",
    look: Look | None = None,
    empty: str = "—",
) -> str:
    """Lying bars from zero, each with its figure, one group for each row; the chart is as high as its rows need."""
    look = look or Look()
    values = finite([value for row in rows for value in row.values])
    if not values:
        return _empty(title, description, look, empty)
    head, top = _legend(names, look, lines=False)
    labels = min(max(len(row.label) for row in rows) * CHARACTER * 1.1 + 20, look.width * 0.48)
    figures = max(len(_told(value, unit, look)) for value in values) * CHARACTER + 12
    low = min(*values, 0.0)
    along = Scale(low, max(*values, 0.0) or 1.0, labels + (figures if low < 0 else 0), look.width - figures)
    y, parts = top + 6.0, [head]
    for row in rows:
        height = _ROW_THICK * len(names)
        label = _cut(row.label, labels)
        parts.append(text((labels - 10, y + height / 2 + 4.5), label, "plot-label", "end", whole=row.label))
        for index, value in enumerate(row.values[: len(names)]):
            if value is not None and finite([value]):
                told = _told(value, unit, look)
                start, end = sorted((along(0.0), along(value)))
                line = y + index * _ROW_THICK
                box = Box(start, line + 1, end - start, _ROW_THICK - 2)
                name = f", {names[index]}" if names[index] else ""
                parts.append(block(box, (row.kind + index) % KINDS, f"{row.label}{name}: {told}"))
                at, anchor = (end + 6, "start") if value >= 0 else (start - 6, "end")
                parts.append(text((at, line + _ROW_THICK / 2 + 4.5), told, "plot-value", anchor))
        y += height + _ROW_GAP
    parts.append(stroke("plot-axis", (along(0.0), top), (along(0.0), y - 4)))
    return svg(title, description, (look.width, round(y)), parts)


def standalone(drawing: str) -> str:
    """The chart with its stylesheet inside: a file of its own, or part of a page that has none of ours."""
    head, close, rest = drawing.partition(">")
    return f"{head}{close}<style>{STYLESHEET}</style>{rest}"


class _Frame:
    """The axes of an upright chart: what stands where, once the marks' labels have taken their room."""

    def __init__(
        self, look: Look, unit: str, reached: Sequence[float], legend: tuple[str, int], *, bottom: float, head: int = 8
    ) -> None:
        self.look, self.unit, self.bottom = look, unit, bottom
        self._legend, self._head = legend, head
        most = max(2, look.height // 45)
        self._figures = figure_ticks(min(reached), max(reached), most=most, language=look.language)
        widest = max(len(tick.label) for tick in self._figures) + (len(unit) + 1 if unit else 0)
        self.left = widest * CHARACTER + 12
        self._marks: list[tuple[float, str, int]] = []

    def mark(self, placed: Sequence[tuple[float, str]]) -> None:
        """Take labels in, each on the first line where none is covered."""
        ends: list[float] = []
        for x, label in placed:
            width = len(label) * CHARACTER + 10
            start = x - width if x + width > self.look.width else x
            row = next((row for row, end in enumerate(ends) if start >= end), len(ends))
            ends[row : row + 1] = [start + width]
            self._marks.append((x, label, row))

    @cached_property
    def up(self) -> Scale:
        """From figures to pixels."""
        rows = max((row for _, _, row in self._marks), default=-1) + 1
        return Scale(self._figures[0].value, self._figures[-1].value, self.bottom, self._legend[1] + _LINE * rows + self._head + 6)

    def grid(self) -> str:
        """The legend, and a line across at each round figure."""
        parts = [self._legend[0]]
        for tick in self._figures:
            y = self.up(tick.value)
            parts.append(stroke("plot-axis" if tick.value == 0 else "plot-grid", (self.left, y), (self.look.width - _RIGHT, y)))
            parts.append(text((self.left - 8, y + 4.5), tick.label + _unit(self.unit), "plot-tick", "end"))
        return "".join(parts)

    def uprights(self) -> str:
        """The marks with their labels."""
        parts = []
        for x, label, row in self._marks:
            turned = x + len(label) * CHARACTER + 10 > self.look.width
            y = self._legend[1] + _LINE * row + 14
            parts.append(stroke("plot-mark", (x, y - 11), (x, self.bottom)))
            parts.append(text((x - 5 if turned else x + 5, y), label, "plot-mark-label", "end" if turned else "start"))
        return "".join(parts)

    def threshold(self, one: Threshold) -> str:
        """A level across, named at its right end, or at its left one where only there no mark goes through its name."""
        y, right = self.up(one.value), self.look.width - _RIGHT
        wide = len(one.label) * CHARACTER + 8
        crossed = [any(start <= x <= start + wide for x, _, _ in self._marks) for start in (right - wide, self.left)]
        place, anchor = (self.left + 4, "start") if crossed == [True, False] else (right - 4, "end")
        label = text((place, y - 5), one.label, "plot-threshold-label", anchor) if one.label else ""
        return stroke("plot-threshold", (self.left, y), (right, y)) + label


def _legend(names: Sequence[str], look: Look, *, lines: bool) -> tuple[str, int]:
    """What each dash or hatching stands for, and how high that is; a single series is named by the chart's title."""
    if len(names) < 2:
        return "", 0
    x, y, parts = 4.0, 14.0, []
    for index, name in enumerate(names):
        width = 34 + len(name) * CHARACTER + 18
        if x > 4 and x + width > look.width:
            x, y = 4.0, y + _LINE
        kind = index % KINDS
        if lines:
            parts.append(f'<path class="plot-path plot-s{kind}" d="M{x:.1f} {y - 4:.1f}h28"/>{dot((x + 14, y - 4), kind)}')
        else:
            parts.append(block(Box(x, y - 11, 28, 13), kind))
        parts.append(text((x + 34, y), name, "plot-name"))
        x += width
    return "".join(parts), round(y + 8)


def _time_axis(times: Sequence[Tick], across: Scale, frame: _Frame) -> str:
    bottom, right = frame.bottom, frame.look.width - _RIGHT
    parts = [stroke("plot-axis", (frame.left, bottom), (right, bottom))]
    for tick in times:
        x = across(tick.value)
        anchor = "end" if x > right - 16 else "middle"
        parts.append(stroke("plot-axis", (x, bottom), (x, bottom + 5)))
        parts.append(text((x, bottom + 18), tick.label, "plot-tick", anchor))
        if tick.day:
            parts.append(text((x, bottom + 34), tick.day, "plot-day", anchor))
    return "".join(parts)


def _span(x: float, span: tuple[float, float] | None, kind: int, frame: _Frame) -> str:
    """From where to where chance may have moved a point; a little aside for each line, so that none hides another's."""
    if span is None:
        return ""
    aside = x + 2 * kind
    return stroke(f"plot-span plot-s{kind}", (aside, frame.up(span[0])), (aside, frame.up(span[1])))


def _line(series: Series, kind: int, across: Scale, frame: _Frame) -> str:
    """A path broken at its gaps, with marks that tell their moment and figure."""
    steps, pen = [], "M"
    placed: list[tuple[tuple[float, float], str, tuple[float, float] | None]] = []
    spans = series.spans or [None] * len(series.points)
    for (at, value), span in zip(series.points, spans, strict=True):
        if value is None or not finite([value]):
            pen = "M"
            continue
        x, y = across(at.timestamp()), frame.up(value)
        steps.append(f"{pen}{x:.1f} {y:.1f}")
        clock = at.astimezone(frame.look.zone)
        told = _told(value, frame.unit, frame.look)
        if span is not None:
            told += f" ({_told(span[0], frame.unit, frame.look)} – {_told(span[1], frame.unit, frame.look)})"
        placed.append(((x, y), f"{series.name}, {clock:%H:%M}: {told}", span))
        pen = "L"
    shown = [placed[i] for i in spread(len(placed), _MARKS_SHOWN)]
    dots = [_span(x, span, kind, frame) + dot((x, y), kind, told) for (x, y), told, span in shown]
    return f'<path class="plot-path plot-s{kind}" d="{"".join(steps)}"/>{"".join(dots)}'


def _bars(one: Bars, rank: tuple[int, int], labels: Sequence[str], frame: _Frame, *, thick: float) -> str:
    """The bars of one name, each in the middle of its group beside the others', with their figures where these have room."""
    index, names = rank
    group = (frame.look.width - _RIGHT - frame.left) / len(labels)
    parts = []
    widest = max((len(_told(value, frame.unit, frame.look)) for value in finite(one.values)), default=0)
    for place, (label, value) in enumerate(zip(labels, one.values, strict=False)):
        if value is None or not finite([value]):
            continue
        told = _told(value, frame.unit, frame.look)
        x, top = frame.left + (place + 0.5) * group + (index - names / 2) * thick, frame.up(max(value, 0.0))
        box = Box(x, top, thick * 0.94, abs(frame.up(value) - frame.up(0.0)))
        parts.append(block(box, index % KINDS, f"{label}, {one.name}: {told}" if one.name else f"{label}: {told}"))
        if thick > CHARACTER * widest:
            parts.append(text((x + thick * 0.47, top - 4), told, "plot-value", "middle"))
    return "".join(parts)


def _unit(unit: str) -> str:
    return f"\u202f{unit}" if unit else ""


def _told(value: float, unit: str, look: Look) -> str:
    return number(value, language=look.language) + _unit(unit)


def _cut(words: str, width: float) -> str:
    most = max(4, int((width - 12) / CHARACTER))
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _empty(title: str, description: str, look: Look, words: str) -> str:
    """A frame that says there is nothing to show, rather than nothing."""
    height = min(look.height, 120)
    frame = f'<rect class="plot-grid" fill="none" x="0.5" y="0.5" width="{look.width - 1}" height="{height - 1}"/>'
    said = text((look.width / 2, height / 2 + 4), words, "plot-empty", "middle")
    return svg(title, description, (look.width, height), [frame, said])
