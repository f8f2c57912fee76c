"""Randomness that belongs to a terminal and a moment, not to the order in which somebody asked.

Every draw is a hash (splitmix64, Steele, Lea and Flood 2014) of the seed, the terminal and the second. So a terminal's
values do not depend on how many others there are, on how calls are batched, or on what was asked before.
"""

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_MUL1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL2 = np.uint64(0x94D049BB133111EB)


def mix(value: int) -> int:
    """Hash one integer to 64 bits."""
    z = (value + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * int(_MUL1)) & _MASK
    z = ((z ^ (z >> 27)) * int(_MUL2)) & _MASK
    return z ^ (z >> 31)


def key_of(seed: int, *parts: int | str) -> int:
    """Derive the key of a stream from the seed and what the stream is for."""
    key = mix(seed & _MASK)
    for part in parts:
        number = int.from_bytes(part.encode()[:8], "little") if isinstance(part, str) else part
        key = mix(key ^ (number & _MASK))
        if isinstance(part, str) and len(part) > 8:
            key = key_of(key, part[8:])
    return key


def _mix_in_place(z: U64) -> U64:
    scratch = z >> np.uint64(30)
    z ^= scratch
    z *= _MUL1
    np.right_shift(z, np.uint64(27), out=scratch)
    z ^= scratch
    z *= _MUL2
    np.right_shift(z, np.uint64(31), out=scratch)
    z ^= scratch
    return z


def terminal_keys(key: int, count: int) -> U64:
    """Return one 64-bit key a row, uint64 (count,); the first rows do not depend on `count`."""
    z = np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN)
    z += np.uint64(key)
    return _mix_in_place(z)


def bits(keys: U64, moment: int, words: int) -> U64:
    """Draw `words` 64-bit words for each key at a moment: uint64 (words, len(keys))."""
    base = keys ^ np.uint64(mix(moment & _MASK))
    steps = (np.arange(1, words + 1, dtype=np.uint64) * np.uint64(_GOLDEN))[:, None]
    return _mix_in_place(base[None, :] + steps)


def uniforms(words: U64) -> F32:
    """Read each word as two uniforms in (0, 1): (words, n) becomes float32 (2 * words, n)."""
    count, n = words.shape
    halves = words.view(np.uint32).reshape(count, n, 2)
    drawn = np.empty((count, 2, n), np.float32)
    np.multiply(halves.transpose(0, 2, 1), np.float32(2**-32), out=drawn, casting="unsafe")
    # Half a step away from 0; float32 rounds the top to 1, which no comparison below `rate` minds.
    drawn += np.float32(2**-33)
    return drawn.reshape(2 * count, n)


# A sixteen-bit word picks a normal quantile: +-4.3 sigma at most, a third of the time of the ziggurat.
_QUANTILES: F32 = np.array([NormalDist().inv_cdf((i + 0.5) / 65536) for i in range(65536)], np.float32)


def normals(words: U64) -> F32:
    """Read each word as four standard normals: (words, n) becomes float32 (4 * words, n)."""
    count, n = words.shape
    quarters = words.view(np.uint16).reshape(count, n, 4)
    drawn: F32 = _QUANTILES[quarters.transpose(0, 2, 1).reshape(4 * count, n)]
    return drawn


def quantiles(uniform: F32) -> F32:
    """Turn uniforms into standard normals by the same table."""
    picked: F32 = _QUANTILES[np.minimum(uniform * np.float32(65536), np.float32(65535)).astype(np.uint16)]
    return picked


def uniform_table(key: int, rows: int, columns: int) -> F64:
    """Draw a table of uniforms, float64 (rows, columns), for what is made once (a world, a plan)."""
    words = bits(terminal_keys(key, rows), 0, columns).T
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal_table(key: int, rows: int, columns: int) -> F32:
    """Draw a table of standard normals, float32 (rows, columns)."""
    return quantiles(uniform_table(key, rows, columns).astype(np.float32))


def poisson(rate: F32, uniform: F32) -> F32:
    """Draw Poisson counts by inverting one uniform each; float32, same shape as `rate`.

    Rates above 12 take the normal approximation with a skewness term (Cornish and Fisher 1938).
    """
    counts = np.zeros(rate.shape, np.float32)
    tail = np.exp(-rate)
    (at,) = np.nonzero(uniform > tail)
    if not len(at):
        return counts
    mean, u, term = rate[at], uniform[at], tail[at]
    large = mean > 12
    if large.any():
        z = quantiles(u[large])
        m = mean[large]
        counts[at[large]] = np.maximum(0, np.rint(m + np.sqrt(m) * z + (z * z - 1) / 6))
        small = ~large
        at, mean, u, term = at[small], mean[small], u[small], term[small]
    reached = term.copy()
    k = 0
    while len(at) and k < 60:
        k += 1
        counts[at] = k
        term = term * mean / np.float32(k)
        reached = reached + term
        more = u > reached
        at, mean, u, term, reached = at[more], mean[more], u[more], term[more], reached[more]
    return counts


def choose(table: F64, weights: Any) -> NDArray[np.int64]:
    """Turn uniforms into choices with the given weights (any positive scale)."""
    edges = np.cumsum(np.asarray(weights, np.float64))
    return np.searchsorted(edges / edges[-1], table, side="right").clip(0, len(edges) - 1)
