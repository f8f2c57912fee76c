"""What agents do with calls, over HTTP: the qualification inside the call, the callbacks' page, and both by REST."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest

from diagnostics.typologies.store import deliver
from hotline.opening import ZONE
from hotline.roles import Role
from tests.integration.test_hotline_stream import Screen
from tests.running_web import RunningWeb

SOLVED = {"subject": "technical", "outcome": "solved"}


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program, running on a small fleet, with the delivered typologies; one call that Alice answered."""
    running = RunningWeb(database_url)
    with psycopg.connect(database_url) as conn:
        deliver(conn, now=running.clock() - timedelta(days=20))
    running.start()
    running.ring("one")
    running.hook(event="answer", callId="one", answeringNumber="4021")
    yield running
    running.stop()


class Browser:
    """Somebody signed in, who sends what our pages' forms would."""

    def __init__(self, web: RunningWeb, login: str) -> None:
        self._client = web.client(login)
        self._csrf = self._client.get("/console").text.split('name="csrf" value="')[1].split('"')[0]

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def post(self, path: str, **fields: object) -> httpx.Response:
        return self._client.post(path, data=fields, headers={"X-CSRF-Token": self._csrf, "HX-Request": "true"})


def wait_for(condition: Callable[[], bool], within_s: float = 8) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def program(web: RunningWeb, role: Role = Role.LEVEL1) -> httpx.Client:
    return httpx.Client(base_url=f"{web.url}/api/v1", headers={"Authorization": f"Bearer {web.access.api[role]}"})


def test_an_agent_qualifies_a_call_and_corrects_it(web: RunningWeb) -> None:
    alice = Browser(web, "alice")
    assert 'hx-get="/console/calls/1/qualification"' in alice.get("/console/calls/1").text
    form = alice.get("/console/calls/1/qualification").text
    assert 'name="seen" value="0"' in form
    assert " checked" not in form
    (typology,) = re.findall(r'<option value="(\d+)">Plus de papier', form)[:1]
    saved = alice.post("/console/calls/1/qualification", seen=0, typology=typology, **SOLVED)
    assert saved.status_code == 200, saved.text
    assert "Enregistrée." in saved.text
    assert 'name="seen" value="1"' in saved.text
    assert f'<option value="{typology}" selected>' in saved.text
    assert "HX-Trigger" not in saved.headers
    again = alice.post("/console/calls/1/qualification", seen=1, close=1, **{**SOLVED, "outcome": "field_visit"})
    assert 'value="field_visit" checked' in again.text
    assert again.headers["HX-Trigger"] == '{"vigie:left": {"call": 1}}'
    # Who may not handle calls reads it.
    seen = Browser(web, "veille").get("/console/calls/1/qualification").text
    assert "Intervention sur place" in seen
    assert "<form" not in seen


def test_a_stale_or_incomplete_form_comes_back_with_what_was_chosen(web: RunningWeb) -> None:
    alice, carol = Browser(web, "alice"), Browser(web, "carol")
    carol.post("/console/calls/1/qualification", seen=0, **SOLVED)
    stale = alice.post("/console/calls/1/qualification", seen=0, subject="commercial", outcome="escalated")
    assert stale.status_code == 409
    assert "Carol Smith a enregistré entre-temps" in stale.text
    assert 'value="commercial" checked' in stale.text
    assert 'name="seen" value="1"' in stale.text
    assert alice.get("/console/calls/1/qualification").text.count('value="technical" checked') == 1
    missing = alice.post("/console/calls/1/qualification", seen=1, outcome="solved")
    assert missing.status_code == 422
    assert "Choisissez le sujet" in missing.text
    assert 'value="solved" checked' in missing.text
    past = alice.post(
        "/console/calls/1/qualification", seen=1, subject="technical", outcome="callback", callback_at="2020-01-01T10:00"
    )
    assert "L'heure de rappel" in past.text.replace("&#39;", "'")
    assert alice.post("/console/calls/99/qualification", **SOLVED).status_code == 404


def test_an_abandoned_call_stands_among_the_callbacks_until_it_is_done(web: RunningWeb) -> None:
    web.ring("two")
    web.hook(event="hangup", callId="two", cause="cancel")
    alice, bruno = Browser(web, "alice"), Browser(web, "bruno")
    page = alice.get("/console/callbacks").text
    assert "Le Bar du Port" in page
    assert "appel sans réponse" in page
    assert "Alice Martin" in alice.post("/console/callbacks/1/take").text.split("<tbody>")[1]
    assert "plus rapide" in bruno.post("/console/callbacks/1/take").text
    after = alice.post("/console/callbacks/1/done").text
    assert "Personne à rappeler." in after
    assert "rappelé" in after
    assert "plus rapide" in bruno.post("/console/callbacks/1/drop").text
    assert "<button" not in Browser(web, "veille").get("/console/callbacks/now").text


def test_programs_qualify_and_read_callbacks(web: RunningWeb) -> None:
    with program(web) as api:
        assert api.get("/calls/1/qualification").json()["detail"] == "not qualified yet"
        made = api.put("/calls/1/qualification", json={"subject": "commercial", "outcome": "callback"})
        assert made.json()["version"] == 1
        assert (made.json()["level"], made.json()["author"]) == (1, "api level1")
        assert api.get("/calls/1/qualification").json() == made.json()
        stale = api.put("/calls/1/qualification", json={"subject": "commercial", "outcome": "solved"})
        assert (stale.status_code, stale.json()["errors"][0]["field"]) == (409, "version")
        wrong = api.put("/calls/1/qualification", json={"subject": "x", "outcome": "solved", "version": 1})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "subject")
        assert api.put("/calls/99/qualification", json=SOLVED).status_code == 404
        (callback,) = api.get("/callbacks", params={"state": "open"}).json()["items"]
        assert (callback["call"], callback["made_by_abandon"], callback["agent"]) == (1, False, None)
        assert api.post(f"/callbacks/{callback['id']}/done").json()["state"] == "done"
        assert api.post(f"/callbacks/{callback['id']}/done").status_code == 409
        assert api.get("/callbacks", params={"state": "open"}).json()["items"] == []
    with program(web, Role.VEILLE) as reader:
        assert reader.put("/calls/1/qualification", json=SOLVED).status_code == 403


def test_calls_are_attached_to_an_incident_and_end_with_it(web: RunningWeb) -> None:
    web.ring("two")
    web.hook(event="hangup", callId="two", cause="cancel")
    alice = Browser(web, "alice")
    page = alice.get("/console/incidents/1/calls").text
    calls = re.findall(r'name="call" value="(\d+)"', page)
    assert len(calls) == 2
    assert alice.post("/console/incidents/1/calls").status_code == 422
    assert alice.post("/console/incidents/99/calls", call=[1]).status_code == 404
    attached = alice.post("/console/incidents/1/calls", call=calls)
    assert attached.status_code == 303, attached.text
    assert attached.headers["Location"] == "/console/incidents/1/calls"
    page = alice.get("/console/incidents/1/calls").text
    assert page.count('name="call"') == 0
    assert "2 appels" in page
    assert "est rattaché à l" in alice.get("/console/calls/1/qualification").text
    dsi = Browser(web, "dsi")
    assert "/undo" not in dsi.get("/console/incidents/1/calls").text
    dsi.post("/console/incidents/1/resolve", detail="rétabli")
    wait_for(lambda: "Escaladé" in dsi.get(f"/console/calls/{calls[0]}/qualification").text)
    assert "par Vigie" in dsi.get(f"/console/calls/{calls[0]}/qualification").text
    alice.post("/console/attachments/1/undo")
    assert "Pas encore qualifié" in dsi.get(f"/console/calls/{calls[0]}/qualification").text
    assert alice.post("/console/attachments/1/undo").status_code == 404


def test_a_call_is_attached_from_its_own_form(web: RunningWeb) -> None:
    alice = Browser(web, "alice")
    assert 'name="incident" value="1"' in alice.get("/console/calls/1/qualification").text
    assert 'name="incident" value="0"' in alice.post("/console/calls/1/incident", incident=1).text
    assert 'name="incident" value="1"' in alice.post("/console/calls/1/incident", incident=0).text


def test_programs_attach_calls(web: RunningWeb) -> None:
    with program(web) as api:
        made = api.post("/incidents/1/calls", json={"calls": [1]})
        assert (made.status_code, made.json()["calls"], made.json()["author"]) == (201, [1], "api level1")
        assert api.get("/incidents/1/calls").json() == [made.json()]
        again = api.post("/incidents/1/calls", json={"calls": [1]})
        assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "calls")
        assert api.post("/incidents/99/calls", json={"calls": [1]}).status_code == 404
        assert api.get("/incidents/99/calls").status_code == 404
        assert api.post(f"/attachments/{made.json()['id']}/undo").json()["undone_at"] is not None
        assert api.post(f"/attachments/{made.json()['id']}/undo").status_code == 409


def test_a_second_editor_sees_the_first_and_both_see_a_save(web: RunningWeb) -> None:
    alice, carol = Browser(web, "alice"), Browser(web, "carol")
    screens = {"alice": Screen(web, "alice"), "carol": Screen(web, "carol"), "bruno": Screen(web, "bruno")}
    assert screens["alice"].next("pop")["state"] == "answered"
    assert [one["name"] for one in alice.post("/console/calls/1/editing").json()["editors"]] == ["Alice Martin"]
    screens["alice"].next("work")
    begun = time.monotonic()
    assert len(carol.post("/console/calls/1/editing").json()["editors"]) == 2
    for name in ("alice", "carol"):
        told = screens[name].next("work")
        assert (told["kind"], told["call"]) == ("editors", 1)
        assert [one["name"] for one in told["editors"]] == ["Alice Martin", "Carol Smith"]
    assert time.monotonic() - begun < 2
    # Being still there is no news.
    alice.post("/console/calls/1/editing")
    assert screens["carol"].is_quiet()
    carol.post("/console/calls/1/qualification", seen=0, **SOLVED)
    assert screens["alice"].next("work") == {"kind": "saved", "call": 1, "version": 1, "by": "Carol Smith"}
    carol.post("/console/calls/1/editing", gone=True)
    assert [one["name"] for one in screens["alice"].next("work")["editors"]] == ["Alice Martin"]
    assert screens["bruno"].is_quiet(0.1)
    assert Browser(web, "veille").post("/console/calls/1/editing").status_code == 403


def test_level_2_is_told_at_once_who_waits_and_takes_the_call_with_its_notes(web: RunningWeb) -> None:
    alice, carol = Browser(web, "alice"), Browser(web, "carol")
    second, first, passed = Screen(web, "carol"), Screen(web, "bruno"), Screen(web, "alice")
    alice.post("/console/calls/1/notes", text="bourrage sans fin")
    assert "Transmettre au niveau 2" in alice.get("/console/calls/1/qualification").text
    alice.post("/console/calls/1/handover", reason="tête à changer ?")
    assert second.next("work") == {"kind": "handovers"}
    assert first.is_quiet(0.1)
    assert ">1<" in carol.get("/console/handovers/count").text
    listed = carol.get("/console/handovers").text
    assert all(text in listed for text in ("Le Bar du Port", "Alice Martin", "tête à changer ?", "bourrage sans fin", "waited"))
    assert alice.post("/console/handovers/1/take").status_code == 403
    assert carol.post("/console/handovers/1/take").headers["Location"] == "/console/calls/1"
    assert passed.next("pop")["call"] == 1
    # Who passed the caller on sees it, and nobody else of level 1.
    assert passed.next("work") == {"kind": "handovers"}
    assert first.is_quiet(0.1)
    assert carol.post("/console/handovers/1/take").status_code == 409
    assert "repris par Carol Smith" in alice.get("/console/calls/1/qualification").text
    assert alice.post("/console/calls/99/handover").status_code == 404
    assert alice.post("/console/handovers/1/withdraw").status_code == 404


def test_programs_pass_callers_on(web: RunningWeb) -> None:
    with program(web) as api:
        made = api.post("/calls/1/handover", json={"reason": "x"})
        assert (made.status_code, made.json()["state"]) == (201, "waiting")
        assert api.get("/handovers").json() == [made.json()]
        assert api.post("/calls/1/handover", json={}).status_code == 409
        assert api.post("/calls/99/handover", json={}).status_code == 404
        assert api.post("/handovers/1/withdraw").json()["state"] == "withdrawn"
        assert api.post("/handovers/1/withdraw").status_code == 409
        assert api.post("/handovers/1/take").status_code == 403
    with program(web, Role.LEVEL2) as api:
        assert api.post("/handovers/1/take").status_code == 409


def test_while_telephony_is_down_everybody_knows_and_calls_are_entered_by_hand(web: RunningWeb) -> None:
    alice, supervisor = Browser(web, "alice"), Browser(web, "supervisor")
    alice.post("/console/telephony/down")
    assert "La téléphonie est en panne depuis" in supervisor.get("/console/incidents").text
    rang_at = (web.clock() - timedelta(minutes=3)).astimezone(ZONE).strftime("%Y-%m-%dT%H:%M")
    made = alice.post("/console/manual-calls", caller="PV00001", rang_at=rang_at, minutes=2)
    assert made.status_code == 303, made.text
    page = alice.get(made.headers["Location"]).text
    assert "Le Bar du Port" in page
    wrong = alice.post("/console/manual-calls", caller="personne", rang_at=rang_at, minutes=2)
    assert (wrong.status_code, 'value="personne"' in wrong.text) == (422, True)
    for path in ("/console/wallboard", "/console/figures", "/console/manual-calls"):
        assert "pas de téléphonie depuis" in supervisor.get(path).text, path
    alice.post("/console/telephony/up")
    assert "La téléphonie est en panne depuis" not in supervisor.get("/console/incidents").text
    assert "pas de téléphonie de" in supervisor.get("/console/figures").text
    with program(web) as api:
        (gap,) = api.get("/telephony-gaps", params={"since": "2020-01-01T00:00:00Z"}).json()
        assert gap["ended_at"] is not None
        assert api.post("/calls", json={"caller": "PV00001", "rang_at": "2020-01-01T00:00:00Z", "minutes": 1}).status_code == 409
        assert api.post("/telephony/down").status_code == 204
