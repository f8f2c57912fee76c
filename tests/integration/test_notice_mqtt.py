"""The retained topic at a real broker: the state of each incident that lives, nothing of those that are over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from diagnostics.notices.deliver import Channelled
from diagnostics.notices.outbox import enqueue_trial, list_notices, set_channels
from diagnostics.notices.policy import Channel, RetryPolicy
from diagnostics.notices.retained import Retained
from fleet.clock import to_ms
from fleet.contract import INCIDENT_ROOT, IncidentState, incident_topic
from tests.integration.notice_house import START, Conn, Hand, found, happens, wait_for
from tests.running_broker import Broker

MQTT = Channel("mqtt", "mqtt")


@contextmanager
def client(url: str) -> Iterator[mqtt.Client]:
    parts = urlsplit(url)
    made = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    made.username_pw_set(parts.username or "", parts.password)
    made.connect(parts.hostname or "", parts.port or 0)
    made.loop_start()
    wait_for(made.is_connected)
    yield made
    made.disconnect()
    made.loop_stop()


def retained(broker: Broker) -> dict[str, bytes]:
    """What a program of the IT department sees that has just subscribed."""
    seen: dict[str, bytes] = {}
    with client(broker.url("vigie-reader")) as reader:
        subscribed = threading.Event()
        reader.on_message = lambda _c, _d, message: seen.__setitem__(message.topic, bytes(message.payload))
        reader.on_subscribe = lambda *_: subscribed.set()
        reader.subscribe(incident_topic("+"), qos=1)
        assert subscribed.wait(10)
        # Retained messages follow the acknowledgement at once; what comes last has come when an own mark has.
        with client(broker.url("vigie-watch")) as marker:
            marker.publish(f"{INCIDENT_ROOT}/mark", b"mark", qos=1)
            wait_for(lambda: f"{INCIDENT_ROOT}/mark" in seen)
    del seen[f"{INCIDENT_ROOT}/mark"]
    return seen


@pytest.fixture
def sender(broker: Broker) -> Iterator[Retained]:
    made = Retained(broker.url("vigie-watch"))
    yield made
    made.close()


def side(sender: Retained, clock: Hand) -> Channelled:
    return Channelled(MQTT, sender, clock=clock, policy=RetryPolicy())


def test_the_topics_hold_the_state_of_what_lives(conn: Conn, broker: Broker, sender: Retained) -> None:
    set_channels(conn, [MQTT], now=START)
    first, second = found(conn), found(conn, scope={}, trouble="tx_slow")
    mine = side(sender, Hand())
    happens(conn, first, "opened")
    happens(conn, second, "opened")
    assert mine.deliver(conn) == 2
    happens(conn, first, "clearing", state="clearing", hits=3)
    happens(conn, second, "closed", state="closed", closed_at=START)
    assert mine.deliver(conn) == 2
    seen = retained(broker)
    assert set(seen) == {incident_topic(first)}
    state = msgspec.json.decode(seen[incident_topic(first)], type=IncidentState)
    assert (state.id, state.state, state.hits, state.trouble) == (first, "clearing", 3, "offline")
    assert state.scope == {"carrier": "beta", "region": "84"}
    assert state.title_en == "Terminals off line: carrier beta, region Auvergne-Rhône-Alpes (84)"
    assert (state.opened_at, state.began_at) == (to_ms(START), to_ms(START) - 70_000)
    happens(conn, first, "reopened", state="open")
    happens(conn, first, "muted", muted=True)
    mine.deliver(conn)
    assert retained(broker) == {}


def test_a_broker_that_comes_back_gets_what_it_missed(conn: Conn, broker: Broker, sender: Retained) -> None:
    set_channels(conn, [MQTT], now=START)
    incident, clock = found(conn), Hand()
    mine = side(sender, clock)
    happens(conn, incident, "opened")
    mine.deliver(conn)
    broker.mosquitto.stop()
    happens(conn, incident, "grew", hits=90)
    happens(conn, incident, "acknowledged", state="acknowledged")
    clock.forward(1)
    assert mine.deliver(conn) == 0
    assert list_notices(conn)[1].attempts == 1
    broker.mosquitto.start()
    clock.forward(3600)
    assert mine.deliver(conn) == 2
    state = msgspec.json.decode(retained(broker)[incident_topic(incident)], type=IncidentState)
    assert (state.state, state.hits) == ("acknowledged", 90)


def test_a_wrong_password_is_told_and_tried_again(conn: Conn, broker: Broker) -> None:
    set_channels(conn, [MQTT], now=START)
    happens(conn, found(conn), "opened")
    stranger = Retained(broker.mosquitto.url("vigie-watch", "wrong"))
    side(stranger, Hand()).deliver(conn)
    stranger.close()
    [notice] = list_notices(conn)
    assert (notice.state, notice.error) == ("waiting", "the broker refuses: Not authorized")


def test_a_trial_proves_that_the_broker_lets_us_in_and_leaves_no_topic(conn: Conn, broker: Broker, sender: Retained) -> None:
    set_channels(conn, [MQTT], now=START)
    enqueue_trial(conn, channel="mqtt", actor="Ada", now=START)
    assert side(sender, Hand()).deliver(conn) == 1
    assert retained(broker) == {}


def test_the_watch_may_write_incidents_and_nothing_else_and_the_reader_nothing(broker: Broker) -> None:
    refused: list[bool] = []

    def published(_c: mqtt.Client, _d: object, _mid: int, reason: ReasonCode, _p: Properties | None) -> None:
        refused.append(reason.is_failure)

    attempts = [
        ("vigie-watch", incident_topic(1), False),
        ("vigie-watch", "pmu/v1/t/T00001/cmd", True),
        ("vigie-reader", incident_topic(1), True),
        ("vigie-ingest", incident_topic(1), True),
    ]
    for account, topic, expected in attempts:
        refused.clear()
        with client(broker.url(account)) as one:
            one.on_publish = published
            one.publish(topic, b"{}", qos=1)
            wait_for(lambda: refused)
        assert refused == [expected], (account, topic)
