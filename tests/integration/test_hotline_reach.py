"""The overflow floor lists and changes what is its own: our floor's calls, callbacks, hand-overs and attachments stay ours."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest

from hotline.handovers import hand_over
from tests.running_web import PORT_BAR, RunningWeb

# Call ids of the telephone system: ours, theirs (of our floor's queue at first), and one that names nobody and still rings.
OURS, THEIRS, ANYBODYS, GIVEN_UP = "ours", "theirs", "anybodys", "given up"


@pytest.fixture(scope="module")
def web(module_database_url: str) -> Iterator[RunningWeb]:
    running = RunningWeb(module_database_url)
    running.start()
    for call, agent in ((OURS, "Alice Martin"), (THEIRS, "Odile Renard")):
        running.ring(call, user=[agent])
        running.hook(event="answer", callId=call, user=agent)
    running.ring(GIVEN_UP, "0199009988")
    running.hook(event="hangup", callId=GIVEN_UP, cause="cancel")
    running.ring(ANYBODYS, "0465710101")
    yield running
    running.stop()


class Overflow:
    """An agent of the overflow floor, and a program of theirs."""

    def __init__(self, web: RunningWeb, browser: httpx.Client) -> None:
        self.web, self._browser = web, browser
        csrf = browser.get("/console/account").text.split('name="csrf" value="')[1].split('"')[0]
        self._headers = {"X-CSRF-Token": csrf}
        self._program = {"Authorization": f"Bearer {web.access.overflow}"}

    def get(self, path: str) -> httpx.Response:
        return self._browser.get(path)

    def post(self, path: str, **data: object) -> int:
        return self._browser.post(path, data=data, headers=self._headers).status_code

    def put(self, path: str, **body: object) -> int:
        return self._browser.put(path, json=body, headers=self._headers).status_code

    def program(self, method: str, path: str, **body: object) -> httpx.Response:
        return httpx.request(method, self.web.url + path, json=body or None, headers=self._program)


@pytest.fixture
def odile(web: RunningWeb) -> Iterator[Overflow]:
    with web.client("odile") as browser:
        yield Overflow(web, browser)


def of(web: RunningWeb, statement: str, *values: object) -> int:
    """The number that a statement says."""
    with psycopg.connect(web.database_url) as conn:
        row = conn.execute(statement, values).fetchone()
    assert row is not None
    return int(row[0])


def call_of(web: RunningWeb, call_id: str) -> int:
    return of(web, "SELECT id FROM hotline.call WHERE call_id = %s", call_id)


def calls_listed(web: RunningWeb, html: str) -> set[str]:
    names = {call_of(web, name): name for name in (OURS, THEIRS, ANYBODYS, GIVEN_UP)}
    return {name for call, name in names.items() if f'"/console/calls/{call}"' in html}


@pytest.mark.parametrize("path", ["/console", "/console/today", "/console/calls"])
def test_lists_of_calls_are_the_floors(web: RunningWeb, odile: Overflow, path: str) -> None:
    assert calls_listed(web, odile.get(path).text) == {THEIRS, ANYBODYS}
    with web.client("level1") as own:
        assert calls_listed(web, own.get(path).text) == {OURS, THEIRS, ANYBODYS, GIVEN_UP}


def test_its_list_goes_back_a_week(web: RunningWeb, odile: Overflow) -> None:
    made = {}
    with psycopg.connect(web.database_url) as conn:
        for days in (6, 8):
            row = conn.execute(
                "INSERT INTO hotline.call (call_id, direction, state, from_number, rang_at, ended_at, answered_by)"
                " SELECT %s, 'in', 'ended', '+33199001234', %s, %s, id FROM hotline.agent WHERE login = 'odile' RETURNING id",
                [f"{days} days ago", *[web.clock() - timedelta(days=days)] * 2],
            ).fetchone()
            assert row is not None
            made[days] = f'"/console/calls/{row[0]}"'
    listed = odile.get("/console/calls").text
    assert [made[days] in listed for days in (6, 8)] == [True, False]
    with web.client("level1") as own:
        assert made[8] in own.get("/console/calls").text


@pytest.mark.parametrize("path", ["calls", "callbacks", "terminals", "incidents", "points-of-sale", "incidents/1/silent-victims"])
def test_no_program_of_the_floor_goes_through_everything_page_by_page(odile: Overflow, path: str) -> None:
    assert [odile.program("GET", f"/api/v1/{path}").status_code, odile.get(f"/api/v1/{path}").status_code] == [403, 403]


def test_an_incident_is_no_way_through_the_registry(web: RunningWeb, odile: Overflow) -> None:
    with psycopg.connect(web.database_url) as conn:
        conn.execute(
            "INSERT INTO fleet.terminal SELECT 'T' || 60000 + n, 'PV00001', 'B', '1', '4.2.1', '4g', 'alpha', 'L01', ''"
            " FROM generate_series(1, 60) n"
        )
        conn.execute(
            "INSERT INTO diagnostics.incident_terminal (incident_id, terminal_id, joined_at, hit_at)"
            " SELECT 1, 'T' || 60000 + n, %(now)s, %(now)s FROM generate_series(1, 60) n",
            {"now": web.clock()},
        )

    def shown(get: Callable[[str], httpx.Response], page: int) -> set[str]:
        return set(re.findall(r"/console/terminals/(T6\d{4})", get(f"/console/incidents/1?terminals={page}").text))

    with web.client("level1") as own:
        assert shown(own.get, 1).isdisjoint(shown(own.get, 2))
        assert shown(own.get, 2)
        assert "terminals=2" in own.get("/console/incidents/1").text
    assert shown(odile.get, 2) == shown(odile.get, 1)
    assert "terminals=2" not in odile.get("/console/incidents/1").text


def test_it_finds_shops_as_a_person_does(web: RunningWeb, odile: Overflow) -> None:
    found = odile.program("GET", "/api/v1/points-of-sale?phone=0199001234").json()
    assert ([one["code"] for one in found["items"]], found["next"]) == ([PORT_BAR], None)
    with psycopg.connect(web.database_url) as conn:
        conn.execute(
            "INSERT INTO fleet.point_of_sale"
            " SELECT 'PX' || n, 'Relais ' || n, '13', '93', 'AG04', 'Europe/Paris', 'Mo-Su 00:00-24:00'"
            " FROM generate_series(1, 20) n"
        )
    assert len(odile.program("GET", "/api/v1/points-of-sale?q=relais&limit=500").json()["items"]) == 12
    headers = {"Authorization": f"Bearer {next(iter(web.access.api.values()))}"}
    assert len(httpx.get(f"{web.url}/api/v1/points-of-sale?q=relais&limit=500", headers=headers).json()["items"]) == 20


@pytest.mark.parametrize(("call_id", "status"), [(OURS, 403), (GIVEN_UP, 403), (THEIRS, 200), (ANYBODYS, 200)])
def test_it_writes_of_its_own_calls(web: RunningWeb, odile: Overflow, call_id: str, status: int) -> None:
    call = call_of(web, call_id)
    assert odile.post(f"/console/calls/{call}/notes", text="papier") == status
    assert odile.post(f"/console/calls/{call}/editing") == status
    said = {"subject": "technical", "outcome": "solved", "version": 0}
    assert odile.program("PUT", f"/api/v1/calls/{call}/qualification", **said).status_code == status
    assert odile.put(f"/api/v1/exchange-calls/{call_id}/note", text="papier") == (204 if status == 200 else 403)
    form = odile.get(f"/console/calls/{call}/qualification").text
    assert ('class="qualify"' in form) is (status == 200)


def test_it_attaches_its_own_calls_and_undoes_its_own_attachments(web: RunningWeb, odile: Overflow) -> None:
    ours, theirs = call_of(web, OURS), call_of(web, THEIRS)
    assert odile.post("/console/incidents/1/calls", call=[ours, theirs]) == 403
    assert odile.program("POST", "/api/v1/incidents/1/calls", calls=[ours]).status_code == 403
    assert odile.post("/console/incidents/1/calls", call=[theirs]) == 303
    headers = {"Authorization": f"Bearer {next(iter(web.access.api.values()))}"}
    made = httpx.post(f"{web.url}/api/v1/incidents/1/calls", json={"calls": [ours]}, headers=headers).json()["id"]
    shown = odile.get("/console/incidents/1/calls").text
    assert calls_listed(web, shown) == {THEIRS}
    assert f"/console/attachments/{made}/undo" not in shown
    assert odile.post(f"/console/attachments/{made}/undo") == 403
    assert odile.program("POST", f"/api/v1/attachments/{made}/undo").status_code == 403
    own = of(web, "SELECT id FROM hotline.attachment WHERE author = 'odile'")
    assert f"/console/attachments/{own}/undo" in shown
    assert odile.post(f"/console/attachments/{own}/undo") == 303


def test_a_call_that_our_floor_attached_is_not_detached_by_its_form(web: RunningWeb, odile: Overflow) -> None:
    theirs = call_of(web, THEIRS)
    headers = {"Authorization": f"Bearer {next(iter(web.access.api.values()))}"}
    made = httpx.post(f"{web.url}/api/v1/incidents/1/calls", json={"calls": [theirs]}, headers=headers).json()["id"]
    assert f"call-{theirs}-detach" not in odile.get(f"/console/calls/{theirs}/qualification").text
    assert odile.post(f"/console/calls/{theirs}/incident", incident=0) == 403
    assert httpx.post(f"{web.url}/api/v1/attachments/{made}/undo", headers=headers).status_code == 200


def test_it_withdraws_and_sees_its_own_hand_overs(web: RunningWeb, odile: Overflow) -> None:
    with psycopg.connect(web.database_url) as conn:
        staff: dict[str, int] = dict(conn.execute("SELECT login, id FROM hotline.agent").fetchall())
        made = {
            author: hand_over(conn, call=call_of(web, call), reason=author, author=author, agent=staff[author], now=web.clock()).id
            for author, call in (("alice", OURS), ("odile", THEIRS))
        }
    assert [one["author"] for one in odile.program("GET", "/api/v1/handovers").json()] == ["Odile Renard"]
    listed = odile.get("/console/handovers").text
    assert ("Odile Renard" in listed, "Alice Martin" in listed) == (True, False)
    assert odile.program("POST", f"/api/v1/handovers/{made['alice']}/withdraw").status_code == 403
    assert odile.post(f"/console/handovers/{made['alice']}/withdraw") == 403
    assert odile.post(f"/console/handovers/{made['odile']}/withdraw") == 303


def test_it_closes_no_callback_of_ours(web: RunningWeb, odile: Overflow) -> None:
    callback = of(web, "SELECT id FROM hotline.callback WHERE call = %s", call_of(web, GIVEN_UP))
    assert f"callback-{callback}-" not in odile.get("/console/callbacks").text
    assert {odile.post(f"/console/callbacks/{callback}/{change}") for change in ("take", "done", "drop")} == {403}
    assert odile.program("POST", f"/api/v1/callbacks/{callback}/drop").status_code == 403
    with web.client("level1") as own:
        assert f"callback-{callback}-drop" in own.get("/console/callbacks").text


def test_it_does_not_say_that_our_telephony_is_down(web: RunningWeb, odile: Overflow) -> None:
    assert [odile.post("/console/telephony/down"), odile.program("POST", "/api/v1/telephony/down").status_code] == [403, 403]
    page = odile.get("/console/manual-calls").text
    assert ('id="enter-call"' in page, 'id="telephony-say"' in page) == (True, False)
    assert of(web, "SELECT count(*) FROM hotline.telephony_gap") == 0
