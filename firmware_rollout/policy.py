"""How a campaign is carried out: shares, windows, caps, soak, retries, and its gate.

A policy is kept with its campaign as JSON. One that cannot be read stops the campaign: it is refused by the name of its field.
"""

import re
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import msgspec

from firmware_rollout.gate.policy import DEFAULT_POLICY, GatePolicy, MetricPolicy, Needed, PolicyError, check_policy
from firmware_rollout.windows import Window, WindowError, check_window

DAY: Final = timedelta(days=1)
# What terminals say comes late, and is rolled up later: a period is judged when so much time of the campaign has passed since.
SETTLE: Final = timedelta(minutes=15)
# A terminal reports every half minute at best, however compressed the campaign's time.
SETTLE_AT_LEAST: Final = timedelta(seconds=45)
# Beyond these no figure is meant, and times reckoned with them end where calendars do: a mistyped one is refused by its name.
_AT_MOST: Final = {
    "cap_in_flight": 1_000_000,
    "deadline_hours": 8_760,
    "max_attempts": 10,
    "backoff_minutes": 10_080,
    "give_up_days": 3_650,
    "halt_failed_least": 1_000_000,
    # A day in 30 seconds: below, a period is over before the last one has settled.
    "pace": 2_880,
}
_SLOWEST: Final = 0.1
# As the reader of JSON says it.
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.+)`")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it; durations are of a campaign's time, which runs `pace` times as fast as the clock.

    `shares_pct`: how many percent of the shops each wave and those before it reach.
    `window`: when a terminal may be updated; None: at any moment, its shop open or not (demonstrations).
    `cap_in_flight`: so many terminals at most are asked to update at once.
    `soak_minutes`: so long a terminal has to be well, without a break, on its new firmware.
    `deadline_hours`: an update without proof by then has failed; a terminal that is not well by then, too.
    `max_attempts`, `backoff_minutes`: how often it is tried, and the pause after the first failure; each further
    one is twice as long.
    `halt_failed_pct`, `halt_failed_least`: the campaign halts when of the terminals whose update came to an end more than so many
    percent failed, and at least so many. Health is for the gate; this is for updates that don't install.
    `cancel_on_halt`: a halt by a person also asks terminals to stop that have fetched their update; a halt for harm always does.
    `give_up_days`: what was never connected so long after the last wave began has failed.
    """

    shares_pct: tuple[float, ...] = (0.5, 2.0, 5.0, 15.0, 40.0, 95.0, 100.0)
    window: Window | None = Window()
    cap_in_flight: int = 500
    soak_minutes: float = 120.0
    deadline_hours: float = 24.0
    max_attempts: int = 3
    backoff_minutes: float = 60.0
    halt_failed_pct: float = 10.0
    halt_failed_least: int = 10
    cancel_on_halt: bool = False
    give_up_days: float = 30.0
    gate: GatePolicy = DEFAULT_POLICY
    pace: float = 1.0

    @property
    def soak(self) -> timedelta:
        """How long a terminal has to be well, on the clock."""
        return timedelta(minutes=self.soak_minutes) / self.pace

    @property
    def deadline(self) -> timedelta:
        """How long an update, or getting well after it, may take, on the clock."""
        return timedelta(hours=self.deadline_hours) / self.pace

    @property
    def period(self) -> timedelta:
        """A day of the campaign, on the clock: what the gate counts and judges at a time."""
        return DAY / self.pace

    @property
    def settle(self) -> timedelta:
        """How long after a period's end it is judged, on the clock."""
        return max(SETTLE / self.pace, SETTLE_AT_LEAST)

    @property
    def give_up(self) -> timedelta:
        """How long after the last wave's beginning one waits for terminals that are away, on the clock."""
        return timedelta(days=self.give_up_days) / self.pace

    def backoff(self, failures: int) -> timedelta:
        """The pause after so many failed attempts (from 1), on the clock."""
        return timedelta(minutes=self.backoff_minutes * 2.0 ** (failures - 1)) / self.pace


def read_policy(json: bytes | str) -> Policy:
    """Read a policy from JSON; what is left out is the default's. Raises `PolicyError`."""
    try:
        policy = msgspec.json.decode(json, type=Policy)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        field = where.rstrip("`") or "policy"
        if unknown := _UNKNOWN.fullmatch(what):
            raise PolicyError(field, "has no field %(name)s; known: %(known)s", name=unknown[1], known=_fields_of(field)) from None
        raise PolicyError(field, what) from None
    except msgspec.DecodeError as error:
        raise PolicyError("policy", "is no JSON: %(error)s", error=error) from None
    check(policy)
    return policy


def _fields_of(where: str) -> list[str]:
    """What stands in a part of a policy, named as errors name it: `gate.metrics[2].needed[0]`."""
    parts = {"gate": GatePolicy, "metrics": MetricPolicy, "needed": Needed, "window": Window}
    return list(parts.get(where.rpartition(".")[2].partition("[")[0], Policy).__struct_fields__)


def written(policy: Policy) -> str:
    """The policy as JSON, every field of it: a later release's other defaults don't change a campaign."""
    return msgspec.json.encode(policy).decode()


def indented(policy: Policy) -> str:
    """The same as people read and change it."""
    return msgspec.json.format(written(policy), indent=2)


def changed(policy: Policy, **fields: Any) -> Policy:
    """A policy with other values in some fields; raises `PolicyError`."""
    return read_policy(written(msgspec.structs.replace(policy, **fields)))


def check(policy: Policy) -> None:
    """Raise `PolicyError`, naming the field, unless the policy can be followed."""
    shares = policy.shares_pct
    if not shares or shares[0] <= 0 or shares[-1] != 100 or any(b <= a for a, b in pairwise(shares)):
        raise PolicyError("shares_pct", "rise from above 0 to 100, for example 0.5, 2, 5, 15, 40, 95, 100")
    for name in ("cap_in_flight", "deadline_hours", "max_attempts", "pace", "give_up_days", "halt_failed_least"):
        if getattr(policy, name) <= 0:
            raise PolicyError(name, "must be above 0")
    for name in ("soak_minutes", "backoff_minutes"):
        if getattr(policy, name) < 0:
            raise PolicyError(name, "must not be below 0")
    for name, most in _AT_MOST.items():
        if getattr(policy, name) > most:
            raise PolicyError(name, "must be at most %(most)s", most=most)
    if policy.pace < _SLOWEST:
        raise PolicyError("pace", "must be at least %(least)s", least=_SLOWEST)
    if policy.soak >= policy.deadline:
        raise PolicyError("soak_minutes", "must be shorter than deadline_hours: nobody could be well for so long in time")
    if not 0 < policy.halt_failed_pct <= 100:
        raise PolicyError("halt_failed_pct", "is above 0 and at most 100")
    if policy.window is not None:
        try:
            check_window(policy.window)
        except WindowError as error:
            raise PolicyError(f"window.{error.field}", error.pattern, **error.known) from None
    check_policy(policy.gate)
