"""Three months of calls as a hotline has them, for benchmarks that ask how its pages do when it is not new.

Every call has its wait and, where it was answered, its agent's leg; most are qualified, every other one has a note, every
abandoned one its callback. They are stored as they would lie there, not told event by event.
"""

from datetime import datetime, timedelta
from typing import Final

from fleet.database import Connection
from hotline.accounts import add_agent, generate_password
from hotline.floors import Floor
from hotline.queues import set_queue
from hotline.roles import Role

CALLS, DAYS = 82_000, 92
AGENTS: Final = 60
# Of three calls one comes to the other floor, as of three agents one sits there.
QUEUES: Final = (("past-own", 1, Floor.OWN), ("past-overflow", 1, Floor.OVERFLOW), ("past-level2", 2, Floor.OWN))
# Every so many-th call is given up, and qualified by nobody.
_ABANDONED, _UNQUALIFIED = 11, 9

_CALLS = """
    WITH shop AS (SELECT row_number() OVER (ORDER BY e164) AS n, e164, point_of_sale FROM fleet.phone_number)
    INSERT INTO hotline.call (call_id, state, direction, from_number, to_number, queue, rang_at, answered_at, ended_at,
        point_of_sale, answered_as, answered_by)
    SELECT 'past ' || c.n, 'ended', 'in', shop.e164, '+33199000360', q.names[1 + c.n %% 3], c.at,
        CASE WHEN c.answered THEN c.at + c.wait_s * interval '1 s' END,
        c.at + (c.wait_s + CASE WHEN c.answered THEN c.talk_s ELSE 0 END) * interval '1 s', shop.point_of_sale,
        CASE WHEN c.answered THEN a.login ELSE '' END, CASE WHEN c.answered THEN a.id END
    FROM (
        -- Fifteen hours of each day, from seven in the morning; what is no pattern is strewn by a multiplicative hash.
        SELECT n, %(first)s + (n / %(a_day)s) * interval '1 day' + (n %% %(a_day)s) * interval '15 hours' / %(a_day)s AS at,
            n %% %(abandoned)s <> 0 AS answered, 2 + (n * 48271::bigint) %% 90 AS wait_s, 40 + (n * 69621::bigint) %% 500 AS talk_s
        FROM generate_series(0, %(calls)s - 1) n
    ) c
    CROSS JOIN (SELECT %(queues)s::text[]) q (names)
    JOIN shop ON shop.n = 1 + (c.n * 16807::bigint) %% (SELECT count(*) FROM shop)
    JOIN (
        SELECT id, login, floor, row_number() OVER (PARTITION BY floor ORDER BY id) - 1 AS n,
            count(*) OVER (PARTITION BY floor) AS colleagues
        FROM hotline.agent WHERE login LIKE 'past%%'
    ) a ON a.floor = CASE WHEN c.n %% 3 = 1 THEN 'overflow' ELSE 'own' END AND a.n = (c.n / 3) %% a.colleagues
    ORDER BY c.at
"""
_SHOPS = """
    INSERT INTO hotline.call_point_of_sale SELECT c.id, c.point_of_sale FROM hotline.call c WHERE c.call_id LIKE 'past %%'
"""
_WAITS = """
    INSERT INTO hotline.leg (call, number, kind, level, floor, queue, began_at, released_at, ended_at, outcome)
    SELECT c.id, 0, 'queue', q.level, q.floor, c.queue, c.rang_at, coalesce(c.answered_at, c.ended_at),
        coalesce(c.answered_at, c.ended_at), CASE WHEN c.answered_at IS NULL THEN 'abandoned' ELSE 'answered' END
    FROM hotline.call c JOIN hotline.queue q ON q.name = c.queue WHERE c.call_id LIKE 'past %%'
"""
_TALKS = """
    INSERT INTO hotline.leg (call, number, kind, level, floor, queue, agent, agent_as, began_at, answered_at, released_at,
        ended_at, wrapped_at, outcome)
    SELECT c.id, 1, 'agent', q.level, q.floor, c.queue, c.answered_by, c.answered_as, c.rang_at, c.answered_at,
        c.ended_at, c.ended_at, c.ended_at + interval '25 s', 'answered'
    FROM hotline.call c JOIN hotline.queue q ON q.name = c.queue WHERE c.call_id LIKE 'past %%' AND c.answered_at IS NOT NULL
"""
_QUALIFICATIONS = """
    INSERT INTO hotline.qualification (call, subject, typology, outcome, level, author, agent, at)
    SELECT c.id, (ARRAY['technical', 'technical', 'administrative', 'commercial'])[1 + c.id %% 4],
        (SELECT min(t.id) + c.id %% count(*) FROM diagnostics.typology t),
        (ARRAY['solved', 'solved', 'solved', 'escalated', 'field_visit'])[1 + c.id %% 5],
        CASE WHEN c.queue = 'past-level2' THEN 2 ELSE 1 END, c.answered_as, c.answered_by, c.ended_at + interval '25 s'
    FROM hotline.call c
    WHERE c.call_id LIKE 'past %%' AND c.answered_at IS NOT NULL AND c.id %% %(unqualified)s <> 0
"""
_NOTES = """
    INSERT INTO hotline.call_note (call, author, agent_id, at, text)
    SELECT c.id, c.answered_as, c.answered_by, c.ended_at,
        (ARRAY['imprimante', 'réseau', 'lecteur', 'ticket', 'gain'])[1 + c.id %% 5] || ' '
        || (ARRAY['coincé', 'en panne', 'lent', 'refusé', 'à changer', 'rétabli', 'vu avec le client'])[1 + c.id %% 7]
        || ', mot' || c.id %% 997
    FROM hotline.call c WHERE c.call_id LIKE 'past %%' AND c.answered_at IS NOT NULL AND c.id %% 2 = 0
"""
_CALLBACKS = """
    INSERT INTO hotline.callback (call, made_by_abandon, point_of_sale, number, made_at, due_at, state, done_at)
    SELECT c.id, true, c.point_of_sale, c.from_number, c.ended_at, c.ended_at + interval '30 min', 'done',
        c.ended_at + interval '20 min'
    FROM hotline.call c WHERE c.call_id LIKE 'past %%' AND c.answered_at IS NULL
"""


def fill_past(conn: Connection, *, until: datetime, calls: int = CALLS, days: int = DAYS) -> None:
    """Store that many calls of the days before `until` (a moment of the console's clock) and the agents who took them."""
    for name, level, floor in QUEUES:
        set_queue(conn, name=name, level=level, floor=floor)
    for order in range(AGENTS):
        role, floor = (Role.LEVEL2, Floor.OWN) if order % 6 == 5 else (Role.LEVEL1, (Floor.OWN, Floor.OVERFLOW)[order % 3 == 1])
        add_agent(conn, login=f"past{order:02d}", name=f"Agent {order:02d}", role=role, password=generate_password(), floor=floor)
    first = (until - timedelta(days=days)).replace(hour=6, minute=0, second=0, microsecond=0)
    conn.execute(
        _CALLS,
        {
            "calls": calls,
            "a_day": -(-calls // days),
            "first": first,
            "abandoned": _ABANDONED,
            "queues": [name for name, _, _ in QUEUES],
        },
    )
    for statement in (_SHOPS, _WAITS, _TALKS, _QUALIFICATIONS, _NOTES, _CALLBACKS):
        conn.execute(statement, {"unqualified": _UNQUALIFIED})
    conn.execute("ANALYZE")
