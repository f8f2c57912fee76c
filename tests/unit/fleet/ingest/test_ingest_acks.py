import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fleet.contract import Ack, Channel, topic
from fleet.ingest.acks import AckGatherer, acks_of, packets
from fleet.ingest.decode import SETTLED_DTYPE
from fleet.ingest.packets import cut
from tests.unit.fleet.ingest.messages import NAMES, known

Key = tuple[int, int, int]
_keys = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([1, 2**32 - 1]), st.integers(0, 30)), max_size=60)


def settled(keys: list[Key]) -> NDArray[np.void]:
    return np.array(keys, SETTLED_DTYPE)


@given(_keys)
def test_acks_name_exactly_what_is_settled_in_the_fewest_ranges(keys: list[Key]) -> None:
    named: list[Key] = []
    for terminal, ack in acks_of(settled(keys)):
        for (_, end), (begin, _) in zip(ack.seq, ack.seq[1:], strict=False):
            assert begin > end + 1
        named += [(terminal, ack.boot, seq) for begin, end in ack.seq for seq in range(begin, end + 1)]
    assert sorted(named) == sorted(set(keys))


def test_terminal_reads_its_ack_from_the_packets() -> None:
    run = packets(settled([(1, 9, 3), (0, 9, 1), (1, 9, 2), (1, 9, 7)]), known())
    arrived, others, rest = cut(run)
    assert (others, rest) == ([], b"")
    assert arrived.topics == [topic(name, Channel.ACK).encode() for name in NAMES[:2]]
    read = [msgspec.json.decode(payload, type=Ack) for payload in arrived.payloads]
    assert [(ack.boot, ack.seq) for ack in read] == [(9, [(1, 1)]), (9, [(2, 3), (7, 7)])]


def test_many_gaps_are_spread_over_several_acks() -> None:
    acks = list(acks_of(settled([(0, 1, 2 * number) for number in range(1_200)])))
    assert [len(ack.seq) for _, ack in acks] == [500, 500, 200]


def test_gatherer_forgets_what_it_hands_out_and_takes_it_back() -> None:
    gatherer = AckGatherer()
    gatherer.add(settled([(0, 1, 1)]))
    taken = gatherer.take()
    assert (len(taken), len(gatherer)) == (1, 0)
    gatherer.add(taken)
    gatherer.add(settled([(0, 1, 2)]))
    assert len(gatherer.take()) == 2
