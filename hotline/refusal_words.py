"""What is wrong with a field of the rollout's forms and deeds, in the reader's language: the error's own pattern, translated."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from babel.dates import format_date

from diagnostics.plot_axes import number
from firmware_rollout.deeds import Deed
from firmware_rollout.states import CampaignState
from fleet.errors import FieldError, VigieError
from hotline.rollout_words import DEEDS, REFUSALS, STATES
from hotline.translations import mark as _
from hotline.words import Translate

# Here the general word says all there is to say.
_SAID_ALREADY: Final = frozenset({"why", "actor", "older", "untouched"})
_NONE: Final = _("none")


def finding(error: VigieError, *, translate: Translate, language: str) -> str:
    """Exactly what is wrong; what only the server's operator can set right is said as it was raised."""
    if not isinstance(error, FieldError):
        return str(error)

    def shown(value: object) -> str:
        match value:
            case int() | float():
                return number(value, language=language)
            case datetime():
                return format_date(value, "long", locale=language)
            case StrEnum():
                return translate(_word(value))
            case str():
                return value
            case Sequence():
                return ", ".join(map(shown, value)) or translate(_NONE)
        return str(value)

    said = error.said(translate, shown)
    return said[:1].upper() + said[1:]


def refused(error: VigieError, *, translate: Translate, language: str) -> str:
    """What cannot be done, and exactly why."""
    general = REFUSALS.get(faulty_field(error))
    if general is None:
        return finding(error, translate=translate, language=language)
    if faulty_field(error) in _SAID_ALREADY:
        return translate(general)
    return f"{translate(general)} {finding(error, translate=translate, language=language)}"


def faulty_field(error: VigieError) -> str:
    """What is wrong: the field that the error names, the settings, or else the file, which could not be kept."""
    if isinstance(error, FieldError):
        return error.field
    return "settings" if str(error).startswith("settings:") else "file"


def _word(value: StrEnum) -> str:
    if isinstance(value, CampaignState):
        return STATES[value]
    return DEEDS[value] if isinstance(value, Deed) else str(value)
