"""Beside a call: the article that helps, and the order that the terminal answers, in a real browser."""

from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import expect

from hotline.knowledge.delivery import deliver
from tests.e2e.conftest import OpenConsole
from tests.integration.ingest_house import ingest
from tests.integration.test_commands import obedient
from tests.running_broker import Broker
from tests.running_web import RunningWeb


@pytest.fixture
def web(database_url: str, broker: Broker) -> Iterator[RunningWeb]:
    """The web program that can give orders, with the delivered articles."""
    running = RunningWeb(database_url, command_mqtt_url=broker.url("vigie-web"))
    with psycopg.connect(database_url) as conn:
        deliver(conn, now=running.clock())
    running.start()
    yield running
    running.stop()


def test_an_agent_finds_what_helps_and_orders_a_terminal_without_leaving_the_call(
    web: RunningWeb, broker: Broker, open_console: OpenConsole
) -> None:
    console = open_console(web.url, login="alice")
    page = console.page
    web.ring("one", **{"user[]": "Alice Martin"})
    console.expect_calls("Le Bar du Port")
    web.hook(
        event="answer",
        callId="one",
        direction="in",
        answeringNumber="4021",
        user="Alice Martin",
        **{"from": "+33199001234", "to": "3008"},
    )
    articles = page.locator(".articles")
    # What the note says brings the article, which is read by keyboard and stays open.
    page.fill(".note-form textarea", "bourrage papier, ticket illisible")
    page.click(".note-form button")
    suggested = articles.locator("details", has_text="Bourrage papier")
    expect(suggested).to_contain_text("mots de la note")
    suggested.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(suggested.locator("ol li").first).to_contain_text("coupez le papier")
    page.fill(".articles input[type=search]", "releve commission")
    page.keyboard.press("Enter")
    expect(articles.locator("details")).to_have_count(1)
    expect(articles).to_contain_text("Question sur le relevé")
    with ingest(web.database_url, broker), obedient(broker):
        card = page.locator(".pop .terminal", has_text="T00012").first
        card.get_by_text("Commandes à distance").click()
        card.get_by_role("button", name="Tester la liaison").click()
        expect(card.locator(".remote-list")).to_contain_text("il répond", timeout=10_000)
        expect(card.get_by_text("Redémarrer")).to_have_count(0)


def test_the_search_box_leads_to_every_kind(web: RunningWeb, open_console: OpenConsole) -> None:
    console = open_console(web.url, login="veille")
    page = console.page
    page.keyboard.press("Alt+s")
    page.keyboard.type("reseau")
    page.keyboard.press("Enter")
    expect(page.locator("#found-incidents")).to_be_visible()
    page.locator(".article-list a").first.click()
    expect(page.locator(".article-steps li").first).to_be_visible()
    page.get_by_role("link", name="Modifier").click()
    page.locator("#article-title-fr").fill("Un titre meilleur")
    page.get_by_role("button", name="Enregistrer une nouvelle version").click()
    expect(page.locator("h1", has_text="Un titre meilleur")).to_be_visible()
    page.fill("#q", "T00012")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Terminal T00012")
