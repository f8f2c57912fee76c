"""The veille's daily report as one HTML page that stands alone: style and charts inside, nothing loaded from anywhere."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final

import numpy as np
import pandas as pd
from babel.dates import format_date, format_datetime, format_time

from diagnostics.places import condition_in_words
from diagnostics.plot import STYLESHEET, Bars, Look, Row, bar_chart, row_chart
from diagnostics.troubles import Trouble
from diagnostics.typography import decimal, in_language, typeset, whole
from diagnostics.typologies.daily import ZONE
from diagnostics.typologies.report import DayReport
from diagnostics.typologies.report_words import say
from diagnostics.typologies.sparkline import sparkline
from diagnostics.wording import TITLES

# Rows of a long table that the page shows; the CSV file has all.
_MOST_ROWS: Final = 40
_STYLE: Final = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.5rem 4rem; color: #15212b; background: #fff;
  font: 16px/1.5 system-ui, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; } h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem; }
p { margin: .4rem 0; } .muted { color: #506070; } ul { margin: .4rem 0; padding-left: 1.2rem; }
.note { margin: .8rem 0; padding: .5rem .9rem; border-left: 4px solid #b45f06; background: #fdf3e4; }
.short { display: flex; flex-wrap: wrap; gap: .6rem 2.5rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.short strong { display: block; font-size: 1.6rem; line-height: 1.2; }
table { width: 100%; border-collapse: collapse; font-size: .95rem; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #d3dbe2; text-align: left; vertical-align: top; }
th { color: #506070; font-size: .85rem; font-weight: 600; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; }
.tables { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); align-items: start; }
.grows { color: #8a1c13; font-weight: 600; } .spark { color: #0a5f7d; } .spark-flag { color: #b3261e; }
@media print { body { padding: 0; max-width: none; } h2 { break-after: avoid; } tr, svg { break-inside: avoid; } }
"""


def render(report: DayReport) -> str:
    """The whole page."""
    language = report.language
    title = f"{say('title', language)} · {format_date(report.day, 'full', locale=language)}"
    parts = [
        _head(report, title),
        _section("incidents", report, _incidents(report)),
        _section("symptoms", report, _symptoms(report)),
        _section("calls", report, _calls(report)),
        _section("new", report, _new(report)),
        _section("grows", report, _grows(report)),
        _section("victims", report, _victims(report)),
        _section("gaps", report, _gaps(report)),
        f'<p class="muted">{escape(say("files", language))}</p>',
    ]
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}{STYLESHEET}</style></head>\n<body>{''.join(parts)}</body></html>\n"
    )


def _head(report: DayReport, title: str) -> str:
    language = report.language
    made = say("made", language, at=format_datetime(report.made_at, "short", tzinfo=ZONE, locale=language))
    lines = [f'<header><h1>{escape(title)}</h1><p class="muted">{escape(made)}</p></header>']
    if report.until < report.end:
        lines.append(_note(say("not_over", language, at=_clock(report.until, language))))
    hours = round((report.end - report.start) / timedelta(hours=1))
    if hours != 24:
        lines.append(_note(say("long_day", language, hours=hours)))
    if len(report.gaps):
        colon = " :" if language == "fr" else ":"
        lines.append(_note(typeset(f"{say('gaps', language)}{colon} {len(report.gaps)}", language)))
    figures = [
        (len(report.incidents), "incidents"),
        (len(report.symptoms), "symptoms_found"),
        *([(report.heard, "calls_heard")] if report.heard is not None else []),
        (int(report.calls["point_of_sale"].notna().sum()), "calls_known"),
        (int(report.calls["note"].notna().sum()), "calls_noted"),
        (len(report.victims), "victims"),
    ]
    told = "".join(
        f"<li><strong>{whole(count, language)}</strong> {escape(say(name, language).lower())}</li>" for count, name in figures
    )
    return "".join([*lines, f'<ul class="short">{told}</ul>'])


def _incidents(report: DayReport) -> str:
    language, frame = report.language, report.incidents
    if not len(frame):
        return _empty("no_incidents", language)
    rows = [
        [
            escape(one.title) + (f' <span class="muted">({escape(say("muted", language))})</span>' if one.muted else ""),
            escape(one.typology) or f'<span class="muted">{escape(say("none", language))}</span>',
            _moment(one.began_at, report),
            say("open", language) if pd.isna(one.closed_at) else _moment(one.closed_at, report),
            whole(one.terminals or one.worst_hits, language),
            whole(one.shops, language),
        ]
        for one in _rows(frame)
    ]
    heads = ("what", "typology", "began", "until", "*terminals", "*shops")
    return _table(heads, rows, language)


def _symptoms(report: DayReport) -> str:
    language, frame = report.language, report.symptoms
    if not len(frame):
        return _empty("no_symptoms", language)
    named = frame.assign(
        trouble=[in_language(TITLES[Trouble(trouble)], language) for trouble in frame["trouble"]],
        region=[condition_in_words("region", value, language) if isinstance(value, str) else "—" for value in frame["region"]],
    )
    chart = _by_hour(named["found_at"], report, "symptoms_by_hour")
    tables = [_counted(named[column].fillna("—"), column, language) for column in ("trouble", "model", "firmware", "region")]
    return f'{chart}<div class="tables">{"".join(tables)}</div>'


def _calls(report: DayReport) -> str:
    language, frame = report.language, report.calls
    if not len(frame):
        return _empty("no_calls", language)
    chart = _by_hour(frame["at"], report, "by_hour")
    named = frame.assign(typology=[name or say("none", language) for name in frame["typology"]], noted=frame["note"].notna())
    counted = named.groupby("typology").agg(calls=("call", "size"), notes=("noted", "sum")).sort_values("calls", ascending=False)
    rows = [Row(str(name), [float(one["calls"]), float(one["notes"])]) for name, one in counted.iterrows()]
    names = (say("calls", language), say("calls_noted", language))
    about = say("by_typology", language)
    drawn = row_chart(rows, names, title=about, description=about, look=Look(width=1040, language=language))
    return f"{chart}<h3>{escape(about)}</h3>{drawn}"


def _new(report: DayReport) -> str:
    language = report.language
    lines = [say("named", language, what=name) for name in report.named]
    for one in _rows(report.groups):
        told = ", ".join(one.shared.get("terms", ())) or ", ".join(
            in_language(TITLES[Trouble(name)], language) for name in one.shared.get("troubles", ())
        )
        lines.append(say("group", language, size=f"{whole(one.size, language)} {say(one.kind, language)}", what=told))
    return _list(lines) or _empty("nothing_new", language)


def _grows(report: DayReport) -> str:
    language, rows = report.language, []
    for one, kind in report.growing:
        name = one.typology.name(language) if one.typology else say("none", language)
        usual = float(np.mean(one.by_kind[kind][-10:-3]))
        text = say(
            "growing",
            language,
            name=name,
            count=one.last(kind, 1),
            kind=say(kind, language),
            usual=decimal(usual, language),
        )
        rows.append(f'<p class="grows">▲ {escape(text)}</p>{sparkline(one.by_kind[kind].tolist(), one.grew[kind], title=name)}')
    return "".join(rows) or _empty("nothing_grows", language)


def _victims(report: DayReport) -> str:
    language, frame = report.language, report.victims
    if not len(frame):
        return _empty("no_victims", language)
    rows = []
    for one in _rows(report.incidents):
        silent = frame[frame["incident"] == one.id]
        if len(silent):
            most = silent["department"].value_counts().head(3)
            where = ", ".join(f"{condition_in_words('department', str(name), language)} ({count})" for name, count in most.items())
            rows.append([escape(one.title), whole(one.shops, language), whole(len(silent), language), escape(where)])
    told = f"<p>{escape(say('victims_told', language))}</p>"
    return told + _table(("what", "*shops", "*silent", "department"), rows, language)


def _gaps(report: DayReport) -> str:
    language = report.language
    lines = [
        say(
            "gap",
            language,
            **{
                "from": _clock(one.from_at, language),
                "until": _clock(one.until_at, language),
                "minutes": whole(one.seconds / 60, language),
            },
        )
        for one in _rows(report.gaps)
    ]
    return _list(lines) or _empty("no_gaps", language)


def _by_hour(moments: "pd.Series[Any]", report: DayReport, name: str) -> str:
    """Counts by elapsed hour of the day, labelled by the clock: a day of 25 hours has one hour twice."""
    language = report.language
    hours = round((report.end - report.start) / timedelta(hours=1))
    elapsed = [int((moment - report.start) / timedelta(hours=1)) for moment in moments.tolist()]
    counts = np.bincount(np.clip(elapsed, 0, hours - 1), minlength=hours)
    passed = (report.until - report.start) / timedelta(hours=1)
    labels = [f"{(report.start + timedelta(hours=hour)).astimezone(ZONE):%H}" for hour in range(hours)]
    title = say(name, language)
    values = [float(count) if hour < passed else None for hour, count in enumerate(counts.tolist())]
    look = Look(width=1040, height=220, language=language)
    return bar_chart(labels, [Bars(title, values)], title=title, description=title, look=look)


def _counted(values: "pd.Series[Any]", column: str, language: str) -> str:
    counted = values.value_counts()
    rows = [[escape(str(value)), whole(count, language)] for value, count in counted.items()]
    return _table((column, "*symptoms"), rows, language, most=12)


def _rows(frame: pd.DataFrame) -> list[Any]:
    """Each row, its cells by name."""
    return list(frame.itertuples())


def _section(name: str, report: DayReport, content: str) -> str:
    return f"<section><h2>{escape(say(name, report.language))}</h2>{content}</section>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], language: str, *, most: int = _MOST_ROWS) -> str:
    """A table whose cells are HTML; a head that begins with a star is a column of figures."""
    kinds = [' class="figure"' if head.startswith("*") else "" for head in heads]
    names = [escape(say(head.lstrip("*"), language)) for head in heads]
    top = "".join(f'<th scope="col"{kind}>{name}</th>' for name, kind in zip(names, kinds, strict=True))
    cells = ["".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) for row in rows[:most]]
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    left = len(rows) - most
    more = f'<p class="muted">{escape(say("more", language, count=whole(left, language)))}</p>' if left > 0 else ""
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{more}"


def _list(lines: Iterable[str]) -> str:
    told = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{told}</ul>" if told else ""


def _empty(name: str, language: str) -> str:
    return f'<p class="muted">{escape(say(name, language))}</p>'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _clock(moment: datetime, language: str) -> str:
    return format_time(moment, "HH:mm", tzinfo=ZONE, locale=language)


def _moment(moment: datetime, report: DayReport) -> str:
    """The clock, with the day where it is another one."""
    pattern = "HH:mm" if report.start <= moment < report.end else "d MMM HH:mm"
    return escape(format_datetime(moment, pattern, tzinfo=ZONE, locale=report.language))
