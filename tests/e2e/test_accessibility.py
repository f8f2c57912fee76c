"""Every page, as every role sees it, judged by axe-core in a real Chromium: nothing serious, in the light and in the dark."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect

from hotline.roles import Role
from hotline.web.app import ROUTERS
from tests.e2e.conftest import OpenConsole
from tests.e2e.lively_calls import fill
from tests.running_web import PORT_BAR, SHARED_NUMBER, RunningWeb

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
REFUSED = {"serious", "critical"}
# What a path names; where nothing is said, the number 1 will do.
PARAMETERS = defaultdict(lambda: "1", {"code": PORT_BAR, "terminal_id": "T00012", "agent": "2", "version": "4.3.0"})
# What a page must be asked.
ASKED = defaultdict(str, {"/console/figures/calls": "?what=answered", "/console/search": "?q=gare"})
# An event stream never ends.
ENDLESS = {"/console/stream"}
# The overflow floor's pages lack what is not that floor's, whatever the role.
OVERFLOW = f"{Role.LEVEL1}-overflow"
# An element as far as its kind goes: its name, and the attributes that say how it looks and what it is.
_ELEMENT = re.compile(r"<(\w+)([^>]*)>")
_SAYING = re.compile(r'(?:class|role|type|href="#|aria-[a-z]+|disabled|hidden|open)(?:="[^"]*")?')
_NUMBER = re.compile(r"\d+")


def test_no_page_of_any_role_has_a_serious_finding(web: RunningWeb, chromium: Browser) -> None:
    fill(web)
    judged: dict[str, set[str]] = defaultdict(set)
    wrong: list[str] = []
    for role in (*Role, OVERFLOW):
        with web.client(role) as browser, opened(chromium, web, browser) as page:
            for path, status, html in pages(browser):
                # What a role sees like a role before it is judged once; refusals look alike everywhere.
                seen = judged[path if status == 200 else str(status)]
                if not kinds(html) <= seen:
                    # Colours differ by page, hardly by role.
                    dark = not seen
                    seen |= kinds(html)
                    page.goto(web.url + path, wait_until="domcontentloaded")
                    wrong += [f"{role} {path}: {finding}" for finding in findings(page, dark=dark)]
    assert len(judged) > len(Role)
    assert not wrong, "\n".join(wrong)


def test_a_serious_finding_is_found(open_console: OpenConsole) -> None:
    page = open_console("about:blank").page
    page.set_content('<html lang="fr"><title>x</title><main><input><p style="color:#999">pale words</p></main></html>')
    assert {finding.split()[0] for finding in findings(page)} == {"color-contrast", "label"}


def test_the_sign_in_page_has_no_serious_finding(web: RunningWeb, open_console: OpenConsole) -> None:
    console = open_console(web.url)
    console.page.goto(f"{web.url}/sign-in")
    assert not findings(console.page)


def test_a_call_has_no_serious_finding_in_any_shape(web: RunningWeb, open_console: OpenConsole) -> None:
    alice = open_console(web.url, login="alice")
    for call_id, title, number in (
        ("one", "Le Bar du Port", "+33199001234"),
        ("two", "2 points de vente partagent ce numéro", SHARED_NUMBER),
        ("three", "Appelant inconnu", "anonymous"),
    ):
        web.ring(call_id, number, user=["alice"])
        expect(alice.page.locator(".pop[data-open] .call-toggle")).to_have_text(title)
        assert not findings(alice.page), title
    web.hook(event="answer", callId="one", answeringNumber="alice")
    expect(alice.page.locator(".pop[data-open] .call-facts .call-state")).to_have_text("décroché")
    expect(alice.page.locator(".pop[data-open] .note-form")).to_be_visible()
    assert not findings(alice.page)
    alice.page.get_by_role("button", name="Raccourcis clavier").click()
    assert not findings(alice.page)


def kinds(html: str) -> set[str]:
    """The kinds of elements a page is made of."""
    return {name + _NUMBER.sub("", " ".join(sorted(_SAYING.findall(attributes)))) for name, attributes in _ELEMENT.findall(html)}


def pages(browser: httpx.Client) -> Iterator[tuple[str, int, str]]:
    """Every page that the console's routes give this role; parts of pages and downloads are left out."""
    for module in ROUTERS:
        for route in module.router.routes:
            path = getattr(route, "path", "")
            if "GET" not in (getattr(route, "methods", None) or ()) or not path.startswith("/console") or path in ENDLESS:
                continue
            path = re.sub(r"\{(\w+)\}", lambda found: PARAMETERS[found.group(1)], path) + ASKED[path]
            answer = browser.get(path)
            assert answer.status_code < 500, path
            if "<!doctype html>" in answer.text[:200]:
                yield path, answer.status_code, answer.text


@contextmanager
def opened(chromium: Browser, web: RunningWeb, browser: httpx.Client) -> Iterator[Page]:
    """A tab of Chromium that is signed in as this client is."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="fr-FR")
    context.add_cookies([{"name": name, "value": value, "url": web.url} for name, value in browser.cookies.items()])
    yield context.new_page()
    context.close()


def findings(page: Page, *, dark: bool = True) -> list[str]:
    """What axe-core finds that is serious or critical: everything in the light, contrast in the dark as well."""
    page.evaluate(AXE)
    found = _run(page, {"resultTypes": ["violations"]})
    if dark:
        page.emulate_media(color_scheme="dark")
        found += _run(page, {"runOnly": ["color-contrast"], "resultTypes": ["violations"]})
        page.emulate_media(color_scheme="light")
    return found


def _run(page: Page, options: dict[str, Any]) -> list[str]:
    violations = page.evaluate(f"axe.run(document, {json.dumps(options)}).then((found) => found.violations)")
    return [
        f"{one['id']} ({one['impact']}): {'; '.join(node['html'][:160] for node in one['nodes'][:3])}"
        for one in violations
        if one["impact"] in REFUSED
    ]
