"""The console's keyboard shortcuts, as its list shows them; the scripts in `static` obey them.

Agents can switch all of them off: somebody who speaks to the computer, or whose hand slips, sets them off by accident.
"""

from typing import Final, NamedTuple

from hotline.translations import mark as _


class Shortcut(NamedTuple):
    """Keys that are held together, in order, and what they do."""

    keys: tuple[str, ...]
    does: str


SHORTCUTS: Final = (
    Shortcut(("Alt", "↓"), _("next call")),
    Shortcut(("Alt", "↑"), _("previous call")),
    Shortcut((_("Esc"),), _("put the call away")),
    Shortcut(("Alt", "S"), _("search")),
    Shortcut(("Alt", "Q"), _("qualify the call; then the digits choose")),
    Shortcut(("Alt", "P"), _("pass the caller on to level 2")),
    Shortcut(("Alt", "H"), _("on a campaign's page: halt it, with a reason")),
    Shortcut(("Alt", "B"), _("on a campaign's page: abort it, with a reason")),
    Shortcut(("?",), _("this list")),
)
