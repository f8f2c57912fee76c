"""The hotline as it is lived: SIPp rings a real Asterisk, the right agent's console pops, and the figures move."""

import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from hotline.calls import list_calls
from hotline.handovers import waited_in_all
from tests.e2e.conftest import ConsolePage, OpenConsole
from tests.running_asterisk import Asterisk
from tests.running_sipp import Sipp
from tests.running_telephony import RunningTelephony, staff_both_floors
from tests.running_web import RunningWeb
from vigie.engines.process import wait_until
from vigie.engines.telephony import TelephonyLayout
from vigie.up.plan import clock_offset_s

SHOP = "0199001234"
# The hotline is open then, whenever the test runs.
OPEN = "14:00"
# Long enough to be told from the wait that follows it.
FIRST_WAIT = timedelta(seconds=2)
# Longer than what a page shows takes to get there, even on a machine that is busy with something else.
PATIENCE_S = 30
UNITS_S = {"sec": 1, "secs": 1, "min": 60, "mins": 60}


@pytest.fixture(scope="module")
def exchange(telephony_layout: TelephonyLayout, engine_home: Path) -> Iterator[Asterisk]:
    """One Asterisk for all of these tests; each leaves it without a call."""
    home = Path(tempfile.mkdtemp(dir=engine_home))
    home.chmod(0o755)
    running = Asterisk(telephony_layout, home / "asterisk")
    running.start()
    yield running
    running.stop()


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


def expect_state(console: ConsolePage, state: str) -> None:
    """What the one call on screen is at."""
    expect(console.page.locator(".pop .call-facts .call-state")).to_have_text(state, timeout=PATIENCE_S * 1000)


def qualify_as_solved(page: Page, saved: str) -> None:
    """What an agent types at the end of a call, once its form is there."""
    expect(page.locator(".pop .qualify")).to_be_visible()
    page.keyboard.press("Alt+q")
    expect(page.locator("#call-1-subject-technical")).to_be_focused()
    page.keyboard.press("1")
    page.keyboard.press("Tab")
    page.keyboard.press("1")
    expect(page.locator("#call-1-outcome-solved")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator(".work [role=status]").last).to_have_text(saved)


def expect_on_the_wall(wall: Page, said: str, *names: str) -> None:
    """Wait until these tiles of the wallboard say so; it renews itself."""
    tile = wall.locator("#wallboard .tile")
    for name in names:
        expect(tile.filter(has=wall.get_by_role("heading", name=name, exact=True)).locator(".tile-of")).to_contain_text(
            said, timeout=PATIENCE_S * 1000
        )


def expect_waited_in_all(web: RunningWeb, shown: Locator) -> int:
    """What an English page says of the one call's wait: all of it, up to a moment ago; in seconds."""
    expect(shown).to_have_text(re.compile(r"has waited \d+\s(sec|min)s? in all"))
    found = re.search(r"has waited (\d+)\s(\w+) in all", shown.inner_text())
    assert found is not None
    unit_s = UNITS_S[found[2]]
    shown_s = int(found[1]) * unit_s
    with psycopg.connect(web.database_url) as conn:
        [call] = list_calls(conn)
        longest = waited_in_all(conn, call, now=web.clock())
    assert FIRST_WAIT.total_seconds() - unit_s <= shown_s <= longest.total_seconds() + unit_s
    return shown_s


def test_a_shop_rings_the_right_screen_pops_and_the_figures_move(web: RunningWeb, open_console: OpenConsole, sipp: Sipp) -> None:
    alice, bruno, dora = (open_console(web.url, login=login) for login in ("alice", "bruno", "dora"))
    chief = open_console(web.url, login="supervisor")
    chief.page.goto(f"{web.url}/console/wallboard")
    sipp.agent("4021", by_hand=True)
    sipp.shop(SHOP)
    alice.expect_calls("Le Bar du Port")
    assert re.search(r"en panne.*Plus de papier", alice.terminal("T00012"), re.DOTALL)
    sipp.act("4021")
    expect_state(alice, "décroché")
    for other in (bruno, dora):
        other.expect_calls()
    sipp.act("4021")
    expect_state(alice, "terminé")
    qualify_as_solved(alice.page, "Enregistrée.")
    sipp.finish()
    expect_on_the_wall(chief.page, "1 sur 1", "Décrochés", "Résolus en ligne")


def test_level_2_takes_over_in_english_with_reason_and_whole_wait_and_the_figures_move(
    web: RunningWeb, open_console: OpenConsole, sipp: Sipp
) -> None:
    alice, carol = open_console(web.url, login="alice"), open_console(web.url, login="carol")
    wall = open_console(web.url, login="carol").page
    wall.goto(f"{web.url}/console/wallboard")
    sipp.agent("4021", by_hand=True, transfers_to="600")
    sipp.agent("4023", by_hand=True)
    sipp.shop(SHOP)
    alice.expect_calls("Le Bar du Port")
    rang_at = call_rang_at(web)
    assert wait_until(lambda: web.clock() - rang_at > FIRST_WAIT, timeout_s=PATIENCE_S)
    sipp.act("4021")
    expect_state(alice, "décroché")
    # Alice passes the caller on, first in the console ...
    expect(alice.page.locator(".pop .qualify")).to_be_visible()
    alice.page.keyboard.press("Alt+p")
    expect(alice.page.locator("#call-1-pass-reason")).to_be_focused()
    alice.page.keyboard.type("rouleau changé deux fois")
    alice.page.keyboard.press("Enter")
    expect(alice.page.locator(".handed .said")).to_have_text("rouleau changé deux fois")
    # ... where Carol sees who waits, for how long in all and why, ...
    expect(carol.page.locator("#handover-count .count")).to_have_text("1")
    carol.page.goto(f"{web.url}/console/handovers")
    asked = carol.page.locator(".handover")
    expect(asked.locator("h2")).to_contain_text("Le Bar du Port")
    expect(asked.locator(".said")).to_have_text("rouleau changé deux fois")
    first_s = expect_waited_in_all(web, asked.locator("strong"))
    asked.locator("button").focus()
    carol.page.keyboard.press("Enter")
    carol.page.wait_for_url("**/console/calls/1")
    # ... then by telephone.
    carol.page.goto(f"{web.url}/console")
    carol.wait_for_stream()
    sipp.act("4021")
    carol.expect_calls("Le Bar du Port")
    assert re.search(r"down.*Out of paper", carol.terminal("T00012"), re.DOTALL)
    expect(carol.page.locator(".pop .handed .muted")).to_contain_text("taken over by Carol Smith")
    assert expect_waited_in_all(web, carol.page.locator(".pop .handed .muted")) >= first_s
    sipp.act("4023")
    expect_state(carol, "answered")
    sipp.act("4023")
    expect_state(carol, "ended")
    qualify_as_solved(carol.page, "Saved.")
    sipp.finish()
    expect_on_the_wall(wall, "1 of 1", "Answered", "Solved on line")


def test_a_call_that_flows_over_shows_the_other_floor_no_full_number(
    web: RunningWeb, open_console: OpenConsole, sipp: Sipp
) -> None:
    alice, dora = open_console(web.url, login="alice"), open_console(web.url, login="dora")
    sipp.agent("4031", by_hand=True)
    sipp.shop(SHOP, in_a_hurry=True)
    alice.expect_calls("Le Bar du Port")
    dora.expect_calls("Le Bar du Port")
    alice.expect_calls()
    assert "01 99 00 12 34" not in dora.page.content()
    sipp.act("4031")
    expect_state(dora, "décroché")
    sipp.act("4031")
    expect_state(dora, "terminé")
    qualify_as_solved(dora.page, "Enregistrée.")
    sipp.finish()


def call_rang_at(web: RunningWeb) -> datetime:
    """When the one call began to ring."""
    with psycopg.connect(web.database_url) as conn:
        [call] = list_calls(conn)
    return call.rang_at
