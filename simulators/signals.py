"""What a well terminal measures: sales that follow shop and races, and a machine that breathes with them.

Slow variation is first-order autoregressive with each metric's own time constant; the weather is slow waves by
region; counts are Poisson with a varying mean (so overdispersed). All draws belong to (seed, terminal, second).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleet.contract import OPEN_CADENCE_S, SAMPLE_FIELDS
from simulators.opening import DAY_S, Opening
from simulators.races import Demand
from simulators.randomness import F32, F64, bits, key_of, normal_table, normals, poisson, terminal_keys, uniform_table, uniforms
from simulators.temperament import COLUMN, Temperament, temperaments
from simulators.world import I32, World

# Slow states, their time constants in seconds.
_SLOW = {"rtt": 600, "loss": 900, "signal": 1200, "tx": 900,
         "cpu": 300, "mem": 1800, "board": 1500, "clock": 3600, "busy": 1500, "disk": 14_400}  # fmt: skip
_TAU_S: F32 = np.array(list(_SLOW.values()), np.float32)
# Whitened draws a sample: one for each slow state, then white noise.
_NORMAL_WORDS, _UNIFORM_WORDS = 5, 4
_HEAD_TAU_S, _WARM_TAU_S = 240.0, 2400.0
_PAPER_PCT_PER_TICKET = 0.085
# A print head warms by each ticket, and sheds heat the faster the hotter it is.
_HEAD_C_PER_TICKET, _HEAD_HEAT_AT_MOST_C = 0.3, np.float32(22)
# Heat and memory in use are given for the tickets of an open shop's sample; over a longer time they are spread, not heaped.
_STEP_S = np.float32(OPEN_CADENCE_S)
_SPIKE_SHARE, _GLITCH_SHARE, _GAP_SHARE = 0.003, 1.5e-4, 1e-4
# A glitch is one wild reading: the column and what it is multiplied with.
_GLITCHES = (("rtt_ms", 9.0), ("tx_ms", 6.0), ("board_c", 1.7), ("head_c", 1.8),
             ("mem_mb", 0.7), ("signal_dbm", 1.3), ("loss_pct", 60.0), ("clock_ms", 8.0))  # fmt: skip
# Periods of the weather's waves, seconds: half a night, a front, an area of high pressure.
_WEATHER_PERIODS_S = np.array([18_000.0, 47_000.0, 131_000.0])
_WEATHER_SIZES = np.array([0.35, 0.45, 0.5])
_BOOT_LOAD_PCT, _BOOT_LOAD_S = 45.0, 90.0


class _Slow(NamedTuple):
    rtt: F32
    loss: F32
    signal: F32
    tx: F32
    cpu: F32
    mem: F32
    board: F32
    clock: F32
    busy: F32
    disk: F32


class _Moment(NamedTuple):
    """What one call of `sample` works with; arrays of shape (len(idx),)."""

    idx: I32
    own: Temperament
    slow: _Slow
    white: F32  # (10, len(idx))
    chance: F32  # (8, len(idx)) uniforms
    opened: F32  # 1 while open
    weather: F32
    ambient_c: F32
    uptime_s: F32
    day_part: F32  # of the local day, 0 to 1


class SignalModel:
    """The healthy fleet's measurements; `sample` moves the asked terminals' states forward in place."""

    def __init__(
        self, world: World, seed: int, start_s: int, opening: Opening, *, booted_s: NDArray[np.int64] | None = None
    ) -> None:
        """`booted_s`: when each terminal last booted; a day before `start_s`, where not given."""
        self._opening = opening
        self._demand = Demand(seed)
        self._keys = terminal_keys(key_of(seed, "signals"), len(world))
        self._own = temperaments(world, seed)
        self._region = world.codes["region"]
        # By the region's own name, so that its weather does not depend on which others are in the world.
        waves = [uniform_table(key_of(seed, "weather", region), 1, 3)[0] for region in world.levels["region"]]
        self._phases: F64 = 2 * np.pi * np.array(waves)
        self._slow = np.ascontiguousarray(normal_table(key_of(seed, "slow", start_s), len(world), len(_SLOW)).T)
        start = uniform_table(key_of(seed, "start", start_s), len(world), 2)
        self.paper_pct: F32 = (5 + 95 * start[:, 0]).astype(np.float32)
        self._heat: F32 = np.zeros(len(world), np.float32)
        self._warm: F32 = np.where(opening.is_open(start_s), 1, 0).astype(np.float32)
        self.booted_s = np.full(len(world), start_s - DAY_S, np.int64) if booted_s is None else booted_s.copy()
        self._refilled: list[tuple[int, NDArray[np.int32]]] = []

    def sample(self, idx: I32, t_s: int, dt_s: float | F32, *, demand: F32 | None = None) -> F32:
        """Measure terminals `idx` at `t_s`: float32 (len(idx), 18) in `SAMPLE_FIELDS` order, NaN = not measured.

        `dt_s` is the time since each one's previous sample (one figure, or one each). `demand` multiplies custom.
        """
        now = self._moment(idx, t_s, dt_s)
        out = np.empty((len(idx), len(SAMPLE_FIELDS)), np.float32)
        tickets, load = self._sell(out, now, t_s, dt_s, demand)
        self._communicate(out, now, tickets)
        self._print(out, now, tickets, t_s, dt_s)
        self._compute(out, now, tickets * (_STEP_S / dt_s), load)
        _glitch(out, now.chance[7])
        return out

    def reboot(self, idx: I32, t_s: int) -> None:
        """Start terminals anew: up since `t_s`, memory and load fresh."""
        self.booted_s[idx] = t_s

    def refill(self, idx: I32) -> None:
        """Put a new roll into these terminals' printers."""
        self.paper_pct[idx] = 100

    def take_refills(self) -> list[tuple[int, NDArray[np.int32]]]:
        """Return and forget (second, terminals) of rolls changed since the last call."""
        refilled, self._refilled = self._refilled, []
        return refilled

    def _moment(self, idx: I32, t_s: int, dt_s: float | F32) -> _Moment:
        words = bits(self._keys[idx], t_s, _NORMAL_WORDS + _UNIFORM_WORDS)
        drawn = normals(words[:_NORMAL_WORDS])
        decay = np.exp(-dt_s / _TAU_S[:, None]).astype(np.float32)
        slow = np.take(self._slow, idx, axis=1)
        slow *= decay
        slow += np.sqrt(1 - decay * decay) * drawn[: len(_SLOW)]
        self._slow[:, idx] = slow
        wall = self._opening.wall_s(t_s)
        season = np.cos(2 * np.pi * (t_s / DAY_S / 365.25 - 0.55))
        mainland = np.arange(len(wall)) == 0
        ambient = np.where(mainland, 20 + 2.5 * season, 26.5) + 1.6 * np.cos(2 * np.pi * (wall / DAY_S - 15 / 24))
        zone = self._opening.zone[idx]
        waves = (_WEATHER_SIZES * np.sin(2 * np.pi * t_s / _WEATHER_PERIODS_S + self._phases)).sum(axis=1)
        return _Moment(
            idx=idx,
            own=Temperament(*np.take(self._own, idx, axis=1)),
            slow=_Slow(*slow),
            white=drawn[len(_SLOW) :],
            chance=uniforms(words[_NORMAL_WORDS:]),
            opened=self._opening.is_open(t_s)[idx].astype(np.float32),
            weather=waves.astype(np.float32)[self._region[idx]],
            ambient_c=ambient.astype(np.float32)[zone],
            uptime_s=(t_s - self.booted_s[idx]).astype(np.float32),
            day_part=(wall / DAY_S).astype(np.float32)[zone],
        )

    def _sell(self, out: F32, now: _Moment, t_s: int, dt_s: float | F32, demand: F32 | None) -> tuple[F32, F32]:
        """Write what is sold and read; return tickets and the load (tickets a second that one would expect)."""
        over_s = dt_s if isinstance(dt_s, float | int) else 30.0
        race, counter = (np.float32(v) for v in self._demand.mean(t_s, over_s))
        rate = now.own.tickets_per_s * (counter + now.own.race_share * (race - counter)) * now.opened
        rate *= np.exp(np.float32(0.35) * now.slow.busy + np.float32(0.3) * now.white[0] - np.float32(0.106))
        if demand is not None:
            rate *= demand
        tickets = poisson(rate * np.float32(dt_s) if isinstance(dt_s, float | int) else rate * dt_s, now.chance[0])
        scans = poisson(np.float32(0.66) * tickets, now.chance[1])
        out[:, COLUMN["tickets"]] = tickets
        out[:, COLUMN["scans"]] = scans
        out[:, COLUMN["scan_errors"]] = poisson(scans * now.own.scan_error_rate, now.chance[2])
        out[:, COLUMN["rejects"]] = poisson(tickets * np.float32(0.006), now.chance[3])
        return tickets, rate

    def _communicate(self, out: F32, now: _Moment, tickets: F32) -> None:
        own, slow, white = now.own, now.slow, now.white
        rough = own.radio * now.weather
        rtt = np.exp(own.log_rtt + np.float32(0.08) * (slow.rtt + white[1]) + np.float32(0.10) * rough)
        (spikes,) = np.nonzero(now.chance[4] < _SPIKE_SHARE)
        rtt[spikes] *= 2 + now.chance[4][spikes] * np.float32(4 / _SPIKE_SHARE)
        loss = np.exp(own.log_loss + np.float32(0.5) * slow.loss + np.float32(0.6) * white[2] + np.float32(0.5) * rough)
        out[:, COLUMN["rtt_ms"]] = np.rint(rtt * 10) / 10
        out[:, COLUMN["loss_pct"]] = np.minimum(np.rint(loss * 10) / 10, 100)
        out[:, COLUMN["signal_dbm"]] = np.rint(own.signal_dbm + 2.2 * slow.signal + white[3] - 2.5 * now.weather)
        noise = np.float32(0.10) * slow.tx + np.float32(0.22) * white[4] / np.sqrt(np.maximum(tickets, 1))
        tx = (own.tx_ms + np.float32(1.6) * rtt) * np.exp(noise)
        out[:, COLUMN["tx_ms"]] = np.where(tickets > 0, np.rint(tx), np.float32(np.nan))
        out[:, COLUMN["tx_timeouts"]] = poisson(tickets * np.float32(0.0008) * (1 + loss), now.chance[5])

    def _print(self, out: F32, now: _Moment, tickets: F32, t_s: int, dt_s: float | F32) -> None:
        idx, own = now.idx, now.own
        cooled = np.exp(np.float32(-1 / _HEAD_TAU_S) * dt_s)
        spread = (1 - cooled) / (1 - np.exp(-_STEP_S / np.float32(_HEAD_TAU_S))) * (_STEP_S / dt_s)
        heat = self._heat[idx] * cooled + np.float32(_HEAD_C_PER_TICKET) * spread * tickets
        np.minimum(heat, _HEAD_HEAT_AT_MOST_C, out=heat)
        self._heat[idx] = heat
        warm = self._warm[idx]
        warm += (now.opened - warm) * (1 - np.exp(np.float32(-1 / _WARM_TAU_S) * dt_s))
        self._warm[idx] = warm
        paper = self.paper_pct[idx] - np.float32(_PAPER_PCT_PER_TICKET) * tickets
        (low,) = np.nonzero((paper < own.refill_pct) & (now.opened > 0))
        if len(low):
            paper[low] = 100
            self._refilled.append((t_s, idx[low]))
        paper = np.maximum(paper, np.float32(0.5))
        self.paper_pct[idx] = paper
        out[:, COLUMN["paper_pct"]] = np.rint(paper * 10) / 10
        out[:, COLUMN["print_errors"]] = poisson(tickets * own.print_error_rate, now.chance[6])
        head = now.ambient_c + own.head_c + 4 * warm + heat + np.float32(0.4) * now.white[5]
        out[:, COLUMN["head_c"]] = np.rint(head * 10) / 10

    def _compute(self, out: F32, now: _Moment, in_use: F32, load: F32) -> None:
        own, slow, white = now.own, now.slow, now.white
        booting = np.float32(_BOOT_LOAD_PCT) * np.exp(-now.uptime_s / np.float32(_BOOT_LOAD_S))
        cpu = own.cpu_pct * (np.float32(0.7) + np.float32(0.3) * now.opened) + np.minimum(load * 300, 30) + booting
        cpu += np.float32(2) * slow.cpu + np.float32(1.5) * white[6]
        np.clip(cpu, 1, 100, out=cpu)
        # Fragments of a week leave a little less memory free; a restart gives it back.
        aged = now.uptime_s / (now.uptime_s + np.float32(3 * DAY_S))
        mem = own.mem_mb * (1 - np.float32(0.05) * aged + np.float32(0.012) * slow.mem + np.float32(0.004) * white[7])
        board = now.ambient_c + own.board_c + np.float32(0.14) * cpu + 2 * self._warm[now.idx]
        board += np.float32(0.8) * slow.board + np.float32(0.25) * white[8]
        # Logs of the day are put away at midnight.
        disk = own.disk_mb * (1 - np.float32(0.012) * now.day_part) + np.float32(4) * slow.disk
        out[:, COLUMN["cpu_pct"]] = np.rint(cpu * 10) / 10
        out[:, COLUMN["mem_mb"]] = np.rint((mem - np.minimum(in_use, 20)) * 10) / 10
        out[:, COLUMN["disk_mb"]] = np.rint(disk)
        out[:, COLUMN["board_c"]] = np.rint(board * 10) / 10
        out[:, COLUMN["clock_ms"]] = np.rint(own.clock_ms + 18 * slow.clock + 4 * white[9])
        out[:, COLUMN["uptime_s"]] = now.uptime_s


def _glitch(out: F32, chance: F32) -> None:
    """Spoil a few single readings: wild ones, and ones that were not taken."""
    for row in np.nonzero(chance < _GLITCH_SHARE)[0]:
        column, factor = _GLITCHES[int(chance[row] / _GLITCH_SHARE * len(_GLITCHES)) % len(_GLITCHES)]
        out[row, COLUMN[column]] *= factor
    for row in np.nonzero(chance > 1 - _GAP_SHARE)[0]:
        column, _ = _GLITCHES[int((1 - chance[row]) / _GAP_SHARE * len(_GLITCHES)) % len(_GLITCHES)]
        out[row, COLUMN[column]] = np.nan
