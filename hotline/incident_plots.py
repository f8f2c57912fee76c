"""The charts of an incident's page: how the scope differs from everybody else, over time and by dimension."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from markupsafe import Markup

from diagnostics.incidents import IncidentEvent, Minute
from diagnostics.plot import Look, Mark, Row, Series, line_chart, row_chart
from diagnostics.scan.why import Contrast, Evidence
from diagnostics.troubles import Trouble
from diagnostics.typography import percent
from diagnostics.wording_why import metric_in_words
from fleet.departments import department_name, region_name
from hotline.translations import mark as _
from hotline.words import DIMENSIONS, Translate

# Metrics that get a chart over time of their own.
_CHARTED: Final = 3
_WIDE, _HIGH, _LOW = 440, 220, 190
_MARKED: Final[Mapping[str, str]] = {
    "opened": _("found"),
    "declared": _("declared"),
    "acknowledged": _("taken on"),
    "closed": _("over"),
    "resolved": _("resolved"),
    "reopened": _("open again"),
}
_INSIDE, _OUTSIDE = _("in the scope"), _("elsewhere")


Points = Sequence[tuple[datetime, float | None]]


class Chart(NamedTuple):
    """A drawing and what stands above it."""

    caption: str
    drawing: Markup


class IncidentPlots:
    """Draws in one language."""

    def __init__(self, *, translate: Translate, language: str) -> None:
        self._translate = translate
        self._language = language

    def rates(self, minutes: Sequence[Minute], events: Sequence[IncidentEvent]) -> Chart:
        """The share of terminals that show it, minute by minute, inside the scope against outside."""
        inside = [(one.at, _share(one.inside_hit, one.inside)) for one in minutes]
        outside = [(one.at, _share(one.outside_hit, one.outside)) for one in minutes]
        worst = max((value for _, value in inside if value is not None), default=0.0)
        _t = self._translate
        said = _t(_("Highest in the scope: %(rate)s.")) % {"rate": percent(worst / 100, self._language)}
        title = _t(_("Share of terminals that show it"))
        drawing = line_chart(
            self._both(inside, outside, minutes),
            title=title,
            description=said,
            unit="%",
            marks=self._marks(events),
            look=self._look(_HIGH),
            empty=_t(_("Nothing measured yet.")),
        )
        return Chart(title, Markup(drawing))

    def metrics(self, minutes: Sequence[Minute], evidence: Evidence | None, events: Sequence[IncidentEvent]) -> list[Chart]:
        """How far each leading metric is from its usual figure, minute by minute, inside against outside."""
        names = [one.metric for one in evidence.leading] if evidence else []
        names += sorted({name for one in minutes for name in one.z} - set(names))
        charted = [name for name in names if any(name in one.z for one in minutes)][:_CHARTED]
        return [self._metric(name, minutes, events) for name in charted]

    def contrasts(self, evidence: Evidence, *, in_scope: bool, trouble: Trouble | None) -> list[Chart]:
        """A chart for each dimension of the scope (or each other one): its values' rates with all else alike."""
        return [
            self._contrast(one, counted=trouble is Trouble.CALLS)
            for one in evidence.contrasts
            if one.in_scope is in_scope and len(one.levels) > 1
        ]

    def leading(self, evidence: Evidence) -> Chart | None:
        """The metrics that deviate, inside against outside."""
        if not evidence.leading:
            return None
        _t = self._translate
        rows = [Row(metric_in_words(one.metric, self._language), [one.inside, one.outside]) for one in evidence.leading]
        title = _t(_("Deviation from the usual, in standard deviations"))
        names = [_t(_INSIDE), _t(_OUTSIDE)]
        return Chart(title, Markup(row_chart(rows, names, title=title, description=_rows_told(rows), look=self._look(_LOW))))

    def _metric(self, name: str, minutes: Sequence[Minute], events: Sequence[IncidentEvent]) -> Chart:
        _t = self._translate
        inside = [(one.at, one.z[name][0] if name in one.z else None) for one in minutes]
        outside = [(one.at, one.z[name][1] if name in one.z else None) for one in minutes]
        metric = metric_in_words(name, self._language)
        title = _t(_("%(metric)s: deviation from the usual, in standard deviations")) % {"metric": metric}
        drawing = line_chart(
            self._both(inside, outside, minutes),
            title=title,
            description=_t(_("Mean over the terminals of the scope, and over all others.")),
            marks=self._marks(events),
            look=self._look(_LOW),
        )
        return Chart(title[:1].upper() + title[1:], Markup(drawing))

    def _contrast(self, one: Contrast, *, counted: bool) -> Chart:
        _t = self._translate
        scale = 1.0 if counted else 100.0
        rows = [
            Row(_level_name(one.dimension, level.value), [level.rate * scale], kind=0 if level.inside else 1)
            for level in one.levels
        ]
        caption = _("%(dimension)s: calls a terminal, all else alike") if counted else _("%(dimension)s: share hit, all else alike")
        dimension = _t(DIMENSIONS.get(one.dimension, one.dimension))
        title = _t(caption) % {"dimension": dimension[:1].upper() + dimension[1:]}
        unit = "" if counted else "%"
        drawing = row_chart(rows, [""], title=title, description=_rows_told(rows), unit=unit, look=self._look(_LOW))
        return Chart(title, Markup(drawing))

    def _both(self, inside: Points, outside: Points, minutes: Sequence[Minute]) -> list[Series]:
        """Both lines; where the scope is the whole fleet there is nothing elsewhere."""
        lines = [Series(self._translate(_INSIDE), inside), Series(self._translate(_OUTSIDE), outside)]
        return lines if any(one.outside for one in minutes) else lines[:1]

    def _marks(self, events: Sequence[IncidentEvent]) -> list[Mark]:
        return [Mark(one.at, self._translate(_MARKED[one.kind])) for one in events if one.kind in _MARKED]

    def _look(self, height: int) -> Look:
        return Look(width=_WIDE, height=height, language=self._language)


def _share(hit: float, judged: float) -> float | None:
    return 100 * hit / judged if judged else None


def _level_name(dimension: str, value: str) -> str:
    """A value of a dimension that stands under the dimension's name."""
    if dimension == "department":
        return department_name(value)
    return region_name(value) if dimension == "region" else value


def _rows_told(rows: Sequence[Row]) -> str:
    """What the bars show, for those who do not see them."""
    return "; ".join(f"{row.label}: {', '.join(f'{value:.4g}' for value in row.values if value is not None)}" for row in rows)
