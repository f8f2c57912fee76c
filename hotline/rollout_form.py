"""Reads the form that makes a campaign: texts as people type them in; target, waves and policy out, or the field that is wrong."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from firmware_rollout.campaigns import HOME, CampaignError, Wave
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.policy import Policy, read_policy
from firmware_rollout.windows import Window
from fleet.registry import DIMENSIONS
from hotline.translations import mark as _

_SEEDS: Final = 1_000_000
_LARGEST: Final = 1e9


class Figure(NamedTuple):
    """A figure of the policy: its label and unit; `of_gate`: it is the gate's."""

    name: str
    label: str
    unit: str
    whole: bool = False
    of_gate: bool = False


FIGURES: Final = (
    Figure("cap_in_flight", _("Updates under way at once, at most"), _("terminals"), whole=True),
    Figure("soak_minutes", _("Well for so long after its update"), "min"),
    Figure("deadline_hours", _("An update without proof has failed after"), "h"),
    Figure("max_attempts", _("Attempts, at most"), "", whole=True),
    Figure("backoff_minutes", _("Pause after the first failure; it doubles"), "min"),
    Figure("halt_failed_pct", _("Halt when of the updates more failed than"), "%"),
    Figure("halt_failed_least", _("and at least"), _("terminals"), whole=True),
    Figure("give_up_days", _("Wait for terminals that are away"), _("days")),
    Figure("least_days", _("See each wave through for at least"), _("days"), of_gate=True),
    Figure("least_updated_pct", _("and until of its terminals are updated"), "%", of_gate=True),
    Figure("longest_days", _("Undecided: halt after"), _("days"), of_gate=True),
    Figure("pace", _("Pace (1: in real time; more: compressed, for demonstrations)"), "×"),
)
_FIELDS: Final = frozenset({"name", "release", "where", "wave", "shares_pct", "begins", "seed", *(one.name for one in FIGURES)})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form asks for."""

    name: str
    release: str
    where: dict[str, list[str]]
    waves: list[Wave]
    policy: Policy
    seed: int


def suggested(language: str) -> dict[str, str]:
    """What the form shows before anything is typed: the default policy as the language writes figures, and a lot of its own."""
    policy, window = Policy(), Window()

    def told(value: float) -> str:
        return f"{value:g}".replace(".", "," if language == "fr" else ".")

    return {
        **{name: told(value) for name, value in figures_of(policy).items()},
        "shares_pct": " ".join(map(told, policy.shares_pct)),
        "window_from": window.local[0],
        "window_until": window.local[1],
        "seed": str(secrets.randbelow(_SEEDS)),
    }


def read_form(form: Mapping[str, str]) -> Wanted:
    """Read it; raises `CampaignError` or `PolicyError` by the name of the field."""
    policy = msgspec.to_builtins(Policy())
    shares = [_number(share, "shares_pct") for share in form.get("shares_pct", "").replace(";", " ").replace("%", " ").split()]
    policy["shares_pct"] = shares
    for one in FIGURES:
        value = _number(form.get(one.name, ""), one.name)
        if one.whole and value != int(value):
            raise PolicyError(one.name, "a whole number is needed")
        (policy["gate"] if one.of_gate else policy)[one.name] = int(value) if one.whole else value
    if form.get("any_time"):
        policy["window"] = None
    else:
        policy["window"]["local"] = [form.get("window_from", ""), form.get("window_until", "")]
    policy["cancel_on_halt"] = bool(form.get("cancel_on_halt"))
    read = read_policy(msgspec.json.encode(policy))
    begins = _moment(form.get("begins", ""), HOME)
    return Wanted(
        name=form.get("name", ""),
        release=form.get("release", ""),
        where={name: values for name in DIMENSIONS if (values := _values(form.get(name, "")))},
        waves=[Wave(begins, share) for share in read.shares_pct] if begins else [],
        policy=read,
        seed=_seed(form.get("seed", "")),
    )


def figures_of(policy: Policy) -> dict[str, float]:
    """A policy's figures by the names of the form's fields."""
    return {one.name: float(getattr(policy.gate if one.of_gate else policy, one.name)) for one in FIGURES}


def field_of(error: CampaignError | PolicyError) -> str:
    """The form's field that is wrong: a window is two of them, the gate's figures stand among the others."""
    field = error.field.removeprefix("gate.")
    if field.startswith("window"):
        return "window_from"
    return field if field in _FIELDS else "policy"


def _values(text: str) -> list[str]:
    """A dimension's values as people type them, `2, 3`: any one of them will do."""
    return [value.strip() for value in text.split(",") if value.strip()]


def _number(text: str, field: str) -> float:
    """A figure as people type it, with a comma or a point."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        raise PolicyError(field, "'%(text)s' is no number", text=text.strip()) from None
    if not abs(value) <= _LARGEST:
        raise PolicyError(field, "'%(text)s' is too large", text=text.strip())
    return value


def _seed(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) <= 12):
        raise CampaignError("seed", "'%(text)s' is no whole number of at most 12 digits", text=text.strip())
    return int(text)


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    """A local date and time as the browser's field gives it; None where it was left empty."""
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        raise CampaignError("begins", "a date and a time are needed, or nothing") from None
