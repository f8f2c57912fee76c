"""Finds every text to translate: marked in the code, used in the templates. Tests hold the French catalogue to it."""

import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel.messages.extract import extract_from_dir

import firmware_rollout
import fleet
import hotline

# The second argument of each of these is shown to people: what is wrong with a field, as a pattern.
ERRORS: Final = ("CampaignError", "PolicyError", "ReleaseError", "ScopeError", "WindowError")


def messages() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Each text (a pair for singular and plural) with the file and line it stands in."""
    for package in (hotline, firmware_rollout, fleet):
        with importlib.resources.as_file(importlib.resources.files(package)) as folder:
            found = extract_from_dir(
                Path(folder),
                method_map=[("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")],
                options_map={"**/templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}},
                keywords={"_": None, "gettext": None, "ngettext": (1, 2), **dict.fromkeys(ERRORS, (2,))},
            )
            for file, line, message, _comments, _context in found:
                yield f"{package.__name__}/{file}:{line}", message
