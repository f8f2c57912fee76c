"""The command line answers at once and fails in one line."""

import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fleet import VERSION
from fleet.errors import VigieError
from vigie import cli

# Half a second on an idle machine; of processor time, so that a busy one is as quick.
HELP_S = 1.0
HEAVY = ("numpy", "pandas", "psycopg", "fastapi", "pydantic")


def test_help_needs_no_heavy_package() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = f"import sys; from vigie import cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < HELP_S


def test_an_expected_failure_is_one_line_and_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise VigieError("the broker has no accounts")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "vigie: the broker has no accounts\n"


def test_a_wrong_setting_stops_a_command_and_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", "mysql://nowhere")
    done = subprocess.run([sys.executable, "-m", "vigie", "up"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("vigie: settings: VIGIE_DATABASE_URL")
    assert "nowhere" not in done.stderr


def test_an_answer_is_not_drowned_in_what_libraries_log(tmp_path: Path) -> None:
    def vigie(*words: str) -> str:
        done = subprocess.run([sys.executable, "-m", "vigie", *words], capture_output=True, text=True, check=True, cwd=tmp_path)
        return done.stdout + done.stderr

    (tmp_path / "fw.swu").write_bytes(b"firmware")
    vigie("release", "keys", "--out", "KEYS")
    (tmp_path / "KEYS/offline/targets-1.pem").unlink()
    signing = "release sign fw.swu --version 4.3.0 --models B --hw 2 --keys KEYS --out targets.json"
    assert vigie(*signing.split()) == "targets.json: 2 of 2 signatures; ready for `vigie release add`\n"


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(cli.__file__).resolve().parent.parent / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
