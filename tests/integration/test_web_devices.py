"""The device API beside the console in the web program, and alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from firmware_rollout.ddi.server import build as build_devices
from firmware_rollout.ddi.server import open_devices
from firmware_rollout.ddi.tokens import device_token
from firmware_rollout.settings import DevicesSettings
from fleet.clock import system_clock
from fleet.errors import VigieError
from fleet.settings import read
from hotline.settings import WebSettings
from hotline.web.server import build
from tests.integration.small_fleet import add_shops
from tests.running_devices import KEY, TERMINAL
from vigie.engines.process import free_port, wait_until

HEADERS = {"authorization": f"TargetToken {device_token(KEY, TERMINAL)}"}
PATH = f"/vigie/controller/v1/{TERMINAL}"


@contextmanager
def served(server: uvicorn.Server) -> Iterator[None]:
    """The server, running; it has been stopped afterwards."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert wait_until(lambda: server.started, timeout_s=15)
        yield
    finally:
        server.should_exit = True
        thread.join(15)


def test_the_web_program_serves_devices_before_its_layers_for_people(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as conn:
        add_shops(conn, 1)
    settings = read(
        WebSettings,
        database_url=SecretStr(database_url),
        web_port=free_port(),
        device_key=SecretStr(KEY),
        release_store=str(tmp_path),
    )
    server = build(settings)
    with served(server):
        address = f"http://127.0.0.1:{settings.web_port}"
        with httpx.Client(base_url=address) as client:
            polled = client.get(PATH, headers=HEADERS)
            assert polled.json()["_links"]["configData"]["href"] == f"{address}{PATH}/configData"
            assert "content-security-policy" not in polled.headers
            # No session, no token of a form, no row in the audit of who saw what.
            assert client.put(f"{PATH}/configData", json={"data": {"a": "b"}}, headers=HEADERS).status_code == 200
            assert client.get(PATH).status_code == 401
            assert client.get(f"{PATH}/firmware/metadata/timestamp.json", headers=HEADERS).status_code == 404
            assert "content-security-policy" in client.get("/healthz").headers
            counted = client.get("/metrics").text
            assert 'vigie_devices_requests_total{kind="poll",status="200"} 1.0' in counted
            assert 'vigie_devices_requests_total{kind="poll",status="401"} 1.0' in counted
            assert 'vigie_devices_requests_total{kind="metadata",status="404"} 1.0' in counted
            assert client.get("/console", follow_redirects=False).status_code == 303
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM hotline.audit").fetchone() == (0,)
        assert conn.execute("SELECT terminal_id FROM firmware_rollout.device").fetchall() == [(TERMINAL,)]


def test_without_a_key_the_web_program_serves_no_devices(database_url: str) -> None:
    server = build(read(WebSettings, database_url=SecretStr(database_url), web_port=free_port()))
    with served(server):
        assert httpx.get(f"http://127.0.0.1:{server.config.port}{PATH}", headers=HEADERS).status_code == 404


def test_devices_are_served_alone_with_the_tenant_and_the_address_of_the_settings(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as conn:
        add_shops(conn, 1)
    settings = read(
        DevicesSettings,
        database_url=SecretStr(database_url),
        devices_port=free_port(),
        device_key=SecretStr(KEY),
        release_store=str(tmp_path),
        ddi_tenant="pmu",
        ddi_url="https://updates.example/",
        ddi_poll_s=90,
    )
    api = open_devices(settings, database_url=database_url, clock=system_clock(), registry=CollectorRegistry())
    server = build_devices(settings, api)
    with served(server):
        polled = httpx.get(f"http://127.0.0.1:{settings.devices_port}{PATH.replace('vigie', 'pmu')}", headers=HEADERS).json()
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT terminal_id FROM firmware_rollout.device").fetchall() == [(TERMINAL,)]
    assert polled == {
        "config": {"polling": {"sleep": "00:01:30"}},
        "_links": {"configData": {"href": f"https://updates.example/pmu/controller/v1/{TERMINAL}/configData"}},
    }


def test_a_missing_setting_is_named(database_url: str) -> None:
    for key, words in (("", "VIGIE_DEVICE_KEY"), (KEY, "VIGIE_RELEASE_STORE")):
        settings = read(DevicesSettings, database_url=SecretStr(database_url), device_key=SecretStr(key), release_store="")
        with pytest.raises(VigieError, match=words):
            open_devices(settings, database_url=database_url, clock=system_clock(), registry=CollectorRegistry())
