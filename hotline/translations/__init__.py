"""The console's words: English in the code, French in `fr.po`, compiled in memory when the program starts.

`mark` notes a text for translation where it is declared; it is looked up where it is shown.
"""

import gettext
import importlib.resources
import io
from collections.abc import Mapping
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES: Final = ("fr", "en")
DEFAULT: Final = "fr"


def mark(text: str) -> str:
    """The text itself: extraction sees that it is to be translated."""
    return text


def load() -> Mapping[str, gettext.NullTranslations]:
    """Translations by language; English is the code's own."""
    catalogue = importlib.resources.files(__package__) / "fr.po"
    compiled = io.BytesIO()
    with catalogue.open("rb") as source:
        write_mo(compiled, read_po(source, locale="fr"))
    compiled.seek(0)
    return {"fr": gettext.GNUTranslations(compiled), "en": gettext.NullTranslations()}


def preferred(accept_language: str) -> str:
    """The first of our languages that a browser's `Accept-Language` asks for."""
    for part in accept_language.split(","):
        language = part.split(";")[0].strip().lower()[:2]
        if language in LANGUAGES:
            return language
    return DEFAULT
