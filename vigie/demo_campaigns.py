"""How a demonstration's campaigns run: a day in a minute and a half.

A terminal sends in that time what it sends in a minute and a half, so the gate has a thousandth of a day's events. It halts
for anything it can see; to go on it asks for evidence only where there is some, and for less of it than in real days, of
which `vigie evaluate-gate` says how often the gate is right.
"""

from datetime import timedelta
from typing import Final

import msgspec

from firmware_rollout.gate.policy import DEFAULT_POLICY, Metric, Needed
from firmware_rollout.policy import Policy

PACE: Final = 960.0
# Until a fleet is connected, and has a little past to be compared with.
FIRST_AFTER: Final = timedelta(minutes=5)
# Errors of printers and scanners are many enough for evidence within a few minutes.
_FREQUENT: Final = (Metric.PRINTER_ERRORS, Metric.SCANNER_ERRORS)
_NEEDED: Final = (Needed(0.0, 0.02), Needed(5.0, 2.0), Needed(20.0, 5.0))
_GATE: Final = msgspec.structs.replace(
    DEFAULT_POLICY,
    metrics=tuple(
        msgspec.structs.replace(one, needed=_NEEDED if one.metric in _FREQUENT else ()) for one in DEFAULT_POLICY.metrics
    ),
    least_days=1.0,
)
# On the clock: half a minute well, six minutes for an update, a minute before another try.
COMPRESSED: Final = Policy(
    shares_pct=(0.5, 5.0, 20.0, 100.0),
    window=None,
    cap_in_flight=10_000,
    soak_minutes=480.0,
    deadline_hours=96.0,
    backoff_minutes=960.0,
    give_up_days=6.0,
    gate=_GATE,
    pace=PACE,
)
