"""What the agent's screen does beside popping: a day's picture, shortcuts and their switch, tabs that nobody looks at."""

from playwright.sync_api import Request, expect

from tests.e2e.conftest import ConsolePage, OpenConsole
from tests.running_web import ISLAND_NUMBER, PORT_BAR_NUMBER, RunningWeb


def test_each_terminal_shows_its_last_day_with_what_was_wrong(web: RunningWeb, open_console: OpenConsole) -> None:
    alice, carol = open_console(web.url, login="alice"), open_console(web.url, login="carol")
    web.ring("one")
    for console, title, over in (
        (alice, "Les dernières 24 heures de T00012", "L'imprimante a des ratés à répétition"),
        (carol, "The last 24 hours of T00012", "the printer fails again and again"),
    ):
        card = console.page.locator(".pop .terminal:has-text('T00012')")
        expect(card.get_by_role("img", name=title)).to_be_visible()
        expect(card.locator(".day-blamed .day-label")).to_have_count(2)
        expect(card.locator(".over")).to_contain_text(over, ignore_case=True)
    expect(alice.page.locator(".pop .terminal:has-text('T00013') .day-blamed")).to_have_count(0)


def test_shortcuts_are_listed_and_switched_off_for_good(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    web.ring("one")
    alice.expect_calls("Le Bar du Port")
    web.ring("two", ISLAND_NUMBER)
    alice.expect_calls("Chez Payet", "Le Bar du Port")
    page = alice.page
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Raccourcis clavier")
    expect(dialog).to_be_visible()
    expect(dialog.locator("kbd", has_text="Échap")).to_be_visible()
    page.get_by_label("Utiliser ces raccourcis dans ce navigateur").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    for again in (False, True):
        if again:
            page.reload()
            alice.expect_calls("Chez Payet", "Le Bar du Port")
        before = alice.open_call()
        page.keyboard.press("Alt+ArrowDown")
        page.keyboard.press("?")
        page.locator(".pop[data-open] .call-toggle").press("Escape")
        assert alice.open_call() == before
        expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Raccourcis clavier").click()
    page.get_by_label("Utiliser ces raccourcis dans ce navigateur").check()
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+ArrowDown")
    assert alice.open_call() == "Le Bar du Port"


def test_a_question_mark_in_a_text_is_a_question_mark(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    alice.page.locator("#q").press("?")
    expect(alice.page.locator("#q")).to_have_value("?")
    expect(alice.page.locator("#shortcuts")).to_be_hidden()


def test_only_what_is_looked_at_is_renewed_and_the_rest_catches_up(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    page, asked = alice.page, list[str]()
    page.clock.install()
    page.reload()
    alice.wait_for_stream()
    web.ring("one")
    alice.expect_calls("Le Bar du Port")
    web.ring("two", ISLAND_NUMBER)
    alice.expect_calls("Chez Payet", "Le Bar du Port")

    def note(request: Request) -> None:
        if request.url.endswith("/pop"):
            asked.append(request.url.split("/calls/")[1])

    page.on("request", note)
    with page.expect_response("**/calls/2/pop"):
        page.clock.fast_forward(11_000)
    assert set(asked) == {"2/pop"}
    # A tab that nobody sees asks for nothing.
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    asked.clear()
    page.clock.fast_forward(11_000)
    page.wait_for_function("document.querySelector('#pop-2').missed")
    assert not asked
    with page.expect_response("**/calls/2/pop"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    with page.expect_response("**/calls/1/pop"):
        page.keyboard.press("Alt+ArrowDown")


def test_an_ended_call_stays_on_every_page_until_it_is_finished_or_put_away(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    page = alice.page

    def speak(call: str, number: str) -> None:
        web.ring(call, number)
        for event in ({"event": "answer", "answeringNumber": "4021"}, {"event": "hangup", "cause": "normalClearing"}):
            web.hook(callId=call, **event)

    speak("one", PORT_BAR_NUMBER)
    expect(page.locator(".pop article[data-state=ended] .call-toggle")).to_have_text("Le Bar du Port")
    # By a link of the pop itself, by a second tab beside it, and after a reload.
    page.locator(".pop .terminal h3 a").first.click()
    page.wait_for_url("**/terminals/*")
    alice.expect_calls("Le Bar du Port")
    expect(page.locator(".pop[data-open] form.qualify")).to_be_visible()
    beside = ConsolePage(page.context.new_page(), web.url)
    beside.page.goto(f"{web.url}/console")
    beside.expect_calls("Le Bar du Port")
    page.reload()
    alice.expect_calls("Le Bar du Port")
    # Who speaks anew has finished with the one before; what is put away stays away.
    speak("two", ISLAND_NUMBER)
    alice.expect_calls("Chez Payet", "Le Bar du Port")
    page.reload()
    alice.expect_calls("Chez Payet")
    page.locator(".pop[data-open] .call-toggle").press("Escape")
    alice.expect_calls()
    page.reload()
    alice.wait_for_stream()
    web.ring("three")
    alice.expect_calls("Le Bar du Port")
