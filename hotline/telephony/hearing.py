"""Until when the exchange was heard: a program that is killed cannot say that it stops listening, its successor finds it out."""

from datetime import datetime

from fleet.database import Connection


def note_heard(conn: Connection, *, until: datetime) -> None:
    """Note that everything the exchange said up to this moment is stored."""
    conn.execute(
        "INSERT INTO hotline.telephony_heard AS h (until) VALUES (%(until)s)"
        " ON CONFLICT (one) DO UPDATE SET until = greatest(h.until, excluded.until)",
        {"until": until},
    )


def note_deafness(conn: Connection, *, author: str, now: datetime) -> None:
    """Note the time since the exchange was last heard as one without telephony; who had ended in order has noted it already."""
    conn.execute(
        "INSERT INTO hotline.telephony_gap (began_at, ended_at, begun_by, ended_by)"
        " SELECT f.since, %(now)s, %(author)s, %(author)s FROM ("
        # A gap that somebody has ended is over until then, whoever listened.
        "   SELECT greatest(h.until, (SELECT max(g.ended_at) FROM hotline.telephony_gap g)) AS since FROM hotline.telephony_heard h"
        " ) f WHERE f.since < %(now)s AND NOT EXISTS (SELECT FROM hotline.telephony_gap WHERE ended_at IS NULL)",
        {"author": author, "now": now},
    )
