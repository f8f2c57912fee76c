"""What distinguishes one terminal from the next for life: its line, its shop's custom, its hardware's mood."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fleet.contract import SAMPLE_FIELDS
from simulators.geography import MAINLAND_TIMEZONE
from simulators.randomness import F32, choose, key_of, normal_table, uniform_table
from simulators.world import World

COLUMN = {name: position for position, name in enumerate(SAMPLE_FIELDS)}

# By access: median round trip ms, its relative spread, median loss %, radio (weather and signal matter).
_ACCESS = {
    "fibre": (11.0, 0.20, 0.02, 0.0),
    "adsl": (34.0, 0.25, 0.04, 0.0),
    "4g": (52.0, 0.22, 0.22, 1.0),
    "5g": (24.0, 0.22, 0.14, 0.8),
    "satellite": (610.0, 0.05, 0.35, 1.6),
}
# Farther from the central system than the mainland: added to every round trip, ms.
OVERSEAS_RTT_MS = 135.0
# By model: free memory MB, free storage MB, own transaction time ms, idle load %, board above ambient in C.
_MODELS = {
    "A": (190.0, 1900.0, 330.0, 19.0, 17.0),
    "B": (640.0, 7200.0, 190.0, 9.0, 12.0),
    "C": (410.0, 3800.0, 240.0, 13.0, 15.0),
}
# An average terminal sells this many tickets in an average open hour.
TICKETS_PER_HOUR = 26.0


class Temperament(NamedTuple):
    """Constants of each terminal; every row of the float32 array (fields, terminals), in this order."""

    tickets_per_s: F32
    race_share: F32  # of its custom, the part that follows the races
    log_rtt: F32
    log_loss: F32
    radio: F32
    signal_dbm: F32  # NaN on a fixed line
    tx_ms: F32
    cpu_pct: F32
    mem_mb: F32
    disk_mb: F32
    board_c: F32
    head_c: F32
    clock_ms: F32
    print_error_rate: F32  # per ticket
    scan_error_rate: F32  # per slip
    refill_pct: F32  # the shopkeeper changes the roll below this


def temperaments(world: World, seed: int) -> F32:
    """Draw every terminal's constants: float32 (len(Temperament._fields), terminals)."""
    n = len(world)
    z = normal_table(key_of(seed, "temperament"), n, 14).T
    access = _by_level(world, "access", _ACCESS)
    model = _by_level(world, "model", _MODELS)
    overseas = (world.shops["timezone"] != MAINLAND_TIMEZONE).to_numpy()[world.shop]
    satellite = access[0] > 500
    rtt = access[0] * np.exp(access[1] * z[0]) + np.where(overseas & ~satellite, OVERSEAS_RTT_MS, 0)
    custom = world.shops["weight"].to_numpy()[world.shop] * _share_in_shop(world, seed)
    return np.stack(
        [
            custom * TICKETS_PER_HOUR / 3600,
            np.clip(0.6 + 0.15 * z[2], 0.1, 0.95),
            np.log(rtt),
            np.log(access[2]) + 0.4 * z[3],
            access[3],
            np.where(access[3] > 0, np.clip(-82 + 8 * z[4], -108, -58), np.nan),
            model[2] * np.exp(0.10 * z[5]),
            model[3] * np.exp(0.12 * z[6]),
            model[0] * np.exp(0.06 * z[7]),
            model[1] * np.exp(0.10 * z[8]),
            model[4] + 2.0 * z[9],
            6.0 + 2.0 * z[10],
            40.0 * z[11],
            0.0012 * np.exp(0.8 * z[12] - 0.32),
            0.012 * np.exp(0.6 * z[13] - 0.18),
            uniform_table(key_of(seed, "refill"), n, 1)[:, 0] * 6 + 1.5,
        ]
    ).astype(np.float32)


def _by_level(world: World, dimension: str, figures: Mapping[str, tuple[float, ...]]) -> F32:
    table = np.array([figures[level] for level in world.levels[dimension]], np.float32)
    looked_up: F32 = table[world.codes[dimension]].T
    return looked_up


def _share_in_shop(world: World, seed: int) -> F32:
    """Return what a terminal sells against the average: one beside the till sells more than its neighbour in the corner."""
    place = choose(uniform_table(key_of(seed, "counter"), len(world), 1)[:, 0], (2, 5, 3))
    share: F32 = np.array([0.55, 1.0, 1.3], np.float32)[place]
    return share
