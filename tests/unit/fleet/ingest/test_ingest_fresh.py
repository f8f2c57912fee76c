import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fleet.ingest.decode import DECODED_DTYPE
from fleet.ingest.fresh import Freshness

Key = tuple[int, int, int]
_batches = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 9)), max_size=12), max_size=6)


def rows(keys: list[Key]) -> NDArray[np.void]:
    out = np.zeros(len(keys), DECODED_DTYPE)
    for place, (terminal, boot, seq) in enumerate(keys):
        out[place]["terminal"], out[place]["boot"], out[place]["seq"] = terminal, boot, seq
    return out


@given(_batches)
def test_sample_called_fresh_was_never_stored_while_no_boot_comes_back(batches: list[list[Key]]) -> None:
    freshness = Freshness()
    stored: set[Key] = set()
    newest: dict[int, int] = {}
    for drawn in batches:
        batch = []
        for terminal, boot, seq in drawn:
            newest[terminal] = max(boot, newest.get(terminal, 0))
            batch.append((terminal, newest[terminal], seq))
        for key, fresh in zip(batch, freshness.judge(rows(batch), terminals=4).tolist(), strict=True):
            assert not (fresh and key in stored)
            stored.add(key)
        freshness.stored(rows(batch), terminals=4)


def test_steady_stream_is_fresh_from_its_second_message_on() -> None:
    freshness = Freshness()
    first = rows([(0, 5, 1), (1, 5, 1)])
    assert freshness.judge(first, terminals=2).tolist() == [False, False]
    freshness.stored(first, terminals=2)
    assert freshness.judge(rows([(0, 5, 2), (1, 5, 2), (0, 5, 3)]), terminals=2).tolist() == [True, True, True]


def test_repeat_another_boot_and_what_follows_them_are_not_fresh() -> None:
    freshness = Freshness()
    freshness.stored(rows([(0, 5, 4), (1, 5, 4), (2, 5, 4)]), terminals=3)
    batch = rows([(0, 5, 4), (0, 5, 5), (1, 6, 1), (1, 6, 2), (2, 5, 5), (2, 5, 5)])
    assert freshness.judge(batch, terminals=3).tolist() == [False, False, False, False, True, False]


def test_nothing_is_judged_without_complaint() -> None:
    assert Freshness().judge(rows([]), terminals=0).tolist() == []
