"""What the gate's readings amount to over time, from what it stored."""

from datetime import UTC, datetime

import pytest

from firmware_rollout.campaigns import campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.gate.policy import Metric
from firmware_rollout.gate_story import Marked, story_of
from tests import rollout_world
from tests.integration.rollout_house import DAY, HOUR, heard, take_step, watched
from tests.integration.small_fleet import Conn

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def world(conn: Conn) -> Conn:
    """Eighty shops and a campaign that the gate halted on its fourth day."""
    watched(conn, NOW)
    heard(conn, NOW)
    rollout_world.furnish(conn, now=NOW)
    rollout_world.halted(conn, now=NOW)
    return conn


def test_each_reading_shows_the_shops_of_both_arms_that_had_a_mark(world: Conn) -> None:
    story = story_of(world, campaign(world, "hiver").id)
    assert story is not None
    assert [one.reading.verdict for one in story.judged] == ["wait", "wait", "wait", "halt"]
    points = story.points[Metric.CALLS]
    assert [point.updated for point in points] == [Marked(count, 40) for count in (3, 4, 9, 14)]
    assert [point.waiting for point in points] == [Marked(1, 40)] * 4
    assert [point.at for point in points] == [NOW - (6 - day) * DAY for day in (1, 2, 3, 4)]
    assert [point.log_e for point in points] == sorted(point.log_e for point in points)
    assert points[-1].log_e == story.newest.metrics[0].log_e >= story.newest.policy.log_threshold


def test_a_run_that_a_person_let_begin_anew_is_another_one_and_the_newest_periods_are_kept(world: Conn) -> None:
    found = campaign(world, "hiver")
    start = NOW - DAY - HOUR
    do(world, "hiver", Deed.RESUME, actor="sacha", why="a leaflet told them to ring", now=start)
    for at in (start, start + DAY + HOUR):
        take_step(world, at)
    story = story_of(world, found.id, most=2)
    assert story is not None
    points = story.points[Metric.CALLS]
    assert len(points) == 2
    assert points[0].run_id != points[1].run_id
    assert points[1].log_e < points[0].log_e


def test_a_campaign_that_was_never_judged_has_no_story(conn: Conn) -> None:
    watched(conn, NOW)
    rollout_world.furnish(conn, now=NOW)
    assert story_of(conn, rollout_world.drafted(conn, now=NOW).id) is None
