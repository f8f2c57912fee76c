"""France by department as a map of shares: the vendored outlines, tiles for what is overseas or too small, five steps of fill.

Outlines are referenced from the vendored file, so a page that renews itself does not carry them; each step is a fill and a
hatching, and the worst departments carry their rank, so that nothing is told by colour alone.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

from diagnostics.incident_views import DepartmentHit
from fleet.departments import NAMES, department_name
from hotline.web.pages import STATIC, asset

FILE: Final = "vendor/france.departments.svg"
# Lower ends of the steps, as shares of the terminals in scope; step 0 is "in scope, none hit".
STEPS: Final = (0.0, 0.05, 0.2, 0.5)
# Each step with its ends in per cent; None: nothing to be said of.
LEGEND: Final[Sequence[tuple[str, int | None, int | None]]] = (
    ("none", None, None),
    ("0", 0, 0),
    *((str(step), round(low * 100), round(high * 100)) for step, (low, high) in enumerate(pairwise((*STEPS, 1.0)), start=1)),
)
RANKED: Final = 5
# Overseas departments are not on the outlines; those around Paris are a few pixels wide there.
OVERSEAS: Final = ("971", "972", "973", "974", "976")
SMALL: Final = ("75", "92", "93", "94")
VIEW: Final = (-74, -6, 690, 594)
_TILE: Final = (54, 38)
_SVG: Final = "{http://www.w3.org/2000/svg}"


class Place(NamedTuple):
    """Where a department's rank is written."""

    x: float
    y: float


def step_of(share: float, hit: int) -> int:
    """The step of fill of a share: 0 where nothing is hit, then 1 to 4."""
    return 0 if not hit else sum(share > low for low in STEPS[1:]) + 1


def draw(departments: Sequence[DepartmentHit], worst: Sequence[DepartmentHit], *, titles: Mapping[str, str], label: str) -> Markup:
    """The map; `titles` are the tooltips by department, `worst` is ordered and its first ones carry their rank."""
    by_code = {one.department: one for one in departments}
    parts = [_shape(code, by_code.get(code), titles.get(code, department_name(code))) for code in places() if code not in OVERSEAS]
    parts += [_tile(code, at, by_code.get(code), titles.get(code, department_name(code))) for code, at in tiles().items()]
    parts += [_rank(rank, one.department) for rank, one in enumerate(worst[:RANKED], start=1) if one.department in NAMES]
    head = Markup('<svg class="map" viewBox="{} {} {} {}" role="img" aria-label="{}">').format(*VIEW, label)
    return head + _HATCHINGS + Markup("").join(parts) + Markup("</svg>")


@lru_cache
def places() -> Mapping[str, Place]:
    """The middle of every department that the outlines have, by code."""
    root = ET.fromstring(STATIC.joinpath(*FILE.split("/")).read_text(encoding="utf-8"))
    return {path.get("id", ""): _middle(path.get("d", "")) for path in root.iter(f"{_SVG}path")}


@lru_cache
def tiles() -> Mapping[str, Place]:
    """The upper left corner of every department that has a tile."""
    width, height = _TILE
    overseas = {code: Place(VIEW[0] + 6, 322.0 + index * (height + 8)) for index, code in enumerate(OVERSEAS)}
    columns = len(SMALL)
    small = {code: Place(362.0 + (index % columns) * (width + 6), 12.0) for index, code in enumerate(SMALL)}
    return {**small, **overseas}


def _middle(path: str) -> Place:
    """The middle of the box around the first ring: relative moves, absolute where the letter is large."""
    x = y = 0.0
    xs: list[float] = []
    ys: list[float] = []
    absolute = False
    for token in re.findall(r"[A-Za-z]|-?[\d.]+(?:e-?\d+)?,-?[\d.]+(?:e-?\d+)?", path):
        if token.isalpha():
            if token in "zZ":
                break
            absolute = token.isupper()
            continue
        dx, dy = map(float, token.split(","))
        x, y = (dx, dy) if absolute else (x + dx, y + dy)
        xs.append(x)
        ys.append(y)
    return Place((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)


def _style(one: DepartmentHit | None) -> str:
    if one is None or not one.touched:
        return "map-none"
    return f"map-{step_of(one.share, one.hit)}"


def _shape(code: str, one: DepartmentHit | None, title: str) -> Markup:
    outline = f"{asset(FILE)}#{code}"
    style = _style(one)
    filled = Markup('<use class="map-area {}" href="{}"><title>{}</title></use>').format(style, outline, title)
    return filled + (
        Markup('<use class="map-hatch {}-hatch" href="{}"/>').format(style, outline) if _hatched(style) else Markup("")
    )


def _tile(code: str, at: Place, one: DepartmentHit | None, title: str) -> Markup:
    style = _style(one)
    box = Markup('x="{:.0f}" y="{:.0f}" width="{}" height="{}" rx="4"').format(at.x, at.y, *_TILE)
    parts = Markup('<rect class="map-area {}" {}><title>{}</title></rect>').format(style, box, title)
    if _hatched(style):
        parts += Markup('<rect class="map-hatch {}-hatch" {}/>').format(style, box)
    middle = (at.x + _TILE[0] / 2, at.y + _TILE[1] / 2 + 5)
    return parts + Markup('<text class="map-code" x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>').format(*middle, code)


def _rank(rank: int, code: str) -> Markup:
    corner = tiles().get(code)
    x, y = (corner.x + _TILE[0] - 2, corner.y + 2) if corner else places()[code]
    return Markup(
        '<circle class="map-rank" cx="{0:.1f}" cy="{1:.1f}" r="10"/>'
        '<text class="map-rank-number" x="{0:.1f}" y="{2:.1f}" text-anchor="middle">{3}</text>'
    ).format(x, y, y + 5, rank)


def _hatched(style: str) -> bool:
    return style in {"map-1", "map-2", "map-3"}


def swatch(step: str) -> Markup:
    """A step of the legend: `none`, or the number of a step."""
    box = Markup('x="1" y="1" width="26" height="16" rx="3"')
    hatch = Markup('<rect class="map-hatch map-{}-hatch" {}/>').format(step, box) if _hatched(f"map-{step}") else Markup("")
    filled = Markup('<rect class="map-area map-{}" {}/>').format(step, box)
    return Markup('<svg class="map-swatch" viewBox="0 0 28 18" aria-hidden="true">') + filled + hatch + Markup("</svg>")


# One for each step that is neither empty nor full; their ids are the page's own.
_HATCHINGS: Final = Markup(
    "<defs>"
    '<pattern id="map-hatch-1" width="9" height="9" patternUnits="userSpaceOnUse">'
    '<circle class="map-ink" cx="3" cy="3" r="1.1"/></pattern>'
    '<pattern id="map-hatch-2" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="map-ink" width="1.6" height="7"/></pattern>'
    '<pattern id="map-hatch-3" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="map-ink" width="1.8" height="6"/><rect class="map-ink" width="6" height="1.8"/></pattern>'
    "</defs>"
)
