"""Accounts in the console: made, changed and closed by administrators; one's own password and sessions by everybody."""

import re
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from hotline.audit import CHANGED, SIGN_IN_REFUSED, entries
from hotline.sessions import GUESSES_PER_LOGIN
from tests.running_web import PASSWORD, RunningWeb


@pytest.fixture(scope="module")
def web(module_database_url: str) -> Iterator[RunningWeb]:
    running = RunningWeb(module_database_url, cti_events_per_s=0.2)
    running.start()
    yield running
    running.stop()


def csrf_of(browser: httpx.Client) -> str:
    return browser.get("/console/account").text.split('name="csrf" value="')[1].split('"')[0]


def agent_id(web: RunningWeb, login: str) -> int:
    with psycopg.connect(web.database_url) as conn:
        row = conn.execute("SELECT id FROM hotline.agent WHERE login = %s", [login]).fetchone()
    assert row is not None
    return int(row[0])


def may_sign_in(web: RunningWeb, login: str, password: str = PASSWORD) -> bool:
    return httpx.post(f"{web.url}/sign-in", data={"login": login, "password": password}, timeout=10).status_code == 303


def deeds(web: RunningWeb, login: str) -> list[tuple[str, dict[str, str]]]:
    with psycopg.connect(web.database_url) as conn:
        return [(row.route, row.subject) for row in entries(conn, actor="administrator", action=CHANGED, containing=login)]


def test_a_new_account_gets_a_password_shown_once(web: RunningWeb) -> None:
    with web.client("administrator") as boss:
        new = {"csrf": csrf_of(boss), "login": "Nadia", "name": "Nadia Roux", "role": "level1", "floor": "overflow"}
        made = boss.post("/console/agents", data=new)
        assert made.status_code == 200
        found = re.search(r'id="password">([^<]+)<', made.text)
        assert found is not None
        assert "Nadia Roux" in boss.get("/console/agents").text
        assert found.group(1) not in boss.get(f"/console/agents/{agent_id(web, 'nadia')}").text
        again = boss.post("/console/agents", data=new)
        assert (again.status_code, "déjà pris" in again.text, 'value="Nadia Roux"' in again.text) == (422, True, True)
    assert may_sign_in(web, "nadia", found.group(1))
    assert deeds(web, "nadia") == [("account made", {"login": "nadia", "role": "level1", "floor": "overflow"})]


def test_another_floor_signs_the_person_out_and_a_mere_name_does_not(web: RunningWeb) -> None:
    alice = agent_id(web, "alice")
    with web.client("administrator") as boss, web.client("alice") as browser:
        form = {"csrf": csrf_of(boss), "name": "Alice Durand", "role": "level1", "floor": "own", "extension": "4021"}
        assert boss.post(f"/console/agents/{alice}", data=form).status_code == 303
        assert "Alice Durand" in browser.get("/console").text
        assert boss.post(f"/console/agents/{alice}", data={**form, "floor": "overflow"}).status_code == 303
        assert browser.get("/console").status_code == 303
    assert deeds(web, "alice") == [
        ("account changed", {"login": "alice", "floor": "own → overflow"}),
        ("account changed", {"login": "alice", "name": "Alice Martin → Alice Durand"}),
    ]


def test_a_closed_account_opens_nothing_until_it_is_opened_again(web: RunningWeb) -> None:
    carol = agent_id(web, "carol")
    with web.client("administrator") as boss, web.client("carol") as browser:
        csrf = csrf_of(boss)
        boss.post(f"/console/agents/{carol}/state", data={"csrf": csrf, "active": "false"})
        assert browser.get("/console").status_code == 303
        assert not may_sign_in(web, "carol")
        boss.post(f"/console/agents/{carol}/state", data={"csrf": csrf, "active": "true"})
        assert may_sign_in(web, "carol")
        renewed = boss.post(f"/console/agents/{carol}/password", data={"csrf": csrf})
        found = re.search(r'id="password">([^<]+)<', renewed.text)
        assert found is not None
    assert [may_sign_in(web, "carol", word) for word in (PASSWORD, found.group(1))] == [False, True]


@pytest.mark.parametrize(
    ("act", "form"),
    [
        ("", {"name": "x", "role": "level1", "floor": "own"}),
        ("", {"name": "x", "role": "administrator", "floor": "overflow"}),
        ("/state", {"active": "false"}),
        ("/password", {}),
    ],
)
def test_no_administrator_locks_themselves_out(web: RunningWeb, act: str, form: dict[str, str]) -> None:
    with web.client("administrator") as boss:
        own = agent_id(web, "administrator")
        answer = boss.post(f"/console/agents/{own}{act}", data={"csrf": csrf_of(boss), **form})
        assert (answer.status_code, "un autre administrateur" in answer.text) == (422, True)
        assert boss.get("/console/agents").status_code == 200


def test_ones_own_password_is_changed_only_by_who_knows_it(web: RunningWeb) -> None:
    with web.client("bruno") as browser:
        csrf = csrf_of(browser)

        def change(current: str, new: str) -> int:
            answer = browser.post("/console/account/password", data={"csrf": csrf, "current": current, "new": new})
            return answer.status_code

        assert [change("wrong", "a new long password"), change(PASSWORD, "short")] == [422, 422]
        assert change(PASSWORD, "a new long password") == 303
        assert browser.get("/console").status_code == 303
    assert [may_sign_in(web, "bruno", word) for word in (PASSWORD, "a new long password")] == [False, True]


def test_an_open_session_is_no_licence_to_guess_its_password(web: RunningWeb) -> None:
    with web.client("rollout_manager") as browser:
        csrf = csrf_of(browser)

        def change(current: str) -> httpx.Response:
            form = {"csrf": csrf, "current": current, "new": "a new long password"}
            return browser.post("/console/account/password", data=form)

        assert [change("wrong").status_code for _ in range(GUESSES_PER_LOGIN)] == [422] * GUESSES_PER_LOGIN
        refused = change(PASSWORD)
        assert (refused.status_code, "Trop de tentatives" in refused.text) == (429, True)
    with psycopg.connect(web.database_url) as conn:
        found = entries(conn, actor="rollout_manager", action=SIGN_IN_REFUSED)
    assert [row.subject["reason"] for row in found] == ["too_many", *["wrong"] * GUESSES_PER_LOGIN]


def test_signing_out_everywhere_ends_every_session(web: RunningWeb) -> None:
    with web.client("level2") as office, web.client("level2") as home:
        assert office.post("/sign-out-everywhere", data={"csrf": csrf_of(office)}).status_code == 303
        assert [browser.get("/console").status_code for browser in (office, home)] == [303, 303]


def test_supervisors_read_the_audit_and_find_who_saw_a_shop(web: RunningWeb) -> None:
    with web.client("veille") as veille:
        veille.get("/console/points-of-sale/PV00002")
    with web.client("supervisor") as supervisor:
        found = supervisor.get("/console/audit", params={"what": "PV00002", "action": "saw"})
        assert found.status_code == 200
        assert "Personne veille" in found.text
        elsewhere = supervisor.get("/console/audit", params={"what": "PV00002", "day": "2020-01-01"})
        assert "Personne veille</td>" not in elsewhere.text
        assert "Rien n'a été vu" in elsewhere.text.replace("&#39;", "'")


def test_the_call_hook_refuses_an_address_that_floods_it(web: RunningWeb) -> None:
    event = {"event": "newCall", "callId": "flood", "direction": "in", "from": "0199001234", "to": "3008"}
    hook = f"{web.url}/api/v1/cti/{web.access.cti}"
    answers = [httpx.post(hook, json=event, timeout=5) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) > 1
    assert answers[-1].headers["Content-Type"] == "application/problem+json"
