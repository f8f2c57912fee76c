"""A real Chromium and the console's pages as a test speaks of them; any test of the whole house may use both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.running_web import PASSWORD, RunningWeb

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


LONGEST = "test_whole_house.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole house takes longest and mostly waits: it begins first, beside the others."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@dataclass
class ConsolePage:
    """The console of one agent, in one tab."""

    page: Page
    url: str
    # What the browser complained of: a refused script or style, an error of ours.
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, login: str, password: str = PASSWORD) -> None:
        """Sign in through the form, and wait until the event stream is open."""
        self.page.goto(f"{self.url}/sign-in")
        self.page.fill("#login", login)
        self.page.fill("#password", password)
        self.page.click("form[action='/sign-in'] button")
        self.wait_for_stream()

    def wait_for_stream(self) -> None:
        """Wait until calls can pop."""
        expect(self.page.locator("#wire")).to_have_attribute("data-state", "open")

    def calls(self) -> list[str]:
        """The titles of the calls on screen, from the top."""
        return [title.strip() for title in self.page.locator(".pop .call-toggle").all_inner_texts()]

    def expect_calls(self, *titles: str) -> None:
        """Wait until exactly these calls stand, from the top."""
        expect(self.page.locator(".pop .call-toggle")).to_have_text(list(titles))

    def open_call(self) -> str:
        """The title of the call whose body is shown."""
        return self.page.locator(".pop[data-open] .call-toggle").inner_text().strip()

    def terminal(self, terminal: str) -> str:
        """What the open call says of a terminal."""
        return self.page.locator(f".pop[data-open] .terminal:has-text('{terminal}')").inner_text()


OpenConsole = Callable[..., ConsolePage]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a screen."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is not there: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_console(chromium: Browser) -> Iterator[OpenConsole]:
    """Opens a console at an address in a browser profile of its own; at the end no browser may have complained."""
    opened: list[ConsolePage] = []
    with ExitStack() as stack:

        def open_one(
            url: str,
            *,
            login: str | None = None,
            password: str = PASSWORD,
            width: int = 1280,
            height: int = 800,
        ) -> ConsolePage:
            context = chromium.new_context(viewport={"width": width, "height": height}, locale="fr-FR")
            stack.callback(context.close)
            console = ConsolePage(context.new_page(), url)
            console.page.on("console", lambda m: console.complaints.append(m.text) if m.type == "error" else None)
            console.page.on("pageerror", lambda error: console.complaints.append(str(error)))
            opened.append(console)
            if login is not None:
                console.sign_in(login, password)
            return console

        yield open_one
        complaints = [complaint for console in opened for complaint in console.complaints]
    assert not complaints


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program, running on a small fleet."""
    running = RunningWeb(database_url)
    running.start()
    yield running
    running.stop()
