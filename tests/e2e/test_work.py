"""What agents do with a call, in a real browser: by keyboard alone, and two of them at one call."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import expect

from hotline.qualification import Outcome, Subject, qualification_of
from tests.e2e.conftest import OpenConsole
from tests.running_web import RunningWeb


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program, running on a small fleet; one call that Alice answered."""
    running = RunningWeb(database_url)
    running.start()
    running.ring("one")
    running.hook(event="answer", callId="one", answeringNumber="4021")
    yield running
    running.stop()


def test_a_call_is_qualified_and_put_away_by_keyboard_alone(web: RunningWeb, open_console: OpenConsole) -> None:
    page = open_console(web.url, login="alice").page
    expect(page.locator(".pop .qualify")).to_be_visible()
    page.keyboard.press("Alt+q")
    expect(page.locator("#call-1-subject-technical")).to_be_focused()
    page.keyboard.press("1")
    expect(page.locator("#call-1-typology")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("3")
    expect(page.locator("#call-1-outcome-field_visit")).to_be_checked()
    expect(page.locator("#call-1-qualify")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".work [role=status]").last).to_have_text("Enregistrée.")
    page.keyboard.press("Alt+p")
    page.keyboard.type("imprimante à changer")
    page.keyboard.press("Enter")
    expect(page.locator(".handed .said")).to_have_text("imprimante à changer")
    # Corrected, and the call put away with it.
    page.keyboard.press("Alt+q")
    page.keyboard.press("3")
    page.keyboard.press("Tab")
    page.keyboard.press("4")
    expect(page.locator("#call-1-when")).to_be_focused()
    page.locator("#call-1-qualify-close").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".pop")).to_have_count(0)
    with psycopg.connect(web.database_url) as conn:
        said = qualification_of(conn, call=1)
    assert said is not None
    assert (said.version, said.subject, said.outcome) == (2, Subject.COMMERCIAL, Outcome.CALLBACK)


def test_a_form_that_has_just_come_is_sent_as_any_other(web: RunningWeb, open_console: OpenConsole) -> None:
    page = open_console(web.url, login="alice").page
    expect(page.locator(".pop .qualify")).to_be_visible()
    page.evaluate("""document.addEventListener("htmx:afterSwap", ({ detail }) => {
        if (detail.target.id === "call-1-work") setTimeout(() => document.getElementById("call-1-qualify-close")?.click());
    })""")
    page.keyboard.press("Alt+q")
    page.keyboard.press("1")
    page.keyboard.press("Tab")
    page.keyboard.press("3")
    with page.expect_response(lambda answer: "close=1" in (answer.request.post_data or ""), timeout=10_000):
        page.keyboard.press("Enter")
    expect(page.locator(".pop")).to_have_count(0)


def test_two_agents_at_one_call_see_each_other(web: RunningWeb, open_console: OpenConsole) -> None:
    console = open_console(web.url, login="alice")
    alice, carol = console.page, open_console(web.url, login="carol").page
    carol.goto(f"{web.url}/console/calls/1")
    expect(carol.locator(".qualify")).to_be_visible()
    expect(alice.locator(".qualify")).to_be_visible()
    alice.keyboard.press("Alt+q")
    carol.keyboard.press("Alt+q")
    expect(alice.locator(".editors")).to_have_text(re.compile("Aussi en cours de saisie par.: Carol Smith"), timeout=2000)
    expect(carol.locator(".editors")).to_have_text("Also being filled in by: Alice Martin", timeout=2000)
    # What one saves stands on the other's form, and what the other has chosen stays and is not lost in silence.
    alice.keyboard.press("2")
    carol.keyboard.press("1")
    carol.locator("#call-1-outcome-solved").check()
    carol.locator("#call-1-qualify").press("Enter")
    expect(carol.locator(".work [role=status]").last).to_have_text("Saved.")
    expect(alice.locator(".editors")).to_have_text(re.compile("Enregistré entre-temps par.: Carol Smith"), timeout=2000)
    alice.locator("#call-1-outcome-escalated").check()
    alice.locator("#call-1-qualify").press("Enter")
    expect(alice.locator(".work [role=alert]")).to_contain_text("Carol Smith a enregistré entre-temps")
    expect(alice.locator("#call-1-subject-administrative")).to_be_checked()
    # The browser notes every answer that refuses.
    assert all("409" in complaint for complaint in console.complaints)
    console.complaints.clear()
