"""Every route of the web program, against every role: nobody may more than the table in `hotline.roles` says."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from hotline.roles import RIGHTS, Right, Role, may
from hotline.web.app import ROUTERS
from hotline.web.guards import ApiGuard, Editor, Reader
from tests.running_web import PORT_BAR, RunningWeb

# Whoever may come without signing in, and why.
PUBLIC = {
    "GET /": "leads to the console",
    "GET /sign-in": "the form",
    "POST /sign-in": "guarded by the password",
    "POST /api/v1/cti/{token}": "guarded by its token",
    "GET /healthz": "says nothing of anybody",
    "GET /metrics": "guards itself: this machine, or a token",
}
# What a path names; where nothing is said, the number 1 will do.
PARAMETERS = defaultdict(lambda: "1", {"code": PORT_BAR, "terminal_id": "T00012", "token": "x"})
# Forms and bodies that the guarded routes would take.
BODIES: dict[str, dict[str, Any]] = {
    "POST /language": {"data": {"language": "fr"}},
    "POST /console/calls/{call}/point-of-sale": {"data": {"code": PORT_BAR}},
    "POST /console/incidents": {"data": {"title": "x", "lot": "L22"}},
    "POST /console/incidents/{incident_id}/comments": {"data": {"text": "x"}},
    "POST /api/v1/incidents/{incident_id}/comments": {"json": {"text": "x"}},
    "POST /api/v1/incidents/{incident_id}/resolve": {"json": {}},
    "POST /api/v1/incidents/{incident_id}/reopen": {"json": {}},
    "POST /api/v1/incidents": {"json": {"title": "x", "scope": {"lot": "L22"}}},
}


def routes() -> dict[str, APIRoute]:
    found = {}
    for module in ROUTERS:
        app = FastAPI()
        app.include_router(module.router)
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for method in (route.methods or set()) - {"HEAD"}:
                found[f"{method} {route.path}"] = route
    return found


def rights_of(route: APIRoute) -> set[Right]:
    """The rights its guards ask for, wherever they hang."""

    def guards(dependant: Dependant) -> Iterator[Right]:
        if isinstance(dependant.call, Reader | Editor | ApiGuard):
            yield dependant.call.right
        for inner in dependant.dependencies:
            yield from guards(inner)

    return set(guards(route.dependant))


def changes_something(name: str) -> bool:
    return not name.startswith("GET ")


def test_every_route_is_guarded_or_known_to_be_public() -> None:
    unguarded = {name for name, route in routes().items() if not rights_of(route)}
    assert unguarded == set(PUBLIC)


def test_every_console_route_that_changes_something_asks_for_proof() -> None:
    def editors(dependant: Dependant) -> bool:
        return isinstance(dependant.call, Editor) or any(editors(inner) for inner in dependant.dependencies)

    for name, route in routes().items():
        if changes_something(name) and "/api/" not in name and name not in PUBLIC:
            assert editors(route.dependant), name


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program, running on a small fleet, with one call."""
    running = RunningWeb(database_url)
    running.start()
    running.ring("one")
    yield running
    running.stop()


def test_roles_may_exactly_what_the_table_says(web: RunningWeb) -> None:
    wrong = []
    for role in Role:
        with web.client(role.value) as browser:
            csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
            for name, route in sorted(routes().items(), key=lambda item: item[0] == "POST /sign-out"):
                if name in PUBLIC or route.path == "/console/stream":
                    continue
                allowed = all(may(role, right) for right in rights_of(route))
                answer = ask(browser, name, route, {"X-CSRF-Token": csrf})
                if (answer.status_code != 403) is not allowed or answer.status_code >= 500:
                    wrong.append((role, name, answer.status_code))
                if "/api/" in name:
                    with httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {web.access.api[role]}"}) as program:
                        answer = ask(program, name, route, {})
                        if (answer.status_code != 403) is not allowed or answer.status_code >= 500:
                            wrong.append((role, f"{name} by token", answer.status_code))
    assert not wrong


def test_nobody_may_anything_without_signing_in(web: RunningWeb) -> None:
    with web.client() as stranger:
        for name, route in routes().items():
            if name in PUBLIC:
                continue
            answer = ask(stranger, name, route, {"Authorization": f"Bearer {web.access.cti}"})
            if "/api/" in name:
                assert answer.status_code == 401, name
            else:
                assert answer.status_code == 303, name
                assert answer.headers["Location"].startswith("/sign-in"), name


def test_each_right_is_somebodys_and_none_but_reading_is_everybodys() -> None:
    assert set(RIGHTS) == set(Right)
    assert all(RIGHTS.values())
    assert [right for right, roles in RIGHTS.items() if roles == set(Role)] == [Right.READ]


def ask(client: httpx.Client, name: str, route: APIRoute, headers: dict[str, str]) -> httpx.Response:
    return client.request(name.split(maxsplit=1)[0], route.path.format_map(PARAMETERS), headers=headers, **BODIES.get(name, {}))
