"""Call notes: what an agent wrote of a call, in a few words.

Diagnostics reads them as signals of the shop's terminals (kind `note`, the text in `detail`), beside the calls themselves; a
call whose shop is not known is a signal of no terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline.masking import FORGOTTEN, NUMBER_IN_TEXT

LONGEST_NOTE = 1000


class NoteError(VigieError):
    """A note cannot be kept: the text says why."""


@dataclass(frozen=True, slots=True)
class CallNote:
    """One author's note of a call; `author_name` is the agent's name, or the program's."""

    call: int
    author: str
    author_name: str
    at: datetime
    text: str


def write_note(conn: Connection, *, call: int, author: str, agent_id: int | None, text: str, now: datetime) -> None:
    """Keep an author's note of a call in place of what they wrote before; an empty one takes it back.

    Raises:
        NoteError: there is no such call, or the note is too long.
    """
    text = " ".join(text.split())
    if len(text) > LONGEST_NOTE:
        raise NoteError(f"a note has at most {LONGEST_NOTE} characters")
    if conn.execute("SELECT FROM hotline.call WHERE id = %(call)s FOR UPDATE", {"call": call}).fetchone() is None:
        raise NoteError(f"no call {call}")
    if text:
        conn.execute(
            "INSERT INTO hotline.call_note (call, author, agent_id, at, text)"
            " VALUES (%(call)s, %(author)s, %(agent)s, %(now)s, %(text)s)"
            " ON CONFLICT (call, author) DO UPDATE SET at = excluded.at, text = excluded.text",
            {"call": call, "author": author, "agent": agent_id, "now": now, "text": text},
        )
    else:
        conn.execute(
            "DELETE FROM hotline.call_note WHERE call = %(call)s AND author = %(author)s", {"call": call, "author": author}
        )
    pass_on(conn, call=call)


def notes_of(conn: Connection, *, call: int) -> list[CallNote]:
    """The notes of a call, oldest first."""
    with conn.cursor(row_factory=class_row(CallNote)) as cursor:
        return cursor.execute(
            "SELECT n.call, n.author, coalesce(a.name, n.author) AS author_name, n.at, n.text FROM hotline.call_note n"
            " LEFT JOIN hotline.agent a ON a.id = n.agent_id WHERE n.call = %(call)s ORDER BY n.at, n.author",
            {"call": call},
        ).fetchall()


def texts_of(conn: Connection, *, calls: Sequence[int]) -> dict[int, str]:
    """What was written of each of these calls, by whomever; calls without a note are left out."""
    rows = conn.execute(
        "SELECT call, string_agg(text, ' / ' ORDER BY at, author) FROM hotline.call_note WHERE call = ANY(%(calls)s) GROUP BY call",
        {"calls": list(calls)},
    ).fetchall()
    return dict(rows)


def call_of_exchange(conn: Connection, *, call_id: str) -> int | None:
    """Vigie's id of the call that the telephone system calls so."""
    row = conn.execute("SELECT id FROM hotline.call WHERE call_id = %(id)s", {"id": call_id}).fetchone()
    return row[0] if row else None


def pass_on(conn: Connection, *, call: int) -> None:
    """Let the terminals of the call's shop carry what was written of it, in place of what was passed on before.

    Telephone numbers are left out: what is learnt from notes needs none, and keeps its examples for good.
    """
    conn.execute(
        "DELETE FROM fleet.signal g USING hotline.call c"
        " WHERE c.id = %(call)s AND g.kind = 'note' AND g.ref = %(call)s::text AND g.at = c.rang_at",
        {"call": call},
    )
    conn.execute(
        "INSERT INTO fleet.signal (at, terminal_id, kind, ref, detail)"
        " SELECT c.rang_at, coalesce(t.id, ''), 'note', c.id::text, regexp_replace(n.text, %(number)s, %(hidden)s, 'g')"
        " FROM hotline.call c"
        " JOIN (SELECT call, string_agg(text, ' / ' ORDER BY at, author) AS text FROM hotline.call_note GROUP BY call) n"
        "   ON n.call = c.id"
        " LEFT JOIN fleet.terminal t ON t.point_of_sale = c.point_of_sale"
        " WHERE c.id = %(call)s AND c.direction IS DISTINCT FROM 'out'",
        {"call": call, "number": NUMBER_IN_TEXT, "hidden": FORGOTTEN},
    )
