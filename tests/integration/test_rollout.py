"""Campaigns and their reconciliation on a real database."""

import json
import threading
import time
from datetime import datetime, timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from firmware_rollout import gate_round, planning, reconcile
from firmware_rollout.advancing import WaveNow
from firmware_rollout.audit import entries_of, verify
from firmware_rollout.campaigns import CampaignError, campaign, list_campaigns, progress, reasons
from firmware_rollout.ddi.protocol import Execution, Feedback, Finished
from firmware_rollout.ddi.store import take_feedback
from firmware_rollout.deeds import Deed, do
from firmware_rollout.planning import CampaignNow, plan
from firmware_rollout.policy import Policy
from firmware_rollout.reconcile import Metrics, run, step
from firmware_rollout.releases import add_release, withdraw_release
from firmware_rollout.settings import RolloutSettings
from firmware_rollout.snapshot import standings
from firmware_rollout.states import CampaignState, State
from firmware_rollout.status import Arm, Kind, rollout_status_of
from firmware_rollout.storing import store_steps
from fleet.settings import read
from tests.integration.rollout_house import (
    DAY,
    HOUR,
    MINUTE,
    NAME,
    NOW,
    add_release_file,
    begun,
    born,
    drafted,
    fetched,
    furnish,
    in_wave,
    lenient_policy,
    lost,
    states,
    take_step,
    told,
    watched,
)
from tests.integration.small_fleet import Conn, add_shops


@pytest.fixture
def fleet(conn: Conn) -> Conn:
    furnish(conn)
    return conn


def test_a_campaign_assigns_every_terminal_it_aims_at(fleet: Conn) -> None:
    made = drafted(fleet)
    assert (made.state, made.created_by, made.states) == (CampaignState.DRAFT, "alix", {State.PLANNED: 20})
    assert [(wave.number, wave.planned_at, wave.opened_at, wave.states) for wave in progress(fleet, made.id)] == [
        (1, NOW, None, {State.PLANNED: 2}),
        (2, NOW, None, {State.PLANNED: 8}),
        (3, NOW, None, {State.PLANNED: 10}),
    ]
    assert list_campaigns(fleet) == [made]
    assert campaign(fleet, NAME) == made


def test_the_default_holds_a_twentieth_back_to_the_end(conn: Conn) -> None:
    add_shops(conn, 200, terminals_each=1)
    add_release(conn, version="4.3.0", models=["B"], notes="", now=NOW)
    made = drafted(conn, policy=Policy())
    assert [sum(wave.states.values()) for wave in progress(conn, made.id)] == [1, 3, 6, 20, 50, 110, 10]


def test_a_terminal_lives_through_its_campaign(fleet: Conn) -> None:
    made = begun(fleet)
    first, second = in_wave(fleet, 1)
    ids = [first, second, in_wave(fleet, 3)[0], "T00099"]

    def kinds() -> list[Kind]:
        return [status.kind for status in rollout_status_of(fleet, ids, NOW).values()]

    assert kinds() == [Kind.UPDATING, Kind.UPDATING, Kind.PLANNED, Kind.NO_CAMPAIGN]
    told(fleet, ids[:2], at=NOW + 10 * MINUTE)
    assert take_step(fleet, NOW + 10 * MINUTE) == [], "its word is no proof"
    born(fleet, [first], at=NOW + 12 * MINUTE, firmware="4.3.0", boot=2)
    assert kinds()[0] is Kind.UP_TO_DATE, "at once, before the next step"
    assert len(take_step(fleet, NOW + 15 * MINUTE)) == 1
    assert kinds()[0] is Kind.SOAKING
    assert take_step(fleet, NOW + 15 * MINUTE) == [], "an unchanged world changes nothing"
    assert len(take_step(fleet, NOW + 80 * MINUTE)) == 1, "well for an hour"
    assert kinds()[0] is Kind.UP_TO_DATE
    born(fleet, [first], at=NOW + 2 * HOUR, firmware="4.2.1", boot=3)
    take_step(fleet, NOW + 2 * HOUR)
    assert kinds()[0] is Kind.ROLLED_BACK
    told_by = {(state, why): count for state, why, count, _ in reasons(fleet, made.id)}
    assert told_by == {
        (State.UPDATING, "wave_due"): 2,
        (State.SOAKING, "target_seen"): 1,
        (State.DONE, "well_for_long"): 1,
        (State.ROLLED_BACK, "older_reported"): 1,
    }


def test_a_terminal_is_not_done_for_what_nobody_saw(fleet: Conn) -> None:
    begun(fleet)
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)

    def done_at(now: datetime, *, watches: bool = True) -> bool:
        if watches:
            watched(fleet, now)
        step(fleet, now=now, metrics=Metrics(CollectorRegistry()))
        return State.DONE in states(fleet)

    assert not done_at(NOW + MINUTE)
    assert not done_at(NOW + 3 * HOUR), "the program was away"
    for minutes in range(60):
        assert not done_at(NOW + 3 * HOUR + minutes * MINUTE, watches=minutes < 30), "nobody watched for half of it"
    for minutes in range(60):
        assert not done_at(NOW + 4 * HOUR + minutes * MINUTE)
    assert done_at(NOW + 5 * HOUR)


def test_an_outage_of_planning_is_no_soak_of_those_whom_its_next_step_does_not_reach(
    fleet: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(fleet)
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + MINUTE)
    monkeypatch.setattr(planning, "MOST_STEPS", 1)
    for seconds in (0, 5, 10):
        now = NOW + 3 * HOUR + timedelta(seconds=seconds)
        watched(fleet, now)
        step(fleet, now=now, metrics=Metrics(CollectorRegistry()))
        assert states(fleet)[State.SOAKING] == 2
    take_step(fleet, NOW + 4 * HOUR + MINUTE)
    take_step(fleet, NOW + 4 * HOUR + MINUTE)
    assert states(fleet)[State.DONE] == 2


def test_the_pop_knows_wave_and_arm(fleet: Conn) -> None:
    begun(fleet)
    first, last = in_wave(fleet, 1)[0], in_wave(fleet, 3)[0]
    found = rollout_status_of(fleet, [first, last], NOW)
    assert [(found[one].arm, found[one].wave, found[one].planned_at) for one in (first, last)] == [
        (Arm.TREATED, 1, NOW),
        (Arm.CONTROL, 3, None),
    ]
    assert {found[one].campaign_state for one in found} == {CampaignState.RUNNING}


def test_a_bricked_device_is_not_in_progress_for_ever(fleet: Conn) -> None:
    begun(fleet)
    bricked, whole = in_wave(fleet, 1)
    told(fleet, [bricked], at=NOW + 5 * MINUTE)
    lost(fleet, [bricked], at=NOW + 6 * MINUTE)
    born(fleet, [whole], at=NOW + 6 * MINUTE, firmware="4.3.0", boot=2)
    for hours in (1, 3, 12, 23):
        take_step(fleet, NOW + hours * HOUR)
        assert states(fleet)[State.UPDATING] == 1
    take_step(fleet, NOW + DAY)
    assert (states(fleet)[State.FAILED], states(fleet)[State.DONE], State.UPDATING in states(fleet)) == (1, 1, False)
    assert fleet.execute("SELECT outcome FROM firmware_rollout.action WHERE terminal_id = %s", [bricked]).fetchall() == [
        ("silent",)
    ]
    born(fleet, [bricked], at=NOW + 2 * DAY, boot=5)
    take_step(fleet, NOW + 2 * DAY)
    take_step(fleet, NOW + 2 * DAY)
    tried = fleet.execute("SELECT attempt, state FROM firmware_rollout.action WHERE terminal_id = %s ORDER BY id", [bricked])
    assert tried.fetchall() == [(1, "closed"), (2, "open")], "back from the dead, it is tried again"


def test_a_halt_takes_back_what_was_not_fetched_and_an_abort_asks_the_rest_to_stop(fleet: Conn) -> None:
    begun(fleet)
    fast, slow = in_wave(fleet, 1)
    fetched(fleet, [fast], at=NOW)
    do(fleet, NAME, Deed.HALT, actor="sacha", why="smoke", now=NOW)
    take_step(fleet, NOW + MINUTE)
    assert (states(fleet)[State.PLANNED], states(fleet)[State.UPDATING]) == (19, 1)
    do(fleet, NAME, Deed.ABORT, actor="sacha", why="fire", now=NOW + MINUTE)
    before = standings(fleet, campaign(fleet, NAME).id, now=NOW)
    take_step(fleet, NOW + 2 * MINUTE)
    found = dict(fleet.execute("SELECT terminal_id, state FROM firmware_rollout.action").fetchall())
    assert found == {fast: "cancelling", slow: "closed"}
    [noted] = [json.loads(entry.details) for entry in entries_of(fleet, campaign(fleet, NAME).id, deed="planned", limit=1)]
    assert noted["counted"] == {"asked_to_stop": 1, "stopped": 19}
    [asked] = [one for one in noted["moves"] if one["why"] == "asked_to_stop"]
    assert (asked["terminals"], asked["from"], asked["to"]) == ([fast], "updating", "updating")
    assert asked["inputs"]["action"] == {"kind": "update", "state": "open", "outcome": None}
    assert sorted(one for move in noted["moves"] for one in move["terminals"]) == sorted(
        standing.terminal_id for standing in before
    )
    fleet.execute(
        "UPDATE firmware_rollout.action SET state = 'closed', outcome = 'cancelled', closed_at = %s WHERE state <> 'closed'", [NOW]
    )
    take_step(fleet, NOW + 3 * MINUTE)
    assert states(fleet) == {State.WITHDRAWN: 20}


def test_a_roll_back_brings_back_what_ran_before(fleet: Conn) -> None:
    begun(fleet)
    one, other = in_wave(fleet, 1)
    for terminal in (one, other):
        born(fleet, [terminal], at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + MINUTE)
    take_step(fleet, NOW + 2 * HOUR)
    do(fleet, NAME, Deed.ROLL_BACK, actor="sacha", why="the printers", now=NOW + 2 * HOUR)
    take_step(fleet, NOW + 2 * HOUR)
    asked = fleet.execute("SELECT terminal_id, release FROM firmware_rollout.action WHERE kind = 'roll_back' ORDER BY 1").fetchall()
    assert asked == [(one, "4.2.1"), (other, "4.2.1")]
    born(fleet, [one], at=NOW + 3 * HOUR, boot=3)
    take_step(fleet, NOW + 3 * HOUR)
    assert campaign(fleet, NAME).state is CampaignState.ROLLING_BACK, "one is still on its way"
    born(fleet, [other], at=NOW + 3 * HOUR, boot=3)
    for _ in range(2):
        take_step(fleet, NOW + 3 * HOUR)
    assert states(fleet) == {State.ROLLED_BACK: 2, State.WITHDRAWN: 18}
    assert campaign(fleet, NAME).state is CampaignState.ROLLED_BACK


def test_a_roll_back_brings_back_who_could_not_stop_and_who_comes_up_with_it_late(fleet: Conn) -> None:
    begun(fleet)
    stubborn, away = in_wave(fleet, 1)
    fetched(fleet, [stubborn, away], at=NOW)
    do(fleet, NAME, Deed.ROLL_BACK, actor="sacha", why="the printers", now=NOW + MINUTE)
    take_step(fleet, NOW + MINUTE)
    [asked] = fleet.execute("SELECT id FROM firmware_rollout.action WHERE terminal_id = %s", [stubborn]).fetchall()
    could_not = Feedback(Execution.CLOSED, Finished.FAILURE, details=("cannot stop",))
    assert take_feedback(fleet, stubborn, asked[0], could_not, on_cancel=True, now=NOW + 2 * MINUTE) == 200
    lost(fleet, [away], at=NOW + 3 * MINUTE)
    take_step(fleet, NOW + 3 * MINUTE)
    born(fleet, [stubborn], at=NOW + 5 * MINUTE, firmware="4.3.0", boot=2)
    for _ in range(2):
        take_step(fleet, NOW + 6 * MINUTE)
    way_back = "SELECT terminal_id FROM firmware_rollout.action WHERE kind = 'roll_back' ORDER BY id"
    assert fleet.execute(way_back).fetchall() == [(stubborn,)]
    born(fleet, [stubborn], at=NOW + HOUR, boot=3)
    for hours in (1, 25):
        take_step(fleet, NOW + hours * HOUR)
    assert campaign(fleet, NAME).state is CampaignState.ROLLING_BACK, "the one that is away may come up with it"
    born(fleet, [away], at=NOW + 26 * HOUR, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + 26 * HOUR)
    assert fleet.execute(way_back).fetchall() == [(stubborn,), (away,)]
    born(fleet, [away], at=NOW + 27 * HOUR, boot=3)
    for _ in range(2):
        take_step(fleet, NOW + 27 * HOUR)
    found = campaign(fleet, NAME)
    assert (found.state, found.reason) == (CampaignState.ROLLED_BACK, "2 terminals are back")
    assert found.states == {State.ROLLED_BACK: 2, State.WITHDRAWN: 18}
    # Its other slot comes up: that is seen when somebody asks once more.
    born(fleet, [away], at=NOW + 30 * HOUR, firmware="4.3.0", boot=4)
    do(fleet, NAME, Deed.ROLL_BACK, actor="sacha", why="one runs it again", now=NOW + 30 * HOUR)
    take_step(fleet, NOW + 30 * HOUR)
    assert fleet.execute(way_back).fetchall() == [(stubborn,), (away,), (away,)]


def test_a_campaign_halts_when_updates_fail(fleet: Conn) -> None:
    begun(fleet, policy=lenient_policy(halt_failed_least=2))
    told(fleet, in_wave(fleet, 1), at=NOW)
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, boot=2)
    take_step(fleet, NOW + MINUTE)
    take_step(fleet, NOW + MINUTE)
    found = campaign(fleet, NAME)
    assert (found.state, found.reason) == (CampaignState.HALTED, "2 of 2 updates failed (100 %)")
    assert entries_of(fleet, found.id)[0].deed == "updates_fail"
    do(fleet, NAME, Deed.RESUME, actor="sacha", why="those two were opened by hand", now=NOW + HOUR)
    for _ in range(2):
        take_step(fleet, NOW + HOUR)
    assert campaign(fleet, NAME).state is CampaignState.RUNNING, "what a person judged does not halt it again"


def test_failures_that_a_person_forgave_are_none_anew_when_their_terminals_come_back(fleet: Conn) -> None:
    begun(fleet, policy=lenient_policy(halt_failed_least=2))
    lost(fleet, in_wave(fleet, 1), at=NOW + MINUTE)
    for _ in range(2):
        take_step(fleet, NOW + 25 * HOUR)
    assert campaign(fleet, NAME).reason == "2 of 2 updates failed (100 %)"
    do(fleet, NAME, Deed.RESUME, actor="sacha", why="the shops were closed", now=NOW + 26 * HOUR)
    born(fleet, in_wave(fleet, 1), at=NOW + 27 * HOUR, boot=2)
    for _ in range(3):
        take_step(fleet, NOW + 27 * HOUR)
    found = campaign(fleet, NAME)
    assert found.state is CampaignState.RUNNING
    assert found.states == {State.UPDATING: 2, State.PLANNED: 18}


def test_a_withdrawn_release_halts_its_campaign(fleet: Conn) -> None:
    begun(fleet)
    withdraw_release(fleet, "4.3.0", why="the printers", now=NOW)
    take_step(fleet, NOW)
    found = campaign(fleet, NAME)
    assert (found.state, found.reason) == (CampaignState.HALTED, "the release was withdrawn: the printers")


def test_a_policy_that_cannot_be_read_stops_its_campaign_and_no_other(fleet: Conn) -> None:
    begun(fleet, where={"model": "B", "carrier": "alpha"})
    fleet.execute('UPDATE firmware_rollout.campaign SET policy = \'{"soak_minutes": "long"}\'')
    add_shops(fleet, 1, first=70, carrier="beta")
    drafted(fleet, name="winter", where={"carrier": "beta"})
    do(fleet, "winter", Deed.APPROVE, actor="sacha", why="", now=NOW)
    take_step(fleet, NOW)
    assert campaign(fleet, "winter").state is CampaignState.RUNNING
    found = campaign(fleet, NAME)
    assert found.state is CampaignState.HALTED
    assert "soak_minutes" in found.reason


def test_what_is_wrong_with_one_campaign_stops_no_other(fleet: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    ill = begun(fleet, where={"model": "B", "carrier": "alpha"})
    add_shops(fleet, 1, first=70, carrier="beta")
    drafted(fleet, name="winter", where={"carrier": "beta"})
    do(fleet, "winter", Deed.APPROVE, actor="sacha", why="", now=NOW)
    whole = gate_round.waves_of

    def broken(conn: Conn, campaign_id: int) -> list[WaveNow]:
        if campaign_id == ill.id:
            raise OverflowError("a date beyond the calendar")
        return whole(conn, campaign_id)

    for module in (reconcile, gate_round):
        monkeypatch.setattr(module, "waves_of", broken)
    metrics = Metrics(CollectorRegistry())
    step(fleet, now=NOW, metrics=metrics)
    assert campaign(fleet, "winter").state is CampaignState.RUNNING
    gate_round.judge_round(fleet, now=NOW, on_fault=metrics.faults.inc)
    runs = fleet.execute("SELECT c.name FROM firmware_rollout.gate_run r JOIN firmware_rollout.campaign c ON c.id = r.campaign_id")
    assert ("winter",) in runs.fetchall()
    assert metrics.faults._value.get() == 2


def test_newcomers_join_with_their_shop_or_by_their_own_lot(fleet: Conn) -> None:
    made = begun(fleet)
    fleet.execute(
        "INSERT INTO fleet.terminal SELECT 'T00900', point_of_sale, model, hw, firmware, access, carrier, lot, password_hash"
        " FROM fleet.terminal WHERE id = %s",
        in_wave(fleet, 1)[:1],
    )
    late = add_shops(fleet, 5, first=60)
    add_shops(fleet, 1, first=80, model="A")
    take_step(fleet, NOW)
    assert sum(states(fleet).values()) == 20 + 1 + 10
    assert "T00900" in in_wave(fleet, 1)
    where = dict(fleet.execute("SELECT terminal_id, wave FROM firmware_rollout.assignment WHERE NOT drawn").fetchall())
    assert set(where) == {"T00900", *late}
    assert all(where[late[n]] == where[late[n + 1]] for n in range(0, 10, 2)), "shops stay whole"
    fleet.execute("DELETE FROM firmware_rollout.assignment WHERE NOT drawn")
    take_step(fleet, NOW)
    again = fleet.execute("SELECT terminal_id, wave FROM firmware_rollout.assignment WHERE NOT drawn").fetchall()
    assert dict(again) == where, "the same lot whenever it is drawn"
    [joined, *_] = reversed(entries_of(fleet, made.id, deed="joined"))
    assert json.loads(joined.details) == {"terminals": sorted(["T00900", *late])}


def test_a_campaign_aims_at_several_values_of_a_dimension_and_newcomers_join_by_them(fleet: Conn) -> None:
    fleet.execute(
        "UPDATE fleet.terminal SET hw = (number % 3 + 1)::text FROM (SELECT id AS of, row_number() OVER () AS number"
        " FROM fleet.terminal WHERE model = 'B') n WHERE id = of"
    )
    fleet.execute("UPDATE firmware_rollout.release SET hw = '{2,3}'")
    with pytest.raises(CampaignError, match=r"fits models B, hardware 2, 3, but this aims at others .by model/hardware.: B/1: 6"):
        drafted(fleet)
    made = begun(fleet, where={"model": "B", "hw": ["2", "3"]})
    assert (made.target, sum(made.states.values())) == ({"model": ["B"], "hw": ["2", "3"]}, 14)
    late = add_shops(fleet, 3, first=60, terminals_each=1)
    fleet.execute("UPDATE fleet.terminal SET hw = '3' WHERE id = ANY(%s)", [late[1:]])
    take_step(fleet, NOW)
    joined = fleet.execute("SELECT terminal_id FROM firmware_rollout.assignment WHERE NOT drawn ORDER BY 1").fetchall()
    assert [row[0] for row in joined] == late[1:]


def test_what_has_moved_meanwhile_is_not_stored(fleet: Conn) -> None:
    made = begun(fleet)
    current = CampaignNow(CampaignState.PAUSED, "4.3.0", lenient_policy(), 1, None)
    planned = plan(current, standings(fleet, made.id, now=NOW), now=NOW)
    assert [step.after for step in planned] == [State.PLANNED] * 2
    fetched(fleet, in_wave(fleet, 1)[:1], at=NOW)
    assert [step.terminal_id for step in store_steps(fleet, made.id, planned, now=NOW)] == in_wave(fleet, 1)[1:]
    assert store_steps(fleet, made.id, planned, now=NOW) == []
    assert states(fleet)[State.UPDATING] == 1


def test_a_newer_campaign_takes_over_what_an_older_one_has_finished(fleet: Conn) -> None:
    begun(fleet, policy=lenient_policy(shares_pct=(100.0,), soak_minutes=0.0))
    add_release(fleet, version="4.4.0", models=["B"], notes="", now=NOW)
    add_release_file(fleet, "4.4.0")
    with pytest.raises(CampaignError, match=r"where: campaigns are at work .*abort them or aim at others: autumn \(20\)"):
        drafted(fleet, name="winter", release="4.4.0")
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    for _ in range(3):
        take_step(fleet, NOW + MINUTE)
    assert campaign(fleet, NAME).state is CampaignState.FINISHED
    winter = drafted(fleet, name="winter", release="4.4.0")
    status = rollout_status_of(fleet, ["T00001"], NOW)["T00001"]
    assert (status.kind, status.campaign) == (Kind.UP_TO_DATE, NAME), "a draft takes nothing over"
    do(fleet, winter.name, Deed.APPROVE, actor="sacha", why="", now=NOW)
    take_step(fleet, NOW)
    status = rollout_status_of(fleet, ["T00001"], NOW)["T00001"]
    assert (status.kind, status.campaign, status.target, status.reported) == (Kind.PLANNED, "winter", "4.4.0", "4.3.0")


def test_a_roll_back_undoes_what_no_newer_campaign_is_at_work_on(fleet: Conn) -> None:
    begun(fleet, policy=lenient_policy(shares_pct=(100.0,), soak_minutes=0.0))
    everybody = in_wave(fleet, 1)
    born(fleet, everybody, at=NOW + MINUTE, firmware="4.3.0", boot=2)
    for _ in range(3):
        take_step(fleet, NOW + MINUTE)
    add_release(fleet, version="4.4.0", models=["B"], notes="", now=NOW)
    add_release_file(fleet, "4.4.0")
    winter = drafted(fleet, name="winter", release="4.4.0", policy=lenient_policy(soak_minutes=0.0))
    do(fleet, "winter", Deed.APPROVE, actor="sacha", why="", now=NOW)
    for _ in range(2):
        take_step(fleet, NOW + HOUR)
    with pytest.raises(CampaignError, match=r"newer: .*abort or finish first: winter \(20\)"):
        do(fleet, NAME, Deed.ROLL_BACK, actor="sacha", why="the printers", now=NOW + HOUR)
    [updated] = fleet.execute(
        "SELECT min(terminal_id) FROM firmware_rollout.action WHERE campaign_id = %s", [winter.id]
    ).fetchall()[0]
    born(fleet, [updated], at=NOW + HOUR, firmware="4.4.0", boot=3)
    for _ in range(3):
        take_step(fleet, NOW + HOUR)
    do(fleet, "winter", Deed.ABORT, actor="sacha", why="first things first", now=NOW + HOUR)
    take_step(fleet, NOW + HOUR)
    drafted(fleet, name="spring", release="4.4.0")
    do(fleet, NAME, Deed.ROLL_BACK, actor="sacha", why="the printers", now=NOW + HOUR)
    take_step(fleet, NOW + HOUR)
    asked = fleet.execute("SELECT terminal_id FROM firmware_rollout.action WHERE kind = 'roll_back' ORDER BY 1").fetchall()
    assert [row[0] for row in asked] == [one for one in everybody if one != updated]


def test_two_rollout_programs_move_each_terminal_once(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        with conn.transaction():
            furnish(conn)
            drafted(conn, policy=lenient_policy(shares_pct=(100.0,)))
            do(conn, NAME, Deed.APPROVE, actor="sacha", why="", now=NOW)
        stop = threading.Event()
        settings = read(RolloutSettings, database_url=database_url, rollout_step_s=0.2)
        programs = [threading.Thread(target=run, args=(settings,), kwargs={"stop": stop, "clock": lambda: NOW}) for _ in range(2)]
        for program in programs:
            program.start()
        deadline = time.monotonic() + 20
        while states(conn) != {State.UPDATING: 20}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        stop.set()
        for program in programs:
            program.join(20)
            assert not program.is_alive()
        assert reasons(conn, 1) == [(State.UPDATING, "wave_due", 20, NOW)]
        assert conn.execute("SELECT count(*) FROM firmware_rollout.action").fetchone() == (20,)
        assert verify(conn).bad is None


def test_what_ran_before_campaigns_were_gated_begins_with_its_first_wave(fleet: Conn) -> None:
    drafted(fleet)
    fleet.execute("UPDATE firmware_rollout.campaign SET state = 'running', policy = '{\"window\": null}'")
    add_shops(fleet, 20, first=60)
    for _ in range(2):
        take_step(fleet, NOW)
    assert states(fleet)[State.UPDATING] == 2
    assert sum(states(fleet).values()) == 60, "newcomers join one of the waves that there are"


def test_the_cap_holds_over_steps(fleet: Conn) -> None:
    begun(fleet, policy=lenient_policy(shares_pct=(100.0,), cap_in_flight=6))
    for minutes in range(3):
        take_step(fleet, NOW + timedelta(minutes=minutes))
        assert states(fleet)[State.UPDATING] == 6
    born(fleet, in_wave(fleet, 1)[:4], at=NOW + HOUR, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + HOUR)
    assert states(fleet)[State.UPDATING] == 6
    assert sum(count for state, count in states(fleet).items() if state is not State.PLANNED) > 6
