"""A rollout manager stops a campaign by keyboard alone."""

import psycopg
from playwright.sync_api import expect

from firmware_rollout.campaigns import campaign
from firmware_rollout.states import CampaignState
from tests import rollout_world
from tests.e2e.conftest import OpenConsole
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
