"""The device API over HTTP, with the rows that its answers come from and leave."""

import json
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from firmware_rollout import serving
from firmware_rollout.artifacts import FolderStore
from firmware_rollout.ddi import app as ddi_app
from firmware_rollout.ddi import store
from firmware_rollout.ddi.protocol import SKIPPED
from tests.running_devices import NIGHT, TERMINAL, Devices, hashes_of, running_devices, with_shops
from vigie.engines.process import wait_until

CONTENT = bytes(range(256)) * 3000
NOON = NIGHT + timedelta(hours=12)


@pytest.fixture
def devices(module_database_url: str, tmp_path: Path) -> Iterator[Devices]:
    with_shops(module_database_url)
    file = tmp_path / "fw-4.3.0.swu"
    file.write_bytes(CONTENT)
    with running_devices(module_database_url, tmp_path / "store") as running:
        running.add_release(file)
        yield running


def says(execution: str, finished: str = "none", *details: str, **more: Any) -> dict[str, Any]:
    result = {"finished": finished, **more}
    return {"id": "1", "time": "20261123T030000", "status": {"execution": execution, "result": result, "details": details}}


def links(answer: httpx.Response) -> dict[str, str]:
    return {name: link["href"] for name, link in answer.raise_for_status().json().get("_links", {}).items()}


def test_a_device_updates_from_poll_to_told(devices: Devices) -> None:
    action = devices.open_action()
    with devices.as_device() as device:
        polled = device.get("")
        assert polled.headers["content-type"].startswith("application/hal+json")
        assert polled.json()["config"]["polling"]["sleep"] == "00:05:00"
        assert set(links(polled)) == {"deploymentBase", "configData"}
        assert devices.action(action)["retrieved_at"] is None, "a poll alone fetches nothing"

        document = device.get(links(polled)["deploymentBase"]).raise_for_status().json()
        assert (document["id"], document["deployment"]["update"]) == (str(action), "forced")
        assert devices.action(action)["retrieved_at"] == NIGHT
        [artifact] = document["deployment"]["chunks"][0]["artifacts"]
        assert (artifact["hashes"], artifact["size"]) == (hashes_of(CONTENT), len(CONTENT))

        href = artifact["_links"]["download-http"]["href"]
        first = device.get(href, headers={"range": "bytes=0-299999"})
        rest = device.get(href, headers={"range": "bytes=300000-", "if-match": first.headers["etag"]})
        assert (first.status_code, rest.status_code, first.content + rest.content) == (206, 206, CONTENT)
        assert (polled.headers["cache-control"], first.headers["cache-control"].split(",")[0]) == ("no-store", "private")
        assert device.get(artifact["_links"]["md5sum-http"]["href"]).text == f"{hashes_of(CONTENT)['md5']}  fw-4.3.0.swu"
        assert device.get(href.replace("fw-", "x-")).status_code == 404
        [listed] = device.get(href.rpartition("/")[0]).raise_for_status().json()
        assert listed == artifact

        feedback = f"deploymentBase/{action}/feedback"
        working = says("proceeding", "none", "Installing", progress={"cnt": 2, "of": 4})
        for _ in range(3):
            assert device.post(feedback, json=working).status_code == 200
        assert {k: devices.action(action)[k] for k in ("state", "stage", "progress", "detail", "heard_at")} == {
            "state": "open",
            "stage": "proceeding",
            "progress": 50,
            "detail": "Installing",
            "heard_at": NIGHT,
        }
        devices.now[0] += timedelta(minutes=9)
        assert device.post(feedback, json=says("closed", "success", "Update Installed.")).status_code == 200
        told = devices.action(action)
        assert (told["state"], told["outcome"], told["told_at"]) == ("told", None, NIGHT + timedelta(minutes=9))
        assert device.post(feedback, json=says("closed", "failure")).status_code == 410
        assert devices.action(action)["state"] == "told", "what it says later changes nothing, and is kept"
        assert set(links(device.get(""))) == {"configData"}
        assert device.get(f"deploymentBase/{action}").status_code == 404
        assert device.get(href).status_code == 410
    assert [(row[0], row[1]) for row in devices.words(action)] == [
        ("proceeding", "none"),
        ("closed", "success"),
        ("closed", "failure"),
    ]


def test_a_failure_closes_the_action_with_the_devices_words(devices: Devices) -> None:
    action = devices.open_action()
    with devices.as_device() as device:
        body = says("closed", "failure", "ERROR: no space", "ERROR: failed")
        assert device.post(f"deploymentBase/{action}/feedback", json=body).status_code == 200
        assert links(device.get("")).keys() == {"configData"}
        assert device.post(f"deploymentBase/{action}/feedback", json=body).status_code == 410
    closed = devices.action(action)
    assert (closed["state"], closed["outcome"], closed["closed_at"]) == ("closed", "failure", NIGHT)
    assert closed["detail"] == "ERROR: no space · ERROR: failed"


def test_a_cancelled_device_stops_and_says_so(devices: Devices) -> None:
    action = devices.open_action()
    with devices.as_device() as device:
        href = links(device.get(""))["deploymentBase"]
        assert device.get(f"cancelAction/{action}").status_code == 404
        assert device.post(f"cancelAction/{action}/feedback", json=says("closed", "success")).status_code == 404
        devices.cancel(action)
        polled = links(device.get(""))
        assert polled.keys() == {"cancelAction", "configData"}
        assert device.get(href).status_code == 404
        assert device.post(f"deploymentBase/{action}/feedback", json=says("closed", "success")).status_code == 404
        asked = device.get(polled["cancelAction"]).json()
        assert asked == {"id": str(action), "cancelAction": {"stopId": str(action)}}
        answer = f"cancelAction/{action}/feedback"
        assert device.post(answer, json=says("rejected", "success", "Cancelling not supported")).status_code == 200
        assert devices.action(action)["state"] == "cancelling", "refused, it is asked again"
        assert device.post(answer, json=says("closed", "success")).status_code == 200
        assert links(device.get("")).keys() == {"configData"}
        assert device.post(answer, json=says("closed", "success")).status_code == 410
    assert (devices.action(action)["state"], devices.action(action)["outcome"]) == ("closed", "cancelled")


def test_after_a_halt_the_next_poll_offers_nothing_new(devices: Devices) -> None:
    fetched, waiting = devices.open_action(), devices.open_action("T00002")
    with devices.as_device() as first, devices.as_device("T00002") as second:
        first.get(f"deploymentBase/{fetched}").raise_for_status()
        assert "deploymentBase" in links(second.get(""))
        devices.set_campaigns("halted")
        assert "deploymentBase" not in links(second.get(""))
        assert second.get(f"deploymentBase/{waiting}").status_code == 404
        assert second.get(f"softwaremodules/{waiting}/artifacts/fw-4.3.0.swu").status_code == 410
        assert "deploymentBase" in links(first.get("")), "who has fetched it ends it"
        devices.set_campaigns("rolling_back")
        for device in (first, second):
            assert "deploymentBase" not in links(device.get("")), "what is undone is brought to nobody"
        devices.sql("UPDATE firmware_rollout.action SET kind = 'roll_back'")
        assert "deploymentBase" in links(second.get(""))
        devices.sql("UPDATE firmware_rollout.release SET withdrawn_at = %s, withdrawn_why = 'x'", NIGHT)
        for device, action in ((first, fetched), (second, waiting)):
            assert "deploymentBase" not in links(device.get(""))
            assert device.get(f"deploymentBase/{action}").status_code == 404


def test_out_of_its_window_a_device_is_told_to_skip_and_its_skipping_is_no_success(devices: Devices) -> None:
    action = devices.open_action()
    with devices.as_device() as device:
        devices.now[0] = NOON
        assert "deploymentBase" not in links(device.get("")), "nothing new"
        early = device.get(f"deploymentBase/{action}").json()["deployment"]
        assert (early["update"], early["maintenanceWindow"]) == ("skip", "unavailable")
        assert devices.action(action)["retrieved_at"] is None
        devices.now[0] = NIGHT
        assert device.get(f"deploymentBase/{action}").json()["deployment"]["maintenanceWindow"] == "available"
        devices.now[0] = NOON
        href = links(device.get(""))["deploymentBase"]
        assert device.get(href).json()["deployment"]["update"] == "skip"
        skipped = says("closed", "success", SKIPPED)
        for _ in range(2):
            assert device.post(f"deploymentBase/{action}/feedback", json=skipped).status_code == 200
        assert devices.action(action)["state"] == "open"
        assert len(devices.words(action)) == 1


def test_only_the_device_itself_comes_in(devices: Devices) -> None:
    action = devices.open_action()
    with devices.as_device("T00002") as other, devices.as_device() as device, devices.as_device("T09999") as stranger:
        for path in (
            "",
            f"/deploymentBase/{action}",
            f"/softwaremodules/{action}/artifacts/x",
            "/firmware/metadata/timestamp.json",
        ):
            address = f"{device.base_url}{path.lstrip('/')}".rstrip("/")
            assert httpx.get(address).status_code == 401
            assert other.get(address).status_code == 401
        assert httpx.put(f"{device.base_url}configData", json={"data": {}}).status_code == 401
        assert httpx.post(f"{device.base_url}deploymentBase/{action}/feedback").headers["www-authenticate"] == "TargetToken"
        # Its own door is open to it, another's action is not behind it.
        assert other.get(f"deploymentBase/{action}").status_code == 404
        assert other.post(f"deploymentBase/{action}/feedback", json=says("closed", "success")).status_code == 404
        assert other.get(f"softwaremodules/{action}/artifacts/fw-4.3.0.swu").status_code == 404
        # A good token of a terminal that the registry does not have.
        assert stranger.get("").status_code == 404
        assert stranger.put("configData", json={"data": {"a": "b"}}).status_code == 404
        assert device.get(f"deploymentBase/{2**31}").status_code == 404
        assert device.get(f"deploymentBase/{2**70}").status_code == 404
        assert device.get("firmware/metadata/timestamp.json").status_code == 404, "nothing is signed here"
        assert httpx.get(f"{devices.url}/other/controller/v1/{TERMINAL}").status_code == 404
    assert devices.words(action) == []


def test_what_a_device_says_of_itself_is_kept_and_asked_for_once(devices: Devices) -> None:
    with devices.as_device() as device:
        href = links(device.get(""))["configData"]
        assert device.put(href, json={"mode": "merge", "data": {"hw": "1", "slot": "A"}}).status_code == 200
        assert links(device.get("")) == {}
        assert device.put(href, json={"data": {"slot": "B"}}).status_code == 200
        assert device.put(href, json={"mode": "remove", "data": {"hw": ""}}).status_code == 200
        assert devices.sql("SELECT attributes FROM firmware_rollout.device") == [({"slot": "B"},)]
        assert device.put(href, json={"mode": "replace", "data": {"x": "\0é"}}).status_code == 200
        assert devices.sql("SELECT attributes FROM firmware_rollout.device") == [({"x": "é"},)]
    with devices.as_device("T00002") as silent:
        for _ in range(2):
            assert "configData" in links(silent.get("")), "a visit says nothing of it"
        assert silent.put("configData", json={"data": {}}).status_code == 200
        assert "configData" not in links(silent.get("")), "it said that there is nothing to say"


def test_what_nobody_can_read_is_refused_and_changes_nothing(devices: Devices) -> None:
    action = devices.open_action()
    with devices.as_device() as device:
        feedback = f"deploymentBase/{action}/feedback"
        wrong = device.post(feedback, content=b'{"status": {"execution": "done"}}')
        assert (wrong.status_code, "status.execution" in wrong.json()["message"]) == (400, True)
        assert device.post(feedback, content=b"x" * 300_000).status_code == 413
        assert device.put("configData", content=b"{}").status_code == 400
        assert device.post("", content=b"").status_code == 405
        odd = json.dumps(says("proceeding", "none", "nul\0l", "\ud83d"))
        assert device.post(feedback, content=odd).status_code == 200
    assert devices.action(action)["state"] == "open"
    assert [row[2] for row in devices.words(action)] == [["null", "?"]]


def test_a_device_that_goes_on_and_on_fills_no_disk(devices: Devices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_WORDS", 3)
    action = devices.open_action()
    with devices.as_device() as device:
        for number in range(5):
            body = says("proceeding", "none", f"step {number}")
            assert device.post(f"deploymentBase/{action}/feedback", json=body).status_code == 200
    assert (len(devices.words(action)), devices.action(action)["detail"]) == (3, "step 4")


def test_visits_are_written_together(module_database_url: str, tmp_path: Path) -> None:
    with running_devices(with_shops(module_database_url), tmp_path / "store") as devices:
        for terminal in ("T00001", "T00002", "T00001"):
            with devices.as_device(terminal) as device:
                device.get("").raise_for_status()
            devices.now[0] += timedelta(minutes=1)
    seen = devices.sql("SELECT terminal_id, polled_at, attributes FROM firmware_rollout.device ORDER BY 1")
    assert seen == [("T00001", NIGHT + timedelta(minutes=2), None), ("T00002", NIGHT + timedelta(minutes=1), None)]


def test_the_planner_and_a_device_at_once_leave_one_of_their_ends(devices: Devices) -> None:
    """The planner closes what a device reports in the same moment: whoever comes second changes nothing."""
    action = devices.open_action()
    with psycopg.connect(devices.database_url) as planner, devices.as_device() as device:
        planner.execute(
            "UPDATE firmware_rollout.action SET state = 'closed', outcome = 'silent', closed_at = %s WHERE state = 'open'", [NOON]
        )
        status: list[int] = []
        body = says("closed", "success")
        thread = threading.Thread(
            target=lambda: status.append(device.post(f"deploymentBase/{action}/feedback", json=body).status_code)
        )
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it waits for the planner's row"
        planner.commit()
        thread.join(10)
    assert (status, devices.action(action)["outcome"]) == ([410], "silent")


def test_an_altered_file_is_offered_to_nobody_and_cut_connections_heal(devices: Devices) -> None:
    action = devices.open_action()
    with devices.as_device() as device:
        [file] = (file for file in devices.store_folder.rglob("*") if file.is_file())
        file.write_bytes(CONTENT[:-1] + b"x")
        altered = device.get(f"deploymentBase/{action}")
        assert (altered.status_code, altered.headers["retry-after"]) == (503, "30")
        file.write_bytes(CONTENT)
        assert device.get(f"deploymentBase/{action}").status_code == 200
        # As a restart of the database does.
        devices.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert device.get("").status_code == 200


class StallingStore(FolderStore):
    """A store that gives nothing before it may; it keeps how many readers waited at once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.may = threading.Event()
        self.waiting = self.most = 0

    def read(self, sha256: str, *, start: int, length: int) -> Generator[bytes, None, None]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        assert self.may.wait(30)
        self.waiting -= 1
        yield from super().read(sha256, start=start, length=length)


def test_a_store_that_stalls_delays_no_poll_and_takes_a_few_threads(
    module_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "READERS", 2)
    stalling = StallingStore(tmp_path / "store")
    file = tmp_path / "fw-4.3.0.swu"
    file.write_bytes(CONTENT)
    with_shops(module_database_url)
    with (
        running_devices(module_database_url, tmp_path / "store", store=stalling) as devices,
        devices.as_device() as device,
        ThreadPoolExecutor(4) as downloads,
    ):
        devices.add_release(file)
        address = f"softwaremodules/{devices.open_action()}/artifacts/{file.name}"
        try:
            coming = [downloads.submit(device.get, address, timeout=30) for _ in range(4)]
            assert wait_until(lambda: stalling.waiting == 2, timeout_s=10)
            for _ in range(5):
                assert "deploymentBase" in links(device.get("", timeout=2))
        finally:
            stalling.may.set()
        assert all(answer.result().content == CONTENT for answer in coming)
    assert stalling.most == 2, "and no thread of the program's others"


def test_out_of_its_window_no_file_is_begun_nor_resumed_and_a_running_download_goes_on(devices: Devices) -> None:
    action = devices.open_action()
    address = f"softwaremodules/{action}/artifacts/fw-4.3.0.swu"
    with devices.as_device() as device:
        device.get(f"deploymentBase/{action}").raise_for_status()
        with device.stream("GET", address) as running:
            devices.now[0] = NOON
            for headers in ({}, {"range": "bytes=300000-"}):
                refused = device.get(address, headers=headers)
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "300")
            assert running.read() == CONTENT
        devices.now[0] = NIGHT + timedelta(days=1)
        assert device.get(address, headers={"range": "bytes=300000-"}).content == CONTENT[300_000:]


def test_a_database_out_of_reach_is_told_as_a_pause(devices: Devices, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise psycopg.OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr(ddi_app, "standing_of", away)
    with devices.as_device() as device:
        answer = device.get("")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
