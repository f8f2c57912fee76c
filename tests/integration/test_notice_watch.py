"""What the watch stores is told: in one step whatever its order, caught up without what is over, and by the running program."""

import threading
from dataclasses import replace
from datetime import timedelta

import numpy as np
import psycopg
import pytest

from diagnostics.detector.observed import Fleet
from diagnostics.fleet_arrays import fleet_arrays
from diagnostics.incident_store import save_changes
from diagnostics.incidents import declare
from diagnostics.notices.outbox import list_notices, set_channels
from diagnostics.notices.policy import Channel
from diagnostics.notices.queue import claim, drop_what_is_over
from diagnostics.settings import WatchSettings
from diagnostics.tracking.tracked import Change, ChangeKind, Phase, Tracked
from diagnostics.troubles import Trouble
from diagnostics.watching import run
from fleet.clock import system_clock, to_ms
from fleet.registry import all_terminals
from fleet.settings import read
from tests.integration.notice_house import SECRET, START, Conn, receiving, wait_for
from tests.integration.small_fleet import add_shops

HOOK = Channel("hook", "webhook")
START_MS = to_ms(START)


@pytest.fixture
def fleet(conn: Conn) -> Fleet:
    """Four terminals, and the channel `hook`."""
    set_channels(conn, [HOOK], now=START)
    add_shops(conn, 2)
    return fleet_arrays(all_terminals(conn))


def tracked(key: int, trouble: Trouble = Trouble.NETWORK, **fields: object) -> Tracked:
    one = Tracked(
        key=key,
        trouble=trouble,
        scope=(("carrier", "alpha"),),
        phase=Phase.OPEN,
        began_ms=START_MS - 60_000,
        rows=np.arange(3, dtype=np.intp),
        hit_ms=np.full(3, START_MS - 60_000, np.int64),
        hits=3,
        worst_hits=3,
        score=31.5,
        opened_ms=START_MS,
    )
    return replace(one, **fields)  # type: ignore[arg-type]  # a table of any of its fields


def change(kind: ChangeKind, one: Tracked, *, at_ms: int = START_MS) -> Change:
    return Change(kind, one.key, at_ms, one)


def told(conn: Conn) -> list[tuple[str, str]]:
    """Kind and trouble of what waits, in order."""
    rows = conn.execute("SELECT kind, body -> 'incident' ->> 'trouble' FROM diagnostics.notice WHERE state = 'waiting' ORDER BY id")
    return [(kind, trouble) for kind, trouble in rows.fetchall()]


def test_a_storm_that_opens_in_one_step_is_told_by_its_parent(conn: Conn, fleet: Fleet) -> None:
    parent, child = tracked(1, Trouble.TX_FAILING), tracked(2)
    part = tracked(2, parent=1)
    steps = [
        change(ChangeKind.OPENED, child),
        change(ChangeKind.OPENED, parent),
        change(ChangeKind.PARENT, part),
        change(ChangeKind.FIGURES, part),
    ]
    save_changes(conn, steps, fleet=fleet, stored={}, now=START)
    assert told(conn) == [("opened", "tx_failing")]
    [[children]] = conn.execute("SELECT body -> 'incident' -> 'children' FROM diagnostics.notice").fetchall()
    assert [one["title"]["en"] for one in children] == ["Network degraded: carrier alpha"]


def test_what_outlives_its_storm_is_told_and_so_is_its_end(conn: Conn, fleet: Fleet) -> None:
    parent, child = tracked(1, Trouble.TX_FAILING), tracked(2)
    steps = [change(ChangeKind.OPENED, child), change(ChangeKind.OPENED, parent), change(ChangeKind.PARENT, tracked(2, parent=1))]
    save_changes(conn, steps, fleet=fleet, stored={}, now=START)
    over = tracked(1, Trouble.TX_FAILING, phase=Phase.CLOSED, closed_ms=START_MS + 600_000)
    steps = [change(ChangeKind.CLOSED, over, at_ms=START_MS + 600_000), change(ChangeKind.APART, child, at_ms=START_MS + 600_000)]
    save_changes(conn, steps, fleet=fleet, stored={}, now=START + timedelta(minutes=10))
    closed = change(ChangeKind.CLOSED, tracked(2, phase=Phase.CLOSED, closed_ms=START_MS + 900_000), at_ms=START_MS + 900_000)
    save_changes(conn, [closed], fleet=fleet, stored={}, now=START + timedelta(minutes=15))
    assert told(conn) == [("opened", "tx_failing"), ("closed", "tx_failing"), ("apart", "network"), ("closed", "network")]


def test_candidates_and_figures_are_told_to_nobody(conn: Conn, fleet: Fleet) -> None:
    candidate = tracked(1, phase=Phase.CANDIDATE, opened_ms=None)
    save_changes(conn, [change(ChangeKind.FIGURES, candidate)], fleet=fleet, stored={}, now=START)
    opened = [change(ChangeKind.OPENED, tracked(1)), change(ChangeKind.FIGURES, tracked(1, hits=4))]
    save_changes(conn, opened, fleet=fleet, stored={}, now=START)
    assert told(conn) == [("opened", "network")]


def test_what_is_caught_up_waits_and_is_dropped_where_it_is_over(conn: Conn, fleet: Fleet) -> None:
    now = START + timedelta(hours=2)
    over, lasting = tracked(1), tracked(2, Trouble.HEAT)
    closed = tracked(1, phase=Phase.CLOSED, closed_ms=START_MS + 600_000)
    for one in (change(ChangeKind.OPENED, over), change(ChangeKind.OPENED, lasting)):
        save_changes(conn, [one], fleet=fleet, stored={}, now=START, replayed=True, told_at=now)
    assert claim(conn, channel="hook", now=now) is None
    closing = [change(ChangeKind.CLOSED, closed, at_ms=START_MS + 600_000)]
    save_changes(conn, closing, fleet=fleet, stored={}, now=START + timedelta(minutes=10), replayed=True, told_at=now)
    later = now + timedelta(minutes=10)
    assert drop_what_is_over(conn, channel="hook", now=later) == 2
    assert told(conn) == [("opened", "heat")]
    taken = claim(conn, channel="hook", now=later)
    assert taken is not None
    assert taken.body["at"] == "2026-11-23T10:00:00Z"


def test_the_running_watch_tells_what_people_do(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn, receiving() as receiver:
        add_shops(conn, 1)
        settings = read(WatchSettings, database_url=database_url, notice_webhook_urls=receiver.url, notice_webhook_secret=SECRET)
        stop = threading.Event()
        watch = threading.Thread(target=run, args=(settings,), kwargs={"stop": stop})
        watch.start()
        try:
            # Its channels are there before it judges anything.
            wait_for(lambda: conn.execute("SELECT FROM diagnostics.notice_channel").fetchone() is not None, timeout_s=20)
            declare(conn, scope={}, title="Essai", advice="", actor="Ada", now=system_clock()())
            wait_for(lambda: receiver.got)
            wait_for(lambda: list_notices(conn)[0].state == "sent")
        finally:
            stop.set()
            watch.join(20)
        assert not watch.is_alive()
    assert [got.body["incident"]["title"]["fr"] for got in receiver.got] == ["Essai"]
