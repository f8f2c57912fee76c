"""The knowledge base over HTTP: read by everybody, written by few, offered beside a call."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest

from diagnostics.typologies import store
from hotline.calls import find_call
from hotline.knowledge import articles
from hotline.knowledge.articles import Draft
from hotline.knowledge.suggest import Why, suggest
from hotline.qualification import Given, Outcome, Subject, qualify
from hotline.roles import Role
from tests.integration.typology_cases import add_incident
from tests.running_web import RunningWeb

FORM = {
    "subject": "technical",
    "title_fr": "Imprimante qui coince",
    "body_fr": "Ouvrez le capot.\n\n1. Retirez la feuille.\n2. Refermez.",
    "title_en": "Printer jams",
}


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program with delivered typologies and no article."""
    running = RunningWeb(database_url)
    with psycopg.connect(database_url) as conn:
        store.deliver(conn, now=running.clock() - timedelta(days=20))
    running.start()
    yield running
    running.stop()


def signed(browser: httpx.Client, **fields: object) -> dict[str, object]:
    csrf = browser.get("/console/articles").text.split('name="csrf" value="')[1].split('"')[0]
    return {"csrf": csrf, **fields}


def program(web: RunningWeb, role: Role) -> httpx.Client:
    return httpx.Client(base_url=f"{web.url}/api/v1", headers={"Authorization": f"Bearer {web.access.api[role]}"})


def test_the_veille_writes_and_every_agent_reads_in_their_language(web: RunningWeb) -> None:
    with web.client("veille") as veille:
        made = veille.post("/console/articles", data=signed(veille, **FORM))
        assert made.status_code == 303, made.text
        path = made.headers["Location"]
        assert "Enregistrer une nouvelle version" in veille.get(f"{path}/edit").text
    with web.client("alice") as alice:
        page = alice.get(path).text
        assert "Imprimante qui coince" in page
        assert '<ol class="article-steps"><li>Retirez la feuille.</li>' in page
        assert f"{path}/edit" not in page
        found = alice.get("/console/articles", params={"q": "imprimantes coincees"}).text
        assert "1\u00a0article" in found or "1 article" in found
        assert alice.get("/console/articles", params={"q": "capot"}).text.count("<mark>capot</mark>") == 1
        assert alice.get("/console/articles", params={"q": "capot", "subject": "commercial"}).text.count("<mark>") == 0
        assert alice.get("/console/articles/999").status_code == 404
    with web.client("carol") as carol:
        page = carol.get(path).text
        assert "<h1>Printer jams</h1>" in page
        # The text is there in French only, and says so to whoever has it read aloud.
        assert '<div lang="fr">' in page


def test_a_stale_save_is_refused_and_keeps_what_was_typed(web: RunningWeb) -> None:
    with web.client("veille") as veille, web.client("supervisor") as supervisor:
        path = veille.post("/console/articles", data=signed(veille, **FORM)).headers["Location"]
        assert supervisor.post(path, data=signed(supervisor, **{**FORM, "title_fr": "Autre titre"}, seen=1)).status_code == 303
        stale = veille.post(path, data=signed(veille, **{**FORM, "title_fr": "Mon titre"}, seen=1))
        assert stale.status_code == 409
        assert "Autre titre" in stale.text
        assert 'value="Mon titre"' in stale.text
        assert 'name="seen" value="2"' in stale.text
        nameless = veille.post(path, data=signed(veille, **{**FORM, "title_fr": "", "title_en": ""}, seen=2))
        assert nameless.status_code == 422
        assert "Il faut un titre" in nameless.text
        assert veille.post(f"{path}/restore", data=signed(veille, version=1, seen=2)).status_code == 303
        history = veille.get(path).text
        assert "comme la version 1" in history
        assert "Autre titre" in veille.get(path, params={"version": 2}).text
        assert veille.post(f"{path}/restore", data=signed(veille, version=1, seen=2)).status_code == 409
        assert veille.post(f"{path}/state", data=signed(veille, do="withdraw")).status_code == 303
        assert "Retirés" in veille.get("/console/articles").text
        assert path not in veille.get("/console/articles", params={"q": "coince"}).text


def test_a_call_is_offered_what_helps_with_its_terminals_and_what_its_note_says(web: RunningWeb) -> None:
    now = web.clock()
    with psycopg.connect(web.database_url) as conn:
        [printer] = [one.id for one in store.typologies(conn) if one.code == "printer_degraded"]

        def write(title: str, body: str, *typologies: int) -> int:
            draft = Draft(Subject.TECHNICAL, {"fr": title}, {"fr": body}, typologies)
            return articles.write(conn, draft, author="vera", now=now)

        helps = write("Nettoyer la tête d'impression", "Coton et alcool.", printer)
        by_words = write("Ticket gagnant refusé", "Vérifiez la date du ticket.")
        write("Horaires de l'agence", "De 9 h à 18 h.")
        write("Commander des bulletins", "Par le menu Fournitures.")
        incident = add_incident(conn, trouble="printer", scope={"firmware": "4.2.1"}, terminals=["T00012"], at=now)
        conn.execute(
            "INSERT INTO diagnostics.typology_match (kind, ref, at, matched_at, typology_id, similarity, p)"
            " VALUES ('incident', %s, %s, %s, %s, 1, 0)",
            [incident, now, now, printer],
        )
    web.ring("one")
    with program(web, Role.LEVEL1) as agent:
        [call] = agent.get("/calls").json()["items"]
        agent.put(f"/calls/{call['id']}/note", json={"text": "le client dit que son ticket gagnant est refuse"})
        offered = [(one["article"]["id"], one["why"], one["detail"]) for one in agent.get(f"/calls/{call['id']}/articles").json()]
    assert offered[0] == (helps, "terminals", ["T00012"])
    assert offered[1][:2] == (by_words, "words")
    assert set(offered[1][2]) >= {"ticket", "gagnant"}
    with psycopg.connect(web.database_url) as conn:
        # What the agent chose counts more than words.
        [slips] = [one.id for one in store.typologies(conn) if one.code == "scanner_degraded"]
        chosen = write("Bulletins refusés", "Nettoyez la vitre.", slips)
        given = Given(Subject.TECHNICAL, Outcome.SOLVED, slips)
        qualify(conn, call=call["id"], given=given, seen=0, author="alice", agent=None, level=1, now=now)
        found = find_call(conn, call=call["id"])
        assert found is not None
        assert [(one.article.id, one.why) for one in suggest(conn, call=found)][:2] == [
            (helps, Why.TERMINALS),
            (chosen, Why.QUALIFIED),
        ]
    with web.client("alice") as alice:
        beside = alice.get(f"/console/calls/{call['id']}/articles").text
        assert "Nettoyer la tête" in beside
        assert "à cause de T00012" in beside
        searched = alice.get(f"/console/calls/{call['id']}/articles", params={"q": "bulletin"}).text
        assert "Commander des bulletins" in searched
        assert "Nettoyer la tête" not in searched
        assert alice.get("/console/calls/999/articles").status_code == 404


def test_programs_write_find_change_and_restore(web: RunningWeb) -> None:
    new = {"subject": "commercial", "title": {"fr": "Nouveau jeu"}, "body": {"fr": "Il ouvre lundi."}}
    with program(web, Role.VEILLE) as veille:
        made = veille.post("/articles", json=new)
        assert made.status_code == 201
        number = made.json()["id"]
        changed = veille.put(f"/articles/{number}", json={**new, "title": {"fr": "Jeu du lundi"}, "seen": 1})
        assert (changed.json()["version"], changed.json()["title"]["fr"]) == (2, "Jeu du lundi")
        assert veille.put(f"/articles/{number}", json={**new, "seen": 1}).status_code == 409
        assert veille.put("/articles/999", json={**new, "seen": 1}).status_code == 404
        refused = veille.post("/articles", json={**new, "body": {"fr": " "}})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "body")
        assert [one["id"] for one in veille.get("/articles", params={"q": "lund"}).json()] == [number]
        assert veille.post(f"/articles/{number}/restore", json={"version": 1, "seen": 2}).json()["restored_from"] == 1
        assert [one["version"] for one in veille.get(f"/articles/{number}/versions").json()] == [3, 2, 1]
        assert veille.get(f"/articles/{number}", params={"version": 9}).status_code == 404
        assert veille.put(f"/articles/{number}/state", json={"state": "withdrawn"}).json()["state"] == "withdrawn"
        assert veille.get("/articles").json() == []
    with program(web, Role.LEVEL1) as agent:
        assert agent.post("/articles", json=new).status_code == 403
