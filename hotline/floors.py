"""The hotline's two floors: our own, and the outsourced one that takes what overflows."""

from enum import StrEnum


class Floor(StrEnum):
    """Where an agent sits."""

    OWN = "own"
    OVERFLOW = "overflow"
