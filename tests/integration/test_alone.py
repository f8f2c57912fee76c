"""One process at a time does a program's work: the lead, its loss, and the pause after a fault."""

import threading

import psycopg
import pytest

from fleet.alone import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_s, run_alone
from fleet.database import Connection
from tests.integration.ingest_house import wait_for

LOCK = 42


class Instance:
    """A program whose work is to count its calls and wait."""

    def __init__(self, url: str, *, faults: int = 0) -> None:
        self.stop, self.calls, self.faults, self.leads = threading.Event(), 0, 0, False
        self._faults_to_come = faults
        self._thread = threading.Thread(
            target=run_alone,
            args=(url, self._work),
            kwargs={
                "program": "test",
                "lock": LOCK,
                "stop": self.stop,
                "on_lead": lambda leads: setattr(self, "leads", leads),
                "on_fault": self._count_fault,
            },
        )
        self._thread.start()

    def _work(self, conn: Connection) -> None:
        conn.execute("SELECT 1")
        self.calls += 1
        if self.calls <= self._faults_to_come:
            raise RuntimeError("a step fails")
        self.stop.wait(20)

    def _count_fault(self) -> None:
        self.faults += 1

    def end(self) -> None:
        self.stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_the_second_instance_works_only_when_the_first_has_ended(database_url: str) -> None:
    first = Instance(database_url)
    wait_for(lambda: first.leads)
    second = Instance(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vigie test' AND query LIKE %s"
        wait_for(lambda: conn.execute(asked, ("%pg_try_advisory_lock%",)).fetchone() == (1,))
    assert (first.calls, second.calls, second.leads) == (1, 0, False)
    first.end()
    wait_for(lambda: second.leads)
    second.end()
    assert (first.leads, second.calls, second.leads) == (False, 1, False)


def test_a_fault_is_counted_and_the_work_begun_anew(database_url: str) -> None:
    instance = Instance(database_url, faults=2)
    wait_for(lambda: instance.calls == 3)
    instance.end()
    assert instance.faults == 2


def test_a_stand_by_ends_when_asked(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        instance = Instance(database_url)
        instance.end()
    assert instance.calls == 0


@pytest.mark.parametrize(
    ("faults", "jitter", "seconds"),
    [(1, 0.999, FIRST_PAUSE_S), (1, 0.0, FIRST_PAUSE_S / 2), (3, 0.999, 4 * FIRST_PAUSE_S), (500, 0.999, LONGEST_PAUSE_S)],
)
def test_the_pause_doubles_up_to_a_bound_and_is_spread(faults: int, jitter: float, seconds: float) -> None:
    assert pause_s(faults, jitter=jitter) == pytest.approx(seconds, rel=0.01)
