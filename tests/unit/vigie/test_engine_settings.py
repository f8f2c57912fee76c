"""Where engines and data stand, who owns them, and what the engines are told."""

import os
from pathlib import Path

import pytest

from fleet.errors import VigieError
from fleet.settings import read
from vigie.engines.layout import EngineSettings, EnginesMissingError, find_layout, make_folder
from vigie.engines.postgres import FOR_TESTS, PostgresTuning, configuration
from vigie.engines.process import LARGEST_LOG, spawn


def test_folders_are_the_ones_that_settings_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIGIE_CACHE_DIR", str(tmp_path / "c"))
    monkeypatch.setenv("VIGIE_STATE_DIR", str(tmp_path / "s"))
    settings = read(EngineSettings)
    assert (settings.cache(), settings.state()) == (tmp_path / "c", tmp_path / "s")


def test_an_unprivileged_user_keeps_them_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VIGIE_CACHE_DIR", "VIGIE_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    settings = read(EngineSettings)
    assert settings.cache() == tmp_path / "x/vigie"
    assert settings.state() == tmp_path / ".local/state/vigie"


def test_missing_engines_are_named_with_their_remedy(tmp_path: Path) -> None:
    with pytest.raises(EnginesMissingError, match="vigie engines fetch"):
        find_layout(read(EngineSettings, cache_dir=tmp_path, engines_from="private"))


def test_a_wrong_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_ENGINES_FROM", "docker")
    with pytest.raises(VigieError, match="VIGIE_ENGINES_FROM"):
        read(EngineSettings)


def test_new_folders_can_be_passed_through_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_folder(tmp_path / "a/b/c")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o755


def test_only_a_test_database_gives_up_safety_against_power_loss() -> None:
    assert "fsync" not in configuration(PostgresTuning(), 5433)
    assert "fsync = off" in configuration(FOR_TESTS, 5433)
    # A killed server must keep what it committed, in tests too.
    assert "synchronous_commit" not in configuration(FOR_TESTS, 5433)


def test_a_certificate_without_its_key_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_TERMINALS_CERTIFICATE_FILE", "/etc/vigie/server.pem")
    with pytest.raises(VigieError, match="VIGIE_TERMINALS_KEY_FILE"):
        read(EngineSettings)


def test_a_grown_log_is_put_aside_when_its_program_starts(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * (LARGEST_LOG + 1))
    spawn(["/bin/echo", "new"], log=log).wait()
    assert log.read_text() == "new\n"
    assert (tmp_path / "web.log.1").stat().st_size == LARGEST_LOG + 1
