"""Draws a terminal's last day as one small picture: figures above each other over one time axis, symptoms, when it was heard.

No script, no inline style; what is wrong is drawn thicker and named in bold, symptoms are hatched: nothing rests on colour.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from diagnostics.plot import Look
from diagnostics.plot_axes import Scale, Tick, finite, time_ticks
from diagnostics.plot_shapes import Box, block, stroke, svg, text
from diagnostics.symptom_store import Symptom
from hotline.terminal_day import STEP, TerminalDay
from hotline.translations import mark as _
from hotline.words import FIGURES, Translate, quantity, symptom_text

_WIDE: Final = 400
_EDGE: Final = 6.0
_LABEL, _LINE, _LANE, _GAP, _AXIS = 16.0, 26.0, 10.0, 5.0, 20.0
# The roll-up follows the samples by some minutes: the newest step is open, not silent.
_STILL_OPEN: Final = timedelta(minutes=15)
# Figures whose zero means nothing, with the least span to draw: less of it is no change.
_NO_ZERO: Final[Mapping[str, float]] = {"signal_dbm": 20.0, "board_c": 20.0, "head_c": 20.0, "clock_ms": 1000.0}
# So that what stands at its usual height does not touch the label above it.
_HEADROOM: Final = 1.2
# Of 6 kB each.
_REMEMBERED: Final = 500
_SYMPTOMS, _HEARD = _("symptoms"), _("data received")


class DayPlots:
    """Draws in one language."""

    def __init__(self, *, translate: Translate, language: str) -> None:
        self._translate = translate
        self._language = language
        self._drawn: dict[tuple[str, Hashable], Markup] = {}

    def strip(self, day: TerminalDay, terminal_id: str) -> Markup:
        """The picture of one terminal's day; its description says in words what it shows.

        A call is shown anew at each of its events, and every ten seconds: what was drawn lately is not drawn again.
        """
        key = (terminal_id, day.look)
        drawn = self._drawn.get(key)
        if drawn is None:
            drawn = self._draw(day, terminal_id)
            if len(self._drawn) >= _REMEMBERED:
                # Threads share it: emptying is one step, and the day's next stride would empty it anyway.
                self._drawn.clear()
            self._drawn[key] = drawn
        return drawn

    def _draw(self, day: TerminalDay, terminal_id: str) -> Markup:
        _t = self._translate
        across = Scale(day.start.timestamp(), day.end.timestamp(), _EDGE, _WIDE - _EDGE)
        y, parts, told = 0.0, [], []
        for name in day.plotted:
            values = [(row["at"] + STEP / 2, row.get(name)) for row in day.steps]
            if finite([value for _at, value in values]):
                label, figures = _t(FIGURES[name].label), self._range(name, values)
                told.append(f"{label}: {figures}")
                parts.append(_row(y, label, figures, _path(name, values, across, y), blamed=name in day.blamed))
                y += _LABEL + _LINE + _GAP
        if day.symptoms:
            parts.append(_lane(y, _t(_SYMPTOMS), [self._symptom(one, day, across, y) for one in day.symptoms]))
            told += [self._told(one) for one in day.symptoms]
            y += _LABEL + _LANE + _GAP
        parts.append(_lane(y, _t(_HEARD), [_heard(day, across, y)]))
        y += _LABEL + _LANE + _GAP
        ticks = time_ticks(day.start, day.end, most=5, zone=Look().zone, language=self._language)
        title = _t(_("The last 24 hours of %(id)s")) % {"id": terminal_id}
        description = "; ".join(told) or _t(_("Nothing was received."))
        drawing = svg(title, description, (_WIDE, round(y + _AXIS)), [_axis(ticks, across, y), *parts])
        return Markup(drawing)

    def _range(self, name: str, values: Sequence[tuple[datetime, float | None]]) -> str:
        """From the least to the greatest, with the unit."""
        found, shape = finite([value for _at, value in values]), FIGURES[name]
        low, high = (quantity(one, "", decimals=shape.decimals, language=self._language) for one in (min(found), max(found)))
        top = quantity(max(found), shape.unit, decimals=shape.decimals, language=self._language)
        return top if low == high else f"{low} – {top}"

    def _symptom(self, one: Symptom, day: TerminalDay, across: Scale, y: float) -> str:
        start = across(max(one.began_at, day.start).timestamp())
        end = across((one.ended_at or day.end).timestamp())
        return block(Box(start, y + _LABEL, max(end - start, 3.0), _LANE), 1, self._told(one))

    def _told(self, one: Symptom) -> str:
        zone = Look().zone
        until = f"{one.ended_at.astimezone(zone):%H:%M}" if one.ended_at else "…"
        words = symptom_text(one, translate=self._translate, language=self._language)
        return f"{words}, {one.began_at.astimezone(zone):%H:%M}–{until}"


def _row(y: float, label: str, figures: str, path: str, *, blamed: bool) -> str:
    head = text((_EDGE, y + 12), label, "day-label") + text((_WIDE - _EDGE, y + 12), figures, "plot-tick", "end")
    floor = stroke("plot-grid", (_EDGE, y + _LABEL + _LINE), (_WIDE - _EDGE, y + _LABEL + _LINE))
    return f'<g class="day-row{" day-blamed" if blamed else ""}">{head}{floor}{path}</g>'


def _lane(y: float, label: str, blocks: Iterable[str]) -> str:
    ground = f'<rect class="day-lane" x="{_EDGE}" y="{y + _LABEL:.1f}" width="{_WIDE - 2 * _EDGE}" height="{_LANE}"/>'
    return f'<g class="day-row">{text((_EDGE, y + 12), label, "day-label")}{ground}{"".join(blocks)}</g>'


def _path(name: str, values: Sequence[tuple[datetime, float | None]], across: Scale, y: float) -> str:
    """The line, broken where nothing was measured; a lone step is a dot."""
    low, high = _reach(name, finite([value for _at, value in values]))
    up = Scale(low, high, y + _LABEL + _LINE - 2, y + _LABEL + 3)
    steps: list[str] = []
    before: datetime | None = None
    for at, value in values:
        if value is None:
            before = None
            continue
        joined = before is not None and at - before <= STEP * 1.5
        steps.append(f"{'L' if joined else 'M'}{across(at.timestamp()):.1f} {up(value):.1f}{'' if joined else 'h.01'}")
        before = at
    return f'<path class="plot-path plot-s0" d="{"".join(steps)}"/>'


def _reach(name: str, found: Sequence[float]) -> tuple[float, float]:
    """The figures between floor and top: from zero where zero means none, so that noise looks like noise."""
    if name not in _NO_ZERO:
        return min(*found, 0.0), max(*found, 1e-9) * _HEADROOM
    spare = max(0.0, _NO_ZERO[name] - (max(found) - min(found))) / 2
    return min(found) - spare, max(found) + spare


def _heard(day: TerminalDay, across: Scale, y: float) -> str:
    """The stretches in which samples came, each one bar."""
    stretches: list[list[datetime]] = []
    for row in day.steps:
        begins, ends = max(row["at"], day.start), row["at"] + STEP
        if stretches and begins <= stretches[-1][1]:
            stretches[-1][1] = ends
        else:
            stretches.append([begins, ends])
    bars = []
    for begins, ends in stretches:
        x, end = across(begins.timestamp()), across((day.end if ends >= day.end - _STILL_OPEN else ends).timestamp())
        place = f'x="{x:.1f}" y="{y + _LABEL:.1f}" width="{end - x:.1f}" height="{_LANE}"'
        bars.append(f'<rect class="day-heard" {place}/>')
    return "".join(bars)


def _axis(ticks: Sequence[Tick], across: Scale, bottom: float) -> str:
    parts = []
    for tick in ticks:
        x = across(tick.value)
        parts.append(stroke("plot-grid", (x, 0), (x, bottom + 3)))
        anchor = "start" if x < 20 else "end" if x > _WIDE - 24 else "middle"
        parts.append(text((x, bottom + 15), tick.label, "plot-tick", anchor))
    return "".join(parts)
