import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from diagnostics.health import Health
from diagnostics.reasons import Reason, State
from fleet.departments import NAMES, department_name
from hotline.pop import OLD_SAMPLE, never_green_without_data
from hotline.readings import Reading
from hotline.settings import WebSettings
from hotline.web.problems import ProblemError
from hotline.web.rest_models import from_cursor, to_cursor
from hotline.web.screens import Message
from hotline.web.sign_in import own_path
from hotline.web.spreadsheets import plain

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
VENDOR = Path(__file__).resolve().parents[3] / "hotline" / "web" / "static"
TOOLS = Path(__file__).resolve().parents[2] / "e2e"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/console/calls?before=3", "/console/calls?before=3"),
        ("https://evil.example/", "/console"),
        ("//evil.example/", "/console"),
        ("/\\evil.example/", "/console"),
        ("javascript:alert(1)", "/console"),
        ("", "/console"),
    ],
)
def test_after_signing_in_only_our_own_pages_are_gone_to(target: str, path: str) -> None:
    assert own_path(target) == path


def test_a_cursor_reads_back() -> None:
    assert from_cursor(to_cursor("PV00001")) == "PV00001"


@pytest.mark.parametrize("cursor", ["é", "a", "////", "=="])
def test_a_foreign_cursor_is_a_problem_that_names_it(cursor: str) -> None:
    with pytest.raises(ProblemError) as raised:
        from_cursor(cursor)
    assert raised.value.field == "cursor"


def test_a_messages_data_stands_on_one_line() -> None:
    assert Message("pop", json.dumps({"html": "a\nb"}), id="1-2").encode() == b'id: 1-2\nevent: pop\ndata: {"html": "a\\nb"}\n\n'


@pytest.mark.parametrize(
    ("state", "age", "shown"),
    [
        pytest.param(State.OK, timedelta(seconds=30), State.OK, id="judged well, fresh"),
        pytest.param(State.OK, OLD_SAMPLE, State.UNKNOWN, id="judged well, old"),
        pytest.param(State.OK, None, State.UNKNOWN, id="judged well, no sample at all"),
        pytest.param(State.DOWN, None, State.DOWN, id="down stays down"),
        pytest.param(State.CLOSED, timedelta(hours=3), State.CLOSED, id="closed shops may be silent"),
    ],
)
def test_what_has_no_recent_data_is_never_green(state: State, age: timedelta | None, shown: State) -> None:
    reading = None if age is None else Reading("T00001", NOW - age, NOW - age, 1, 1, {})
    health = never_green_without_data(Health("T00001", state, NOW - timedelta(hours=5), NOW, []), reading, now=NOW)
    assert health.state is shown
    if shown is not state:
        assert health.reasons[0].code is Reason.STALE
        assert health.since == (reading.at if reading else NOW - timedelta(hours=5))


def test_departments_have_names() -> None:
    assert len(NAMES) == 101
    assert department_name("2A") == "Corse-du-Sud (2A)"
    assert department_name("974") == "La Réunion (974)"
    assert department_name("XX") == "XX"


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("@bar", "'@bar"), ("+33199001234", "'+33199001234"), ("alice", "alice"), ("PV00001", "PV00001"), ("", "")],
)
def test_no_cell_of_a_file_is_a_formula(text: str, cell: str) -> None:
    assert plain(text) == cell


def test_a_certificate_without_its_key_stops_the_start() -> None:
    with pytest.raises(ValidationError, match="go together"):
        WebSettings.model_validate({"database_url": "postgresql://x", "web_certificate_file": "/x.pem"})


@pytest.mark.parametrize("folder", [VENDOR, TOOLS], ids=["served", "for tests"])
def test_vendored_files_are_the_locked_ones_with_their_licences(folder: Path) -> None:
    lock = json.loads((folder / "vendor.lock.json").read_text(encoding="utf-8"))
    named = {name for package in lock["packages"] for name in package["files"].values()}
    assert named == {path.name for path in (folder / "vendor").iterdir()}
    for package in lock["packages"]:
        assert package["integrity"].startswith("sha512-")
        assert any(name.endswith(".LICENSE.txt") for name in package["files"].values())
    assert "://" not in (folder / "vendor.lock.json").read_text(encoding="utf-8")
