"""Why an incident is believed, in sentences: rates inside and outside, where it stops, what deviates, since when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from diagnostics.places import condition_in_words
from diagnostics.typography import decimal, hour, in_language, listed, percent, sentence, typeset, whole

# Deviations in robust standard deviations from the terminal's own habit, as words.
_SLIGHT, _MARKED = 1.5, 3.0
_MOST_METRICS = 3
_MOST_LEVELS = 3

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


def rates_sentence(*, inside_hit: float, inside: float, outside_hit: float, outside: float, language: str) -> str:
    """How many terminals of the scope show it, and how many of all others."""
    hit, of, rate = whole(inside_hit, language), whole(inside, language), percent(inside_hit / inside, language)
    one = inside_hit < 1.5
    if language == "en":
        text = f"{hit} of {of} terminals in the scope {'shows' if one else 'show'} it ({rate})"
    else:
        text = f"{hit} {'terminal' if one else 'terminaux'} sur {of} {'touché' if one else 'touchés'} dans le périmètre ({rate})"
    if outside <= 0:
        return typeset(sentence(text), language)
    if outside_hit < 0.5:
        rest = "none elsewhere" if language == "en" else "aucun ailleurs"
    elif language == "en":
        rest = f"against {percent(outside_hit / outside, language)} elsewhere"
    else:
        rest = f"contre {percent(outside_hit / outside, language)} ailleurs"
    return typeset(sentence(f"{text}, {rest}"), language)


def contrast_sentence(dimension: str, value: str, rates: Sequence[tuple[str, float]], language: str) -> str:
    """Where it stops: the rates of a dimension's other values with the rest of the scope unchanged, the highest first."""
    others = sorted(((rate, other) for other, rate in rates if other != value), reverse=True)[:_MOST_LEVELS]
    said = [f"{condition_in_words(dimension, other, language)} {percent(rate, language)}" for rate, other in others]
    own = f"{condition_in_words(dimension, value, language)} {percent(dict(rates)[value], language)}"
    joined = listed(said, language)
    text = f"{own}, against {joined}" if language == "en" else f"{own}, contre {joined}"
    return typeset(sentence(text), language)


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


def _deviation(z: float, language: str) -> str:
    strength = 0 if abs(z) < _SLIGHT else 1 if abs(z) < _MARKED else 2
    return in_language(_STRENGTHS, language)[strength] % in_language(_SIDES, language)[z < 0]


def why_sentences(evidence: Mapping[str, Any], language: str, *, began_at: datetime | None = None) -> list[str]:
    """The evidence of an incident in sentences, the weightiest first; what it does not hold is not said."""
    said = []
    if evidence.get("inside"):
        rates = {name: float(evidence[name]) for name in ("inside_hit", "inside", "outside_hit", "outside")}
        said.append(rates_sentence(**rates, language=language))
    said.append(metrics_sentence(evidence.get("leading", ()), language))
    if began_at is not None:
        said.append(began_sentence(began_at, language))
    return [text for text in said if text]
