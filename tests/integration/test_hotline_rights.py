"""Every route of the web program, against every role on every floor: nobody may more than stands here.

The table below was written by hand from what each role is for, not from the code: a route that lets somebody in whom it does
not name is a fault of the route, and a new route needs a line here.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from hotline.floors import Floor
from hotline.roles import OVERFLOW_RIGHTS, RIGHTS, Right, Role, may
from hotline.web.guards import Editor, Uploader
from tests.running_web import PORT_BAR, RunningWeb
from tests.web_routes import PARAMETERS, PUBLIC, guarded, rights_of, routes

EVERYBODY = frozenset(Role)
BOSSES = frozenset({Role.ADMINISTRATOR})
LEADERS = frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR})
ANSWERERS = LEADERS | {Role.LEVEL1, Role.LEVEL2}
MANAGERS = BOSSES | {Role.ROLLOUT_MANAGER}
WATCHERS = frozenset({Role.VEILLE, Role.ADMINISTRATOR})
BOTH, OWN = frozenset(Floor), frozenset({Floor.OWN})
# Route (as a pattern), who may, and on which floors; the first line that matches counts.
EXPECTED: list[tuple[str, frozenset[Role], frozenset[Floor]]] = [
    (r"(GET|POST) /console/agents(/{agent}(/(password|state))?)?", BOSSES, OWN),
    (r"GET /console/audit", LEADERS, OWN),
    (r"GET /console/incidents/{incident_id}/silent\.csv", EVERYBODY - {Role.LEVEL1, Role.ROLLOUT_MANAGER}, OWN),
    (r"GET /(console|api/v1)/figures(/calls)?(\.csv)?", LEADERS | WATCHERS | {Role.DSI}, OWN),
    (r"GET /console/articles/(new|{article}/edit)", LEADERS | WATCHERS, OWN),
    (r"(POST|PUT) /(console|api/v1)/articles.*", LEADERS | WATCHERS, OWN),
    (r"(POST /console/opening|PUT /api/v1/race-days/{day})", LEADERS | WATCHERS, OWN),
    (r"POST /(console|api/v1)/terminals/{terminal_id}/(ping|print-test)", ANSWERERS, BOTH),
    (r"POST /(console|api/v1)/terminals/{terminal_id}/reboot", ANSWERERS - {Role.LEVEL1}, OWN),
    (r"POST /(console|api/v1)/handovers/{handover}/take", ANSWERERS - {Role.LEVEL1}, OWN),
    (r"GET /(console/(handovers|handovers/now|handovers/count|manual-calls)|api/v1/handovers)", ANSWERERS, BOTH),
    # Whether our telephone system works is ours to say.
    (r"POST /(console|api/v1)/telephony/{state}", ANSWERERS, OWN),
    (r"POST /(console|api/v1)/incidents/{incident_id}/calls", ANSWERERS, BOTH),
    (r"POST /(console|api/v1)/(incidents|maintenance|maintenance-windows)\b.*", WATCHERS | {Role.DSI}, OWN),
    (r"(POST|PUT) /(console|api/v1)/(typologies|typology-candidates)\b.*", WATCHERS, OWN),
    (
        r"(POST|PUT|DELETE) /(console|api/v1)/(calls|manual-calls|callbacks|attachments|exchange-calls|handovers)\b.*",
        ANSWERERS,
        BOTH,
    ),
    (r"GET /console/campaigns/new", MANAGERS, OWN),
    (r"POST /(console|api/v1)/(campaigns|campaigns/{campaign}/{deed}|releases|releases/{version}/withdraw)", MANAGERS, OWN),
    # The overflow floor has the rollout's line in a call, and no more of it.
    (r"GET /console/(campaigns(/now|/{campaign}|/{campaign}/now)?|releases(/{version})?|rollout-audit)", EVERYBODY, OWN),
    (r"GET /api/v1/(campaigns(/{campaign}(/terminals|/readings)?)?|releases(/{version})?)", EVERYBODY, OWN),
    (r"GET /api/v1/(rollout-audit-entries(/chain)?|terminals/{terminal_id}/firmware-actions)", EVERYBODY, OWN),
    (r"POST /(language|sign-out|sign-out-everywhere|console/account/password)", EVERYBODY, BOTH),
    # What leads through everything there is, page by page, is our own floor's.
    (r"GET /api/v1/(calls|callbacks|terminals|incidents)", EVERYBODY, OWN),
    (r"GET /api/v1/incidents/{incident_id}/(terminals|silent-victims)", EVERYBODY, OWN),
    (r"GET /(api/v1/typology-candidates|console/typologies/(candidates|notes))", EVERYBODY, OWN),
    # A page of the console: what it lists on the overflow floor is that floor's (tests of reach hold that).
    (r"GET /console(/(today|banners|account|stream|search|opening|maintenance|wallboard|wallboard/now))?", EVERYBODY, BOTH),
    (r"GET /console/(calls|callbacks|callbacks/now)", EVERYBODY, BOTH),
    (r"GET /console/calls/{call}(/(articles|notes|pop|qualification|shops))?", EVERYBODY, BOTH),
    (r"GET /console/(points-of-sale/{code}|terminals/{terminal_id}|terminals/{terminal_id}/commands)", EVERYBODY, BOTH),
    (r"GET /console/incidents(/now|/{incident_id}|/{incident_id}/(now|calls))?", EVERYBODY, BOTH),
    (r"GET /console/(articles|articles/{article}|typologies|typologies/{typology})", EVERYBODY, BOTH),
    # One thing by its id, or what a person finds.
    (r"GET /api/v1/(search|points-of-sale|points-of-sale/{code})", EVERYBODY, BOTH),
    (r"GET /api/v1/terminals/{terminal_id}(/(commands|samples))?", EVERYBODY, BOTH),
    (r"GET /api/v1/calls/{call}(/(articles|notes|qualification))?", EVERYBODY, BOTH),
    (r"GET /api/v1/incidents/{incident_id}(/(calls|events|minutes))?", EVERYBODY, BOTH),
    (r"GET /api/v1/(articles|articles/{article}|articles/{article}/versions)", EVERYBODY, BOTH),
    (r"GET /api/v1/(typologies|typologies/days|typologies/{typology})", EVERYBODY, BOTH),
    (r"GET /api/v1/(maintenance-windows|maintenance-windows/{maintenance_id}|race-days|telephony-gaps)", EVERYBODY, BOTH),
]
# Forms, bodies and parameters that the guarded routes would take.
BODIES: dict[str, dict[str, Any]] = {
    "POST /language": {"data": {"language": "fr"}},
    "POST /console/calls/{call}/point-of-sale": {"data": {"code": PORT_BAR}},
    "POST /console/incidents": {"data": {"title": "x", "lot": "L22"}},
    "POST /console/incidents/{incident_id}/comments": {"data": {"text": "x"}},
    "POST /api/v1/incidents/{incident_id}/comments": {"json": {"text": "x"}},
    "POST /api/v1/incidents/{incident_id}/resolve": {"json": {}},
    "POST /api/v1/incidents/{incident_id}/reopen": {"json": {}},
    # Every shop, page by page, is our own floor's, what is looked for everybody's.
    "GET /api/v1/points-of-sale": {"params": {"q": "bar"}},
    "POST /api/v1/incidents": {"json": {"title": "x", "scope": {"lot": "L22"}}},
}
# These end the session that asks: they come last.
LAST = ("POST /console/account/password", "POST /sign-out", "POST /sign-out-everywhere")
EVERYWHERE = [(role, floor) for role in Role for floor in Floor]


def expected(name: str, role: Role, floor: Floor) -> bool:
    for pattern, roles, floors in EXPECTED:
        if re.fullmatch(pattern, name):
            return role in roles and floor in floors
    raise AssertionError(f"{name}: say in EXPECTED who may")


def changes_something(name: str) -> bool:
    return not name.startswith("GET ")


def test_every_route_is_guarded_or_known_to_be_public() -> None:
    unguarded = {name for name, route in routes().items() if not rights_of(route)}
    assert unguarded == set(PUBLIC)


def test_every_console_route_that_changes_something_asks_for_proof() -> None:
    def editors(dependant: Dependant) -> bool:
        return isinstance(dependant.call, Editor | Uploader) or any(editors(inner) for inner in dependant.dependencies)

    for name, route in routes().items():
        if changes_something(name) and "/api/" not in name and name not in PUBLIC:
            assert editors(route.dependant), name


def test_the_guards_of_every_route_let_in_whom_the_table_names_and_nobody_else() -> None:
    wrong = []
    for name, route in guarded().items():
        for role, floor in EVERYWHERE:
            allowed = all(may(role, right, floor) for right in rights_of(route))
            if allowed is not expected(name, role, floor):
                wrong.append((name, f"{role} of the {floor} floor", "let in" if allowed else "kept out"))
    assert not wrong


def test_the_table_names_no_route_that_is_gone() -> None:
    unused = [pattern for pattern, *_ in EXPECTED if not any(re.fullmatch(pattern, name) for name in guarded())]
    assert unused == []


@pytest.fixture(scope="module")
def web(module_database_url: str) -> Iterator[RunningWeb]:
    """The web program, running on a small fleet, with one call."""
    running = RunningWeb(module_database_url)
    running.start()
    running.ring("one")
    yield running
    running.stop()


# The overflow floor's roles differ little: the one that is there, and the one that would have most.
@pytest.mark.parametrize(
    ("role", "floor"),
    [*((role, Floor.OWN) for role in Role), (Role.LEVEL1, Floor.OVERFLOW), (Role.ADMINISTRATOR, Floor.OVERFLOW)],
    ids=str,
)
def test_whoever_may_not_is_refused_over_http(web: RunningWeb, role: Role, floor: Floor) -> None:
    """One route of each right, of the console and of the API; at level 1, whom most is kept from, every one it may not."""
    login = role.value if floor is Floor.OWN else f"{role.value}-overflow"
    wrong, tried = [], set[tuple[bool, frozenset[Right]]]()
    with web.client(login) as browser, httpx.Client(base_url=web.url) as program:
        csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        for name, route in sorted(guarded().items(), key=lambda item: item[0] in LAST):
            allowed, kind = expected(name, role, floor), ("/api/" in name, frozenset(rights_of(route)))
            if route.path == "/console/stream" or (kind in tried and (allowed or role is not Role.LEVEL1)):
                continue
            tried.add(kind)
            answer = ask(browser, name, route, {"X-CSRF-Token": csrf})
            if (answer.status_code != 403) is not allowed or answer.status_code >= 500:
                wrong.append((name, answer.status_code))
            if "/api/" in name and floor is Floor.OWN:
                answer = ask(program, name, route, {"Authorization": f"Bearer {web.access.api[role]}"})
                if (answer.status_code != 403) is not allowed or answer.status_code >= 500:
                    wrong.append((f"{name} by token", answer.status_code))
    assert not wrong


def test_the_administrator_reaches_every_route_without_a_fault(web: RunningWeb) -> None:
    with web.client("administrator") as browser:
        csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        answers = {
            name: ask(browser, name, route, {"X-CSRF-Token": csrf}).status_code
            for name, route in guarded().items()
            if route.path != "/console/stream" and name not in LAST
        }
    assert {name: status for name, status in answers.items() if status == 403 or status >= 500} == {}


def test_nobody_may_anything_without_signing_in(web: RunningWeb) -> None:
    with web.client() as stranger:
        for name, route in guarded().items():
            answer = ask(stranger, name, route, {"Authorization": f"Bearer {web.access.cti}"})
            if "/api/" in name:
                assert answer.status_code == 401, name
            else:
                assert answer.status_code == 303, name
                assert answer.headers["Location"].startswith("/sign-in"), name


def test_no_line_of_the_table_lets_in_a_route_to_read_that_is_not_there_yet() -> None:
    """Who may read something new is to be said, not to follow from a pattern that was meant for something else."""
    new = ["GET /console/new", "GET /console/agents/{agent}/new", "GET /console/calls/{call}/new", "GET /console/calls.csv"]
    new += ["GET /api/v1/new", "GET /api/v1/figures/new", "GET /api/v1/calls/new", "GET /console/handovers/new"]
    for name in new:
        with pytest.raises(AssertionError, match="say in EXPECTED"):
            expected(name, Role.LEVEL1, Floor.OWN)


def test_each_right_is_somebodys_and_none_but_reading_is_everybodys() -> None:
    assert set(RIGHTS) == set(Right)
    assert all(RIGHTS.values())
    assert [right for right, roles in RIGHTS.items() if roles == set(Role)] == [Right.READ, Right.BROWSE, Right.SEE_ROLLOUT]
    assert not OVERFLOW_RIGHTS & {Right.BROWSE, Right.SEE_ROLLOUT, Right.EXPORT, Right.READ_AUDIT, Right.MANAGE_AGENTS}


def ask(client: httpx.Client, name: str, route: APIRoute, headers: dict[str, str]) -> httpx.Response:
    return client.request(name.split(maxsplit=1)[0], route.path.format_map(PARAMETERS), headers=headers, **BODIES.get(name, {}))
