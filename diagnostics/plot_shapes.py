"""The strokes, blocks, marks and texts that charts are made of, as SVG markup; how they look is `static/plot.css`'s business."""

import hashlib
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

KINDS: Final = 6  # of dash, mark and colour; a chart of more series repeats them
CHARACTER: Final = 7.6  # pixels, of a mean character at 13 px in a wide face


class Box(NamedTuple):
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float


def stroke(style: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    """A straight line."""
    return f'<path class="{style}" d="M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"/>'


def text(at: tuple[float, float], words: str, style: str, anchor: str = "start", *, whole: str = "") -> str:
    """A text; `whole` is told by a tooltip where `words` are a part of it."""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    title = f"<title>{escape(whole)}</title>" if whole and whole != words else ""
    return f'<text class="{style}" x="{at[0]:.1f}" y="{at[1]:.1f}"{place}>{escape(words)}{title}</text>'


def dot(at: tuple[float, float], kind: int, told: str = "") -> str:
    """A series' mark: circle, square, triangle, diamond, triangle upside down, plus."""
    x, y = at
    title = f"<title>{escape(told)}</title>" if told else ""
    shape = (
        f"M{x - 3.5:.1f} {y:.1f}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
        f"M{x - 3.2:.1f} {y - 3.2:.1f}h6.4v6.4h-6.4z",
        f"M{x:.1f} {y - 4.4:.1f}l4.4 7.6h-8.8z",
        f"M{x:.1f} {y - 4.6:.1f}l4.6 4.6l-4.6 4.6l-4.6 -4.6z",
        f"M{x:.1f} {y + 4.4:.1f}l4.4 -7.6h-8.8z",
        f"M{x - 1.4:.1f} {y - 4.2:.1f}h2.8v2.8h2.8v2.8h-2.8v2.8h-2.8v-2.8h-2.8v-2.8h2.8z",
    )[kind]
    return f'<path class="plot-dot plot-f{kind}" d="{shape}">{title}</path>'


def block(box: Box, kind: int, told: str = "") -> str:
    """A bar; all but the first kind are hatched, each in its own way."""
    title = f"<title>{escape(told)}</title>" if told else ""
    size = f'width="{max(box.width, 0.0):.1f}" height="{max(box.height, 0.0):.1f}"'
    solid = f'<rect class="plot-f{kind}" x="{box.x:.1f}" y="{box.y:.1f}" {size}>{title}</rect>'
    return solid if kind == 0 else solid + _hatching(box, kind)


def flag(at: tuple[float, float]) -> str:
    """A triangle that says: look here."""
    return f'<path class="plot-flag" d="M{at[0]:.1f} {at[1] - 8:.1f}l6 10h-12z"/>'


def svg(title: str, description: str, size: tuple[int, int], parts: Sequence[str]) -> str:
    """The whole drawing, named and described for those who do not see it."""
    # Two equal charts of one page have equal titles: whichever an id finds says the right thing.
    key = "plot-" + hashlib.sha256(f"{title}\n{description}".encode()).hexdigest()[:10]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {size[0]} {size[1]}" role="img"'
        f' aria-labelledby="{key}-t" aria-describedby="{key}-d"><title id="{key}-t">{escape(title)}</title>'
        f'<desc id="{key}-d">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def _hatching(box: Box, kind: int) -> str:
    """Slanted strokes within a box, drawn and not patterned: a pattern needs an id, and charts share a page."""
    x, y, width, height = box
    falling, gap, steps = kind % 2 == 0, 5.0 + 2.0 * (kind // 2), []
    offset = gap
    while offset < width + height:
        low, high = max(0.0, offset - width), min(height, offset)
        x1, x2 = (x + width - offset + low, x + width - offset + high) if falling else (x + offset - low, x + offset - high)
        steps.append(f"M{x1:.1f} {y + low:.1f}L{x2:.1f} {y + high:.1f}")
        offset += gap
    return f'<path class="plot-hatch" d="{"".join(steps)}"/>' if steps else ""
