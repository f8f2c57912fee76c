"""The shops and terminals of the generated world, from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

DIMENSIONS = ("department", "region", "model", "hw", "firmware", "access", "carrier", "lot", "agency")


@dataclass(frozen=True, eq=False)
class World:
    """The registry as frames, and the same as arrays for what is computed each second.

    `shops` columns: code name department region agency timezone opening_hours phones (tuple of E.164) weight.
    `terminals` columns: terminal point_of_sale model hw firmware access carrier lot (strings).
    """

    seed: int
    shops: pd.DataFrame
    terminals: pd.DataFrame
    shop: np.ndarray  # int32 (terminals,): row of the terminal's shop
    codes: Mapping[str, np.ndarray]  # dimension -> int16 (terminals,) index into `levels[dimension]`
    levels: Mapping[str, tuple[str, ...]]  # dimension -> its values, sorted
    ids: tuple[str, ...]  # T00001... by row

    def __len__(self) -> int:
        """Count the terminals."""
        return len(self.ids)

    def in_scope(self, scope: Mapping[str, str]) -> np.ndarray:
        """Terminals (int32, ascending) that match every `dimension = value`; an empty scope is the whole fleet."""
        raise NotImplementedError

    def rows_of(self, terminals: list[str]) -> np.ndarray:
        """Rows (int32) of terminal ids; a KeyError names one that is not in the world."""
        raise NotImplementedError

    def write_csv(self, folder: Path) -> tuple[Path, Path]:
        """Write `points_of_sale.csv` and `terminals.csv` as `vigie registry import` reads them."""
        raise NotImplementedError


def build_world(seed: int, terminals: int = 16_000, points_of_sale: int | None = None) -> World:
    """Make the world of `seed`: 10,000 shops for 16,000 terminals, in proportion for others."""
    raise NotImplementedError
