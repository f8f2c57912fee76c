from itertools import pairwise

import psycopg
from playwright.sync_api import expect

from diagnostics.incidents import acknowledge
from diagnostics.troubles import Trouble
from tests.e2e.conftest import OpenConsole
from tests.running_web import RunningWeb
from tests.seeded_incidents import Seeded, seed_health, seed_incident

FILL = "getComputedStyle(document.querySelector('{}')).fill"


def test_the_it_department_sees_an_incident_and_acts_while_the_page_renews_itself(
    web: RunningWeb, open_console: OpenConsole
) -> None:
    now = web.clock()
    with psycopg.connect(web.database_url) as conn:
        found = seed_incident(conn, Seeded(Trouble.OFFLINE, {"carrier": "beta"}), now=now)
        seed_health(conn, found, reason="offline", state="down", value=None, now=now)
    dsi, alice = open_console(web.url, login="dsi"), open_console(web.url, login="alice", width=1920, height=1080)
    dsi.page.get_by_role("link", name="Incidents", exact=True).click()
    # The keyboard reaches it.
    dsi.page.locator(f"#incident-{found}").focus()
    dsi.page.keyboard.press("Enter")
    expect(dsi.page.get_by_role("heading", level=1)).to_have_text("Terminaux hors ligne\u00a0: opérateur beta")
    assert dsi.page.evaluate("document.documentElement.scrollWidth") <= 1280
    # Plots and map are styled, and the outlines are there: a fill that is hit differs from one that is out of scope.
    assert dsi.page.locator(".plot").count() >= 4
    assert dsi.page.evaluate(FILL.format("use.map-4")) != dsi.page.evaluate(FILL.format("use.map-none"))
    assert dsi.page.evaluate("document.querySelector('use.map-4').getBoundingClientRect().width") > 5
    expect(dsi.page.get_by_role("link", name="Bouches-du-Rhône (13)")).to_be_visible()
    headings = dsi.page.eval_on_selector_all("main h1, main h2, main h3", "all => all.map(one => Number(one.tagName[1]))")
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))

    # What is typed stays while others act.
    comment = dsi.page.get_by_label("Commentaire, pour tous ceux qui le suivent")
    comment.fill("Opérateur appelé, ticket 4471")
    dsi.page.get_by_label("Comment il a été résolu").focus()
    with psycopg.connect(web.database_url) as conn:
        acknowledge(conn, found, actor="veille", now=web.clock())
    expect(dsi.page.locator(".incident-head .badge")).to_have_text("pris en charge", timeout=14_000)
    expect(comment).to_have_value("Opérateur appelé, ticket 4471")
    dsi.page.get_by_role("button", name="Ajouter le commentaire").click()
    expect(dsi.page.locator(".course .said")).to_have_text("Opérateur appelé, ticket 4471")

    # The agent's call says so too.
    web.ring("one")
    strip = alice.page.locator(".pop .incident").first
    expect(strip).to_contain_text("Terminaux hors ligne")
    expect(strip).to_contain_text("la DSI s'en occupe")
    alice.page.goto(f"{web.url}/console/incidents/{found}")
    expect(alice.page.get_by_role("button", name="Résoudre")).to_have_count(0)
