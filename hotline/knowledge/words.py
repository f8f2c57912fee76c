"""The words in which the console speaks of articles."""

from collections.abc import Mapping
from typing import Final

from hotline.knowledge.suggest import Why
from hotline.translations import mark as _

WHYS: Final[Mapping[Why, str]] = {
    Why.TERMINALS: _("because of %(detail)s"),
    Why.QUALIFIED: _("because of the typology chosen"),
    Why.NOTE: _("because of the note"),
    Why.WORDS: _("words of the note: %(detail)s"),
}

# What is wrong with a form, by the field that is refused.
REFUSALS: Final[Mapping[str, str]] = {
    "title": _("An article needs a title, in one language at least."),
    "body": _("An article needs a text, in one language at least."),
    "typologies": _("One of these typologies is not there any more."),
    "version": _("Somebody else saved while you wrote. Your text is kept below; saving again puts it in place of theirs."),
}
