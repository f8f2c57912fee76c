"""Incidents in words, French and English: title, scope, likely cause; why and advice come from their own modules through here.

Plain tables by language, because these texts leave the house (mail, webhook, MQTT) where no page translates them. Nothing here
decides anything but the likely cause, which follows from the scope alone and is told as likely.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from diagnostics.places import SAID_ORDER, condition_in_words
from diagnostics.troubles import Trouble
from diagnostics.typography import in_language, sentence, typeset
from diagnostics.wording_advice import advice, next_step, spoken
from diagnostics.wording_why import why_sentences
from fleet.scope import Values, either

__all__ = ["Cause", "advice", "cause_of", "likely_cause", "next_step", "scope_in_words", "spoken", "title", "why_sentences"]

Scope = Mapping[str, str]

TITLES: Final[Mapping[Trouble, Mapping[str, str]]] = {
    Trouble.OFFLINE: {"fr": "Terminaux hors ligne", "en": "Terminals off line"},
    Trouble.NETWORK: {"fr": "Réseau dégradé", "en": "Network degraded"},
    Trouble.RADIO: {"fr": "Signal radio faible", "en": "Weak radio signal"},
    Trouble.HEAT: {"fr": "Terminaux en surchauffe", "en": "Terminals overheating"},
    Trouble.DISK: {"fr": "Stockage qui se remplit", "en": "Storage filling up"},
    Trouble.MEMORY: {"fr": "Mémoire qui s'épuise", "en": "Memory running out"},
    Trouble.CLOCK: {"fr": "Horloges déréglées", "en": "Clocks drifting"},
    Trouble.CRASHES: {"fr": "Plantages et redémarrages à répétition", "en": "Repeated crashes and restarts"},
    Trouble.TX_FAILING: {"fr": "Paris sans réponse ou refusés", "en": "Bets unanswered or refused"},
    Trouble.TX_SLOW: {"fr": "Paris lents à passer", "en": "Bets slow to go through"},
    Trouble.PRINTER: {"fr": "Pannes d'imprimante", "en": "Printer failures"},
    Trouble.SCANNER: {"fr": "Bulletins mal lus", "en": "Slips not read"},
    Trouble.PAPER: {"fr": "Terminaux sans papier", "en": "Terminals out of paper"},
    Trouble.NO_SALES: {"fr": "Terminaux connectés qui ne vendent plus", "en": "Terminals connected but selling nothing"},
    Trouble.CALLS: {"fr": "Afflux d'appels", "en": "Surge of calls"},
}

_WHOLE_FLEET: Final[Mapping[str, str]] = {"fr": "tout le parc", "en": "the whole fleet"}
_OR: Final[Mapping[str, str]] = {"fr": " ou ", "en": " or "}


class Cause(StrEnum):
    """What most likely lies behind an incident."""

    CARRIER = "carrier"
    ACCESS = "access"
    RELEASE = "release"
    LOT = "lot"
    MODEL = "model"
    POWER = "power"
    LOCAL_NETWORK = "local_network"
    WEATHER = "weather"
    SUPPLY = "supply"
    LOCAL = "local"
    CENTRAL = "central"
    TIME_SERVER = "time_server"
    COMMON = "common"
    UNSEEN = "unseen"
    UNKNOWN = "unknown"


# `%(firmware)s` and the like are filled from the scope.
_CAUSES: Final[Mapping[Cause, Mapping[str, str]]] = {
    Cause.CARRIER: {
        "fr": "panne du réseau de l'opérateur %(carrier)s",
        "en": "a fault in the network of carrier %(carrier)s",
    },
    Cause.ACCESS: {
        "fr": "panne du réseau d'accès, le même chez plusieurs opérateurs",
        "en": "a fault in the access network that several carriers share",
    },
    Cause.RELEASE: {
        "fr": "défaut du micrologiciel %(firmware)s",
        "en": "a defect in firmware %(firmware)s",
    },
    Cause.LOT: {
        "fr": "défaut de fabrication du lot %(lot)s",
        "en": "a manufacturing defect in lot %(lot)s",
    },
    Cause.MODEL: {
        "fr": "faiblesse propre à ce matériel",
        "en": "a weakness of this hardware",
    },
    Cause.POWER: {
        "fr": "coupure de courant dans le secteur, ou panne de réseau locale",
        "en": "a power cut in the area, or a local network fault",
    },
    Cause.LOCAL_NETWORK: {
        "fr": "panne de réseau locale",
        "en": "a local network fault",
    },
    Cause.WEATHER: {
        "fr": "conditions météo dans le secteur",
        "en": "the weather in the area",
    },
    Cause.SUPPLY: {
        "fr": "rupture d'approvisionnement en papier",
        "en": "paper not delivered",
    },
    Cause.LOCAL: {
        "fr": "cause locale, commune à ces points de vente",
        "en": "a local cause that these shops share",
    },
    Cause.CENTRAL: {
        "fr": "système central, ou son accès",
        "en": "the central system, or the way to it",
    },
    Cause.TIME_SERVER: {
        "fr": "serveur de temps",
        "en": "the time server",
    },
    Cause.COMMON: {
        "fr": "changement récent commun à tout le parc",
        "en": "a recent change common to the whole fleet",
    },
    Cause.UNSEEN: {
        "fr": "rien dans les mesures des terminaux : à chercher dans ce que disent les commerçants "
        "(réglage, compte, règlement des gains)",
        "en": "nothing in what the terminals measure: look in what shopkeepers say (settings, account, payment of winnings)",
    },
    Cause.UNKNOWN: {
        "fr": "cause inconnue : le périmètre ne suffit pas à la désigner",
        "en": "unknown: the scope alone does not tell",
    },
}

# What a line, a power supply or the central system can bring about.
_ON_THE_WAY: Final = frozenset(
    {Trouble.OFFLINE, Trouble.NETWORK, Trouble.RADIO, Trouble.TX_FAILING, Trouble.TX_SLOW, Trouble.NO_SALES}
)
_IN_AN_AREA: Final[Mapping[Trouble, Cause]] = {
    Trouble.OFFLINE: Cause.POWER,
    Trouble.NETWORK: Cause.LOCAL_NETWORK,
    Trouble.TX_FAILING: Cause.LOCAL_NETWORK,
    Trouble.TX_SLOW: Cause.LOCAL_NETWORK,
    Trouble.RADIO: Cause.WEATHER,
    Trouble.HEAT: Cause.WEATHER,
    Trouble.PAPER: Cause.SUPPLY,
}
_EVERYWHERE: Final[Mapping[Trouble, Cause]] = {
    **dict.fromkeys(_ON_THE_WAY - {Trouble.RADIO}, Cause.CENTRAL),
    Trouble.RADIO: Cause.WEATHER,
    Trouble.HEAT: Cause.WEATHER,
    Trouble.CLOCK: Cause.TIME_SERVER,
    Trouble.PAPER: Cause.SUPPLY,
}


def title(trouble: Trouble, scope: Scope, language: str) -> str:
    """What is wrong and where: `Terminaux hors ligne : opérateur beta, région Auvergne-Rhône-Alpes (84)`."""
    return typeset(f"{in_language(TITLES[trouble], language)}{_colon(language)} {scope_in_words(scope, language)}", language)


def scope_in_words(scope: Mapping[str, Values], language: str) -> str:
    """Which terminals, as one says it; an empty scope is the whole fleet, of several values of a dimension one is enough."""
    if not scope:
        return in_language(_WHOLE_FLEET, language)
    known = [name for name in SAID_ORDER if name in scope]
    others = [name for name in scope if name not in SAID_ORDER]
    said = (
        in_language(_OR, language).join(condition_in_words(name, value, language) for value in either(scope[name]))
        for name in [*known, *others]
    )
    return typeset(", ".join(said), language)


def cause_of(trouble: Trouble, scope: Scope) -> Cause:
    """What most likely lies behind an incident with this scope.

    What terminals have in common by themselves (release, lot) comes before the line, the line before the place.
    """
    machine = next((cause for name, cause in (("firmware", Cause.RELEASE), ("lot", Cause.LOT)) if name in scope), None)
    if machine or trouble is Trouble.CALLS:
        return machine or Cause.UNSEEN
    if trouble in _ON_THE_WAY and scope.keys() & {"carrier", "access"}:
        return Cause.CARRIER if "carrier" in scope else Cause.ACCESS
    if scope.keys() & {"model", "hw"}:
        return Cause.MODEL
    if scope.keys() & {"department", "region", "agency"}:
        return _IN_AN_AREA.get(trouble, Cause.LOCAL)
    return Cause.UNKNOWN if scope else _EVERYWHERE.get(trouble, Cause.COMMON)


def likely_cause(trouble: Trouble, scope: Scope, language: str) -> str:
    """The likely cause as a sentence that can stand after « Cause probable »."""
    return typeset(sentence(in_language(_CAUSES[cause_of(trouble, scope)], language) % scope), language)


def _colon(language: str) -> str:
    return ":" if language == "en" else " :"
