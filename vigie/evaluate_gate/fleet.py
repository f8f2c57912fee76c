"""The fleet that campaigns are tried on: how often each shop's terminals have which trouble, and its shopkeeper rings.

Custom, opening hours, models, regions, error rates and their spread from terminal to terminal are those of the simulated world
(`simulators`), which the whole house is tried on. What a campaign of weeks meets beside that, and a scenario of hours does not, is
added here and in `days`, and never makes it easier: terminals that crash far more often than others, shopkeepers who ring far more
often, lines that fail, holidays.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware_rollout.gate.policy import Metric
from simulators.opening import parse_hours
from simulators.races import WEEKDAY_CUSTOM
from simulators.temperament import Temperament, temperaments
from simulators.world import World, build_world
from vigie.evaluate_gate.cases import MODEL_OF, SHOPS_OF, Target

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# From simulators.signals: slips read a ticket; unanswered transactions a ticket at no packet loss, and the mean of what a packet
# loss of the moment is to a line's own.
SCANS_PER_TICKET: Final = 0.66
TIMEOUTS_PER_TICKET: Final = 0.0008
LOSS_MEAN_FACTOR: Final = float(np.exp((0.5**2 + 0.6**2) / 2))
# From simulators.mishaps: a terminal a day.
CRASHES_PER_DAY: Final = 0.006
POWER_LOSSES_PER_DAY: Final = 0.003
# The mean of simulators.callers.CALLS_A_DAY, less those that `days` adds: who rings again, and who rings about an outage.
CALLS_PER_DAY: Final = 855.0
_FIRST_SHARE: Final = 0.92
# Beside the world's: crashes come from few terminals (gamma of shape 1/2: a tenth of them has nearly half), calls from few shops.
CRASH_SHAPE: Final = 0.5
CALLER_SPREAD: Final = 0.6
# Thirds of the shops by their custom.
_VOLUMES: Final = 3
# Worlds that seeds share: making one anew for each would cost more than the campaign.
_WORLDS: Final = 16


@dataclass(frozen=True, eq=False)
class Fleet:
    """Shops and what befalls them on an average day; arrays (shops,), or (7, shops) by weekday from Monday.

    `daily`: for the three kinds of errors that happen daily, the mean count. `crash`, `power`: means over its terminals.
    `calls`: callers.
    """

    terminals: I64
    model: I64
    region: I64
    volume: I64
    custom: F64
    daily: dict[Metric, F64]
    crash: F64
    power: F64
    calls: F64

    def __len__(self) -> int:
        """Count the shops."""
        return len(self.terminals)

    def of(self, shops: I64) -> "Fleet":
        """Some of its shops, by index."""
        return Fleet(
            terminals=self.terminals[shops],
            model=self.model[shops],
            region=self.region[shops],
            volume=self.volume[shops],
            custom=self.custom[shops],
            daily={metric: means[:, shops] for metric, means in self.daily.items()},
            crash=self.crash[shops],
            power=self.power[shops],
            calls=self.calls[:, shops],
        )


def make_fleet(seed: int) -> Fleet:
    """The fleet of a seed: one of a few worlds, with terminals and shopkeepers of its own."""
    world, shops = _shops_of(seed % _WORLDS)
    rng = np.random.default_rng([seed, 1])
    terminals = np.bincount(world.shop).astype(np.int64)
    lemons: F64 = rng.gamma(CRASH_SHAPE, 1 / CRASH_SHAPE, len(world))
    callers = shops["weight"] * np.exp(CALLER_SPREAD * rng.standard_normal(len(terminals)))
    calls = callers * shops["open_part"]
    return Fleet(
        terminals=terminals,
        model=shops["model"].astype(np.int64),
        region=shops["region"].astype(np.int64),
        volume=shops["volume"].astype(np.int64),
        custom=shops["weight"],
        daily={metric: shops[metric] for metric in (Metric.PRINTER_ERRORS, Metric.SCANNER_ERRORS, Metric.TRANSACTION_ERRORS)},
        crash=np.bincount(world.shop, CRASHES_PER_DAY * lemons).astype(np.float64),
        power=(POWER_LOSSES_PER_DAY * terminals).astype(np.float64),
        calls=calls * (_FIRST_SHARE * CALLS_PER_DAY * 7 / calls.sum()),
    )


def aimed_at(fleet: Fleet, target: Target, seed: int) -> I64:
    """The shops that a campaign aims at, by index, rising."""
    if target in SHOPS_OF:
        chosen: I64 = np.random.default_rng([seed, 5]).choice(len(fleet), SHOPS_OF[target], replace=False)
        return np.sort(chosen)
    if target in MODEL_OF:
        return np.flatnonzero(fleet.model == MODEL_OF[target])
    return np.arange(len(fleet))


def draw_strata(fleet: Fleet) -> I64:
    """The strata that waves are drawn in, (shops,): model × region × volume of custom."""
    strata: I64 = (fleet.model * (int(fleet.region.max()) + 1) + fleet.region) * _VOLUMES + fleet.volume
    return strata


def kind_of(fleet: Fleet) -> I64:
    """What the gate compares alike with alike by, beside the past, (shops,): model × volume of custom."""
    kind: I64 = fleet.model * _VOLUMES + fleet.volume
    return kind


@lru_cache(maxsize=_WORLDS)
def _shops_of(number: int) -> tuple[World, dict[str, F64]]:
    """A world and what its shops are like."""
    world = build_world(number)
    own = Temperament(*temperaments(world, number).astype(np.float64))
    hours = np.array([_open_s(text) for text in world.shops["opening_hours"]]).T
    custom = np.array(WEEKDAY_CUSTOM)[:, None]
    tickets = own.tickets_per_s * hours[:, world.shop] * custom
    weight = world.shops["weight"].to_numpy(np.float64)
    first = np.searchsorted(world.shop, np.arange(len(world.shops)))

    def of_shops(each: F64) -> F64:
        return np.stack([np.bincount(world.shop, day) for day in each])

    shops = {
        "weight": weight,
        "open_part": hours / hours.mean(),
        # A shop's first terminal stands for it, as for its door.
        "model": world.codes["model"][first].astype(np.float64),
        "region": world.codes["region"][first].astype(np.float64),
        "volume": np.searchsorted(np.quantile(weight, [1 / 3, 2 / 3]), weight).astype(np.float64),
        Metric.PRINTER_ERRORS: of_shops(tickets * own.print_error_rate),
        Metric.SCANNER_ERRORS: of_shops(tickets * SCANS_PER_TICKET * own.scan_error_rate),
        Metric.TRANSACTION_ERRORS: of_shops(tickets * TIMEOUTS_PER_TICKET * (1 + np.exp(own.log_loss) * LOSS_MEAN_FACTOR)),
    }
    return world, shops


@lru_cache(maxsize=64)
def _open_s(text: str) -> tuple[float, ...]:
    return tuple(60.0 * sum(until - since for since, until in day) for day in parse_hours(text))
