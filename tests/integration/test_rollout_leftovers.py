"""Terminals that a campaign leaves on their way when it ends, or to a newer one: they come to rest, and block no later campaign."""

import pytest
from prometheus_client import CollectorRegistry

from firmware_rollout.campaigns import CampaignError, campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.reconcile import Metrics, step
from firmware_rollout.releases import add_release
from firmware_rollout.states import CampaignState, State
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
    furnish,
    in_wave,
    lenient_policy,
    lost,
    states,
    take_step,
)
from tests.integration.small_fleet import Conn


@pytest.fixture
def fleet(conn: Conn) -> Conn:
    furnish(conn)
    for version in ("4.4.0", "4.4.1"):
        add_release(conn, version=version, models=["B"], notes="", now=NOW)
        add_release_file(conn, version)
    return conn


def test_who_has_no_way_back_comes_to_rest_after_a_roll_back_and_gets_the_mended_release(fleet: Conn) -> None:
    fleet.execute(
        "UPDATE firmware_rollout.release SET filename = NULL, length = NULL, sha256 = NULL, sha1 = NULL WHERE version = '4.2.1'"
    )
    begun(fleet)
    well, falls_back = in_wave(fleet, 1)
    born(fleet, [well, falls_back], at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + MINUTE)
    do(fleet, NAME, Deed.ROLL_BACK, actor="sacha", why="the printers", now=NOW + 2 * MINUTE)
    for _ in range(2):
        take_step(fleet, NOW + 2 * MINUTE)
    assert campaign(fleet, NAME).state is CampaignState.ROLLED_BACK
    assert states(fleet) == {State.SOAKING: 2, State.WITHDRAWN: 18}
    born(fleet, [falls_back], at=NOW + 3 * MINUTE, boot=3)
    for minutes in (3, 90):
        take_step(fleet, NOW + minutes * MINUTE)
    assert states(fleet) == {State.DONE: 1, State.ROLLED_BACK: 1, State.WITHDRAWN: 18}
    assert drafted(fleet, name="winter", release="4.4.0", now=NOW + 2 * HOUR).states == {State.PLANNED: 20}


def taken_over(fleet: Conn) -> str:
    """A terminal that came up late with the release of `autumn`, and that `winter`, which aims at it alone, has begun since."""
    begun(fleet, policy=lenient_policy(shares_pct=(100.0,), max_attempts=1, halt_failed_least=100))
    late, timely, *others = in_wave(fleet, 1)
    fleet.execute("UPDATE fleet.terminal SET carrier = 'beta' WHERE id = %s", [late])
    lost(fleet, [late, *others], at=NOW + MINUTE)
    born(fleet, [timely], at=NOW + 23 * HOUR, firmware="4.3.0", boot=2)
    for hours in (23.5, 24):
        take_step(fleet, NOW + hours * HOUR)
    drafted(
        fleet,
        name="winter",
        release="4.4.0",
        where={"carrier": "beta"},
        policy=lenient_policy(shares_pct=(100.0,), max_attempts=1, halt_failed_least=100),
        now=NOW + DAY,
    )
    do(fleet, "winter", Deed.APPROVE, actor="sacha", why="", now=NOW + DAY)
    take_step(fleet, NOW + DAY)
    born(fleet, [late], at=NOW + DAY + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + DAY + MINUTE)
    assert states(fleet) == {State.SOAKING: 2, State.FAILED: 18}
    assert campaign(fleet, "winter").states == {State.UPDATING: 1}
    return str(late)


def test_what_a_newer_campaign_has_brought_to_its_end_blocks_no_later_one(fleet: Conn) -> None:
    late = taken_over(fleet)
    with pytest.raises(CampaignError, match=r"where: campaigns are at work .*: autumn \(1\), winter \(1\)"):
        drafted(fleet, name="spring", release="4.4.1", now=NOW + DAY)
    do(fleet, NAME, Deed.ABORT, actor="sacha", why="winter is better", now=NOW + DAY + MINUTE)
    born(fleet, [late], at=NOW + DAY + HOUR, firmware="4.4.0", boot=3)
    for hours in (1, 3, 3):
        take_step(fleet, NOW + DAY + hours * HOUR)
    assert (campaign(fleet, "winter").state, campaign(fleet, "winter").states) == (CampaignState.FINISHED, {State.DONE: 1})
    assert states(fleet) == {State.SOAKING: 1, State.DONE: 1, State.FAILED: 18}, "nobody asks the older one any more"
    looked = "SELECT max(at) FROM firmware_rollout.campaign_look"
    step(fleet, now=NOW + 2 * DAY, metrics=Metrics(CollectorRegistry()))
    assert fleet.execute(looked).fetchall() == [(NOW + DAY + 3 * HOUR,)], "nothing is left to plan"
    drafted(fleet, name="spring", release="4.4.1", now=NOW + 2 * DAY)
    do(fleet, "spring", Deed.APPROVE, actor="sacha", why="", now=NOW + 2 * DAY)
    fleet.execute(
        "DELETE FROM firmware_rollout.assignment WHERE terminal_id = %s AND campaign_id = %s", [late, campaign(fleet, "spring").id]
    )
    take_step(fleet, NOW + 2 * DAY)
    assert sum(campaign(fleet, "spring").states.values()) == 20, "it may join as well"


def test_what_a_newer_campaign_gives_up_comes_to_rest_in_the_older_one_though_that_is_finished(fleet: Conn) -> None:
    taken_over(fleet)
    for hours in (2, 2):
        take_step(fleet, NOW + DAY + hours * HOUR)
    assert campaign(fleet, NAME).state is CampaignState.FINISHED
    for hours in (30, 30):
        take_step(fleet, NOW + DAY + hours * HOUR)
    assert (campaign(fleet, "winter").state, campaign(fleet, "winter").states) == (CampaignState.FINISHED, {State.FAILED: 1})
    for hours in (31, 33):
        take_step(fleet, NOW + DAY + hours * HOUR)
    assert states(fleet) == {State.DONE: 2, State.FAILED: 18}
    drafted(fleet, name="spring", release="4.4.1", where={"carrier": "beta"}, now=NOW + 3 * DAY)
