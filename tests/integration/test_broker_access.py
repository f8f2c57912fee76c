"""The broker's accounts and topic rules, tried with real clients on a real Mosquitto, plain and over TLS."""

import dataclasses
import hashlib
import queue
import re
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fleet.broker_access import (
    ACL,
    PASSWORDS,
    SERVICE_RULES,
    TERMINAL_ITERATIONS,
    hash_terminal_password,
    new_password,
    rotate_passwords,
    write_files,
)
from fleet.contract import DOWNWARD, UPWARD, Channel, topic
from fleet.errors import VigieError
from vigie.engines.certificates import OwnCertificates, make_certificates
from vigie.engines.layout import Layout
from vigie.engines.mosquitto import Door, EmbeddedMosquitto
from vigie.engines.process import free_port

DOCS = Path(__file__).parents[2] / "docs"
WAIT_S = 10.0
# So long a forbidden message may take to arrive before we believe it does not come; every test also sees an allowed one arrive.
QUIET_S = 0.5
A, B = "T00001", "T00002"


@dataclasses.dataclass
class House:
    """A broker, its registry, and the passwords in the clear."""

    broker: EmbeddedMosquitto
    home: Path
    passwords: dict[str, str]
    certificates: OwnCertificates


@pytest.fixture(scope="module")
def certificates(engine_home: Path) -> OwnCertificates:
    return make_certificates(engine_home / "certificates")


@pytest.fixture
def registry(conn: psycopg.Connection[Any]) -> dict[str, str]:
    """Two terminals in the test's transaction, with their passwords."""
    conn.execute("INSERT INTO fleet.point_of_sale VALUES ('P1', 'Bar', '59', '32', 'AG01', 'Europe/Paris', '24/7')")
    passwords = {A: new_password(), B: new_password()}
    for terminal, password in passwords.items():
        conn.execute(
            "INSERT INTO fleet.terminal VALUES (%s, 'P1', 'B', '2', '4.2.1', 'fibre', 'alpha', 'L09', %s)",
            (terminal, hash_terminal_password(password)),
        )
    return passwords


@pytest.fixture
def house(
    conn: psycopg.Connection[Any],
    registry: dict[str, str],
    engines: Layout,
    certificates: OwnCertificates,
    request: pytest.FixtureRequest,
) -> Iterator[House]:
    """A running broker whose files were written from the registry; `tls` in the test's name makes its terminals' door secure."""
    engine_home = certificates.ca.parents[1]
    home = engine_home / f"broker-{time.monotonic_ns()}"
    services = {name: new_password() for name in SERVICE_RULES}
    write_files(conn, home, services)
    door = Door(free_port(), tls=certificates if "tls" in request.node.name else None)
    broker = EmbeddedMosquitto(engines, home, terminals=door)
    broker.start()
    yield House(broker, home, {**registry, **services}, certificates)
    broker.stop()


class Peer:
    """A paho client that remembers what it was told and what it was sent."""

    def __init__(
        self, house: House, user: str | None, *, password: str | None = None, client_id: str = "", tls: bool = False
    ) -> None:
        self.connected: queue.Queue[ReasonCode] = queue.Queue()
        self.lost: queue.Queue[ReasonCode] = queue.Queue()
        self.messages: queue.Queue[MQTTMessage] = queue.Queue()
        self.published: queue.Queue[ReasonCode] = queue.Queue()
        self.subscribed: queue.Queue[int] = queue.Queue()
        self.assigned = ""
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
        if user is not None:
            self.client.username_pw_set(user, house.passwords[user] if password is None else password)
        if tls:
            self.client.tls_set(ca_certs=str(house.certificates.ca), cert_reqs=ssl.CERT_REQUIRED)
        # Mosquitto 2.0 answers a refused message and then ends the connection; paho comes back at once.
        self.client.reconnect_delay_set(0, 1)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.put(reason)
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_publish = lambda _c, _u, _m, reason, _p: self.published.put(reason)
        self.client.on_subscribe = lambda _c, _u, mid, _r, _p: self.subscribed.put(mid)
        door = house.broker.services if user in SERVICE_RULES else house.broker.terminals
        self.client.connect("localhost" if tls else door.host, door.port)
        self.client.loop_start()
        self.answer = self.connected.get(timeout=WAIT_S)

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Properties | None) -> None:
        self.assigned = getattr(properties, "AssignedClientIdentifier", "")
        self.connected.put(reason)

    def may_publish(self, name: str, *, retain: bool = False) -> bool:
        """Publish at QoS 1; whether the broker took it (that nobody listens is no refusal)."""
        self.client.publish(name, "x", qos=1, retain=retain)
        reason = self.published.get(timeout=WAIT_S)
        assert reason.getName() in ("Success", "No matching subscribers", "Not authorized")
        return not reason.is_failure

    def subscribe(self, *names: str) -> None:
        for name in names:
            self.client.subscribe(name, qos=1)
            self.subscribed.get(timeout=WAIT_S)

    def received(self, timeout_s: float = WAIT_S) -> str:
        """The topic of the next message."""
        return self.messages.get(timeout=timeout_s).topic

    def nothing_comes(self) -> bool:
        try:
            self.messages.get(timeout=QUIET_S)
        except queue.Empty:
            return True
        return False

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def peers(house: House, *users: str, **options: Any) -> Iterator[list[Peer]]:
    opened = [Peer(house, user, **options) for user in users]
    try:
        yield opened
    finally:
        for peer in opened:
            peer.close()


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param(None, None, id="nobody"),
        pytest.param(A, "wrong", id="wrong password"),
        pytest.param(A, "", id="empty password"),
        pytest.param("T99999", "x", id="unknown terminal"),
        pytest.param("vigie-ingest+", "x", id="a name near a program's"),
    ],
)
def test_who_has_no_account_stays_outside(house: House, user: str | None, password: str | None) -> None:
    peer = Peer(house, user, password=password)
    assert peer.answer.getName() == "Not authorized"
    peer.close()


def test_a_terminal_has_its_own_topics_and_no_others(house: House) -> None:
    with peers(house, A, "vigie-ingest") as (terminal, ingest):
        ingest.subscribe(*(topic("+", channel) for channel in UPWARD))
        for channel in UPWARD:
            assert terminal.may_publish(topic(A, channel))
            assert ingest.received() == topic(A, channel)
        for name in (
            *(topic(B, channel) for channel in Channel),
            *(topic(A, channel) for channel in DOWNWARD),
            "pmu/v1/t",
            "x",
            "$SYS/x",
        ):
            assert not terminal.may_publish(name)
        assert ingest.nothing_comes()


def test_a_terminal_reads_what_is_sent_to_it_and_nothing_else(house: House) -> None:
    with peers(house, A, B, "vigie-ingest", "vigie-rollout", "vigie-web") as (spy, other, ingest, rollout, web):
        assert rollout.may_publish(topic(B, Channel.DESIRED), retain=True)
        spy.subscribe(
            "#", "+/+/+/+/+", topic("+", Channel.TELEMETRY), *(topic(B, channel) for channel in Channel), "$share/g/pmu/#"
        )
        other.subscribe(*(topic(B, channel) for channel in DOWNWARD))
        assert other.received() == topic(B, Channel.DESIRED)
        for program, channel in ((ingest, Channel.ACK), (rollout, Channel.DESIRED), (web, Channel.CMD)):
            assert program.may_publish(topic(B, channel))
            assert other.received() == topic(B, channel)
        assert other.may_publish(topic(B, Channel.TELEMETRY))
        assert other.may_publish(topic(B, Channel.PRESENCE), retain=True)
        assert spy.nothing_comes()
        # Its subscriptions hold all the same: what is sent to itself arrives.
        assert ingest.may_publish(topic(A, Channel.ACK))
        assert spy.received() == topic(A, Channel.ACK)


def test_each_program_can_do_only_its_own_work(house: House) -> None:
    with peers(house, A, "vigie-ingest", "vigie-rollout", "vigie-web") as (_, ingest, rollout, web):
        for program, allowed in ((ingest, Channel.ACK), (rollout, Channel.DESIRED), (web, Channel.CMD)):
            for channel in Channel:
                assert program.may_publish(topic(A, channel)) is (channel is allowed), channel
    with peers(house, A, "vigie-ingest", "vigie-rollout", "vigie-web") as (terminal, ingest, rollout, web):
        for program in (rollout, web):
            program.subscribe("pmu/#")
        ingest.subscribe(f"$share/ingest/{topic('+', Channel.EVENT)}")
        assert terminal.may_publish(topic(A, Channel.EVENT))
        assert ingest.received() == topic(A, Channel.EVENT)
        assert rollout.nothing_comes()
        assert web.nothing_comes()


def test_another_terminals_session_cannot_be_taken_over(house: House) -> None:
    """At the terminals' door the client id is the user name, whatever the client says."""
    with peers(house, A) as (victim,), peers(house, B, client_id=A) as (thief,):
        assert victim.answer.getName() == thief.answer.getName() == "Success"
        victim.subscribe(topic(A, Channel.ACK))
        with peers(house, "vigie-ingest") as (ingest,):
            assert ingest.may_publish(topic(A, Channel.ACK))
        assert victim.received() == topic(A, Channel.ACK)
        assert victim.lost.empty()
        # The thief stands under its own name: the true B takes its place.
        with peers(house, B):
            assert thief.lost.get(timeout=WAIT_S).getName() == "Session taken over"


def test_tls_serves_who_trusts_the_authority(house: House) -> None:
    with peers(house, A, tls=True) as (terminal,):
        assert terminal.may_publish(topic(A, Channel.TELEMETRY))
    stranger = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    stranger.tls_set()
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.connect("localhost", house.broker.terminals.port)
    plain = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    answers: queue.Queue[Any] = queue.Queue()
    plain.on_connect = lambda *_: answers.put("connected")
    plain.on_disconnect = lambda *_: answers.put("lost")
    plain.username_pw_set(A, house.passwords[A])
    plain.connect("localhost", house.broker.terminals.port)
    plain.loop_start()
    assert answers.get(timeout=WAIT_S) == "lost"
    plain.loop_stop()


def test_a_new_password_ends_the_old_one(conn: psycopg.Connection[Any], house: House) -> None:
    old = dict(house.passwords)
    house.passwords.update(rotate_passwords(conn, terminals=[A]))
    write_files(conn, house.home, {name: house.passwords[name] for name in SERVICE_RULES})
    house.broker.reload()

    def refused_with_the_old_one() -> bool:
        peer = Peer(house, A, password=old[A])
        peer.close()
        return peer.answer.getName() == "Not authorized"

    wait_until(refused_with_the_old_one)
    with peers(house, A, B) as (rotated, untouched):
        assert rotated.answer.getName() == untouched.answer.getName() == "Success"


def test_the_documented_view_gives_emqx_the_same_hashes(conn: psycopg.Connection[Any], registry: dict[str, str]) -> None:
    """EMQX hashes the password with the salt as text and compares with the hash in hex, as docs/mqtt.md sets it up."""
    [statements] = re.findall(r"```sql\n(.*?)```", (DOCS / "mqtt.md").read_text(), re.DOTALL)
    conn.execute(statements.split(";")[0])
    [query] = re.findall(r'query = "(.*?)"', (DOCS / "mqtt.md").read_text())
    for terminal, password in registry.items():
        row = conn.execute(query.replace("${username}", "%(username)s"), {"username": terminal}).fetchone()
        assert row is not None
        assert hashlib.pbkdf2_hmac("sha512", password.encode(), row[1].encode(), TERMINAL_ITERATIONS, 64).hex() == row[0]


def test_the_files_are_for_the_brokers_user_only(house: House) -> None:
    for name in (PASSWORDS, ACL):
        assert stat.S_IMODE((house.home / name).stat().st_mode) == 0o600
    text = (house.home / PASSWORDS).read_text()
    assert not [password for password in house.passwords.values() if password in text]


def test_files_need_every_programs_password(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="vigie-web"):
        write_files(conn, tmp_path, {"vigie-ingest": "x", "vigie-rollout": "x"})
    assert not list(tmp_path.iterdir())


def test_only_registered_terminals_get_new_passwords(conn: psycopg.Connection[Any], registry: dict[str, str]) -> None:
    before = conn.execute("SELECT id, password_hash FROM fleet.terminal ORDER BY id").fetchall()
    with pytest.raises(VigieError, match="not in the registry: T00777"):
        rotate_passwords(conn, terminals=[A, "T00777"])
    assert conn.execute("SELECT id, password_hash FROM fleet.terminal ORDER BY id").fetchall() == before
    assert set(rotate_passwords(conn)) == {A, B}


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.1)
