"""Ingest on real parts: stored once, acknowledged after the commit, poison kept aside, presence by sessions."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.contract import Ack, Channel
from tests.integration.ingest_house import BOOT, Database, Terminal, ingest, now_ms, register, start_ingest, wait_for
from tests.running_broker import Broker
from vigie.engines.certificates import make_certificates
from vigie.engines.layout import Layout
from vigie.engines.mosquitto import Door, EmbeddedMosquitto
from vigie.engines.process import free_port

DAY_MS = 86_400_000


@pytest.fixture
def database(database_url: str) -> Database:
    register(database_url, 20)
    return Database(database_url)


@pytest.fixture
def house(database: Database, broker: Broker) -> Iterator[Database]:
    with ingest(database.url, broker):
        yield database


@pytest.fixture
def terminal(broker: Broker) -> Iterator[Terminal]:
    running = Terminal(broker)
    yield running
    running.close()


def test_everything_a_terminal_says_is_stored(house: Database, terminal: Terminal) -> None:
    terminal.birth()
    terminal.sample(1, 2, rtt_ms=41.5)
    terminal.say(Channel.EVENT, {"boot": BOOT, "events": [{"seq": 3, "at": now_ms(), "code": "PAPER_OUT", "detail": "a\0b"}]})
    terminal.say(Channel.REPORTED, {"rev": 4, "firmware": "4.3.0", "slot": "B", "config": {"cadence_s": 30}})
    terminal.say(Channel.RES, {"id": 9, "ok": True, "detail": "pong"})
    wait_for(lambda: {(BOOT, 1), (BOOT, 2), (BOOT, 3)} <= terminal.acknowledged, what="the acks")
    assert house.rows("SELECT terminal_id, boot, seq, tickets, rtt_ms, paper_pct FROM fleet.sample ORDER BY seq") == [
        ("T00001", BOOT, 1, 3.0, 41.5, None),
        ("T00001", BOOT, 2, 3.0, 41.5, None),
    ]
    assert house.rows("SELECT seq, code, detail FROM fleet.event") == [(3, "PAPER_OUT", "a\N{REPLACEMENT CHARACTER}b")]
    wait_for(lambda: house.one("SELECT count(*) FROM fleet.command_result") == 1)
    assert house.rows("SELECT terminal_id, rev, firmware, slot, config FROM fleet.reported") == [
        ("T00001", 4, "4.3.0", "B", {"cadence_s": 30})
    ]
    assert house.rows("SELECT terminal_id, id, ok, detail FROM fleet.command_result") == [("T00001", 9, True, "pong")]
    assert house.rows("SELECT online, session, boot, firmware, model FROM fleet.presence") == [(True, 1, BOOT, "4.2.1", "B")]
    assert house.one("SELECT count(*) FROM fleet.rollup_due WHERE terminal_id IS NULL") >= 1
    assert house.reasons() == []


def test_ack_comes_only_after_the_commit(house: Database, broker: Broker) -> None:
    seen: list[bool] = []

    def look(ack: Ack) -> None:
        stored = {(boot, seq) for _, boot, seq in house.samples()}
        seen.extend((ack.boot, seq) in stored for begin, end in ack.seq for seq in range(begin, end + 1))

    terminal = Terminal(broker, on_ack=look)
    for seq in range(1, 30):
        terminal.sample(seq)
    wait_for(lambda: len(seen) >= 29, what="the acks")
    assert all(seen)
    terminal.close()


def test_sending_again_stores_once_and_is_acknowledged_again(house: Database, terminal: Terminal) -> None:
    at = now_ms()
    for _ in range(3):
        terminal.acknowledged.clear()
        terminal.sample(1, 2, 2, at=at)
        wait_for(lambda: (BOOT, 2) in terminal.acknowledged, what="the ack")
    assert house.one("SELECT count(*) FROM fleet.sample") == 2
    assert house.rows("SELECT sum(samples), sum(repeats) FROM fleet.ingest_batch") == [(2, 7)]


def test_poison_is_kept_aside_and_the_stream_goes_on(house: Database, terminal: Terminal) -> None:
    noise = b"\xff\x00" * 500_000
    for poison in (
        noise,
        b'{"boot":1,"samples":[{"seq":1',
        b'{"boot":1,"samples":[{"seq":1,"at":1,"tickets":NaN}]}',
        {"boot": BOOT, "terminal": "T00002", "samples": [{"seq": 90, "at": now_ms()}]},
        {"boot": BOOT, "samples": [{"seq": 91, "at": 0}]},
        {"boot": BOOT, "samples": [{"seq": 92, "at": now_ms() - 8 * DAY_MS}]},
        {"boot": BOOT, "samples": [{"seq": 93, "at": now_ms(), "tickets": 1e39}]},
        {"boot": BOOT, "samples": [{"seq": "94", "at": now_ms()}]},
    ):
        terminal.say(Channel.TELEMETRY, poison)
    terminal.say(Channel.TELEMETRY, noise)
    terminal.sample(1)
    wait_for(lambda: (BOOT, 1) in terminal.acknowledged, what="the good sample's ack")
    expected = [("json", 2), ("json", 1), ("json", 1), ("claim", 1), ("clock", 1), ("clock", 1), ("range", 1), ("schema", 1)]
    assert sorted(house.reasons()) == sorted(expected)
    assert house.samples() == {("T00001", BOOT, 1)}
    assert bytes(house.one("SELECT payload FROM fleet.dead_letter WHERE times = 2")) == noise
    # What is kept with its number may be forgotten: a terminal with a wrong clock must not send for ever.
    assert {(BOOT, 91), (BOOT, 92), (BOOT, 93)} <= terminal.acknowledged
    assert house.one("SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'sample'") <= 2


def test_terminal_imported_while_ingest_runs_is_known_at_once(database_url: str, broker: Broker) -> None:
    register(database_url, 1, first=2)
    database = Database(database_url)
    with ingest(database_url, broker):
        wait_for(lambda: database.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vigie ingest'") == 1)
        # The registry is looked at again at most once a second.
        time.sleep(1.1)
        terminal = Terminal(broker)
        terminal.sample(1)
        wait_for(lambda: database.reasons() == [("unknown_terminal", 1)], what="the dead letter")
        register(database_url, 1, first=1)
        time.sleep(1.1)
        terminal.sample(1)
        wait_for(lambda: (BOOT, 1) in terminal.acknowledged, what="the ack")
        terminal.close()


def test_late_will_of_the_connection_before_does_not_put_a_terminal_offline(house: Database, broker: Broker) -> None:
    first = Terminal(broker, session=1)
    first.birth()
    wait_for(lambda: house.rows("SELECT online, session FROM fleet.presence") == [(True, 1)])
    second = Terminal(broker, session=2)
    second.birth()
    # Taking over makes the broker publish the first one's will; a sample after it proves that it has been seen.
    second.sample(1)
    wait_for(lambda: (BOOT, 1) in second.acknowledged)
    assert house.rows("SELECT online, session FROM fleet.presence") == [(True, 2)]
    second.vanish()
    wait_for(lambda: house.rows("SELECT online, session FROM fleet.presence") == [(False, 2)])
    changes = house.rows("SELECT online, session FROM fleet.presence_change ORDER BY changed_at")
    assert changes[-2:] == [(True, 2), (False, 2)]
    first.close()


def test_clean_stop_leaves_nothing_to_send_again(database: Database, broker: Broker, terminal: Terminal) -> None:
    process = start_ingest(database.url, broker)
    terminal.sample(1)
    wait_for(lambda: (BOOT, 1) in terminal.acknowledged)
    terminal.stream(2, 500)
    process.terminate()
    assert process.wait(20) == 0
    before = database.one("SELECT sum(messages) FROM fleet.ingest_batch")
    with ingest(database.url, broker):
        terminal.stream(501, 600)
        wait_for(lambda: len(database.samples()) == 600, what="all samples")
    assert database.rows("SELECT sum(messages), sum(repeats) FROM fleet.ingest_batch") == [(600, 0)]
    assert before <= 500


def test_ingest_speaks_tls(database: Database, engines: Layout, engine_home: Path) -> None:
    certificates = make_certificates(engine_home / "ingest-tls")
    home = Path(tempfile.mkdtemp(dir=engine_home))
    secure = Broker(EmbeddedMosquitto(engines, home, terminals=Door(free_port(), tls=certificates)))
    home.chmod(0o755)
    secure.set_terminals(["T00001"])
    secure.mosquitto.start()
    try:
        url = f"mqtts://vigie-ingest:{secure.service_passwords['vigie-ingest']}@localhost:{secure.port}"
        with ingest(database.url, secure, mqtt_url=url, mqtt_ca_file=certificates.ca):
            # Its own side is not what is tested: it comes by the plain door.
            terminal = Terminal(secure, port=secure.services_port)
            terminal.stream(1, 500)
            wait_for(lambda: len(terminal.acknowledged) == 500, what="the acks")
            terminal.close()
        assert len(database.samples()) == 500
    finally:
        secure.mosquitto.stop()


def test_a_worker_that_joins_a_group_hears_only_its_share(database: Database, broker: Broker, terminal: Terminal) -> None:
    with ingest(database.url, broker, ingest_client_id="ingest-1"):
        terminal.stream(1, 10)
        wait_for(lambda: len(terminal.acknowledged) == 10, what="the acks")
    with ingest(database.url, broker, ingest_client_id="ingest-1", ingest_share_group="ingest"):
        # The broker has let go of the old subscriptions by the time of the first ack.
        terminal.stream(11, 20)
        wait_for(lambda: len(terminal.acknowledged) == 20, what="the acks")
        terminal.stream(21, 1_020)
        wait_for(lambda: len(terminal.acknowledged) == 1_020, what="the acks")
    assert database.one("SELECT count(*) FROM fleet.sample") == 1_020
    assert database.one("SELECT sum(repeats) FROM fleet.ingest_batch") <= 10


def test_two_workers_share_the_load_and_store_each_sample_once(database: Database, broker: Broker, terminal: Terminal) -> None:
    def worker(number: int) -> dict[str, object]:
        return {"ingest_client_id": f"ingest-{number}", "ingest_share_group": "ingest", "ingest_batch": 50}

    with ingest(database.url, broker, **worker(1)), ingest(database.url, broker, **worker(2)):
        terminal.birth()
        wait_for(lambda: database.one("SELECT count(DISTINCT worker) FROM fleet.ingest_batch") == 2, what="both to see the birth")
        terminal.stream(1, 2_000)
        wait_for(lambda: len(terminal.acknowledged) == 2_000, what="the acks")
    assert database.one("SELECT count(*) FROM fleet.sample") == 2_000
    assert database.one("SELECT sum(samples) FROM fleet.ingest_batch") == 2_000
    assert database.rows("SELECT online, session FROM fleet.presence_change") == [(True, 1)]
    shares = database.rows("SELECT sum(samples) FROM fleet.ingest_batch GROUP BY worker")
    assert min(share for (share,) in shares) > 500
