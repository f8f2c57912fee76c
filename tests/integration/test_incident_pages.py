"""What the IT department sees of incidents and does about them, over HTTP, on incidents as the watch stores them."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import psycopg
import pytest

from diagnostics.maintenance_store import announce
from diagnostics.troubles import Trouble
from hotline.roles import Role
from tests.running_web import ISLAND, PORT_BAR, RunningWeb
from tests.seeded_incidents import Seeded, seed_health, seed_incident

CARRIER, PART, MUTED, OVER = 2, 3, 4, 5


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """A small fleet with a declared incident, one that was found and has a part, one under maintenance, one that is over."""
    running = RunningWeb(database_url)
    now = running.clock()
    with psycopg.connect(database_url) as conn:
        found = seed_incident(conn, Seeded(Trouble.OFFLINE, {"carrier": "beta"}), now=now)
        assert found == CARRIER
        seed_health(conn, found, reason="offline", state="down", value=None, now=now)
        seed_incident(conn, Seeded(Trouble.CALLS, {"department": "13"}, columns={"parent_id": found}, z={}), now=now)
        seed_incident(conn, Seeded(Trouble.OFFLINE, {"department": "974"}, columns={"muted": True}), now=now)
        seed_incident(conn, Seeded(Trouble.PRINTER, {"model": "B"}, began=120, closed=30, state="closed"), now=now)
        announce(
            conn,
            scope={"department": "974"},
            starts_at=now - timedelta(hours=1),
            ends_at=now + timedelta(hours=1),
            note="Changement de routeur",
            actor="dsi",
            now=now,
        )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def dsi(web: RunningWeb) -> Iterator[httpx.Client]:
    """The IT department's browser; what it posts carries the session's token."""
    with web.client("dsi") as browser:
        csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        browser.headers["X-CSRF-Token"] = csrf
        yield browser


@pytest.fixture
def api(web: RunningWeb) -> Iterator[httpx.Client]:
    """The IT department's program, which reads English."""
    headers = {"Authorization": f"Bearer {web.access.api[Role.DSI]}", "Accept-Language": "en"}
    with httpx.Client(base_url=f"{web.url}/api/v1", headers=headers, timeout=10) as client:
        yield client


def titles(html: str) -> list[str]:
    """The incidents of the list, from the top, as their links name them; a part is marked."""
    found = re.findall(r'<a id="incident-\d+"[^>]*>(.*?)</a>', html, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", title).strip() for title in found]


def test_the_list_shows_open_incidents_first_with_their_parts_under_them_and_muted_ones_apart(dsi: httpx.Client) -> None:
    html = dsi.get("/console/incidents").text
    assert titles(html) == [
        "Terminaux hors ligne\u00a0: opérateur beta",
        "partie\u00a0: Afflux d’appels\u00a0: département des Bouches-du-Rhône (13)",
        "Opérateur beta : coupures du réseau 4G",
        "Terminaux hors ligne\u00a0: département de La Réunion (974)",
        "Pannes d’imprimante\u00a0: modèle B",
    ]
    assert html.index("sous maintenance annoncée") < html.index("La Réunion (974)") < html.index('id="over-title"')
    assert titles(dsi.get("/console/incidents/now").text) == titles(html)


def test_the_list_is_filtered(dsi: httpx.Client) -> None:
    for query, shown in (
        ("state=closed", {OVER}),
        ("trouble=offline", {CARRIER, MUTED}),
        ("trouble=declared", {1}),
        ("dimension=department", {PART, MUTED}),
        ("dimension=department&value=974", {MUTED}),
        ("state=acknowledged", set()),
        # A filter that is none of ours filters nothing.
        ("state=rotten&trouble=rotten&dimension=rotten&days=2", {1, CARRIER, PART, MUTED, OVER}),
    ):
        html = dsi.get(f"/console/incidents?{query}").text
        assert {int(one) for one in re.findall(r'<a id="incident-(\d+)"', html)} == shown, query


def test_an_incident_says_what_where_since_when_why_and_whom_it_hits(dsi: httpx.Client) -> None:
    html = dsi.get(f"/console/incidents/{CARRIER}").text
    assert "Terminaux hors ligne\u00a0: opérateur beta" in html
    assert "Panne du réseau de l’opérateur beta." in html
    assert "2 terminaux touchés sur 2 dans le périmètre" in html
    assert "il s&#39;étend\u00a0: 2 terminaux touchés" in html
    assert "Afflux d’appels" in html
    for terminal in ("T00011", "T00012"):
        assert f"/console/terminals/{terminal}" in html
    assert "/console/terminals/T00013" not in html
    assert "Bouches-du-Rhône (13)\u00a0: 2 terminaux touchés sur 3" not in html
    assert "Bouches-du-Rhône (13)\u00a0: 2 terminaux touchés sur 2 dans le périmètre (100" in html


def test_plots_and_map_are_drawings_that_a_reader_of_screens_can_tell(dsi: httpx.Client) -> None:
    html = dsi.get(f"/console/incidents/{CARRIER}").text
    plots = re.findall(r'<svg xmlns="http://www.w3.org/2000/svg" class="plot".*?</svg>', html, re.DOTALL)
    assert len(plots) >= 4
    for plot in plots:
        root = ET.fromstring(plot)
        assert root.get("role") == "img"
        assert root[0].text
        assert root[1].text
    (france,) = re.findall(r'<svg class="map".*?</svg>', html, re.DOTALL)
    root = ET.fromstring(france)
    uses = [one for one in root.iter("use") if "map-area" in (one.get("class") or "")]
    assert len(uses) == 96
    tiles = [one.text for one in root.iter("text") if one.get("class") == "map-code"]
    assert tiles == ["75", "92", "93", "94", "971", "972", "973", "974", "976"]
    assert [one.get("class") for one in uses if (one.get("href") or "").endswith("#13")] == ["map-area map-4"]
    assert "CC BY 4.0" in html


def test_terminals_come_page_by_page_and_by_department(dsi: httpx.Client, web: RunningWeb) -> None:
    def shown(query: str) -> list[str]:
        table = dsi.get(f"/console/incidents/{OVER}?{query}").text.split('id="terminals"')[1].split("</section>")[0]
        return re.findall(r"/console/terminals/(T\d+)", table)

    assert shown("") == shown("terminals=1")
    assert set(shown("")) == {"T00011", "T00012", "T00031", "T00041"}
    # Worst first: the two that are down lead.
    assert set(shown("")[:2]) == {"T00011", "T00012"}
    assert set(shown("department=59")) == {"T00031", "T00041"}
    assert shown("terminals=2") == []
    assert dsi.get(f"/console/incidents/{OVER}?terminals=0").status_code == 422
    assert dsi.get("/console/incidents/99").status_code == 404


def test_silent_victims_are_those_hit_that_have_not_rung(dsi: httpx.Client, web: RunningWeb) -> None:
    def silent() -> list[str]:
        answer = dsi.get(f"/console/incidents/{CARRIER}/silent.csv")
        assert answer.headers["Content-Type"].startswith("text/csv")
        return [row["point_of_sale"] for row in csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff")))]

    assert silent() == [PORT_BAR]
    assert "Le Bar du Port" in dsi.get(f"/console/incidents/{CARRIER}").text.split('id="silent-title"')[1]
    web.ring("about it")
    assert silent() == []
    page = dsi.get(f"/console/incidents/{CARRIER}").text
    assert "tous les points de vente touchés ont appelé" in page
    assert "/console/calls/1" in page.split('id="rang-title"')[1]


def test_the_csv_holds_no_formula(dsi: httpx.Client, web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        conn.execute("UPDATE fleet.point_of_sale SET name = '=HYPERLINK(\"x\")' WHERE code = %s", [PORT_BAR])
    row = next(csv.DictReader(io.StringIO(dsi.get(f"/console/incidents/{CARRIER}/silent.csv").text.lstrip("\ufeff"))))
    assert row["name"].startswith("'=")
    assert row["phones"].startswith("'+33")


def test_people_take_an_incident_on_comment_resolve_and_reopen_it(dsi: httpx.Client) -> None:
    page = f"/console/incidents/{CARRIER}"
    assert "Prendre en charge" in dsi.get(page).text
    for what, data in (("acknowledge", {}), ("comments", {"text": "Fibre coupée <b>"}), ("resolve", {"detail": "Fibre réparée"})):
        assert dsi.post(f"{page}/{what}", data=data).headers["Location"] == page
    html = dsi.get(page).text
    assert "Prendre en charge" not in html
    assert "Personne dsi" in html
    assert "Fibre coupée &lt;b&gt;" in html
    assert "Fibre réparée" in html
    assert dsi.post(f"{page}/reopen", data={"detail": "toujours en panne"}).status_code == 303
    assert "rouvert" in dsi.get(page).text
    refused = dsi.post(f"{page}/comments", data={"text": "  "})
    assert refused.status_code == 422
    assert "Un commentaire ne peut pas être vide." in refused.text


def test_who_only_reads_is_offered_nothing_to_do(web: RunningWeb) -> None:
    with web.client("alice") as browser:
        for path in ("/console/incidents", f"/console/incidents/{CARRIER}", "/console/maintenance"):
            assert not re.findall(
                r'<form[^>]*action="/console/(?:incidents|maintenance)[^"]*"[^>]*method="post"', browser.get(path).text
            )
            assert not re.findall(r'method="post" action="/console/(?:incidents|maintenance)', browser.get(path).text)


def test_maintenance_is_announced_cancelled_and_refused_in_words(dsi: httpx.Client, web: RunningWeb) -> None:
    assert "Changement de routeur" in dsi.get("/console/maintenance").text
    later = {"note": "Coupure de courant", "starts": "2030-01-01T10:00", "ends": "2030-01-01T12:00", "department": "59"}
    assert dsi.post("/console/maintenance", data=later).status_code == 303
    assert "Coupure de courant" in dsi.get("/console/maintenance").text
    for wrong, words in (
        ({**later, "ends": "2030-01-01T09:00"}, "La fin doit être après le début"),
        ({**later, "starts": "demain"}, "Il faut une date et une heure de début"),
        ({**later, "note": " "}, "Dites en quelques mots ce qui est fait"),
        ({**later, "department": "75"}, "Aucun terminal n&#39;a cette valeur\u00a0: département."),
    ):
        refused = dsi.post("/console/maintenance", data=wrong)
        assert refused.status_code == 422
        assert words in refused.text
    assert dsi.post("/console/maintenance/1/cancel").status_code == 303
    assert "annulée" in dsi.get("/console/maintenance").text
    assert dsi.post("/console/maintenance/1/cancel").status_code == 404


def test_a_notice_that_reached_nobody_is_told_to_those_who_act(dsi: httpx.Client, web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        conn.execute(
            "INSERT INTO diagnostics.notice (channel, incident_id, kind, reason, made_at, replayed, body, state, due_at,"
            " tried_since, settled_at, error) VALUES ('astreinte', %(id)s, 'opened', 'opened', %(now)s, false, '{}', 'dead',"
            " %(now)s, %(now)s, %(now)s, 'connection refused')",
            {"id": CARRIER, "now": web.clock()},
        )
    assert "connection refused" in dsi.get("/console/incidents").text
    assert "astreinte" in dsi.get(f"/console/incidents/{CARRIER}").text
    with web.client("alice") as browser:
        assert "connection refused" not in browser.get("/console/incidents").text


def test_a_call_names_the_incident_that_explains_it_and_what_to_say(web: RunningWeb) -> None:
    web.ring("one")
    with web.client("alice") as browser:
        html = browser.get("/console/calls/1").text
    strip = html.split('class="incident"')[1].split("</article>")[0]
    assert "Terminaux hors ligne\u00a0: opérateur beta" in strip
    assert "signalé sur la page de la DSI" in strip
    assert re.search(r"ici\s: T0001[12], T0001[12]", strip)
    assert "Panne du réseau de l’opérateur beta." in strip
    assert "Votre terminal n’est plus relié à nous" in strip
    # A part of it is not said again.
    assert "Afflux d’appels" not in html


def test_a_caller_is_told_that_the_it_department_knows_only_while_it_does(web: RunningWeb) -> None:
    def told(channel: str, reason: str) -> bool:
        with psycopg.connect(web.database_url) as conn:
            conn.execute(
                "INSERT INTO diagnostics.notice (channel, incident_id, kind, reason, made_at, replayed, body, state, due_at,"
                " tried_since, settled_at) VALUES (%(channel)s, %(id)s, 'opened', %(reason)s, %(now)s, false, '{}', 'sent',"
                " %(now)s, %(now)s, %(now)s)",
                {"id": CARRIER, "now": web.clock(), "channel": channel, "reason": reason},
            )
        with web.client("alice") as browser:
            return "la DSI est prévenue" in browser.get("/console/points-of-sale/" + PORT_BAR).text

    # The topic's state reaches whoever reads it, perhaps nobody.
    assert not told("mqtt", "opened")
    assert told("astreinte", "opened")
    assert not told("astreinte", "over")


def test_a_call_from_under_maintenance_names_the_work_and_not_its_incident(web: RunningWeb) -> None:
    with web.client("alice") as browser:
        html = browser.get(f"/console/points-of-sale/{ISLAND}").text
    assert "Changement de routeur" in html
    assert "Terminaux hors ligne" not in html


def test_rest_lists_incidents_in_the_callers_language(api: httpx.Client) -> None:
    def ids(**filters: str | int) -> list[int]:
        return [one["id"] for one in api.get("/incidents", params=filters).json()["items"]]

    assert ids(state="open") == [4, 3, 2, 1]
    assert ids(state="closed") == [OVER]
    assert ids(state="acknowledged") == []
    assert ids(trouble="declared") == [1]
    assert ids(trouble="offline", dimension="department", value="974") == [MUTED]
    one = api.get(f"/incidents/{CARRIER}").json()
    assert one["title"] == "Terminals off line: carrier beta"
    assert one["cause"] == "A fault in the network of carrier beta."
    assert (one["trouble"], one["hits"], one["terminals"], one["children"]) == ("offline", 2, 2, [PART])
    assert one["evidence"]["contrasts"]
    assert one["why"][0].startswith("2 of 2 terminals in the scope")
    french = api.get(f"/incidents/{CARRIER}", headers={"Accept-Language": "fr"}).json()
    assert french["title"] == "Terminaux hors ligne\u00a0: opérateur beta"
    for wrong in ({"dimension": "colour"}, {"value": "x"}, {"since": "2026-11-23T10:00:00"}, {"cursor": "é"}, {"state": "rotten"}):
        refused(api.get("/incidents", params=wrong), 422, next(iter(wrong)))


def test_rest_tells_the_course_the_terminals_the_victims_and_the_minutes(api: httpx.Client) -> None:
    events = api.get(f"/incidents/{CARRIER}/events").json()["items"]
    assert [event["kind"] for event in events] == ["opened", "grew"]
    assert events[1]["text"] == "it grows: 2 terminals hit"
    first = api.get(f"/incidents/{OVER}/terminals", params={"limit": 3}).json()
    rest = api.get(f"/incidents/{OVER}/terminals", params={"limit": 3, "cursor": first["next"]}).json()
    assert [one["terminal_id"] for one in first["items"] + rest["items"]] == ["T00011", "T00012", "T00031", "T00041"]
    assert api.get("/incidents/1/terminals", params={"hit": False}).json()["items"] == []
    assert [one["point_of_sale"] for one in api.get(f"/incidents/{CARRIER}/silent-victims").json()["items"]] == [PORT_BAR]
    minutes = api.get(f"/incidents/{CARRIER}/minutes").json()
    assert len(minutes) > 40
    assert minutes[-1]["inside_hit"] == 2
    assert set(minutes[-1]["z"]) == {"rtt_ms", "loss_pct"}
    for part in ("events", "terminals", "silent-victims", "minutes"):
        refused(api.get(f"/incidents/99/{part}"), 404, "incident_id")


def test_rest_acts_as_the_page_does(api: httpx.Client, web: RunningWeb) -> None:
    assert api.post(f"/incidents/{CARRIER}/acknowledge").json()["acknowledged_by"] == "api dsi"
    assert api.post(f"/incidents/{CARRIER}/comments", json={"text": "on it"}).status_code == 201
    assert api.post(f"/incidents/{CARRIER}/resolve", json={"detail": "mended"}).json()["state"] == "closed"
    assert api.post(f"/incidents/{CARRIER}/reopen", json={}).json()["state"] == "open"
    kinds = [event["kind"] for event in api.get(f"/incidents/{CARRIER}/events").json()["items"]]
    assert kinds == ["opened", "grew", "acknowledged", "commented", "resolved", "reopened"]
    refused(api.post(f"/incidents/{CARRIER}/comments", json={"text": ""}), 422, "text")
    refused(api.post(f"/incidents/{CARRIER}/comments", json={"text": " "}), 422, "text")
    refused(api.post("/incidents/99/acknowledge"), 404, "incident_id")
    with psycopg.connect(web.database_url) as conn:
        conn.execute(
            "UPDATE diagnostics.incident SET state = 'closed', closed_at = now(), parent_id = %s WHERE id = %s", [CARRIER, PART]
        )
        conn.execute(
            "INSERT INTO diagnostics.incident_event (incident_id, at, kind, actor) VALUES (%s, now(), 'merged', 'watch')", [PART]
        )
    refused(api.post(f"/incidents/{PART}/reopen", json={}), 409, "id")


def test_rest_announces_and_cancels_maintenance(api: httpx.Client) -> None:
    new = {"note": "Routers", "starts_at": "2030-01-01T10:00:00Z", "ends_at": "2030-01-01T12:00:00Z", "scope": {"carrier": "beta"}}
    made = api.post("/maintenance-windows", json=new)
    assert made.status_code == 201
    page = api.get("/maintenance-windows", params={"limit": 1}).json()
    assert [one["note"] for one in page["items"]] == ["Routers"]
    older = api.get("/maintenance-windows", params={"limit": 1, "cursor": page["next"]}).json()
    assert ([one["note"] for one in older["items"]], older["next"]) == (["Changement de routeur"], None)
    assert api.get(f"/maintenance-windows/{made.json()['id']}").json() == made.json()
    assert api.post(f"/maintenance-windows/{made.json()['id']}/cancel").json()["cancelled_by"] == "api dsi"
    refused(api.post(f"/maintenance-windows/{made.json()['id']}/cancel"), 409, "id")
    refused(api.post("/maintenance-windows", json={**new, "ends_at": new["starts_at"]}), 422, "ends_at")
    refused(api.post("/maintenance-windows", json={**new, "scope": {"carrier": "omega"}}), 422, "scope.carrier")
    refused(api.get("/maintenance-windows/99"), 404, "maintenance_id")


def refused(answer: httpx.Response, status: int, field: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert [error["field"] for error in body["errors"]] == [field]
