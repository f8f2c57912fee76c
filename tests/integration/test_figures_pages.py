import csv
import io
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from hotline.attendance import present_now
from hotline.figures import Period, read_period
from hotline.manual_calls import begin_gap, end_gap
from hotline.opening import ZONE
from hotline.roles import Role
from hotline.web import roll_call, shared_wall
from tests.integration.ingest_house import wait_for
from tests.running_web import PORT_BAR, RunningWeb
from tests.stored_calls import put_call, put_leg

QUICKLY = timedelta(milliseconds=100)


@pytest.fixture
def web(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningWeb]:
    """The web program at noon in Paris, with the reference case: 70 in time, 10 given up in time, 20 later."""
    monkeypatch.setattr(roll_call, "NOTED_EVERY", QUICKLY)
    today = datetime.now(ZONE).replace(hour=12, minute=0, second=0, microsecond=0)
    running = RunningWeb(database_url, clock_offset_s=round((today - datetime.now(ZONE)).total_seconds()))
    with psycopg.connect(database_url) as conn:
        alice = conn.execute("SELECT id FROM hotline.agent WHERE login = 'alice'").fetchone()
        assert alice is not None
        for count, answered, ended in ((70, 20.0, 110.0), (10, None, 30.0), (20, 90.0, 200.0)):
            for place in range(count):
                rang_at = running.clock() - timedelta(hours=2, seconds=place)
                call = put_call(conn, rang_at=rang_at, answered_s=answered, ended_s=ended, shop=PORT_BAR if place == 0 else None)
                if answered is not None:
                    put_leg(conn, call, number=1, rang_at=rang_at, began_s=0, answered_s=answered, ended_s=ended, agent=alice[0])
    running.start()
    yield running
    running.stop()


def text(answer: httpx.Response) -> str:
    """What a page says, spaces made plain."""
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text))


def test_the_page_shows_all_four_readings_and_each_figure_opens_its_calls(web: RunningWeb) -> None:
    with web.client("supervisor") as browser:
        page = browser.get("/console/figures?by=floor")
        said = text(page)
        for share in ("77,8 %", "70,0 %", "80,0 %"):
            assert share in said
        assert "objectif manqué" in said
        links = re.findall(r'href="(/console/figures/calls\?[^"]*what=(\w+)[^"]*)"[^>]*>([^<]*)<', page.text)
        opened = {what: browser.get(address.replace("&amp;", "&")) for address, what, _ in links}
        assert {"offered", "in_time", "answered", "abandoned", "gave_up_in_time"} <= set(opened)
        counts = {what: re.search(r'<h1>[^<]*<span class="muted">(\d+)<', answer.text) for what, answer in opened.items()}
        found = {what: int(count.group(1)) for what, count in counts.items() if count}
        assert (found["offered"], found["in_time"], found["answered"]) == (100, 70, 90)
        assert (found["abandoned"], found["gave_up_in_time"]) == (10, 10)
        assert "Le Bar du Port" in opened["abandoned"].text


def test_every_grouping_and_period_is_a_page_in_both_languages(web: RunningWeb) -> None:
    for login in ("supervisor", "administrator"):
        with web.client(login) as browser:
            for by in ("half_hour", "day", "floor", "level", "agent"):
                assert "100" in text(browser.get(f"/console/figures?by={by}"))
            assert browser.get("/console/figures?first=2020-01-01&last=nonsense&floor=x&level=9&agent=-&by=z").status_code == 200
    with web.client("carol") as english:
        assert "Answered within 60 s" in text(english.get("/console/wallboard"))


def test_the_wall_is_for_everybody_and_figures_for_those_who_lead(web: RunningWeb) -> None:
    with web.client("alice") as browser:
        wall = browser.get("/console/wallboard")
        assert "70,0 %" in text(wall)
        assert "/console/figures/calls" not in wall.text
        assert browser.get("/console/wallboard/now").status_code == 200
        assert browser.get("/console/figures").status_code == 403
        assert browser.get("/console/figures.csv").status_code == 403
    with web.client("dsi") as browser:
        assert browser.get("/console/figures").status_code == 200
        assert browser.get("/console/figures?by=agent").status_code == 403
        assert browser.get("/console/figures?agent=1").status_code == 403
        assert "Alice Martin" not in text(browser.get("/console/figures/calls?what=answered"))
    with web.client("supervisor") as browser:
        assert "Alice Martin" in text(browser.get("/console/figures/calls?what=answered"))


def test_the_overflow_floor_is_shown_its_own_wall_and_no_more(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        conn.execute("UPDATE hotline.agent SET floor = 'overflow' WHERE login IN ('bruno', 'supervisor')")
    with web.client("bruno") as browser:
        wall = text(browser.get("/console/wallboard"))
        assert "70,0 %" not in wall
        assert "plateau interne" not in wall
    with web.client("supervisor") as browser:
        assert browser.get("/console/figures").status_code == 403
        assert browser.get("/console/figures.csv").status_code == 403


def test_all_who_look_at_the_wall_share_one_reading(web: RunningWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[datetime] = []

    def counting(*args: Any, now: datetime, **asked: Any) -> Period:
        read.append(now)
        return read_period(*args, now=now, **asked)

    monkeypatch.setattr(shared_wall, "read_period", counting)
    monkeypatch.setattr(shared_wall, "KEPT_S", 60.0)
    with psycopg.connect(web.database_url) as conn:
        conn.execute("UPDATE hotline.agent SET floor = 'overflow' WHERE login = 'bruno'")
    with web.client("alice") as ours, web.client("bruno") as theirs:
        walls = [browser.get("/console/wallboard/now") for browser in (ours, theirs, ours)]
    assert len(read) == 1
    assert ["70,0 %" in text(wall) for wall in walls] == [True, False, True]


def test_nobody_waits_while_somebody_else_reads_the_wall_anew(web: RunningWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = web.server.web.wall
    last = wall.look()
    monkeypatch.setattr(shared_wall, "KEPT_S", 0.0)

    def reading(*args: Any, **asked: Any) -> Period:
        with ThreadPoolExecutor() as others:
            assert others.submit(wall.look).result(timeout=5) is last
        return read_period(*args, **asked)

    monkeypatch.setattr(shared_wall, "read_period", reading)
    assert wall.look() is not last


def test_files_hold_the_figures_and_their_calls_without_numbers(web: RunningWeb) -> None:
    with web.client("supervisor") as browser:
        answer = browser.get("/console/figures.csv?by=level")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        whole, level = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
        assert (whole["level"], level["level"]) == ("", "1")
        assert (whole["offered"], whole["abandons_against"], whole["abandons_for"]) == ("100", "0.7", "0.8")
        assert float(whole["abandons_against_low"]) < 0.7 < float(whole["abandons_against_high"])
        assert whole["handling_s"] == "154.4444"
        calls = browser.get("/console/figures/calls.csv?what=gave_up_in_time").content.decode("utf-8-sig")
        listed = list(csv.DictReader(io.StringIO(calls)))
        assert len(listed) == 10
        assert {one["outcome"] for one in listed} == {"gave_up_in_time"}
        assert {one["wait_s"] for one in listed} == {"30"}
        assert "199001234" not in calls


def test_the_calendar_moves_the_figures(web: RunningWeb) -> None:
    today = web.clock().astimezone(ZONE).date()
    with web.client("supervisor") as browser:
        csrf = browser.get("/console/opening").text.split('name="csrf" value="')[1].split('"')[0]
        saved = browser.post("/console/opening", data={"csrf": csrf, "day": [str(today)], "was": [""], "ends": ["09:00"]})
        assert saved.status_code == 303
        assert "Personne supervisor" in text(browser.get("/console/opening"))
        said = text(browser.get("/console/figures"))
        assert "Hors horaires d'ouverture 100" in said.replace("&#39;", "'")
        refused = browser.post("/console/opening", data={"csrf": csrf, "day": [str(today)], "was": ["09:00"], "ends": ["7 Uhr"]})
        assert refused.status_code == 422
        assert "7 Uhr" in refused.text
        early = {"csrf": csrf, "day": [str(today)], "was": ["09:00"], "ends": ["07:00"]}
        assert browser.post("/console/opening", data=early).status_code == 422
        assert browser.post("/console/opening", data={"csrf": csrf, "day": [str(today)], "ends": []}).status_code == 422
        browser.post("/console/opening", data={"csrf": csrf, "day": [str(today)], "was": ["09:00"], "ends": [""]})
        assert "77,8 %" in text(browser.get("/console/figures"))
    with web.client("alice") as browser:
        assert browser.get("/console/opening").status_code == 200


def test_a_calendar_saved_from_an_old_page_changes_only_what_was_changed_on_it(web: RunningWeb) -> None:
    first = web.clock().astimezone(ZONE).date()
    days = [first + timedelta(days=count) for count in range(3)]

    def shown(page: httpx.Response) -> list[str]:
        found = [re.search(rf'name="day" value="{day}">.*?name="ends" value="([^"]*)"', page.text) for day in days]
        return [one.group(1) for one in found if one]

    def save(browser: httpx.Client, was: list[str], ends: list[str]) -> httpx.Response:
        csrf = browser.get("/console/opening").text.split('name="csrf" value="')[1].split('"')[0]
        return browser.post("/console/opening", data={"csrf": csrf, "day": list(map(str, days)), "was": was, "ends": ends})

    with web.client("supervisor") as eva, web.client("administrator") as max_:
        assert save(eva, ["", "", ""], ["21:00", "", "23:00"]).status_code == 303
        # From a page that was opened before.
        assert save(max_, ["", "", ""], ["", "22:00", ""]).status_code == 303
        assert shown(eva.get("/console/opening")) == ["21:00", "22:00", "23:00"]
        refused = save(max_, ["", "22:00", ""], ["20:00", "22:15", ""])
        assert refused.status_code == 409
        assert "a modifié" in refused.text
        # What another changed is shown as it is, what was typed besides is kept; saved again, it holds.
        assert shown(refused) == ["21:00", "22:15", "23:00"]
        assert shown(eva.get("/console/opening")) == ["21:00", "22:00", "23:00"]
        assert save(max_, ["21:00", "22:00", "23:00"], ["20:00", "22:15", ""]).status_code == 303
        assert shown(eva.get("/console/opening")) == ["20:00", "22:15", ""]
        # Who wants what another has said already is no conflict.
        assert save(eva, ["21:00", "22:00", "23:00"], ["20:00", "22:15", "23:00"]).status_code == 303


def test_programs_read_the_same_figures_and_calls(web: RunningWeb) -> None:
    headers = {"Authorization": f"Bearer {web.access.api[Role.DSI]}"}
    with httpx.Client(base_url=f"{web.url}/api/v1", headers=headers, timeout=10) as api:
        told = api.get("/figures", params={"by": "floor"}).json()
        assert {name: figure["value"] for name, figure in told["whole"]["service_level"].items()} == {
            "abandons_ignored": pytest.approx(0.778, abs=0.0005),
            "abandons_against": 0.7,
            "abandons_for": 0.8,
            "answered_only": pytest.approx(0.778, abs=0.0005),
        }
        assert [group["key"] for group in told["groups"]] == ["own"]
        page = api.get("/figures/calls", params={"what": "gave_up_in_time", "limit": 6}).json()
        rest = api.get("/figures/calls", params={"what": "gave_up_in_time", "limit": 6, "cursor": page["next"]}).json()
        assert (len(page["items"]), len(rest["items"]), rest["next"]) == (6, 4, None)
        assert len({one["call"] for one in page["items"] + rest["items"]}) == 10
        assert api.get("/figures", params={"by": "agent"}).status_code == 403
        assert api.get("/figures", params={"first": "2026-11-23", "last": "2026-11-22"}).status_code == 422
        assert api.get("/figures", params={"first": "2026-01-01", "last": "2026-12-31"}).status_code == 422
        assert api.get("/figures/calls", params={"what": "all"}).status_code == 422
        assert api.put("/race-days/2026-11-24", json={"ends": "21:00"}).status_code == 403


def test_programs_read_and_write_the_race_calendar(web: RunningWeb) -> None:
    headers = {"Authorization": f"Bearer {web.access.api[Role.SUPERVISOR]}"}
    with httpx.Client(base_url=f"{web.url}/api/v1", headers=headers, timeout=10) as api:
        saved = api.put("/race-days/2026-11-24", json={"ends": "00:20"}).json()
        assert saved == {
            "day": "2026-11-24",
            "opens_at": "2026-11-24T06:00:00Z",
            "closes_at": "2026-11-24T23:20:00Z",
            "named": True,
        }
        days = api.get("/race-days", params={"first": "2026-11-23", "last": "2026-11-25"}).json()
        assert [day["named"] for day in days] == [False, True, False]
        assert api.put("/race-days/2026-11-24", json={"ends": "07:00"}).json()["errors"][0]["field"] == "ends"
        assert api.put("/race-days/2026-11-24", json={"ends": None}).json()["named"] is False
        assert api.get("/race-days", params={"first": "2026-11-23", "last": "2029-11-25"}).status_code == 422


def test_whose_console_is_open_is_noted(web: RunningWeb) -> None:
    with web.client("alice") as alice, web.client("dsi") as dsi, psycopg.connect(web.database_url, autocommit=True) as conn:
        (ours,) = conn.execute("SELECT id FROM hotline.agent WHERE login = 'alice'").fetchone() or (0,)
        with dsi.stream("GET", "/console/stream"), alice.stream("GET", "/console/stream"):
            wait_for(lambda: bool(present_now(conn, now=web.clock())), what="alice's attendance")
            time.sleep(3 * QUICKLY.total_seconds())
            # The IT department answers no calls.
            assert present_now(conn, now=web.clock()) == {ours}
            assert "agents libres" in text(alice.get("/console/wallboard"))


def test_a_time_without_telephony_is_marked_in_the_figures(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        begin_gap(conn, author="alice", now=web.clock() - timedelta(minutes=30))
        end_gap(conn, author="alice", now=web.clock() - timedelta(minutes=20))
    with web.client("supervisor") as browser:
        for page in ("/console/figures", "/console/wallboard"):
            assert "pas de téléphonie" in text(browser.get(page)).lower(), page
        yesterday = web.clock().astimezone(ZONE).date() - timedelta(days=1)
        assert "pas de téléphonie" not in text(browser.get(f"/console/figures?first={yesterday}&last={yesterday}")).lower()
