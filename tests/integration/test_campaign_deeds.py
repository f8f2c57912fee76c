"""What people do to campaigns and releases on a real database, and what is refused."""

import threading
import time
from itertools import product
from typing import Any

import psycopg
import pytest

from firmware_rollout.audit import entries_of, note, verify
from firmware_rollout.campaigns import CampaignError, Wave, campaign, list_campaigns, reasons
from firmware_rollout.deeds import DEEDS, Deed, do, possible_now
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.policy import Policy
from firmware_rollout.releases import ReleaseError, add_release, list_releases
from firmware_rollout.states import CampaignState, State
from firmware_rollout.status import Kind, rollout_status_of
from fleet.scope import ScopeError
from tests import rollout_world
from tests.integration.rollout_house import (
    DAY,
    HOUR,
    MINUTE,
    NAME,
    NOW,
    begun,
    born,
    drafted,
    furnish,
    take_step,
)
from tests.integration.small_fleet import Conn, add_shops


@pytest.fixture
def fleet(conn: Conn) -> Conn:
    furnish(conn)
    return conn


def test_nobody_approves_what_they_made_nor_what_has_no_file(fleet: Conn) -> None:
    drafted(fleet)
    with pytest.raises(CampaignError, match="actor: Alix made this campaign"):
        do(fleet, NAME, Deed.APPROVE, actor="Alix", why="", now=NOW)
    fleet.execute("UPDATE firmware_rollout.release SET filename = NULL, length = NULL, sha256 = NULL, sha1 = NULL")
    with pytest.raises(CampaignError, match=r"release: 4\.3\.0 was only declared"):
        do(fleet, NAME, Deed.APPROVE, actor="sacha", why="", now=NOW)
    assert take_step(fleet, NOW) == []
    assert campaign(fleet, NAME).state is CampaignState.DRAFT


def test_a_deed_is_done_where_it_can_be_and_noted(fleet: Conn) -> None:
    made = drafted(fleet)
    for state, deed in product(CampaignState, Deed):
        fleet.execute("UPDATE firmware_rollout.campaign SET state = %s, approved_by = ''", [state.value])
        before, after = DEEDS[deed]
        if state in before and deed is Deed.PASS:
            with pytest.raises(CampaignError, match="evidence: no wave has begun"):
                do(fleet, NAME, deed, actor="sacha", why="because", now=NOW)
        elif state in before and deed is Deed.ROLL_BACK:
            with pytest.raises(CampaignError, match="untouched: autumn has begun no terminal: there is nothing to roll back"):
                do(fleet, NAME, deed, actor="sacha", why="because", now=NOW)
        elif state in before:
            assert do(fleet, NAME, deed, actor="sacha", why="because", now=NOW).state is after
            assert entries_of(fleet, made.id)[0].deed == deed.value
        else:
            with pytest.raises(CampaignError, match=f"state: autumn is {state.replace('_', '-')}; what can be done to it"):
                do(fleet, NAME, deed, actor="sacha", why="because", now=NOW)
    assert verify(fleet).bad is None


def test_a_deed_needs_a_reason_and_somebody(fleet: Conn) -> None:
    begun(fleet)
    with pytest.raises(CampaignError, match="why: "):
        do(fleet, NAME, Deed.HALT, actor="sacha", why=" ", now=NOW)
    with pytest.raises(CampaignError, match="actor: "):
        do(fleet, NAME, Deed.HALT, actor=" ", why="smoke", now=NOW)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        pytest.param({"name": " "}, CampaignError, "name: ", id="no name"),
        pytest.param({"actor": " "}, CampaignError, "actor: ", id="nobody"),
        pytest.param({"release": "9.9.9"}, CampaignError, "release: .*known: 4.3.0, 4.2.1", id="an unknown release"),
        pytest.param(
            {"where": {}},
            CampaignError,
            "where: release 4.3.0 fits models B, .* others .by model/hardware.: A/1: 2",
            id="a model it does not fit",
        ),
        pytest.param({"where": {"model": "Z"}}, ScopeError, "model: .*known: A, B", id="an unknown value"),
        pytest.param({"where": {"colour": "red"}}, ScopeError, "colour: ", id="an unknown dimension"),
        pytest.param({"waves": [Wave(NOW, 50)]}, CampaignError, "wave: ", id="not everyone is reached"),
        pytest.param({"waves": [Wave(NOW - 2 * DAY, 100)]}, CampaignError, "begins: 2026-11-21 is past", id="long past"),
        pytest.param({"seed": -1}, CampaignError, "seed: is a whole number from 0", id="a seed below 0"),
        pytest.param({"seed": 2**70}, CampaignError, "seed: is a whole number from 0", id="a seed beyond what is kept"),
        pytest.param({"policy": Policy(give_up_days=1e7)}, PolicyError, "give_up_days: must be at most", id="beyond the calendar"),
        pytest.param({"policy": Policy(deadline_hours=0)}, PolicyError, "deadline_hours: ", id="no time to update"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused_by_field(
    fleet: Conn, changed: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        drafted(fleet, **changed)
    assert list_campaigns(fleet) == []


def test_a_name_is_taken_once(fleet: Conn) -> None:
    drafted(fleet)
    do(fleet, NAME, Deed.ABORT, actor="alix", why="not now", now=NOW)
    with pytest.raises(CampaignError, match="name: there is a campaign 'autumn' already"):
        drafted(fleet)
    with pytest.raises(CampaignError, match="no campaign 'spring'; known: autumn"):
        campaign(fleet, "spring")


def test_drafts_stand_in_nobodys_way_and_the_first_approved_begins(fleet: Conn) -> None:
    """What each begins is decided when it is approved, not when it is drafted."""
    drafted(fleet)
    drafted(fleet, name="winter")
    do(fleet, "winter", Deed.APPROVE, actor="sacha", why="", now=NOW)
    with pytest.raises(CampaignError, match="name: there is a campaign 'autumn' already"):
        drafted(fleet)
    at_work = r"where: campaigns are at work .* abort them or aim at others: winter \(20\)"
    with pytest.raises(CampaignError, match=at_work):
        drafted(fleet, name="spring")
    with pytest.raises(CampaignError, match=at_work):
        do(fleet, NAME, Deed.APPROVE, actor="sacha", why="", now=NOW)
    for _ in range(2):
        take_step(fleet, NOW)
    born(fleet, rollout_world.in_wave(fleet, "winter", 1), at=NOW + MINUTE, firmware="4.3.0", boot=2)
    take_step(fleet, NOW + MINUTE)
    do(fleet, "winter", Deed.ABORT, actor="sacha", why="first things first", now=NOW + MINUTE)
    for _ in range(3):
        take_step(fleet, NOW + 3 * HOUR)
    with pytest.raises(CampaignError, match="older: 2 of its terminals have been through a newer campaign since it was drafted"):
        do(fleet, NAME, Deed.APPROVE, actor="sacha", why="", now=NOW + 3 * HOUR)
    assert drafted(fleet, name="spring", now=NOW + 3 * HOUR).state is CampaignState.DRAFT


def test_a_draft_that_was_aborted_left_no_trace_on_its_terminals(fleet: Conn) -> None:
    made = drafted(fleet)
    do(fleet, NAME, Deed.ABORT, actor="alix", why="not now", now=NOW)
    take_step(fleet, NOW)
    found = campaign(fleet, NAME)
    assert found.states == {State.WITHDRAWN: 20}
    assert possible_now(fleet, found) == [], "nothing was begun that could be rolled back"
    assert reasons(fleet, made.id) == []
    assert rollout_status_of(fleet, ["T00001"], NOW)["T00001"].kind is Kind.NO_CAMPAIGN
    begun(fleet, name="winter")
    do(fleet, "winter", Deed.ABORT, actor="alix", why="not now", now=NOW)
    assert possible_now(fleet, campaign(fleet, "winter")) == [Deed.ROLL_BACK]
    take_step(fleet, NOW)
    assert ("stopped", 20) in [(why, count) for _, why, count, _ in reasons(fleet, campaign(fleet, "winter").id)]


def test_a_draft_keeps_no_newcomer_from_the_campaign_that_runs(fleet: Conn) -> None:
    begun(fleet)
    late = add_shops(fleet, 1, first=60, carrier="beta")
    drafted(fleet, name="winter", where={"carrier": "beta"})
    take_step(fleet, NOW)
    joined = fleet.execute("SELECT terminal_id FROM firmware_rollout.assignment WHERE NOT drawn ORDER BY 1").fetchall()
    assert [row[0] for row in joined] == late


def test_releases_are_listed_by_version_not_by_text(fleet: Conn) -> None:
    add_release(fleet, version="4.10.0", models=["A", "B", "A"], notes=" new shell ", now=NOW)
    assert [(one.version, one.models, one.notes) for one in list_releases(fleet)] == [
        ("4.10.0", ["A", "B"], "new shell"),
        ("4.3.0", ["B"], ""),
        ("4.2.1", ["B"], ""),
    ]


@pytest.mark.parametrize(
    ("version", "models", "words"),
    [
        pytest.param("4.3", ["B"], "version: '4.3'", id="no version"),
        pytest.param("4.3.0", ["B"], "version: 4.3.0 was added before", id="a version twice"),
        pytest.param("4.4.0", [], "models: name at least one", id="no model"),
        pytest.param("4.4.0", ["B", "Z"], "models: no terminal is of model Z; known: A, B", id="an unknown model"),
    ],
)
def test_a_release_that_cannot_be_is_refused_by_field(fleet: Conn, version: str, models: list[str], words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        add_release(fleet, version=version, models=models, notes="", now=NOW)
    assert len(list_releases(fleet)) == 2


def test_a_person_and_the_planner_do_not_wait_for_each_other(database_url: str) -> None:
    """Both write the campaign first and the audit last, so that one of them waits for the other at most."""
    with psycopg.connect(database_url) as person, psycopg.connect(database_url, autocommit=True) as conn:
        with conn.transaction():
            furnish(conn)
            made = drafted(conn)
            do(conn, NAME, Deed.APPROVE, actor="sacha", why="", now=NOW)
            # The step will note that these joined, and that the first wave begins.
            add_shops(conn, 1, first=60)
        person.execute("UPDATE firmware_rollout.campaign SET state = 'aborted'")
        stepping = threading.Thread(target=take_step, args=(conn, NOW))
        stepping.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        deadline = time.monotonic() + 20
        with psycopg.connect(database_url, autocommit=True) as observer:
            while observer.execute(waits).fetchone() != (1,):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        note(person, actor="sacha", deed="abort", campaign_id=made.id, details={}, now=NOW)
        person.commit()
        stepping.join(20)
        assert not stepping.is_alive()
        assert campaign(conn, NAME).state is CampaignState.ABORTED, "what a person did meanwhile stands"
        assert [entry.deed for entry in entries_of(conn, made.id)] == ["joined", "abort", "approve", "created"]
