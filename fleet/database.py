"""Connections to PostgreSQL: one way to open them, so that every program speaks UTC and names itself."""

from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

Connection = psycopg.Connection[Any]

# A lost server must be noticed by the socket, not by a human: three probes within half a minute.
KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "connect_timeout": 10,
}
_OPTIONS = "-c timezone=UTC"


def connect(url: str, *, program: str, autocommit: bool = False) -> Connection:
    """Open a connection whose session speaks UTC; raises `psycopg.OperationalError` where the server cannot be had."""
    return psycopg.connect(url, application_name=f"vigie {program}", options=_OPTIONS, autocommit=autocommit, **KEEPALIVE)


def open_pool(url: str, *, program: str, min_size: int = 2, max_size: int = 8) -> ConnectionPool[Connection]:
    """A pool for programs that answer many requests; its connections are checked before use, so a restart of the server heals."""
    return ConnectionPool(
        url,
        min_size=min_size,
        max_size=max_size,
        open=True,
        check=ConnectionPool.check_connection,
        kwargs={"application_name": f"vigie {program}", "options": _OPTIONS, **KEEPALIVE},
        name=program,
    )
