"""A journal loses nothing that was not acknowledged, whatever the order of sending, acknowledging, rebooting and reconnecting."""

import itertools
import json
import tracemalloc
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.contract import MAX_SAMPLES, Channel, Events, Telemetry
from simulators.journal import Batch, Journal, ranges

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["sample", "sample", "many", "event", "send", "ack", "round", "reboot", "reconnect"]), st.integers(0, 400)
    ),
    max_size=60,
)


def entry(seq: int) -> bytes:
    return b'{"seq":%d,"at":1000}' % seq


def event(seq: int) -> bytes:
    return b'{"seq":%d,"at":1000,"code":"OPEN"}' % seq


def write(journal: Journal, count: int = 1) -> None:
    for _ in range(count):
        seq = journal.next_seq()
        journal.add(seq, entry(seq))


def said(batches: list[Batch]) -> list[tuple[int, int]]:
    """Every (boot, seq) in the order of sending; each payload is read by the contract's own types."""
    found = []
    for batch in batches:
        if batch.channel is Channel.EVENT:
            events = msgspec.json.decode(batch.payload, type=Events)
            found += [(events.boot, e.seq) for e in events.events]
        else:
            telemetry = msgspec.json.decode(batch.payload, type=Telemetry)
            found += [(telemetry.boot, s.seq) for s in telemetry.samples]
    return found


def left(journal: Journal) -> set[tuple[int, int]]:
    return {(boot, seq) for boot, parts in journal.left().items() for low, high in parts for seq in range(low, high + 1)}


@settings(deadline=None)
@given(ACTIONS)
def test_nothing_is_forgotten_but_what_was_acknowledged(actions: list[tuple[str, int]]) -> None:
    journal = Journal(100)
    boot, kept, heard = 100, set[tuple[int, int]](), set[tuple[int, int]]()
    for action, number in actions:
        if action in {"sample", "many", "event"}:
            for _ in range(number if action == "many" else 1):
                seq = journal.next_seq()
                journal.add(seq, event(seq) if action == "event" else entry(seq), event=action == "event")
                kept.add((boot, seq))
        elif action == "send":
            heard |= set(said(journal.unsent()))
            assert journal.unsent() == []
        elif action == "ack" and heard:
            of, last = sorted(heard)[number % len(heard)]
            journal.acknowledge(of, [(max(1, last - number // 3), last)])
            kept -= {(of, seq) for seq in range(max(1, last - number // 3), last + 1)}
        elif action == "round":
            assert set(said(journal.overdue())) <= kept & heard
        elif action == "reboot":
            boot += 1 + number
            journal.reboot(boot)
        elif action == "reconnect":
            journal.reconnected()
        assert len(journal) == len(kept)
    assert left(journal) == kept
    journal.reconnected()
    again = said(journal.unsent())
    assert set(again) == kept
    assert len(again) == len(kept)


def test_a_reconnected_terminal_sends_everything_oldest_boot_first_in_messages_of_500() -> None:
    journal = Journal(1)
    write(journal, 700)
    journal.reboot(2)
    write(journal, 3)
    batches = journal.unsent()
    assert [batch.entries for batch in batches] == [MAX_SAMPLES, 200, 3]
    assert said(batches) == [*((1, n) for n in range(1, 701)), (2, 1), (2, 2), (2, 3)]


def test_what_was_sent_is_not_sent_again_though_its_block_was_packed_since() -> None:
    journal = Journal(1)
    write(journal, 10)
    journal.unsent()
    write(journal, 500)
    assert said(journal.unsent()) == [(1, seq) for seq in range(11, 511)]


def test_events_travel_on_their_own_channel_with_seqs_of_the_same_counter() -> None:
    journal = Journal(1)
    write(journal)
    seq = journal.next_seq()
    journal.add(seq, event(seq), event=True)
    write(journal)
    assert [(b.channel, said([b])) for b in journal.unsent()] == [
        (Channel.EVENT, [(1, 2)]),
        (Channel.TELEMETRY, [(1, 1), (1, 3)]),
    ]


def test_the_unacknowledged_is_sent_again_after_one_to_two_rounds_and_then_ever_more_rarely() -> None:
    journal = Journal(1)
    write(journal)
    journal.unsent()
    assert journal.overdue() == []  # it may have been sent a moment ago
    rounds = [len(journal.overdue()) for _ in range(31)]
    assert [n for n, sent in enumerate(rounds) if sent] == [0, 2, 6, 14, 22, 30]


def test_one_lost_sample_is_sent_again_while_later_ones_are_acknowledged() -> None:
    journal = Journal(1)
    write(journal)
    journal.unsent()
    resent: list[tuple[int, int]] = []
    for seq in range(2, 7):
        write(journal)
        journal.unsent()
        journal.acknowledge(1, [(seq, seq)])
        resent += said(journal.overdue())
    assert resent.count((1, 1)) >= 3
    assert set(resent) == {(1, 1)}


def test_a_full_journal_drops_the_oldest_and_says_which() -> None:
    journal = Journal(1, capacity=50)
    write(journal, 60)
    journal.reboot(2)
    write(journal, 45)
    assert len(journal) == 50
    assert journal.dropped == {1: [(1, 55)]}
    assert journal.left() == {1: [(56, 60)], 2: [(1, 45)]}


def test_a_full_journal_of_packed_entries_drops_a_block_at_a_time() -> None:
    journal = Journal(1, capacity=300)
    write(journal, 301)
    assert journal.dropped == {1: [(1, 32)]}
    assert journal.left() == {1: [(33, 301)]}


def test_an_acknowledgement_of_every_number_there_is_costs_no_more_than_the_journal() -> None:
    journal = Journal(1)
    write(journal, 300)
    assert journal.acknowledge(1, [(0, 2**32 - 1)]) == 300
    assert journal.acknowledge(9, [(0, 2**32 - 1)]) == 0
    assert journal.unsent() == []


def test_a_day_of_one_terminals_silence_fits_into_a_quarter_of_a_megabyte() -> None:
    fields: dict[str, Any] = {"tickets": 1.0, "tx_ms": 412.5, "rtt_ms": 38.2, "paper_pct": 64.0, "cpu_pct": 17.5, "mem_mb": 412.0}
    fields |= {"head_c": 31.4, "board_c": 44.1, "disk_mb": 2110.0, "clock_ms": 12.0, "loss_pct": 0.1, "scans": 2.0}
    tracemalloc.start()
    journal = Journal(1)
    for n in range(2880):
        seq = journal.next_seq()
        fields |= {"tx_ms": 400.0 + n * 37 % 101, "rtt_ms": 30.0 + n * 13 % 29, "uptime_s": 30.0 * n}
        journal.add(seq, json.dumps({"seq": seq, "at": 1_763_900_000_000 + n * 30_000} | fields).encode())
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 262_144
    assert len(said(journal.unsent())) == 2880


def test_ranges_join_neighbours() -> None:
    assert ranges([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
    assert list(itertools.chain(ranges([]))) == []
