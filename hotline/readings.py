"""Samples as people and programs read them: the feed's arrays become times and named figures, unmeasured ones left out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.clock import from_ms
from fleet.contract import SAMPLE_FIELDS

# Samples are stored as single-precision figures; more digits than this are noise of that.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample; `figures` holds what was measured."""

    terminal_id: str
    at: datetime
    received_at: datetime
    boot: int
    seq: int
    figures: Mapping[str, float]


def readings(samples: NDArray[np.void]) -> list[Reading]:
    """Rows of `fleet.feed.SAMPLE_DTYPE`, in their order."""
    return [
        Reading(
            terminal_id=terminal.decode(),
            at=from_ms(at),
            received_at=from_ms(received_at),
            boot=boot,
            seq=seq,
            figures={
                name: float(f"{value:.{_DIGITS}g}")
                for name, value in zip(SAMPLE_FIELDS, values, strict=True)
                if not math.isnan(value)
            },
        )
        for terminal, at, received_at, boot, seq, values in _rows(samples)
    ]


def _rows(samples: NDArray[np.void]) -> list[tuple[Any, ...]]:
    columns = [samples[name].tolist() for name in ("terminal", "at", "received_at", "boot", "seq", "values")]
    return list(zip(*columns, strict=True))
