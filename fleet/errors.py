"""The one root of Vigie's errors: what is raised on purpose is a `VigieError`, shown to people as a sentence, not a traceback."""


class VigieError(Exception):
    """Something Vigie can name: its text says what is wrong, where, and what to do."""


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
