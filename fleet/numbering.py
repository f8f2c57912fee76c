"""French telephone numbers in one form: E.164, whatever way a registry writes them.

The French dial alike at home and overseas, yet each overseas territory has a country code of its own: 0262 12 34 56 is
+262 262 12 34 56, and +33 262 12 34 56 is nobody. The prefixes are those of the national numbering plan (Arcep).
"""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

# National prefix without its leading 0, and the country code it belongs to (two territories share 262).
_OVERSEAS = {
    "262": "262", "263": "262", "692": "262", "693": "262", "269": "262", "639": "262",
    "590": "590", "690": "590", "691": "590",
    "594": "594", "694": "594",
    "596": "596", "696": "596", "697": "596",
}  # fmt: skip
# Lies within Mayotte's 0639, but is one of the mainland's ranges reserved for fiction.
_MAINLAND_EXCEPTION = "63998"

_DECORATION = re.compile(r"\(0\)|[\s.\-/()]")
_NATIONAL = re.compile(r"^0[1-9][0-9]{8}$")
_MAINLAND = re.compile(r"^(?:\+|00)33([1-9][0-9]{8})$")
_INTERNATIONAL = re.compile(r"^(?:\+|00)([1-9][0-9]{6,14})$")


def to_e164(text: str) -> str | None:
    """The number in E.164, or None where there is none to read.

    A number needs only be possible (of a right length), not assigned: ranges reserved for fiction serve in tests.
    """
    bare = _DECORATION.sub("", text)
    if _NATIONAL.match(bare):
        return _french(bare[1:])
    if found := _MAINLAND.match(bare):
        return _french(found.group(1))
    if not (found := _INTERNATIONAL.match(bare)):
        return None
    try:
        number = phonenumbers.parse(f"+{found.group(1)}")
    except NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _french(nine_digits: str) -> str:
    if nine_digits.startswith(_MAINLAND_EXCEPTION):
        return f"+33{nine_digits}"
    return f"+{_OVERSEAS.get(nine_digits[:3], '33')}{nine_digits}"
