"""The typologies that Vigie comes with, and what things of each kind may look like before any has been seen."""

import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from diagnostics.typologies.signature import BOUNDS, LARGEST_Z, METRICS, ONE_TERMINAL, WHOLE_FLEET, Signature


@dataclass(frozen=True, slots=True)
class Delivered:
    """One typology as delivered: names, descriptions and answers by language."""

    code: str
    name: Mapping[str, str]
    description: Mapping[str, str]
    answer: Mapping[str, str]
    signature: Signature
    notes: Sequence[str]


@lru_cache
def delivered() -> tuple[Delivered, ...]:
    """The typologies of delivered.toml, in its order."""
    text = (importlib.resources.files(__package__) / "delivered.toml").read_text(encoding="utf-8")
    return tuple(_read(entry) for entry in tomllib.loads(text)["typology"])


def _read(entry: Mapping[str, Any]) -> Delivered:
    def by_language(name: str) -> dict[str, str]:
        return {language: entry[f"{name}_{language}"] for language in ("fr", "en")}

    signature = Signature(entry["troubles"], entry["scope"], entry["z"], entry["events"])
    return Delivered(
        entry["code"], by_language("name"), by_language("description"), by_language("answer"), signature, tuple(entry["notes"])
    )


def variants(signature: Signature, typology: int, *, count: int, seed: int) -> list[Signature]:
    """What things of a typology may look like: drawn around its signature, some blocks unknown, events and calls often to come.

    Until enough real ones are kept, these are what a new thing's likeness is held against.
    """
    rng = np.random.default_rng(seed)
    return [_variant(signature, typology, rng) for _ in range(count)]


def _variant(signature: Signature, typology: int, rng: np.random.Generator) -> Signature:
    names = sorted(signature.troubles)
    weights = np.array([signature.troubles[name] for name in names]) ** 2
    trouble = names[int(rng.choice(len(names), p=weights / weights.sum()))] if names else None
    strength = float(np.exp(0.5 * rng.standard_normal()))
    z = {name: 0.8 * float(rng.standard_normal()) for name in rng.choice(METRICS, 4, replace=False).tolist()}
    for name, value in (signature.z or {}).items():
        z[name] = float(np.clip(value * strength * np.exp(0.4 * rng.standard_normal()), -LARGEST_Z, LARGEST_Z))
    events = {code: rate * float(np.exp(0.6 * rng.standard_normal())) for code, rate in (signature.events or {}).items()}
    # Calls come late: two things in three are judged before their first note.
    own = float(rng.uniform(0.6, 1.0)) if rng.random() < 0.35 or signature.told_by_calls else None
    return Signature(
        troubles={trouble: 1.0} if trouble else {},
        scope=_bounds(frozenset(signature.scope or ()), rng),
        z=None if trouble == "offline" and rng.random() < 0.5 else z,
        events=events if rng.random() < 0.5 else {},
        words=None if own is None else {typology: own},
    )


def _bounds(usual: frozenset[str], rng: np.random.Generator) -> frozenset[str]:
    """One to three dimensions, mostly the usual ones."""
    if usual & {WHOLE_FLEET, ONE_TERMINAL} and rng.random() < 1 / max(len(usual), 1):
        return usual & {WHOLE_FLEET, ONE_TERMINAL}
    dimensions = sorted(usual - {WHOLE_FLEET, ONE_TERMINAL}) or list(BOUNDS[:-2])
    found = set(rng.permutation(dimensions)[: 1 + int(rng.integers(2))].tolist())
    if rng.random() < 0.2:
        found.add(BOUNDS[int(rng.integers(len(BOUNDS) - 2))])
    return frozenset(found)
