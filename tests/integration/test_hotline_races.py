"""Two who do something of the same calls at the same moment: the second waits, and sees what the first did."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from diagnostics.incidents import declare, resolve
from hotline.attachments import attach, attached_to, close_with_incidents, undo
from hotline.qualification import qualification_of
from tests.integration.work_house import NOW, at, call_of, give_up, ring, states, tell
from tests.running_web import seed
from vigie.engines.process import wait_until

WAITS = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def filled_url(database_url: str) -> str:
    """A database of its own with the small fleet."""
    with psycopg.connect(database_url) as conn:
        seed(conn, now=NOW)
    return database_url


def meanwhile(url: str, first: Callable[[psycopg.Connection], object], second: Callable[[psycopg.Connection], object]) -> None:
    """Do the first, begin the second, and commit the first once the second waits for it, or is through."""

    def do_second() -> None:
        with psycopg.connect(url) as conn:
            second(conn)

    with psycopg.connect(url) as conn, psycopg.connect(url, autocommit=True) as watching, ThreadPoolExecutor(1) as pool:
        first(conn)
        doing = pool.submit(do_second)
        assert wait_until(lambda: doing.done() or watching.execute(WAITS).fetchone() == (True,), timeout_s=10)
        conn.commit()
        doing.result(10)


def test_an_attachment_undone_while_its_incident_ends_takes_everything_back(filled_url: str) -> None:
    with psycopg.connect(filled_url) as conn:
        call = call_of(conn, give_up(conn, 0))
        incident = declare(conn, scope={"lot": "L07"}, title="Lot", advice="", actor="veille", now=NOW).id
        made = attach(conn, incident=incident, calls=[call], author="alice", agent=None, now=NOW)
        resolve(conn, incident, actor="dsi", detail="", now=at(20))
    meanwhile(
        filled_url,
        lambda conn: close_with_incidents(conn, now=at(21)),
        lambda conn: undo(conn, attachment_id=made.id, author="alice", now=at(22)),
    )
    with psycopg.connect(filled_url) as conn:
        assert qualification_of(conn, call=call) is None
        assert (attached_to(conn, calls=[call]), states(conn)) == ({}, [("open", "")])


def test_two_calls_of_one_shop_from_two_numbers_see_each_other(filled_url: str) -> None:
    with psycopg.connect(filled_url) as conn:
        first = ring(conn, 0)
    meanwhile(filled_url, lambda conn: tell(conn, 2, event="hangup", callId=first), lambda conn: ring(conn, 1, "+33639981234"))
    with psycopg.connect(filled_url) as conn:
        assert states(conn) == [("dropped", "rang_again")]
