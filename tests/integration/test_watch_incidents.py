"""The watch finds an incident in a stored feed: live, over restarts, and catching up; and people have their say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from benchmarks.stored_feed import StoredFeed, register
from diagnostics.baseline_store import load_baseline, save_baseline
from diagnostics.fleet_arrays import fleet_arrays
from diagnostics.incident_views import terminals_after
from diagnostics.incidents import Incident, acknowledge, events_of, list_incidents, minutes_of, resolve
from diagnostics.limits import Policy
from diagnostics.maintenance_store import announce
from diagnostics.troubles import Trouble
from diagnostics.watch import Watch
from diagnostics.watch_metrics import Metrics
from fleet.clock import from_ms
from fleet.registry import all_terminals
from simulators.scenario import Scenario
from tests.integration.small_fleet import Conn
from vigie.evaluate.player import Player

TERMINALS = 400
TICK_S = 10
SCOPE = {"carrier": "alpha"}
FAULT_MIN, FAULT_LASTS_MIN = 2, 6
# An outage clears after a minute and is closed after six more.
OVER_MIN = FAULT_MIN + FAULT_LASTS_MIN + 10
BEFORE_MIN = 10


def scenario(**changes: Any) -> Scenario:
    fault = {
        "kind": "network_outage",
        "at_min": FAULT_MIN,
        "minutes": FAULT_LASTS_MIN,
        "scope": SCOPE,
        "fraction": 1.0,
        "strength": 1.0,
        "expect": "incident",
    } | changes
    return Scenario.model_validate(
        {
            "name": "a carrier drops its shops",
            "seed": 5,
            "terminals": TERMINALS,
            "start": "2026-11-23T10:00:00+01:00",
            "minutes": 60,
            "warmup_days": 1,
            "fault": [fault],
        }
    )


@pytest.fixture(scope="module")
def learnt() -> bytes:
    """What a day of well terminals teaches."""
    player = Player(scenario())
    player.warm_up()
    return player.diagnosis.learnt().to_bytes()


@dataclass
class Played:
    """A fleet whose messages are stored as it lives, and the connections of ingest and of the watch."""

    feed: StoredFeed
    ingest: Conn
    conn: Conn

    def at(self, minutes: float) -> datetime:
        """A moment of the scenario."""
        return self.feed.population.scenario.start + timedelta(minutes=minutes)

    def store(self, minutes: float) -> None:
        """Let the fleet live until then."""
        self.feed.store(self.ingest, until_s=int(self.at(minutes).timestamp()))

    def watch(self, minutes: float) -> Watch:
        """A watch that starts then."""
        return Watch(self.conn, now=self.at(minutes), policy=Policy(), metrics=Metrics(CollectorRegistry()))

    def live(self, start: float, end: float, each: Callable[[float], Watch]) -> None:
        """Let the fleet live and the watch of `each` moment tick."""
        for tick in range(round((end - start) * 60 / TICK_S)):
            minutes = start + (tick + 1) * TICK_S / 60
            self.store(minutes)
            each(minutes).tick(self.at(minutes))

    def incidents(self) -> list[Incident]:
        """What was found, the first first."""
        return list_incidents(self.conn, limit=50)[::-1]

    def kinds(self, incident: Incident) -> list[str]:
        """What happened to it, but for its growth."""
        return [one.kind for one in events_of(self.conn, incident.id) if one.kind not in ("grew", "scope")]


@pytest.fixture
def played(database_url: str, learnt: bytes) -> Iterator[Played]:
    """Ten minutes of well terminals are stored, and what is usual is learnt."""
    with (
        psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as ingest,
        psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn,
    ):
        script = scenario()
        feed = StoredFeed(script, starts_s=script.start_s - BEFORE_MIN * 60)
        register(ingest, feed.world)
        start = from_ms(script.start_s * 1000)
        save_baseline(conn, learnt, terminals=TERMINALS, learnt_until=start, now=start)
        one = Played(feed, ingest, conn)
        one.store(0)
        yield one


def outage(played: Played) -> Incident:
    """The one outage there is."""
    found = [one for one in played.incidents() if one.trouble in (Trouble.OFFLINE, Trouble.NETWORK)]
    assert len(found) == 1, found
    return found[0]


def check_outage(played: Played) -> None:
    """It was found in time, with its scope, and ended."""
    found = outage(played)
    assert (found.trouble, found.scope, found.state) == (Trouble.OFFLINE, SCOPE, "closed")
    assert played.at(FAULT_MIN) <= found.began_at <= found.opened_at <= played.at(FAULT_MIN + 2)
    assert played.kinds(found) == ["opened", "clearing", "closed"]
    hit = [one for one in terminals_after(played.conn, found, limit=TERMINALS) if one.hit_at]
    truth = played.feed.world.in_scope(SCOPE)
    assert 0.9 * len(truth) <= len(hit) <= len(truth)


def test_an_outage_is_one_incident_and_a_watch_that_was_away_finds_the_same(played: Played) -> None:
    watch = played.watch(0)
    watch.tick(played.at(0))
    mark = played.conn.execute("SELECT * FROM diagnostics.watermark").fetchone()
    played.live(0, OVER_MIN, lambda _: watch)
    check_outage(played)
    live = outage(played)
    assert len(minutes_of(played.conn, live.id)) >= FAULT_LASTS_MIN
    assert {one.replayed for one in events_of(played.conn, live.id)} == {False}

    # The same again for a watch that ticked at the beginning only.
    played.conn.execute("TRUNCATE diagnostics.incident, diagnostics.symptom, diagnostics.health, diagnostics.health_change CASCADE")
    played.conn.execute("DELETE FROM diagnostics.watermark")
    played.conn.execute("INSERT INTO diagnostics.watermark VALUES (%s, %s, %s)", mark)
    played.store(35)
    now = played.at(35) + timedelta(seconds=3)
    played.watch(35.05).tick(now)
    check_outage(played)
    again = outage(played)
    for name in ("began_at", "opened_at", "clearing_at", "closed_at"):
        apart = (getattr(again, name) or now) - (getattr(live, name) or now)
        assert abs(apart) <= timedelta(seconds=TICK_S), name
    assert abs(again.worst_hits - live.worst_hits) <= 2
    assert {one.replayed for one in events_of(played.conn, again.id)} == {True}, "all of it is long over"
    assert played.conn.execute("SELECT ticked_at FROM diagnostics.watermark").fetchone() == (now,)
    unread = "SELECT count(*) FROM fleet.ingest_batch WHERE id > (SELECT batch_id FROM diagnostics.watermark)"
    assert played.conn.execute(unread).fetchone() == (0,)


def test_a_watch_killed_over_and_over_loses_and_doubles_nothing(played: Played) -> None:
    watches = [played.watch(0)]
    # Before, while it begins, just after it was told, in the midst of it, and when it is over.
    kills = [1.0, FAULT_MIN + 0.5, FAULT_MIN + 1, FAULT_MIN + 4, FAULT_MIN + FAULT_LASTS_MIN + 1]

    def killed_now_and_then(minutes: float) -> Watch:
        if kills and minutes >= kills[0]:
            kills.pop(0)
            # It is killed in the midst of a tick: nothing of that tick stays.
            with played.conn.transaction(force_rollback=True):
                watches[-1].tick(played.at(minutes))
            watches.append(played.watch(minutes))
        return watches[-1]

    played.live(0, FAULT_MIN + FAULT_LASTS_MIN + 2, killed_now_and_then)
    assert not kills
    found = outage(played)
    assert (found.trouble, found.scope) == (Trouble.OFFLINE, SCOPE)
    assert found.opened_at <= played.at(FAULT_MIN + 2.5)
    assert played.kinds(found)[:1] == ["opened"]
    assert not {"reopened", "opened", "flapping"} & set(played.kinds(found)[1:])
    truth = played.feed.world.in_scope(SCOPE)
    assert len([one for one in terminals_after(played.conn, found, limit=TERMINALS) if one.hit_at]) >= 0.9 * len(truth)
    doubled = "SELECT count(*) FROM diagnostics.symptom a JOIN diagnostics.symptom b USING (terminal_id, trouble)"
    overlap = (
        " WHERE a.id < b.id AND a.found_at < coalesce(b.ended_at, 'infinity') AND b.found_at < coalesce(a.ended_at, 'infinity')"
    )
    assert played.conn.execute(doubled + overlap).fetchone() == (0,)


def test_a_feed_that_stands_still_is_nobodys_incident(played: Played) -> None:
    watch = played.watch(0)
    played.live(0, 0.5, lambda _: watch)
    for tick in range(1, 7):
        watch.tick(played.at(0.5 + tick / 6))
    played.live(1.5, 2, lambda _: watch)
    assert played.incidents() == []


def test_announced_work_is_recorded_and_muted(played: Played) -> None:
    announce(
        played.conn,
        scope=SCOPE,
        starts_at=played.at(FAULT_MIN),
        ends_at=played.at(OVER_MIN),
        note="new routers",
        actor="dsi",
        now=played.at(0),
    )
    watch = played.watch(0)
    played.live(0, FAULT_MIN + FAULT_LASTS_MIN, lambda _: watch)
    assert all(one.muted for one in played.incidents())


def test_people_are_heard_and_what_they_resolved_stays_resolved(played: Played) -> None:
    watch = played.watch(0)
    played.live(0, FAULT_MIN + 2, lambda _: watch)
    found = outage(played)
    acknowledge(played.conn, found.id, actor="maxime", now=played.at(FAULT_MIN + 2))
    played.live(FAULT_MIN + 2, FAULT_MIN + 3, lambda _: watch)
    assert (outage(played).state, outage(played).acknowledged_by) == ("acknowledged", "maxime")
    resolve(played.conn, found.id, actor="maxime", detail="known", now=played.at(FAULT_MIN + 3))
    played.live(FAULT_MIN + 3, FAULT_MIN + 5, lambda _: watch)
    assert outage(played).state == "closed"
    assert played.kinds(found) == ["opened", "acknowledged", "resolved"]


def test_what_people_did_while_the_watch_was_away_is_not_unsaid_by_catching_up(played: Played) -> None:
    watch = played.watch(0)
    played.live(0, FAULT_MIN + 1, lambda _: watch)
    found = outage(played)
    # Meanwhile it grows, which is to be stored.
    played.store(FAULT_MIN + 3)
    acknowledge(played.conn, found.id, actor="maxime", now=played.at(FAULT_MIN + 2.9))
    watch.tick(played.at(FAULT_MIN + 3))
    assert (outage(played).state, outage(played).acknowledged_by) == ("acknowledged", "maxime")
    assert outage(played).worst_hits > found.worst_hits
    # Meanwhile it clears.
    over = FAULT_MIN + FAULT_LASTS_MIN + 5
    played.store(over)
    resolved = resolve(played.conn, found.id, actor="maxime", detail="known", now=played.at(over - 0.1))
    watch.tick(played.at(over))
    played.live(over, over + 1, lambda _: watch)
    assert (outage(played).state, outage(played).closed_at) == ("closed", resolved.closed_at)
    assert played.kinds(found) == ["opened", "acknowledged", "resolved"]


def test_after_too_long_an_outage_the_watch_begins_anew(played: Played, caplog: pytest.LogCaptureFixture) -> None:
    played.watch(0).tick(played.at(0))
    now = played.at(0) + timedelta(hours=25)
    Watch(played.conn, now=now, policy=Policy(), metrics=Metrics(CollectorRegistry())).tick(now)
    assert "not caught up" in caplog.text
    assert played.incidents() == []


def test_three_versions_of_what_was_learnt_are_kept_and_the_newest_readable_is_loaded(played: Played, learnt: bytes) -> None:
    conn, now = played.conn, played.at(0)
    versions = [save_baseline(conn, learnt, terminals=TERMINALS, learnt_until=now, now=now) for _ in range(5)]
    stored = [row[0] for row in conn.execute("SELECT version FROM diagnostics.baseline ORDER BY 1")]
    assert stored == versions[-3:]
    good = fleet_arrays(all_terminals(conn))
    spoil = "UPDATE diagnostics.baseline SET state = %s WHERE version = %s"
    for spoilt in (b"x", learnt[:-1], learnt[:-1000] + bytes(1000), learnt[:4] + b"[" + learnt[5:]):
        conn.execute(spoil, (spoilt, versions[-1]))
        found = load_baseline(conn, good)
        assert found
        assert found.version == versions[-2]
    conn.execute("UPDATE diagnostics.baseline SET layout = 'of another release' WHERE version = %s", (versions[-2],))
    # A watch starts with what is left, and does not learn anew.
    assert not played.watch(0).has_unsaved_history
    conn.execute(spoil, (b"x", versions[-3]))
    assert load_baseline(conn, good) is None
