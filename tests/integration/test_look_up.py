"""One box for shops, terminals, calls, incidents and articles."""

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from hotline.floors import Floor
from hotline.knowledge import articles
from hotline.knowledge.articles import Draft
from hotline.look_up import look_up, says_all, words_of
from hotline.masking import Onlooker
from hotline.notes import write_note
from hotline.qualification import Subject
from hotline.roles import Role
from tests.running_web import PORT_BAR, RunningWeb

OWN, OVERFLOW = Onlooker("fr", Floor.OWN), Onlooker("fr", Floor.OVERFLOW)


@pytest.fixture
def web(database_url: str) -> Iterator[RunningWeb]:
    """The web program with two calls, a note and an article."""
    running = RunningWeb(database_url)
    running.start()
    running.ring("one")
    running.ring("asterisk-17", "+33536490099")
    with psycopg.connect(database_url) as conn:
        write_note(conn, call=2, author="alice", agent_id=None, text="L'imprimante recrache les tickets", now=running.clock())
        draft = Draft(Subject.TECHNICAL, {"fr": "Imprimante qui coince"}, {"fr": "Ouvrez le capot."})
        articles.write(conn, draft, author="vera", now=running.clock())
    yield running
    running.stop()


def test_each_kind_is_found_in_the_way_it_is_known_by(web: RunningWeb) -> None:
    """One test for all: starting the web program costs more than the searches."""
    cases = [
        ("bar du port", {"shop PV00001"}),
        ("le bar DU PORT", {"shop PV00001"}),
        ("T0001", {"terminal T00011", "terminal T00012", "terminal T00013", "shop PV00001"}),
        ("t00021", {"terminal T00021", "shop PV00002"}),
        ("21", {"terminal T00021"}),
        ("#1", {"call 1", "incident 1"}),
        ("asterisk-17", {"call 2"}),
        ("01 99 00 12 34", {"call 1", "shop PV00001"}),
        ("+33 5 36 49 00 99", {"call 2"}),
        ("05364900", {"call 2"}),
        ("0099", {"call 2"}),
        ("99", {"call 0"}),
        ("ticket", {"call 2"}),
        ("imprimantes", {"call 2", "article 1"}),
        ("coupure beta", {"incident 1"}),
        ("reseau operateur", {"incident 1"}),
        ("le bar beta", set()),
        ("", set()),
        ("%", set()),
        ("\\ ' : & |", set()),
        ("9" * 99, set()),
        ("\0", set()),
    ]
    with psycopg.connect(web.database_url) as conn:
        for typed, expected in cases:
            found = look_up(conn, typed, viewer=OWN, now=web.clock())
            told = {f"shop {one.code}" for one in found.shops} | {f"terminal {one.id}" for one in found.terminals}
            told |= {f"call {one.id}" for one in found.calls} | {f"incident {one.id}" for one in found.incidents}
            told |= {f"article {one.id}" for one in found.articles}
            assert told == expected - {"call 0"}, typed
        # Who may not see numbers finds by a part of one what is no number, and by none that a note may hold.
        write_note(conn, call=1, author="bruno", agent_id=None, text="rappeler au 0399887766 svp", now=web.clock())
        for hidden in ("0099", "rappeler 0399", "rappeler 0399887766"):
            assert look_up(conn, hidden, viewer=OWN, now=web.clock()).calls, hidden
        assert not look_up(conn, "0099", viewer=OVERFLOW, now=web.clock())
        assert not look_up(conn, "01 99 00", viewer=OVERFLOW, now=web.clock())
        assert look_up(conn, "rappeler 0399", viewer=OVERFLOW, now=web.clock()) == look_up(
            conn, "rappeler 9999", viewer=OVERFLOW, now=web.clock()
        )
        assert look_up(conn, "21", viewer=OVERFLOW, now=web.clock()).terminals


def test_an_exact_id_leads_there_and_a_search_shows_every_kind(web: RunningWeb) -> None:
    with web.client("alice") as alice:
        assert alice.get("/console/search", params={"q": " t00012 "}).headers["Location"] == "/console/terminals/T00012"
        assert alice.get("/console/search", params={"q": PORT_BAR}).headers["Location"] == f"/console/points-of-sale/{PORT_BAR}"
        page = alice.get("/console/search", params={"q": "imprimante"}).text
        assert "/console/calls/2" in page
        assert "/console/articles/1" in page
        assert "/console/incidents/1" in alice.get("/console/search", params={"q": "coupures"}).text
        assert "T00011" in alice.get("/console/search", params={"q": "T0001"}).text
        assert "Rien trouvé" in alice.get("/console/search", params={"q": "zzz"}).text
    token = {"Authorization": f"Bearer {web.access.api[Role.LEVEL1]}"}
    with httpx.Client(base_url=f"{web.url}/api/v1", headers=token) as program:
        hits = program.get("/search", params={"q": "imprimante", "language": "fr"}).json()
        assert [(one["kind"], one["id"]) for one in hits] == [("calls", "2"), ("articles", "1")]


def test_of_a_hundred_callbacks_and_more_the_most_urgent_are_shown(web: RunningWeb) -> None:
    with psycopg.connect(web.database_url) as conn:
        conn.execute(
            "INSERT INTO hotline.call (call_id, state, rang_at, ended_at) SELECT 'left ' || n, 'ended', now(), now()"
            " FROM generate_series(1, 103) n"
        )
        conn.execute(
            "INSERT INTO hotline.callback (call, made_by_abandon, number, made_at, due_at, state)"
            " SELECT id, true, '', now(), now() + id * interval '1 s', 'open' FROM hotline.call WHERE call_id LIKE 'left %'"
        )
    with web.client("alice") as alice:
        page = alice.get("/console/callbacks").text
    assert page.count('hx-post="/console/callbacks/') == 300
    assert "Et 3 autres" in page


def test_every_word_must_begin_a_word_of_the_text() -> None:
    told = words_of("Coupures du réseau 4G")
    assert says_all(["coup", "reseau"], told)
    assert not says_all(["coup", "fibre"], told)
    assert not says_all(["seau"], told)
