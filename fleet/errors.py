"""The one root of Vigie's errors: what is raised on purpose is a `VigieError`, shown to people as a sentence, not a traceback."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum


class VigieError(Exception):
    """Something Vigie can name: its text says what is wrong, where, and what to do."""


class FieldError(VigieError):
    """A value cannot be taken: `field` names it, and `pattern` says in English what is wrong, with `known` put in.

    Who speaks to people in another language has the pattern translated; each pattern therefore stands in full where it is raised.
    """

    def __init__(self, field: str, pattern: str, /, **known: object) -> None:
        self.field, self.pattern, self.known = field, pattern, known
        super().__init__(f"{field}: {self.said(str, _in_english)}")

    def said(self, translate: Callable[[str], str], shown: Callable[[object], str]) -> str:
        """What is wrong: the pattern by `translate`, and each of its values by `shown`."""
        # Without values it is no pattern: what others have said may hold percent signs.
        pattern = translate(self.pattern)
        return pattern % {name: shown(value) for name, value in self.known.items()} if self.known else pattern


class ContractError(VigieError):
    """A message or topic breaks the MQTT contract; `reason` is the dead letter's reason code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class RegistryError(VigieError):
    """The registry files cannot be imported; `problems` lists every fault found, nothing was stored."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _in_english(value: object) -> str:
    match value:
        case int() | float():
            return f"{value:,}" if isinstance(value, int) else f"{value:,g}"
        case StrEnum():
            # As commands and their options are called.
            return value.replace("_", "-")
        case datetime():
            return f"{value:%Y-%m-%d}"
        case list() | tuple():
            return ", ".join(map(_in_english, value)) or "none"
    return str(value)
