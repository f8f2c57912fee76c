"""A row of small bars, one a day, for a line of a table; days that stand out are marked by a dot as well as by their class."""

from collections.abc import Sequence
from html import escape

_BAR, _GAP, _HEIGHT, _HEAD = 4, 1, 22, 6


def sparkline(values: Sequence[float], flagged: Sequence[bool], *, title: str) -> str:
    """SVG text; classes `spark-bar` and `spark-flag` are the page's to style, and without style it is black on white."""
    highest = max([*values, 1.0])
    parts = []
    for place, value in enumerate(values):
        left = place * (_BAR + _GAP)
        # A day without any keeps a hair line, so that days can be counted.
        height = max(0.75, value / highest * _HEIGHT)
        parts.append(
            f'<rect class="spark-bar" x="{left}" y="{_HEAD + _HEIGHT - height:.2f}" width="{_BAR}" height="{height:.2f}"'
            ' fill="currentColor"/>'
        )
        if place < len(flagged) and flagged[place]:
            parts.append(f'<circle class="spark-flag" cx="{left + _BAR / 2}" cy="2.5" r="2.5" fill="currentColor"/>')
    width = max(len(values) * (_BAR + _GAP) - _GAP, 1)
    return (
        f'<svg class="spark" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEAD + _HEIGHT}" width="{width}"'
        f' height="{_HEAD + _HEIGHT}" role="img"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
