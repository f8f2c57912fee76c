"""A release's whole way by the command line: keys, signing by two holders, trusting, adding, showing, withdrawing, a stolen key."""

import json
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from firmware_rollout.audit import entries_of
from firmware_rollout.releases import ReleaseError, list_releases
from tests.integration.small_fleet import add_shops
from vigie.cli import app
from vigie.commands.acting import acting


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    with psycopg.connect(database_url) as conn:
        add_shops(conn, 2)
    for name, value in (
        ("DATABASE_URL", database_url),
        ("STATE_DIR", str(tmp_path / "state")),
        ("RELEASE_STORE", str(tmp_path / "store")),
        ("RELEASE_KEYS", str(tmp_path / "keys/online")),
    ):
        monkeypatch.setenv(f"VIGIE_{name}", value)
    return Run(tmp_path)


class Run:
    """Runs `vigie release …`, with DIR standing for the test's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, line: str) -> str:
        done = CliRunner().invoke(app, ["release", *line.replace("DIR", str(self.folder)).split()])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    def holder(self, name: str, *keys: str) -> None:
        """A folder as one holder has it: some of the offline keys, and the public root."""
        (self.folder / name).mkdir()
        for file in (*(f"{key}.pem" for key in keys), "root.json"):
            (self.folder / name / file).write_bytes((self.folder / "keys/offline" / file).read_bytes())


SIGN = "sign DIR/fw.swu --version 4.3.0 --models B --hw 1 --notes faster --keys DIR/{} --out DIR/targets.json"


def test_a_release_goes_its_way_from_two_holders_to_the_fleet_and_out(run: Run, database_url: str) -> None:
    (run.folder / "fw.swu").write_bytes(b"firmware" * 1000)
    run("keys --out DIR/keys")
    run.holder("anna", "targets-1")
    run.holder("bo", "targets-3")
    assert "1 of 2 signatures; 1 more must sign" in run(SIGN.format("anna"))
    assert "root 1 is trusted" in run("trust DIR/keys/online/root.json")
    with pytest.raises(ReleaseError, match="lacks signatures"):
        run("add DIR/fw.swu --targets DIR/targets.json")
    said = run("cosign DIR/targets.json --keys DIR/bo")
    assert "4.3.0 models B, hardware 1 8,000 bytes" in said, "who signs sees what"
    assert "2 of 2 signatures; ready" in said
    assert "release 4.3.0 added, for model B" in run("add DIR/fw.swu --targets DIR/targets.json")
    run("declare 4.2.1 --model B --notes theirs")
    shown = run("show 4.3.0")
    assert "fw.swu, 8,000 bytes sha256" in shown
    assert "8,000 B" in run("list")
    with psycopg.connect(database_url) as conn:
        roles = [row[0] for row in conn.execute("SELECT role FROM firmware_rollout.metadata ORDER BY 1")]
        assert roles == ["root", "snapshot", "targets", "timestamp"], "devices can be told at once"
        assert [release.version for release in list_releases(conn)] == ["4.3.0", "4.2.1"]

    said = run("withdraw 4.3.0 --why smoke")
    assert "4.3.0 is withdrawn" in said
    assert "terminals still believe it until the maker signs without it" in said
    assert "withdrawn" in run("show 4.3.0")
    run("resign --without 4.3.0 --keys DIR/keys --out DIR/targets.json")
    assert "the metadata was taken in" in run("add --targets DIR/targets.json")
    with psycopg.connect(database_url) as conn:
        noted = [(one.deed, json.loads(one.details), one.actor) for one in reversed(entries_of(conn))]
    assert [deed for deed, _, _ in noted] == [
        "trusted_root",
        "added_release",
        "declared_release",
        "withdrew_release",
        "took_targets",
    ]
    assert {actor for _, _, actor in noted} == {acting()}
    trusted, added, declared, withdrew, taken = (details for _, details, _ in noted)
    assert trusted["sha256"] == sha256((run.folder / "keys/online/root.json").read_bytes()).hexdigest()
    assert trusted["root"] == 1
    assert (added["version"], added["targets"], declared["version"]) == ("4.3.0", 1, "4.2.1")
    assert (withdrew["version"], withdrew["why"]) == ("4.3.0", "smoke")
    assert (taken["targets"], taken["left_out"]) == (2, ["4.3.0"])


def test_a_stolen_key_is_rotated_away(run: Run) -> None:
    (run.folder / "fw.swu").write_bytes(b"firmware")
    run("keys --out DIR/keys")
    run("trust DIR/keys/online/root.json")
    run.holder("thief", "targets-2")
    run("rotate targets-2 --keys DIR/keys/offline --out DIR/new")
    assert "root 2 is trusted" in run("trust DIR/new/root.json")
    with pytest.raises(ReleaseError, match="root: version 2 cannot follow 2"):
        run("trust DIR/new/root.json")
    run.holder("anna", "targets-1")
    for holder in ("thief", "anna"):
        (run.folder / holder / "root.json").write_bytes((run.folder / "keys/offline/root.json").read_bytes())
    run(SIGN.format("thief"))
    run("cosign DIR/targets.json --keys DIR/anna")
    with pytest.raises(ReleaseError, match="lacks signatures"):
        run("add DIR/fw.swu --targets DIR/targets.json")
