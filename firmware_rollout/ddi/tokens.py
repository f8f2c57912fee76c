"""Who a device is: `Authorization: TargetToken …`, where the token follows from one secret key and the terminal's id.

Nothing is stored for each device: a token is known again, and one key changes them all.
"""

import hmac
from hashlib import sha256
from typing import Final

_SCHEME: Final = "TargetToken"
_DIGITS: Final = 32


def device_token(key: str, terminal_id: str) -> str:
    """The token of a terminal: the first 32 hexadecimal digits of HMAC-SHA256(key, id)."""
    return hmac.new(key.encode(), terminal_id.encode(), sha256).hexdigest()[:_DIGITS]


def is_from(authorization: str | None, terminal_id: str, key: str) -> bool:
    """Whether a request's `Authorization` header is this terminal's; in constant time."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    # Bytes, since a header may hold characters on which a comparison of texts raises.
    given, expected = token.strip().encode(), device_token(key, terminal_id).encode()
    return hmac.compare_digest(given, expected) and scheme.lower() == _SCHEME.lower()
