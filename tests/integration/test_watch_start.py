"""What a watch reads beside the feed: calls, each once; the roll-up of last week; symptoms that last; incidents reopened late."""

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from diagnostics.detector.calibration import default_calibration
from diagnostics.detector.metrics import GAUGES
from diagnostics.detector.observed import Fleet, Signs
from diagnostics.fleet_arrays import fleet_arrays
from diagnostics.incident_store import save_changes
from diagnostics.incidents import open_incidents, reopen
from diagnostics.judgement import unjudged
from diagnostics.learning import learn_history
from diagnostics.limits import Policy
from diagnostics.observing import CallReader
from diagnostics.snapshot import Snapshot
from diagnostics.symptom_store import end_symptoms_of_the_gone, forget_symptoms, load_lasting, save_symptoms, symptoms_of
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.tracking.tracked import Change, ChangeKind, Phase, Tracked
from diagnostics.troubles import TROUBLE_INDEX, TROUBLES, Trouble
from diagnostics.watch import ForgottenIncidentError, Watch
from diagnostics.watch_metrics import Metrics
from fleet.clock import to_ms
from fleet.registry import all_terminals
from tests.integration.small_fleet import Conn, add_shops

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TICK = timedelta(seconds=10)


def fleet_of(conn: Conn, shops: int = 2) -> tuple[Fleet, Snapshot]:
    ids = add_shops(conn, shops)
    return fleet_arrays(all_terminals(conn)), Snapshot(ids, ["B"] * len(ids))


def ring(conn: Conn, ref: str, terminals: list[str], at: datetime) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fleet.signal (at, terminal_id, kind, ref) VALUES (%s, %s, 'call', %s)",
            [(at, terminal, ref) for terminal in terminals],
        )


def test_each_call_is_read_once_even_when_its_shop_is_known_late(conn: Conn) -> None:
    fleet, snapshot = fleet_of(conn)
    reader = CallReader()
    ring(conn, "1", ["T00001", "T00002"], NOW)
    first = reader.read(conn, fleet, snapshot, since=NOW, until=NOW + TICK)
    assert (first.shop.tolist(), first.at_ms.tolist()) == ([0], [to_ms(NOW)])
    # An agent said only now which of two shops it was that rang ten minutes ago; a third is not in the registry.
    ring(conn, "2", ["T00003", "T00004"], NOW - 10 * MINUTE)
    ring(conn, "3", ["T99999"], NOW)
    second = reader.read(conn, fleet, snapshot, since=NOW + TICK, until=NOW + 2 * TICK)
    assert (second.shop.tolist(), second.at_ms.tolist()) == ([1], [to_ms(NOW - 10 * MINUTE)])
    assert len(reader.read(conn, fleet, snapshot, since=NOW + 2 * TICK, until=NOW + 3 * TICK).shop) == 0


def diagnosis_of(conn: Conn) -> Diagnosis:
    fleet, snapshot = fleet_of(conn)
    return Diagnosis(
        fleet,
        policy=Policy(),
        calibration=default_calibration(),
        learnt=None,
        tracked=(),
        snapshot=snapshot,
        judgement=unjudged(len(fleet), policy=Policy(), now_ms=to_ms(NOW)),
    )


def roll_up(conn: Conn, terminals: list[str], bucket: datetime, **fields: float) -> None:
    names, values = ", ".join(fields), ", ".join(["%s"] * len(fields))
    with conn.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO fleet.sample_5min (bucket, terminal_id, samples, {names}) VALUES (%s, %s, 10, {values})",
            [(bucket, terminal, *fields.values()) for terminal in terminals],
        )


def test_without_a_baseline_the_last_week_of_the_roll_up_is_learnt(conn: Conn) -> None:
    diagnosis = diagnosis_of(conn)
    for step in range(40):
        roll_up(conn, ["T00001", "T00002"], NOW - 2 * timedelta(hours=1) - step * 5 * MINUTE, rtt_ms=40.0, board_c=45.0, tickets=9)
    roll_up(conn, ["T00001"], NOW - timedelta(days=8), rtt_ms=4000.0)
    fleet = all_terminals(conn)
    assert learn_history(conn, diagnosis, fleet, until=NOW, stopped=lambda: False) == 40
    learnt = diagnosis.detector.baseline
    assert (learnt.count[:2].max(axis=1) > 20).all()
    assert not learnt.count[2:].any(), "who was never heard has nothing of its own"
    round_trip = [gauge.field for gauge in GAUGES].index("rtt_ms")
    assert learnt.center[0, round_trip] == pytest.approx(np.log(40), abs=0.01), "what is older than a week is not learnt"


def test_without_history_the_watch_says_so(conn: Conn, caplog: pytest.LogCaptureFixture) -> None:
    diagnosis = diagnosis_of(conn)
    assert learn_history(conn, diagnosis, all_terminals(conn), until=NOW, stopped=lambda: False) == 0
    assert "no history" in caplog.text


def signs(n: int, *on: tuple[int, Trouble], value: float = np.nan) -> Signs:
    shape = (n, len(TROUBLES))
    symptom = np.zeros(shape, bool)
    for row, trouble in on:
        symptom[row, TROUBLE_INDEX[trouble]] = True
    return Signs(
        layers=[],
        symptom=symptom,
        since_ms=np.where(symptom, to_ms(NOW - MINUTE), 0),
        value=np.full(shape, value, np.float32),
        p=np.full(shape, 1e-9, np.float32),
        judged=np.ones(shape, bool),
        z=np.zeros((n, 1), np.float32),
    )


def test_a_symptom_is_a_row_from_its_beginning_to_its_end(conn: Conn) -> None:
    fleet, snapshot = fleet_of(conn)
    n, nothing = len(fleet), np.zeros((len(fleet), len(TROUBLES)), bool)
    found = signs(n, (0, Trouble.HEAT), (2, Trouble.DISK), value=71.5)
    assert save_symptoms(conn, fleet.terminals, found, lasting=nothing, now=NOW) == 2
    assert save_symptoms(conn, fleet.terminals, found, lasting=found.symptom, now=NOW + TICK) == 0
    lasting = load_lasting(conn, snapshot)
    assert (lasting.on == found.symptom).all()
    assert lasting.since_ms[0, TROUBLE_INDEX[Trouble.HEAT]] == to_ms(NOW - MINUTE)
    assert lasting.value[0, TROUBLE_INDEX[Trouble.HEAT]] == 71.5
    assert save_symptoms(conn, fleet.terminals, signs(n, (2, Trouble.DISK)), lasting=lasting.on, now=NOW + MINUTE) == 1
    assert symptoms_of(conn, ["T00001"]) == []
    (over,) = symptoms_of(conn, ["T00001"], since=NOW)
    assert (over.trouble, over.began_at, over.found_at, over.ended_at) == (Trouble.HEAT, NOW - MINUTE, NOW, NOW + MINUTE)


def test_symptoms_of_terminals_that_left_end_and_old_ones_are_forgotten(conn: Conn) -> None:
    fleet, _ = fleet_of(conn)
    nothing = np.zeros((len(fleet), len(TROUBLES)), bool)
    save_symptoms(conn, fleet.terminals, signs(len(fleet), (0, Trouble.HEAT), (1, Trouble.HEAT)), lasting=nothing, now=NOW)
    conn.execute("DELETE FROM fleet.terminal WHERE id = 'T00001'")
    end_symptoms_of_the_gone(conn, now=NOW + MINUTE)
    assert [one.ended_at for one in symptoms_of(conn, ["T00001", "T00002"], since=NOW)] == [NOW + MINUTE, None]
    forget_symptoms(conn, before=NOW + 2 * MINUTE)
    assert [one.terminal_id for one in symptoms_of(conn, ["T00001", "T00002"], since=NOW)] == ["T00002"]


def test_an_incident_reopened_after_days_is_followed_by_a_new_watch(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn:
        fleet, _ = fleet_of(conn)
        opened_ms = to_ms(NOW - timedelta(days=3))
        one = Tracked(
            key=7,
            trouble=Trouble.OFFLINE,
            scope=(),
            phase=Phase.CLOSED,
            began_ms=opened_ms,
            rows=np.array([0, 1], np.intp),
            hit_ms=np.array([opened_ms, opened_ms], np.int64),
            hits=2,
            worst_hits=2,
            score=20.0,
            opened_ms=opened_ms,
            closed_ms=opened_ms + 600_000,
        )
        save_changes(conn, [Change(ChangeKind.CLOSED, 7, opened_ms, one)], fleet=fleet, stored={}, now=NOW)
        watch = Watch(conn, now=NOW, policy=Policy(), metrics=Metrics(CollectorRegistry()))
        watch.tick(NOW)
        row = conn.execute("SELECT id FROM diagnostics.incident").fetchone()
        assert row
        reopen(conn, row[0], actor="dsi", detail="it never ended", now=NOW + TICK)
        with pytest.raises(ForgottenIncidentError):
            watch.tick(NOW + TICK)
        again = Watch(conn, now=NOW + TICK, policy=Policy(), metrics=Metrics(CollectorRegistry()))
        again.tick(NOW + TICK)
        assert [one.key for one in again.diagnosis.tracked] == [7]
        assert [found.state for found in open_incidents(conn)] == ["open"]


def test_a_restart_keeps_symptoms_that_last_with_their_beginning(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn:
        fleet, _ = fleet_of(conn)
        nothing = np.zeros((len(fleet), len(TROUBLES)), bool)
        save_symptoms(conn, fleet.terminals, signs(len(fleet), (0, Trouble.HEAT), value=71.5), lasting=nothing, now=NOW)
        watch = Watch(conn, now=NOW + TICK, policy=Policy(), metrics=Metrics(CollectorRegistry()))
        held = watch.diagnosis.detector.symptoms
        at = 0, TROUBLE_INDEX[Trouble.HEAT]
        assert (held.on[at], held.since_ms[at], held.value[at]) == (True, to_ms(NOW - MINUTE), 71.5)
        assert held.on.sum() == 1
