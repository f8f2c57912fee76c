"""The secret that devices' tokens follow from, and the command that prints them."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firmware_rollout.ddi.tokens import device_token, write_tokens
from fleet.errors import VigieError
from vigie.cli import app
from vigie.up.device_key import device_key
from vigie.up.plan import Ports, programs

KEY = "0123456789abcdef0123456789abcdef"


def test_a_house_makes_its_key_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = device_key(tmp_path, {})
    assert len(made) == 64
    assert device_key(tmp_path, {}) == made
    assert device_key(tmp_path, {"VIGIE_DEVICE_KEY": "given"}) == "given"
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_only_the_program_that_serves_devices_has_the_key() -> None:
    planned = programs(
        database_url="postgresql://d", mqtt_urls={}, ports=Ports(), listen="127.0.0.1", clock_offset_s=0, device_key=KEY
    )
    assert [program.name for program in planned if KEY in program.environment.values()] == ["web"]


@pytest.mark.parametrize(("poll_s", "told"), [(0, None), (60, "60")])
def test_a_demonstration_s_devices_poll_oftener(poll_s: int, told: str | None) -> None:
    planned = programs(
        database_url="postgresql://d", mqtt_urls={}, ports=Ports(), listen="127.0.0.1", clock_offset_s=0, device_poll_s=poll_s
    )
    assert {program.environment.get("VIGIE_DDI_POLL_S") for program in planned} == {None, told}


def test_the_command_needs_the_key_and_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", "postgresql://nowhere/")
    monkeypatch.setenv("VIGIE_DEVICE_KEY", KEY)
    run = CliRunner().invoke
    wrong = run(app, ["device", "token", "12"]).exception
    assert isinstance(wrong, VigieError)
    assert "12: a terminal's id is of the form T00012" in str(wrong)
    for value, words in (("", "VIGIE_DEVICE_KEY: set the secret"), ("short", "VIGIE_DEVICE_KEY: must have 32")):
        monkeypatch.setenv("VIGIE_DEVICE_KEY", value)
        refused = run(app, ["device", "token", "T00012"]).exception
        assert isinstance(refused, VigieError)
        assert words in str(refused)


def test_the_file_of_tokens_is_its_owner_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    write_tokens(file, KEY, ["T00001", "T00002"])
    assert file.read_text() == f"terminal,token\nT00001,{device_token(KEY, 'T00001')}\nT00002,{device_token(KEY, 'T00002')}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
