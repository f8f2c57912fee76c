import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

from diagnostics.plot import BarMark, Bars, Look, Mark, Row, Series, Threshold, bar_chart, line_chart, row_chart, standalone
from diagnostics.plot_axes import figure_ticks, number, spread, time_ticks

START = datetime(2026, 11, 23, 9, 17, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
SVG = "{http://www.w3.org/2000/svg}"


def minutes(*values: float | None) -> list[tuple[datetime, float | None]]:
    return [(START + timedelta(minutes=i), value) for i, value in enumerate(values)]


def texts(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{SVG}text")]


LINES = line_chart([Series("<inside> & out", minutes(1, 2, 3)), Series("rest", minutes(0, 0, 0))], title="<T>", description="d & e")
BARS = bar_chart(["Mon", "Tue"], [Bars("calls", [3, 4]), Bars("<before>", [1, None])], title="<T>", description="d & e")
ROWS = row_chart([Row("<beta>", [41.2, 0.3])], ["in", "out"], title="<T>", description="d & e")


@pytest.mark.parametrize("svg", [pytest.param(LINES, id="lines"), pytest.param(BARS, id="bars"), pytest.param(ROWS, id="rows")])
def test_a_chart_is_well_formed_named_described_and_has_nothing_inline(svg: str) -> None:
    root = ET.fromstring(svg)
    named, described = (
        next(one for one in root.iter() if one.get("id") == root.get(name)) for name in ("aria-labelledby", "aria-describedby")
    )
    assert (named.text, described.text) == ("<T>", "d & e")
    assert root.get("role") == "img"
    assert " style=" not in svg
    assert "<script" not in svg
    assert "<style" not in svg


def test_series_differ_by_dash_and_mark_and_are_named_in_the_legend() -> None:
    assert {"<inside> & out", "rest"} <= set(texts(LINES))
    marks = {path.get("class"): path.get("d", "") for path in ET.fromstring(LINES).iter(f"{SVG}path")}
    assert "a3.5" in marks["plot-dot plot-f0"]
    assert "a3.5" not in marks["plot-dot plot-f1"]
    assert 'class="plot-path plot-s0"' in LINES
    assert 'class="plot-path plot-s1"' in LINES
    assert "plot-hatch" in BARS


def test_a_point_is_where_its_value_is_and_tells_it() -> None:
    svg = line_chart([Series("z", minutes(0, 5, 10))], title="t", description="d", unit="%", look=Look(language="en"))
    (path,) = [one for one in ET.fromstring(svg).iter(f"{SVG}path") if one.get("class") == "plot-path plot-s0"]
    places = [float(number) for number in re.findall(r"[\d.]+", path.get("d", ""))]
    xs, ys = places[0::2], places[1::2]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.2)
    assert ys[0] > ys[2]
    assert "z, 10:18: 5\u202f%" in svg


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_what_was_not_measured_leaves_a_gap(gap: float | None) -> None:
    svg = line_chart([Series("z", minutes(1, 2, gap, 4))], title="t", description="d")
    (path,) = [one for one in ET.fromstring(svg).iter(f"{SVG}path") if one.get("class") == "plot-path plot-s0"]
    assert path.get("d", "").count("M") == 2
    assert "nan" not in svg
    assert "inf" not in svg


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda: line_chart([], title="t", description="d", empty="nothing yet"), id="no line"),
        pytest.param(
            lambda: line_chart([Series("z", minutes(None, None))], title="t", description="d", empty="nothing yet"), id="gaps"
        ),
        pytest.param(lambda: bar_chart([], [Bars("z", [])], title="t", description="d", empty="nothing yet"), id="no bar"),
        pytest.param(
            lambda: bar_chart(["a"], [Bars("z", [None])], title="t", description="d", empty="nothing yet"), id="empty bar"
        ),
        pytest.param(lambda: row_chart([], ["z"], title="t", description="d", empty="nothing yet"), id="no row"),
    ],
)
def test_a_chart_of_nothing_says_so(draw: Callable[[], str]) -> None:
    assert texts(draw()) == ["nothing yet"]


def test_a_single_point_and_a_flat_line_are_drawn() -> None:
    single = line_chart([Series("z", minutes(3.2))], title="t", description="d")
    assert "plot-dot" in single
    assert "10:17" in texts(single)
    flat = line_chart([Series("z", minutes(0, 0))], title="t", description="d")
    assert "nan" not in flat
    assert "0,0" in texts(flat)


def test_marks_and_thresholds_are_named_and_labels_do_not_cover_each_other() -> None:
    marks = [
        Mark(START + timedelta(minutes=5), "begun"),
        Mark(START + timedelta(minutes=6), "opened"),
        Mark(START - timedelta(days=1), "old"),
    ]
    svg = line_chart(
        [Series("z", minutes(*range(60)))], title="t", description="d", thresholds=[Threshold(80, "limit")], marks=marks
    )
    labels = {"".join(one.itertext()): float(one.get("y", "0")) for one in ET.fromstring(svg).iter(f"{SVG}text")}
    assert "limit" in labels
    assert labels["begun"] != labels["opened"]
    assert "old" not in labels


def test_flagged_days_carry_a_triangle_and_marks_stand_between_bars() -> None:
    svg = bar_chart(
        ["a", "b", "c"],
        [Bars("", [1, 2, 9])],
        title="t",
        description="d",
        flagged={2, 7},
        marks=[BarMark(1, "answer"), BarMark(9, "x")],
    )
    assert svg.count("plot-flag") == 1
    assert "answer" in texts(svg)
    assert "x" not in texts(svg)
    assert {"1", "2", "9"} <= set(texts(svg))


def test_a_standalone_chart_brings_its_stylesheet() -> None:
    svg = standalone(ROWS)
    root = ET.fromstring(svg)
    assert ".plot" in (root[0].text or "")


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        pytest.param(0, 55, ["0", "20", "40", "60"], id="tens"),
        pytest.param(0, 0.9, ["0,0", "0,2", "0,4", "0,6", "0,8", "1,0"], id="tenths"),
        pytest.param(-3, 3, ["−4", "−2", "0", "2", "4"], id="both sides"),
        pytest.param(0, 16_000, ["0", "5\u202f000", "10\u202f000", "15\u202f000", "20\u202f000"], id="thousands"),
        pytest.param(0, 0, ["0,0", "0,2", "0,4", "0,6", "0,8", "1,0"], id="nothing"),
        pytest.param(0, 7, ["0,0", "2,5", "5,0", "7,5"], id="two and a half"),
    ],
)
def test_figures_stand_at_round_places(low: float, high: float, labels: list[str]) -> None:
    most = 3 if high in (55, 7) else 5
    assert [tick.label for tick in figure_ticks(low, high, most=most, language="fr")] == labels


@pytest.mark.parametrize(
    ("first", "length", "labels"),
    [
        pytest.param(START, timedelta(minutes=60), ["10:30", "10:45", "11:00", "11:15"], id="an hour of Paris"),
        pytest.param(START, timedelta(0), ["10:17"], id="a moment"),
        pytest.param(START, timedelta(hours=40), ["12:00 23/11", "00:00 24/11", "12:00", "00:00 25/11"], id="days are named"),
        pytest.param(START, timedelta(days=4), ["24/11", "25/11", "26/11", "27/11"], id="midnights"),
        # On 25 October 2026 the clocks of Paris go back: that day has 25 hours.
        pytest.param(datetime(2026, 10, 24, 10, tzinfo=UTC), timedelta(days=3), ["25/10", "26/10", "27/10"], id="clocks go back"),
    ],
)
def test_times_stand_at_round_local_places(first: datetime, length: timedelta, labels: list[str]) -> None:
    ticks = time_ticks(first, first + length, most=5, zone=PARIS, language="fr")
    assert [f"{tick.label} {tick.day}".strip() for tick in ticks] == labels


def test_figures_are_written_as_the_language_writes_them() -> None:
    assert number(1234.56, language="fr") == "1\u202f235"
    assert number(-12.34, language="en") == "−12.3"
    assert number(0.256, language="fr") == "0,26"
    assert list(spread(100, 10)) == [9, 19, 29, 39, 49, 59, 69, 79, 89, 99]


def test_a_span_goes_through_its_mark_and_widens_the_axis() -> None:
    points = minutes(2, 3, 4)
    spans = [(1.0, 3.0), None, (0.5, 40.0)]
    drawn = line_chart([Series("updated", points, spans)], title="t", description="d", unit="%")
    assert drawn.count("plot-span") == 2
    assert "updated, 10:17: 2\u202f% (1\u202f% – 3\u202f%)" in drawn
    assert ">40\u202f%<" in drawn
    assert "plot-span" not in line_chart([Series("updated", points)], title="t", description="d")


@pytest.mark.parametrize(("minute", "anchor"), [(55, "start"), (30, "end"), (2, "end")])
def test_no_mark_goes_through_a_thresholds_name(minute: int, anchor: str) -> None:
    marks = [Mark(START + timedelta(minutes=minute), "wave 2")]
    drawn = line_chart(
        [Series("z", minutes(*range(60)))], title="t", description="d", thresholds=[Threshold(30, "automatic halt")], marks=marks
    )
    [name] = [one for one in ET.fromstring(drawn).iter() if one.get("class") == "plot-threshold-label"]
    assert name.get("text-anchor", "start") == anchor
