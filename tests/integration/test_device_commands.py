"""`vigie device`: tokens of the terminals that there are."""

import psycopg
import pytest
from typer.testing import CliRunner

from firmware_rollout.ddi.tokens import device_token
from tests.integration.small_fleet import add_shops
from vigie.cli import app

KEY = "0123456789abcdef0123456789abcdef"


def test_the_command_prints_tokens_of_terminals_in_the_registry(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)
    monkeypatch.setenv("VIGIE_DEVICE_KEY", KEY)
    with psycopg.connect(database_url) as conn:
        add_shops(conn, 1)
    run = CliRunner().invoke
    assert run(app, ["device", "token", "T00001"]).stdout.split() == [device_token(KEY, "T00001")]
    assert run(app, ["device", "token", "T00001", "T00002"]).stdout.splitlines()[1] == f"T00002 {device_token(KEY, 'T00002')}"
    refused = run(app, ["device", "token", "T00001", "T99999"])
    assert (refused.stdout, str(refused.exception)) == ("", "terminals: T99999: not in the registry (`vigie registry import`)")
