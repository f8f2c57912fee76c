"""What of a telephone number a person may see: the overflow floor, another company's, sees its end and no more.

Its agents take calls, which the exchange puts through without their dialling; the last two digits let them ask "your number
that ends in 34?". Every number and every text that may hold one goes through here on its way to a screen or a program.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from hotline.floors import Floor
from hotline.phone_numbers import show_number

HIDDEN = "•"
# What stands in the place of a number that was forgotten; one that was never known is empty, and is shown as withheld.
FORGOTTEN = HIDDEN * 2
DIGITS_LEFT = 2
# What has no more digits than this is an internal extension, which says nothing of a shopkeeper.
LONGEST_EXTENSION = 4
# A French number has nine digits after its 0 or its country code; shorter runs in a text are dates, prices and the like.
SHORTEST_NUMBER = 9
# Digits of one number as people type it, with what they put between them: blanks of any width, dots, dashes, slashes, brackets.
# The database understands the same expression.
NUMBER_IN_TEXT = rf"\+?\(?\d(?:[\s./()_\u00a0\u202f\u00b7\u2010-\u2015-]{{0,3}}\d){{{SHORTEST_NUMBER - 1},}}"
_NUMBER_IN_TEXT = re.compile(NUMBER_IN_TEXT)


class Viewer(Protocol):
    """Whoever looks: an agent, a session, a program's token."""

    @property
    def floor(self) -> Floor:
        """Where they sit."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Onlooker:
    """All who read one language and may see the same: what is rendered for one of them serves the others."""

    language: str
    floor: Floor


def sees_numbers(viewer: Viewer) -> bool:
    """Whether the viewer may see whole telephone numbers."""
    return viewer.floor == Floor.OWN


def shown_number(number: str, *, viewer: Viewer) -> str:
    """A number as the viewer may see it, in the form the French write it.

    >>> shown_number("+33199001234", viewer=somebody_of_the_overflow_floor)
    '•• •• •• •• 34'
    """
    shown = show_number(number)
    return shown if sees_numbers(viewer) else mask_digits(shown)


def number_for_programs(number: str, *, viewer: Viewer) -> str:
    """A number as the viewer's program may have it: E.164 as stored, or masked."""
    return number if sees_numbers(viewer) else mask_digits(number)


def shown_text(text: str, *, viewer: Viewer) -> str:
    """A text that somebody typed, with the telephone numbers in it as the viewer may see them."""
    return text if sees_numbers(viewer) else mask_text(text)


def mask_digits(number: str) -> str:
    """The number with all digits but the last hidden; an internal extension as it is."""
    digits = sum(map(str.isdecimal, number))
    if digits <= LONGEST_EXTENSION:
        return number
    hidden = digits - DIGITS_LEFT
    shown = []
    for character in number:
        if character.isdecimal() and hidden > 0:
            hidden -= 1
            shown.append(HIDDEN)
        else:
            shown.append(character)
    return "".join(shown)


def mask_text(text: str) -> str:
    """The text with every telephone number in it hidden but for its end."""
    return _NUMBER_IN_TEXT.sub(lambda found: mask_digits(found.group()), text)


def searched_for(text: str, *, viewer: Viewer) -> str:
    """What may be searched for: a part of a number only by who may see numbers, else one could be guessed digit by digit."""
    digits = sum(map(str.isdecimal, text))
    is_number = digits > 0 and not any(map(str.isalpha, text))
    return "" if is_number and digits < SHORTEST_NUMBER and not sees_numbers(viewer) else text
