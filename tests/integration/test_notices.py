"""From an incident's event to a webhook receiver: at least once, in order, under one id, with a dead end that is visible."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

import jsonschema
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from diagnostics.incidents import acknowledge, declare, resolve
from diagnostics.notices.body import schema
from diagnostics.notices.deliver import Channelled, Deliveries
from diagnostics.notices.outbox import channels, dead_notices, enqueue, forget_notices, list_notices, retry_notices, set_channels
from diagnostics.notices.policy import Channel, RetryPolicy, Verdict
from diagnostics.notices.queue import LEASE, claim
from diagnostics.notices.sending import Outcome, Parcel
from diagnostics.notices.settings import NoticeSettings, channels_of
from diagnostics.notices.webhook import Webhook, signature
from fleet.clock import Clock, system_clock
from fleet.settings import read
from tests.integration.notice_house import SECRET, START, Conn, Hand, Receiver, found, happens, receiving, wait_for
from tests.integration.small_fleet import add_shops

HOOK = Channel("hook", "webhook")
POLICY = RetryPolicy(give_up_after=timedelta(hours=2))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def db(conn: Conn) -> Conn:
    """A database with the channel `hook`; nothing is committed."""
    set_channels(conn, [HOOK], now=START)
    return conn


@pytest.fixture
def live(database_url: str) -> Iterator[Conn]:
    """The same where other connections look on: what it does is committed at once."""
    with psycopg.connect(database_url, autocommit=True) as committing:
        set_channels(committing, [HOOK], now=START)
        yield committing


@pytest.fixture
def clock() -> Hand:
    return Hand()


def side(receiver: Receiver, clock: Hand, policy: RetryPolicy = POLICY) -> Channelled:
    return Channelled(HOOK, Webhook(receiver.url, SECRET), clock=clock, policy=policy, jitter=lambda: 0.5)


def kinds(receiver: Receiver) -> list[str]:
    return [got.body["kind"] for got in receiver.got]


def test_what_happens_to_an_incident_is_told_once_and_in_order(db: Conn, receiver: Receiver, clock: Hand) -> None:
    terminals = add_shops(db, 2)
    incident = found(db, terminals=terminals)
    happens(db, incident, "opened")
    happens(db, incident, "clearing", state="clearing")
    happens(db, incident, "reopened", state="open")
    happens(db, incident, "grew", hits=42)
    happens(db, incident, "grew", hits=70, worst_hits=70)
    acknowledge(db, incident, actor="Ada", now=START)
    resolve(db, incident, actor="Ada", detail="carte réseau remplacée", now=START)
    hook = side(receiver, clock)
    assert hook.deliver(db) == 4
    assert hook.deliver(db) == 0
    assert kinds(receiver) == ["opened", "grew", "acknowledged", "resolved"]
    first, grown, taken, over = (got.body for got in receiver.got)
    assert first["incident"]["title"]["en"] == "Terminals off line: carrier beta, region Auvergne-Rhône-Alpes (84)"
    assert (first["incident"]["terminals"], first["incident"]["hits"], grown["incident"]["hits"]) == (4, 40, 70)
    assert (taken["actor"], taken["incident"]["acknowledged_by"]) == ("Ada", "Ada")
    assert (over["comment"], over["incident"]["state"]) == ("carte réseau remplacée", "closed")
    assert [body["reason"] for body in (first, grown, taken, over)] == ["first", "changed", "changed", "over"]
    assert len({got.id for got in receiver.got}) == 4
    for got in receiver.got:
        jsonschema.Draft202012Validator(schema()).validate(got.body)
        assert got.body["notice"] == got.id
    assert {notice.state for notice in list_notices(db)} == {"sent"}


def test_an_incident_declared_by_a_person_is_told_in_its_words(db: Conn, receiver: Receiver, clock: Hand) -> None:
    add_shops(db, 3)
    declare(db, scope={"carrier": "alpha"}, title="Travaux rue de Rivoli", advice="Patienter.", actor="Ada", now=START)
    side(receiver, clock).deliver(db)
    [got] = receiver.got
    about = got.body["incident"]
    assert (about["title"]["fr"], about["trouble"], about["likely_cause"]) == ("Travaux rue de Rivoli", None, None)
    assert (about["advice"]["en"], about["terminals"], got.body["actor"]) == ("Patienter.", 6, "Ada")
    jsonschema.Draft202012Validator(schema()).validate(got.body)


def test_a_receiver_that_fails_and_heals_gets_everything_in_order_under_the_same_ids(
    db: Conn, receiver: Receiver, clock: Hand
) -> None:
    incident, other = found(db), found(db, scope={})
    happens(db, incident, "opened")
    happens(db, incident, "closed", state="closed", closed_at=START)
    happens(db, other, "opened")
    hook = side(receiver, clock)
    receiver.answer(503)
    # The other incident does not wait for this one; what comes after it does.
    assert hook.deliver(db) == 1
    receiver.answer(500)
    clock.forward(9)
    assert hook.deliver(db) == 0
    clock.forward(1)
    assert hook.deliver(db) == 0
    clock.forward(19)
    assert hook.deliver(db) == 0
    clock.forward(1)
    assert hook.deliver(db) == 2
    of_incident = [got for got in receiver.got if got.body["incident"]["id"] == incident]
    assert [got.body["kind"] for got in of_incident] == ["opened", "opened", "opened", "closed"]
    assert len({got.id for got in of_incident[:3]}) == 1
    assert len({got.raw for got in of_incident[:3]}) == 1


def test_who_dies_between_sending_and_marking_sends_again_under_the_same_id(db: Conn, receiver: Receiver, clock: Hand) -> None:
    happens(db, found(db), "opened")

    class Dying(Webhook):
        def send(self, parcel: Parcel) -> Outcome:
            super().send(parcel)
            raise KeyboardInterrupt

    dying = Channelled(HOOK, Dying(receiver.url, SECRET), clock=clock, policy=POLICY)
    with pytest.raises(KeyboardInterrupt):
        dying.deliver(db)
    assert [notice.state for notice in list_notices(db)] == ["waiting"]
    hook = side(receiver, clock)
    clock.forward(LEASE.total_seconds() - 1)
    assert hook.deliver(db) == 0
    clock.forward(1)
    assert hook.deliver(db) == 1
    assert len(receiver.got) == 2
    assert len({got.id for got in receiver.got}) == 1


def test_no_transaction_is_open_while_a_receiver_takes_its_time(
    live: Conn, receiver: Receiver, clock: Hand, database_url: str
) -> None:
    happens(live, found(live), "opened")
    receiver.slow_s = 0.5
    with psycopg.connect(database_url, autocommit=True) as sending:
        thread = threading.Thread(target=lambda: side(receiver, clock).deliver(sending))
        thread.start()
        wait_for(lambda: list_notices(live)[0].attempts == 1)
        # An open one would hold back whoever reads committed batches.
        row = live.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND (xact_start IS NOT NULL OR backend_xid IS NOT NULL)",
            (sending.info.backend_pid,),
        ).fetchone()
        assert not receiver.got
        thread.join()
    assert row == (0,)
    assert len(receiver.got) == 1


def test_two_watches_double_nothing_and_keep_the_order(live: Conn, receiver: Receiver, clock: Hand, database_url: str) -> None:
    incidents = [found(live, scope={"lot": f"L{number:02}"}) for number in range(6)]
    for size in (40, 60, 90, 140):
        for incident in incidents:
            happens(live, incident, "opened" if size == 40 else "grew", hits=size, worst_hits=size)
    receiver.slow_s = 0.01

    def watch() -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            mine = side(receiver, clock)
            while any(notice.state == "waiting" for notice in list_notices(conn)):
                mine.deliver(conn)

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.got) == len({got.id for got in receiver.got}) == 24
    for incident in incidents:
        hits = [got.body["incident"]["hits"] for got in receiver.got if got.body["incident"]["id"] == incident]
        assert hits == [40, 60, 90, 140]


@pytest.mark.parametrize(
    ("answer", "state", "wait_s", "error"),
    [
        pytest.param((204, {}), "sent", None, "", id="any 2xx is enough"),
        pytest.param((410, {}), "dead", None, "refused: 410 Gone: the receiver wants no more", id="gone is for ever"),
        pytest.param((429, {"Retry-After": "120"}), "waiting", 120, "429", id="too many: as long as it asks"),
        pytest.param((503, {"Retry-After": "Mon, 23 Nov 1998 10:00:00 GMT"}), "waiting", 10, "503", id="a date of the past"),
        pytest.param((429, {"Retry-After": "soon"}), "waiting", 10, "429", id="an unreadable wish"),
        pytest.param((401, {}), "waiting", 10, "401", id="somebody may put the account right"),
        pytest.param(
            (302, {"Location": "http://127.0.0.1:1/"}),
            "waiting",
            10,
            "302: redirects are not followed; set the URL it leads to",
            id="no redirect is followed",
        ),
    ],
)
def test_what_the_receiver_answers_decides(
    conn: Conn, answer: tuple[int, dict[str, str]], state: str, wait_s: float | None, error: str
) -> None:
    set_channels(conn, [HOOK], now=START)
    happens(conn, found(conn), "opened")
    with receiving() as receiver:
        receiver.answers.append(answer)
        side(receiver, Hand()).deliver(conn)
    [notice] = list_notices(conn)
    assert (notice.state, notice.error, notice.attempts) == (state, error, 1)
    if wait_s is not None:
        assert notice.due_at == START + timedelta(seconds=wait_s)
    assert len(receiver.got) == 1


def test_a_receiver_that_is_not_there_is_tried_and_its_url_is_told_to_nobody(
    db: Conn, clock: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    happens(db, found(db), "opened")
    with receiving() as gone:
        url = gone.url + "?token=verysecret"
    Channelled(HOOK, Webhook(url, SECRET), clock=clock, policy=POLICY).deliver(db)
    [notice] = list_notices(db)
    assert (notice.state, notice.error) == ("waiting", "ConnectError")
    assert "verysecret" not in caplog.text


def test_what_was_given_up_is_seen_and_can_be_tried_again(db: Conn, receiver: Receiver, clock: Hand) -> None:
    incident = found(db)
    happens(db, incident, "opened")
    hook = side(receiver, clock, RetryPolicy(most_attempts=3))
    receiver.answer(500, times=3)
    for _ in range(3):
        hook.deliver(db)
        clock.forward(60)
    [dead] = dead_notices(db)
    assert (dead.incident_id, dead.kind, dead.channel, dead.error) == (incident, "opened", "hook", "given up after 3 attempts: 500")
    # What comes after it is sent all the same.
    happens(db, incident, "grew", hits=90)
    assert hook.deliver(db) == 1
    assert retry_notices(db, ids=[dead.id + 1000], now=clock()) == 0
    assert retry_notices(db, now=clock()) == 1
    assert hook.deliver(db) == 1
    assert dead_notices(db) == []
    assert receiver.got[-1].id == str(dead.uid) == receiver.got[0].id


@pytest.mark.parametrize(
    ("kind", "later", "tried"),
    [
        pytest.param("webhook", "grew", 1, id="a message is still news while the incident goes on"),
        pytest.param("webhook", "closed", 0, id="nobody hears of a beginning after the end"),
        pytest.param("mqtt", "grew", 0, id="a topic keeps its newest state"),
    ],
)
def test_what_a_later_notice_overtook_is_not_tried_again(
    db: Conn, receiver: Receiver, clock: Hand, *, kind: Literal["webhook", "mqtt"], later: str, tried: int
) -> None:
    set_channels(db, [Channel("hook", kind)], now=START)
    incident, other = found(db), found(db, scope={"lot": "L07"})
    hook = side(receiver, clock)
    for one in (incident, other):
        receiver.answer(410)
        happens(db, one, "opened")
        hook.deliver(db)
    happens(db, incident, later, state="closed" if later == "closed" else "open", hits=90)
    assert hook.deliver(db) == 1
    assert len(dead_notices(db)) == 2
    # The other incident's is tried whatever became of the first.
    assert retry_notices(db, now=clock()) == tried + 1
    hook.deliver(db)
    assert {notice.state for notice in list_notices(db, incident=other)} == {"sent"}
    assert [notice.state for notice in list_notices(db, incident=incident)] == ["sent", "sent" if tried else "dropped"]
    assert dead_notices(db) == []


def test_what_is_undone_is_not_told(db: Conn) -> None:
    with db.transaction(force_rollback=True):
        happens(db, found(db), "opened")
        assert len(list_notices(db)) == 1
    assert list_notices(db) == []


def test_an_event_is_put_once_for_each_channel(db: Conn) -> None:
    set_channels(db, [HOOK, Channel("mail", "mail", minimum=50), Channel("mqtt", "mqtt")], now=START)
    incident = found(db)
    event = happens(db, incident, "opened")
    again = enqueue(db, incident=incident, event_kind="opened", event_id=event, at=START, now=START)
    assert again == {"hook": Verdict.DUPLICATE, "mail": Verdict.SMALL, "mqtt": Verdict.DUPLICATE}
    assert sorted(notice.channel for notice in list_notices(db)) == ["hook", "mqtt"]
    # It grows beyond what the mail's readers want to hear of: new to them, a change to the others.
    happens(db, incident, "grew", hits=80, worst_hits=80)
    assert sorted((n.channel, n.reason) for n in list_notices(db)[:3]) == [
        ("hook", "changed"),
        ("mail", "first"),
        ("mqtt", "changed"),
    ]


def test_without_channels_nothing_is_put_and_events_are_recorded_all_the_same(db: Conn) -> None:
    set_channels(db, [], now=START)
    happens(db, found(db), "opened")
    assert list_notices(db) == []


def test_of_a_storm_only_the_parent_is_told_with_its_childrens_titles(db: Conn, receiver: Receiver, clock: Hand) -> None:
    early = found(db, scope={"carrier": "beta"})
    happens(db, early, "opened")
    parent = found(db, scope={}, trouble="tx_failing", hits=9000, worst_hits=9000)
    children = [found(db, scope={"region": region}, parent_id=parent) for region in ("11", "84", "93")]
    db.execute("UPDATE diagnostics.incident SET parent_id = %s WHERE id = %s", (parent, early))
    for child in children:
        happens(db, child, "opened")
        happens(db, child, "parent")
    happens(db, early, "parent")
    happens(db, parent, "opened")
    happens(db, children[0], "grew", hits=99)
    happens(db, children[0], "closed", state="closed")
    happens(db, early, "closed", state="closed")
    happens(db, parent, "grew", hits=15_000)
    side(receiver, clock).deliver(db)
    told = [(got.body["incident"]["id"], got.body["kind"]) for got in receiver.got]
    # The one that was told before the storm was seen to be one is told where it went, and no more.
    assert told == [(early, "opened"), (early, "parent"), (parent, "opened"), (parent, "grew")]
    opened, grew = (got.body["incident"] for got in receiver.got[2:])
    assert [child["id"] for child in opened["children"]] == [early, *children]
    assert opened["children"][2]["title"]["en"] == "Terminals off line: region Auvergne-Rhône-Alpes (84)"
    assert [child["id"] for child in grew["children"]] == children[1:]


def replayed(db: Conn, incident: int, kind: str, clock: Hand, *, minutes_ago: float, **columns: object) -> None:
    """What the watch found while it caught up."""
    event = happens(db, incident, kind, at=clock() - timedelta(minutes=minutes_ago), **columns)
    db.execute("DELETE FROM diagnostics.notice WHERE event_id = %s", (event,))
    at = clock() - timedelta(minutes=minutes_ago)
    enqueue(db, incident=incident, event_kind=kind, event_id=event, at=at, now=clock(), replayed=True)


def test_what_began_and_ended_while_the_watch_was_away_is_not_told(db: Conn, receiver: Receiver, clock: Hand) -> None:
    over, lasting = found(db), found(db, scope={"region": "84"})
    hook = side(receiver, clock)
    replayed(db, over, "opened", clock, minutes_ago=120)
    assert hook.deliver(db) == 0
    replayed(db, over, "grew", clock, minutes_ago=110, hits=90)
    replayed(db, lasting, "opened", clock, minutes_ago=60)
    replayed(db, over, "closed", clock, minutes_ago=50, state="closed")
    clock.forward(300)
    hook.deliver(db)
    assert [(got.body["incident"]["id"], got.body["kind"]) for got in receiver.got] == [(lasting, "opened")]
    assert {(n.incident_id, n.state) for n in list_notices(db)} == {(over, "dropped"), (lasting, "sent")}
    # Should it come back within the day, that is news.
    happens(db, over, "reopened", at=clock(), state="open")
    hook.deliver(db)
    assert (receiver.got[-1].body["kind"], receiver.got[-1].body["reason"]) == ("reopened", "first")


def test_an_end_is_told_to_whoever_was_told_of_the_beginning_before_the_watch_was_away(
    db: Conn, receiver: Receiver, clock: Hand
) -> None:
    incident = found(db)
    hook = side(receiver, clock)
    happens(db, incident, "opened")
    hook.deliver(db)
    clock.forward(3600)
    replayed(db, incident, "closed", clock, minutes_ago=30, state="closed")
    clock.forward(300)
    hook.deliver(db)
    assert kinds(receiver) == ["opened", "closed"]


def test_a_channel_that_is_not_set_any_more_leaves_no_notice_waiting(db: Conn) -> None:
    happens(db, found(db), "opened")
    set_channels(db, [Channel("other", "webhook")], now=START)
    [dead] = dead_notices(db)
    assert dead.error == "the channel is not set any more"
    assert [channel.name for channel in channels(db)] == ["other"]


def test_a_notice_of_another_release_ends_as_dead_and_lets_the_next_pass(db: Conn, receiver: Receiver, clock: Hand) -> None:
    incident = found(db)
    happens(db, incident, "opened")
    db.execute("UPDATE diagnostics.notice SET body = body - 'actor'")
    happens(db, incident, "grew", hits=90)
    db.execute("UPDATE diagnostics.notice SET body = jsonb_set(body, '{later}', '1')")
    hook = side(receiver, clock)
    assert hook.deliver(db) == 0
    [unread, _] = reversed(list_notices(db))
    assert "cannot be read" in unread.error


def test_old_notices_are_forgotten_dead_ones_are_not(db: Conn, receiver: Receiver, clock: Hand) -> None:
    incident = found(db)
    happens(db, incident, "opened")
    happens(db, incident, "grew", hits=90)
    receiver.answer(410)
    side(receiver, clock).deliver(db)
    assert forget_notices(db, before=START) == 0
    assert forget_notices(db, before=START + timedelta(seconds=1)) == 1
    assert [notice.state for notice in list_notices(db)] == ["dead"]


def test_a_claim_takes_one_notice_and_leaves_the_others(db: Conn) -> None:
    happens(db, found(db), "opened")
    happens(db, found(db, scope={}), "opened")
    taken = [claim(db, channel="hook", now=START) for _ in range(3)]
    assert len({one.id for one in taken if one}) == 2
    assert taken[2] is None
    assert claim(db, channel="other", now=START) is None


def _told_after_s(live: Conn, receiver: Receiver, clock: Clock) -> float:
    """How long after an incident's commit both URLs have it."""
    before = len(receiver.got)
    happens(live, found(live), "opened", at=clock())
    begun = time.monotonic()
    wait_for(lambda: len(receiver.got) == before + 2)
    return time.monotonic() - begun


def test_the_watchs_threads_tell_within_two_seconds_of_the_commit(live: Conn, receiver: Receiver, database_url: str) -> None:
    settings = read(
        NoticeSettings,
        notice_webhook_urls=f"{receiver.url} {receiver.url}/second",
        notice_webhook_secret=SECRET,
        notice_console_url="https://vigie.example/",
    )
    into, stop, clock = CollectorRegistry(), threading.Event(), system_clock()
    with Deliveries(database_url, settings, clock=clock, stop=stop, into=into):
        assert {channel.name for channel in channels(live)} == {channel.name for channel in channels_of(settings)}
        took_s = [_told_after_s(live, receiver, clock) for _ in range(5)]
    # A busy machine may hold one up.
    assert median(took_s) < 2.0
    assert {got.path for got in receiver.got} == {"/hook", "/hook/second"}
    first = receiver.got[0]
    assert first.body["url"] == f"https://vigie.example/console/incidents/{first.body['incident']['id']}"
    at_s = int(first.headers["Vigie-Signature"].partition(",")[0].removeprefix("t="))
    assert first.headers["Vigie-Signature"] == signature(SECRET, first.raw, at_s=at_s)
    names = {"channel": next(iter(channels_of(settings))).name, "outcome": "sent"}
    assert into.get_sample_value("vigie_watch_notice_attempts_total", names) == 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("webhook", "notices"))]


def test_a_database_that_comes_back_is_served_again(database_url: str, live: Conn, receiver: Receiver) -> None:
    settings = read(NoticeSettings, notice_webhook_urls=receiver.url, notice_webhook_secret=SECRET)
    stop, clock = threading.Event(), system_clock()
    with Deliveries(database_url, settings, clock=clock, stop=stop, into=CollectorRegistry()):
        live.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vigie notices'")
        happens(live, found(live), "opened", at=clock())
        wait_for(lambda: receiver.got)
        stop.set()


def test_the_schema_in_the_docs_is_the_codes() -> None:
    stored = Path(__file__).parents[2] / "docs/notice.schema.json"
    assert json.loads(stored.read_text()) == schema()


def test_attempts_follow_each_other_ever_more_slowly(db: Conn, receiver: Receiver, clock: Hand) -> None:
    happens(db, found(db), "opened")
    hook = side(receiver, clock)
    receiver.answer(500, times=20)
    tried: list[float] = []
    while not dead_notices(db):
        if len(receiver.got) > len(tried):
            tried.append((clock() - START).total_seconds())
        clock.forward(5)
        hook.deliver(db)
    gaps = [later - sooner for sooner, later in pairwise(tried)]
    assert gaps == sorted(gaps)
    assert tried[-1] <= 2 * 3600
    assert 8 <= len(receiver.got) <= 11
