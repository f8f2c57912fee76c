"""The generated shops: their names, places, hours, telephones and custom."""

from typing import Any

import numpy as np
import pandas as pd

from simulators.geography import DEPARTMENTS, agency_of_department, timezone_of
from simulators.randomness import F64, choose, key_of, normal_table, uniform_table

# Ranges that the French regulator reserves for fiction; each is followed by four digits.
FICTION_PREFIXES = ("+3319900", "+3326191", "+3335301", "+3346571", "+3353649", "+3363998")

_KINDS = ("Bar-tabac", "Tabac-presse", "Café", "Le", "Bar", "Brasserie", "Tabac", "Maison de la presse", "Bar PMU")
_SIGNS = (
    "Longchamp", "de la Gare", "du Centre", "des Sports", "de la Mairie", "du Marché", "Le Balto", "Le Celtique", "L'Hippodrome",
    "Le Jockey", "Le Quinté", "du Pont", "de la Poste", "des Halles", "Le Narval", "La Civette", "Le Cadran", "Le Diplomate",
    "Le Français", "de l'Église", "Le Rallye", "Le Trotteur", "La Cravache", "L'Étrier", "Le Paddock", "Le Tiercé", "Le Favori",
    "de la Place", "du Port", "des Amis", "Le Khédive", "Le Maryland", "Le Lutétia", "du Stade", "des Voyageurs", "Le Select",
    "Le Mistral", "La Rotonde", "Le Terminus", "L'Avenir", "Le Commerce", "Chez Lucienne", "Chez Marcel", "Chez Dédé", "Chez Nadia",
    "Chez Mohamed", "Chez Thi-Mai", "La Tabatière", "Le Brazza", "Le Vincennes",
)  # fmt: skip

# Opening hours by habit: (share of shops, hours). Local wall time, the subset of OSM syntax that the registry reads.
_HABITS: tuple[tuple[float, str], ...] = (
    (20, "Mo-Sa 06:30-20:00; Su 07:30-13:00"),
    (14, "Mo-Sa 07:00-20:00; Su 08:00-13:00"),
    (12, "Mo-Fr 06:30-20:30; Sa 07:00-20:00; Su 08:00-19:00"),
    (3, "Tu-Sa 07:00-20:00; Su 08:00-13:30"),
    (8, "Mo-Fr 06:00-21:00; Sa-Su 07:00-21:00"),
    (9, "Mo-Su 07:00-22:00"),
    (6, "Mo-Fr 07:00-12:30,13:30-19:30; Sa 07:30-12:30,14:30-19:00; Su 08:00-12:30"),
    (2, "Tu-Fr 07:00-12:00,13:30-19:30; Sa 07:30-19:30; Su 08:30-12:30"),
    (5, "Mo-Fr 06:30-19:30; Sa 07:00-19:00"),
    (5, "Mo-Sa 08:00-20:00; Su 09:00-20:00"),
    (4, "Mo 06:30-20:30; We-Su 06:30-20:30"),
    (4, "Mo-Tu 07:00-20:00; Th-Sa 07:00-20:00; Su 08:00-13:00"),
    (3, "Mo-Th 07:00-22:00; Fr-Sa 07:00-23:30; Su 09:00-20:00"),
    (3, "Mo-Su 06:00-23:00"),
    (2, "Mo-Sa 10:00-23:45; Su 11:00-22:00"),
)

# A twentieth has no telephone on file, a tenth a second one.
_PHONE_COUNTS = (5, 85, 10)
_SHARED_PHONE_SHARE = 0.015


def build_shops(seed: int, count: int) -> pd.DataFrame:
    """Make the shops; the columns are those of `World.shops`."""
    draws = uniform_table(key_of(seed, "shops"), count, 8)
    place = choose(draws[:, 0], [d.thousands for d in DEPARTMENTS])
    departments = [DEPARTMENTS[p] for p in place]
    agency = agency_of_department()
    codes = [d.code for d in departments]
    weight = np.exp(normal_table(key_of(seed, "weights"), count, 1)[:, 0] * 0.5 - 0.125)
    return pd.DataFrame(
        {
            "code": [f"P{i:05d}" for i in range(1, count + 1)],
            "name": _names(draws[:, 1:3]),
            "department": codes,
            "region": [d.region for d in departments],
            "agency": [agency[code] for code in codes],
            "timezone": [timezone_of(code) for code in codes],
            "opening_hours": np.array([hours for _, hours in _HABITS])[choose(draws[:, 3], [s for s, _ in _HABITS])],
            "phones": _phones(seed, draws[:, 4:7]),
            "weight": weight.astype(np.float32),
        }
    )


def _names(draws: F64) -> list[str]:
    kinds, signs = choose(draws[:, 0], np.ones(len(_KINDS))), choose(draws[:, 1], np.ones(len(_SIGNS)))
    return [_name(_KINDS[k], _SIGNS[s]) for k, s in zip(kinds, signs, strict=True)]


def _name(kind: str, sign: str) -> str:
    if kind == "Le":
        return sign if sign[0].isupper() and sign != "Longchamp" else f"Le Relais {sign}"
    return f"{kind} {sign}"


def _phones(seed: int, draws: F64) -> list[tuple[str, ...]]:
    """Give each shop its own numbers out of one shuffle; a few take their predecessor's (two shops, one owner)."""
    shuffled: Any = np.random.Generator(np.random.PCG64(key_of(seed, "phones"))).permutation(60_000)
    wanted = choose(draws[:, 0], _PHONE_COUNTS)
    phones: list[tuple[str, ...]] = []
    before = ""
    for row, number in enumerate(wanted):
        own = tuple(_phone(int(shuffled[(2 * row + j) % 60_000])) for j in range(number))
        if own and before and draws[row, 1] < _SHARED_PHONE_SHARE:
            own = (before, *own[1:])
        before = own[0] if own else before
        phones.append(own)
    return phones


def _phone(index: int) -> str:
    return f"{FICTION_PREFIXES[index // 10_000]}{index % 10_000:04d}"


def unlisted_phones(seed: int) -> list[str]:
    """Return a thousand fictional numbers that no shop of this world has on file (for up to 29,500 shops)."""
    shuffled: Any = np.random.Generator(np.random.PCG64(key_of(seed, "phones"))).permutation(60_000)
    return [_phone(int(index)) for index in shuffled[-1000:]]
