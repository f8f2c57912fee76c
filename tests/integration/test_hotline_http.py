from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

from hotline.roles import Role
from hotline.sessions import GUESSES_PER_LOGIN
from tests.running_web import ISLAND, ISLAND_NUMBER, PASSWORD, PORT_BAR, RunningWeb
from tests.web_routes import routes


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program, running on a small fleet."""
    running = RunningWeb(database_url)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def api(web: RunningWeb) -> Iterator[httpx.Client]:
    """A program with a token of an agent's role."""
    headers = {"Authorization": f"Bearer {web.access.api[Role.LEVEL1]}"}
    with httpx.Client(base_url=f"{web.url}/api/v1", headers=headers, timeout=10) as client:
        yield client


def problem(answer: httpx.Response, status: int, field: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    if field is not None:
        assert [error["field"] for error in body["errors"]] == [field]
    return body


@pytest.mark.parametrize("by", ["json", "data"])
def test_json_form_and_every_spelling_give_the_same_call_and_legs(web: RunningWeb, by: str) -> None:
    hook = f"{web.url}/api/v1/cti/{web.access.cti}"
    for spelling in ("callId", "call_id", "callid"):
        for user in ("user", "user[]"):
            told = {spelling: f"{spelling} {user}"}
            ring = {"event": "newCall", "from": "0199001234", "direction": "in", user: ["alice"], "queue": "n1"}
            for event in (ring, {"event": "answer", user: "Alice Martin"}, {"event": "hangup", "cause": "normalClearing"}):
                posted: dict[str, Any] = {by: {**event, **told}}
                assert httpx.post(hook, **posted).status_code == 200
    with psycopg.connect(web.database_url) as conn:
        calls = conn.execute(
            "SELECT direction, state, from_number, queue, cause, users, called, answered_by, point_of_sale FROM hotline.call"
        ).fetchall()
        legs = conn.execute(
            "SELECT string_agg(concat_ws(' ', kind, queue, agent, level, floor, outcome), ', ' ORDER BY number)"
            " FROM hotline.leg GROUP BY call"
        ).fetchall()
    assert len(calls) == 6
    assert len({str(call) for call in calls}) == 1
    assert len(legs) == 6
    assert len(set(legs)) == 1


def test_a_call_is_given_with_its_legs(web: RunningWeb, api: httpx.Client) -> None:
    web.ring("c", queue="n1")
    web.hook(event="answer", callId="c", answeringNumber="4021")
    web.hook(event="hangup", callId="c")
    legs = api.get("/calls/1").json()["legs"]
    assert [(leg["kind"], leg["queue"], leg["agent"], leg["level"], leg["floor"], leg["outcome"]) for leg in legs] == [
        ("queue", "n1", None, 1, "own", "answered"),
        ("agent", "n1", "Alice Martin", 1, "own", "answered"),
    ]
    assert legs[1]["answered_at"] == api.get("/calls/1").json()["answered_at"]
    with web.client("alice") as browser:
        shown = browser.get("/console/calls/1").text
    assert "Parcours de l" in shown
    assert "file n1" in shown
    assert "décroché" in shown


def test_the_hook_takes_json_and_forms_in_every_spelling(web: RunningWeb) -> None:
    hook = f"{web.url}/api/v1/cti/{web.access.cti}"
    posts: list[dict[str, Any]] = [
        {"json": {"event": "newCall", "callId": "a", "from": "0199001234", "direction": "in", "user": ["alice"]}},
        {"data": {"event": "newCall", "call_id": "b", "from": "0199001234", "direction": "in", "user[]": ["alice", "bruno"]}},
        {"data": {"event": "newCall", "callid": "c", "from": "0199001234", "direction": "in", "user": "alice"}},
        {"files": {"event": (None, "newCall"), "callId": (None, "d"), "from": (None, "0199001234"), "user[]": (None, "alice")}},
        {"content": b'{"event": "newCall", "callId": "e", "from": "0199001234"}'},
        {"content": b"event=newCall&callId=f&from=0199001234", "headers": {"Content-Type": "text/plain"}},
        {"json": {"event": "hold", "callId": "a"}},
        {"json": {"event": "hangup", "callId": "never heard of"}},
    ]
    for post in posts:
        answer = httpx.post(hook, **post)
        assert (answer.status_code, answer.json()) == (200, {}), post
    with psycopg.connect(web.database_url) as conn:
        shops = conn.execute("SELECT call_id, point_of_sale FROM hotline.call WHERE state = 'ringing' ORDER BY 1").fetchall()
        kept = conn.execute("SELECT event, applied, reason FROM hotline.call_event WHERE event = 'hold'").fetchall()
    assert shops == [(letter, PORT_BAR) for letter in "abcdef"]
    assert kept == [("hold", False, "ignored")]


def test_the_hook_refuses_what_it_cannot_read_and_never_fails(web: RunningWeb) -> None:
    hook = f"{web.url}/api/v1/cti/{web.access.cti}"
    problem(httpx.post(hook, json={"event": "newCall"}), 422, "callId")
    problem(httpx.post(hook, json={"callId": "x"}), 422, "event")
    problem(httpx.post(hook, json={"event": "newCall", "callId": "x", "direction": "up"}), 422, "direction")
    problem(httpx.post(hook, json=["newCall"]), 422, "event")
    problem(httpx.post(hook, content=b""), 422, "event")
    problem(httpx.post(hook, content=b"{broken", headers={"Content-Type": "application/json"}), 400)
    problem(httpx.post(hook, content=b"\xff\xfe\x00", headers={"Content-Type": "application/json"}), 400)
    problem(httpx.post(hook, content=b"[" * 100_000, headers={"Content-Type": "application/json"}), 400)
    problem(httpx.post(hook, content=b"x", headers={"Content-Type": "multipart/form-data; boundary=y"}), 400)
    problem(httpx.post(hook, json={"event": "newCall", "callId": "a\x00b"}), 422, "callId")
    problem(httpx.post(hook, content=b"x" * 300_000, headers={"Content-Type": "application/json"}), 413)
    problem(httpx.post(f"{web.url}/api/v1/cti/guess", json={"event": "newCall", "callId": "x"}), 404)
    problem(httpx.post(f"{web.url}/api/v1/cti/{web.access.api[Role.LEVEL1]}", json={"event": "newCall", "callId": "x"}), 404)
    problem(httpx.get(hook), 405)


def test_points_of_sale_are_found_by_number_by_words_and_page_by_page(api: httpx.Client) -> None:
    assert [shop["code"] for shop in api.get("/points-of-sale", params={"phone": "0199001234"}).json()["items"]] == [PORT_BAR]
    assert [shop["code"] for shop in api.get("/points-of-sale", params={"phone": "0262 12 34 56"}).json()["items"]] == [ISLAND]
    assert len(api.get("/points-of-sale", params={"phone": "03 53 01 00 00"}).json()["items"]) == 2
    assert [shop["name"] for shop in api.get("/points-of-sale", params={"q": "cafe gare"}).json()["items"]] == ["Café de la Gare"]
    codes: list[str] = []
    cursor = None
    while True:
        page = api.get("/points-of-sale", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        codes += [shop["code"] for shop in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert codes == ["PV00001", "PV00002", "PV00003", "PV00004"]
    problem(api.get("/points-of-sale", params={"phone": "nothing"}), 422, "phone")
    problem(api.get("/points-of-sale", params={"limit": 0}), 422, "limit")
    problem(api.get("/points-of-sale", params={"cursor": "é"}), 422, "cursor")
    problem(api.get("/points-of-sale/PV99999"), 404, "code")
    problem(api.get("/points-of-sale", params={"q": "a\0b"}), 422)


def test_a_shop_shows_its_terminals_worst_first(api: httpx.Client) -> None:
    shop = api.get(f"/points-of-sale/{PORT_BAR}").json()
    assert [(t["terminal"]["id"], t["health"]["state"]) for t in shop["terminals"]] == [
        ("T00011", "down"),
        ("T00012", "down"),
        ("T00013", "ok"),
    ]


def test_a_terminal_tells_all_that_is_known_of_it(api: httpx.Client) -> None:
    one = api.get("/terminals/T00012").json()
    assert one["terminal"]["carrier"] == "beta"
    assert [reason["code"] for reason in one["health"]["reasons"]] == ["paper_out", "overheating"]
    assert one["presence"]["online"] is True
    assert 0 < one["last_sample"]["age_s"] < 120
    assert one["last_sample"]["figures"]["paper_pct"] == 0
    assert [incident["scope"] for incident in one["incidents"]] == [{"carrier": "beta"}]
    assert one["rollout"]["status"] == "updating"
    problem(api.get("/terminals/T99999"), 404, "terminal_id")


def test_terminals_are_filtered_by_their_dimensions(api: httpx.Client) -> None:
    def ids(**filters: str | int) -> list[str]:
        return [terminal["id"] for terminal in api.get("/terminals", params=filters).json()["items"]]

    assert ids(carrier="beta") == ["T00011", "T00012"]
    assert ids(department="59", model="B", hw="3") == ["T00041"]
    assert ids(point_of_sale=PORT_BAR, firmware="4.1.7") == ["T00013"]
    assert ids(carrier="nobody") == []
    first = api.get("/terminals", params={"limit": 4}).json()
    assert len(first["items"]) == 4
    assert ids(limit=4, cursor=first["next"]) == ["T00031", "T00041"]


def test_samples_come_raw_or_in_steps(web: RunningWeb, api: httpx.Client) -> None:
    samples = api.get("/terminals/T00013/samples").json()
    assert len(samples) == 240
    assert samples == sorted(samples, key=lambda sample: sample["at"])
    assert samples[0]["paper_pct"] == 64
    assert "signal_dbm" not in samples[0]
    minutes = api.get("/terminals/T00013/samples", params={"step": 60}).json()
    assert sum(step["samples"] for step in minutes) == 240
    assert {step["samples"] for step in api.get("/terminals/T00013/samples", params={"step": 300}).json()} == {10}
    now = web.clock()
    problem(api.get("/terminals/T00013/samples", params={"from": now.isoformat(), "to": now.isoformat()}), 422, "from")
    problem(api.get("/terminals/T00013/samples", params={"from": "2026-11-23T10:00:00"}), 422, "from")
    problem(api.get("/terminals/T00013/samples", params={"from": (now - timedelta(days=30)).isoformat()}), 422, "step")
    problem(api.get("/terminals/T00013/samples", params={"from": (now - timedelta(days=30)).isoformat(), "step": 1}), 422, "step")
    problem(api.get("/terminals/T00013/samples", params={"step": 0}), 422, "step")
    problem(api.get("/terminals/T00013/samples", params={"to": "0001-01-01T00:00:00Z"}), 422, "to")


def test_incidents_are_declared_listed_and_refused_with_the_field(web: RunningWeb, api: httpx.Client) -> None:
    watcher = {"Authorization": f"Bearer {web.access.api[Role.VEILLE]}"}
    new = {"title": "Imprimantes", "advice": "Un technicien passe.", "scope": {"model": "B", "hw": "2"}}
    made = api.post("/incidents", json=new, headers=watcher)
    assert made.status_code == 201
    assert made.json()["terminals"] == 3
    assert api.get("/incidents", params={"state": "open"}).json()["items"][0]["title"] == "Imprimantes"
    assert api.get("/incidents", params={"state": "closed"}).json()["items"] == []
    assert api.get(f"/incidents/{made.json()['id']}").json() == made.json()
    first = api.get("/incidents", params={"limit": 1}).json()
    assert len(api.get("/incidents", params={"limit": 1, "cursor": first["next"]}).json()["items"]) == 1
    problem(api.post("/incidents", json=new), 403)
    problem(api.post("/incidents", json={**new, "scope": {"model": "Z"}}, headers=watcher), 422, "scope.model")
    problem(api.post("/incidents", json={**new, "title": ""}, headers=watcher), 422, "title")
    problem(api.post("/incidents", json={**new, "colour": "red"}, headers=watcher), 422, "colour")
    problem(api.get("/incidents/999"), 404, "incident_id")


def test_calls_are_listed_by_shop_number_and_state(web: RunningWeb, api: httpx.Client) -> None:
    web.ring("one")
    web.ring("two", ISLAND_NUMBER)
    web.hook(event="hangup", callId="two", cause="cancel")
    assert [call["call_id"] for call in api.get("/calls").json()["items"]] == ["two", "one"]
    assert [call["call_id"] for call in api.get("/calls", params={"point_of_sale": PORT_BAR}).json()["items"]] == ["one"]
    assert [call["call_id"] for call in api.get("/calls", params={"phone": "0262123456"}).json()["items"]] == ["two"]
    (ended,) = api.get("/calls", params={"state": "ended"}).json()["items"]
    assert (ended["cause"], ended["answered_at"]) == ("cancel", None)
    alone = api.get(f"/calls/{ended['id']}").json()
    assert {name: alone[name] for name in ended} == ended
    problem(api.get("/calls/999"), 404, "call")
    problem(api.get("/calls", params={"state": "asleep"}), 422, "state")


def test_the_description_names_every_route(web: RunningWeb) -> None:
    paths = httpx.get(f"{web.url}/api/v1/openapi.json").json()["paths"]
    assert set(paths) == {route.path for name, route in routes().items() if "/api/" in name}
    assert {"/api/v1/terminals/{terminal_id}", "/api/v1/calls/{call}", "/api/v1/cti/{token}"} <= set(paths)


def test_signing_in_is_strict(web: RunningWeb) -> None:
    with web.client() as browser:
        assert browser.get("/console").headers["Location"] == "/sign-in?next=%2Fconsole"
        foreign = {"login": "alice", "password": PASSWORD}
        assert browser.post("/sign-in", data=foreign, headers={"Origin": "https://evil.example"}).status_code == 403
        assert browser.post("/sign-in", data=foreign, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        for _ in range(GUESSES_PER_LOGIN):
            assert browser.post("/sign-in", data={"login": "alice", "password": "wrong"}).status_code == 401
        assert browser.post("/sign-in", data={"login": "alice", "password": PASSWORD}).status_code == 429
        good = browser.post("/sign-in", data={"login": "bruno", "password": PASSWORD, "next": "//evil.example/"})
        assert good.headers["Location"] == "/console"
        cookie = good.headers["Set-Cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie


def test_what_changes_something_needs_the_sessions_token(web: RunningWeb) -> None:
    web.ring("shared", "+33353010000")
    with web.client("alice") as browser:
        assert browser.post("/console/calls/1/point-of-sale", data={"code": "PV00003"}).status_code == 403
        assert browser.post("/sign-out").status_code == 403
        csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        headers = {"X-CSRF-Token": csrf}
        assert browser.post("/console/calls/1/point-of-sale", data={"code": "PV00003"}, headers=headers).status_code == 204
        assert browser.post("/console/calls/1/point-of-sale", data={"code": "PV99999"}, headers=headers).status_code == 404
        assert "Café de la Gare" in browser.get("/console/calls/1").text
        assert browser.post("/sign-out", data={"csrf": csrf}).headers["Location"] == "/sign-in"
        assert browser.get("/console").status_code == 303


def test_under_tls_the_cookie_is_bound_to_the_host(database_url: str) -> None:
    web = RunningWeb(database_url, web_behind_tls=True)
    web.start()
    try:
        with web.client() as browser:
            answer = browser.post("/sign-in", data={"login": "alice", "password": PASSWORD})
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-vigie=")
        assert "Secure" in cookie
        assert "Path=/;" in cookie
        assert "Domain" not in cookie
        assert "max-age=" in answer.headers["Strict-Transport-Security"]
    finally:
        web.stop()


def test_every_answer_carries_the_security_headers(web: RunningWeb) -> None:
    with web.client("alice") as browser:
        for path in ("/console", "/sign-in", "/nowhere", "/api/v1/terminals", "/static/console.css", "/healthz"):
            answer = browser.get(path)
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';"), path
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            cached = path.startswith("/static/")
            assert ("no-store" in answer.headers["Cache-Control"]) is not cached


def test_pages_have_nothing_inline_and_load_only_from_here(web: RunningWeb) -> None:
    web.ring("one")
    with web.client("veille") as browser:
        for path in (
            "/console",
            "/console/calls/1",
            "/console/incidents",
            "/console/incidents/1",
            "/console/maintenance",
            f"/console/points-of-sale/{PORT_BAR}",
            "/console/terminals/T00012",
        ):
            html = browser.get(path).text
            assert " style=" not in html, path
            assert "<style" not in html, path
            assert " onclick=" not in html, path
            assert "<script>" not in html, path
            assert "http://" not in html.replace('xmlns="http://www.w3.org/2000/svg"', ""), path
            assert "https://" not in html, path


def test_metrics_and_health_are_for_operators(web: RunningWeb) -> None:
    web.ring("one")
    assert httpx.get(f"{web.url}/healthz").json() == {"status": "ok"}
    text = httpx.get(f"{web.url}/metrics").text
    assert 'vigie_web_cti_events_total{kind="rang",reason="started"} 1.0' in text
    assert web.access.cti not in text
    problem(httpx.get(f"{web.url}/metrics", headers={"X-Forwarded-For": "203.0.113.9"}), 401)


def test_people_declare_and_resolve_incidents_on_their_page(web: RunningWeb) -> None:
    with web.client("veille") as browser:
        csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        wrong = browser.post("/console/incidents", data={"csrf": csrf, "title": "X", "carrier": "omega"})
        assert wrong.status_code == 422
        assert "omega" in wrong.text
        made = browser.post("/console/incidents", data={"csrf": csrf, "title": "Lots usés", "lot": "L22"})
        assert made.headers["Location"] == "/console/incidents/2"
        assert "Lots usés" in browser.get("/console/terminals/T00021").text
        browser.post("/console/incidents/2/resolve", data={"csrf": csrf, "detail": "pièces changées"})
        assert "Lots usés" not in browser.get("/console/terminals/T00021").text
        assert "pièces changées" in browser.get("/console/incidents/2").text


def test_cut_connections_heal_by_themselves(web: RunningWeb) -> None:
    with web.client("alice") as browser, psycopg.connect(web.database_url, autocommit=True) as admin:
        # Every connection is cut at once; the pool brings new ones, so that the next page is served.
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        assert browser.get("/console").status_code == 200
        assert httpx.get(f"{web.url}/healthz").status_code == 200
