"""The hotline as it is lived: SIPp rings a real Asterisk, the right agent's console pops, and the figures move."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenConsole
from tests.running_asterisk import Asterisk
from tests.running_sipp import Sipp
from tests.running_telephony import RunningTelephony, staff_both_floors
from tests.running_web import RunningWeb
from vigie.up.plan import clock_offset_s

SHOP = "0199001234"
# The hotline is open then, whenever the test runs.
OPEN = "14:00"


@pytest.fixture
def web(database_url: str, exchange: Asterisk) -> Iterator[RunningWeb]:
    """The web program on a small fleet at two in the afternoon, and the telephony program that listens to the exchange."""
    offset = clock_offset_s(OPEN, datetime.now(UTC))
    running = RunningWeb(database_url, clock_offset_s=offset)
    with psycopg.connect(database_url) as conn:
        staff_both_floors(conn)
    telephony = RunningTelephony(database_url, exchange.ami_url, clock_offset_s=offset)
    running.start()
    telephony.start()
    yield running
    telephony.stop()
    running.stop()


def qualify_as_solved(page: Page, saved: str) -> None:
    """What an agent types at the end of a call."""
    page.keyboard.press("Alt+q")
    page.keyboard.press("1")
    page.keyboard.press("Tab")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator(".work [role=status]").last).to_have_text(saved)


def test_a_shop_rings_the_right_screen_pops_and_the_figures_move(web: RunningWeb, open_console: OpenConsole, sipp: Sipp) -> None:
    alice, bruno, dora = (open_console(web.url, login=login) for login in ("alice", "bruno", "dora"))
    chief = open_console(web.url, login="supervisor")
    chief.page.goto(f"{web.url}/console/wallboard")
    sipp.agent("4021", after_s=0.8, talks_s=2.5)
    sipp.shop(SHOP)
    alice.expect_calls("Le Bar du Port")
    assert re.search(r"en panne.*Plus de papier", alice.terminal("T00012"), re.DOTALL)
    expect(alice.page.locator(".pop .call-facts .call-state")).to_have_text("décroché")
    for other in (bruno, dora):
        other.expect_calls()
    expect(alice.page.locator(".pop .call-facts .call-state")).to_have_text("terminé")
    qualify_as_solved(alice.page, "Enregistrée.")
    sipp.finish()
    tile = chief.page.locator("#wallboard .tile")
    for name in ("Décrochés", "Résolus en ligne"):
        expect(tile.filter(has_text=name).locator(".tile-of").first).to_contain_text("1 sur 1", timeout=7_000)


def test_a_call_passed_on_pops_at_level_2_in_english_with_its_wait(web: RunningWeb, open_console: OpenConsole, sipp: Sipp) -> None:
    alice, carol = open_console(web.url, login="alice"), open_console(web.url, login="carol")
    sipp.agent("4021", holds_s=0.5, transfers_to="600")
    sipp.agent("4023", after_s=0.8, talks_s=1.5)
    sipp.shop(SHOP)
    alice.expect_calls("Le Bar du Port")
    carol.expect_calls("Le Bar du Port")
    assert re.search(r"down.*Out of paper", carol.terminal("T00012"), re.DOTALL)
    expect(carol.page.locator(".pop .call-facts .call-state")).to_have_text("answered")
    expect(carol.page.locator(".pop .call-facts .call-state")).to_have_text("ended")
    qualify_as_solved(carol.page, "Saved.")
    sipp.finish()


def test_a_call_that_flows_over_shows_the_other_floor_no_full_number(
    web: RunningWeb, open_console: OpenConsole, sipp: Sipp
) -> None:
    alice, dora = open_console(web.url, login="alice"), open_console(web.url, login="dora")
    sipp.agent("4031", after_s=0.8, talks_s=1.5)
    sipp.shop(SHOP)
    alice.expect_calls("Le Bar du Port")
    dora.expect_calls("Le Bar du Port")
    alice.expect_calls()
    assert "01 99 00 12 34" not in dora.page.content()
    expect(dora.page.locator(".pop .call-facts .call-state")).to_have_text("terminé")
    qualify_as_solved(dora.page, "Enregistrée.")
    sipp.finish()
