"""The values of the registry's dimensions as people say them: `département de l'Ain (01)`, `carrier beta`, `ADSL access`."""

from collections.abc import Callable, Mapping
from typing import Final

from diagnostics.typography import in_language
from fleet.departments import NAMES, department_name, region_name

# What stands between "département" and its name.
_BEFORE = {
    "de l'": "01 02 03 07 09 10 11 12 27 34 36 38 60 61 89 91",
    "d'": "28 35 37",
    "du ": "14 15 18 25 29 30 32 39 45 46 56 59 62 63 67 68 69 81 83 90 94 95",
    "de la ": "16 17 19 2A 2B 21 23 24 26 31 33 42 43 44 48 50 51 52 53 55 57 58 70 72 73 74 76 80 85 86 87 93 971 972 973",
    "des ": "04 05 06 08 13 22 40 64 65 66 78 79 88 92",
    "de ": "41 47 49 54 71 75 77 82 84 974 976",
}
BEFORE_DEPARTMENT: Final[Mapping[str, str]] = {code: words for words, codes in _BEFORE.items() for code in codes.split()}
_ACCESS: Final[Mapping[str, str]] = {"adsl": "ADSL", "fibre": "fibre", "4g": "4G", "5g": "5G", "satellite": "satellite"}

# In the order in which conditions are said: the machine first, then its line, then where it stands.
_SAID: Final[Mapping[str, Mapping[str, Callable[[str], str]]]] = {
    "model": {"fr": lambda v: f"modèle {v}", "en": lambda v: f"model {v}"},
    "hw": {"fr": lambda v: f"révision matérielle {v}", "en": lambda v: f"hardware revision {v}"},
    "firmware": {"fr": lambda v: f"micrologiciel {v}", "en": lambda v: f"firmware {v}"},
    "lot": {"fr": lambda v: f"lot de fabrication {v}", "en": lambda v: f"manufacturing lot {v}"},
    "access": {"fr": lambda v: f"accès {_ACCESS.get(v, v)}", "en": lambda v: f"{_ACCESS.get(v, v)} access"},
    "carrier": {"fr": lambda v: f"opérateur {v}", "en": lambda v: f"carrier {v}"},
    "agency": {"fr": lambda v: f"agence {v}", "en": lambda v: f"agency {v}"},
    "department": {
        "fr": lambda v: f"département {BEFORE_DEPARTMENT[v]}{department_name(v)}" if v in NAMES else f"département {v}",
        "en": lambda v: f"department {department_name(v)}",
    },
    "region": {"fr": lambda v: f"région {region_name(v)}", "en": lambda v: f"region {region_name(v)}"},
}
SAID_ORDER: Final = tuple(_SAID)


def condition_in_words(dimension: str, value: str, language: str) -> str:
    """One condition of a scope as it is said; a dimension this release does not know is said as it is written."""
    said = _SAID.get(dimension)
    return in_language(said, language)(value) if said else f"{dimension} {value}"
