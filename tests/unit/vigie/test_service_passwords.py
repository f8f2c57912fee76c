"""The file of the programs' broker passwords: made once, kept, and completed when an update brings an account."""

from pathlib import Path

import pytest

from fleet.broker_access import SERVICE_RULES
from fleet.errors import VigieError
from vigie.commands.registry import service_passwords


def test_passwords_are_made_once_and_stay(tmp_path: Path) -> None:
    file = tmp_path / "broker" / "service-passwords.csv"
    made = service_passwords(file)
    assert set(made) == set(SERVICE_RULES)
    assert file.stat().st_mode & 0o777 == 0o600
    assert service_passwords(file) == made


@pytest.mark.parametrize("end", ["\n", ""])
def test_an_account_that_an_update_brings_is_added_beside_the_old_ones(tmp_path: Path, end: str) -> None:
    file = tmp_path / "service-passwords.csv"
    file.write_text(f"account,password\nvigie-ingest,one\nvigie-web,two{end}")
    completed = service_passwords(file)
    assert set(completed) == set(SERVICE_RULES)
    assert (completed["vigie-ingest"], completed["vigie-web"]) == ("one", "two")
    assert service_passwords(file) == completed


def test_a_file_that_cannot_be_completed_names_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "service-passwords.csv"
    file.write_text("account,password\nvigie-ingest,one\n")
    really = Path.open

    def read_only(path: Path, mode: str = "r", **more: str) -> object:
        if mode != "r":
            raise OSError(30, "Read-only file system")
        return really(path, mode, **more)  # type: ignore[call-overload]  # handed on as it came

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(VigieError, match=r"add passwords for .*vigie-watch.*Read-only file system"):
        service_passwords(file)
