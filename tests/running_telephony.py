"""The telephony program in a thread of the test, between a real exchange and a database, and what it made of calls."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from hotline.accounts import add_agent
from hotline.calls import list_calls
from hotline.floors import Floor
from hotline.queues import set_queue
from hotline.roles import Role
from hotline.stored_call import StoredCall
from hotline.stored_legs import Leg, legs_of
from hotline.telephony.listening import run
from hotline.telephony.settings import TelephonySettings
from tests.running_asterisk import HOTLINE, LEVEL2, OVERFLOW
from tests.running_web import PASSWORD
from vigie.engines.process import wait_until

# Much longer than it takes, even on a machine that is busy with something else.
PATIENCE_S = 60


@dataclass(frozen=True)
class KeptCall:
    """A call as the database has it, with its parts in order."""

    call: StoredCall
    legs: Sequence[Leg]

    def parts(self) -> list[tuple[str, str, str | None]]:
        """Each part in short: the queue or the agent's extension, the level and floor, how it ended."""
        return [(leg.agent_as or leg.queue, f"{leg.level} {leg.floor}", leg.outcome) for leg in self.legs]


class RunningTelephony:
    """`vigie telephony`; `start` and `stop` it."""

    def __init__(self, database_url: str, ami_url: str, *, ca_file: Path | None = None, clock_offset_s: int = 0) -> None:
        self.database_url = database_url
        self._stop = threading.Event()
        settings = TelephonySettings.model_validate(
            {"database_url": database_url, "ami_url": ami_url, "ami_ca_file": str(ca_file or ""), "clock_offset_s": clock_offset_s}
        )
        self._thread = threading.Thread(target=run, args=(settings,), kwargs={"stop": self._stop}, name="telephony")

    def start(self) -> None:
        """Listen from now on; what the exchange already has is taken up."""
        before = self._heard_until()
        self._thread.start()
        assert wait_until(lambda: self._heard_until() != before, timeout_s=PATIENCE_S), "the exchange is not heard"

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the telephony program did not stop"

    def _heard_until(self) -> datetime | None:
        """When it, or one before it, last noted that it hears the exchange."""
        with psycopg.connect(self.database_url) as conn:
            row = conn.execute("SELECT until FROM hotline.telephony_heard").fetchone()
        return row[0] if row else None

    def kept(self) -> list[KeptCall]:
        """Every call there is, oldest first."""
        with psycopg.connect(self.database_url) as conn:
            return [KeptCall(call, legs_of(conn, call=call.id)) for call in reversed(list_calls(conn))]

    def wait_for(self, condition: Callable[[list[KeptCall]], bool], *, timeout_s: float = PATIENCE_S) -> list[KeptCall]:
        """The calls, once they are as they should be."""
        assert wait_until(lambda: condition(self.kept()), timeout_s=timeout_s), [(one.call, one.parts()) for one in self.kept()]
        return self.kept()


def staff_both_floors(conn: psycopg.Connection) -> None:
    """Say what the exchange's queues stand for, and put an agent on the overflow floor."""
    set_queue(conn, name=HOTLINE, level=1, floor=Floor.OWN)
    set_queue(conn, name=OVERFLOW, level=1, floor=Floor.OVERFLOW)
    set_queue(conn, name=LEVEL2, level=2, floor=Floor.OWN)
    add_agent(conn, login="dora", name="Dora Blanc", role=Role.LEVEL1, password=PASSWORD, extension="4031", floor=Floor.OVERFLOW)
