"""The overflow floor never gets a whole telephone number: over every route that it may read, and in its event stream."""

import re
from collections import Counter
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from fleet.database import Connection
from hotline.floors import Floor
from hotline.notes import write_note
from hotline.roles import OVERFLOW_RIGHTS, Role, may
from tests.running_web import ISLAND_NUMBER, PORT_BAR, PORT_BAR_NUMBER, SHARED_NUMBER, RunningWeb
from tests.web_routes import PARAMETERS, guarded, rights_of

# Numbers of shops, of a caller that no shop has, and what agents wrote down.
NUMBERS = (PORT_BAR_NUMBER, "+33639981234", ISLAND_NUMBER, SHARED_NUMBER, "+33199009988", "+33465710101")
# What stands between the digits of a number on a page or in JSON.
BETWEEN = re.compile(r"(?<=\d)(?:[\s.\-/()]|&nbsp;|&#160;|\\u00a0|\\u202f)+(?=\d)")


def leaked(text: str) -> list[str]:
    """Which of the numbers stand in the text, however they are written."""
    closed = BETWEEN.sub("", text)
    return [number for number in NUMBERS if number.removeprefix("+33").removeprefix("+262") in closed]


@pytest.fixture(scope="module")
def web(module_database_url: str) -> Iterator[RunningWeb]:
    """A house where numbers stand in calls of every kind, in notes, callbacks and comments."""
    running = RunningWeb(module_database_url)
    running.start()
    running.ring("one")
    running.hook(event="answer", callId="one", user="Odile Renard")
    running.ring("shared", SHARED_NUMBER)
    running.ring("unknown", "0199009988")
    running.hook(event="newCall", callId="out", direction="out", **{"from": "3008", "to": ISLAND_NUMBER})
    running.hook(event="answer", callId="shared", user="0465710101")
    running.ring("given up", ISLAND_NUMBER)
    running.hook(event="hangup", callId="given up", cause="cancel")
    with psycopg.connect(running.database_url) as conn:
        _write(conn, running)
    yield running
    running.stop()


def _write(conn: Connection, web: RunningWeb) -> None:
    now = web.clock()
    for (call,) in conn.execute("SELECT id FROM hotline.call").fetchall():
        write_note(conn, call=call, author="alice", agent_id=None, text="rappeler au 04 65 71 01 01 ou 0033465710101", now=now)
    conn.execute(
        "INSERT INTO diagnostics.incident_event (incident_id, at, kind, actor, detail)"
        " SELECT id, %s, 'commented', 'veille', 'Le Bar du Port (01.99.00.12.34) confirme' FROM diagnostics.incident",
        [now],
    )


def readable() -> list[str]:
    """The addresses that the overflow floor may read, each with what could bring a number to light."""
    found = []
    for name, route in guarded().items():
        if not name.startswith("GET ") or route.path in ("/console/stream", "/api/v1/points-of-sale"):
            continue
        if all(may(Role.LEVEL1, right, Floor.OVERFLOW) for right in rights_of(route)):
            calls = range(1, 6) if "{call}" in route.path else range(1, 2)
            found += [route.path.replace("{call}", str(call)).format_map(PARAMETERS) for call in calls]
    return [*found, *(f"{path}?q={text}" for path in QUERIED for text in ("bar", PORT_BAR, TYPED, "rappeler"))]


# The list of every shop is not that floor's, only what is looked for in it.
QUERIED = ("/console/search", "/api/v1/search", "/api/v1/points-of-sale", "/console/calls/2/shops")
# What a reader types comes back in the page's own search field.
TYPED = "0199001234"


def test_no_route_gives_a_whole_number_to_the_overflow_floor(web: RunningWeb) -> None:
    # No role of that floor may read more than this one: its rights are those of the floor.
    assert {right for right in OVERFLOW_RIGHTS if may(Role.LEVEL1, right, Floor.OVERFLOW)} == OVERFLOW_RIGHTS
    found, statuses = {}, Counter[int]()
    with web.client("odile") as browser:
        # The pop's fragment is for those on whose screens the call stands, or who have its page open.
        for path in readable():
            answer = browser.get(path, headers={"HX-Current-URL": path.removesuffix("/pop")})
            statuses[answer.status_code] += 1
            if leak := leaked(answer.text.replace(TYPED, "")):
                found[path] = leak
    assert found == {}
    # 422: a search for nothing.
    assert (set(statuses) <= {200, 303, 404, 422}, statuses[200] > 80) == (True, True), statuses


def test_a_program_of_the_overflow_floor_gets_none_either(web: RunningWeb) -> None:
    with httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {web.access.overflow}"}) as program:
        paths = [path for path in readable() if path.startswith("/api/")]
        found = {path: leak for path in paths if (leak := leaked(program.get(path).text))}
    assert (found, len(paths) > 20) == ({}, True)


def test_our_own_floor_sees_them_all(web: RunningWeb) -> None:
    """Else the tests above would find nothing, whatever was masked."""
    with web.client("level1") as browser:
        seen = {number for path in readable() for number in leaked(browser.get(path).text.replace(TYPED, ""))}
    assert seen == set(NUMBERS)


def test_the_event_stream_masks_for_one_floor_and_not_for_the_other(web: RunningWeb) -> None:
    pops = {}
    for login in ("odile", "level1"):
        with web.client(login) as browser, browser.stream("GET", "/console/stream") as stream:
            lines = stream.iter_lines()
            next(line for line in lines if line.startswith("event: state"))
            web.ring(f"for {login}", PORT_BAR_NUMBER, user=["Odile Renard", "Personne level1"])
            texts = []
            for line in lines:
                texts.append(line)
                if line.startswith("data: ") and '"state": "ringing"' in line and "Bar du Port" in line:
                    break
            pops[login] = leaked("\n".join(texts))
            web.hook(event="hangup", callId=f"for {login}", cause="cancel")
    assert pops["odile"] == []
    assert PORT_BAR_NUMBER in pops["level1"]


def test_a_number_cannot_be_found_out_by_searching_for_parts_of_it(web: RunningWeb) -> None:
    def finds(login: str, text: str) -> bool:
        with web.client(login) as browser:
            return "Bar du Port" in browser.get("/console/search", params={"q": text}, follow_redirects=True).text

    assert [finds("level1", text) for text in ("01990012", "01 99 00 12 34")] == [True, True]
    assert [finds("odile", text) for text in ("01990012", "01 99 00 12 34")] == [False, True]


def test_a_page_of_a_number_says_its_end(web: RunningWeb) -> None:
    with web.client("odile") as browser:
        assert "•• •• •• •• 34" in browser.get(f"/console/points-of-sale/{PORT_BAR}").text
