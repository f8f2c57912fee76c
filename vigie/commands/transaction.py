"""One transaction for one command: connected by the settings, committed at the end, undone by an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.database import Connection


@contextmanager
def transaction(program: str) -> Iterator[tuple["Connection", datetime]]:
    """The connection and the program's time."""
    from fleet.clock import system_clock
    from fleet.database import connect
    from fleet.settings import ClockSettings, DatabaseSettings, read

    now = system_clock(read(ClockSettings).clock_offset_s)()
    with connect(read(DatabaseSettings).database_url.get_secret_value(), program=program) as conn:
        yield conn, now
