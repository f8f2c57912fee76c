"""A rollout manager stops a campaign by keyboard alone."""

import psycopg
from playwright.sync_api import expect

from firmware_rollout.campaigns import campaign
from firmware_rollout.states import CampaignState
from tests import rollout_world
from tests.e2e.conftest import OpenConsole
from tests.e2e.test_accessibility import findings
from tests.rollout_world import MAKER
from tests.running_web import RunningWeb


def test_a_campaign_is_halted_and_aborted_by_one_keystroke_each_and_a_reason(web: RunningWeb, open_console: OpenConsole) -> None:
    with psycopg.connect(web.database_url) as conn:
        rollout_world.furnish(conn, now=web.clock(), others=["chi"])
        made = rollout_world.begun(conn, now=web.clock(), name="chi", where={"carrier": "chi"})
        rollout_world.judged_again(conn, now=web.clock())
    manager = open_console(web.url, login=MAKER)
    page = manager.page
    page.goto(f"{web.url}/console/campaigns/{made.id}")
    manager.wait_for_stream()

    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_contain_text("L'arrêter, avec un motif", ignore_case=True)
    page.keyboard.press("Escape")

    page.keyboard.press("Alt+H")
    expect(page.locator("#why-halt")).to_be_focused()
    # Without a reason nothing is done, and Escape lets it be.
    page.keyboard.press("Enter")
    expect(page.locator("#deed-halt")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#deed-halt")).to_be_hidden()
    assert state_of(web) is CampaignState.RUNNING

    page.keyboard.press("Alt+H")
    page.keyboard.type("trop d'appels ce matin")
    page.keyboard.press("Enter")
    expect(page.locator(".campaign-head .badge-campaign")).to_have_text("arrêtée")
    expect(page.locator(".course li").first).to_contain_text("trop d'appels ce matin")
    assert state_of(web) is CampaignState.HALTED

    # What cannot be done any more is not asked for.
    page.keyboard.press("Alt+H")
    expect(page.locator("dialog[open]")).to_have_count(0)

    page.keyboard.press("Alt+B")
    page.keyboard.type("la version est mauvaise")
    page.keyboard.press("Enter")
    expect(page.locator(".campaign-head .badge-campaign")).to_have_text("abandonnée")
    assert state_of(web) is CampaignState.ABORTED


def test_a_campaigns_page_renews_itself(web: RunningWeb, open_console: OpenConsole) -> None:
    with psycopg.connect(web.database_url) as conn:
        rollout_world.furnish(conn, now=web.clock(), others=["chi"])
        made = rollout_world.begun(conn, now=web.clock(), name="chi", where={"carrier": "chi"})
    watcher = open_console(web.url, login="dsi")
    watcher.page.goto(f"{web.url}/console/campaigns/{made.id}")
    expect(watcher.page.locator(".campaign-head .badge-campaign")).to_have_text("en cours")
    with psycopg.connect(web.database_url) as conn:
        conn.execute("UPDATE firmware_rollout.campaign SET state = 'paused' WHERE id = %s", [made.id])
    expect(watcher.page.locator(".campaign-head .badge-campaign")).to_have_text("en pause", timeout=15_000)


def state_of(web: RunningWeb) -> CampaignState:
    with psycopg.connect(web.database_url) as conn:
        return campaign(conn, "chi").state


def test_the_rollouts_pages_have_no_serious_finding_in_any_shape(web: RunningWeb, open_console: OpenConsole) -> None:
    with psycopg.connect(web.database_url) as conn:
        rollout_world.furnish(conn, now=web.clock(), others=["chi"])
        made = rollout_world.halted(conn, now=web.clock())
        rollout_world.begun(conn, now=web.clock(), name="chi", where={"carrier": "chi"})
        terminal = rollout_world.in_wave(conn, "hiver", 1)[5]
        rollout_world.judged_again(conn, now=web.clock())
    manager = open_console(web.url, login=MAKER)
    page = manager.page
    for path in (
        "/console/campaigns",
        f"/console/campaigns/{made.id}",
        "/console/releases",
        f"/console/releases/{rollout_world.NEW}",
        "/console/rollout-audit?check=1",
        f"/console/terminals/{terminal}",
    ):
        page.goto(web.url + path)
        assert not findings(page), path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    page.goto(f"{web.url}/console/campaigns/{made.id}")
    page.keyboard.press("Alt+B")
    expect(page.locator("#why-abort")).to_be_focused()
    assert not findings(page), "a dialogue"
    page.goto(f"{web.url}/console/campaigns/new")
    page.get_by_label("Nom", exact=True).fill("printemps")
    page.get_by_label("opérateur").fill("personne")
    page.get_by_role("button", name="Créer le brouillon").click()
    expect(page.locator("#scope-carrier")).to_have_attribute("aria-invalid", "true")
    assert not findings(page), "a refused form"
    # The browser calls a page that says what is wrong a resource that failed.
    manager.complaints.clear()
