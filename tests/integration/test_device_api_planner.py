"""The planner and the device API together: what devices say over HTTP, and what a campaign makes of it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from firmware_rollout.audit import ROUTINE, entries_of
from firmware_rollout.deeds import Deed, do
from firmware_rollout.release_deeds import withdraw
from firmware_rollout.states import State
from firmware_rollout.trust.facts import file_facts
from tests.integration.rollout_house import HOUR, MINUTE, NAME, NOW, begun, born, furnish, in_wave, states, take_step
from tests.running_devices import Devices, running_devices

SAYS_SUCCESS = {"status": {"execution": "closed", "result": {"finished": "success"}, "details": ["Update Installed."]}}

SAYS_FAILURE = {"status": {"execution": "closed", "result": {"finished": "failure"}, "details": ["no room"]}}


@pytest.fixture
def devices(database_url: str, tmp_path: Path) -> Iterator[Devices]:
    """A campaign whose first wave, one shop of two terminals, is asked to update."""
    file = tmp_path / "fw-4.3.0.swu"
    file.write_bytes(b"firmware" * 1000)
    facts = file_facts(file)
    with running_devices(database_url, tmp_path / "store") as running, psycopg.connect(database_url) as conn:
        furnish(conn)
        running.store.put(file, facts)
        conn.execute(
            "UPDATE firmware_rollout.release SET filename = %s, length = %s, sha256 = %s, sha1 = %s WHERE version = '4.3.0'",
            [file.name, facts.length, facts.sha256, facts.sha1],
        )
        begun(conn)
        conn.commit()
        running.now[0] = NOW + MINUTE
        yield running


def update(devices: Devices, terminal: str, says: dict[str, Any] = SAYS_SUCCESS) -> None:
    """Poll, fetch, and say that it is done, or what else."""
    with devices.as_device(terminal) as device:
        href = device.get("").json()["_links"]["deploymentBase"]["href"]
        device.get(href).raise_for_status()
        device.post(f"{href.partition('?')[0]}/feedback", json=says).raise_for_status()


def offered(devices: Devices, terminal: str) -> bool:
    with devices.as_device(terminal) as device:
        return "deploymentBase" in device.get("").json().get("_links", {})


def test_a_device_that_says_success_and_runs_the_old_version_moves_nothing(devices: Devices) -> None:
    with psycopg.connect(devices.database_url) as conn:
        honest, liar = in_wave(conn, 1)
        for terminal in (honest, liar):
            update(devices, terminal)
        take_step(conn, NOW + 2 * MINUTE)
        assert states(conn)[State.UPDATING] == 2, "a device's word is no proof"
        born(conn, [honest], at=NOW + 3 * MINUTE, firmware="4.3.0", boot=2)
        born(conn, [liar], at=NOW + 3 * MINUTE, firmware="4.2.1", boot=2)
        take_step(conn, NOW + 4 * MINUTE)
        conn.commit()
        assert states(conn)[State.SOAKING] == 1
        ended = conn.execute("SELECT terminal_id, outcome FROM firmware_rollout.action ORDER BY terminal_id").fetchall()
        assert ended == sorted([(honest, "success"), (liar, "untrue")])
        assert not offered(devices, liar), "not before its pause is over"
        born(conn, [liar], at=NOW + 2 * HOUR, firmware="4.2.1", boot=2)
        take_step(conn, NOW + 2 * HOUR)
        conn.commit()
        assert offered(devices, liar)


@pytest.mark.parametrize("harm", ["updates_fail", "release_withdrawn"])
def test_a_halt_for_harm_stops_who_has_only_fetched_what_it_is_to_do(devices: Devices, harm: str) -> None:
    with psycopg.connect(devices.database_url) as conn, devices.as_device(in_wave(conn, 1)[0]) as device:
        href = device.get("").json()["_links"]["deploymentBase"]["href"]
        device.get(href).raise_for_status()
        if harm == "release_withdrawn":
            withdraw(conn, "4.3.0", why="printers jam", actor="sacha", now=NOW + 2 * MINUTE)
        else:
            conn.execute("UPDATE firmware_rollout.campaign SET policy = policy || '{\"halt_failed_least\": 1}'")
            conn.commit()
            update(devices, in_wave(conn, 1)[1], SAYS_FAILURE)
        for minutes in (3, 4, 5):
            take_step(conn, NOW + minutes * MINUTE)
        conn.commit()
        assert [entry.deed for entry in entries_of(conn, without=ROUTINE, limit=1)] == [harm]
        assert "cancelAction" in device.get("").json()["_links"]


def test_a_halt_keeps_the_next_poll_empty_and_an_abort_stops_who_has_fetched(devices: Devices) -> None:
    with psycopg.connect(devices.database_url) as conn:
        fetched, waiting = in_wave(conn, 1)
        with devices.as_device(fetched) as device:
            href = device.get("").json()["_links"]["deploymentBase"]["href"]
            device.get(href).raise_for_status()
            assert offered(devices, waiting)
            do(conn, NAME, Deed.HALT, actor="sacha", why="shops ring", now=NOW + 2 * MINUTE)
            conn.commit()
            # Before the planner's next step.
            assert not offered(devices, waiting)
            assert offered(devices, fetched)
            take_step(conn, NOW + 3 * MINUTE)
            do(conn, NAME, Deed.ABORT, actor="sacha", why="it is bad", now=NOW + 4 * MINUTE)
            take_step(conn, NOW + 5 * MINUTE)
            conn.commit()
            cancel = device.get("").json()["_links"]["cancelAction"]["href"]
            devices.now[0] = NOW + timedelta(minutes=6)
            device.post(f"{cancel}/feedback", json=SAYS_SUCCESS).raise_for_status()
        take_step(conn, NOW + 7 * MINUTE)
        conn.commit()
        assert states(conn)[State.WITHDRAWN] == 20
        outcomes = conn.execute("SELECT DISTINCT outcome FROM firmware_rollout.action").fetchall()
        assert outcomes == [("cancelled",)]
