"""Incidents as the watch stores them, and a webhook receiver that answers as it is told, for tests of notices."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from diagnostics.incidents import record

Conn = psycopg.Connection[Any]
START = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECRET = "a secret of the receiver"


class Got(NamedTuple):
    """One request that the receiver got."""

    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def id(self) -> str:
        return self.headers["Vigie-Notice-Id"]


class Receiver:
    """A real HTTP server; `answers` are used up one by one, then it says 200. An answer is a status and headers."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[tuple[int, Mapping[str, str]]] = []
        self.slow_s = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.slow_s)
                receiver.got.append(Got(self.path, dict(self.headers), raw))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests look at what was got."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def answer(self, status: int, times: int = 1, **headers: str) -> None:
        """Answer the next requests so."""
        self.answers += [(status, {name.replace("_", "-"): value for name, value in headers.items()})] * times


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A running receiver."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


class Hand:
    """A clock that a test moves."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def found(conn: Conn, *, terminals: Sequence[str] = (), **columns: object) -> int:
    """An incident's row as the watch stores it, without any event."""
    row: dict[str, object] = {
        "state": "open",
        "scope": {"carrier": "beta", "region": "84"},
        "title": "",
        "trouble": "offline",
        "opened_at": START,
        "began_at": START - timedelta(seconds=70),
        "hits": 40,
        "worst_hits": 40,
        **columns,
    }
    row["scope"] = Jsonb(row["scope"])
    names = ", ".join(row)
    made = conn.execute(
        f"INSERT INTO diagnostics.incident ({names}) VALUES ({', '.join(f'%({name})s' for name in row)}) RETURNING id", row
    ).fetchone()
    assert made is not None
    for terminal in terminals:
        conn.execute(
            "INSERT INTO diagnostics.incident_terminal (incident_id, terminal_id, joined_at) VALUES (%s, %s, %s)",
            (made[0], terminal, START),
        )
    return int(made[0])


def happens(conn: Conn, incident: int, kind: str, *, at: datetime = START, **columns: object) -> int:
    """An event of an incident, with what it changed in the incident's row; told where that is due. Returns the event's id."""
    if columns:
        changes = ", ".join(f"{name} = %({name})s" for name in columns)
        values = {name: Jsonb(value) if name == "scope" else value for name, value in columns.items()}
        conn.execute(f"UPDATE diagnostics.incident SET {changes} WHERE id = %(incident)s", {"incident": incident, **values})
    return record(conn, incident_id=incident, kind=kind, actor="watch", now=at)


def wait_for(condition: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    """Wait until it holds; fail where it does not in time."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
