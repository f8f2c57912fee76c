"""The words of the veille's daily report, by language: plain tables, because a report leaves the house."""

from collections.abc import Mapping
from typing import Final

from diagnostics.typography import in_language, typeset

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "title": {"fr": "Rapport de la veille", "en": "Daily watch report"},
    "made": {"fr": "établi le %(at)s", "en": "made on %(at)s"},
    "not_over": {
        "fr": "Cette journée n'est pas finie : les chiffres vont jusqu'à %(at)s.",
        "en": "This day is not over: figures go up to %(at)s.",
    },
    "long_day": {
        "fr": "Changement d'heure : cette journée a %(hours)s heures.",
        "en": "The clocks changed: this day has %(hours)s hours.",
    },
    "gaps": {"fr": "Données manquantes", "en": "Missing data"},
    "no_gaps": {"fr": "Aucune interruption de plus de deux minutes.", "en": "No interruption of more than two minutes."},
    "gap": {
        "fr": "De %(from)s à %(until)s (%(minutes)s min), rien n'a été reçu des terminaux : ce qui suit peut en manquer.",
        "en": "From %(from)s to %(until)s (%(minutes)s min) nothing came from terminals: what follows may lack it.",
    },
    "in_short": {"fr": "En bref", "en": "In short"},
    "incidents": {"fr": "Incidents", "en": "Incidents"},
    "no_incidents": {"fr": "Aucun incident ce jour-là.", "en": "No incident that day."},
    "symptoms": {"fr": "Symptômes", "en": "Symptoms"},
    "symptoms_found": {"fr": "symptômes constatés", "en": "symptoms found"},
    "no_symptoms": {"fr": "Aucun symptôme constaté ce jour-là.", "en": "No symptom was found that day."},
    "calls": {"fr": "Appels", "en": "Calls"},
    "calls_heard": {"fr": "appels entrants", "en": "calls that came in"},
    "calls_known": {"fr": "appels de points de vente connus", "en": "calls from known shops"},
    "calls_noted": {"fr": "appels notés", "en": "calls noted"},
    "no_calls": {"fr": "Aucun appel ce jour-là.", "en": "No call that day."},
    "by_typology": {"fr": "Appels et notes par typologie", "en": "Calls and notes by typology"},
    "by_hour": {"fr": "Appels par heure", "en": "Calls by hour"},
    "symptoms_by_hour": {"fr": "Symptômes constatés par heure", "en": "Symptoms found by hour"},
    "new": {"fr": "Ce qui est nouveau", "en": "What is new"},
    "nothing_new": {"fr": "Rien de nouveau.", "en": "Nothing new."},
    "group": {"fr": "groupe de %(size)s, à nommer : %(what)s", "en": "group of %(size)s, to be named: %(what)s"},
    "named": {"fr": "typologie nommée : %(what)s", "en": "typology named: %(what)s"},
    "grows": {"fr": "Ce qui augmente", "en": "What grows"},
    "nothing_grows": {
        "fr": "Rien n'augmente plus que la semaine précédente ne l'explique.",
        "en": "Nothing grows beyond what the week before explains.",
    },
    "growing": {
        "fr": "%(name)s : %(count)s %(kind)s, contre %(usual)s par jour la semaine de référence",
        "en": "%(name)s: %(count)s %(kind)s, against %(usual)s a day in the week of reference",
    },
    "victims": {"fr": "Victimes silencieuses", "en": "Silent victims"},
    "victims_told": {
        "fr": "Points de vente touchés par un incident qui n'ont pas appelé.",
        "en": "Shops that an incident hit and that did not ring.",
    },
    "no_victims": {
        "fr": "Tous les points de vente touchés ont appelé, ou aucun ne l'a été.",
        "en": "Every shop hit has rung, or none was hit.",
    },
    "files": {
        "fr": "Les lignes derrière ces chiffres sont dans les fichiers CSV du même dossier.",
        "en": "The rows behind these figures are in the CSV files of the same folder.",
    },
    "trouble": {"fr": "Trouble", "en": "Trouble"},
    "model": {"fr": "Modèle", "en": "Model"},
    "firmware": {"fr": "Micrologiciel", "en": "Firmware"},
    "region": {"fr": "Région", "en": "Region"},
    "department": {"fr": "Département", "en": "Department"},
    "typology": {"fr": "Typologie", "en": "Typology"},
    "none": {"fr": "d'aucune typologie", "en": "of no typology"},
    "began": {"fr": "Début", "en": "Began"},
    "until": {"fr": "Fin", "en": "Until"},
    "open": {"fr": "en cours", "en": "open"},
    "worst": {"fr": "Terminaux touchés", "en": "Terminals hit"},
    "terminals": {"fr": "Terminaux", "en": "Terminals"},
    "shops": {"fr": "Points de vente", "en": "Shops"},
    "silent": {"fr": "sans appel", "en": "that did not ring"},
    "what": {"fr": "Quoi", "en": "What"},
    "notes": {"fr": "Notes", "en": "Notes"},
    "muted": {"fr": "sous maintenance annoncée", "en": "under announced maintenance"},
    "more": {"fr": "et %(count)s autres", "en": "and %(count)s more"},
    "incident": {"fr": "incidents", "en": "incidents"},
    "symptom": {"fr": "terminaux isolés", "en": "terminals alone"},
    "note": {"fr": "appels notés", "en": "calls noted"},
}


def say(name: str, language: str, /, **values: object) -> str:
    """A text of the report in the language, its values filled in."""
    text = in_language(_WORDS[name], language)
    return typeset(text % values if values else text, language)
