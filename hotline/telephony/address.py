"""Where the exchange's manager interface is and who we are there: `ami://user:secret@host:5038`, `amis://` for TLS."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

PORTS = {"ami": 5038, "amis": 5039}


@dataclass(frozen=True)
class Address:
    """One manager account on one exchange."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    tls: bool


def read_address(url: str) -> Address:
    """Read the setting; `ValueError` says what is wrong with it, never its secret."""
    form = "must look like ami://user:secret@host:5038, or amis://… for TLS"
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(form) from None
    if parts.scheme not in PORTS or not parts.hostname or not parts.username or not parts.password or parts.path.strip("/"):
        raise ValueError(form)
    user, secret = unquote(parts.username), unquote(parts.password)
    # A line break would let a secret speak to the exchange.
    if not (user + secret).isprintable():
        raise ValueError("user and secret must be printable characters")
    return Address(parts.hostname, port or PORTS[parts.scheme], user, secret, tls=parts.scheme == "amis")
