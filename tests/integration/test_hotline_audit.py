"""Who saw and who changed what: every answer leaves its row, and no row is ever changed."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from hotline.audit import CHANGED, COMMAND_LINE, SAW, SIGN_IN_REFUSED, SIGNED_IN, Deed, Entry, entries, record
from hotline.floors import Floor
from hotline.roles import Role
from tests.running_web import PORT_BAR, RunningWeb

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def web(module_database_url: str) -> Iterator[RunningWeb]:
    running = RunningWeb(module_database_url)
    running.start()
    yield running
    running.stop()


def rows(web: RunningWeb, actor: str = "", containing: str = "") -> list[Entry]:
    with psycopg.connect(web.database_url) as conn:
        return entries(conn, actor=actor, containing=containing)


def test_pages_seen_leave_a_row_an_hour_and_changes_always_one(web: RunningWeb) -> None:
    web.ring("audited")
    with web.client("bruno") as bruno:
        csrf = bruno.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        for _ in range(3):
            bruno.get(f"/console/points-of-sale/{PORT_BAR}")
            bruno.post("/language", data={"language": "fr", "csrf": csrf})
        bruno.get("/console/search", params={"q": "01 99 00 12 34"})
    found = rows(web, "bruno")
    assert [(row.action, row.route, row.subject) for row in reversed(found)] == [
        (SIGNED_IN, "POST /sign-in", {}),
        (SAW, "GET /console", {}),
        (SAW, "GET /console/points-of-sale/{code}", {"code": PORT_BAR}),
        *[(CHANGED, "POST /language", {})] * 3,
        (SAW, "GET /console/search", {"q": "•• •• •• •• 34"}),
    ]
    assert {(row.agent_name, row.floor, row.address) for row in found} == {("Bruno Lefèvre", Floor.OWN, "127.0.0.1")}


def test_a_form_that_stays_under_somebodys_hands_leaves_one_row(web: RunningWeb) -> None:
    with web.client("alice") as alice:
        csrf = alice.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        for _ in range(3):
            assert alice.post("/console/calls/1/editing", data={"csrf": csrf}).status_code == 200
        assert alice.post("/console/calls/1/editing", data={"csrf": "guessed"}).status_code == 403
    found = rows(web, "alice", "POST /console/calls/{call}/editing")
    assert [(row.action, row.status) for row in reversed(found)] == [(SAW, 200), (SAW, 403)]


def test_what_was_refused_is_written_too(web: RunningWeb) -> None:
    with web.client("veille") as veille:
        for _ in range(2):
            assert veille.post("/console/calls/1/notes", data={"text": "x"}).status_code == 403
    assert [row.status for row in rows(web, "veille", "/console/calls/{call}/notes")] == [403, 403]


def test_programs_stand_in_it_by_their_tokens_name(web: RunningWeb) -> None:
    headers = {"Authorization": f"Bearer {web.access.api[Role.DSI]}"}
    assert httpx.get(f"{web.url}/api/v1/terminals/T00012", headers=headers).status_code == 200
    [row] = rows(web, "[api dsi]")
    assert (row.action, row.route, row.subject) == (SAW, "GET /api/v1/terminals/{terminal_id}", {"terminal_id": "T00012"})


def test_a_call_that_came_up_on_a_screen_was_seen_by_its_agent(web: RunningWeb) -> None:
    with web.client("alice") as alice, alice.stream("GET", "/console/stream") as stream:
        lines = stream.iter_lines()
        web.ring("seen by alice", user=["Alice Martin"])
        assert any(line.startswith("event: pop") for line in lines)
        with psycopg.connect(web.database_url) as conn:
            row = conn.execute("SELECT id::text FROM hotline.call WHERE call_id = 'seen by alice'").fetchone()
        assert row is not None
        until = time.monotonic() + 5
        while not (found := rows(web, "alice", row[0])) and time.monotonic() < until:
            time.sleep(0.02)
    assert [(one.action, one.subject) for one in found] == [(SAW, {"call": row[0]})]
    assert rows(web, "bruno", row[0]) == []


def test_a_refused_sign_in_names_the_login_only_if_it_is_one(web: RunningWeb) -> None:
    for login in ("Carol", "a password typed into the wrong field"):
        assert httpx.post(f"{web.url}/sign-in", data={"login": login, "password": "x"}).status_code == 401
    found = [row for row in rows(web) if row.action == SIGN_IN_REFUSED]
    assert [(row.actor, row.subject) for row in reversed(found)] == [("carol", {"reason": "wrong"}), ("?", {"reason": "wrong"})]


def test_what_the_audit_cannot_keep_is_not_shown(web: RunningWeb) -> None:
    with web.client("level2") as browser:
        assert browser.get("/console/calls").status_code == 200
        with psycopg.connect(web.database_url, autocommit=True) as admin:
            admin.execute("ALTER TABLE hotline.audit RENAME TO audit_away")
            try:
                answer = browser.get(f"/console/points-of-sale/{PORT_BAR}")
            finally:
                admin.execute("ALTER TABLE hotline.audit_away RENAME TO audit")
        assert (answer.status_code, "Bar du Port" in answer.text) == (503, False)
        assert browser.get(f"/console/points-of-sale/{PORT_BAR}").status_code == 200


def test_a_change_that_the_audit_cannot_keep_says_that_it_may_stand(web: RunningWeb) -> None:
    with web.client("level2") as browser:
        csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        with psycopg.connect(web.database_url, autocommit=True) as admin:
            admin.execute("ALTER TABLE hotline.audit RENAME TO audit_away")
            try:
                answer = browser.post("/language", data={"language": "fr", "csrf": csrf})
            finally:
                admin.execute("ALTER TABLE hotline.audit_away RENAME TO audit")
    assert (answer.status_code, "may have been done" in answer.text) == (503, True)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE hotline.audit SET actor = 'somebody else'",
        "DELETE FROM hotline.audit",
        "TRUNCATE hotline.audit",
    ],
)
def test_no_row_is_changed_or_deleted_before_its_time(conn: psycopg.Connection, statement: str) -> None:
    record(conn, [Deed(COMMAND_LINE, CHANGED, "vigie agent add", {"login": "alice"})], now=datetime.now(UTC) - timedelta(days=170))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"), conn.transaction():
        conn.execute(statement)
    assert [row.actor for row in entries(conn)] == ["command line"]


def test_rows_are_found_by_who_what_and_when(conn: psycopg.Connection) -> None:
    record(conn, [Deed(COMMAND_LINE, CHANGED, "vigie agent add", {"login": "alice"})], now=NOW)
    record(conn, [Deed(COMMAND_LINE, SAW, "GET /console/calls/{call}", {"call": "12"}, status=200)], now=NOW + timedelta(hours=1))

    def found(**asked: object) -> list[str]:
        return [row.action for row in entries(conn, **asked)]  # type: ignore[arg-type]  # each case names its own filters

    assert found() == [SAW, CHANGED]
    assert found(action=SAW) == [SAW]
    assert found(containing="12") == [SAW]
    assert found(containing="agent add") == [CHANGED]
    assert found(actor="alice") == []
    assert found(since=NOW, until=NOW + timedelta(hours=1)) == [CHANGED]
    assert found(limit=1) == [SAW]
    assert found(before=entries(conn)[0].id) == [CHANGED]
