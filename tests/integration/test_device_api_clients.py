"""Unmodified update clients against the device API: Debian 12's swupdate 2022.12, and PyPI's rauc-hawkbit 0.2.0."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from firmware_rollout.artifacts import FolderStore
from fleet.errors import VigieError
from fleet.settings import read
from tests.leaving_out import NOTHING, leave_out
from tests.running_devices import NIGHT, TERMINAL, Devices, running_devices, with_shops
from tests.running_s3 import installed
from tests.running_update_clients import RAUC_LOCK, Client, Signer, rauc_hawkbit, swupdate
from vigie.engines.apt import AptError
from vigie.engines.layout import EngineSettings, make_folder
from vigie.engines.process import wait_until
from vigie.engines.update_client import fetch_update_client

CONTENT = bytes(range(256)) * 16_384
WITHIN_S = 60
ANY_TIME = '{"window": null}'


class CuttingStore(FolderStore):
    """A store whose first downloads break off after some bytes, as a radio link does; it keeps where each began.

    A file's first reader is the server itself, for its MD5: that one is never cut. A slow link waits `piece_s` before each piece.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.cuts: list[int] = []
        self.piece_s = 0.0
        self.begun_at: list[int] = []

    def read(self, sha256: str, *, start: int, length: int) -> Generator[bytes, None, None]:
        self.begun_at.append(start)
        cut = self.cuts.pop(0) if self.cuts and len(self.begun_at) > 1 else length
        for piece in super().read(sha256, start=start, length=min(cut, length)):
            time.sleep(self.piece_s)
            yield piece
        if cut < length:
            raise VigieError("the link is cut")


@pytest.fixture(scope="module")
def swupdate_program() -> Path:
    try:
        return fetch_update_client(read(EngineSettings), lambda line: print(line, file=sys.stderr))
    except AptError as error:
        leave_out(f"NO REAL SWUPDATE IS TRIED: Debian 12's cannot be had here ({error})")


@pytest.fixture(scope="module")
def rauc_packages() -> Path:
    try:
        return installed(make_folder(read(EngineSettings).cache()), RAUC_LOCK)
    except subprocess.CalledProcessError as error:
        leave_out(f"NO REAL RAUC-HAWKBIT IS TRIED: it cannot be installed here ({error})")


@dataclass
class House:
    devices: Devices
    store: CuttingStore
    home: Path
    maker: Signer

    @property
    def slot(self) -> Path:
        return self.home / "slot"

    def bring(self, *, signed_by: Signer | None = None, policy: str = ANY_TIME) -> int:
        """A release for swupdate and the action that asks the terminal to install it."""
        image = (signed_by or self.maker).image(self.home / "fw-4.3.0.swu", CONTENT, installs_to=self.slot)
        self.devices.add_release(image)
        return self.devices.open_action(policy=policy)

    def until(self, client: Client, condition: Callable[[], bool]) -> None:
        assert wait_until(condition, timeout_s=WITHIN_S), client.said()

    def is_now(self, action: int, state: str) -> Callable[[], bool]:
        return lambda: self.devices.action(action)["state"] == state

    def heard(self, action: int, words: str) -> Callable[[], bool]:
        return lambda: any(words in detail for _, _, details in self.devices.words(action) for detail in details)


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("maker"), "maker")


@pytest.fixture
def house(module_database_url: str, maker: Signer, tmp_path: Path) -> Iterator[House]:
    with_shops(module_database_url)
    store = CuttingStore(tmp_path / "store")
    with running_devices(module_database_url, tmp_path / "store", store=store, poll_s=1) as devices:
        yield House(devices, store, tmp_path, maker)


@pytest.fixture
def device(house: House, swupdate_program: Path) -> Iterator[Client]:
    """A device with swupdate, not yet on."""
    client = swupdate(swupdate_program, house.home, house.devices, trusts=house.maker)
    yield client
    client.stop()


@pytest.fixture
def rauc_device(house: House, rauc_packages: Path) -> Iterator[Client]:
    """A device with rauc-hawkbit, not yet on."""
    client = rauc_hawkbit(rauc_packages, house.home, house.devices)
    yield client
    client.stop()


def test_swupdate_updates_through_a_cut_and_reports_after_its_restart(house: House, device: Client) -> None:
    action = house.bring()
    house.store.cuts = [1_000_000, 500_000]
    device.start()
    house.until(device, house.heard(action, "All Chunks Installed."))
    assert house.slot.read_bytes() == CONTENT
    assert house.store.begun_at[1:] == [0, 1_000_000, 1_500_000], "each time it goes on where it was"
    done = house.devices.action(action)
    assert (done["state"], done["stage"], done["retrieved_at"]) == ("open", "proceeding", NIGHT), "nothing final before a restart"
    device.start("-c 2")
    house.until(device, house.is_now(action, "told"))
    assert house.devices.words(action)[-1] == ("closed", "success", ["Update Installed."])
    attributes = house.devices.sql("SELECT attributes FROM firmware_rollout.device WHERE terminal_id = %s", TERMINAL)
    assert attributes == [({"board": "terminal-b"},)]


def test_swupdate_refuses_another_signer_and_says_why(house: House, device: Client) -> None:
    action = house.bring(signed_by=Signer(house.home, "thief"))
    device.start()
    house.until(device, house.is_now(action, "closed"))
    closed = house.devices.action(action)
    assert closed["outcome"] == "failure"
    assert not house.slot.exists()
    assert any("Authentication of all signatures failed" in detail for *_, said in house.devices.words(action) for detail in said)


def test_swupdate_stops_a_download_when_it_is_cancelled(house: House, device: Client) -> None:
    action = house.bring()
    house.store.piece_s = 0.15
    device.start()
    house.until(device, lambda: len(house.store.begun_at) > 1)
    house.devices.cancel(action)
    house.until(device, house.is_now(action, "closed"))
    assert house.devices.action(action)["outcome"] == "cancelled"
    assert house.devices.words(action)[-1] == ("closed", "success", ["cancellation acknowledged."])


def test_swupdate_that_skips_out_of_its_window_is_not_taken_for_updated(house: House, device: Client) -> None:
    action = house.bring(policy="{}")
    house.devices.sql("UPDATE firmware_rollout.action SET retrieved_at = %s", NIGHT)
    house.devices.now[0] = NIGHT + timedelta(hours=12)
    device.start()
    house.until(device, house.heard(action, "Skipped Update."))
    assert house.devices.action(action)["state"] == "open"
    house.devices.now[0] = NIGHT + timedelta(hours=24)
    house.until(device, house.heard(action, "All Chunks Installed."))
    assert house.slot.read_bytes() == CONTENT


def test_swupdate_ends_its_download_when_its_window_closes(house: House, device: Client) -> None:
    action = house.bring(policy="{}")
    house.store.piece_s = 0.15
    device.start()
    house.until(device, lambda: len(house.store.begun_at) > 1)
    house.devices.now[0] = NIGHT + timedelta(hours=12)
    house.until(device, house.is_now(action, "closed"))
    assert house.devices.action(action)["outcome"] == "failure"
    assert not house.slot.exists() or house.slot.read_bytes() != CONTENT


def test_rauc_hawkbit_minds_no_window_so_it_is_offered_nothing_and_given_no_file(house: House, rauc_device: Client) -> None:
    fetched = house.bring(policy="{}")
    house.devices.now[0] = NIGHT + timedelta(hours=12)
    rauc_device.start()
    seen = "SELECT attributes FROM firmware_rollout.device WHERE attributes <> '{}'"
    house.until(rauc_device, lambda: bool(house.devices.sql(seen)))
    assert house.devices.words(fetched) == []
    # It has fetched the deployment before, and "skip" does not keep it from trying.
    house.devices.sql("UPDATE firmware_rollout.action SET retrieved_at = %s", NIGHT)
    house.until(rauc_device, lambda: rauc_device.log.read_text().count("Starting bundle download") > 1)
    assert (house.devices.action(fetched)["state"], house.devices.words(fetched), house.slot.exists()) == ("open", [], False)
    house.devices.now[0] = NIGHT + timedelta(hours=24)
    house.until(rauc_device, house.is_now(fetched, "told"))


def test_rauc_hawkbit_updates_and_begins_anew_after_a_cut(house: House, rauc_device: Client) -> None:
    action = house.bring()
    house.store.cuts = [1_000_000]
    rauc_device.start()
    house.until(rauc_device, house.is_now(action, "told"))
    assert house.slot.read_bytes() == (house.home / "fw-4.3.0.swu").read_bytes()
    assert house.store.begun_at[1:] == [0, 0]
    [working, closed] = house.devices.words(action)
    assert working == ("proceeding", "none", ["Copying image to rootfs.1"])
    assert closed == ("closed", "success", ["Rauc bundle update completed with result: 0"])
    assert house.devices.sql("SELECT attributes FROM firmware_rollout.device") == [({"mac": "02:00"},)]


def test_rauc_hawkbit_tells_why_its_installer_refused(house: House, rauc_packages: Path) -> None:
    action = house.bring()
    refusing = rauc_hawkbit(rauc_packages, house.home, house.devices, result=1)
    refusing.start()
    try:
        house.until(refusing, house.is_now(action, "closed"))
    finally:
        refusing.stop()
    assert house.devices.action(action)["outcome"] == "failure"
    assert ("proceeding", "failure", ["signature verification failed"]) in house.devices.words(action)


def test_rauc_hawkbit_that_cannot_stop_is_heard_and_asked_again(house: House, rauc_device: Client) -> None:
    action = house.bring()
    house.devices.cancel(action)
    rauc_device.start()
    house.until(rauc_device, house.heard(action, "Cancelling not supported"))
    assert house.devices.action(action)["state"] == "cancelling"
    assert not house.slot.exists()


def test_a_client_that_cannot_be_had_is_said_so_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    settings = read(EngineSettings, cache_dir=tmp_path, debian_mirror=f"file://{tmp_path}/nowhere")
    with pytest.raises(AptError, match="update failed"):
        fetch_update_client(settings, lambda _line: None)
    assert [path.name for path in (tmp_path / "engines").iterdir()] == [".lock"]


def test_a_client_that_cannot_be_had_fails_in_ci_and_is_left_out_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NOTHING, raising=False)
    with pytest.warns(UserWarning, match="no network"), pytest.raises(pytest.skip.Exception):
        leave_out("no network")
    ci = (Path(__file__).parents[2] / ".ci/run").read_text()
    name, _, value = next(line for line in ci.splitlines() if line.startswith("export ")).removeprefix("export ").partition("=")
    monkeypatch.setenv(name, value)
    with pytest.raises(pytest.fail.Exception, match="no network"):
        leave_out("no network")
