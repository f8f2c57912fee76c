"""The registry of the generated world: shops and terminals from a seed, as frames and as arrays."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulators.geography import DEPARTMENTS, OVERSEAS_TIMEZONES, RURAL_BELOW_THOUSANDS
from simulators.randomness import F64, choose, key_of, uniform_table
from simulators.shops import build_shops

I32 = NDArray[np.int32]

DIMENSIONS = ("department", "region", "model", "hw", "firmware", "access", "carrier", "lot", "agency")
SHOPS_PER_TERMINAL = 10_000 / 16_000

_MODELS = (("A", 33), ("B", 54), ("C", 13))
_LOTS = {"A": range(1, 9), "B": range(9, 21), "C": range(21, 25)}
_FIRMWARE = (("4.1.7", 13), ("4.2.1", 82), ("4.3.0", 5))
_CARRIERS = (("alpha", 36), ("beta", 27), ("gamma", 22), ("delta", 15))
_ACCESS = ("adsl", "fibre", "4g", "5g", "satellite")
_ACCESS_TOWN, _ACCESS_COUNTRY, _ACCESS_OVERSEAS = (27, 44, 21, 7, 1), (44, 19, 26, 3, 8), (38, 26, 30, 2, 4)


@dataclass(frozen=True, eq=False)
class World:
    """The registry as frames, and the same as arrays for what is computed each second.

    `shops` columns: code name department region agency timezone opening_hours phones (tuple of E.164) weight.
    `terminals` columns: terminal point_of_sale model hw firmware access carrier lot (strings).
    """

    seed: int
    shops: pd.DataFrame
    terminals: pd.DataFrame
    shop: I32  # (terminals,): row of the terminal's shop
    codes: Mapping[str, NDArray[np.int16]]  # dimension -> (terminals,): index into `levels[dimension]`
    levels: Mapping[str, tuple[str, ...]]  # dimension -> its values, sorted
    ids: tuple[str, ...]  # T00001... by row

    def __len__(self) -> int:
        """Count the terminals."""
        return len(self.ids)

    def in_scope(self, scope: Mapping[str, str]) -> I32:
        """Terminals (ascending) that match every `dimension = value`; an empty scope is the whole fleet."""
        inside = np.ones(len(self), bool)
        for dimension, value in scope.items():
            levels = self.levels[dimension]
            inside &= self.codes[dimension] == (levels.index(value) if value in levels else -1)
        return np.nonzero(inside)[0].astype(np.int32)

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """The row of each terminal id."""
        return {terminal: row for row, terminal in enumerate(self.ids)}

    def rows_of(self, terminals: Iterable[str]) -> I32:
        """Rows (ascending, each once) of terminal ids; a KeyError names one that is not in the world."""
        return np.unique(np.array([self.row_of[terminal] for terminal in terminals], np.int32))

    def write_csv(self, folder: Path) -> tuple[Path, Path]:
        """Write `points_of_sale.csv` and `terminals.csv` as `vigie registry import` reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        shops, terminals = folder / "points_of_sale.csv", folder / "terminals.csv"
        frame = self.shops.drop(columns="weight")
        frame["phones"] = ["|".join(phones) for phones in frame["phones"]]
        options: dict[str, Any] = {"index": False, "lineterminator": "\n", "quoting": csv.QUOTE_MINIMAL}
        frame.to_csv(shops, **options)
        self.terminals.to_csv(terminals, **options)
        return shops, terminals


def build_world(seed: int, terminals: int = 16_000, points_of_sale: int | None = None) -> World:
    """Make the world of `seed`: 10,000 shops for 16,000 terminals, in proportion for others."""
    shop_count = points_of_sale or max(1, round(terminals * SHOPS_PER_TERMINAL))
    if not 1 <= shop_count <= terminals <= 99_999:
        raise ValueError(f"{terminals} terminals in {shop_count} shops: every shop needs one, and ids have five digits")
    shops = build_shops(seed, shop_count)
    shop = _terminals_of_shops(seed, terminals, shop_count)
    frame = _build_terminals(seed, shops, shop)
    levels: dict[str, tuple[str, ...]] = {}
    codes: dict[str, NDArray[np.int16]] = {}
    for dimension in DIMENSIONS:
        values = frame[dimension] if dimension in frame else shops[dimension].iloc[shop]
        codes[dimension], levels[dimension] = _encoded(values)
    shop.flags.writeable = False
    return World(seed, shops, frame, shop, codes, levels, tuple(frame["terminal"]))


def _encoded(values: "pd.Series[Any]") -> tuple[NDArray[np.int16], tuple[str, ...]]:
    levels, inverse = np.unique(values.to_numpy(dtype=str), return_inverse=True)
    codes = inverse.astype(np.int16)
    codes.flags.writeable = False
    return codes, tuple(str(level) for level in levels)


def _terminals_of_shops(seed: int, terminals: int, shops: int) -> I32:
    """Return each terminal's shop: one to four a shop; the last shops give or take what is left over."""
    spare = terminals / shops - 1
    draws = uniform_table(key_of(seed, "terminals"), shops, 1)[:, 0]
    # At 0.6 spare terminals a shop: 58 % have one, 28 % two, 10 % three, 4 % four.
    edges = 1 - np.array([0.42, 0.14, 0.04]) * min(spare / 0.6, 2.2)
    counts = 1 + np.searchsorted(edges, draws, side="right")
    row = shops - 1
    while (off := terminals - int(counts.sum())) != 0:
        counts[row] = max(1, counts[row] + (1 if off > 0 else -1))
        row = (row - 1) % shops
    return np.repeat(np.arange(shops, dtype=np.int32), counts)


def _build_terminals(seed: int, shops: pd.DataFrame, shop: I32) -> pd.DataFrame:
    own = uniform_table(key_of(seed, "terminal"), len(shop), 6)
    line = uniform_table(key_of(seed, "line"), len(shops), 2)[shop]
    # A shop's terminals share its line, but one in twelve has a line of its own.
    line = np.where(own[:, :1] < 1 / 12, own[:, 1:3], line)
    model = choose(own[:, 3], [share for _, share in _MODELS])
    model_names = np.array([name for name, _ in _MODELS])[model]
    lot, hw = _lots(model_names, own[:, 4])
    return pd.DataFrame(
        {
            "terminal": [f"T{i:05d}" for i in range(1, len(shop) + 1)],
            "point_of_sale": shops["code"].to_numpy()[shop],
            "model": model_names,
            "hw": hw,
            "firmware": np.array([f for f, _ in _FIRMWARE])[choose(own[:, 5], [share for _, share in _FIRMWARE])],
            "access": _access(shops["department"].to_numpy()[shop], line[:, 0]),
            "carrier": np.array([c for c, _ in _CARRIERS])[choose(line[:, 1], [share for _, share in _CARRIERS])],
            "lot": lot,
        }
    )


def _lots(models: NDArray[np.str_], draw: F64) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return lot and hardware revision: a lot is of one model, its revision later the later the lot."""
    lots = np.empty(len(models), "U3")
    hw = np.empty(len(models), "U1")
    for model, numbers in _LOTS.items():
        (rows,) = np.nonzero(models == model)
        place = draw[rows] * len(numbers)
        lots[rows] = [f"L{numbers[int(p)]:02d}" for p in place]
        age = place.astype(int) / len(numbers)
        # A tenth of every lot came back from the workshop with the middle revision.
        hw[rows] = np.where(place % 1 < 0.1, "2", np.where(age < 0.4, "1", np.where(age < 0.7, "2", "3")))
    return lots, hw


def _access(departments: NDArray[Any], draw: F64) -> NDArray[Any]:
    """Return each terminal's access: fibre in town, copper, radio and satellite where people live apart."""
    rural = {d.code for d in DEPARTMENTS if d.thousands < RURAL_BELOW_THOUSANDS} - set(OVERSEAS_TIMEZONES)
    kind = np.array([2 if d in OVERSEAS_TIMEZONES else int(d in rural) for d in departments])
    access = np.empty(len(departments), "U9")
    for number, shares in enumerate((_ACCESS_TOWN, _ACCESS_COUNTRY, _ACCESS_OVERSEAS)):
        rows = kind == number
        access[rows] = np.array(_ACCESS)[choose(draw[rows], shares)]
    return access
