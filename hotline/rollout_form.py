"""Reads the form that makes a campaign: texts as people type them in; target, waves and policy out, or the field that is wrong."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from firmware_rollout.campaigns import HOME, CampaignError, Wave
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.policy import Policy, read_policy
from firmware_rollout.windows import Window
from fleet.errors import FieldError, VigieError
from fleet.registry import DIMENSIONS, Terminal
from fleet.scope import check_scope
from hotline.translations import mark as _
from hotline.words import DIMENSIONS as DIMENSION_LABELS

Read = TypeVar("Read")
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
    Figure("cap_in_flight", _("Updates under way at once, terminals at most"), "", whole=True),
    Figure("soak_minutes", _("Well for so long after its update"), "min"),
    Figure("deadline_hours", _("An update without proof has failed after"), "h"),
    Figure("max_attempts", _("Attempts, at most"), "", whole=True),
    Figure("backoff_minutes", _("Pause after the first failure; it doubles"), "min"),
    Figure("halt_failed_pct", _("Halt when of the updates more failed than"), "%"),
    Figure("halt_failed_least", _("and at least so many terminals"), "", whole=True),
    Figure("give_up_days", _("Wait for terminals that are away"), _("d")),
    Figure("least_days", _("See each wave through for at least"), _("d"), of_gate=True),
    Figure("least_updated_pct", _("and until of its terminals are updated"), "%", of_gate=True),
    Figure("longest_days", _("Undecided: halt after"), _("d"), of_gate=True),
    Figure("pace", _("Pace (1: in real time; more: compressed, for demonstrations)"), "×"),
)
# What each field that can be wrong is called, in the order of the page.
LABELS: Final[Mapping[str, str]] = {
    "name": _("Name"),
    "release": _("Release"),
    "where": _("Aims at"),
    **DIMENSION_LABELS,
    "shares_pct": _("Waves"),
    "wave": _("Waves"),
    "begins": _("Not before (time of Paris; may be left out)"),
    "window_from": _("Maintenance window"),
    **{one.name: one.label for one in FIGURES},
    "seed": _("Drawn with the seed"),
    "policy": _("How it is carried out"),
}
# Where each stands on the page.
PLACES: Final[Mapping[str, str]] = {
    **{field: field for field in LABELS},
    **{name: f"scope-{name}" for name in DIMENSION_LABELS},
    "where": f"scope-{DIMENSIONS[0]}",
    "wave": "shares_pct",
    "policy": FIGURES[0].name,
}
# So many values of a dimension are offered to choose from.
_MOST_OFFERED: Final = 300


class FormError(VigieError):
    """What is wrong with a form, by the names of its fields."""

    def __init__(self, wrong: Mapping[str, FieldError]) -> None:
        super().__init__("; ".join(map(str, wrong.values())))
        self.wrong = wrong


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


def read_form(form: Mapping[str, str], fleet: Sequence[Terminal]) -> Wanted:
    """Read it; raises `FormError` with every field that is wrong."""
    wrong: dict[str, FieldError] = {}
    policy = _followed(_typed_policy(form, wrong), wrong)
    where = {name: values for name in DIMENSIONS if (values := _values(form.get(name, "")))}
    for dimension, values in where.items():
        _kept(wrong, dimension, partial(check_scope, {dimension: values}, fleet))
    begins = _kept(wrong, "begins", lambda: _moment(form.get("begins", ""), HOME))
    seed = _kept(wrong, "seed", lambda: _seed(form.get("seed", "")))
    if not form.get("name", "").strip():
        wrong["name"] = CampaignError("name", "a campaign needs one")
    if wrong:
        raise FormError(wrong)
    assert seed is not None  # or it were wrong
    return Wanted(
        name=form.get("name", ""),
        release=form.get("release", ""),
        where=where,
        waves=[Wave(begins, share) for share in policy.shares_pct] if begins else [],
        policy=policy,
        seed=seed,
    )


def known_values(fleet: Sequence[Terminal]) -> dict[str, list[str]]:
    """What can be aimed at, by dimension."""
    return {name: sorted({getattr(one, name) for one in fleet})[:_MOST_OFFERED] for name in DIMENSIONS}


def figures_of(policy: Policy) -> dict[str, float]:
    """A policy's figures by the names of the form's fields."""
    return {one.name: float(getattr(policy.gate if one.of_gate else policy, one.name)) for one in FIGURES}


def field_of(error: FieldError) -> str:
    """The form's field that is wrong: a window is two of them, the gate's figures stand among the others."""
    field = error.field.removeprefix("gate.")
    if field.startswith("window"):
        return "window_from"
    return field if field in LABELS else "policy"


def _typed_policy(form: Mapping[str, str], wrong: dict[str, FieldError]) -> dict[str, Any]:
    """The policy as it was typed in; what cannot be read is noted, and the default's meanwhile."""
    policy: dict[str, Any] = msgspec.to_builtins(Policy())
    parts = form.get("shares_pct", "").replace(";", " ").replace("%", " ").split()
    shares = _kept(wrong, "shares_pct", lambda: [_number(share, "shares_pct") for share in parts])
    policy["shares_pct"] = policy["shares_pct"] if shares is None else shares
    for one in FIGURES:
        value = _kept(wrong, one.name, partial(_figure, form.get(one.name, ""), one))
        if value is not None:
            (policy["gate"] if one.of_gate else policy)[one.name] = value
    if form.get("any_time"):
        policy["window"] = None
    else:
        policy["window"]["local"] = [form.get("window_from", ""), form.get("window_until", "")]
    policy["cancel_on_halt"] = bool(form.get("cancel_on_halt"))
    return policy


def _followed(policy: dict[str, Any], wrong: dict[str, FieldError]) -> Policy:
    """The policy, if it can be followed; each field that is wrong is noted and the default's, so that the next one is found too."""
    default = msgspec.to_builtins(Policy())
    gate = {one.name for one in FIGURES if one.of_gate}
    while True:
        try:
            return read_policy(msgspec.json.encode(policy))
        except PolicyError as error:
            field = field_of(error)
            name = "window" if field == "window_from" else field
            stood, usual = (policy["gate"], default["gate"]) if name in gate else (policy, default)
            if name not in usual or stood[name] == usual[name]:
                raise FormError({**wrong, field: error}) from None
            wrong.setdefault(field, error)
            stood[name] = usual[name]


def _kept(wrong: dict[str, FieldError], field: str, read: Callable[[], Read]) -> Read | None:
    """What is read; None where it is wrong, which is noted."""
    try:
        return read()
    except FieldError as error:
        wrong[field] = error
        return None


def _figure(text: str, figure: Figure) -> float | int:
    value = _number(text, figure.name)
    if figure.whole and value != int(value):
        raise PolicyError(figure.name, "a whole number is needed")
    return int(value) if figure.whole else value


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
