"""Replay's bookkeeping: up to which batch a moment reads, and who is there at its end."""

import numpy as np
import pytest

from diagnostics.observing import Presence
from diagnostics.replay import Batches, newest


def batches(*received: int) -> Batches:
    return Batches(np.arange(10, 10 + len(received)), np.array(received, np.int64))


@pytest.mark.parametrize(
    ("received", "at_ms", "batch", "fed"),
    [
        pytest.param((), 100, 0, 0, id="nothing was received"),
        pytest.param((100, 200), 99, 0, 0, id="nothing yet"),
        pytest.param((100, 200), 100, 10, 100, id="what came in this very moment is read"),
        pytest.param((100, 200), 300, 11, 200, id="all of it"),
        # Batch 10 is not read: going on after 11 would lose it; reading 11 twice loses nothing.
        pytest.param((200, 100, 300), 150, 0, 100, id="a worker that was slower holds the mark back"),
        pytest.param((200, 100, 300), 200, 11, 200, id="... until it is read"),
    ],
)
def test_the_mark_passes_no_batch_that_is_not_read(received: tuple[int, ...], at_ms: int, batch: int, fed: int) -> None:
    assert batches(*received).read_by(at_ms) == batch
    assert batches(*received).newest_by(at_ms) == fed


def test_only_rows_of_the_batches_are_held() -> None:
    assert batches(200, 100).hold(np.array([99, 100, 150, 200, 300])).tolist() == [False, True, False, True, False]
    assert batches().hold(np.array([99])).tolist() == [False]


def test_of_several_changes_of_a_terminal_the_newest_counts() -> None:
    changes = Presence(np.array([3, 1, 3, 2, 3]), np.array([True, True, False, True, True]), np.array([1, 2, 3, 4, 5]))
    found = newest(changes, 0, 4)
    told = sorted(zip(found.rows.tolist(), found.online.tolist(), found.changed_ms.tolist(), strict=True))
    assert told == [(1, True, 2), (2, True, 4), (3, False, 3)]
    assert newest(changes, 4, 5).rows.tolist() == [3]
    assert newest(changes, 2, 2).rows.tolist() == []
