"""Releases in the console and by REST: what is uploaded is verified and kept, whoever may not is not even read."""

import asyncio
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from fastapi import Request

from firmware_rollout.artifacts import FolderStore
from firmware_rollout.audit import entries_of
from firmware_rollout.releases import release_of
from firmware_rollout.trust.roles import LARGEST_FILE_BYTES
from hotline.roles import Role
from hotline.web.app import LARGEST_BODY_BYTES
from hotline.web.uploads import spool
from tests.integration.signed_releases import NOW, Maker, holds, trusting
from tests.running_web import RunningWeb

MAKER = "rollout_manager"


class House:
    """The web program with a folder for releases, the maker whom it trusts, and that folder."""

    def __init__(self, database_url: str, folder: Path) -> None:
        # The maker's signatures are as old as the tests.
        offset = round((NOW + timedelta(hours=1) - datetime.now(UTC)).total_seconds())
        self.store = FolderStore(folder / "store")
        self.web = RunningWeb(database_url, clock_offset_s=offset, release_store=str(folder / "store"))
        self.maker = Maker(folder / "maker")
        with psycopg.connect(database_url) as conn:
            trusting(conn, self.maker)

    def parts(self, file: Path | None) -> dict[str, tuple[str, bytes]]:
        """What the form sends."""
        assert self.maker.signed is not None
        parts = {"targets": ("targets.json", self.maker.signed)}
        return parts if file is None else {**parts, "file": (file.name, file.read_bytes())}

    def program(self, role: Role = Role.ROLLOUT_MANAGER) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.web.access.api[role]}"}
        return httpx.Client(base_url=f"{self.web.url}/api/v1", headers=headers, timeout=20)


@pytest.fixture(scope="module")
def house(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    found = House(module_database_url, tmp_path_factory.mktemp("releases"))
    found.web.start()
    yield found
    found.web.stop()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[FolderStore]:
    """The stores that were closed."""
    found: list[FolderStore] = []

    def close(store: FolderStore) -> None:
        found.append(store)

    monkeypatch.setattr(FolderStore, "close", close)
    return found


def csrf_of(page: httpx.Response) -> str:
    return page.text.split('name="csrf" value="')[1].split('"')[0]


def test_a_release_is_sent_by_the_console_verified_kept_and_shown(house: House, closed: list[FolderStore]) -> None:
    file = house.maker.sign("5.0.0", size=3 * LARGEST_BODY_BYTES)
    with house.web.client(MAKER) as browser:
        proof = {"X-CSRF-Token": csrf_of(browser.get("/console/releases"))}
        answer = browser.post("/console/releases", headers=proof, files=house.parts(file))
        assert len(closed) == 1, "nothing is left open"
        assert (answer.status_code, answer.headers.get("HX-Redirect")) == (204, "/console/releases/5.0.0"), answer.text
        with psycopg.connect(house.web.database_url) as conn:
            release = release_of(conn, "5.0.0")
            [noted] = entries_of(conn, deed="added_release")
        assert release.file is not None
        assert holds(house.store, release.file.sha256, 3 * LARGEST_BODY_BYTES)
        assert (noted.actor, release.file.sha256 in noted.details) == (MAKER, True)
        page = browser.get("/console/releases/5.0.0").text
        for said in (release.file.sha256, "what is new in 5.0.0", "signée", "786\u202f432 octets"):
            assert said in page, said
        assert "5.0.0" in browser.get("/console/releases").text
        # Once more: what was used is not used again.
        again = browser.post("/console/releases", headers=proof, files=house.parts(file))
        assert again.status_code == 422
        assert "Cette description signée" in again.text
        assert 'role="alert"' in again.text


def test_what_does_not_verify_is_refused_by_name_and_not_kept(house: House, closed: list[FolderStore]) -> None:
    file = house.maker.sign("5.1.0")
    altered = house.parts(file) | {"file": ("fw.swu", b"x" * file.stat().st_size)}
    short = house.parts(file) | {"file": ("fw.swu", file.read_bytes()[:-1])}
    forged = house.parts(file) | {"targets": ("targets.json", b'{"signed": {}}')}
    missing = {"file": ("fw.swu", file.read_bytes())}
    with house.program() as program:
        for parts, field in (
            (altered, "file"),
            (short, "file"),
            (forged, "targets"),
            (missing, "targets"),
            (house.parts(None), "file"),
        ):
            answer = program.post("/releases", files=parts)
            assert answer.status_code == 422, answer.text
            assert [error["field"] for error in answer.json()["errors"]] == [field]
        for name in ("file", "targets"):
            empty = program.post("/releases", files=house.parts(file) | {name: ("fw.swu", b"")})
            assert (empty.status_code, "is empty" in empty.json()["detail"]) == (422, True), empty.text
            [error] = empty.json()["errors"]
            assert error["field"] == name
            # As a browser sends it where nobody chose a file.
            unnamed = program.post("/releases", content=form_of(name), headers={"Content-Type": "multipart/form-data; boundary=x"})
            assert "is needed" in unnamed.json()["detail"]
        for body in (b"", b"no form at all"):
            assert program.post("/releases", content=body).status_code == 422
        assert program.get("/releases/5.1.0").status_code == 404
        closed.clear()
        made = program.post("/releases", files=house.parts(file))
        assert (made.status_code, len(closed)) == (201, 1), made.text
        assert made.json()["length"] == file.stat().st_size


def form_of(name: str) -> bytes:
    """A form with one part, whose file has neither name nor bytes."""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"; filename=""\r\n\r\n\r\n--x--\r\n'.encode()


def test_a_long_text_in_the_form_is_held_nowhere() -> None:
    """As long as an upload may be, it takes no more memory than a piece of it does."""
    length = 40 * 1024 * 1024

    async def receive() -> dict[str, object]:
        body = next(pieces, None)
        return {"type": "http.request", "body": body or b"", "more_body": body is not None}

    def sent() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n'
        for _ in range(length // 65_536):
            yield b"y" * 65_536
        yield b'\r\n--x\r\nContent-Disposition: form-data; name="targets"; filename="t"\r\n\r\n{}\r\n--x--\r\n'

    async def read() -> bytes:
        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        async with asynccontextmanager(spool)(Request({"type": "http", "headers": headers}, receive)) as upload:
            return upload.read_targets()

    pieces = sent()
    tracemalloc.start()
    try:
        assert asyncio.run(read()) == b"{}"
        assert tracemalloc.get_traced_memory()[1] < length / 4
    finally:
        tracemalloc.stop()


def test_whoever_may_not_add_a_release_is_refused_before_anything_is_read(house: House) -> None:
    """Half a gigabyte is announced and none of it sent: a server that read it first would wait."""
    with house.web.client(MAKER) as browser, house.web.client("alice") as agent:
        cookies = [f"Cookie: vigie={client.cookies['vigie']}" for client in (agent, browser)]
    for who in ("X-Nobody: x", *cookies):
        for path in ("/console/releases", "/api/v1/releases"):
            status = announced(house.web.url, path, who, length=LARGEST_FILE_BYTES // 2)
            assert status in (303, 401, 403), (who, path, status)


def test_only_these_routes_take_more_than_a_form_and_they_too_have_an_end(house: House) -> None:
    token = f"Authorization: Bearer {house.web.access.api[Role.ROLLOUT_MANAGER]}"
    assert announced(house.web.url, "/api/v1/campaigns", token, length=LARGEST_BODY_BYTES + 1) == 413
    assert announced(house.web.url, "/console/releases/5.0.0/withdraw", token, length=LARGEST_BODY_BYTES + 1) == 413
    assert announced(house.web.url, "/api/v1/releases", token, length=2 * LARGEST_FILE_BYTES) == 413


def announced(url: str, path: str, header: str, *, length: int) -> int:
    """The status that answers a body which is announced and not sent."""
    to = urlsplit(url)
    assert to.hostname is not None
    with socket.create_connection((to.hostname, to.port or 80), timeout=5) as wire:
        lines = [f"POST {path} HTTP/1.1", "Host: vigie.test", header, f"Content-Length: {length}"]
        lines += ["Content-Type: multipart/form-data; boundary=x", "", ""]
        wire.sendall("\r\n".join(lines).encode())
        return int(wire.recv(100).split()[1])


def test_a_release_is_withdrawn_with_a_reason_and_once(house: House) -> None:
    file = house.maker.sign("5.2.0")
    with house.program() as program:
        assert program.post("/releases", files=house.parts(file)).status_code == 201
    with house.web.client(MAKER) as browser:
        path = "/console/releases/5.2.0"
        form = {"csrf": csrf_of(browser.get(path)), "why": " "}
        refused = browser.post(f"{path}/withdraw", data=form)
        assert (refused.status_code, "Dites pourquoi" in refused.text) == (422, True)
        assert browser.post(f"{path}/withdraw", data={**form, "why": "imprime à l'envers"}).status_code == 303
        page = browser.get(path).text
        assert "imprime à l" in page
        assert "retirée" in page
        assert "/withdraw" not in page
        assert browser.get("/console/releases/9.9.9").status_code == 404
    with house.program() as program:
        again = program.post("/releases/5.2.0/withdraw", json={"why": "x"})
        assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "version")
        assert program.get("/releases/5.2.0").json()["withdrawn_why"] == "imprime à l'envers"
    with psycopg.connect(house.web.database_url) as conn:
        [noted] = entries_of(conn, deed="withdrew_release")
    assert noted.actor == MAKER


def test_releases_come_page_by_page_latest_first(house: House) -> None:
    with psycopg.connect(house.web.database_url) as conn:
        conn.execute(
            "INSERT INTO firmware_rollout.release (version, models, added_at) SELECT v, '{B}', %s"
            " FROM unnest('{1.9.0,1.10.0,1.2.0}'::text[]) v",
            [NOW],
        )
    with house.program(Role.LEVEL1) as program:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = program.get("/releases", params={"limit": "2", **cursor}).json()
            seen += [one["version"] for one in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert seen[-4:] == ["4.3.0", "1.10.0", "1.9.0", "1.2.0"]
        assert len(seen) == len(set(seen))
        assert program.get("/releases", params={"cursor": "MQ"}).status_code == 422
        assert program.post("/releases/4.3.0/withdraw", json={"why": "x"}).status_code == 403


def test_a_house_without_a_store_says_so(web_without_store: RunningWeb) -> None:
    headers = {"Authorization": f"Bearer {web_without_store.access.api[Role.ADMINISTRATOR]}"}
    answer = httpx.post(f"{web_without_store.url}/api/v1/releases", headers=headers, files={"targets": ("t", b"{}")})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "settings")
    assert "VIGIE_RELEASE_STORE" in answer.json()["detail"]


@pytest.fixture
def web_without_store(database_url: str) -> Iterator[RunningWeb]:
    running = RunningWeb(database_url)
    running.start()
    yield running
    running.stop()
