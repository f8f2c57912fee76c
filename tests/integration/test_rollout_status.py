"""What a call shows of a terminal's rollout when things went wrong: its own failure, harm that was found, the way back."""

from datetime import timedelta

import pytest

from firmware_rollout.campaigns import campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.gate.policy import Metric
from firmware_rollout.harm import harms
from firmware_rollout.states import CampaignState
from firmware_rollout.status import Kind, RolloutStatus, rollout_status_of
from tests import rollout_world
from tests.integration.rollout_house import HOUR, MINUTE, NOW, begun, born, furnish, in_wave, lenient_policy, take_step
from tests.integration.small_fleet import Conn
from tests.rollout_world import NEW, OLD, SECOND


def status_of(conn: Conn, terminal: str) -> RolloutStatus:
    return rollout_status_of(conn, [terminal], NOW)[terminal]


def test_a_terminal_that_is_not_well_on_the_release_has_failed(conn: Conn) -> None:
    furnish(conn)
    begun(conn, policy=lenient_policy(deadline_hours=2.0))
    [first, _] = in_wave(conn, 1)
    born(conn, [first], at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(conn, NOW + MINUTE)
    conn.execute(
        "INSERT INTO diagnostics.health (terminal_id, state, since, reasons) VALUES (%s, 'down', %s, '[]')"
        " ON CONFLICT (terminal_id) DO UPDATE SET state = 'down'",
        [first, NOW],
    )
    take_step(conn, NOW + 3 * HOUR)
    found = status_of(conn, first)
    assert (found.kind, found.why, found.reported) == (Kind.FAILED, "unwell", "4.3.0")


@pytest.fixture
def harmed(conn: Conn) -> Conn:
    """A campaign that the gate halted for harm; one terminal of its second wave had the release from elsewhere."""
    rollout_world.furnish(conn, now=NOW)
    rollout_world.halted(conn, now=NOW)
    born(conn, rollout_world.in_wave(conn, "hiver", 2)[-1:], at=NOW, firmware=NEW, boot=2)
    take_step(conn, NOW)
    return conn


def test_what_the_gate_found_stays_when_a_campaign_is_undone(harmed: Conn) -> None:
    had_it = harmed.execute("SELECT terminal_id FROM firmware_rollout.assignment WHERE state = 'done' AND firmware_before IS NULL")
    [[stays]] = had_it.fetchall()
    goes = rollout_world.in_wave(harmed, "hiver", 1)[5]
    for terminal in (stays, goes):
        found = status_of(harmed, terminal)
        assert (found.kind, found.blamed) == (Kind.HARMFUL, [Metric.CALLS])
    do(harmed, "hiver", Deed.ROLL_BACK, actor=SECOND, why="the calls", now=NOW)
    assert (status_of(harmed, goes).kind, status_of(harmed, goes).back_to) == (Kind.TO_GO_BACK, OLD)
    take_step(harmed, NOW)
    assert status_of(harmed, goes).kind is Kind.GOING_BACK
    assert status_of(harmed, goes).blamed == [Metric.CALLS], "still, while it is undone"
    assert status_of(harmed, stays).kind is Kind.STAYS
    back = [row[0] for row in harmed.execute("SELECT terminal_id FROM firmware_rollout.action WHERE kind = 'roll_back'")]
    born(harmed, back, at=NOW + HOUR, firmware=OLD, boot=3)
    for _ in range(2):
        take_step(harmed, NOW + HOUR + timedelta(minutes=1))
    assert campaign(harmed, "hiver").state is CampaignState.ROLLED_BACK
    assert (status_of(harmed, goes).kind, status_of(harmed, stays).kind) == (Kind.ROLLED_BACK, Kind.STAYS)
    assert status_of(harmed, stays).blamed == [Metric.CALLS]


def test_harm_stands_until_a_person_goes_on_against_it(harmed: Conn) -> None:
    [found] = harms(harmed, release=NEW)
    assert (found.campaign, found.release, found.metrics) == ("hiver", NEW, [Metric.CALLS])
    assert harms(harmed, release=OLD) == []
    do(harmed, "hiver", Deed.RESUME, actor=SECOND, why="a power cut, not the release", now=NOW)
    assert harms(harmed) == []
    goes = rollout_world.in_wave(harmed, "hiver", 1)[5]
    assert status_of(harmed, goes).kind in (Kind.UP_TO_DATE, Kind.SOAKING)
