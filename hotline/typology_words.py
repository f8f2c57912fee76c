"""The words in which the console speaks of typologies: kinds, what one looks like, what a group shares, what a change did."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from diagnostics.places import condition_in_words
from diagnostics.troubles import Trouble
from diagnostics.typography import decimal, in_language, percent, typeset
from diagnostics.typologies.daily import Effect
from diagnostics.typologies.overview import TERMINALS
from diagnostics.typologies.signature import ONE_TERMINAL, WHOLE_FLEET
from diagnostics.wording import TITLES
from fleet.contract import EventCode
from hotline.translations import mark as _
from hotline.words import DIMENSIONS, FIGURES, Translate

KINDS: Final[Mapping[str, str]] = {
    "incident": _("incidents"),
    "symptom": _("terminals alone"),
    "note": _("calls noted"),
    TERMINALS: _("terminals touched"),
}

EVENTS: Final[Mapping[str, str]] = {
    EventCode.PAPER_OUT: _("out of paper"),
    EventCode.PAPER_JAM: _("paper jam"),
    EventCode.COVER_OPEN: _("cover opened"),
    EventCode.SCANNER_FAIL: _("slip scanner failed"),
    EventCode.READER_FAIL: _("card reader failed"),
    EventCode.POWER_LOSS: _("power lost"),
    EventCode.REBOOT: _("restart"),
    EventCode.APP_CRASH: _("application crashed"),
    EventCode.NET_FAILOVER: _("radio card took over"),
    EventCode.TAMPER: _("tampering"),
}

STEPS: Final[Mapping[str, str]] = {
    "delivered": _("delivered with Vigie"),
    "named": _("named"),
    "described": _("described anew"),
    "answered": _("answer, version"),
    "acted": _("action"),
    "joined": _("took in"),
    "merged": _("merged into"),
    "dismissed": _("dismissed"),
    "restored": _("taken back into use"),
}

_BOUNDS: Final[Mapping[str, str]] = {WHOLE_FLEET: _("the whole fleet"), ONE_TERMINAL: _("one terminal")}
# A chart's description, for those who do not see it.
A_DAY: Final = _("%(name)s, a day")
# Of a signature so many are told.
_MOST_METRICS: Final = 5


def looks_like(signature: Mapping[str, Any], *, translate: Translate, language: str) -> list[tuple[str, str]]:
    """What one looks like, or what a group shares: label and text of each block that tells something.

    Takes a stored signature as well as a group's `shared`, whose scope is a share by name.
    """
    lines: list[tuple[str, str]] = []
    troubles = signature.get("troubles") or {}
    if troubles:
        told = [in_language(TITLES[Trouble(name)], language) for name in sorted(troubles, key=lambda name: -troubles[name])]
        lines.append((translate(_("What goes wrong")), "; ".join(told)))
    scope = signature.get("scope")
    if scope:
        bounds = [translate(_BOUNDS.get(name) or DIMENSIONS.get(name, name)) for name in scope]
        lines.append((translate(_("Bounded by")), ", ".join(bounds)))
    z = signature.get("z") or {}
    if z:
        names = sorted(z, key=lambda name: -abs(z[name]))[:_MOST_METRICS]
        lines.append((translate(_("Measured")), ", ".join(_metric(name, z[name], translate) for name in names)))
    events = signature.get("events") or {}
    if events:
        told = [f"{translate(EVENTS.get(code, code))} ({_rate(rate, translate, language)})" for code, rate in events.items()]
        lines.append((translate(_("Events")), ", ".join(told)))
    return lines


def contrasts_text(contrasts: Sequence[Mapping[str, Any]], *, translate: Translate, language: str) -> list[str]:
    """What the callers' terminals have more often than the fleet, a sentence each."""
    return [
        translate(_("%(condition)s: %(inside)s of them, %(outside)s of the fleet"))
        % {
            "condition": condition_in_words(one["dimension"], one["value"], language),
            "inside": percent(one["inside"], language),
            "outside": percent(one["outside"], language),
        }
        for one in contrasts
    ]


def effect_text(effect: Effect, *, translate: Translate, language: str) -> str:
    """The rate before and after, the factor between them and its interval."""

    def figure(value: float) -> str:
        return decimal(value, language, places=2 if value < 10 else 0)

    if not effect.days_before or not effect.days_after:
        return translate(_("not enough days yet"))
    if not effect.before and not effect.after:
        return "—"
    rates = translate(_("%(before)s a day before, %(after)s after")) % {
        "before": figure(effect.before / effect.days_before),
        "after": figure(effect.after / effect.days_after),
    }
    if effect.low is None or effect.ratio is None:
        return rates
    high = "∞" if effect.high is None else figure(effect.high)
    factor = translate(_("× %(ratio)s (95 %%: %(low)s to %(high)s)")) % {
        "ratio": figure(effect.ratio),
        "low": figure(effect.low),
        "high": high,
    }
    return typeset(f"{rates} : {factor}" if language == "fr" else f"{rates}: {factor}", language)


def p_text(p: float, language: str) -> str:
    """A p-value as the language writes it."""
    return decimal(p, language, places=3)


def _metric(name: str, z: float, translate: Translate) -> str:
    label = translate(FIGURES[name].label if name in FIGURES else name)
    return f"{label} {'↑' if z > 0 else '↓'}"


def _rate(rate: float, translate: Translate, language: str) -> str:
    if rate >= 0.995:
        return translate(_("%(count)s per terminal")) % {"count": decimal(rate, language)}
    return translate(_("%(share)s of terminals")) % {"share": percent(rate, language)}
