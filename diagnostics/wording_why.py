"""Why an incident is believed, in sentences: rates inside and outside, where it stops, what deviates, since when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from diagnostics.places import condition_in_words
from diagnostics.troubles import Trouble
from diagnostics.typography import decimal, hour, in_language, listed, percent, sentence, typeset, whole

# Deviations in robust standard deviations from the terminal's own habit, as words.
_SLIGHT, _MARKED = 1.5, 3.0
_MOST_METRICS = 3
_MOST_LEVELS = 2
# Of the hit terminals, the share that makes a change of firmware worth telling.
_MOSTLY = 0.5

METRICS: Final[Mapping[str, Mapping[str, str]]] = {
    "tickets": {"fr": "paris vendus", "en": "bets sold"},
    "rejects": {"fr": "paris refusés", "en": "bets refused"},
    "tx_ms": {"fr": "durée d'un pari", "en": "time of a bet's transaction"},
    "tx_timeouts": {"fr": "transactions sans réponse", "en": "transactions without an answer"},
    "rtt_ms": {"fr": "temps d'aller-retour du réseau", "en": "network round trip"},
    "loss_pct": {"fr": "paquets perdus", "en": "packets lost"},
    "signal_dbm": {"fr": "signal radio", "en": "radio signal"},
    "print_errors": {"fr": "erreurs d'impression", "en": "printer errors"},
    "paper_pct": {"fr": "papier restant", "en": "paper left"},
    "head_c": {"fr": "température de la tête d'impression", "en": "print head temperature"},
    "scans": {"fr": "bulletins lus", "en": "slips read"},
    "scan_errors": {"fr": "bulletins non lus", "en": "slips not read"},
    "cpu_pct": {"fr": "charge du processeur", "en": "processor load"},
    "mem_mb": {"fr": "mémoire libre", "en": "free memory"},
    "disk_mb": {"fr": "espace de stockage libre", "en": "free storage"},
    "board_c": {"fr": "température de la carte", "en": "board temperature"},
    "clock_ms": {"fr": "écart d'horloge", "en": "clock offset"},
    "tx_failures": {"fr": "paris sans réponse ou refusés", "en": "bets unanswered or refused"},
    "crashes": {"fr": "plantages", "en": "crashes"},
    "uptime_s": {"fr": "durée depuis le démarrage", "en": "time since the start"},
}
_STRENGTHS: Final = {
    "fr": ("un peu %s de l'habitude", "nettement %s de l'habitude", "très loin %s de l'habitude"),
    "en": ("slightly %s usual", "clearly %s usual", "far %s usual"),
}
_SIDES: Final = {"fr": ("au-dessus", "au-dessous"), "en": ("above", "below")}


def metric_in_words(name: str, language: str) -> str:
    """What a metric is called; one this release does not know by its own name."""
    return typeset(in_language(METRICS[name], language), language) if name in METRICS else name


def rates_sentence(hit: float, judged: float, rate_outside: float | None, language: str) -> str:
    """How many of the judged terminals of the scope show it, against the share of all others (None: there are no others)."""
    shown, of, rate = whole(hit, language), whole(judged, language), percent(hit / judged, language)
    one = hit < 1.5
    if language == "en":
        text = f"{shown} of {of} terminals in the scope {'shows' if one else 'show'} it ({rate})"
        rest = f"against {percent(rate_outside, language)} elsewhere" if rate_outside else "none elsewhere"
    else:
        text = f"{shown} {'terminal touché' if one else 'terminaux touchés'} sur {of} dans le périmètre ({rate})"
        rest = f"contre {percent(rate_outside, language)} ailleurs" if rate_outside else "aucun ailleurs"
    return typeset(sentence(text if rate_outside is None else f"{text}, {rest}"), language)


def calls_sentence(calls: float, expected: float, language: str) -> str:
    """How many calls came, against how many were to be expected."""
    usual = decimal(expected, language, places=0 if expected >= 10 else 1)
    if language == "en":
        text = f"{whole(calls, language)} calls from the shops in the scope, where {usual} would be usual"
    else:
        text = f"{whole(calls, language)} appels des points de vente du périmètre, contre {usual} d'habitude"
    return typeset(sentence(text), language)


def contrast_sentence(dimension: str, levels: Sequence[tuple[str, float]], language: str) -> str:
    """Where it stops: the rate of the scope's own value of a dimension, then of the others, all else being the same."""
    colon = ": " if language == "en" else " : "
    said = [f"{condition_in_words(dimension, value, language)}{colon}{percent(rate, language)}" for value, rate in levels]
    return typeset(sentence("; ".join(said) if language == "en" else " ; ".join(said)), language)


def metrics_sentence(leading: Sequence[tuple[str, float, float]], language: str) -> str:
    """What terminals of the scope measure unlike their habit; (metric, mean z inside, mean z outside), the leading one first."""
    said = [
        f"{metric_in_words(name, language)} {_deviation(inside, language)}"
        for name, inside, outside in leading[:_MOST_METRICS]
        if abs(inside) > abs(outside)
    ]
    if not said:
        return ""
    prefix = "In the scope: " if language == "en" else "Dans le périmètre : "
    return typeset(sentence(prefix + listed(said, language)), language)


def began_sentence(began_at: datetime, language: str) -> str:
    """When the first terminal showed it."""
    text = f"First signs at {hour(began_at, language)}" if language == "en" else f"Premiers signes à {hour(began_at, language)}"
    return sentence(text)


def firmware_sentence(hours: float, language: str) -> str:
    """How long ago most of these terminals changed their firmware."""
    if hours < 1:
        ago = "less than an hour ago" if language == "en" else "il y a moins d'une heure"
    elif hours < 48:
        ago = f"{whole(hours, language)} h ago" if language == "en" else f"il y a {whole(hours, language)} h"
    else:
        days = decimal(hours / 24, language, places=0)
        ago = f"{days} days ago" if language == "en" else f"il y a {days} jours"
    text = f"Their firmware changed {ago}" if language == "en" else f"Leur micrologiciel a changé {ago}"
    return typeset(sentence(text), language)


def why_sentences(
    evidence: Mapping[str, Any], language: str, *, trouble: str | None = None, began_at: datetime | None = None
) -> list[str]:
    """The evidence of an incident in sentences, the weightiest first.

    `evidence` is `diagnostics.scan.why.Evidence` as JSON; what it does not hold (an incident declared by a person) is not said.
    """
    said = []
    if evidence.get("judged"):
        if trouble == Trouble.CALLS:
            said.append(calls_sentence(evidence["observed"], evidence["expected"], language))
        else:
            elsewhere = None if evidence.get("scope") == {} else evidence["rate_outside"]
            said.append(rates_sentence(evidence["observed"], evidence["judged"], elsewhere, language))
            said += _contrasts(evidence.get("contrasts", ()), language)
    leading = [(one["metric"], one["inside"], one["outside"]) for one in evidence.get("leading", ())]
    said.append(metrics_sentence(leading, language))
    # What few of them share explains nothing.
    if evidence.get("firmware_changed_h") is not None and evidence.get("firmware_changed_share", 0) >= _MOSTLY:
        said.append(firmware_sentence(evidence["firmware_changed_h"], language))
    if began_at is not None:
        said.append(began_sentence(began_at, language))
    return [text for text in said if text]


def _contrasts(contrasts: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    """A sentence for each dimension of the scope that has other values to compare with."""
    said = []
    for contrast in contrasts:
        levels = [(level["value"], level["rate"]) for level in contrast["levels"][: 1 + _MOST_LEVELS]]
        if contrast["in_scope"] and len(levels) > 1:
            said.append(contrast_sentence(contrast["dimension"], levels, language))
    return said


def _deviation(z: float, language: str) -> str:
    strength = 0 if abs(z) < _SLIGHT else 1 if abs(z) < _MARKED else 2
    return in_language(_STRENGTHS, language)[strength] % in_language(_SIDES, language)[z < 0]
