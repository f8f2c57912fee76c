"""Commands beside a running house find it, and only when nothing else is set."""

import os
from pathlib import Path

import pytest

from vigie.running import forget_environment, read_environment, save_environment, use_running_house


def test_what_is_saved_is_read_until_it_is_forgotten(tmp_path: Path) -> None:
    save_environment(tmp_path, {"VIGIE_DATABASE_URL": "postgresql://u:p=w@h/d"})
    assert read_environment(tmp_path) == {"VIGIE_DATABASE_URL": "postgresql://u:p=w@h/d"}
    assert (tmp_path / "environment").stat().st_mode & 0o777 == 0o600
    forget_environment(tmp_path)
    assert read_environment(tmp_path) == {}


@pytest.mark.parametrize(("own", "found"), [(None, "postgresql://house"), ("postgresql://own", "postgresql://own")])
def test_a_setting_of_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str | None, found: str) -> None:
    monkeypatch.setenv("VIGIE_STATE_DIR", str(tmp_path))
    # Set first, so that what use_running_house() adds is taken away again.
    monkeypatch.setenv("VIGIE_DATABASE_URL", own or "")
    if own is None:
        monkeypatch.delenv("VIGIE_DATABASE_URL")
    save_environment(tmp_path, {"VIGIE_DATABASE_URL": "postgresql://house"})
    use_running_house()
    assert os.environ["VIGIE_DATABASE_URL"] == found
