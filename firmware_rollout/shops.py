"""The shops of a campaign: which are alike, and the wave of each.

Waves are drawn by shop, so that the terminals of one counter change together, by lot within strata and from a kept seed: the
same seed over the same shops gives the same waves. A shop that comes later draws its own lot, by its code.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from firmware_rollout.drawing import draw_in_strata
from fleet.database import Connection
from fleet.registry import Terminal

# As much of the past as the gate looks at.
CALLS_OF: Final = timedelta(days=28)
# Shops that did not ring in four weeks, that rang once or twice, and those that ring often.
_CALL_CLASSES: Final = (1, 3)


def calls_of_shops(conn: Connection, *, now: datetime) -> dict[str, int]:
    """How often each shop rang in the last four weeks; those that did not are left out."""
    rows = conn.execute(
        "SELECT t.point_of_sale, count(DISTINCT s.ref) FROM fleet.signal s JOIN fleet.terminal t ON t.id = s.terminal_id"
        " WHERE s.kind = 'call' AND s.at >= %(since)s AND s.at < %(now)s GROUP BY 1",
        {"since": now - CALLS_OF, "now": now},
    )
    return dict(rows.fetchall())


def strata_of_shops(terminals: Sequence[Terminal], calls: Mapping[str, int]) -> dict[str, str]:
    """The stratum of each of these terminals' shops: the models it has, its region, and how much it rings."""
    models: dict[str, set[str]] = {}
    regions: dict[str, str] = {}
    for one in terminals:
        models.setdefault(one.point_of_sale, set()).add(one.model)
        regions[one.point_of_sale] = one.region
    return {
        shop: f"{'+'.join(sorted(has))} | {regions[shop]} | {sum(calls.get(shop, 0) >= least for least in _CALL_CLASSES)}"
        for shop, has in sorted(models.items())
    }


def draw_waves(strata: Mapping[str, str], shares_pct: Sequence[float], *, seed: int) -> dict[str, int]:
    """The wave of each shop, from 1, given its stratum; the order that shops come in does not matter."""
    shops = sorted(strata)
    _, codes = np.unique([strata[shop] for shop in shops], return_inverse=True)
    return dict(zip(shops, draw_in_strata(codes.astype(np.int64), shares_pct, seed=seed).tolist(), strict=True))


def draw_late(shop: str, shares_pct: Sequence[float], *, seed: int) -> int:
    """The wave of a shop that came when the waves had been drawn: the same whenever it is asked."""
    lot = int.from_bytes(hashlib.sha256(f"{seed} {shop}".encode()).digest()[:8]) / 2**64
    return bisect_left(shares_pct, lot * 100) + 1
