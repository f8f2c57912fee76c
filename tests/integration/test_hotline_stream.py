import json
import queue
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NoReturn

import httpx
import psycopg
import pytest
from starlette.exceptions import HTTPException

from fleet.database import Connection
from hotline.call_events import CallEvent, Happening
from hotline.calls import end_wrap_up, record_event
from hotline.pop import CallView, ReadDays, view_call
from hotline.stored_call import StoredCall
from hotline.web.app import PAGE_CONNECTIONS
from hotline.web.hub import Hub
from tests.running_web import ISLAND_NUMBER, PORT_BAR, PORT_BAR_NUMBER, SHARED_NUMBER, RunningWeb

PATIENCE_S = 8


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program, running on a small fleet."""
    running = RunningWeb(database_url)
    running.start()
    yield running
    running.stop()


class Screen:
    """One open console, as far as its event stream goes."""

    def __init__(self, web: RunningWeb, login: str) -> None:
        self._client = web.client(login)
        self._events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.next("state") is not None

    def next(self, kind: str) -> dict[str, Any]:
        """The next event, which must be of this kind."""
        event, data = self._events.get(timeout=PATIENCE_S)
        assert event == kind, (event, data)
        return data

    def is_quiet(self, seconds: float = 0.4) -> bool:
        """Whether nothing comes for a while."""
        time.sleep(seconds)
        return self._events.empty()

    def wait_for_end(self) -> None:
        """Wait until the server has closed the stream."""
        assert self._ended.wait(PATIENCE_S)

    def _read(self) -> None:
        try:
            with self._client.stream("GET", "/console/stream", timeout=30) as answer:
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                event = ""
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        event = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        self._events.put((event, json.loads(line.removeprefix("data: "))))
        except httpx.HTTPError:
            pass
        finally:
            self._ended.set()


def test_a_ring_brings_the_whole_pop_in_the_agents_language(web: RunningWeb) -> None:
    alice, carol = Screen(web, "alice"), Screen(web, "carol")
    web.ring("one")
    french, english = alice.next("pop"), carol.next("pop")
    for pop in (french, english):
        assert pop["state"] == "ringing"
        assert "Le Bar du Port" in pop["html"]
        assert all(terminal in pop["html"] for terminal in ("T00011", "T00012", "T00013"))
    assert "plus de papier" in french["html"]
    assert "out of paper" in english["html"]


def test_who_does_not_answer_calls_sees_none(web: RunningWeb) -> None:
    watcher = Screen(web, "veille")
    web.ring("one")
    assert watcher.is_quiet()


def test_a_call_for_one_agent_rings_on_every_screen_of_that_agent_alone(web: RunningWeb) -> None:
    first, second, other = Screen(web, "alice"), Screen(web, "alice"), Screen(web, "bruno")
    web.ring("one", user=["Alice Martin"])
    assert first.next("pop")["call"] == second.next("pop")["call"]
    assert other.is_quiet()


def test_an_answered_call_stays_with_who_answered(web: RunningWeb) -> None:
    alice, bruno = Screen(web, "alice"), Screen(web, "bruno")
    web.ring("one")
    call = alice.next("pop")["call"]
    assert bruno.next("pop")["call"] == call
    web.hook(event="answer", callId="one", answeringNumber="4021")
    assert alice.next("pop")["state"] == "answered"
    assert bruno.next("leave")["call"] == call
    web.hook(event="hangup", callId="one", cause="normalClearing")
    assert alice.next("pop")["state"] == "ended"
    assert bruno.is_quiet()


def test_a_call_from_a_queue_follows_the_phone_that_rings(web: RunningWeb) -> None:
    alice, bruno = Screen(web, "alice"), Screen(web, "bruno")

    def tell(kind: Happening, agent: str = "") -> None:
        event = CallEvent(kind, "one", str(kind), "in", PORT_BAR_NUMBER, agent=agent, queue="n1")
        with psycopg.connect(web.database_url) as conn:
            record_event(conn, event=event, now=web.clock())

    tell(Happening.QUEUED)
    assert alice.is_quiet()
    tell(Happening.OFFERED, "4021")
    assert alice.next("pop")["state"] == "ringing"
    tell(Happening.RELEASED, "4021")
    alice.next("leave")
    tell(Happening.OFFERED, "4022")
    assert bruno.next("pop")["state"] == "ringing"
    tell(Happening.CONNECTED, "4022")
    assert bruno.next("pop")["state"] == "answered"
    assert alice.is_quiet()


def test_a_call_given_up_leaves_everybody(web: RunningWeb) -> None:
    alice = Screen(web, "alice")
    web.ring("one")
    alice.next("pop")
    web.hook(event="hangup", callId="one", cause="cancel")
    alice.next("leave")


def test_who_comes_later_is_told_what_stands(web: RunningWeb) -> None:
    web.ring("one")
    web.ring("two", ISLAND_NUMBER)
    web.ring("three")
    web.hook(event="answer", callId="three", answeringNumber="4022")
    alice = Screen(web, "alice")
    assert {alice.next("pop")["call"], alice.next("pop")["call"]} == {1, 2}
    assert alice.is_quiet()


def test_who_is_to_finish_the_work_after_a_call_finds_it_again(web: RunningWeb) -> None:
    web.ring("one")
    web.hook(event="answer", callId="one", answeringNumber="4021")
    web.hook(event="hangup", callId="one", cause="normalClearing")
    call = Screen(web, "alice").next("pop")
    assert call["state"] == "ended"
    assert call["left_s"] > 600
    assert Screen(web, "bruno").is_quiet()
    with psycopg.connect(web.database_url) as conn:
        end_wrap_up(conn, call=call["call"], agent=call["handling"][0], now=web.clock())
    assert Screen(web, "alice").is_quiet()


def test_who_answers_anew_has_finished_the_call_before(web: RunningWeb) -> None:
    for call, number in (("one", PORT_BAR_NUMBER), ("two", ISLAND_NUMBER)):
        web.ring(call, number)
        web.hook(event="answer", callId=call, answeringNumber="4021")
        web.hook(event="hangup", callId=call, cause="normalClearing")
    alice = Screen(web, "alice")
    assert "Chez Payet" in alice.next("pop")["html"]
    assert alice.is_quiet()


def test_a_call_that_cannot_be_drawn_comes_up_bare_and_keeps_none_off(web: RunningWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    def view(conn: Connection, *, call: StoredCall, now: datetime, days: ReadDays) -> CallView:
        if call.point_of_sale == PORT_BAR:
            raise RuntimeError("a fault in one shop's picture")
        return view_call(conn, call=call, now=now, days=days)

    monkeypatch.setattr("hotline.web.stream.view_call", view)
    alice, odile = Screen(web, "alice"), Screen(web, "odile")
    web.ring("one")
    bare, masked = alice.next("pop")["html"], odile.next("pop")["html"]
    assert PORT_BAR in bare
    assert "01 99 00 12 34" in bare
    assert "•• •• •• •• 34" in masked
    web.ring("two", ISLAND_NUMBER)
    assert "T00021" in alice.next("pop")["html"]
    again = Screen(web, "alice")
    assert [PORT_BAR in again.next("pop")["html"], "T00021" in again.next("pop")["html"]] == [True, True]


def test_a_notice_that_nobody_understands_ends_nothing(web: RunningWeb) -> None:
    alice = Screen(web, "alice")
    with psycopg.connect(web.database_url, autocommit=True) as admin:
        for channel, payload in (("vigie_work", "{"), ("vigie_work", "[1]"), ("vigie_work", "{}"), ("vigie_call", "one")):
            admin.execute("SELECT pg_notify(%s, %s)", [channel, payload])
    web.ring("one")
    assert alice.next("pop")["call"] == 1


def test_rings_do_not_queue_behind_page_views(web: RunningWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, go_on = threading.Semaphore(0), threading.Event()

    def read_today(*_of: object, **_with: object) -> NoReturn:
        seen.release()
        assert go_on.wait(PATIENCE_S)
        raise HTTPException(503)

    alice = Screen(web, "alice")
    monkeypatch.setattr("hotline.web.console._today", read_today)
    clients = [web.client("alice") for _ in range(3)]
    views = [threading.Thread(target=clients[number % 3].get, args=["/console"]) for number in range(PAGE_CONNECTIONS + 2)]
    for view in views:
        view.start()
    for _ in range(PAGE_CONNECTIONS):
        assert seen.acquire(timeout=PATIENCE_S)
    # Every connection of the pages is taken now.
    web.ring("one")
    assert alice.next("pop")["call"] == 1
    go_on.set()
    for view in views:
        view.join(PATIENCE_S)


def test_a_hub_that_hears_nothing_is_told_by_the_health_page(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_hub: Hub) -> NoReturn:
        raise RuntimeError("a fault that nobody thought of")

    monkeypatch.setattr("hotline.web.operations.DEAF_FOR_S", 0.0)
    web = RunningWeb(database_url)
    with monkeypatch.context() as broken:
        broken.setattr(Hub, "_listen", fail)
        web.start()
        answer = httpx.get(f"{web.url}/healthz")
        metrics = httpx.get(f"{web.url}/metrics").text
    deadline = time.monotonic() + PATIENCE_S
    while not (hears := httpx.get(f"{web.url}/healthz").status_code == 200) and time.monotonic() < deadline:
        time.sleep(0.05)
    web.stop()
    assert answer.status_code == 503
    assert "no call comes up" in answer.json()["detail"]
    assert "vigie_web_hub_faults_total 0.0" not in metrics
    assert hears


def test_picking_the_shop_brings_its_terminals_to_every_screen(web: RunningWeb) -> None:
    alice = Screen(web, "alice")
    web.ring("one", SHARED_NUMBER)
    pop = alice.next("pop")
    assert "Café de la Gare" in pop["html"]
    assert "Tabac de la Gare" in pop["html"]
    assert "T00031" not in pop["html"]
    with web.client("bruno") as browser:
        csrf = browser.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
        browser.post(f"/console/calls/{pop['call']}/point-of-sale", data={"code": PORT_BAR, "csrf": csrf})
    assert "T00012" in alice.next("pop")["html"]


def test_no_call_is_lost_while_the_listener_was_cut(web: RunningWeb) -> None:
    alice = Screen(web, "alice")
    with psycopg.connect(web.database_url, autocommit=True) as admin:
        cut = admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'vigie web calls'"
            " AND datname = current_database()"
        ).fetchone()
        assert cut == (1,)
        web.ring("one")
    # After the gap the whole state is told: the call, and which calls stand.
    deadline = time.monotonic() + PATIENCE_S
    seen: list[str] = []
    while "pop" not in seen and time.monotonic() < deadline:
        event, _ = alice._events.get(timeout=PATIENCE_S)
        seen.append(event)
    assert "pop" in seen


def test_every_ring_of_a_burst_reaches_every_screen(web: RunningWeb) -> None:
    screens = [Screen(web, login) for login in ("alice", "bruno", "carol")]
    for number in range(30):
        web.ring(f"burst {number}")
    for screen in screens:
        assert {screen.next("pop")["call"] for _ in range(30)} == set(range(1, 31))


def test_stopping_ends_open_streams_within_a_second(database_url: str) -> None:
    web = RunningWeb(database_url)
    web.start()
    screens = [Screen(web, "alice") for _ in range(5)]
    assert web.stop() < 1.0
    for screen in screens:
        screen.wait_for_end()


def test_the_stream_of_a_stranger_is_refused(web: RunningWeb) -> None:
    with web.client() as stranger:
        assert stranger.get("/console/stream", headers={"Accept": "text/event-stream"}).status_code == 401
