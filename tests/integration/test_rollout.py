"""Campaigns and their reconciliation on a real database."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from firmware_rollout.assignment import State, all_assignments
from firmware_rollout.campaigns import Campaign, CampaignError, Wave, campaign, create_campaign, list_campaigns, progress, reasons
from firmware_rollout.planning import plan
from firmware_rollout.reconcile import Metrics, run, save_transitions, step
from firmware_rollout.releases import ReleaseError, add_release, list_releases
from firmware_rollout.settings import RolloutSettings
from firmware_rollout.status import Kind, rollout_status_of
from fleet.scope import ScopeError
from fleet.settings import read
from tests.integration.small_fleet import Conn, add_shops, set_presence

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WAVES = (Wave(NOW + HOUR, 10), Wave(NOW + DAY, 50), Wave(NOW + 2 * DAY, 100))


@pytest.fixture
def fleet(conn: Conn) -> Conn:
    """Ten shops of two model B terminals and one of model A, with release 4.3.0 for B."""
    add_shops(conn, 10)
    add_shops(conn, 1, first=50, model="A")
    add_release(conn, version="4.3.0", models=["B"], notes="", now=NOW)
    return conn


def create(conn: Conn, **changed: Any) -> Campaign:
    given = {"name": "autumn", "release": "4.3.0", "where": {"model": "B"}, "waves": WAVES, "seed": 7, "now": NOW}
    return create_campaign(conn, **{**given, **changed})


def take_step(conn: Conn, now: datetime) -> int:
    return len(step(conn, now=now, metrics=Metrics(CollectorRegistry())))


def in_wave(conn: Conn, number: int) -> list[str]:
    return [one.terminal_id for one in all_assignments(conn) if one.wave == number]


def test_a_campaign_assigns_every_terminal_it_aims_at(fleet: Conn) -> None:
    made = create(fleet)
    assert made.states == {State.PLANNED: 20}
    assert [(wave.number, wave.planned_at, wave.states) for wave in progress(fleet, made.id)] == [
        (1, NOW + HOUR, {State.PLANNED: 2}),
        (2, NOW + DAY, {State.PLANNED: 8}),
        (3, NOW + 2 * DAY, {State.PLANNED: 10}),
    ]
    assert (made.seed, made.target, made.deadline) == (7, {"model": "B"}, DAY)
    assert list_campaigns(fleet) == [made]
    assert campaign(fleet, "autumn") == made


def test_a_terminal_lives_through_its_campaign(fleet: Conn) -> None:
    made = create(fleet)
    first, failing = in_wave(fleet, 1)
    ids = [first, failing, in_wave(fleet, 3)[0], "T00099"]

    def kinds(now: datetime) -> list[Kind]:
        return [status.kind for status in rollout_status_of(fleet, ids, now).values()]

    assert take_step(fleet, NOW) == 0
    assert kinds(NOW) == [Kind.PLANNED, Kind.PLANNED, Kind.PLANNED, Kind.NO_CAMPAIGN]
    assert take_step(fleet, NOW + HOUR) == 2
    assert take_step(fleet, NOW + HOUR) == 0, "an unchanged world changes nothing"
    assert kinds(NOW + HOUR) == [Kind.UPDATING, Kind.UPDATING, Kind.PLANNED, Kind.NO_CAMPAIGN]

    set_presence(fleet, [first], online=True, at=NOW + 2 * HOUR, firmware="4.3.0")
    assert kinds(NOW + 2 * HOUR)[0] is Kind.UP_TO_DATE, "at once, before the next step"
    assert take_step(fleet, NOW + 2 * HOUR) == 1

    assert take_step(fleet, NOW + HOUR + DAY) == 8 + 1, "the second wave begins, and one update has failed by its deadline"
    set_presence(fleet, [first], online=True, at=NOW + 3 * HOUR, firmware="4.2.1", session=2)
    take_step(fleet, NOW + HOUR + DAY)
    assert kinds(NOW + HOUR + DAY) == [Kind.ROLLED_BACK, Kind.FAILED, Kind.PLANNED, Kind.NO_CAMPAIGN]
    status = rollout_status_of(fleet, [failing], NOW + HOUR + DAY)[failing]
    assert (status.wave, status.planned_at, status.since, status.target) == (1, NOW + HOUR, NOW + HOUR + DAY, "4.3.0")
    assert {(state, why): count for state, why, count, _ in reasons(fleet, made.id)} == {
        (State.UPDATING, "wave_due"): 10,
        (State.DONE, "target_reported"): 1,
        (State.FAILED, "deadline_passed"): 1,
        (State.ROLLED_BACK, "older_reported"): 1,
    }


def test_the_later_of_birth_and_report_tells_the_version(fleet: Conn) -> None:
    create(fleet)
    set_presence(fleet, ["T00001"], online=True, at=NOW, firmware="4.2.1")
    fleet.execute("INSERT INTO fleet.reported VALUES ('T00001', %s, 1, '4.3.0', 'B', '{}')", (NOW + HOUR,))
    assert rollout_status_of(fleet, ["T00001"], NOW)["T00001"].kind is Kind.UP_TO_DATE


def test_a_step_planned_on_a_state_that_has_moved_is_not_stored(fleet: Conn) -> None:
    create(fleet)
    planned = plan(all_assignments(fleet), NOW + HOUR)
    assert save_transitions(fleet, planned, now=NOW + HOUR) == 2
    assert save_transitions(fleet, planned, now=NOW + 2 * HOUR) == 0


def test_a_newer_campaign_takes_over_what_an_older_one_has_finished(fleet: Conn) -> None:
    create(fleet, waves=[Wave(NOW, 100)])
    add_release(fleet, version="4.4.0", models=["B"], notes="", now=NOW)
    with pytest.raises(CampaignError, match="20 of these terminals are still planned or updating in campaign 'autumn'"):
        create(fleet, name="winter", release="4.4.0")
    set_presence(fleet, [f"T{number:05}" for number in range(1, 21)], online=True, at=NOW, firmware="4.3.0")
    take_step(fleet, NOW)
    create(fleet, name="winter", release="4.4.0")
    status = rollout_status_of(fleet, ["T00001"], NOW)["T00001"]
    assert (status.kind, status.campaign, status.target, status.reported) == (Kind.PLANNED, "winter", "4.4.0", "4.3.0")


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        pytest.param({"name": " "}, CampaignError, "name: ", id="no name"),
        pytest.param({"release": "9.9.9"}, CampaignError, "release: .*known: 4.3.0", id="an unknown release"),
        pytest.param(
            {"where": {}}, CampaignError, "where: release 4.3.0 fits models B, .* 2 of model A", id="a model it does not fit"
        ),
        pytest.param({"where": {"model": "Z"}}, ScopeError, "model: .*known: A, B", id="an unknown value"),
        pytest.param({"where": {"colour": "red"}}, ScopeError, "colour: ", id="an unknown dimension"),
        pytest.param({"waves": WAVES[:2]}, CampaignError, "wave: ", id="not everyone is reached"),
        pytest.param({"deadline": timedelta(0)}, CampaignError, "deadline: ", id="no time to update"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused_by_field(
    fleet: Conn, changed: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        create(fleet, **changed)
    assert list_campaigns(fleet) == []


def test_a_name_is_taken_once(fleet: Conn) -> None:
    create(fleet, where={"model": "B"}, waves=[Wave(NOW, 100)])
    set_presence(fleet, [f"T{number:05}" for number in range(1, 21)], online=True, at=NOW, firmware="4.3.0")
    take_step(fleet, NOW)
    with pytest.raises(CampaignError, match="name: there is a campaign 'autumn' already"):
        create(fleet)
    with pytest.raises(CampaignError, match="no campaign 'spring'; known: autumn"):
        campaign(fleet, "spring")


def test_releases_are_listed_by_version_not_by_text(fleet: Conn) -> None:
    add_release(fleet, version="4.10.0", models=["A", "B", "A"], notes=" new shell ", now=NOW)
    assert [(one.version, one.models, one.notes) for one in list_releases(fleet)] == [
        ("4.10.0", ["A", "B"], "new shell"),
        ("4.3.0", ["B"], ""),
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
    assert len(list_releases(fleet)) == 1


def test_two_rollout_programs_move_each_terminal_once(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        add_shops(conn, 10)
        with conn.transaction():
            add_release(conn, version="4.3.0", models=["B"], notes="", now=NOW)
            create(conn, where={}, waves=[Wave(NOW, 100)])
        stop = threading.Event()
        settings = read(RolloutSettings, database_url=database_url, rollout_step_s=0.2)
        programs = [threading.Thread(target=run, args=(settings,), kwargs={"stop": stop, "clock": lambda: NOW}) for _ in range(2)]
        for program in programs:
            program.start()
        deadline = time.monotonic() + 20
        while campaign(conn, "autumn").states != {State.UPDATING: 20}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        stop.set()
        for program in programs:
            program.join(20)
            assert not program.is_alive()
        assert reasons(conn, 1) == [(State.UPDATING, "wave_due", 20, NOW)]
