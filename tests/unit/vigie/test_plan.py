"""What `vigie up` would run, and on which clock."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from vigie.up.plan import PROGRAMS, Ports, clock_offset_s, firmware_places, mqtt_setting, programs

PORTS = Ports()
URLS = {
    "ingest": "mqtt://vigie-ingest:a@h:1",
    "watch": "mqtt://vigie-watch:d@h:1",
    "rollout": "mqtt://vigie-rollout:b@h:1",
    "web": "mqtt://vigie-web:c@h:1",
}


def test_a_telephone_exchange_brings_a_program_of_its_own() -> None:
    planned = programs(
        database_url="postgresql://d", mqtt_urls=URLS, ports=PORTS, listen="127.0.0.1", clock_offset_s=0, exchange=True
    )
    assert [program.name for program in planned] == [*PROGRAMS, "telephony"]
    assert planned[-1].ready == (PORTS.metrics["telephony"], "127.0.0.1")


def _planned(clock_offset_s: int = 0) -> dict[str, dict[str, str]]:
    planned = programs(
        database_url="postgresql://d", mqtt_urls=URLS, ports=PORTS, listen="127.0.0.1", clock_offset_s=clock_offset_s
    )
    return {program.name: dict(program.environment) for program in planned}


def test_programs_start_in_order_of_who_feeds_whom() -> None:
    assert tuple(_planned()) == PROGRAMS == ("ingest", "watch", "rollout", "web")


def test_each_program_gets_its_own_broker_account() -> None:
    planned = _planned()
    accounts = {name: environment.get(mqtt_setting(name)) for name, environment in planned.items()}
    assert accounts == URLS
    assert "VIGIE_MQTT_URL" not in planned["watch"]


def test_every_program_has_the_same_clock_and_database() -> None:
    for environment in _planned(clock_offset_s=-3600).values():
        assert environment["VIGIE_CLOCK_OFFSET_S"] == "-3600"
        assert environment["VIGIE_DATABASE_URL"] == "postgresql://d"


def test_releases_are_kept_and_signed_for_in_the_houses_folders_unless_settings_name_others() -> None:
    assert firmware_places(Path("/h"), {}) == {"VIGIE_RELEASE_STORE": "/h/firmware", "VIGIE_RELEASE_KEYS": "/h/release-keys"}
    named = firmware_places(Path("/h"), {"VIGIE_RELEASE_STORE": "s3://bucket"})
    assert named == {"VIGIE_RELEASE_STORE": "s3://bucket", "VIGIE_RELEASE_KEYS": "/h/release-keys"}
    planned = programs(
        database_url="postgresql://d", mqtt_urls=URLS, ports=PORTS, listen="127.0.0.1", clock_offset_s=0, firmware=named
    )
    assert {program.environment["VIGIE_RELEASE_KEYS"] for program in planned} == {"/h/release-keys"}


def test_no_two_programs_answer_on_the_same_port() -> None:
    used = [PORTS.database, PORTS.terminals, PORTS.services, PORTS.web, *PORTS.metrics.values()]
    assert len(set(used)) == len(used)


@pytest.mark.parametrize(
    ("clock", "now", "seconds"),
    [
        pytest.param("14:00", datetime(2026, 11, 23, 13, 0, tzinfo=UTC), 0, id="winter: 13:00 UTC is 14:00 in Paris"),
        pytest.param("14:00", datetime(2026, 7, 14, 12, 0, tzinfo=UTC), 0, id="summer: 12:00 UTC is 14:00 in Paris"),
        pytest.param("14:00", datetime(2026, 11, 23, 2, 0, tzinfo=UTC), 11 * 3600, id="at night the clock goes forward"),
        pytest.param("14:00", datetime(2026, 11, 23, 22, 0, tzinfo=UTC), -9 * 3600, id="late in the evening it goes back"),
        pytest.param("14:00", datetime(2026, 11, 23, 23, 30, tzinfo=UTC), 48_600, id="after midnight in Paris it is tomorrow"),
        pytest.param("14:00", datetime(2026, 10, 25, 0, 0, tzinfo=UTC), 13 * 3600, id="on the day the clocks change"),
        pytest.param("Th 14:00", datetime(2026, 11, 23, 13, 0, tzinfo=UTC), 3 * 86_400, id="from Monday to the next Thursday"),
        pytest.param("Th 14:00", datetime(2026, 11, 26, 12, 0, tzinfo=UTC), 3600, id="on Thursday, an hour before"),
        pytest.param("Th 14:00", datetime(2026, 11, 26, 14, 0, tzinfo=UTC), 7 * 86_400 - 3600, id="an hour after: never back"),
        pytest.param("Th 14:00", datetime(2026, 10, 24, 12, 0, tzinfo=UTC), 5 * 86_400 + 3600, id="over a change of the clocks"),
    ],
)
def test_clock_offset_makes_it_that_time_in_paris(clock: str, now: datetime, seconds: int) -> None:
    assert clock_offset_s(clock, now) == seconds


@pytest.mark.parametrize("clock", ["25:00", "noon", "14h00", "Do 14:00", "Th"])
def test_what_is_no_time_of_day_is_refused(clock: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        clock_offset_s(clock, datetime(2026, 11, 23, 13, 0, tzinfo=UTC))
