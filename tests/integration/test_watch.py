"""The watch on a real database: what it reads, stores once, and survives."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from diagnostics.health import counts, health_of
from diagnostics.incidents import (
    IncidentError,
    acknowledge,
    declare,
    events_of,
    join_terminals,
    open_incidents,
    open_incidents_of,
    resolve,
)
from diagnostics.limits import Policy
from diagnostics.reasons import Reason, State
from diagnostics.settings import WatchSettings
from diagnostics.watch import CHANNEL, LostLeadError, Watch
from diagnostics.watch_metrics import Metrics
from diagnostics.watching import run
from fleet.registry import all_terminals
from fleet.scope import ScopeError
from fleet.settings import read
from tests.integration.ingest_house import wait_for
from tests.integration.small_fleet import Conn, Said, add_shops, ingest, set_presence

# Eleven in Paris on a Monday: every shop is open.
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
TICK = timedelta(seconds=10)


@pytest.fixture
def db(database_url: str) -> Iterator[Conn]:
    """A database of its own with three shops of two terminals, each statement committed."""
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn:
        ids = add_shops(conn, 3)
        set_presence(conn, ids, online=True, at=NOW - timedelta(days=1))
        for report in range(10, 0, -1):
            ingest_all(conn, ids, NOW - report * timedelta(seconds=30) - timedelta(seconds=5))
        yield conn


def ingest_all(conn: Conn, terminals: list[str], at: datetime, **fields: Any) -> None:
    with conn.transaction():
        ingest(conn, [Said(terminal, at, **fields) for terminal in terminals], received_at=at + timedelta(milliseconds=100))


def new_watch(conn: Conn, now: datetime = NOW, into: CollectorRegistry | None = None) -> Watch:
    return Watch(conn, now=now, policy=Policy(), metrics=Metrics(into or CollectorRegistry()))


def ids_of(conn: Conn) -> list[str]:
    return [terminal.id for terminal in all_terminals(conn)]


def states(conn: Conn, now: datetime) -> dict[str, State]:
    return {terminal: health.state for terminal, health in health_of(conn, ids_of(conn), now=now).items()}


def flips(conn: Conn) -> list[tuple[str, str, list[str]]]:
    rows = conn.execute("SELECT terminal_id, state, reasons FROM diagnostics.health_change ORDER BY at, terminal_id")
    return [(terminal, state, [reason["code"] for reason in reasons]) for terminal, state, reasons in rows]


def live(conn: Conn, watch: Watch, *, since: datetime, ticks: int, silent: frozenset[str] = frozenset()) -> datetime:
    """Let the fleet report every 30 s but for the silent, and the watch tick; returns the time of the last tick."""
    now = since
    for tick in range(1, ticks + 1):
        now = since + tick * TICK
        if tick % 3 == 0:
            ingest_all(conn, [terminal for terminal in ids_of(conn) if terminal not in silent], now - timedelta(seconds=1))
        watch.tick(now)
    return now


def test_a_fleet_that_reports_is_well_and_a_mute_terminal_is_down_with_its_reason(db: Conn) -> None:
    ingest_all(db, ids_of(db), NOW - timedelta(seconds=5))
    watch = new_watch(db)
    watch.tick(NOW)
    assert set(states(db, NOW).values()) == {State.OK}

    now = live(db, watch, since=NOW, ticks=15, silent=frozenset({"T00003"}))

    assert {terminal for terminal, state in states(db, now).items() if state is not State.OK} == {"T00003"}
    (reason,) = health_of(db, ["T00003"], now=now)["T00003"].reasons
    assert (reason.code, reason.value) == (Reason.SILENT, None)
    assert reason.since == NOW - timedelta(seconds=5) + timedelta(milliseconds=100), "since its last message"
    assert counts(db, now=now).states == {State.OK: 5, State.DEGRADED: 0, State.DOWN: 1, State.CLOSED: 0, State.UNKNOWN: 0}


def test_only_changed_rows_are_written_and_each_flip_once(db: Conn) -> None:
    ingest_all(db, ids_of(db), NOW - timedelta(seconds=5))
    watch = new_watch(db)
    watch.tick(NOW)
    before = {row[0]: row[1] for row in db.execute("SELECT terminal_id, xmin::text FROM diagnostics.health")}
    live(db, watch, since=NOW, ticks=15, silent=frozenset({"T00003"}))
    after = {row[0]: row[1] for row in db.execute("SELECT terminal_id, xmin::text FROM diagnostics.health")}
    assert {terminal for terminal in after if after[terminal] != before[terminal]} == {"T00003"}
    assert flips(db) == [(terminal, "ok", []) for terminal in ids_of(db)] + [("T00003", "down", ["silent"])]


def test_a_value_that_moved_is_stored_without_a_flip_and_keeps_its_since_over_a_restart(db: Conn) -> None:
    ingest_all(db, ["T00001"], NOW - timedelta(seconds=5), paper_pct=2.9)
    new_watch(db).tick(NOW)
    history = flips(db)
    ingest_all(db, ["T00001"], NOW + timedelta(seconds=25), paper_pct=1.1)
    now = NOW + 3 * TICK
    new_watch(db, now).tick(now)
    (reason,) = health_of(db, ["T00001"], now=now)["T00001"].reasons
    assert (reason.code, reason.value, reason.since) == (Reason.PAPER_LOW, 1.1, NOW)
    assert [flip for flip in flips(db) if flip[0] == "T00001"] == [flip for flip in history if flip[0] == "T00001"]


def test_every_sample_is_read_once(db: Conn) -> None:
    into = CollectorRegistry()
    watch = new_watch(db, into=into)
    live(db, watch, since=NOW, ticks=9)
    assert into.get_sample_value("vigie_watch_samples_total") == 18


def test_a_reading_is_stored_with_its_value(db: Conn) -> None:
    ingest_all(db, ["T00001"], NOW - timedelta(seconds=5), paper_pct=2.5)
    new_watch(db).tick(NOW)
    health = health_of(db, ["T00001"], now=NOW)["T00001"]
    assert (health.state, [(r.code, r.value, r.since) for r in health.reasons]) == (State.DEGRADED, [(Reason.PAPER_LOW, 2.5, NOW)])


def test_an_event_of_the_shopkeeper_closes_the_shop(db: Conn) -> None:
    watch = new_watch(db)
    ingest_all(db, ["T00001"], NOW - timedelta(seconds=20))
    ingest_all(db, ["T00001"], NOW - timedelta(seconds=5), code="CLOSE")
    watch.tick(NOW)
    assert [reason.code for reason in health_of(db, ["T00001"], now=NOW)["T00001"].reasons] == [Reason.CLOSED_BY_SHOP]


def test_a_lost_connection_is_read_from_presence(db: Conn) -> None:
    watch = new_watch(db)
    now = live(db, watch, since=NOW, ticks=3)
    set_presence(db, ["T00002"], online=False, at=now)
    now = live(db, watch, since=now, ticks=8)
    health = health_of(db, ["T00002"], now=now)["T00002"]
    assert [reason.code for reason in health.reasons] == [Reason.OFFLINE]


def test_readers_are_told_when_the_watch_itself_has_stopped(db: Conn) -> None:
    ingest_all(db, ids_of(db), NOW - timedelta(seconds=5), paper_pct=2.0)
    new_watch(db).tick(NOW)
    later = NOW + timedelta(seconds=61)
    health = health_of(db, ["T00001"], now=later)["T00001"]
    assert (health.state, health.since, health.judged_at) == (State.UNKNOWN, NOW, NOW)
    assert [reason.code for reason in health.reasons] == [Reason.NOT_WATCHED, Reason.PAPER_LOW]
    assert counts(db, now=later).states[State.UNKNOWN] == 6


def test_a_terminal_never_judged_is_unknown(db: Conn) -> None:
    health = health_of(db, ["T00001"], now=NOW)["T00001"]
    assert (health.state, health.judged_at, [reason.code for reason in health.reasons]) == (
        State.UNKNOWN,
        None,
        [Reason.NOT_WATCHED],
    )


def test_a_restart_neither_flaps_nor_forgets(db: Conn) -> None:
    ingest_all(db, ids_of(db), NOW - timedelta(seconds=5), paper_pct=2.0)
    watch = new_watch(db)
    watch.tick(NOW)
    now = live(db, watch, since=NOW, ticks=15, silent=frozenset({"T00003"}))
    before, history = health_of(db, ids_of(db), now=now), flips(db)

    new_watch(db, now + TICK).tick(now + TICK)

    after = health_of(db, ids_of(db), now=now + TICK)
    assert flips(db) == history
    assert {t: (h.state, h.since, h.reasons) for t, h in after.items()} == {
        t: (h.state, h.since, h.reasons) for t, h in before.items()
    }


def test_after_an_outage_of_the_watch_the_first_tick_knows_the_present(db: Conn) -> None:
    new_watch(db).tick(NOW)
    for minute in range(120):
        ingest_all(db, ids_of(db), NOW + timedelta(minutes=minute), paper_pct=60.0 if minute < 119 else 2.0)
    now = NOW + timedelta(minutes=119, seconds=20)
    new_watch(db, now).tick(now)
    assert set(states(db, now).values()) == {State.DEGRADED}


def test_a_tick_that_failed_is_done_again_by_a_new_watch_from_the_same_place(db: Conn) -> None:
    watch = new_watch(db)
    watch.tick(NOW)
    ingest_all(db, ids_of(db), NOW + timedelta(seconds=5), paper_pct=2.0)
    db.execute("ALTER TABLE diagnostics.health_change RENAME TO gone")
    with pytest.raises(psycopg.errors.UndefinedTable):
        watch.tick(NOW + TICK)
    db.execute("ALTER TABLE diagnostics.gone RENAME TO health_change")
    new_watch(db, NOW + 2 * TICK).tick(NOW + 2 * TICK)
    assert set(states(db, NOW + 2 * TICK).values()) == {State.DEGRADED}


def test_a_watch_that_is_stopped_while_it_catches_up_goes_on_from_there_later(db: Conn) -> None:
    new_watch(db).tick(NOW)
    for minute in range(0, 20, 2):
        ingest_all(db, ids_of(db), NOW + timedelta(minutes=minute, seconds=5))
    now = NOW + timedelta(minutes=20)

    def moved() -> bool:
        return ticked_at(db) != NOW

    stopped = Watch(db, now=now, policy=Policy(), metrics=Metrics(CollectorRegistry()), stopped=moved)
    stopped.tick(now)
    assert NOW < (ticked_at(db) or NOW) < now - timedelta(minutes=5)
    new_watch(db, now).tick(now)
    assert ticked_at(db) == now


def test_a_second_watch_that_judged_meanwhile_stops_the_first(db: Conn) -> None:
    first = new_watch(db)
    first.tick(NOW)
    second = new_watch(db, NOW + TICK)
    second.tick(NOW + TICK)
    with pytest.raises(LostLeadError):
        first.tick(NOW + 2 * TICK)
    history = flips(db)
    second.tick(NOW + 3 * TICK)
    assert flips(db) == history


def test_a_changed_registry_is_taken_up(db: Conn) -> None:
    watch = new_watch(db)
    watch.tick(NOW)
    db.execute("DELETE FROM fleet.terminal WHERE id = 'T00001'")
    added = add_shops(db, 1, first=10)
    watch.refresh_registry(NOW)
    watch.tick(NOW + TICK)
    stored = [row[0] for row in db.execute("SELECT terminal_id FROM diagnostics.health ORDER BY 1")]
    assert stored == ["T00002", "T00003", "T00004", "T00005", "T00006", *added]
    assert {state for terminal, state in states(db, NOW + TICK).items() if terminal in added} == {State.UNKNOWN}


def settings_for(url: str) -> WatchSettings:
    return read(WatchSettings, database_url=url, watch_tick_s=0.2)


class Running:
    """`vigie watch` in a thread."""

    def __init__(self, url: str) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=run, args=(settings_for(url),), kwargs={"stop": self.stop})
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def start(database_url: str) -> Iterator[Callable[[], Running]]:
    """Start watches that end with the test."""
    started: list[Running] = []

    def begin() -> Running:
        started.append(Running(database_url))
        return started[-1]

    yield begin
    for one in started:
        one.end()


def ticked_at(conn: Conn) -> datetime | None:
    row = conn.execute("SELECT ticked_at FROM diagnostics.watermark").fetchone()
    return row[0] if row else None


def leaders(conn: Conn) -> list[int]:
    rows = conn.execute(
        "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'vigie watch' AND a.datname = current_database()"
    )
    return [row[0] for row in rows]


def test_two_watches_never_judge_at_once_and_the_second_takes_over(db: Conn, start: Callable[[], Running]) -> None:
    first = start()
    wait_for(lambda: ticked_at(db) is not None)
    start()
    history = flips(db)
    seen = ticked_at(db)
    wait_for(lambda: ticked_at(db) != seen)
    assert len(leaders(db)) == 1
    first.end()
    stopped = ticked_at(db)
    wait_for(lambda: ticked_at(db) != stopped)
    assert flips(db) == history, "the second stored nothing twice"


def test_a_watch_whose_connection_is_cut_begins_anew_and_tells_the_console(db: Conn, start: Callable[[], Running]) -> None:
    start()
    wait_for(lambda: ticked_at(db) is not None)
    (leader,) = leaders(db)
    db.execute("SELECT pg_terminate_backend(%s)", (leader,))
    cut = ticked_at(db)
    db.execute(f"LISTEN {CHANNEL}")
    wait_for(lambda: ticked_at(db) not in (None, cut))
    assert next(db.notifies(timeout=10, stop_after=1)).channel == CHANNEL


SCOPE = {"carrier": "alpha", "model": "B"}


def test_an_incident_touches_the_terminals_of_its_scope(conn: Conn) -> None:
    alpha, beta = add_shops(conn, 2), add_shops(conn, 2, first=10, carrier="beta")
    incident = declare(conn, scope=SCOPE, title=" Carrier alpha down ", advice="Wait.", actor="veille", now=NOW)
    assert (incident.state, incident.title, incident.terminals) == ("open", "Carrier alpha down", 4)
    touched = open_incidents_of(conn, [*alpha, *beta])
    assert {terminal for terminal, found in touched.items() if found == [incident]} == set(alpha)
    assert {terminal for terminal, found in touched.items() if not found} == set(beta)


def test_the_empty_scope_is_the_whole_fleet(conn: Conn) -> None:
    add_shops(conn, 2)
    assert declare(conn, scope={}, title="Central system down", advice="", actor="dsi", now=NOW).terminals == 4


@pytest.mark.parametrize(
    ("scope", "field", "words"),
    [
        pytest.param({"colour": "red"}, "colour", "department, region, model", id="an unknown dimension lists the known ones"),
        pytest.param({"carrier": "omega"}, "carrier", "alpha, beta", id="an unknown value lists the known ones"),
    ],
)
def test_a_wrong_scope_is_refused(conn: Conn, scope: dict[str, str], field: str, words: str) -> None:
    add_shops(conn, 1)
    add_shops(conn, 1, first=10, carrier="beta")
    with pytest.raises(ScopeError) as refused:
        declare(conn, scope=scope, title="x", advice="", actor="veille", now=NOW)
    assert refused.value.field == field
    assert words in str(refused.value)
    assert open_incidents(conn) == []


def test_an_incident_needs_a_title_and_a_terminal(conn: Conn) -> None:
    add_shops(conn, 1)
    add_shops(conn, 1, first=10, carrier="beta", model="A")
    with pytest.raises(IncidentError, match="title"):
        declare(conn, scope={}, title="  ", advice="", actor="veille", now=NOW)
    with pytest.raises(IncidentError, match="scope"):
        declare(conn, scope={"carrier": "beta", "model": "B"}, title="x", advice="", actor="veille", now=NOW)


def test_every_step_of_an_incident_is_a_row_and_repeating_one_changes_nothing(conn: Conn) -> None:
    add_shops(conn, 1)
    incident = declare(conn, scope=SCOPE, title="x", advice="", actor="veille", now=NOW)
    for _ in range(2):
        assert acknowledge(conn, incident.id, actor="dsi", now=NOW + TICK).state == "acknowledged"
    assert open_incidents(conn) != [], "an acknowledged incident still touches its shops"
    for _ in range(2):
        closed = resolve(conn, incident.id, actor="dsi", detail="carrier mended its line", now=NOW + 2 * TICK)
    assert (closed.state, closed.closed_at) == ("closed", NOW + 2 * TICK)
    assert open_incidents(conn) == []
    assert open_incidents_of(conn, ["T00001"]) == {"T00001": []}
    assert [(one.kind, one.actor, one.detail, one.data) for one in events_of(conn, incident.id)] == [
        ("declared", "veille", "", {"terminals": 2}),
        ("acknowledged", "dsi", "", {}),
        ("resolved", "dsi", "carrier mended its line", {}),
    ]
    with pytest.raises(IncidentError, match="no incident 0"):
        acknowledge(conn, 0, actor="dsi", now=NOW)


def test_a_terminal_that_comes_to_meet_the_scope_joins_and_none_leaves(conn: Conn) -> None:
    ids = add_shops(conn, 1)
    incident = declare(conn, scope={"firmware": "4.2.1"}, title="x", advice="", actor="veille", now=NOW)
    added = add_shops(conn, 1, first=10)
    set_presence(conn, ids[:1], online=True, at=NOW, firmware="4.3.0")
    assert join_terminals(conn, fleet=all_terminals(conn), now=NOW + TICK) == 2
    assert join_terminals(conn, fleet=all_terminals(conn), now=NOW + 2 * TICK) == 0
    touched = open_incidents_of(conn, [*ids, *added])
    assert all([one.id for one in found] == [incident.id] for found in touched.values())
