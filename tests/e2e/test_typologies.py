from datetime import timedelta

import psycopg
from playwright.sync_api import expect

from diagnostics.typologies import store
from diagnostics.typologies.sorting import Sorter
from tests.e2e.conftest import OpenConsole
from tests.integration.typology_cases import add_incident
from tests.running_web import ISLAND_NUMBER, RunningWeb


def test_an_agent_notes_a_call_the_veille_attaches_an_answer_and_the_next_pop_says_it(
    web: RunningWeb, open_console: OpenConsole
) -> None:
    now = web.clock()
    with psycopg.connect(web.database_url) as conn:
        store.deliver(conn, now=now - timedelta(days=20))
        add_incident(conn, trouble="printer", scope={"model": "C"}, terminals=["T00021"], at=now, z={"print_errors": 6.0})
        Sorter().step(conn, now=now, regroup=False)
    alice = open_console(web.url, login="alice")
    web.ring("one", ISLAND_NUMBER)
    web.hook(event="answer", callId="one", answeringNumber="alice")
    alice.page.get_by_label("L'objet de l'appel, en quelques mots").fill("bourrage papier, tickets effacés")
    alice.page.get_by_role("button", name="Enregistrer la note").click()
    expect(alice.page.locator(".notes [role=status]")).to_have_text("Enregistrée.")
    with psycopg.connect(web.database_url) as conn:
        Sorter().step(conn, now=web.clock(), regroup=True)

    veille = open_console(web.url, login="veille")
    veille.page.goto(f"{web.url}/console/typologies/notes")
    expect(veille.page.get_by_role("row", name="bourrage papier, tickets effacés").get_by_role("link").nth(1)).to_have_text(
        "Imprimante qui se dégrade"
    )
    veille.page.get_by_role("link", name="Imprimante qui se dégrade").first.click()
    veille.page.locator("#edit-answer-fr").fill("Passez le stylo de nettoyage, puis imprimez un essai.")
    veille.page.get_by_role("button", name="Enregistrer", exact=True).click()
    expect(veille.page.locator(".versions li")).to_have_count(2)

    web.hook(event="hangup", callId="one", cause="normalClearing")
    web.ring("two", ISLAND_NUMBER)
    expect(alice.page.locator(".pop[data-open] .advice").first).to_contain_text("Passez le stylo de nettoyage")
