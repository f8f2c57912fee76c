"""A running web program with a small, lifelike fleet, for tests over HTTP and in the browser.

Four shops: one with a terminal out of paper, one not connected and one well; one overseas; two that share a number.
Every secret is known to the tests.
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from diagnostics.incidents import declare
from fleet.clock import Clock, system_clock
from fleet.contract import SAMPLE_FIELDS
from hotline.accounts import add_agent, add_token
from hotline.floors import Floor
from hotline.roles import Role
from hotline.settings import WebSettings
from hotline.web.server import Server, build

PASSWORD = "a-long-test-password"
LISTENING_WITHIN_S = 15

PORT_BAR, ISLAND, CAFE, TABAC = "PV00001", "PV00002", "PV00003", "PV00004"
PORT_BAR_NUMBER, ISLAND_NUMBER, SHARED_NUMBER = "+33199001234", "+262262123456", "+33353010000"
DAY = "Mo-Su 00:00-24:00"

_SHOPS = [
    (PORT_BAR, "Le Bar du Port", "13", "93", "AG04", "Europe/Paris", DAY, [PORT_BAR_NUMBER, "+33639981234"]),
    (ISLAND, "Chez Payet", "974", "04", "AG29", "Indian/Reunion", DAY, [ISLAND_NUMBER]),
    (CAFE, "Café de la Gare", "59", "32", "AG11", "Europe/Paris", DAY, [SHARED_NUMBER]),
    (TABAC, "Tabac de la Gare", "59", "32", "AG11", "Europe/Paris", "Mo-Sa 07:00-19:30; Su off", [SHARED_NUMBER]),
]
# id, shop, model, hw, firmware, access, carrier, lot
_TERMINALS = [
    ("T00011", PORT_BAR, "B", "2", "4.2.1", "4g", "beta", "L07"),
    ("T00012", PORT_BAR, "B", "2", "4.2.1", "4g", "beta", "L07"),
    ("T00013", PORT_BAR, "A", "1", "4.1.7", "adsl", "alpha", "L02"),
    ("T00021", ISLAND, "C", "3", "4.3.0", "fibre", "gamma", "L22"),
    ("T00031", CAFE, "B", "2", "4.2.1", "fibre", "alpha", "L08"),
    ("T00041", TABAC, "B", "3", "4.2.1", "adsl", "delta", "L09"),
]


@dataclass
class Access:
    """Who may come in."""

    cti: str
    api: dict[Role, str] = field(default_factory=dict)
    overflow: str = ""


def seed(conn: psycopg.Connection, *, now: datetime) -> Access:
    """Fill an empty database with shops, terminals, health, samples, an incident, a rollout, agents and tokens."""
    with conn.cursor() as cursor:
        for *shop, phones in _SHOPS:
            cursor.execute("INSERT INTO fleet.point_of_sale VALUES (%s, %s, %s, %s, %s, %s, %s)", shop)
            cursor.executemany("INSERT INTO fleet.phone_number VALUES (%s, %s)", [(phone, shop[0]) for phone in phones])
        cursor.executemany(
            "INSERT INTO fleet.terminal (id, point_of_sale, model, hw, firmware, access, carrier, lot, password_hash)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '-')",
            _TERMINALS,
        )
    _seed_health(conn, now=now)
    _seed_samples(conn, now=now)
    _seed_day(conn, now=now)
    _seed_rollout(conn, now=now)
    declare(
        conn,
        scope={"carrier": "beta"},
        title="Opérateur beta : coupures du réseau 4G",
        advice="Coupure de l'opérateur, rétablissement prévu vers 16 h. Ne pas redémarrer le terminal : il se reconnecte seul.",
        actor="veille",
        now=now - timedelta(minutes=26),
    )
    return _seed_accounts(conn, now=now)


def _seed_health(conn: psycopg.Connection, *, now: datetime) -> None:
    def ago(minutes: float) -> datetime:
        return now - timedelta(minutes=minutes)

    def reason(code: str, minutes: float, value: float | None = None) -> dict[str, object]:
        return {"code": code, "since": ago(minutes).isoformat(), "value": value}

    rows = [
        ("T00011", "down", ago(23), [reason("offline", 23)]),
        ("T00012", "down", ago(4), [reason("paper_out", 4, 0.0), reason("overheating", 2, 81.0)]),
        ("T00013", "ok", ago(240), []),
        ("T00021", "degraded", ago(41), [reason("paper_low", 41, 6.0)]),
        ("T00031", "ok", ago(300), []),
        ("T00041", "closed", ago(30), [reason("closed_by_shop", 30)]),
    ]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO diagnostics.health (terminal_id, state, since, reasons) VALUES (%s, %s, %s, %s)",
            [(terminal, state, since, Jsonb(reasons)) for terminal, state, since, reasons in rows],
        )
        # A day ahead: these terminals stay judged as long as the test runs.
        cursor.execute(
            "INSERT INTO diagnostics.watermark (reader, batch_id, ticked_at) VALUES ('watch', 0, %s)", [now + timedelta(hours=12)]
        )
        for terminal, _, model, hw, firmware, *_ in [(row[0], row[1], *row[2:]) for row in _TERMINALS]:
            online = terminal != "T00011"
            cursor.execute(
                "INSERT INTO fleet.presence VALUES (%s, %s, 1, %s, 1, %s, %s, 'A', %s, %s)",
                [terminal, online, ago(300) if online else ago(23), ago(300), firmware, model, hw],
            )


def _seed_samples(conn: psycopg.Connection, *, now: datetime) -> None:
    """Two hours of samples, the newest a few seconds old, but for the terminal that lost its connection."""
    chance = np.random.default_rng(7)
    columns = ", ".join(SAMPLE_FIELDS)
    with conn.cursor() as cursor:
        with cursor.copy(f"COPY fleet.sample (at, received_at, boot, seq, terminal_id, {columns}) FROM STDIN") as copy:
            for terminal, _, _, _, _, access, *_ in _TERMINALS:
                quiet = timedelta(minutes=23) if terminal == "T00011" else timedelta(seconds=12)
                for step in range(240):
                    at = now - quiet - timedelta(seconds=30 * step)
                    figures = _figures(terminal, access, chance)
                    values = [None if figures.get(name) is None else float(figures[name]) for name in SAMPLE_FIELDS]
                    copy.write_row((at, at + timedelta(milliseconds=150), 1, 1000 - step, terminal, *values))
        cursor.execute(
            "INSERT INTO fleet.ingest_batch (id, xid, worker, received_at, messages, samples, events, repeats, dead_letters)"
            " VALUES (1, pg_current_xact_id(), 'test', %s, 1, 1, 0, 0, 0)",
            [now + timedelta(hours=12)],
        )


def _seed_day(conn: psycopg.Connection, *, now: datetime) -> None:
    """A day of the 5-minute roll-up, with an hour of silence at night, and the symptoms found meanwhile."""
    chance = np.random.default_rng(11)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=24)
    columns = ", ".join(SAMPLE_FIELDS)
    with conn.cursor() as cursor:
        with cursor.copy(f"COPY fleet.sample_5min (bucket, terminal_id, samples, {columns}) FROM STDIN") as copy:
            for terminal, _, _, _, _, access, *_ in _TERMINALS:
                for step in range(300):
                    at = first + timedelta(minutes=5 * step)
                    if at > now or 96 <= step < 108:
                        continue
                    figures = _figures("T00031" if at < now - timedelta(minutes=15) else terminal, access, chance)
                    figures["tickets"] *= 10
                    copy.write_row((at, terminal, 10, *(figures.get(name) for name in SAMPLE_FIELDS)))
        cursor.executemany(
            "INSERT INTO diagnostics.symptom (terminal_id, trouble, began_at, found_at, ended_at, value, p)"
            " VALUES (%s, %s, %s, %s, %s, %s, 1e-9)",
            [
                ("T00012", "printer", now - timedelta(hours=9), now - timedelta(hours=9), now - timedelta(hours=8), 14.0),
                ("T00012", "heat", now - timedelta(minutes=12), now - timedelta(minutes=10), None, 81.0),
            ],
        )


def _figures(terminal: str, access: str, chance: np.random.Generator) -> dict[str, float]:
    out_of_paper = terminal == "T00012"
    figures = {
        "tickets": 0 if out_of_paper else chance.poisson(3),
        "rejects": 0,
        "tx_ms": chance.normal(310, 20),
        "tx_timeouts": 0,
        "rtt_ms": chance.normal(48, 4),
        "loss_pct": abs(chance.normal(0.2, 0.1)),
        "print_errors": 4 if out_of_paper else 0,
        "paper_pct": 0 if out_of_paper else 6 if terminal == "T00021" else 64,
        "head_c": chance.normal(38, 1),
        "scans": chance.poisson(4),
        "scan_errors": 0,
        "cpu_pct": chance.normal(22, 2),
        "mem_mb": chance.normal(410, 5),
        "disk_mb": 2210,
        "board_c": 81 if out_of_paper else chance.normal(44, 0.5),
        "clock_ms": chance.normal(3, 1),
        "uptime_s": 21_600,
    }
    if access == "4g":
        figures["signal_dbm"] = chance.normal(-93, 2)
    return {name: float(value) for name, value in figures.items()}


def _seed_rollout(conn: psycopg.Connection, *, now: datetime) -> None:
    conn.execute(
        "INSERT INTO firmware_rollout.release (version, models, notes, added_at) VALUES ('4.3.0', '{B,C}', '', %(now)s)",
        {"now": now},
    )
    row = conn.execute(
        "INSERT INTO firmware_rollout.campaign (name, release, target, seed, deadline_s, created_at)"
        " VALUES ('automne', '4.3.0', '{}', 1, 3600, %(now)s) RETURNING id",
        {"now": now},
    ).fetchone()
    assert row is not None
    for wave, hours, share in ((1, -2, 10), (3, 40, 100)):
        planned_at = now + timedelta(hours=hours)
        conn.execute("INSERT INTO firmware_rollout.wave VALUES (%s, %s, %s, %s)", [row[0], wave, planned_at, share])
    for terminal, wave, state in (
        ("T00011", 3, "planned"),
        ("T00012", 1, "updating"),
        ("T00021", 1, "done"),
        ("T00031", 1, "failed"),
    ):
        conn.execute(
            "INSERT INTO firmware_rollout.assignment (campaign_id, terminal_id, wave, state, since) VALUES (%s, %s, %s, %s, %s)",
            [row[0], terminal, wave, state, now - timedelta(minutes=90)],
        )


def _seed_accounts(conn: psycopg.Connection, *, now: datetime) -> Access:
    people = [
        ("alice", "Alice Martin", Role.LEVEL1, "4021", "fr", Floor.OWN),
        ("bruno", "Bruno Lefèvre", Role.LEVEL1, "4022", "fr", Floor.OWN),
        ("carol", "Carol Smith", Role.LEVEL2, "4023", "en", Floor.OWN),
        ("odile", "Odile Renard", Role.LEVEL1, "5021", "fr", Floor.OVERFLOW),
        ("oscar", "Oscar Brown", Role.LEVEL2, "5022", "en", Floor.OVERFLOW),
    ]
    people += [(role.value, f"Personne {role.value}", role, "", "fr", Floor.OWN) for role in Role]
    people += [(f"{role.value}-overflow", f"Débord {role.value}", role, "", "fr", Floor.OVERFLOW) for role in Role]
    add_agent(conn, login="model", name="Model", role=Role.LEVEL1, password=PASSWORD)
    # One slow hash serves all: they have the same password.
    conn.cursor().executemany(
        "INSERT INTO hotline.agent (login, name, role, extension, language, floor, password_hash)"
        " SELECT %s, %s, %s, %s, %s, %s, password_hash FROM hotline.agent WHERE login = 'model'",
        people,
    )
    conn.execute("DELETE FROM hotline.agent WHERE login = 'model'")
    access = Access(cti=add_token(conn, name="pbx", purpose="cti", role=Role.LEVEL1, now=now))
    for role in Role:
        access.api[role] = add_token(conn, name=f"api {role}", purpose="api", role=role, now=now)
    access.overflow = add_token(conn, name="overflow", purpose="api", role=Role.LEVEL1, floor=Floor.OVERFLOW, now=now)
    return access


class RunningWeb:
    """The web program in a thread of the test, on a free port."""

    def __init__(self, database_url: str, *, clock_offset_s: int = 0, **settings: object) -> None:
        self.database_url = database_url
        self.clock: Clock = system_clock(clock_offset_s)
        with psycopg.connect(database_url) as conn:
            self.access = seed(conn, now=self.clock())
        self._settings = WebSettings.model_validate(
            {"database_url": database_url, "web_port": 0, "clock_offset_s": clock_offset_s, **settings}
        )
        self.server: Server = build(self._settings)
        self._thread = threading.Thread(target=self.server.run, name="web")

    def start(self) -> None:
        """Serve, and wait until it listens."""
        self._thread.start()
        deadline = time.monotonic() + LISTENING_WITHIN_S
        while not self.server.started:
            assert self._thread.is_alive(), "the web program ended"
            assert time.monotonic() < deadline, "the web program does not listen"
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """Where it answers."""
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def stop(self) -> float:
        """Stop it; returns the seconds that took."""
        begun = time.monotonic()
        self.server.stop()
        self._thread.join(15)
        assert not self._thread.is_alive(), "the web program did not stop"
        return time.monotonic() - begun

    def ring(self, call_id: str, number: str = PORT_BAR_NUMBER, **more: object) -> httpx.Response:
        """Let a shop ring, as the telephone system tells it."""
        return self.hook(event="newCall", callId=call_id, direction="in", **{"from": number, "to": "3008", **more})

    def hook(self, **fields: object) -> httpx.Response:
        """Post one event to the call hook."""
        answer = httpx.post(f"{self.url}/api/v1/cti/{self.access.cti}", json=fields, timeout=5)
        assert answer.status_code == 200, answer.text
        return answer

    def client(self, login: str | None = None) -> httpx.Client:
        """A browser without a screen; signed in, if a login is given."""
        cookies = None
        if login is not None:
            answer = httpx.post(f"{self.url}/sign-in", data={"login": login, "password": PASSWORD}, timeout=10)
            assert answer.status_code == 303, answer.text
            cookies = answer.cookies
        return httpx.Client(base_url=self.url, cookies=cookies, timeout=10)
