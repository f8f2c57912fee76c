import re

import psycopg
from playwright.sync_api import expect

from tests.e2e.conftest import OpenConsole
from tests.running_web import ISLAND_NUMBER, SHARED_NUMBER, RunningWeb


def test_a_ring_pops_with_the_shops_terminals_in_both_languages(web: RunningWeb, open_console: OpenConsole) -> None:
    alice, carol = open_console(web.url, login="alice"), open_console(web.url, login="carol", width=1920, height=1080)
    expect(alice.page.get_by_role("heading", name="En attente d'appels")).to_be_visible()
    web.ring("one")
    for console in (alice, carol):
        console.expect_calls("Le Bar du Port")
        assert console.page.url.endswith("/console")
    assert re.search(r"en panne.*Plus de papier \(0\s%\).*Surchauffe \(81\s°C\)", alice.terminal("T00012"), re.DOTALL)
    assert "déconnecté depuis" in alice.terminal("T00011")
    assert "en service" in alice.terminal("T00013")
    assert re.search(r"down.*Out of paper \(0\s%\).*updating since", carol.terminal("T00012"), re.DOTALL)
    expect(alice.page.locator(".pop .incident h3")).to_have_text("Opérateur beta : coupures du réseau 4G")
    expect(alice.page.locator(".call-number")).to_have_text("01 99 00 12 34")
    expect(alice.page.locator("#announce")).to_have_text("Appel de Le Bar du Port, 01 99 00 12 34")
    expect(alice.page).to_have_title("(1) Appels · Vigie")
    expect(alice.page.locator(".pop .timer")).to_have_text(re.compile(r"^0:0[1-9]$"))


def test_answered_by_another_leaves_and_by_oneself_stays(web: RunningWeb, open_console: OpenConsole) -> None:
    alice, carol = open_console(web.url, login="alice"), open_console(web.url, login="carol")
    web.ring("one")
    alice.expect_calls("Le Bar du Port")
    carol.expect_calls("Le Bar du Port")
    web.hook(event="answer", callId="one", answeringNumber="4023")
    alice.expect_calls()
    expect(carol.page.locator(".pop .call-state").first).to_have_text("answered")
    web.hook(event="hangup", callId="one", cause="normalClearing")
    expect(carol.page.locator(".call-facts .call-state")).to_have_text("ended")
    carol.page.keyboard.press("Tab")
    carol.page.locator(".call-toggle").focus()
    carol.page.keyboard.press("Escape")
    carol.expect_calls()


def test_several_calls_stack_newest_first_and_the_keyboard_moves_between(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    web.ring("one")
    alice.expect_calls("Le Bar du Port")
    web.ring("two", ISLAND_NUMBER)
    web.ring("three", "anonymous")
    alice.expect_calls("Appelant inconnu", "Chez Payet", "Le Bar du Port")
    assert alice.open_call() == "Appelant inconnu"
    alice.page.keyboard.press("Alt+ArrowDown")
    assert alice.open_call() == "Chez Payet"
    alice.page.keyboard.press("Alt+ArrowUp")
    alice.page.keyboard.press("Alt+ArrowUp")
    assert alice.open_call() == "Le Bar du Port"
    web.hook(event="answer", callId="one", answeringNumber="alice")
    expect(alice.page.locator(".pop[data-open] .call-facts .call-state")).to_have_text("décroché")
    web.ring("four", SHARED_NUMBER)
    alice.expect_calls("2 points de vente partagent ce numéro", "Appelant inconnu", "Chez Payet", "Le Bar du Port")
    # Who speaks is not torn away from the call.
    assert alice.open_call() == "Le Bar du Port"


def test_a_shared_number_is_settled_by_picking_the_shop(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    web.ring("one", SHARED_NUMBER)
    alice.expect_calls("2 points de vente partagent ce numéro")
    alice.page.get_by_role("button", name="Café de la Gare").click()
    alice.expect_calls("Café de la Gare")
    assert "T00031" in alice.terminal("T00031")


def test_an_unknown_caller_is_found_by_typing(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    web.ring("one", "anonymous")
    alice.expect_calls("Appelant inconnu")
    alice.page.get_by_label("Nom ou code du point de vente, terminal, numéro").press_sequentially("t00021", delay=20)
    alice.page.get_by_role("button", name="Chez Payet").click()
    alice.expect_calls("Chez Payet")
    expect(alice.page.locator(".shop-line").first).to_contain_text("La Réunion (974)")


def test_what_is_on_screen_renews_itself_and_keeps_what_the_reader_did(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    web.ring("one")
    alice.expect_calls("Le Bar du Port")
    alice.page.get_by_text("Ce n'est pas ce point de vente ?").click()
    alice.page.locator(".pop .find input").fill("gare")
    with psycopg.connect(web.database_url) as conn:
        conn.execute("UPDATE diagnostics.health SET state = 'ok', reasons = '[]' WHERE terminal_id = 'T00012'")
    expect(alice.page.locator(".pop .terminal:has-text('T00012') .badge")).to_have_text("en service", timeout=14_000)
    expect(alice.page.locator(".pop .find input")).to_have_value("gare")
    expect(alice.page.locator(".pop .find input")).to_be_focused()
    expect(alice.page.locator(".pop .picks .pick")).to_have_count(2)


def test_a_hidden_tab_and_a_reloaded_one_miss_nothing(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    front = alice.page.context.new_page()
    front.goto("about:blank")
    front.bring_to_front()
    web.ring("one")
    alice.expect_calls("Le Bar du Port")
    alice.page.reload()
    alice.expect_calls("Le Bar du Port")
    alice.page.goto(f"{web.url}/console/incidents")
    alice.expect_calls("Le Bar du Port")


def test_a_call_rings_in_every_tab_however_many(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    tabs = [alice.page] + [alice.page.context.new_page() for _ in range(8)]
    for tab in tabs[1:]:
        tab.goto(f"{web.url}/console/calls")
        expect(tab.locator("#wire")).to_have_attribute("data-state", "open")
    web.ring("one")
    for tab in tabs:
        expect(tab.locator(".pop .call-toggle")).to_have_text(["Le Bar du Port"])
    web.hook(event="hangup", callId="one", cause="cancel")
    for tab in tabs:
        expect(tab.locator(".pop")).to_have_count(0)


def test_signing_out_in_one_tab_empties_the_others(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    other = alice.page.context.new_page()
    other.goto(f"{web.url}/console")
    alice.page.get_by_role("button", name="Se déconnecter").click()
    expect(other.get_by_role("heading", name="Se connecter à Vigie")).to_be_visible(timeout=20_000)


def test_the_language_is_switched_and_kept(web: RunningWeb, open_console: OpenConsole) -> None:
    bruno = open_console(web.url, login="bruno")
    bruno.page.get_by_role("button", name="English").click()
    expect(bruno.page.get_by_role("heading", name="Waiting for calls")).to_be_visible()
    bruno.wait_for_stream()
    web.ring("one")
    bruno.expect_calls("Le Bar du Port")
    assert "out of paper" in bruno.terminal("T00012").lower()


def test_shops_terminals_and_incidents_have_their_pages(web: RunningWeb, open_console: OpenConsole) -> None:
    watcher = open_console(web.url, login="veille")
    watcher.page.keyboard.press("Alt+s")
    watcher.page.keyboard.type("payet")
    watcher.page.keyboard.press("Enter")
    watcher.page.get_by_role("link", name="Chez Payet").click()
    watcher.page.get_by_role("link", name="T00021").click()
    expect(watcher.page.get_by_role("heading", name="Terminal T00021")).to_be_visible()
    expect(watcher.page.locator(".samples tbody tr").first).to_be_visible()
    watcher.page.get_by_role("link", name="Incidents", exact=True).click()
    watcher.page.get_by_label("Titre").fill("Lots usés")
    watcher.page.get_by_label("lot", exact=True).fill("L22")
    watcher.page.get_by_role("button", name="Déclarer").click()
    expect(watcher.page.get_by_role("heading", name="Lots usés", level=1)).to_be_visible()


def test_everything_is_reached_by_keyboard(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    web.ring("one")
    alice.expect_calls("Le Bar du Port")
    alice.page.locator("body").press("Tab")
    expect(alice.page.locator(".skip")).to_be_focused()
    alice.page.keyboard.press("Enter")
    reached: list[str] = []
    for _ in range(12):
        alice.page.keyboard.press("Tab")
        reached.append(alice.page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert "call-1-toggle" in reached
    assert "call-1-away" in reached
    assert "c1-T00012-link" in reached
