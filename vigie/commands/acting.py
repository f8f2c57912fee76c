"""Who runs a command, for the audit: the name that was given, and always the account of this machine beside it."""

import os
import pwd
from contextlib import suppress
from pathlib import Path
from typing import Final

# Where the kernel keeps the account that signed in, whatever it became since by `sudo` or `su`.
_SIGNED_IN: Final = Path("/proc/self/loginuid")
_NOBODY_SIGNED_IN: Final = 2**32 - 1


def acting(name: str = "") -> str:
    """The actor to write down; `name` as given by `--by`, or empty."""
    from firmware_rollout.actors import by_command

    return by_command(name, account())


def account() -> str:
    """The account that runs this, and who became it: `root`, or `root/alix`; not from the environment, which anyone may set."""
    current = os.geteuid()
    signed_in = None
    with suppress(OSError, ValueError):
        signed_in = int(_SIGNED_IN.read_text())
    names = [_name(current)]
    if signed_in is not None and signed_in not in (current, _NOBODY_SIGNED_IN):
        names.append(_name(signed_in))
    return "/".join(names)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
