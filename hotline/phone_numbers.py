"""Reads the caller's number as exchanges and bridges write it, and shows numbers as the French do.

What a number is belongs to `fleet.numbering`, which the registry uses too; here are the forms only telephony sends: SIP
addresses, a country code without its plus, a dropped or an added leading zero, withheld numbers, internal extensions.
"""

import re
from urllib.parse import unquote

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from fleet.numbering import to_e164

# What exchanges write where the caller hides the number.
WITHHELD = frozenset({"", "anonymous", "unknown", "private", "restricted", "unavailable", "withheld", "masque", "inconnu"})
FRENCH_CODES = frozenset({33, 262, 590, 594, 596})

_ADDRESS = re.compile(r"^\s*(?:\"[^\"]*\"\s*|[^<\"]*)<([^>]*)>.*$")
_SCHEME = re.compile(r"^(?:sips?|tel|callto):", re.IGNORECASE)
_DECORATION = re.compile(r"[\s.\-\u2010\u2011/()]")
_SHAPE = re.compile(r"^\+?[0-9]{4,18}$")
# Country code and subscriber of the shortest number that comes without its plus; shorter digits are extensions.
_SHORTEST_WITHOUT_PLUS = 10


def read_number(text: str) -> str | None:
    """The number in E.164, or None where there is none to read: withheld, an internal extension, a name.

    >>> read_number("sip:0262123456@pbx;user=phone")
    '+262262123456'
    """
    bare = _bare(text)
    if not _SHAPE.match(bare):
        return None
    return next((number for number in map(to_e164, _candidates(bare)) if number is not None), None)


def caller_of(text: str) -> str:
    """What is kept of a number as it came: E.164 where it can be read, empty where it is withheld, else the text itself."""
    return read_number(text) or ("" if _bare(text).casefold() in WITHHELD else text.strip())


def show_number(text: str) -> str:
    """A number for people: the national form for French ones, international for others; other text as it came."""
    if not text.startswith("+"):
        return text
    try:
        number = phonenumbers.parse(text)
    except NumberParseException:
        return text
    if number.country_code in FRENCH_CODES and len(str(number.national_number)) == 9:
        digits = f"0{number.national_number}"
        tail = " ".join(digits[i : i + 2] for i in (4, 6, 8))
        return f"{digits[:2]} {digits[2:4]} {tail}" if number.country_code == 33 else f"{digits[:4]} {tail}"
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


def _bare(text: str) -> str:
    """The user part of a SIP or tel address, or the text itself, without decoration."""
    found = _ADDRESS.match(text)
    address = _SCHEME.sub("", (found.group(1) if found else text).strip())
    user = unquote(address.split("@", 1)[0].split(";", 1)[0])
    return _DECORATION.sub("", user.replace("(0)", ""))


def _candidates(bare: str) -> list[str]:
    """The plain forms the digits may stand for, likeliest first."""
    if bare.startswith("00") and len(bare) == 11:
        # The international prefix 00, or a 0 to get an outside line and then a national number.
        return [bare[1:], bare]
    if bare.startswith(("+", "0")):
        return [bare]
    if len(bare) == 9:
        # Some exchanges drop the leading 0.
        return [f"0{bare}"]
    return [f"+{bare}"] if len(bare) >= _SHORTEST_WITHOUT_PLUS else []
