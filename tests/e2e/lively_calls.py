"""A hotline in the middle of its day: calls in every state, work done and owed, articles and typologies, for looking at pages."""

import psycopg

from hotline.handovers import hand_over
from hotline.knowledge.delivery import deliver
from hotline.notes import write_note
from hotline.qualification import Given, Outcome, Subject, qualify
from tests.running_web import ISLAND_NUMBER, PORT_BAR_NUMBER, SHARED_NUMBER, RunningWeb


def fill(web: RunningWeb) -> None:
    """Let some shops ring, and agents do what they do; the last call is spoken by alice."""
    _call(web, "solved", PORT_BAR_NUMBER, answered=True)
    _call(web, "missed", ISLAND_NUMBER, answered=False)
    _call(web, "missed once more", PORT_BAR_NUMBER, answered=False)
    _call(web, "shared", SHARED_NUMBER, answered=True)
    web.ring("passed on", ISLAND_NUMBER)
    web.hook(event="answer", callId="passed on", answeringNumber="bruno")
    web.ring("spoken", PORT_BAR_NUMBER)
    web.hook(event="answer", callId="spoken", answeringNumber="alice")
    now = web.clock()
    with psycopg.connect(web.database_url) as conn:
        deliver(conn, now=now)
        calls: dict[str, int] = dict(conn.execute("SELECT call_id, id FROM hotline.call").fetchall())
        agents: dict[str, int] = dict(conn.execute("SELECT login, id FROM hotline.agent").fetchall())
        write_note(
            conn,
            call=calls["solved"],
            author="alice",
            agent_id=agents["alice"],
            text="Rouleau posé à l'envers, remis avec le commerçant.",
            now=now,
        )
        for call_id, given in (
            ("solved", Given(Subject.TECHNICAL, Outcome.SOLVED)),
            ("shared", Given(Subject.ADMINISTRATIVE, Outcome.CALLBACK)),
        ):
            qualify(conn, call=calls[call_id], given=given, seen=0, level=1, author="alice", agent=agents["alice"], now=now)
        hand_over(
            conn,
            call=calls["passed on"],
            reason="L'application se ferme seule, redémarrage déjà essayé.",
            author="bruno",
            agent=agents["bruno"],
            now=now,
        )


def _call(web: RunningWeb, call_id: str, number: str, *, answered: bool) -> None:
    web.ring(call_id, number)
    if answered:
        web.hook(event="answer", callId=call_id, answeringNumber="alice")
    web.hook(event="hangup", callId=call_id, cause="normalClearing" if answered else "cancel")
