"""The gate of a live campaign on a real database: what it counts, what opens a wave, what halts, and that it can be replayed."""

from datetime import datetime

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from firmware_rollout.audit import ROUTINE, entries_of, verify
from firmware_rollout.campaigns import CampaignError, campaign, progress
from firmware_rollout.deeds import Deed, do, possible_now
from firmware_rollout.gate.judging import Reading, Why
from firmware_rollout.gate.policy import Metric, Needed
from firmware_rollout.gate_counts import count, measurable
from firmware_rollout.gate_round import judge_round
from firmware_rollout.gating import newest_reading, replay, standing_halt
from firmware_rollout.policy import SETTLE
from firmware_rollout.reconcile import Metrics, step
from firmware_rollout.states import CampaignState, State
from tests.integration.rollout_house import (
    DAY,
    HOUR,
    LENIENT,
    MINUTE,
    NAME,
    NOW,
    begun,
    born,
    furnish,
    heard,
    in_wave,
    lenient_policy,
    lost,
    rang,
    states,
    take_step,
    told,
)
from tests.integration.small_fleet import Conn, add_shops


@pytest.fixture
def fleet(conn: Conn) -> Conn:
    furnish(conn)
    return conn


def readings(conn: Conn) -> list[Reading]:
    rows = conn.execute("SELECT reading FROM firmware_rollout.gate_reading ORDER BY id")
    return [msgspec.json.decode(row[0], type=Reading) for row in rows]


def open_waves(conn: Conn) -> int:
    return sum(wave.opened_at is not None for wave in progress(conn, campaign(conn, NAME).id))


def judge_day(conn: Conn, day: int) -> datetime:
    """All of a day of the campaign was heard, and it is judged; the wave that this opens begins."""
    now = NOW + day * DAY + SETTLE
    heard(conn, now)
    for _ in range(3):
        take_step(conn, now)
    return now


def test_a_wave_that_is_updated_and_well_lets_the_next_one_begin(fleet: Conn) -> None:
    begun(fleet)
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + MINUTE)
    take_step(fleet, NOW + 2 * HOUR)
    assert open_waves(fleet) == 1, "time alone opens nothing"
    take_step(fleet, NOW + DAY + SETTLE)
    assert readings(fleet) == [], "what was said in the meantime is still to come"
    at = judge_day(fleet, 1)
    assert open_waves(fleet) == 2
    [first, _] = progress(fleet, campaign(fleet, NAME).id)[:2]
    assert first.passed_at == at
    assert states(fleet)[State.UPDATING] == 8
    deeds = [entry.deed for entry in entries_of(fleet, campaign(fleet, NAME).id)]
    assert deeds == ["planned", "wave_passed", "judged", "planned", "planned", "planned", "first_wave_due", "approve", "created"]


def test_a_device_that_lies_does_not_advance_a_wave(fleet: Conn) -> None:
    begun(fleet, policy=lenient_policy(max_attempts=9, halt_failed_least=99))
    liars = in_wave(fleet, 1)
    for day in range(1, 4):
        told(fleet, liars, at=NOW + day * DAY - 10 * HOUR)
        born(fleet, liars, at=NOW + day * DAY - 9 * HOUR, boot=1 + day)
        take_step(fleet, NOW + day * DAY - 8 * HOUR)
        judge_day(fleet, day)
    assert [reading.situation.updated_pct for reading in readings(fleet)] == [0, 0, 0]
    assert {reason.why for reading in readings(fleet) for reason in reading.reasons} == {Why.TOO_FEW_UPDATED}
    assert open_waves(fleet) == 1
    born(fleet, liars, at=NOW + 3 * DAY + HOUR, firmware="4.3.0", boot=9)
    for hours in (1, 3):
        take_step(fleet, NOW + 3 * DAY + hours * HOUR)
    judge_day(fleet, 4)
    assert open_waves(fleet) == 2, "the truth does"


def test_a_wave_whose_updates_all_fail_waits_for_a_person(fleet: Conn) -> None:
    begun(fleet)
    liars, now = in_wave(fleet, 1), NOW
    for boot in range(2, 9):
        now += 2 * HOUR
        told(fleet, liars, at=now)
        born(fleet, liars, at=now + MINUTE, boot=boot)
        take_step(fleet, now + 2 * MINUTE)
    assert states(fleet) == {State.FAILED: 2, State.PLANNED: 18}, "three attempts each"
    judge_day(fleet, 1)
    [reading] = readings(fleet)
    assert [(reason.why, reason.value) for reason in reading.reasons] == [(Why.TOO_FEW_UPDATED, 0)]
    assert open_waves(fleet) == 1


def test_a_wave_that_nobody_knows_to_be_well_waits(fleet: Conn) -> None:
    begun(fleet)
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + MINUTE)
    now = NOW + DAY + SETTLE
    heard(fleet, now)
    for _ in range(3):
        judge_round(fleet, now=now)
        step(fleet, now=now, metrics=Metrics(CollectorRegistry()))
    assert states(fleet)[State.SOAKING] == 2, "nobody watches"
    assert [reason.why for reason in readings(fleet)[0].reasons] == [Why.TOO_FEW_UPDATED]
    assert open_waves(fleet) == 1


def test_the_gate_waits_for_what_it_cannot_measure(fleet: Conn) -> None:
    silence = tuple(msgspec.structs.replace(one, needed=()) for one in lenient_policy().gate.metrics)
    silence = (msgspec.structs.replace(silence[0], metric=Metric.SILENCE),)
    gate = msgspec.structs.replace(lenient_policy().gate, metrics=silence)
    begun(fleet, policy=lenient_policy(gate=gate))
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + MINUTE)
    take_step(fleet, NOW + DAY + SETTLE)
    assert readings(fleet) == []
    take_step(fleet, NOW + 2 * DAY + SETTLE)
    [reading] = readings(fleet)
    assert [reason.why for reason in reading.reasons] == [Why.NOT_MEASURED]
    assert open_waves(fleet) == 1


def test_what_is_not_rolled_up_or_noted_yet_is_not_measured(conn: Conn) -> None:
    add_shops(conn, 250, first=100)
    rang(conn, ["T00100"], at=NOW + HOUR)
    heard(conn, NOW + DAY)
    day = {"start": NOW, "end": NOW + DAY}
    errors = {Metric.PRINTER_ERRORS, Metric.SCANNER_ERRORS, Metric.TRANSACTION_ERRORS}
    assert measurable(conn, **day) == set(Metric)
    mark = "INSERT INTO fleet.rollup_due (bucket, terminal_id) SELECT %s, id FROM fleet.terminal LIMIT %s"
    conn.execute(mark, [NOW + HOUR, 5])
    assert measurable(conn, **day) == set(Metric), "some terminals are always late"
    conn.execute(mark, [NOW + HOUR, 6])
    assert measurable(conn, **day) == set(Metric) - errors
    conn.execute("DELETE FROM fleet.rollup_due")
    conn.execute("INSERT INTO fleet.rollup_due VALUES (%s, NULL), (%s, NULL)", [NOW + DAY, NOW - MINUTE])
    assert measurable(conn, **day) == set(Metric), "of other days"
    conn.execute("INSERT INTO fleet.rollup_due VALUES (%s, NULL)", [NOW + HOUR])
    assert measurable(conn, **day) == set(Metric) - errors
    assert measurable(conn, start=NOW, end=NOW + MINUTE) == set(Metric), "short periods are counted from the samples themselves"
    heard(conn, NOW + 2 * DAY)
    assert measurable(conn, start=NOW + DAY, end=NOW + 2 * DAY) == set(Metric) - errors - {Metric.CALLS}, "nobody rang all day"
    assert measurable(conn, start=NOW + DAY, end=NOW + DAY + HOUR) >= {Metric.CALLS}, "which an hour without calls does not say"
    conn.execute("DELETE FROM fleet.terminal WHERE id >= 'T00300'")
    assert measurable(conn, start=NOW + DAY, end=NOW + 2 * DAY) >= {Metric.CALLS}, "nor a day of a small fleet"
    assert measurable(conn, start=NOW + 5 * DAY, end=NOW + 6 * DAY) == {Metric.CALLS}, "nothing was heard yet"


@pytest.fixture
def big(conn: Conn) -> Conn:
    """Two hundred shops, half of them in the first wave."""
    ids = add_shops(conn, 200, first=300, terminals_each=1)
    furnish(conn)
    born(conn, ids, at=NOW - HOUR)
    gate = msgspec.structs.replace(lenient_policy().gate, **{**LENIENT, "least_days": 9.0})
    begun(conn, policy=lenient_policy(gate=gate, shares_pct=(50.0, 100.0)))
    born(conn, in_wave(conn, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(conn, NOW + MINUTE)
    return conn


def test_updated_shops_that_ring_more_halt_the_campaign_and_the_halt_is_replayed(big: Conn) -> None:
    for day in (1, 2):
        rang(big, in_wave(big, 1)[(day - 1) * 30 : day * 30], at=NOW + day * DAY - HOUR)
        rang(big, in_wave(big, 2)[:3], at=NOW + day * DAY - HOUR)
        judge_day(big, day)
    found = campaign(big, NAME)
    assert found.state is CampaignState.HALTED
    assert found.reason.startswith("calls ")
    reading = newest_reading(big, found.id)
    assert reading is not None
    assert (reading.verdict, reading.finding) == ("halt", found.reason)
    assert replay(big, found.id) == (len(readings(big)), None)
    [judged] = [entry for entry in entries_of(big, found.id) if entry.deed == "gate_halts"]
    assert f'"reading":{reading.id}' in judged.details

    do(big, NAME, Deed.RESUME, actor="sacha", why="a leaflet told them to ring", now=NOW + 2 * DAY + HOUR)
    take_step(big, NOW + 2 * DAY + HOUR)
    assert campaign(big, NAME).state is CampaignState.RUNNING, "what a person judged is not held against it again"
    before = len(readings(big))
    heard(big, NOW + 4 * DAY)
    take_step(big, NOW + 4 * DAY)
    assert len(readings(big)) == before + 1
    assert replay(big, found.id) == (before + 1, None)


def test_a_halt_is_not_lost_behind_what_the_gate_reads_next(big: Conn) -> None:
    rang(big, in_wave(big, 1)[:30], at=NOW + DAY - HOUR)
    rang(big, in_wave(big, 2)[:60], at=NOW + 2 * DAY - HOUR)
    now = NOW + 2 * DAY + SETTLE
    heard(big, now)
    for _ in range(3):
        judge_round(big, now=now)
    assert [reading.verdict for reading in readings(big)] == ["halt"], "planning is away, and the gate judges no further"
    found = campaign(big, NAME)
    # As an earlier release left it: it had read on.
    big.execute(
        "INSERT INTO firmware_rollout.gate_reading (campaign_id, wave, at, verdict, reading, run_id, period)"
        " SELECT campaign_id, wave, at, 'wait', replace(reading, %s, %s), run_id, 2 FROM firmware_rollout.gate_reading",
        ['"verdict":"halt"', '"verdict":"wait"'],
    )
    halt = standing_halt(big, found.id, overruled=0)
    assert halt is not None
    take_step(big, now)
    assert (campaign(big, NAME).state, campaign(big, NAME).reason) == (CampaignState.HALTED, halt.finding)
    assert standing_halt(big, found.id, overruled=halt.id) is None


@pytest.fixture
def never_sure(fleet: Conn) -> Conn:
    """A small campaign whose gate asks for odds that it cannot reach, for two days a wave; its first wave is updated."""
    needed = (Needed(0.0, 2.0),)
    metrics = tuple(msgspec.structs.replace(one, needed=needed) for one in lenient_policy().gate.metrics)
    begun(fleet, policy=lenient_policy(gate=msgspec.structs.replace(lenient_policy().gate, longest_days=2.0, metrics=metrics)))
    born(fleet, in_wave(fleet, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    for at in (NOW + MINUTE, NOW + 2 * HOUR):
        take_step(fleet, at)
    return fleet


def may(conn: Conn) -> list[Deed]:
    return possible_now(conn, campaign(conn, NAME))


def test_a_person_lets_a_wave_pass_that_the_gate_is_not_sure_of(never_sure: Conn) -> None:
    at = judge_day(never_sure, 1)
    assert (open_waves(never_sure), readings(never_sure)[-1].verdict, Deed.PASS in may(never_sure)) == (1, "wait", True)
    with pytest.raises(CampaignError, match="why: say why"):
        do(never_sure, NAME, Deed.PASS, actor="sacha", why=" ", now=at)
    do(never_sure, NAME, Deed.PASS, actor="sacha", why="nobody rang", now=at)
    take_step(never_sure, at)
    assert open_waves(never_sure) == 2
    [moved, passed] = entries_of(never_sure, campaign(never_sure, NAME).id, without=ROUTINE, limit=2)
    assert (moved.deed, passed.deed, passed.actor) == ("let_pass", "pass", "sacha")
    assert '"why":"nobody rang"' in passed.details
    take_step(never_sure, at + MINUTE)
    assert open_waves(never_sure) == 2, "one wave, not every later one"


def test_what_else_is_done_takes_it_back_that_a_wave_was_let_pass(never_sure: Conn) -> None:
    at = judge_day(never_sure, 1)
    for deed in (Deed.PASS, Deed.PAUSE, Deed.RESUME):
        do(never_sure, NAME, deed, actor="sacha", why="on second thoughts", now=at)
    take_step(never_sure, at)
    assert open_waves(never_sure) == 1


@pytest.mark.parametrize("deed", [Deed.RESUME, Deed.PASS])
def test_after_a_halt_for_want_of_evidence_a_person_decides(never_sure: Conn, deed: Deed) -> None:
    for day in (1, 2):
        at = judge_day(never_sure, day)
    assert (campaign(never_sure, NAME).state, readings(never_sure)[-1].reasons[0].why) == (CampaignState.HALTED, Why.UNDECIDED)
    do(never_sure, NAME, deed, actor="sacha", why="it looks well", now=at + HOUR)
    for _ in range(2):
        take_step(never_sure, at + HOUR)
    assert campaign(never_sure, NAME).state is CampaignState.RUNNING
    assert open_waves(never_sure) == (2 if deed is Deed.PASS else 1)
    # The wave has its time again: it is not halted at the next day's end for being as old as before.
    heard(never_sure, at + HOUR + DAY + SETTLE)
    for _ in range(2):
        take_step(never_sure, at + HOUR + DAY + SETTLE)
    assert campaign(never_sure, NAME).state is CampaignState.RUNNING
    assert readings(never_sure)[-1].situation.days == 1
    assert replay(never_sure, campaign(never_sure, NAME).id).differs is None


def test_harm_is_not_let_pass_before_it_is_overruled(big: Conn) -> None:
    rang(big, in_wave(big, 1)[:30], at=NOW + DAY - HOUR)
    heard(big, NOW + DAY + SETTLE)
    judge_round(big, now=NOW + DAY + SETTLE)
    assert campaign(big, NAME).state is CampaignState.RUNNING, "planning has yet to look"
    with pytest.raises(CampaignError, match="evidence: the gate found harm"):
        do(big, NAME, Deed.PASS, actor="sacha", why="in a hurry", now=NOW + DAY + HOUR)
    take_step(big, NOW + DAY + HOUR)
    assert Deed.PASS not in may(big)
    do(big, NAME, Deed.RESUME, actor="sacha", why="a leaflet told them to ring", now=NOW + DAY + HOUR)
    assert Deed.PASS in may(big)
    do(big, NAME, Deed.HALT, actor="sacha", why="smoke", now=NOW + DAY + HOUR)
    with pytest.raises(CampaignError, match="evidence: it was not halted for want of evidence"):
        do(big, NAME, Deed.PASS, actor="sacha", why="in a hurry", now=NOW + DAY + HOUR)


def test_a_reading_says_what_part_of_the_fleet_is_aimed_at(fleet: Conn) -> None:
    begun(fleet)
    judge_day(fleet, 1)
    assert readings(fleet)[-1].situation.of_fleet == pytest.approx(10 / 11)


def test_catching_up_opens_a_wave_by_the_newest_period_only(conn: Conn) -> None:
    born(conn, [*furnish(conn), *add_shops(conn, 200, first=300, terminals_each=1)], at=NOW - HOUR)
    begun(conn, policy=lenient_policy(shares_pct=(25.0, 50.0, 100.0)))
    born(conn, in_wave(conn, 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    for hours in (1, 3):
        take_step(conn, NOW + hours * HOUR)
    # The rollout is away for three days; on the last two the updated ring.
    for day in (2, 3):
        rang(conn, in_wave(conn, 1)[day * 15 : day * 15 + 15], at=NOW + day * DAY - HOUR)
    now = NOW + 3 * DAY + SETTLE
    heard(conn, now)
    for _ in range(4):
        take_step(conn, now)
    assert [reading.verdict for reading in readings(conn)][:2] == ["pass", "halt"], "the first day was well"
    assert (open_waves(conn), campaign(conn, NAME).state) == (1, CampaignState.HALTED)


def test_as_many_calls_of_both_arms_halt_nothing(big: Conn) -> None:
    for day in (1, 2):
        for wave in (1, 2):
            rang(big, in_wave(big, wave)[(day - 1) * 30 : day * 30], at=NOW + day * DAY - HOUR)
        judge_day(big, day)
    assert campaign(big, NAME).state is CampaignState.RUNNING


@pytest.mark.parametrize(
    ("statement", "reading"),
    [
        pytest.param("UPDATE firmware_rollout.gate_reading SET reading = reading || ' '", 0, id="its text"),
        pytest.param("UPDATE firmware_rollout.gate_reading SET verdict = 'pass' WHERE period = 2", 1, id="its verdict"),
        pytest.param("UPDATE firmware_rollout.gate_reading SET wave = 9 WHERE period = 2", 1, id="its wave"),
        pytest.param("DELETE FROM firmware_rollout.gate_reading WHERE period = 1", 0, id="gone"),
        pytest.param(
            "DELETE FROM firmware_rollout.audit WHERE number = (SELECT max(number) FROM firmware_rollout.audit)", 1, id="cut"
        ),
    ],
)
def test_readings_are_compared_with_what_the_audit_says_of_them(big: Conn, statement: str, reading: int) -> None:
    for day in (1, 2):
        heard(big, NOW + day * DAY + SETTLE)
        judge_round(big, now=NOW + day * DAY + SETTLE)
    ids = [row[0] for row in big.execute("SELECT id FROM firmware_rollout.gate_reading ORDER BY id")]
    assert (verify(big).bad, verify(big).reading) == (None, None)
    big.execute("ALTER TABLE firmware_rollout.audit DISABLE TRIGGER audit_is_for_ever")
    big.execute(statement)
    assert (verify(big).bad, verify(big).reading) == (None, ids[reading])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE firmware_rollout.gate_mark SET marks = set_byte(marks, 3, 255 - get_byte(marks, 3)) WHERE period = 1",
        "UPDATE firmware_rollout.gate_reading SET reading = replace(reading, '\"wait\"', '\"pass\"')",
    ],
)
def test_a_replay_finds_what_was_altered(big: Conn, statement: str) -> None:
    rang(big, in_wave(big, 1)[:20], at=NOW + HOUR)
    rang(big, in_wave(big, 2)[:20], at=NOW + HOUR)
    judge_day(big, 1)
    assert replay(big, campaign(big, NAME).id).differs is None
    big.execute(statement)
    assert replay(big, campaign(big, NAME).id).differs is not None


def test_counts_are_of_shops_and_of_the_period(conn: Conn) -> None:
    one, two, *_ = add_shops(conn, 3, terminals_each=1)
    inside, outside = NOW + HOUR, NOW - MINUTE
    for terminal, at, errors in ((one, inside, 3), (one, inside + MINUTE, 4), (two, outside, 9)):
        conn.execute(
            "INSERT INTO fleet.sample_5min (bucket, terminal_id, samples, print_errors, scan_errors, tx_timeouts, tickets)"
            " VALUES (%s, %s, 10, %s, 1, NULL, 5)",
            [at, terminal, errors],
        )
        conn.execute(
            "INSERT INTO fleet.sample (at, received_at, boot, seq, terminal_id, print_errors) VALUES (%s, %s, 1, %s, %s, %s)",
            [at, at, errors, terminal, errors],
        )
    for number, (code, detail) in enumerate((("APP_CRASH", ""), ("REBOOT", "expected: update"), ("REBOOT", "unexpected"))):
        conn.execute(
            "INSERT INTO fleet.event (at, received_at, boot, seq, terminal_id, code, detail) VALUES (%s, %s, 1, %s, %s, %s, %s)",
            [inside, inside, number, two, code, detail],
        )
    rang(conn, [one, two], at=inside)
    for terminal, back in ((one, 30 * MINUTE), (two, 90 * MINUTE)):
        for at, online in ((inside, False), (inside + back, True)):
            conn.execute("INSERT INTO fleet.presence_change VALUES (%s, %s, %s, 1)", [terminal, at, online])
    shops = ["P00001", "P00002", "P00003"]
    found = {metric: values.tolist() for metric, values in count(conn, shops, start=NOW, end=NOW + DAY, pace=1).of.items()}
    assert found == {
        Metric.PRINTER_ERRORS: [7, 0, 0],
        Metric.SCANNER_ERRORS: [2, 0, 0],
        Metric.TRANSACTION_ERRORS: [0, 0, 0],
        Metric.CRASHES: [0, 1, 0],
        Metric.REBOOTS: [0, 1, 0],
        Metric.SILENCE: [0, 1, 0],
        Metric.CALLS: [1, 1, 0],
    }
    quick = count(conn, shops, start=inside, end=inside + MINUTE, pace=1440)
    assert quick.of[Metric.PRINTER_ERRORS].tolist() == [3, 0, 0], "short periods are counted from the samples themselves"


def test_a_terminal_lost_after_its_update_is_counted_silent(fleet: Conn) -> None:
    begun(fleet)
    [dead, _] = in_wave(fleet, 1)
    lost(fleet, [dead], at=NOW + HOUR)
    fleet.execute("INSERT INTO fleet.presence_change VALUES (%s, %s, false, 1)", [dead, NOW + HOUR])
    shops = [f"P{number:05}" for number in range(1, 11)]
    assert count(fleet, shops, start=NOW, end=NOW + DAY, pace=1).of[Metric.SILENCE].sum() == 1
    assert count(fleet, shops, start=NOW, end=NOW + HOUR, pace=1).of[Metric.SILENCE].sum() == 0, "not before an hour of silence"


def test_a_restart_that_one_batch_tells_is_no_silence(fleet: Conn) -> None:
    begun(fleet)
    [back, gone] = in_wave(fleet, 1)
    # The will of a connection and the birth of the next are stored at the same instant; a birth and its own loss as well.
    changes = ((back, False, 1), (back, True, 2), (gone, True, 1), (gone, False, 1))
    for terminal, online, session in changes:
        fleet.execute("INSERT INTO fleet.presence_change VALUES (%s, %s, %s, %s)", [terminal, NOW + HOUR, online, session])
    shops = [f"P{number:05}" for number in range(1, 11)]
    assert count(fleet, shops, start=NOW, end=NOW + DAY, pace=1).of[Metric.SILENCE].sum() == 1


def obey(conn: Conn, now: datetime) -> None:
    """Every device does at once what it is asked, and comes back with it."""
    asked = conn.execute("SELECT terminal_id, release FROM firmware_rollout.action WHERE state = 'open'").fetchall()
    told(conn, [terminal for terminal, _ in asked], at=now)
    for terminal, release in asked:
        born(conn, [terminal], at=now + MINUTE, firmware=release, boot=2)


def test_a_good_release_reaches_the_whole_fleet_by_its_waves(conn: Conn) -> None:
    add_shops(conn, 40, first=300, terminals_each=1)
    born(conn, [*furnish(conn), *(f"T{number:05}" for number in range(300, 340))], at=NOW - HOUR)
    begun(conn, policy=lenient_policy(shares_pct=(2.0, 10.0, 40.0, 95.0, 100.0), cap_in_flight=15))
    reached, now = [], NOW
    while campaign(conn, NAME).state is CampaignState.RUNNING:
        obey(conn, now)
        now += 2 * HOUR
        heard(conn, now)
        take_step(conn, now)
        reached.append(open_waves(conn))
        assert states(conn).get(State.UPDATING, 0) <= 15
        assert now < NOW + 20 * DAY
    assert (campaign(conn, NAME).state, states(conn)) == (CampaignState.FINISHED, {State.DONE: 60})
    assert reached == sorted(reached), "waves open one after the other"
    assert replay(conn, campaign(conn, NAME).id).differs is None
