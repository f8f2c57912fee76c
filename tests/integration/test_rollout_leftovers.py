"""Terminals that a campaign leaves on their way when it ends, or to a newer one: they come to rest, and block no later campaign."""

import pytest

from firmware_rollout.campaigns import campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.releases import add_release
from firmware_rollout.states import CampaignState, State
from tests.integration.rollout_house import (
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
