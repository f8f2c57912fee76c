"""The lines of Asterisk's manager interface: messages of `Key: value` lines, ended by an empty one. Pure.

The stream may be cut anywhere and hold anything: bytes that are no UTF-8, keys twice, lines without a colon. What can be
read is; only a message that never ends is an error, since it would eat the memory.
"""

from collections.abc import Mapping

from fleet.errors import VigieError

Message = Mapping[str, str]

# Asterisk's own events stay below 8 KiB; a list of variables can make them longer.
LONGEST_MESSAGE = 256 * 1024
GREETING = "Asterisk Call Manager"


class AmiError(VigieError):
    """The exchange cannot be understood, or refused us; the text says why, in the exchange's own words where it gave any."""


class Parser:
    """Puts messages together from whatever pieces the connection delivers."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}
        self._size = 0

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete.

        Raises:
            AmiError: a message is longer than any that Asterisk sends.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        complete = [message for line in lines if (message := self._line(line.removesuffix(b"\r")))]
        if self._size + len(self._rest) > LONGEST_MESSAGE:
            raise AmiError(f"a message is longer than {LONGEST_MESSAGE} bytes")
        return complete

    def _line(self, line: bytes) -> Message | None:
        """Take in one line; the message, where the line ends one."""
        if not line:
            message, self._fields, self._size = self._fields, {}, 0
            return message or None
        self._size += len(line)
        key, colon, value = line.decode(errors="replace").partition(":")
        if colon:
            # A key that comes twice (variables do) counts by its first value.
            self._fields.setdefault(key.strip(), _clean(value))
        return None


def encode(action: str, **fields: str) -> bytes:
    """One action for the exchange."""
    lines = [f"Action: {action}", *(f"{key}: {value}" for key, value in fields.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _clean(value: str) -> str:
    """Without what no database column takes; Asterisk writes `<unknown>` where it knows nothing."""
    text = "".join(character for character in value if character.isprintable()).strip()
    return "" if text == "<unknown>" else text
