"""How sentences are set in French and English: spaces that do not break, apostrophes, quotation marks, figures, hours.

Tables of texts are written plainly; `typeset` sets them, so that no text needs invisible characters in the source. Languages are
`fr` and `en`; any other is taken for French, the language of the house.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal

from fleet.departments import MAINLAND_TIMEZONE

LANGUAGES: Final = ("fr", "en")
NBSP: Final = "\u00a0"
NNBSP: Final = "\u202f"
# The hotline and the IT department are in Paris, wherever the shop is.
PARIS: Final = ZoneInfo(MAINLAND_TIMEZONE)

_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_COLON = re.compile(r"(?<=\S) :(?=\s|$)")
_HIGH = re.compile(r"(?<=\S) ([;!?%])")
_QUOTED = re.compile(r'"([^"]*)"')
# A unit must not begin a line without its figure.
_UNIT = re.compile(r"(?<=\d) (?=(?:°C|ms|s|min|h|MB|Mo|dBm)\b)")

Text = TypeVar("Text")


def in_language(table: Mapping[str, Text], language: str) -> Text:
    """The entry of a table by language."""
    return table["en" if language == "en" else "fr"]


def typeset(text: str, language: str) -> str:
    """The text with the spaces, apostrophes and quotation marks of its language; doing it twice changes nothing."""
    text = _UNIT.sub(NNBSP, _APOSTROPHE.sub("’", text))
    if language == "en":
        return _QUOTED.sub("“\\1”", text)
    text = _HIGH.sub(NNBSP + r"\1", _COLON.sub(NBSP + ":", text))
    return text.replace("« ", "«" + NBSP).replace(" »", NBSP + "»")


def sentence(text: str) -> str:
    """The text with a capital at its beginning and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def whole(value: float, language: str) -> str:
    """A count: `15 940`, `15,940`."""
    return format_decimal(round(value), format="#,##0", locale=_locale(language))


def decimal(value: float, language: str, *, places: int = 1) -> str:
    """A figure with up to so many decimal places: `4,1`, `4.1`."""
    return format_decimal(round(value, places) + 0.0, format="#,##0." + "#" * places, locale=_locale(language))


def percent(share: float, language: str) -> str:
    """A share of one as a percentage; small ones keep a decimal, and what is not nothing is never shown as 0 %."""
    space = "" if language == "en" else NNBSP
    if 0 < share < 0.0005:
        return f"{'less than' if language == 'en' else 'moins de'} {decimal(0.1, language)}{space}%"
    return f"{decimal(share * 100, language, places=1 if share < 0.1 else 0)}{space}%".replace(".%", "%")


def hour(moment: datetime, language: str) -> str:
    """The time of day in Paris, as it is said: `10 h 17`, `10:17`."""
    local = moment.astimezone(PARIS)
    return f"{local.hour}:{local.minute:02}" if language == "en" else f"{local.hour}{NBSP}h{NBSP}{local.minute:02}"


def day(moment: datetime, language: str) -> str:
    """The day in Paris: `lundi 23 novembre`, `Monday 23 November`."""
    return format_date(moment.astimezone(PARIS).date(), format="EEEE d MMMM", locale=_locale(language))


def listed(parts: Sequence[str], language: str) -> str:
    """`a, b et c`; `a, b and c`."""
    *first, last = parts
    return f"{', '.join(first)} {'and' if language == 'en' else 'et'} {last}" if first else last


def _locale(language: str) -> str:
    return "en_GB" if language == "en" else "fr"
