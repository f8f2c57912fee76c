"""The charts of a terminal's page: each figure over the last day, with what was found meanwhile marked in it."""

from datetime import datetime
from typing import Final, NamedTuple

from markupsafe import Markup

from diagnostics.plot import Look, Mark, Series, line_chart
from diagnostics.plot_axes import finite
from hotline.terminal_day import STEP
from hotline.terminal_history import Happened, TerminalHistory
from hotline.translations import mark as _
from hotline.words import FIGURES, Translate, quantity

_WIDE, _HIGH = 440, 180
# From zero where zero means none; these say nothing from zero.
_OWN_FLOOR: Final = frozenset({"signal_dbm", "board_c", "head_c", "clock_ms"})
# More upright lines than this hide the figure.
_MARKS: Final = 6
_FOUND, _OVER, _LOST = _("found"), _("over"), _("connection lost")
_MARKED: Final = {Happened.SYMPTOM: _FOUND, Happened.SYMPTOM_OVER: _OVER, Happened.DISCONNECTED: _LOST}


class FigureChart(NamedTuple):
    """A drawing and what stands above it."""

    caption: str
    drawing: Markup


def figure_charts(day: TerminalHistory, *, translate: Translate, language: str) -> list[FigureChart]:
    """A chart for each figure that has something to plot."""
    marks = [Mark(one.at, translate(_MARKED[one.what])) for one in reversed(day.moments) if one.what in _MARKED][-_MARKS:]
    return [_chart(day, name, marks, translate, language) for name in day.plotted]


def _chart(day: TerminalHistory, name: str, marks: list[Mark], translate: Translate, language: str) -> FigureChart:
    shape = FIGURES[name]
    points = _with_gaps([(row["at"] + STEP / 2, row[name]) for row in day.steps])
    found = finite([value for _at, value in points])
    known = {
        "least": quantity(min(found), shape.unit, decimals=shape.decimals, language=language),
        "most": quantity(max(found), shape.unit, decimals=shape.decimals, language=language),
    }
    label = translate(shape.label)
    caption = label[:1].upper() + label[1:]
    drawing = line_chart(
        [Series(caption, points)],
        title=caption,
        description=translate(_("From %(least)s to %(most)s.")) % known,
        unit={"MB": "Mo"}.get(shape.unit, shape.unit) if language == "fr" else shape.unit,
        low=None if name in _OWN_FLOOR else 0.0,
        marks=marks,
        look=Look(width=_WIDE, height=_HIGH, language=language),
    )
    return FigureChart(caption, Markup(drawing))


def _with_gaps(points: list[tuple[datetime, float | None]]) -> list[tuple[datetime, float | None]]:
    """The points with an empty one wherever steps are missing, so that no line bridges silence."""
    told: list[tuple[datetime, float | None]] = []
    for at, value in points:
        if told and at - told[-1][0] > STEP * 1.5:
            told.append((told[-1][0] + STEP, None))
        told.append((at, value))
    return told
