"""The connection of one command, by the settings: mostly one transaction, committed at the end and undone by an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.database import Connection


@contextmanager
def transaction(program: str) -> Iterator[tuple["Connection", datetime]]:
    """The connection and the program's time."""
    with _connected(program, autocommit=False) as found:
        yield found


@contextmanager
def connection(program: str) -> Iterator[tuple["Connection", datetime]]:
    """The same without a transaction, for work that takes its time and stores each part in a short one of its own."""
    with _connected(program, autocommit=True) as found:
        yield found


@contextmanager
def _connected(program: str, *, autocommit: bool) -> Iterator[tuple["Connection", datetime]]:
    from fleet.clock import system_clock
    from fleet.database import connect
    from fleet.settings import ClockSettings, DatabaseSettings, read

    now = system_clock(read(ClockSettings).clock_offset_s)()
    with connect(read(DatabaseSettings).database_url.get_secret_value(), program=program, autocommit=autocommit) as conn:
        yield conn, now
