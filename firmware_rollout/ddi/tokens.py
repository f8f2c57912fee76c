"""Who a device is: `Authorization: TargetToken …`, where the token follows from one secret key and the terminal's id.

Nothing is stored for each device: a token is known again, and one key changes them all.
"""

import hmac
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

_SCHEME: Final = "TargetToken"
_DIGITS: Final = 32


def device_token(key: str, terminal_id: str) -> str:
    """The token of a terminal: the first 32 hexadecimal digits of HMAC-SHA256(key, id)."""
    return hmac.new(key.encode(), terminal_id.encode(), sha256).hexdigest()[:_DIGITS]


def write_tokens(file: Path, key: str, terminals: Iterable[str]) -> None:
    """Write the CSV `terminal,token`, readable by its owner only."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as content:
        content.write("terminal,token\n")
        content.writelines(f"{one},{device_token(key, one)}\n" for one in terminals)
    part.rename(file)


def is_from(authorization: str | None, terminal_id: str, key: str) -> bool:
    """Whether a request's `Authorization` header is this terminal's; in constant time."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    # Bytes, since a header may hold characters on which a comparison of texts raises.
    given, expected = token.strip().encode(), device_token(key, terminal_id).encode()
    return hmac.compare_digest(given, expected) and scheme.lower() == _SCHEME.lower()
