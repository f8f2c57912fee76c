"""What a well terminal shows, learnt from itself, its hour and its peers; kept over restarts as bytes.

Each gauge has an overall figure with a spread and one figure for each two hours of a weekday, a Saturday and a Sunday. All
move by bounded steps towards what is seen (a wild reading moves them no further than an odd one), fast at first, then slowly.
What little a bucket knows is made up by the terminal's own overall figure, and what little that knows by the peers of the
same model and access.
"""

import io
import zlib
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.metrics import COUNTS, GAUGES, SPREAD
from diagnostics.detector.observed import Fleet
from diagnostics.snapshot import F32, Bool, Index
from diagnostics.troubles import TROUBLES
from fleet.errors import VigieError
from fleet.registry import DIMENSIONS

I16 = NDArray[np.int16]
U8 = NDArray[np.uint8]

BUCKET_HOURS: Final = 2
_A_DAY: Final = 24 // BUCKET_HOURS
BUCKETS: Final = 3 * _A_DAY
# Names the form of `Baseline.to_bytes`: another form is not read.
LAYOUT: Final = (
    f"vigie-baseline-2 gauges={','.join(gauge.field for gauge in GAUGES)} counts={','.join(count.name for count in COUNTS)}"
    f" buckets={BUCKETS} troubles={len(TROUBLES)}"
)
# Learning takes a sample of each terminal so often, s: the rates below are per such step.
LEARN_EVERY_S: Final = 300
_SLOWEST, _SLOWEST_SEASON, _SLOWEST_SPREAD = np.float32(0.004), np.float32(0.03), np.float32(0.005)
# A bucket is worth its own samples against this many of the overall figure.
_SEASON_PRIOR: Final = np.float32(6)
_CLIP: Final = np.float32(1.5)
_EARLY: Final = np.float32(200)
_MEDIAN_OF_NORMAL: Final = np.float32(0.6745)
# A terminal is held against its usual once it has shown it for half an hour.
_OWN_SAMPLES: Final = 6
# The peers' spread is worth so many of the terminal's own samples.
_SPREAD_PRIOR: Final = np.float32(25)
# Peers teach from so many members on, each with at least so many samples.
_PEERS, _PEER_SAMPLES = 5, 3
# Rates and custom are forgotten over so many seconds of open shop: some three weeks.
_FORGET_S: Final = 21 * 12 * 3600
_LEAST_SPREAD: Final = np.float32(0.5)
_QUANTUM: Final = np.float32(0.05)


class BaselineError(VigieError):
    """A stored baseline has another form than this program's; it is learnt anew."""


class Usual(NamedTuple):
    """What is usual now: arrays of (terminals, gauges) and (terminals, counts)."""

    level: F32  # NaN where nobody knows
    spread: F32  # 1 there
    known: Bool
    rate: F32
    shape: F32  # (terminals, counts): how surely the rate is known, as a number of events
    custom: F32  # (terminals,): what it sells against an average terminal


class Baseline:
    """The learnt state; arrays (terminals, gauges) unless said otherwise. `usual` reads it, `learn` moves it in place."""

    def __init__(self, fleet: Fleet) -> None:
        n, m = len(fleet), len(GAUGES)
        self.terminals = fleet.terminals
        self.peers = peer_groups(fleet, ("model", "access"))
        self._zone = fleet.zone
        self._zones = [ZoneInfo(name) for name in fleet.timezones]
        self.center: F32 = np.zeros((n, m), np.float32)
        self.spread: F32 = np.tile(SPREAD, (n, 1))
        self.count: F32 = np.zeros((n, m), np.float32)
        self.season: F32 = np.zeros((BUCKETS, n, m), np.float32)
        self.season_count: U8 = np.zeros((BUCKETS, n, m), np.uint8)
        self.wrong: F32 = np.zeros((n, len(COUNTS)), np.float32)
        self.tried: F32 = np.zeros((n, len(COUNTS)), np.float32)
        self.sold: F32 = np.zeros(n, np.float32)
        self.expected_sold: F32 = np.zeros(n, np.float32)
        # (troubles, 24): of the terminals judged in this hour of the day, how many showed a weak sign.
        self.sign_hits: F32 = np.zeros((len(TROUBLES), 24), np.float32)
        self.sign_judged: F32 = np.zeros((len(TROUBLES), 24), np.float32)

    def __len__(self) -> int:
        return len(self.terminals)

    def buckets(self, at_s: int) -> I16:
        """The bucket that each terminal's local time lies in: int16 (n,)."""
        moment = datetime.fromtimestamp(at_s, UTC)
        local = [moment.astimezone(zone) for zone in self._zones]
        codes = [max(0, time.weekday() - 4) * _A_DAY + time.hour // BUCKET_HOURS for time in local]
        return np.array(codes or [0], np.int16)[self._zone]

    def learn(self, rows: Index, x: F32, *, buckets: I16) -> None:
        """Move the figures of `rows` (each once) towards `x` (rows, gauges), NaN: not measured."""
        missing = np.isnan(x)
        center, spread, count = (one.take(rows, axis=0) for one in (self.center, self.spread, self.count))
        flat = buckets[rows].astype(np.intp) * len(self) + rows
        seasons, counts = self.season.reshape(-1, x.shape[1]), self.season_count.reshape(-1, x.shape[1])
        season, seen = seasons.take(flat, axis=0), counts.take(flat, axis=0)
        # A bucket begins where the terminal is overall; both begin where the first reading is.
        np.copyto(center, x, where=(count == 0) & ~missing)
        np.copyto(season, center, where=seen == 0)
        off, off_season = (x - center) / spread, (x - season) / spread
        off[missing] = off_season[missing] = 0
        self.center[rows] = center + spread * _step(off, count + 1, _SLOWEST)
        seasons[flat] = season + spread * _step(off_season, seen + np.float32(2), _SLOWEST_SEASON)
        # The spread is where half of the readings lie within: up by those outside, down by those inside.
        step = np.maximum(np.float32(0.5) / (count + 5), _SLOWEST_SPREAD)
        step[missing | (count <= 2)] = 0
        np.negative(step, out=step, where=np.abs(off_season) < _MEDIAN_OF_NORMAL)
        # A line that always tells the same rounded figure is not infinitely regular.
        self.spread[rows] = np.maximum(spread * (1 + step), SPREAD * _LEAST_SPREAD)
        known = ~missing
        self.count[rows] = count + known
        counts[flat] = seen + (known & (seen < 255))

    def learn_counts(self, rows: Index, wrong: F32, tried: F32, *, over_s: F32 | float) -> None:
        """Add what went wrong out of how many (rows, counts), over so many seconds; a burst counts as a few."""
        decay = 1 - np.broadcast_to(np.asarray(over_s, np.float32), (len(rows),)) / np.float32(_FORGET_S)
        decay = np.clip(decay, 0, 1)[:, None]
        self.wrong[rows] = self.wrong[rows] * decay + np.minimum(wrong, 4)
        self.tried[rows] = self.tried[rows] * decay + tried

    def learn_custom(self, rows: Index, tickets: F32, expected: F32, *, over_s: F32 | float) -> None:
        """Add what was sold and what an average terminal would have sold meanwhile, both (rows,)."""
        decay = np.clip(1 - np.asarray(over_s, np.float32) / np.float32(_FORGET_S), 0, 1)
        self.sold[rows] = self.sold[rows] * decay + tickets
        self.expected_sold[rows] = self.expected_sold[rows] * decay + expected

    def add_counts(self, count: int, wrong: F32, tried: F32) -> None:
        """Add one minute of everybody's, (n,) each, to one of the counts."""
        decay = np.float32(1 - 60 / _FORGET_S)
        seen = tried > 0
        self.wrong[:, count] = np.where(seen, self.wrong[:, count] * decay + wrong, self.wrong[:, count])
        self.tried[:, count] = np.where(seen, self.tried[:, count] * decay + tried, self.tried[:, count])

    def relearn(self, rows: Index, gauges: Bool) -> None:
        """Forget some gauges (rows, gauges) of some terminals: what was usual there is so no more."""
        self.count[rows] = np.where(gauges, 0, self.count[rows])
        self.season_count[:, rows] = np.where(gauges, 0, self.season_count[:, rows])

    def usual(self, buckets: I16) -> Usual:
        """What is usual in these buckets of time; costs some milliseconds, so ask when the bucket turns or much was learnt."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._usual(buckets)

    def _usual(self, buckets: I16) -> Usual:
        n, m = self.center.shape
        peer, between, peer_spread = self._peers()
        weight = self.count / (self.count + _SPREAD_PRIOR)
        own_spread = np.exp(weight * np.log(self.spread) + (1 - weight) * np.log(peer_spread[self.peers]))
        # The peers are worth the more of the terminal's own samples, the less they differ from each other.
        worth = np.clip((own_spread / between[self.peers]) ** 2, 0.02, 6)
        center = (self.count * self.center + worth * peer[self.peers]) / (self.count + worth)
        center = np.where(self.count > _SPREAD_PRIOR, self.center, center)
        flat = buckets.astype(np.intp) * n + np.arange(n)
        seen = self.season_count.reshape(-1, m)[flat].astype(np.float32)
        level = np.where(
            seen > 0, (seen * self.season.reshape(-1, m)[flat] + _SEASON_PRIOR * center) / (seen + _SEASON_PRIOR), center
        )
        spread = own_spread * np.sqrt(1 + 1 / (self.count + worth))
        rates = self._rates()
        custom = (self.sold + 3) / (self.expected_sold + 3)
        # Well peers differ by more than any of them varies: a newcomer unlike them is no ill one.
        level[self.count < _OWN_SAMPLES] = np.nan
        known = ~np.isnan(level)
        return Usual(level.astype(np.float32), np.where(known, spread, 1).astype(np.float32), known, *rates, custom)

    def _peers(self) -> tuple[F32, F32, F32]:
        """Median figure, spread between members, and median spread of each group of peers: (groups, gauges) each."""
        groups, m = int(self.peers.max(initial=-1)) + 1, self.center.shape[1]
        peer = np.full((groups, m), np.nan, np.float32)
        between = np.full((groups, m), np.nan, np.float32)
        spread = np.tile(SPREAD, (groups, 1))
        taught = self.count >= _PEER_SAMPLES
        for group in range(groups):
            members = np.flatnonzero(self.peers == group)
            # A few hundred members say what all would.
            members = members[:: max(1, len(members) // 400)]
            for gauge in range(m):
                rows = members[taught[members, gauge]]
                if len(rows) >= _PEERS:
                    figures = self.center[rows, gauge]
                    peer[group, gauge] = np.median(figures)
                    between[group, gauge] = 1.4826 * np.median(np.abs(figures - peer[group, gauge]))
                    spread[group, gauge] = np.median(self.spread[rows, gauge])
        # Too few peers do not say how they differ, and have no figure to lean on either; the spread must be known even so.
        return peer, np.fmax(between, SPREAD / 4), np.maximum(spread, SPREAD / 2)

    def _rates(self) -> tuple[F32, F32]:
        """Each terminal's rate of what is counted, and how surely it is known: gamma, with the peers as prior."""
        groups = int(self.peers.max(initial=-1)) + 1
        usual = np.array([count.rate for count in COUNTS], np.float32)
        prior = np.array([count.prior for count in COUNTS], np.float32)
        wrong = np.stack([np.bincount(self.peers, self.wrong[:, i], groups) for i in range(len(COUNTS))], axis=1)
        tried = np.stack([np.bincount(self.peers, self.tried[:, i], groups) for i in range(len(COUNTS))], axis=1)
        peer = ((wrong + 20) / (tried + 20 / usual))[self.peers]
        rate = (self.wrong + prior) / (self.tried + prior / peer)
        return rate.astype(np.float32), self.wrong + prior

    def carried_to(self, fleet: Fleet) -> "Baseline":
        """The same knowledge on a changed registry: terminals keep what is theirs, new ones begin as their peers."""
        new = Baseline(fleet)
        order = np.argsort(self.terminals)
        if len(self):
            place = np.minimum(np.searchsorted(self.terminals, fleet.terminals, sorter=order), len(self) - 1)
            old = order[place]
            kept = np.flatnonzero(self.terminals[old] == fleet.terminals)
            for name in _PER_TERMINAL:
                getattr(new, name)[kept] = getattr(self, name)[old[kept]]
            for name in _PER_BUCKET:
                getattr(new, name)[:, kept] = getattr(self, name)[:, old[kept]]
        new.sign_hits[:], new.sign_judged[:] = self.sign_hits, self.sign_judged
        return new

    def to_bytes(self) -> bytes:
        """Write the state in the form that LAYOUT names; a bucket's figure is kept to a twentieth of the spread."""
        steps = np.clip(np.rint((self.season - self.center) / (self.spread * _QUANTUM)), -127, 127)
        parts: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _WHOLE}
        parts["count"] = np.minimum(self.count, 60_000).astype(np.uint16)
        parts["season"] = np.where(self.season_count > 0, steps, 0).astype(np.int8)
        parts["season_count"] = self.season_count
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **parts)
        return zlib.compress(buffer.getvalue(), 1)

    @classmethod
    def from_bytes(cls, data: bytes, *, layout: str, fleet: Fleet) -> "Baseline":
        """Read what `to_bytes` wrote, for the terminals of `fleet`; raises BaselineError for another form."""
        if layout != LAYOUT:
            raise BaselineError(f"the stored baseline has the form {layout!r}, this program's is {LAYOUT!r}")
        try:
            with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as parts:
                stored = {name: parts[name] for name in parts.files}
            old = cls(_bare(stored["terminals"]))
            for name in _WHOLE:
                setattr(old, name, stored[name])
            old.count = stored["count"].astype(np.float32)
            old.season_count = stored["season_count"]
            old.season = old.center + stored["season"].astype(np.float32) * (old.spread * _QUANTUM)
            return old.carried_to(fleet)
        except (ValueError, LookupError, TypeError, OSError, EOFError, zlib.error, BadZipFile) as error:
            raise BaselineError(f"the stored baseline cannot be read: {error}") from error


_WHOLE: Final = ("terminals", "center", "spread", "wrong", "tried", "sold", "expected_sold", "sign_hits", "sign_judged")
_PER_TERMINAL: Final = ("center", "spread", "count", "wrong", "tried", "sold", "expected_sold")
_PER_BUCKET: Final = ("season", "season_count")


def _step(off: F32, count: F32, slowest: np.float32) -> F32:
    """How far a figure moves towards a reading that is `off` by so many spreads, after so many readings, in spreads.

    At first it is a plain mean: had the very first reading been a wild one, bounded steps would take days to forget it.
    """
    pace = 1 / count
    reach = _EARLY * pace
    reach *= pace
    reach += _CLIP
    step = np.minimum(np.abs(off), reach, out=reach)
    step *= np.maximum(pace, slowest, out=pace)
    return np.copysign(step, off, out=step)


def peer_groups(fleet: Fleet, dimensions: tuple[str, ...]) -> NDArray[np.intp]:
    """Number the combinations of these dimensions that occur: intp (n,)."""
    if not len(fleet):
        return np.zeros(0, np.intp)
    codes = fleet.codes[:, [DIMENSIONS.index(name) for name in dimensions]]
    _, group = np.unique(codes, axis=0, return_inverse=True)
    return group.reshape(-1).astype(np.intp)


def _bare(terminals: NDArray[np.bytes_]) -> Fleet:
    n = len(terminals)
    return Fleet(
        terminals=terminals,
        codes=np.zeros((n, len(DIMENSIONS)), np.int16),
        levels=[[""] for _ in DIMENSIONS],
        shop=np.zeros(n, np.int32),
        zone=np.zeros(n, np.int16),
        timezones=["UTC"],
    )
