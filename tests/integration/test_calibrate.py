"""Thresholds are found on a house's own stored history, and kept where the watch takes them from."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest

from benchmarks.stored_feed import StoredFeed, register
from diagnostics.calibration_store import load_calibration, save_calibration
from diagnostics.detector.calibration import Calibration, default_calibration
from simulators.scenario import Scenario
from tests.integration.small_fleet import Conn
from vigie.evaluate.calibrating import CalibratingError, calibrate, stored, wanting

START = datetime.fromisoformat("2026-11-23T10:00:00+01:00")
LIVED_MIN = 6


@pytest.fixture
def house(database_url: str) -> Iterator[Conn]:
    """A quiet fleet has spoken for six minutes."""
    quiet = Scenario(name="quiet", seed=5, terminals=200, start=START, minutes=60, warmup_days=0)
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn:
        feed = StoredFeed(quiet, starts_s=quiet.start_s)
        register(conn, feed.population.world)
        feed.store(conn, until_s=quiet.start_s + LIVED_MIN * 60)
        yield conn


def test_stored_history_passes_once_more_tick_by_tick_and_sets_the_thresholds(house: Conn) -> None:
    now = START + timedelta(minutes=LIVED_MIN)
    replay = stored(house, days=4 / 1440, now=now)
    ticks = [at_ms for _, _, at_ms in replay.live(Calibration(), lambda _: None)]
    assert ticks == [round((now - timedelta(minutes=4) + timedelta(seconds=10 * n)).timestamp() * 1000) for n in range(1, 25)]

    found = calibrate([replay], wanting(Calibration(), false_incidents_per_day=0.2, false_symptoms_per_day=4))
    assert found.sign_rate != Calibration().sign_rate
    assert load_calibration(house) == default_calibration()
    save_calibration(house, found, source=replay.name, now=now)
    assert load_calibration(house) == found


def test_a_house_that_heard_nothing_has_no_history_to_replay(house: Conn) -> None:
    with pytest.raises(CalibratingError, match="nothing was received"):
        stored(house, days=1, now=START + timedelta(days=9))
