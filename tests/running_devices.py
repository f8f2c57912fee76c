"""A running device API with a release to bring, and an action that asks one terminal to install it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5, sha1, sha256
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from firmware_rollout.artifacts import ArtifactStore, FolderStore
from firmware_rollout.ddi.app import DeviceApi
from firmware_rollout.ddi.tokens import device_token
from firmware_rollout.settings import DeviceApiSettings
from firmware_rollout.trust.facts import file_facts
from fleet.database import open_pool
from fleet.settings import read
from tests.integration.small_fleet import add_shops
from vigie.engines.process import free_port, wait_until

KEY = "a-device-key-for-tests-of-32-signs"
TERMINAL = "T00001"
# Three in the morning in Paris.
NIGHT = datetime(2026, 11, 23, 2, tzinfo=UTC)
STARTED_WITHIN_S = 15


@dataclass
class Devices:
    """The running API, its database, and what tests do as the planner would."""

    url: str
    database_url: str
    store: FolderStore
    store_folder: Path
    now: list[datetime] = field(default_factory=lambda: [NIGHT])

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def as_device(self, terminal: str = TERMINAL) -> httpx.Client:
        """A client with a terminal's token, whose base is its address."""
        headers = {"authorization": f"TargetToken {device_token(KEY, terminal)}"}
        return httpx.Client(base_url=f"{self.url}/vigie/controller/v1/{terminal}", headers=headers)

    def sql(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.database_url) as conn:
            done = conn.execute(query, values)
            return done.fetchall() if done.description else []

    def add_release(self, file: Path, version: str = "4.3.0") -> None:
        """Keep a file and its release as `vigie release add` does, without its signatures."""
        facts = file_facts(file)
        self.store.put(file, facts)
        self.sql(
            "INSERT INTO firmware_rollout.release (version, models, added_at, filename, length, sha256, sha1)"
            " VALUES (%s, '{B}', %s, %s, %s, %s, %s)",
            version,
            NIGHT,
            file.name,
            facts.length,
            facts.sha256,
            facts.sha1,
        )

    def open_action(self, terminal: str = TERMINAL, *, version: str = "4.3.0", policy: str = "{}") -> int:
        """A running campaign of one terminal, and the action that asks it; returns the action's id."""
        [[campaign]] = self.sql(
            "INSERT INTO firmware_rollout.campaign (name, release, target, seed, deadline_s, created_at, state, policy)"
            " VALUES (%s || ' ' || (SELECT count(*) FROM firmware_rollout.campaign), %s, '{}', 7, 86400, %s, 'running', %s)"
            " RETURNING id",
            version,
            version,
            NIGHT,
            policy,
        )
        self.sql(
            "INSERT INTO firmware_rollout.wave (campaign_id, number, planned_at, share_pct) VALUES (%s, 1, %s, 100)",
            campaign,
            NIGHT,
        )
        self.sql(
            "INSERT INTO firmware_rollout.assignment (campaign_id, terminal_id, wave, state, since)"
            " VALUES (%s, %s, 1, 'updating', %s)",
            campaign,
            terminal,
            NIGHT,
        )
        [[action]] = self.sql(
            "INSERT INTO firmware_rollout.action (campaign_id, terminal_id, attempt, kind, release, opened_at)"
            " VALUES (%s, %s, 1, 'update', %s, %s) RETURNING id",
            campaign,
            terminal,
            version,
            NIGHT,
        )
        return int(action)

    def set_campaigns(self, state: str) -> None:
        self.sql("UPDATE firmware_rollout.campaign SET state = %s", state)

    def cancel(self, action: int) -> None:
        self.sql("UPDATE firmware_rollout.action SET state = 'cancelling' WHERE id = %s", action)

    def action(self, action: int) -> dict[str, Any]:
        columns = ("state", "outcome", "stage", "progress", "detail", "retrieved_at", "heard_at", "told_at", "closed_at")
        [row] = self.sql(f"SELECT {', '.join(columns)} FROM firmware_rollout.action WHERE id = %s", action)
        return dict(zip(columns, row, strict=True))

    def words(self, action: int) -> list[Any]:
        return self.sql(
            "SELECT execution, finished, details FROM firmware_rollout.feedback WHERE action_id = %s ORDER BY id", action
        )


def with_shops(database_url: str) -> str:
    """The database with two shops of two terminals and nothing of the rollout, for tests that share it."""
    with psycopg.connect(database_url) as conn:
        for table in ("feedback", "action", "assignment", "wave", "campaign", "release", "device"):
            conn.execute(f"DELETE FROM firmware_rollout.{table}")
        if conn.execute("SELECT FROM fleet.terminal").fetchone() is None:
            add_shops(conn, 2)
    return database_url


def hashes_of(content: bytes) -> dict[str, str]:
    return {"sha1": sha1(content).hexdigest(), "md5": md5(content).hexdigest(), "sha256": sha256(content).hexdigest()}


@contextmanager
def running_devices(database_url: str, folder: Path, *, store: ArtifactStore | None = None, poll_s: int = 300) -> Iterator[Devices]:
    """The API on a free port; `store` may stand before the folder, to cut downloads off."""
    kept = FolderStore(folder)
    devices = Devices("", database_url, kept, folder)
    settings = read(DeviceApiSettings, device_key=SecretStr(KEY), ddi_poll_s=poll_s)
    pool = open_pool(database_url, program="test")
    api = DeviceApi(settings, pool=pool, store=store or kept, clock=lambda: devices.now[0], registry=CollectorRegistry())
    server = uvicorn.Server(uvicorn.Config(api, port=free_port(), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    api.start()
    thread.start()
    try:
        assert wait_until(lambda: server.started, timeout_s=STARTED_WITHIN_S)
        devices.url = f"http://127.0.0.1:{server.config.port}"
        yield devices
    finally:
        server.should_exit = True
        thread.join(STARTED_WITHIN_S)
        api.stop()
