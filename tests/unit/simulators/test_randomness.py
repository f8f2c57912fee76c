import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.randomness import (
    bits,
    choose,
    key_of,
    normals,
    poisson,
    quantiles,
    terminal_keys,
    uniform_table,
    uniforms,
)

KEYS = terminal_keys(key_of(1, "test"), 50_000)


def test_normals_are_normal_and_uncorrelated() -> None:
    z = normals(bits(KEYS, 7, 2))
    assert z.shape == (8, 50_000)
    assert np.abs(z.mean(axis=1)).max() < 0.02
    assert np.abs(z.std(axis=1) - 1).max() < 0.02
    assert np.abs(np.corrcoef(z) - np.eye(8)).max() < 0.025
    assert np.abs(np.corrcoef(z[0], normals(bits(KEYS, 8, 2))[0])[0, 1]) < 0.02


def test_uniforms_are_uniform_and_never_nought() -> None:
    u = uniforms(bits(KEYS, 7, 2))
    assert u.shape == (4, 50_000)
    assert 0 < u.min() < 1e-4
    assert 0.9999 < u.max() <= 1
    for row in u:
        assert np.abs(np.histogram(row, 10, (0, 1))[0] / 5000 - 1).max() < 0.06


@pytest.mark.parametrize("rate", [0.001, 0.2, 1.5, 8.0, 11.9, 12.1, 60.0])
def test_counts_are_poisson(rate: float) -> None:
    u = uniforms(bits(KEYS, 9, 1))[0]
    counts = poisson(np.full(len(u), rate, np.float32), u)
    assert counts.mean() == pytest.approx(rate, rel=0.03, abs=4 * np.sqrt(rate / len(u)))
    assert counts.var() == pytest.approx(rate, rel=0.05, abs=0.0006)
    assert (counts == np.rint(counts)).all()


@given(st.integers(0, 2**64 - 1), st.integers(1, 400), st.integers(0, 2**40))
def test_a_row_draws_the_same_in_any_company(key: int, count: int, moment: int) -> None:
    keys = terminal_keys(key, count)
    assert (keys == terminal_keys(key, 500)[:count]).all()
    alone = bits(keys[count // 2 : count // 2 + 1], moment, 3)
    assert (bits(keys, moment, 3)[:, count // 2] == alone[:, 0]).all()


def test_keys_differ_by_every_part() -> None:
    parts: list[tuple[int | str, ...]] = [
        (),
        ("signals",),
        ("signals", 0),
        ("signals", 1),
        ("opening",),
        ("a long name, one",),
        ("a long name, two",),
    ]
    keys = {key_of(seed, *p) for p in parts for seed in (1, 2)}
    assert len(keys) == 2 * len(parts)


def test_choices_follow_their_weights() -> None:
    chosen = choose(uniform_table(5, 40_000, 1)[:, 0], (1, 2, 7))
    assert np.bincount(chosen) / 40_000 == pytest.approx([0.1, 0.2, 0.7], abs=0.01)


def test_quantiles_invert_the_normal() -> None:
    assert quantiles(np.array([0.5, 0.975, 0.025], np.float32)) == pytest.approx([0, 1.96, -1.96], abs=0.01)
