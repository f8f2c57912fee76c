"""Who is written down as having done something.

A person of the console stands under the login that a password proved. Who acts by the command line has only said a name: the
account of the machine is written beside it, so that one person in two names is seen.
"""

import re
from typing import Final

from fleet.errors import VigieError

# Who makes the demonstration's campaigns.
DEMO_MAKER: Final = "demonstration"
_AT_MACHINE: Final = re.compile(r"(.*) \[cli: ([^\[\]]+)\]", re.DOTALL)


def by_command(name: str, account: str) -> str:
    """How the command line's actor is written; `VigieError` where the name itself could pass for more than a name."""
    if "[" in name or "]" in name:
        raise VigieError(f"actor: {name!r}: a name without brackets")
    return f"{name.strip() or account} [cli: {account}]"


def person(actor: str) -> str:
    """The name alone."""
    found = _AT_MACHINE.fullmatch(actor)
    return found[1] if found else actor


def account(actor: str) -> str | None:
    """The account of the machine by which it was done; None: not by the command line."""
    found = _AT_MACHINE.fullmatch(actor)
    return found[2] if found else None
