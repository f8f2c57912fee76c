"""What set-up installs is pinned, hashed, and names no place it came from."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)((?:.*\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+))", re.MULTILINE)


def _locked(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version, _ in PINNED.findall((ROOT / name).read_text()):
        found.setdefault(package, set()).add(version)
    return found


def _asked(requirements: list[str]) -> set[str]:
    names = {re.split(r"[\[<>=~! ]", requirement)[0] for requirement in requirements}
    return {name.lower().replace("_", "-") for name in names}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(PINNED.findall(text)) == len(re.findall(r"^[a-z0-9-]+==", text, flags=re.MULTILINE)) > 0
    assert "://" not in text
    assert "file:" not in text


def test_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    running, developing = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert _asked(project["project"]["dependencies"]) <= set(running)
    assert _asked(project["dependency-groups"]["dev"]) <= set(developing)


def test_tests_run_on_the_versions_that_are_delivered() -> None:
    running, developing = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert {name: developing.get(name) for name in running} == running
