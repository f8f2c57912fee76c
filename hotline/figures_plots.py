"""The chart of the figures: calls answered in time, answered later and given up, half-hour by half-hour or day by day."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from markupsafe import Markup

from diagnostics.plot import Bars, Look, bar_chart
from diagnostics.plot_axes import day_label
from hotline.figures import Group
from hotline.kpi import Picked
from hotline.translations import mark as _
from hotline.words import Translate

_SHOWN: Final = {
    Picked.IN_TIME: _("Answered within the time"),
    Picked.LATE: _("Answered later"),
    Picked.ABANDONED: _("Given up"),
}
_WIDE, _HIGH = 1100, 240


class FiguresPlots:
    """Draws in one language."""

    def __init__(self, *, translate: Translate, language: str) -> None:
        self._translate = translate
        self._language = language

    def by_half_hour(self, groups: Sequence[Group]) -> Markup:
        """Calls by the half-hour in which they rang."""
        return self._bars(groups, [group.key for group in groups], self._translate(_("Calls by half-hour")))

    def by_day(self, groups: Sequence[Group]) -> Markup:
        """Calls by day."""
        labels = [day_label(date.fromisoformat(group.key), language=self._language) for group in groups]
        return self._bars(groups, labels, self._translate(_("Calls by day")))

    def _bars(self, groups: Sequence[Group], labels: Sequence[str], title: str) -> Markup:
        counts = {what: [group.figures[what] for group in groups] for what in _SHOWN}
        told = ", ".join(f"{self._translate(name)}: {sum(counts[what])}" for what, name in _SHOWN.items())
        drawing = bar_chart(
            labels,
            [Bars(self._translate(name), counts[what]) for what, name in _SHOWN.items()],
            title=title,
            description=told,
            look=Look(width=_WIDE, height=_HIGH, language=self._language),
            empty=self._translate(_("No call yet.")),
        )
        return Markup(drawing)
