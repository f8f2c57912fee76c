"""A campaign's whole way by the command line: made, approved by another, watched, halted, aborted; and the audit that tells it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from firmware_rollout.audit import entries_of
from firmware_rollout.campaigns import CampaignError
from firmware_rollout.deeds import Deed, do
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.policy import Policy, read_policy, written
from fleet.errors import VigieError
from tests.integration.rollout_house import furnish, lenient_policy, take_step
from vigie.cli import app
from vigie.commands.acting import account


class Run:
    """Runs `vigie …`, with DIR standing for the test's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, [word.replace("DIR", str(self.folder)) for word in words], env={"COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, done.output
        return " ".join(done.output.split())


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    with psycopg.connect(database_url) as conn:
        furnish(conn)
    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)
    monkeypatch.setenv("VIGIE_STATE_DIR", str(tmp_path / "state"))
    return Run(tmp_path)


def test_a_campaign_goes_its_way_by_the_command_line(run: Run, database_url: str) -> None:
    (run.folder / "policy.json").write_text(written(lenient_policy()))
    made = run(
        "campaign", "create", "autumn", "--release", "4.3.0", "--where", "model=B", "--policy", "DIR/policy.json", "--by", "alix"
    )
    assert "autumn: draft since" in made
    assert "only 10 shops: the gate learns little from so few" in made
    assert f"release 4.3.0 for model=B; 20 terminals; seed 1; made by alix [cli: {account()}], not approved" in made
    assert " 1 │ once approved │" in made
    with pytest.raises(CampaignError, match="what can be done to it: approve, abort"):
        run("campaign", "roll-back", "autumn", "--why", "fire", "--by", "sacha")
    with pytest.raises(CampaignError, match="a second person approves it"):
        run("campaign", "approve", "autumn", "--by", "alix")
    approved = run("campaign", "approve", "autumn", "--by", "sacha")
    assert approved.startswith(f"autumn is approved made and approved by the one account {account()}: nothing proves two people")
    with psycopg.connect(database_url) as conn:
        for _ in range(2):
            take_step(conn, datetime.now(UTC))
    shown = run("campaign", "show", "autumn")
    assert "autumn: running since" in shown
    assert "2 updating" in shown
    assert "2 became updating: wave due" in shown
    assert "when the gate lets it" in shown
    assert run("campaign", "pause", "autumn", "--why", "lunch", "--by", "sacha") == "autumn is paused"
    assert run("campaign", "resume", "autumn", "--why", "coffee", "--by", "sacha") == "autumn is running"
    assert run("campaign", "halt", "autumn", "--why", "smoke", "--by", "sacha") == "autumn is halted"
    assert "halted since" in run("campaign", "show", "autumn")
    undone = run("campaign", "roll-back", "autumn", "--why", "fire", "--by", "sacha")
    assert undone == "autumn is rolling back: 0 terminals go back, 2 on their way are asked to stop"
    shown = run("campaign", "show", "autumn")
    assert ("did not begin" in shown, "when the gate lets it" in shown) == (True, False)
    assert run("campaign", "abort", "autumn", "--why", "enough", "--by", "sacha") == "autumn is aborted"
    assert "autumn: aborted (enough); wave 1 of 3; " in run("campaign", "watch", "autumn"), "it has ended, so watching ends"
    assert "aborted" in run("campaign", "list")
    assert run("campaign", "replay", "autumn") == "0 readings, each comes out as it was stored"
    assert "rows, each follows from the one before; the newest hash is " in run("audit", "verify")


def test_a_name_that_was_only_said_stands_beside_the_account_that_said_it(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    for by in ("vigie rollout", "sacha [cli: dsi]"):
        named = ("campaign", "create", by[:5], "--release", "4.3.0", "--where", "model=B", "--by", by)
        if "[" in by:
            with pytest.raises(VigieError, match="a name without brackets"):
                run(*named)
        else:
            run(*named)
    run("campaign", "abort", "vigie", "--why", "a try")
    made = run("campaign", "create", "autumn", "--release", "4.3.0", "--where", "model=B", "--by", "Alix")
    assert f"made by Alix [cli: {account()}]" in made
    with psycopg.connect(database_url) as conn:
        with pytest.raises(CampaignError, match="alix made this campaign"):
            do(conn, "autumn", Deed.APPROVE, actor="alix", why="", now=datetime.now(UTC))
        assert do(conn, "autumn", Deed.APPROVE, actor="sacha", why="", now=datetime.now(UTC)).approved_by == "sacha"
        entries = entries_of(conn)
        assert [one.actor for one in entries] == [
            "sacha",
            f"Alix [cli: {account()}]",
            f"{account()} [cli: {account()}]",
            f"vigie rollout [cli: {account()}]",
        ]
        assert "one_account" not in entries[0].details, "a console's person is somebody else"
        assert [one.number for one in entries_of(conn, actor="alix")] == [3]


def test_what_is_watched_from_a_file_gets_a_line_for_each_change(run: Run, database_url: str) -> None:
    run("campaign", "create", "autumn", "--release", "4.3.0", "--where", "model=B", "--by", "alix")
    command = [sys.executable, "-m", "vigie", "campaign", "watch", "autumn", "--every-s", "0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline()[16:] == "  autumn: draft; wave 0 of 7; 20 planned\n", "at once, not at its end"
        with psycopg.connect(database_url) as conn:
            do(conn, "autumn", Deed.ABORT, actor="sacha", why="enough", now=datetime.now(UTC))
        assert [line[16:] for line in watching.stdout] == ["  autumn: aborted (enough); wave 0 of 7; 20 planned\n"]
    assert watching.returncode == 0


def test_the_list_is_read_on_a_narrow_terminal(run: Run, database_url: str) -> None:
    run("campaign", "create", "4.3.0, model B", "--release", "4.3.0", "--where", "model=B", "--by", "alix")
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE firmware_rollout.campaign SET state = 'rolling_back'")
    lines = CliRunner().invoke(app, ["campaign", "list"], env={"COLUMNS": "80"}).output.rstrip().splitlines()
    assert " rolling back " in lines[-1], "whole, and in one line"
    assert "4.3.0, model B" in lines[-1]
    assert "0 of 20 done" in lines[-1]


def test_a_policy_to_start_from_can_be_read_again(run: Run) -> None:
    assert read_policy(run("campaign", "policy")) == Policy()
    (run.folder / "policy.json").write_text(json.dumps({"cap_in_flight": -1}))
    with pytest.raises(PolicyError, match="cap_in_flight: must be above 0"):
        run("campaign", "create", "a", "--release", "4.3.0", "--where", "model=B", "--policy", "DIR/policy.json")


def test_an_audit_that_was_tampered_with_fails_the_command(run: Run, database_url: str) -> None:
    run("campaign", "create", "autumn", "--release", "4.3.0", "--where", "model=B", "--by", "alix")
    head = run("audit", "verify").rsplit(" ", 1)[1]
    assert "1 rows" in run("audit", "verify", "--number", "1", "--hash", head)
    assert "row 1 has another hash" in run("audit", "verify", "--number", "1", "--hash", "00" * 32, status=1)
    assert "row 7 is gone: there are 1 rows" in run("audit", "verify", "--number", "7", "--hash", head, status=1)
    with pytest.raises(VigieError, match="hash: name a row's number and its hash together"):
        run("audit", "verify", "--number", "1")
    with psycopg.connect(database_url) as conn:
        conn.execute("ALTER TABLE firmware_rollout.audit DISABLE TRIGGER audit_is_for_ever")
        conn.execute("UPDATE firmware_rollout.audit SET actor = 'claude'")
    assert "row 1 does not follow" in run("audit", "verify", status=1)
