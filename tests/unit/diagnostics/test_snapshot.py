"""The arrays of the present: the newest of each thing, in whatever order it came."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.limits import METRICS
from diagnostics.snapshot import EVENT_INDEX, NO_PRESENCE, ONLINE, Index, Snapshot
from fleet.contract import EventCode

PAPER = METRICS.index("paper_pct")


def rows(*terminals: str) -> Index:
    return Snapshot(["T00003", "T00001", "T00002"], ["B", "A", "B"]).rows_of(np.array(terminals, "S6"))


def fed(fleet: Snapshot, samples: list[tuple[int, int, float, float]]) -> Snapshot:
    """Feed (row, at, paper, tickets) rows."""
    values = np.full((len(samples), len(METRICS)), np.nan, np.float32)
    values[:, PAPER] = [paper for _, _, paper, _ in samples]
    at_ms = np.array([at for _, at, _, _ in samples], np.int64)
    fleet.update_samples(
        np.array([row for row, _, _, _ in samples], np.intp),
        at_ms=at_ms,
        received_ms=at_ms + 5,
        values=values,
        tickets=np.array([tickets for *_, tickets in samples], np.float32),
        scans=np.zeros(len(samples), np.float32),
    )
    return fleet


def test_a_terminal_is_found_by_its_id_and_a_stranger_is_not() -> None:
    assert rows("T00001", "T00002", "T00003", "T99999", "T00000").tolist() == [1, 2, 0, -1, -1]
    assert Snapshot([], []).rows_of(np.array(["T00001"], "S6")).tolist() == [-1]


_SAMPLES = st.lists(
    st.tuples(st.integers(-1, 2), st.integers(1, 50), st.sampled_from([float("nan"), 1.0, 2.0, 3.0]), st.sampled_from([0.0, 2.0])),
    max_size=30,
    unique_by=lambda sample: sample[:2],
)


@given(_SAMPLES, st.randoms(), st.integers(0, 30))
def test_neither_order_nor_slicing_nor_repetition_of_samples_matters(
    samples: list[tuple[int, int, float, float]], random: object, cut: int
) -> None:
    terminals = ["T00001", "T00002", "T00003"]
    once = fed(Snapshot(terminals, ["B"] * 3), sorted(samples, key=lambda sample: sample[1]))
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    sliced = fed(fed(Snapshot(terminals, ["B"] * 3), shuffled[:cut]), shuffled[cut:])
    sliced = fed(sliced, samples)
    for name in ("values", "value_at_ms", "heard_ms", "measured_ms", "before_ms", "sold_ms", "scanned_ms"):
        np.testing.assert_array_equal(getattr(sliced, name), getattr(once, name), err_msg=name)


def test_a_field_not_measured_keeps_its_last_value_and_time() -> None:
    fleet = fed(Snapshot(["T00001"], ["B"]), [(0, 10, 50.0, 1.0), (0, 20, float("nan"), 0.0)])
    assert (fleet.values[0, PAPER], fleet.value_at_ms[0, PAPER]) == (50.0, 10)
    assert (fleet.measured_ms[0], fleet.heard_ms[0], fleet.sold_ms[0], fleet.scanned_ms[0]) == (20, 25, 10, 0)


def test_the_two_newest_times_of_measurement_tell_the_pace() -> None:
    fleet = fed(Snapshot(["T00001", "T00002", "T00003"], ["B"] * 3), [(0, 10, 1.0, 0.0), (0, 40, 1.0, 0.0), (1, 10, 1.0, 0.0)])
    assert list(zip(fleet.before_ms.tolist(), fleet.measured_ms.tolist(), strict=True)) == [(10, 40), (0, 10), (0, 0)]
    fed(fleet, [(0, 20, 1.0, 0.0), (1, 10, 1.0, 0.0), (1, 310, 1.0, 0.0)])
    assert list(zip(fleet.before_ms.tolist(), fleet.measured_ms.tolist(), strict=True)) == [(20, 40), (10, 310), (0, 0)]


def test_the_newest_event_of_each_code_stays() -> None:
    fleet = Snapshot(["T00001"], ["B"])
    codes = np.array([EVENT_INDEX[EventCode.OPEN], EVENT_INDEX[EventCode.CLOSE], EVENT_INDEX[EventCode.OPEN], -1])
    at_ms = np.array([30, 20, 10, 99], np.int64)
    fleet.update_events(np.zeros(4, np.intp), at_ms=at_ms, received_ms=at_ms, codes=codes)
    assert fleet.event_ms[0, EVENT_INDEX[EventCode.OPEN]] == 30
    assert fleet.event_ms[0, EVENT_INDEX[EventCode.CLOSE]] == 20
    assert fleet.heard_ms[0] == 30, "an event of a code we do not know is passed over altogether"


def test_a_changed_registry_keeps_what_is_known_of_who_stays() -> None:
    fleet = fed(Snapshot(["T00001", "T00002"], ["A", "B"]), [(0, 10, 11.0, 0.0), (1, 10, 22.0, 0.0)])
    fleet.update_presence(np.array([1]), online=np.array([True]), changed_ms=np.array([7], np.int64))
    moved, old_rows = fleet.carried_to(["T00002", "T00009"], ["C", "B"])
    assert old_rows.tolist() == [1, -1]
    assert moved.models == ("B", "C")
    assert [moved.models[model] for model in moved.model] == ["C", "B"]
    assert moved.values[0, PAPER] == 22.0
    assert moved.presence.tolist() == [ONLINE, NO_PRESENCE]
    assert moved.heard_ms.tolist() == [15, 0]
