"""The charts of a campaign's page: for each metric the evidence against its threshold, and updated shops against waiting ones."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from markupsafe import Markup

from diagnostics.plot import Look, Mark, Series, Threshold, line_chart
from firmware_rollout.campaigns import WaveProgress
from firmware_rollout.gate.judging import MetricReading
from firmware_rollout.gate.policy import Metric
from firmware_rollout.gate_story import Marked, Point, Story
from hotline.intervals import Share
from hotline.rollout_words import METRICS, WAVE, power
from hotline.translations import mark as _
from hotline.words import Translate

_WIDE, _HIGH = 540, 200
_LN10: Final = math.log(10)
_UPDATED, _WAITING = _("updated"), _("waiting (control)")


class Chart(NamedTuple):
    """A drawing and what stands above it."""

    caption: str
    drawing: Markup


class MetricStory(NamedTuple):
    """One metric: what the newest reading says of it, and its two charts.

    `worse` where it reaches the threshold, `unchanged` where the evidence is rather that nothing changed; else neither is proven.
    """

    metric: Metric
    name: str
    newest: MetricReading
    worse: bool
    unchanged: bool
    evidence: Chart
    rates: Chart


class RolloutPlots:
    """Draws in one language."""

    def __init__(self, *, translate: Translate, language: str) -> None:
        self._translate = translate
        self._language = language

    def metrics(self, story: Story, waves: Sequence[WaveProgress]) -> list[MetricStory]:
        """Every metric with its charts, the one with most evidence against the release first."""
        newest = sorted(story.newest.metrics, key=lambda one: -one.log_e)
        threshold = story.newest.policy.log_threshold
        marks = [
            Mark(wave.opened_at, self._translate(WAVE) % {"wave": wave.number}) for wave in waves if wave.opened_at is not None
        ]
        return [
            MetricStory(
                one.metric,
                self._translate(METRICS[one.metric]),
                one,
                one.log_e >= threshold,
                one.log_odds >= 0 and one.log_e < threshold,
                self._evidence(one, story.points[one.metric], threshold, marks),
                self._rates(one.metric, story.points[one.metric], marks),
            )
            for one in newest
        ]

    def _evidence(self, newest: MetricReading, points: Sequence[Point], threshold: float, marks: Sequence[Mark]) -> Chart:
        """The e-value's power of ten: evidence of different sizes has room, and the threshold stands in one place."""
        _t = self._translate
        title = _t(_("Evidence that updated shops do worse, in powers of ten"))
        known = {
            "value": power(newest.log_e, language=self._language),
            "needed": power(threshold, language=self._language),
        }
        line = _broken([(one.at, one.run_id, one.log_e / _LN10) for one in points])
        drawing = line_chart(
            [Series(_t(METRICS[newest.metric]), line)],
            title=f"{_t(METRICS[newest.metric])}: {title}",
            description=_t(_("Newest: %(value)s; the campaign halts from %(needed)s.")) % known,
            thresholds=[Threshold(threshold / _LN10, _t(_("automatic halt")))],
            marks=marks,
            look=self._look(),
        )
        return Chart(title, Markup(drawing))

    def _rates(self, metric: Metric, points: Sequence[Point], marks: Sequence[Mark]) -> Chart:
        """Shops with at least one mark, period by period, in both arms with their intervals."""
        _t = self._translate
        title = _t(_("Shops with at least one, in each period"))
        arms = [(_t(_UPDATED), [one.updated for one in points]), (_t(_WAITING), [one.waiting for one in points])]
        drawing = line_chart(
            [_arm(name, points, counted) for name, counted in arms],
            title=f"{_t(METRICS[metric])}: {title}",
            description="; ".join(f"{name}: {self._newest(counted)}" for name, counted in arms),
            unit="%",
            marks=marks,
            look=self._look(),
            empty=_t(_("Nothing measured yet.")),
        )
        return Chart(title, Markup(drawing))

    def _newest(self, counted: Sequence[Marked | None]) -> str:
        """The newest count of an arm, in words."""
        last = next((one for one in reversed(counted) if one is not None), None)
        return self._translate(_("%(hits)s of %(of)s")) % {"hits": last.marked, "of": last.shops} if last else "—"

    def _look(self) -> Look:
        return Look(width=_WIDE, height=_HIGH, language=self._language)


def _arm(name: str, points: Sequence[Point], counted: Sequence[Marked | None]) -> Series:
    shares = [None if one is None else Share(one.marked, one.shops) for one in counted]
    line = [
        (point.at, None if share is None or share.value is None else 100 * share.value)
        for point, share in zip(points, shares, strict=True)
    ]
    spans = [None if share is None else _percent(share.interval) for share in shares]
    return Series(name, line, spans)


def _percent(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if interval is None else (100 * interval[0], 100 * interval[1])


def _broken(points: Sequence[tuple[datetime, int, float]]) -> list[tuple[datetime, float | None]]:
    """A line that begins anew with each run of the gate: what an earlier one held against the release was let go."""
    line: list[tuple[datetime, float | None]] = []
    before: int | None = None
    for at, run_id, value in points:
        if before not in (None, run_id):
            line.append((at, None))
        line.append((at, value))
        before = run_id
    return line
