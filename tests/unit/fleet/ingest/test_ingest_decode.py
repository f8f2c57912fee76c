import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.contract import MAX_SAMPLES, SAMPLE_FIELDS, Channel
from fleet.ingest.decode import Decoded, Reason, decode
from fleet.ingest.packets import Arrivals
from tests.unit.fleet.ingest.messages import NAMES, NOW_MS, arrivals, full_sample, known, sample, telemetry

DAY_MS = 86_400_000


def decode_one(payload: bytes, channel: Channel = Channel.TELEMETRY, terminal: str = NAMES[0]) -> Decoded:
    return decode(arrivals((terminal, channel, payload)), known(), received_ms=NOW_MS)


def events(*said: dict[str, object], **claims: object) -> bytes:
    return json.dumps({"boot": 7, "events": list(said), **claims}).encode()


def saying(detail: bytes) -> bytes:
    return b'{"boot":1,"events":[{"seq":1,"at":1,"code":"OPEN","detail":"' + detail + b'"}]}'


def test_sample_becomes_one_row_with_nan_for_what_was_not_measured() -> None:
    decoded = decode_one(telemetry(sample(5, tickets=3, rtt_ms=41.5, signal_dbm=None)))
    (row,) = decoded.samples
    assert (row["terminal"], row["boot"], row["seq"], row["at"]) == (0, 7, 5, NOW_MS)
    measured = {name: float(row["values"][place]) for place, name in enumerate(SAMPLE_FIELDS)}
    assert measured.pop("tickets") == 3
    assert measured.pop("rtt_ms") == 41.5
    assert all(math.isnan(value) for value in measured.values())
    assert decoded.dead == []
    assert [tuple(row) for row in decoded.settled] == [(0, 7, 5)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"", Reason.JSON, id="nothing"),
        pytest.param(b"{", Reason.JSON, id="cut off"),
        pytest.param(b"\xff\xfe" * 500_000, Reason.JSON, id="a megabyte of noise"),
        pytest.param(b"[" * 1_000_000, Reason.SCHEMA, id="a million brackets"),
        pytest.param(b'{"x":' * 100_000 + b"1" + b"}" * 100_000, Reason.JSON, id="nested and closed"),
        pytest.param(telemetry() + b"," + telemetry(), Reason.JSON, id="two payloads in one"),
        pytest.param(b"]" + telemetry() + b"[", Reason.JSON, id="closes what it did not open"),
        pytest.param(b'{"boot":1,"samples":[{"seq":1,"at":1,"tickets":NaN}]}', Reason.JSON, id="NaN"),
        pytest.param(b'{"boot":1,"samples":[{"seq":1,"at":1,"tickets":1e400}]}', Reason.SCHEMA, id="larger than a double"),
        pytest.param(b"{}", Reason.SCHEMA, id="nothing in it"),
        pytest.param(b"[]", Reason.SCHEMA, id="an array"),
        pytest.param(b'{"boot":1,"samples":[]}', Reason.SCHEMA, id="no sample"),
        pytest.param(telemetry(*[sample()] * (MAX_SAMPLES + 1)), Reason.SCHEMA, id="too many samples"),
        pytest.param(telemetry(sample(tickets="3")), Reason.SCHEMA, id="number as text"),
        pytest.param(telemetry(sample(tickets=True)), Reason.SCHEMA, id="truth as number"),
        pytest.param(telemetry(sample(seq=-1)), Reason.SCHEMA, id="negative number"),
        pytest.param(telemetry(sample(seq=2**32)), Reason.SCHEMA, id="seq beyond u32"),
        pytest.param(telemetry(terminal=NAMES[1]), Reason.CLAIM, id="claims another by terminal"),
        pytest.param(telemetry(terminal_id=NAMES[1]), Reason.CLAIM, id="claims another by terminal_id"),
        pytest.param(telemetry(id=NAMES[1]), Reason.CLAIM, id="claims another by id"),
        pytest.param(telemetry(id=0), Reason.CLAIM, id="claims a number"),
        pytest.param(telemetry(terminal=""), Reason.CLAIM, id="claims nobody"),
        pytest.param(telemetry(sample(tickets=1e39)), Reason.RANGE, id="larger than a float"),
        pytest.param(telemetry(sample(at=0)), Reason.CLOCK, id="1970"),
        pytest.param(telemetry(sample(at=2**53)), Reason.CLOCK, id="the year 287396"),
        pytest.param(telemetry(sample(at=NOW_MS - 7 * DAY_MS - 1)), Reason.CLOCK, id="over seven days old"),
        pytest.param(telemetry(sample(at=NOW_MS + 300_001)), Reason.CLOCK, id="over five minutes ahead"),
    ],
)
def test_poison_is_a_dead_letter_and_its_neighbours_are_stored(payload: bytes, reason: Reason) -> None:
    good = telemetry(sample(9, tickets=1))
    batch = arrivals(
        (NAMES[1], Channel.TELEMETRY, good), (NAMES[0], Channel.TELEMETRY, payload), (NAMES[2], Channel.TELEMETRY, good)
    )
    decoded = decode(batch, known(), received_ms=NOW_MS)
    assert decoded.samples["terminal"].tolist() == [1, 2]
    assert [(letter.reason, letter.terminal, letter.payload) for letter in decoded.dead] == [(reason, NAMES[0], payload)]


@pytest.mark.parametrize("claim", ["terminal", "terminal_id", "id"])
def test_true_claim_is_no_offence(claim: str) -> None:
    decoded = decode_one(telemetry()[:-1] + f', "{claim}": "{NAMES[0]}"}}'.encode())
    assert len(decoded.samples) == 1
    assert decoded.dead == []


def test_only_the_samples_off_the_clock_are_left_out_and_all_may_be_forgotten() -> None:
    decoded = decode_one(telemetry(sample(1, at=5), sample(2), sample(3, tickets=1e39), sample(4)))
    assert decoded.samples["seq"].tolist() == [2, 4]
    assert [letter.reason for letter in decoded.dead] == [Reason.CLOCK]
    # What is kept as a dead letter is kept: the terminal must not send it for ever.
    assert decoded.settled["seq"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "at", [pytest.param(NOW_MS - 7 * DAY_MS, id="just old enough"), pytest.param(NOW_MS + 300_000, id="just not ahead")]
)
def test_edges_of_the_clock_window_are_inside(at: int) -> None:
    assert len(decode_one(telemetry(sample(at=at))).samples) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param(b"pmu/v1/t/T99999/telemetry", Reason.UNKNOWN_TERMINAL, id="not registered"),
        pytest.param(b"pmu/v1/t//telemetry", Reason.TOPIC, id="empty level"),
        pytest.param(b"pmu/v1/t/T00001/telemetry/x", Reason.TOPIC, id="a level too many"),
        pytest.param(b"pmu/v1/t/T00001/desired2", Reason.TOPIC, id="no such channel"),
        pytest.param("pmu/v1/t/T0000१/telemetry".encode(), Reason.TOPIC, id="digits of another script"),
        pytest.param(b"pmu/v1/t/\xff\xfe/telemetry", Reason.TOPIC, id="not UTF-8"),
    ],
)
def test_odd_topic_is_a_dead_letter(name: bytes, reason: Reason) -> None:
    terminals = known()
    decoded = decode(Arrivals([name], [telemetry()], [b"\0\1"]), terminals, received_ms=NOW_MS)
    assert [letter.reason for letter in decoded.dead] == [reason]
    assert terminals.missed == 1


def test_events_are_taken_and_a_character_postgres_lacks_does_not_stop_them() -> None:
    said = events({"seq": 3, "at": NOW_MS, "code": "PAPER_OUT", "detail": "a\0b"}, {"seq": 4, "at": 5, "code": "OPEN"})
    decoded = decode_one(said, Channel.EVENT)
    assert [(terminal, boot, event.seq) for terminal, boot, event in decoded.events] == [(0, 7, 3)]
    assert [letter.reason for letter in decoded.dead] == [Reason.CLOCK]
    assert decoded.settled["seq"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("channel", "payload", "reason"),
    [
        pytest.param(Channel.EVENT, events({"seq": 1, "at": 1, "code": "PARTY"}), Reason.SCHEMA, id="unknown code"),
        pytest.param(
            Channel.EVENT, b'{"boot":1,"events":[{"seq":1,"at":1,"code":"OPEN","detail":"\xff"}]}', Reason.JSON, id="UTF-8"
        ),
        pytest.param(
            Channel.EVENT, b'{"boot":1,"events":[{"seq":1,"at":1,"code":"OPEN","detail":"\\ud800"}]}', Reason.JSON, id="surrogate"
        ),
        pytest.param(
            Channel.EVENT, events({"seq": 1, "at": NOW_MS, "code": "OPEN"}, id=NAMES[2]), Reason.CLAIM, id="event of another"
        ),
        pytest.param(Channel.PRESENCE, b'{"state":"asleep","session":1}', Reason.SCHEMA, id="no such state"),
        pytest.param(Channel.PRESENCE, b'{"state":"online","session":1,"id":"T00003"}', Reason.CLAIM, id="birth of another"),
        pytest.param(
            Channel.REPORTED, b'{"rev":1,"firmware":"1","slot":"A","config":{"a":["\\u0000"]}}', Reason.SCHEMA, id="U+0000"
        ),
        pytest.param(Channel.RES, b'{"id":"T00001","ok":true}', Reason.SCHEMA, id="order number as text"),
    ],
)
def test_records_that_break_the_contract_are_dead_letters(channel: Channel, payload: bytes, reason: Reason) -> None:
    decoded = decode_one(payload, channel)
    assert [letter.reason for letter in decoded.dead] == [reason]
    assert (decoded.events, decoded.presence, decoded.reported, decoded.results) == ([], [], [], [])


def test_result_is_known_by_its_order_not_taken_for_a_claim() -> None:
    decoded = decode_one(b'{"id":4,"ok":true,"detail":"done"}', Channel.RES)
    assert [each.body.id for each in decoded.results] == [4]


_PAYLOADS = st.one_of(
    st.builds(
        lambda seqs, boot: telemetry(*[full_sample(seq) if seq % 2 else sample(seq, tickets=seq) for seq in seqs], boot=boot),
        st.lists(st.integers(0, 50), min_size=1, max_size=4),
        st.integers(0, 3),
    ),
    st.binary(max_size=30),
    st.sampled_from(
        [
            telemetry(terminal=NAMES[1]),
            telemetry(sample(at=0), sample(2)),
            telemetry(sample(tickets=1e39)),
            telemetry() + b"," + telemetry(),
            b'{"boot":1,"x":[1',
            b"2]}",
            b"",
            b'{"boot":1,"samples":[]}',
        ]
    ),
)


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "T99999"]), st.just(Channel.TELEMETRY), _PAYLOADS), max_size=12))
def test_batch_decodes_as_its_messages_one_by_one(messages: list[tuple[str, Channel, bytes]]) -> None:
    together = decode(arrivals(*messages), known(), received_ms=NOW_MS)
    alone = [decode(arrivals(message), known(), received_ms=NOW_MS) for message in messages]
    columns = ["terminal", "boot", "seq", "at", "values"]
    expected = np.concatenate([part.samples for part in alone] or [together.samples])
    for column in columns:
        np.testing.assert_array_equal(together.samples[column], expected[column])
    np.testing.assert_array_equal(together.settled, np.concatenate([part.settled for part in alone] or [together.settled]))
    assert sorted(together.dead, key=str) == sorted((letter for part in alone for letter in part.dead), key=str)
