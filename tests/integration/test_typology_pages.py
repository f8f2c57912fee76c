"""Typologies and call notes over HTTP: pages, forms and REST, on a small fleet."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest

from diagnostics.typologies import candidates, matches, store
from diagnostics.typologies.sorting import Sorter
from hotline.roles import Role
from tests.integration.typology_cases import add_incident, add_note
from tests.running_web import CAFE, SHARED_NUMBER, RunningWeb

TERMINALS = ["T00011", "T00012", "T00013"]


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program with delivered typologies, an incident of printers, six notes about something new."""
    running = RunningWeb(database_url)
    now = running.clock()
    with psycopg.connect(database_url) as conn:
        store.deliver(conn, now=now - timedelta(days=20))
        add_incident(conn, trouble="printer", scope={"firmware": "4.2.1"}, terminals=TERMINALS, at=now, z={"print_errors": 6.0})
        for number in range(6):
            text = f"nouveau jeu spot absent du menu {'dimanche' if number % 2 else ''}"
            add_note(conn, call=900 + number, text=text, at=now - timedelta(minutes=5 + number), terminals=["T00031"])
        Sorter().step(conn, now=now, regroup=True)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def veille(web: RunningWeb) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{web.url}/api/v1", headers={"Authorization": f"Bearer {web.access.api[Role.VEILLE]}"}) as client:
        yield client


def csrf_of(page: httpx.Response) -> str:
    return page.text.split('name="csrf" value="')[1].split('"')[0]


def test_pages_are_served_in_both_languages(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        [printer] = [one.id for one in store.typologies(conn) if one.code == "printer_degraded"]
    words = {
        "veille": ("Imprimante qui se dégrade", "Nouveau\u00a0?", "Modifier"),
        "carol": ("Failing printer", "New?", "Day by day"),
    }
    for login, (name, new, inside) in words.items():
        with web.client(login) as browser:
            listed = browser.get("/console/typologies")
            assert name in listed.text
            assert new in listed.text
            one = browser.get(f"/console/typologies/{printer}").text
            assert inside in one
            # Who may not edit sees no form.
            assert ('id="edit"' in one) == (login == "veille")
            groups = browser.get("/console/typologies/candidates").text
            assert "spot" in groups
            assert "nouveau jeu spot absent du menu" in browser.get("/console/typologies/notes").text
            assert browser.get("/console/typologies/999").status_code == 404


def test_an_edited_answer_is_a_new_version_and_an_action_is_marked(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        [printer] = [one for one in store.typologies(conn) if one.code == "printer_degraded"]
    path = f"/console/typologies/{printer.id}"
    with web.client("veille") as browser:
        csrf = csrf_of(browser.get(path))
        form = {
            "csrf": csrf,
            "name_fr": "Imprimante usée",
            "name_en": printer.name_en,
            "answer_fr": "Nettoyez la tête.",
            "answer_en": "",
        }
        assert browser.post(path, data=form).status_code == 303
        refused = browser.post(path, data={**form, "name_fr": " ", "name_en": "", "answer_fr": "Mots déjà tapés."})
        assert refused.status_code == 422
        assert "Mots déjà tapés." in refused.text
        for into in ("0", "999", str(printer.id)):
            refused = browser.post(f"{path}/state", data={"csrf": csrf, "do": "merge", "into": into})
            assert refused.status_code == 422
            assert "Choisissez une autre typologie" in refused.text
        assert browser.post(f"{path}/actions", data={"csrf": csrf, "what": "lettre", "at": "2026-11-20T09:00"}).status_code == 303
        assert browser.post(f"{path}/actions", data={"csrf": csrf, "what": "lettre", "at": "hier"}).status_code == 422
        shown = browser.get(path).text
    assert "Imprimante usée" in shown
    assert "Nettoyez la tête." in shown
    assert "lettre" in shown
    with psycopg.connect(web.database_url) as conn:
        assert [answer.version for answer in store.answers_of(conn, printer.id)] == [2, 1]


def test_a_group_is_named_by_form_and_another_thing_is_said_of_a_note(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        [group] = candidates.offered(conn)
    with web.client("veille") as browser:
        page = browser.get("/console/typologies/candidates")
        form = {"csrf": csrf_of(page), "do": "name", "name_fr": "Jeu absent", "answer_fr": "Relancez le menu."}
        nameless = browser.post(f"/console/typologies/candidates/{group.id}", data={**form, "name_fr": " "})
        assert nameless.status_code == 422
        # What was typed is still there, in an open form beside what is wrong.
        assert "Il faut un nom" in nameless.text
        assert "Relancez le menu." in nameless.text.split("<details open>")[1]
        nowhere = browser.post(f"/console/typologies/candidates/{group.id}", data={**form, "do": "merge", "into": "0"})
        assert nowhere.status_code == 422
        assert "Choisissez une autre typologie" in nowhere.text
        named = browser.post(f"/console/typologies/candidates/{group.id}", data=form)
        assert named.status_code == 303
        assert browser.post(f"/console/typologies/candidates/{group.id}", data=form).status_code == 404
        typology = int(named.headers["Location"].rsplit("/", 1)[1])
        other = {"csrf": form["csrf"], "typology": "0", "back": "/console/typologies/notes"}
        assert browser.post("/console/typologies/matches/note/900", data=other).headers["Location"] == "/console/typologies/notes"
    with psycopg.connect(web.database_url) as conn:
        found = matches.of_refs(conn, kind="note", refs=[900, 901])
    assert (found[900].typology_id, found[900].decided_by) == (None, "veille")
    assert found[901].typology_id == typology


def test_programs_read_typologies_and_attach_answers(web: RunningWeb, veille: httpx.Client) -> None:
    listed = veille.get("/typologies").json()
    assert len(listed) == 17
    [clock] = [one for one in listed if one["code"] == "clock_drift"]
    answered = veille.put(f"/typologies/{clock['id']}/answer", json={"fr": "Redémarrez.", "en": "Restart."}).json()
    assert (answered["version"], answered["answer"]) == (2, {"fr": "Redémarrez.", "en": "Restart."})
    assert veille.put(f"/typologies/{clock['id']}/answer", json={"fr": "Redémarrez.", "en": "Restart."}).json()["version"] == 2
    assert veille.put("/typologies/999/answer", json={"fr": "x"}).status_code == 404
    days = {one["typology"]: one for one in veille.get("/typologies/days").json()}
    assert days[None]["notes"][-1] == 6
    [group] = veille.get("/typology-candidates").json()
    assert veille.post(f"/typology-candidates/{group['id']}/name", json={"name": {"fr": " "}}).status_code == 422
    made = veille.post(f"/typology-candidates/{group['id']}/name", json={"name": {"fr": "Jeu absent"}}).json()
    assert (made["name"]["en"], made["version"]) == ("Jeu absent", 0)


def test_a_note_is_a_signal_of_the_terminals_of_its_shop_once_that_is_known(web: RunningWeb) -> None:
    web.ring("shared", SHARED_NUMBER)
    with httpx.Client(base_url=f"{web.url}/api/v1", headers={"Authorization": f"Bearer {web.access.api[Role.LEVEL1]}"}) as agent:
        [call] = agent.get("/calls").json()["items"]
        assert agent.put("/exchange-calls/shared/note", json={"text": " plus de\nréseau "}).status_code == 204
        assert carried(web, call["id"]) == [("", "plus de réseau")]
        with web.client("alice") as browser:
            csrf = csrf_of(browser.get("/console"))
            data = {"code": CAFE}
            browser.post(f"/console/calls/{call['id']}/point-of-sale", data=data, headers={"X-CSRF-Token": csrf})
            written = browser.post(
                f"/console/calls/{call['id']}/notes", data={"text": "box changée"}, headers={"X-CSRF-Token": csrf}
            )
            assert "Enregistrée." in written.text
        assert carried(web, call["id"]) == [("T00031", "plus de réseau / box changée")]
        assert [note["author"] for note in agent.get(f"/calls/{call['id']}/notes").json()] == ["api level1", "Alice Martin"]
        agent.put(f"/calls/{call['id']}/note", json={"text": ""})
        assert carried(web, call["id"]) == [("T00031", "box changée")]
        assert agent.put("/exchange-calls/nobody/note", json={"text": "x"}).status_code == 404
        assert agent.put(f"/calls/{call['id']}/note", json={"text": "x" * 1001}).status_code == 422


def carried(web: RunningWeb, call: int) -> list[tuple[str, str]]:
    with psycopg.connect(web.database_url) as conn:
        return conn.execute(
            "SELECT terminal_id, detail FROM fleet.signal WHERE kind = 'note' AND ref = %s ORDER BY 1", [str(call)]
        ).fetchall()
