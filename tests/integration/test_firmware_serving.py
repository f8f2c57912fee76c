"""Releases over HTTP by the device API, from a folder and from a store that speaks S3; and a device that believes the keys only."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import psycopg
import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError

from firmware_rollout import artifacts_s3
from firmware_rollout.artifacts import ArtifactStore, FolderStore, open_store
from firmware_rollout.artifacts_s3 import sign
from firmware_rollout.releases import ReleaseError, withdraw_release
from firmware_rollout.settings import StoreSettings
from firmware_rollout.trust.facts import file_facts
from fleet.errors import VigieError
from fleet.settings import read
from simulators.verifying import Refusal, RefusedError, Verifier
from tests import running_s3
from tests.integration.signed_releases import NOW, Maker, add, holds, trusting
from tests.leaving_out import leave_out
from tests.running_devices import Devices, running_devices, with_shops
from vigie.engines.layout import EngineSettings, make_folder
from vigie.engines.process import free_port

SIZE = 700_000
ANY_TIME = '{"window": null}'


@pytest.fixture(scope="module")
def s3() -> Iterator[running_s3.S3Server]:
    try:
        server = running_s3.start(make_folder(read(EngineSettings).cache()))
    except subprocess.CalledProcessError as error:
        leave_out(f"NO S3-LIKE STORE IS TRIED: it cannot be installed here ({error})")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    return FolderStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest) -> ArtifactStore:
    if request.param == "folder":
        kept: FolderStore = request.getfixturevalue("folder")
        return kept
    return open_store(request.getfixturevalue("s3").settings())


@dataclass
class House:
    """A served store with release 4.3.0, and a terminal that is asked to install it."""

    devices: Devices
    device: httpx.Client
    action: int
    maker: Maker
    content: bytes
    store: ArtifactStore

    @property
    def file_url(self) -> str:
        return f"firmware/files/4.3.0/{sha256(self.content).hexdigest()}.firmware"

    @property
    def etag(self) -> str:
        return f'"{sha256(self.content).hexdigest()}"'


@pytest.fixture
def house(database_url: str, store: ArtifactStore, tmp_path: Path) -> Iterator[House]:
    maker = Maker(tmp_path)
    with running_devices(with_shops(database_url), tmp_path / "unused", store=store) as devices, devices.as_device() as device:
        devices.now[0] = NOW
        with psycopg.connect(database_url) as conn:
            trusting(conn, maker)
            add(conn, store, maker, maker.sign("4.3.0", size=SIZE))
        yield House(devices, device, devices.open_action(policy=ANY_TIME), maker, maker.contents["4.3.0"], store)


def fetching(device: httpx.Client, taken: list[str]) -> Callable[[str], Iterator[bytes]]:
    """A terminal's way over HTTP, as tuf wants its errors."""

    def fetch(url: str) -> Iterator[bytes]:
        taken.append(url)
        try:
            with device.stream("GET", url) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise DownloadHTTPError(url, answer.status_code)
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise DownloadError(str(error)) from error

    return fetch


def test_parts_conditions_and_the_whole_come_as_asked(house: House) -> None:
    whole = house.device.get(house.file_url)
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, house.content, house.etag)
    assert whole.headers["accept-ranges"] == "bytes"
    head = house.device.head(house.file_url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(SIZE))

    part = house.device.get(house.file_url, headers={"range": "bytes=300000-599999"})
    assert (part.status_code, part.content) == (206, house.content[300000:600000])
    assert part.headers["content-range"] == f"bytes 300000-599999/{SIZE}"
    assert house.device.get(house.file_url, headers={"range": "bytes=-5"}).content == house.content[-5:]

    beyond = house.device.get(house.file_url, headers={"range": f"bytes={SIZE}-"})
    assert (beyond.status_code, beyond.content, beyond.headers["content-range"]) == (416, b"", f"bytes */{SIZE}")
    assert house.device.get(house.file_url, headers={"if-match": '"another"'}).status_code == 412
    assert house.device.get(house.file_url, headers={"range": "bytes=0-9", "if-match": house.etag}).content == house.content[:10]
    assert house.device.get(house.file_url, headers={"range": "bytes=0-9", "if-range": '"another"'}).status_code == 200
    known = house.device.get(house.file_url, headers={"if-none-match": house.etag})
    assert (known.status_code, known.content) == (304, b"")


def test_what_is_not_there_is_not_found_and_what_was_withdrawn_is_gone(house: House) -> None:
    names = ("files/4.4.0/" + house.etag.strip('"') + ".firmware", "files/4.3.0/x.firmware", "metadata/2.root.json")
    for name in (*names, "metadata/root.json", "metadata/../x", "metadata/1.timestamp.json5", "metadata/0.root.json"):
        assert house.device.get(f"firmware/{name}").status_code == 404, name
    with psycopg.connect(house.devices.database_url) as conn:
        withdraw_release(conn, "4.3.0", why="prints upside down", now=NOW)
    assert house.device.get(house.file_url).status_code == 410


def test_a_file_is_served_only_to_who_is_asked_to_install_it_and_only_then(house: House) -> None:
    set_policy = "UPDATE firmware_rollout.campaign SET policy = %s"
    assert house.device.get(house.file_url).status_code == 200
    with house.devices.as_device("T00002") as other:
        assert other.get(house.file_url).status_code == 404, "nobody asked it"
        assert other.get("firmware/metadata/timestamp.json").status_code == 200
        house.devices.add_release(_other_file(house), "4.4.0")
        house.devices.open_action("T00002", version="4.4.0", policy=ANY_TIME)
        assert other.get(house.file_url).status_code == 404, "it is asked for another release"
    # Eleven in the morning: the shop is open.
    house.devices.sql(set_policy, "{}")
    out = house.device.get(house.file_url)
    assert (out.status_code, out.headers["retry-after"]) == (503, "300")
    house.devices.now[0] = NOW - timedelta(hours=8)
    assert house.device.get(house.file_url).status_code == 200
    house.devices.set_campaigns("halted")
    assert house.device.get(house.file_url).status_code == 410
    house.devices.sql("UPDATE firmware_rollout.action SET state = 'closed', outcome = 'failure', closed_at = %s", NOW)
    assert house.device.get(house.file_url).status_code == 404


def _other_file(house: House) -> Path:
    file = house.maker.folder / "fw-4.4.0.swu"
    file.write_bytes(b"another")
    return file


def test_a_store_that_lost_the_file_is_told_by_the_status(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> Iterator[bytes]:
        return FolderStore(Path("/nowhere")).read("0" * 64, start=0, length=1)

    monkeypatch.setattr(house.store, "read", lost)
    answer = house.device.get(house.file_url)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_a_device_finds_downloads_and_believes_a_release(house: House, tmp_path: Path) -> None:
    taken: list[str] = []
    urls = {"metadata_url": f"{house.device.base_url}firmware/metadata", "fetch": fetching(house.device, taken)}
    verifier = Verifier(house.maker.root, home=tmp_path / "device", **urls)  # type: ignore[arg-type]  # two kinds of values
    update = verifier.find("4.3.0", model="B", hw="1", now=NOW)
    assert f"firmware/files/{update.path}" == house.file_url
    # Cut off twice, and resumed where it was.
    held = tmp_path / "fw.part"
    with held.open("wb") as part:
        for begin, end in ((0, 200_000), (200_000, 500_000), (500_000, SIZE)):
            answer = house.device.get(house.file_url, headers={"range": f"bytes={begin}-", "if-match": house.etag})
            part.write(answer.content[: end - begin])
    with held.open("rb") as opened:
        verifier.check(update, opened)
    taken.clear()
    assert verifier.find("4.3.0", model="B", hw="1", now=NOW) == update
    assert [url.rpartition("/")[2] for url in taken] == ["2.root.json", "timestamp.json"], "what is known is not fetched again"
    with pytest.raises(RefusedError) as refused:
        verifier.find("4.3.0", model="B", hw="1", now=datetime(2026, 11, 25, tzinfo=UTC))
    assert refused.value.reason is Refusal.EXPIRED


def test_metadata_is_cached_by_its_version_and_the_timestamp_never(house: House) -> None:
    base = "firmware/metadata"
    assert "immutable" in house.device.get(f"{base}/1.targets.json").headers["cache-control"]
    stamp = house.device.get(f"{base}/timestamp.json")
    assert stamp.headers["cache-control"] == "no-cache"
    assert house.device.get(f"{base}/timestamp.json", headers={"if-none-match": stamp.headers["etag"]}).status_code == 304


def test_an_s3_like_store_keeps_a_file_whole_or_not_at_all(s3: running_s3.S3Server, tmp_path: Path) -> None:
    store = open_store(s3.settings(release_store="s3://firmware"))
    file = tmp_path / "fw.bin"
    file.write_bytes(b"firmware" * 100_000)
    facts = file_facts(file)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ReleaseError, match="not the one its maker signed"):
        store.put(file, facts)
    assert not holds(store, facts.sha256, facts.length)
    file.write_bytes(b"firmware" * 100_000)
    store.put(file, facts)
    store.put(file, facts)
    assert holds(store, facts.sha256, facts.length)
    assert b"".join(store.read(facts.sha256, start=3, length=70_000)) == file.read_bytes()[3:70_003]


def test_an_s3_like_stores_refusals_are_told(s3: running_s3.S3Server, tmp_path: Path) -> None:
    file = tmp_path / "fw.bin"
    file.write_bytes(b"firmware")
    facts = file_facts(file)
    for changed, words in (
        ({"s3_secret": "wrong"}, "answered 403 .*SignatureDoesNotMatch"),
        ({"release_store": "s3://elsewhere"}, "answered 404 .*NoSuchBucket"),
        ({"s3_endpoint": f"http://127.0.0.1:{free_port()}"}, "did not take the file"),
    ):
        with pytest.raises(VigieError, match=words):
            open_store(s3.settings(**changed)).put(file, facts)
    with pytest.raises(VigieError, match="answered 404"):
        list(open_store(s3.settings()).read("0" * 64, start=0, length=5))


def test_a_bucket_that_serves_as_many_as_it_may_says_so_at_once(
    s3: running_s3.S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts_s3, "MOST_AT_ONCE", 1)
    store = open_store(s3.settings())
    file = tmp_path / "fw.bin"
    file.write_bytes(b"firmware" * 1_000_000)
    facts = file_facts(file)
    store.put(file, facts)
    reading = store.read(facts.sha256, start=0, length=facts.length)
    assert next(reading)
    with pytest.raises(VigieError, match="broke off"):
        next(store.read(facts.sha256, start=0, length=facts.length))
    reading.close()
    assert next(store.read(facts.sha256, start=0, length=8)) == b"firmware"


def test_a_store_without_its_settings_names_them() -> None:
    for settings, words in (({}, "VIGIE_RELEASE_STORE"), ({"release_store": "s3://b"}, "VIGIE_S3_ENDPOINT, VIGIE_S3_KEY_ID")):
        with pytest.raises(VigieError, match=f"settings: {words}"):
            open_store(StoreSettings.model_validate(settings))


def test_requests_are_signed_as_amazons_own_example() -> None:
    """Signature Calculations for the Authorization Header, example "GET Object", of the S3 API reference."""
    signed = sign(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        {"range": "bytes=0-9"},
        payload_sha256=sha256(b"").hexdigest(),
        key_id="AKIAIOSFODNN7EXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert signed["authorization"].endswith(
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )
