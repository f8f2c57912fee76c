"""Orders to terminals, by a real broker: kept first, sent once, answered, never sent when too late."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import psycopg
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from fleet.clock import system_clock
from fleet.contract import COMMAND_EXPIRY_S, Channel, topic
from hotline.command_publisher import CommandPublisher
from hotline.commands import EXPIRY, Command, Fate, Order, ask, commands_of, fate_of, mark_sent, next_unsent
from hotline.roles import Role
from tests.integration.ingest_house import ingest, wait_for
from tests.running_broker import Broker
from tests.running_web import RunningWeb

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
TERMINAL = "T00012"
Conn = psycopg.Connection


class Obedient:
    """A terminal that answers what it is told, on the topic and with the correlation data that the order carries."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[MQTTMessage] = []
        ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=TERMINAL, protocol=MQTTv5)
        self._client.username_pw_set(TERMINAL, broker.terminal_passwords[TERMINAL])
        self._client.on_message = self._obey
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect(broker.host, broker.port)
        self._client.subscribe(topic(TERMINAL, Channel.CMD), qos=1)
        self._client.loop_start()
        assert ready.wait(10)

    def _obey(self, client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.append(message)
        order = msgspec.json.decode(message.payload)
        ok, detail = (False, "no paper") if order["name"] == "print_test" else (True, "pong")
        told: Any = message.properties
        client.publish(told.ResponseTopic, msgspec.json.encode({"id": order["id"], "ok": ok, "detail": detail}), qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def obedient(broker: Broker) -> Iterator[Obedient]:
    terminal = Obedient(broker)
    yield terminal
    terminal.close()


@contextmanager
def publisher(database_url: str, broker: Broker) -> Iterator[None]:
    running = CommandPublisher(database_url=database_url, mqtt_url=broker.url("vigie-web"), ca_file="", clock=system_clock(0))
    running.start()
    yield
    running.stop()


def ordered(database_url: str, name: Order = Order.PING, *, ago_s: float = 0.0) -> int:
    with psycopg.connect(database_url) as conn:
        asked = datetime.now(UTC) - timedelta(seconds=ago_s)
        return ask(conn, terminal_id=TERMINAL, name=name, asked_by="alice", now=asked).id


def stored(database_url: str) -> list[Command]:
    with psycopg.connect(database_url) as conn:
        return commands_of(conn, terminal_id=TERMINAL)


def test_asking_twice_while_an_order_is_on_its_way_is_asking_once(conn: Conn) -> None:
    first = ask(conn, terminal_id=TERMINAL, name=Order.REBOOT, asked_by="alice", now=NOW)
    again = ask(conn, terminal_id=TERMINAL, name=Order.REBOOT, asked_by="bruno", now=NOW + timedelta(seconds=5))
    other = ask(conn, terminal_id=TERMINAL, name=Order.PING, asked_by="bruno", now=NOW + timedelta(seconds=5))
    assert (again.id, again.asked_by) == (first.id, "alice")
    assert other.id != first.id
    late = ask(conn, terminal_id=TERMINAL, name=Order.REBOOT, asked_by="bruno", now=NOW + EXPIRY)
    assert late.id != first.id


def test_the_oldest_order_that_is_still_of_use_is_sent_next(conn: Conn) -> None:
    old = ask(conn, terminal_id="T00001", name=Order.PING, asked_by="alice", now=NOW - EXPIRY)
    first = ask(conn, terminal_id="T00002", name=Order.PING, asked_by="alice", now=NOW - timedelta(seconds=30))
    second = ask(conn, terminal_id="T00003", name=Order.PING, asked_by="alice", now=NOW)
    for expected in (first, second):
        found = next_unsent(conn, now=NOW)
        assert found is not None
        assert found.id == expected.id
        mark_sent(conn, command=found.id, heard=True, now=NOW)
    assert next_unsent(conn, now=NOW) is None
    [kept] = commands_of(conn, terminal_id="T00001")
    assert (kept.id, fate_of(kept, now=NOW)) == (old.id, Fate.UNSENT)


def test_an_answer_from_before_the_order_is_none(conn: Conn) -> None:
    made = ask(conn, terminal_id=TERMINAL, name=Order.PING, asked_by="alice", now=NOW)
    conn.execute(
        "INSERT INTO fleet.command_result (terminal_id, id, received_at, ok, detail) VALUES (%s, %s, %s, true, 'pong')",
        [TERMINAL, made.id, NOW - timedelta(days=1)],
    )
    assert commands_of(conn, terminal_id=TERMINAL)[0].answered_at is None


def test_an_order_survives_a_restart_and_a_broker_that_is_away_and_comes_once(database_url: str, broker: Broker) -> None:
    # Asked while nobody sends; one of them long ago.
    too_late, first = ordered(database_url, Order.REBOOT, ago_s=61), ordered(database_url)
    with obedient(broker) as terminal, publisher(database_url, broker):
        wait_for(lambda: len(terminal.heard) == 1, what="the order that waited")
        message = terminal.heard[0]
        assert msgspec.json.decode(message.payload) == {"id": first, "name": "ping"}
        assert message.qos == 1
        told: Any = message.properties
        assert told.ResponseTopic == topic(TERMINAL, Channel.RES)
        assert told.CorrelationData == str(first).encode()
        assert 0 < told.MessageExpiryInterval <= COMMAND_EXPIRY_S
        wait_for(lambda: stored(database_url)[0].sent_at is not None, what="it to be marked")
        assert stored(database_url)[0].heard
        broker.mosquitto.stop()
        second = ordered(database_url, Order.PRINT_TEST)
        broker.mosquitto.start()
        wait_for(lambda: stored(database_url)[0].sent_at is not None, what="the order of the outage")
    with publisher(database_url, broker):
        # Nobody listens any more: the broker says so.
        third = ordered(database_url, Order.REBOOT)
        wait_for(lambda: stored(database_url)[0].sent_at is not None, what="the order to nobody")
    found = {one.id: one for one in stored(database_url)}
    assert found[third].heard is False
    assert found[second].sent_at is not None
    assert (found[too_late].sent_at, fate_of(found[too_late], now=datetime.now(UTC))) == (None, Fate.UNSENT)
    assert [msgspec.json.decode(one.payload)["id"] for one in terminal.heard].count(first) == 1


def test_an_order_that_the_broker_refuses_holds_up_no_other(database_url: str, broker: Broker) -> None:
    refused = ordered(database_url)
    with psycopg.connect(database_url) as conn:
        # A topic that the console's account may not write to.
        conn.execute("UPDATE hotline.command SET terminal_id = 'T00012/../x' WHERE id = %s", [refused])
    after = ordered(database_url)
    with obedient(broker) as terminal, publisher(database_url, broker):
        wait_for(lambda: len(terminal.heard) == 1, what="the order behind it")
    assert msgspec.json.decode(terminal.heard[0].payload)["id"] == after
    with psycopg.connect(database_url) as conn:
        [kept] = commands_of(conn, terminal_id="T00012/../x")
    assert (kept.sent_at, fate_of(kept, now=datetime.now(UTC))) == (None, Fate.UNSENT)


def test_an_agent_orders_and_reads_the_terminals_answer(database_url: str, broker: Broker) -> None:
    web = RunningWeb(database_url, command_mqtt_url=broker.url("vigie-web"))
    web.start()
    try:
        with ingest(database_url, broker), obedient(broker), web.client("alice") as alice:
            path = f"/console/terminals/{TERMINAL}"
            csrf = {"X-CSRF-Token": alice.get(path).text.split('name="csrf" value="')[1].split('"')[0]}
            shown = alice.get(f"{path}/commands").text
            assert "Imprimer un ticket de test" in shown
            assert "Redémarrer" not in shown
            assert alice.post(f"{path}/reboot", headers=csrf).status_code == 403
            asked = alice.post(f"{path}/ping", headers=csrf, data={"place": "c7"})
            assert 'hx-trigger="every 1s"' in asked.text
            assert f'hx-target="#c7-{TERMINAL}-remote"' in asked.text
            assert alice.post(f"{path}/print-test", headers=csrf).status_code == 200
            wait_for(lambda: "every 1s" not in alice.get(f"{path}/commands").text, what="both answers")
            answered = alice.get(f"{path}/commands").text
            assert "il répond" in answered
            assert "le terminal n'a pas pu (plus de papier)" in answered.replace("&#39;", "'")
            assert alice.post("/console/terminals/T99999/ping", headers=csrf).status_code == 404
            token = {"Authorization": f"Bearer {web.access.api[Role.LEVEL2]}"}
            with httpx.Client(base_url=f"{web.url}/api/v1/terminals", headers=token) as program:
                assert program.post(f"/{TERMINAL}/reboot").status_code == 202
                wait_for(lambda: program.get(f"/{TERMINAL}/commands").json()[0]["fate"] == "done", what="the reboot")
                assert [one["name"] for one in program.get(f"/{TERMINAL}/commands").json()] == ["reboot", "print_test", "ping"]
    finally:
        web.stop()


def test_without_a_broker_nothing_is_promised(database_url: str) -> None:
    web = RunningWeb(database_url)
    web.start()
    try:
        with web.client("carol") as carol:
            path = f"/console/terminals/{TERMINAL}"
            csrf = {"X-CSRF-Token": carol.get(path).text.split('name="csrf" value="')[1].split('"')[0]}
            assert "Orders to terminals are not set up." in carol.get(f"{path}/commands").text
            assert carol.post(f"{path}/ping", headers=csrf).status_code == 409
        assert stored(database_url) == []
    finally:
        web.stop()
