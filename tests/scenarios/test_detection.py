"""Incidents over whole stretches of a simulated fleet's day: found in time, with their scope, and nothing said of what is no fault.

Small fleets and one day of history, so that they run with every change; `vigie evaluate` plays the whole fleet.
"""

from datetime import datetime
from typing import Any

from diagnostics.tracking.tracked import ChangeKind
from simulators.scenario import FaultSpec, Scenario
from vigie.evaluate.matching import Outcome, match
from vigie.evaluate.player import Player
from vigie.evaluate.record import Life, Record

TERMINALS = 3_000


def played(start: str, minutes: float, *faults: dict[str, Any], seed: int = 21) -> tuple[Record, Outcome]:
    """What was said of a day that begins at `start`."""
    specs = tuple(FaultSpec.model_validate(fault) for fault in faults)
    begins = datetime.fromisoformat(start)
    player = Player(
        Scenario(name="detection", seed=seed, terminals=TERMINALS, start=begins, minutes=minutes, warmup_days=1, fault=specs)
    )
    player.warm_up()
    player.settle()
    record = Record(player)
    for tick in player.play():
        record.note(tick)
    return record, match(record, player.population.truth(), player.fleet)


def history(life: Life) -> list[ChangeKind]:
    return [moment.kind for moment in life.moments]


def test_a_carrier_lost_in_a_region_is_one_incident_within_two_minutes_and_over_soon_after_its_end() -> None:
    outage = {
        "kind": "network_outage",
        "at_min": 10,
        "minutes": 20,
        "scope": {"carrier": "beta", "region": "84"},
        "expect": "incident",
    }
    record, outcome = played("2026-11-24T15:00:00+01:00", 50, outage)
    [found] = outcome.faults
    assert found.detected
    assert found.latency_s is not None
    assert found.latency_s <= 120
    assert found.incident_scope == {"carrier": "beta", "region": "84"}
    assert list(outcome.false_incidents) == []
    [life] = [one for one in record.lives.values() if one.told_s is not None]
    assert history(life)[0] is ChangeKind.OPENED
    assert life.closed_s is not None, "closed before the scenario's end, twenty minutes after the link was back"


def test_worn_printers_of_one_model_and_firmware_are_named_within_ten_minutes() -> None:
    worn = {
        "kind": "printer_degraded",
        "at_min": 5,
        "minutes": 40,
        "scope": {"firmware": "4.3.0", "model": "B"},
        "fraction": 0.6,
        "strength": 2.0,
        "expect": "incident",
    }
    _, outcome = played("2026-11-24T10:30:00+01:00", 50, worn)
    [found] = outcome.faults
    assert found.detected
    assert found.latency_s is not None
    assert found.latency_s <= 600
    assert found.incident_scope == {"firmware": "4.3.0", "model": "B"}
    assert list(outcome.false_incidents) == []


def test_a_rush_announced_restarts_and_shops_closing_early_are_told_to_nobody() -> None:
    harmless: list[dict[str, Any]] = [
        {"kind": "race_rush", "at_min": 5, "minutes": 40, "scope": {}, "strength": 2.0, "expect": "nothing"},
        {"kind": "maintenance_reboot", "at_min": 5, "minutes": 30, "scope": {"model": "C"}, "expect": "nothing"},
        {"kind": "early_close", "at_min": 5, "minutes": 45, "scope": {"region": "84"}, "expect": "nothing"},
    ]
    record, outcome = played("2026-11-24T17:30:00+01:00", 50, *harmless)
    assert [one.trouble for one in record.lives.values() if one.told_s is not None] == []
    assert len(outcome.false_symptoms) <= 1, "of 3,000 terminals, one in most of an hour"
