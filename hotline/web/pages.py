"""Renders the console's pages and fragments: Jinja templates in one environment per language, with the filters they need."""

import hashlib
import importlib.resources
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from diagnostics import wording
from diagnostics.incidents import Incident, IncidentEvent
from diagnostics.typography import percent
from firmware_rollout.status import RolloutStatus
from fleet.departments import department_name
from hotline import call_words, figures_words, incident_words, rollout_line, rollout_words, translations, words, work_words
from hotline.day_plots import DayPlots
from hotline.masking import Viewer, shown_number, shown_text
from hotline.opening import ZONE
from hotline.terminal_plots import figure_charts
from hotline.web.shortcuts import SHORTCUTS

# The hotline's own wall clock; a shop's local time is shown beside its name.
STATIC = importlib.resources.files("hotline.web") / "static"
# How charts look is told beside what draws them.
CHARTS: Final = ("diagnostics", "static")


class Pages:
    """Every template, in every language."""

    def __init__(self) -> None:
        self._loaded = translations.load()
        self._environments = {language: _environment(language, self._loaded[language]) for language in translations.LANGUAGES}

    def warm(self) -> None:
        """Compile what a ring is shown with, so that the first one does not wait for it."""
        for environment in self._environments.values():
            for template in ("macros.html", "call.html", "call_bare.html"):
                environment.get_template(template)

    def translate(self, language: str) -> words.Translate:
        """What looks a marked text up."""
        return self._loaded[language].gettext

    def render(self, template: str, *, language: str, **values: Any) -> str:
        """The template in the language, as HTML."""
        return self._environments[language].get_template(template).render(values)


def _environment(language: str, catalogue: Any) -> Environment:
    environment = Environment(
        loader=PackageLoader("hotline.web"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        # Templates come with the release; one that changes comes with the next start.
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
    environment.globals.update(
        language=language,
        other_language="en" if language == "fr" else "fr",
        words=words,
        call_words=call_words,
        work_words=work_words,
        figures_words=figures_words,
        incident_words=incident_words,
        rollout_words=rollout_words,
        asset=asset,
        shortcuts=SHORTCUTS,
    )
    environment.filters.update(_filters(language, catalogue.gettext))
    return environment


def _filters(language: str, translate: words.Translate) -> Mapping[str, Any]:
    """How values are written in the language."""
    times = _of_time(language)
    span: Callable[[timedelta], str] = times["span"]
    day_and_clock: Callable[[datetime, datetime], str] = times["day_and_clock"]

    def figure(value: float, name: str) -> str:
        shape = words.FIGURES[name]
        if name == "uptime_s":
            return span(timedelta(seconds=value))
        return words.quantity(value, shape.unit, decimals=shape.decimals, language=language)

    def reason(code: str, value: float | None = None) -> str:
        return words.reason_text(code, value, translate=translate, language=language)

    def number(text: str, viewer: Viewer) -> str:
        """A telephone number as the viewer may see it; in templates the viewer is the `session`."""
        return shown_number(text, viewer=viewer)

    def text_for(text: str, viewer: Viewer) -> str:
        """What somebody typed, with the telephone numbers in it as the viewer may see them."""
        return shown_text(text, viewer=viewer)

    def incident_event(event: IncidentEvent) -> str:
        return incident_words.event_text(event, translate=translate, language=language)

    def rollout(status: RolloutStatus, now: datetime) -> str:
        return rollout_line.rollout_text(status, translate=translate, when=lambda moment: day_and_clock(moment, now))

    return {
        **times,
        "figure": figure,
        "reason": reason,
        "event_detail": lambda detail: words.event_detail(detail, translate=translate),
        "symptom": lambda symptom: words.symptom_text(symptom, translate=translate, language=language),
        "figure_charts": lambda past: figure_charts(past, translate=translate, language=language),
        "day_strip": DayPlots(translate=translate, language=language).strip,
        "scope": lambda scope: wording.scope_in_words(scope, language),
        "incident_event": incident_event,
        **_of_incidents(language),
        **rollout_words.filters(language, translate),
        **figures_words.filters(language),
        "number": number,
        "text_for": text_for,
        "icon": icon,
        "department": department_name,
        "hours": lambda text: words.hours_text(text, translate=translate),
        "count": lambda value: format_decimal(value, locale=language),
        "rollout": rollout,
        "campaign_line": lambda status: rollout_line.campaign_line(status, translate=translate),
    }


def _of_time(language: str) -> Mapping[str, Any]:
    """How moments and lengths of time are written."""

    def ago(moment: datetime, now: datetime) -> str:
        return span(now - moment)

    def span(length: timedelta) -> str:
        """A length in its largest unit: `3 min`, `2 h`, `4 j`."""
        return format_timedelta(max(length, timedelta(0)), threshold=1.5, format="short", locale=language).replace(" ", words.NNBSP)

    def clock(moment: datetime, zone: str | None = None) -> str:
        return format_time(moment, "HH:mm", tzinfo=ZoneInfo(zone) if zone else ZONE, locale=language)

    def day_and_clock(moment: datetime, now: datetime | None = None) -> str:
        """The time today; with its day on other days."""
        local = moment.astimezone(ZONE)
        if now is not None and local.date() == now.astimezone(ZONE).date():
            return clock(moment)
        return format_datetime(moment, "d MMM HH:mm", tzinfo=ZONE, locale=language)

    def long_date(moment: datetime) -> str:
        return format_date(moment.astimezone(ZONE), "full", locale=language)

    return {
        "ago": ago,
        "span": span,
        "clock": clock,
        "day_and_clock": day_and_clock,
        "long_date": long_date,
        "iso": lambda moment: moment.isoformat(timespec="seconds"),
    }


def _of_incidents(language: str) -> Mapping[str, Any]:
    """How an incident is put into words."""

    def of(wording_of: Callable[[Incident, str], str]) -> Callable[[Incident], str]:
        return lambda incident: wording_of(incident, language)

    return {
        "incident_title": of(incident_words.incident_title),
        "likely_cause": of(incident_words.likely_cause),
        "say": of(incident_words.say),
        "then_do": of(incident_words.then_do),
        "percent": lambda share: percent(share, language),
        "trouble": lambda trouble: incident_words.trouble_name(trouble, language),
    }


@lru_cache
def asset(name: str) -> str:
    """A static file's address with its content's digest, so that browsers may keep it for good."""
    own = STATIC.joinpath(*name.split("/"))
    file = own if own.is_file() else importlib.resources.files(CHARTS[0]).joinpath(CHARTS[1], name)
    content = file.read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


@lru_cache
def icon(name: str) -> Markup:
    """A shape of the icon sheet; the text beside it says what it means, so it is hidden from screen readers."""
    return Markup('<svg class="icon icon-{0}" aria-hidden="true" focusable="false"><use href="{1}#{0}"/></svg>').format(
        name, asset("icons.svg")
    )
