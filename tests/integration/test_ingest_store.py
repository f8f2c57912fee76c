"""The store and the feed on a real database: wrong guesses, refused messages, and readers that miss nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

import numpy as np
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from fleet import feed
from fleet.clock import Clock, system_clock, to_ms
from fleet.contract import SAMPLE_FIELDS, Channel
from fleet.database import Connection, connect
from fleet.ingest.metrics import IngestMetrics
from fleet.ingest.store import StoppedError, Store
from fleet.ingest.writer import store_batch
from tests.integration.ingest_house import Database, register
from tests.unit.fleet.ingest.messages import arrivals, sample, telemetry

NAMES = ["T00001", "T00002"]
CLOCK = system_clock(0)


@pytest.fixture
def database(database_url: str) -> Database:
    register(database_url, 3)
    return Database(database_url)


@pytest.fixture
def reader(database: Database) -> Iterator[Connection]:
    with connect(database.url, program="test", autocommit=True) as conn:
        yield conn


def new_store(url: str, *, clock: Clock = CLOCK, stop: Event | None = None) -> Store:
    store = Store(url, worker="test", clock=clock, stop=stop or Event(), metrics=IngestMetrics(CollectorRegistry()))
    store.open()
    return store


def say(store: Store, *seqs: int, terminal: str = NAMES[0], at: int | None = None) -> None:
    now = to_ms(datetime.now(UTC)) if at is None else at
    messages = [(terminal, Channel.TELEMETRY, telemetry(sample(seq, now - 1_000 + seq, tickets=seq))) for seq in seqs]
    store.commit(arrivals(*messages))


def test_repeat_that_was_thought_fresh_is_still_stored_once(database: Database) -> None:
    at = to_ms(datetime.now(UTC))
    first, second = new_store(database.url), new_store(database.url)
    say(first, 1, at=at)
    say(second, 2, 3, at=at)
    # The first has never seen 2 and 3, and they are above all it knows.
    say(first, 2, 3, 4, at=at)
    assert sorted(seq for _, _, seq in database.samples()) == [1, 2, 3, 4]
    assert database.rows("SELECT samples, repeats FROM fleet.ingest_batch ORDER BY id") == [(1, 0), (2, 0), (1, 2)]


def test_message_that_the_database_refuses_stands_alone_as_a_dead_letter(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_the_fifth(conn: Connection, decoded, *args, **kwargs):  # type: ignore[no-untyped-def]  # passes everything on
        if 5 in decoded.samples["seq"].tolist():
            raise psycopg.DataError("it holds a five")
        return store_batch(conn, decoded, *args, **kwargs)

    monkeypatch.setattr("fleet.ingest.store.store_batch", refuse_the_fifth)
    say(new_store(database.url), *range(1, 10))
    assert sorted(seq for _, _, seq in database.samples()) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert database.rows("SELECT reason, detail FROM fleet.dead_letter") == [("refused", "DataError: it holds a five")]


def test_store_gives_up_waiting_only_when_told_to_stop(database: Database) -> None:
    stop = Event()
    store = new_store(database.url, stop=stop)
    store.close()
    store._url = "postgresql://vigie:wrong@127.0.0.1:1/nowhere"
    stop.set()
    with pytest.raises(StoppedError):
        say(store, 1)


def test_batches_of_one_moment_get_times_of_their_own(database: Database) -> None:
    moment = datetime.now(UTC)
    store = new_store(database.url, clock=lambda: moment)
    say(store, 1)
    say(store, 2)
    assert len(database.rows("SELECT DISTINCT received_at FROM fleet.sample")) == 2


def test_late_samples_mark_their_terminals_bucket_and_current_ones_the_whole(database: Database) -> None:
    now = datetime(2026, 11, 23, 10, 2, tzinfo=UTC)
    store = new_store(database.url, clock=lambda: now)
    say(store, 1, 2, at=to_ms(now))
    say(store, 3, 4, at=to_ms(now - timedelta(hours=2)))
    marks = database.rows("SELECT bucket, terminal_id FROM fleet.rollup_due ORDER BY bucket")
    assert marks == [(now.replace(hour=8, minute=0), "T00001"), (now.replace(minute=0), None)]


def test_reader_gets_each_batch_once_with_its_samples_and_events(database: Database, reader: Connection) -> None:
    store = new_store(database.url)
    begin = feed.last_batch(reader)
    say(store, 1, 2)
    event = b'{"boot":7,"events":[{"seq":3,"at":%d,"code":"PAPER_OUT","detail":"x"}]}' % to_ms(datetime.now(UTC))
    store.commit(arrivals((NAMES[1], Channel.EVENT, event)))
    got = feed.read_since(reader, batch_id=begin)
    assert got.samples["terminal"].tolist() == [b"T00001"] * 2
    assert got.samples["seq"].tolist() == [1, 2]
    tickets = SAMPLE_FIELDS.index("tickets")
    assert got.samples["values"][:, tickets].tolist() == [1.0, 2.0]
    assert np.isnan(np.delete(got.samples["values"], tickets, axis=1)).all()
    assert [(row.terminal, row.seq, row.code, row.detail) for row in got.events] == [("T00002", 3, "PAPER_OUT", "x")]
    again = feed.read_since(reader, batch_id=got.batch_id)
    assert (len(again.samples), again.events, again.batch_id, again.more) == (0, [], got.batch_id, False)


def test_limit_cuts_between_batches(database: Database, reader: Connection) -> None:
    store = new_store(database.url)
    for seq in range(1, 6):
        say(store, seq)
    seen: list[int] = []
    batch_id, more = 0, True
    while more:
        got = feed.read_since(reader, batch_id=batch_id, limit=2)
        batch_id, more = got.batch_id, got.more
        assert len(got.samples) <= 2
        seen += got.samples["seq"].tolist()
    assert seen == [1, 2, 3, 4, 5]


def test_reader_waits_for_a_batch_that_was_begun_before(database: Database, reader: Connection) -> None:
    with connect(database.url, program="test") as slow:
        slow.execute("SELECT fleet.open_batch()")
        say(new_store(database.url), 1)
        # Committed, but a batch with a lower id is still open: taking this one now would pass over that one for ever.
        assert len(feed.read_since(reader, batch_id=0).samples) == 0
        slow.rollback()
    assert feed.read_since(reader, batch_id=0).samples["seq"].tolist() == [1]


def test_latest_samples_are_the_newest_of_each_terminal(database: Database, reader: Connection) -> None:
    store = new_store(database.url)
    say(store, 1, 3, 2)
    say(store, 8, terminal=NAMES[1])
    since = datetime.now(UTC) - timedelta(minutes=5)
    every = feed.latest_samples(reader, since=since)
    assert list(zip(every["terminal"].tolist(), every["seq"].tolist(), strict=True)) == [(b"T00001", 3), (b"T00002", 8)]
    one = feed.latest_samples(reader, since=since, until=since + timedelta(hours=1), terminals=["T00002", "T00003"])
    assert one["seq"].tolist() == [8]
    assert len(feed.latest_samples(reader, since=since + timedelta(hours=1))) == 0
