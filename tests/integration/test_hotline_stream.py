import json
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from hotline.call_events import CallEvent, Happening
from hotline.calls import record_event
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
