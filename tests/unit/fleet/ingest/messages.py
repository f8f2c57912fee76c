"""Messages for the tests of ingest."""

import json
from typing import Any

from fleet.contract import SAMPLE_FIELDS, Channel, topic
from fleet.ingest.packets import Arrivals
from fleet.ingest.terminals import Terminals

NOW_MS = 1_790_000_000_000
NAMES = [f"T{number:05}" for number in range(1, 6)]


def known() -> Terminals:
    return Terminals(NAMES)


def sample(seq: int = 1, at: int = NOW_MS, **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "at": at, **fields}


def full_sample(seq: int = 1) -> dict[str, Any]:
    return sample(seq) | {name: seq + place / 2 for place, name in enumerate(SAMPLE_FIELDS)}


def telemetry(*samples: dict[str, Any], boot: int = 7, **claims: Any) -> bytes:
    return json.dumps({"boot": boot, "samples": list(samples or [sample()]), **claims}).encode()


def arrivals(*messages: tuple[str, Channel, bytes]) -> Arrivals:
    """Messages as (terminal, channel, payload)."""
    return Arrivals(
        [topic(terminal, channel).encode() for terminal, channel, _ in messages],
        [payload for _, _, payload in messages],
        [number.to_bytes(2, "big") for number in range(1, len(messages) + 1)],
    )
