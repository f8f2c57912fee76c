"""What is whose: the overflow floor lists and changes the calls it has had a part in and what its people made, nothing else.

Our own floor reaches everything. That another company's agents may open a single call, shop or incident is what they need to
answer; to go through all of them page by page, or to undo what our people did, is not.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from fleet.database import Connection
from hotline.calls import calls_by_id
from hotline.floors import Floor
from hotline.stored_call import StoredCall

Kind = Literal["call", "call_id", "callback", "handover", "attachment"]

# Of a call `c`. One that names none of our agents rings on everybody's screens: it is whoever's takes it.
_TAKES_PART: Final = """(
    EXISTS (SELECT FROM hotline.leg l WHERE l.call = c.id AND l.floor = 'overflow')
    OR EXISTS (SELECT FROM hotline.agent a WHERE a.floor = 'overflow' AND (a.id = c.answered_by OR a.id = ANY(c.called)))
    OR (c.state <> 'ended' AND c.called = '{}' AND c.answered_as = '' AND NOT c.offers
        AND NOT EXISTS (SELECT FROM hotline.leg l WHERE l.call = c.id AND l.kind = 'agent'))
)"""
# Of something `o` that a person or a program's token made.
_MADE: Final = """coalesce(
    (SELECT a.floor FROM hotline.agent a WHERE a.id = o.agent),
    (SELECT t.floor FROM hotline.token t WHERE o.agent IS NULL AND t.name = o.author),
    'own') = 'overflow'"""
_THE_OTHERS: Final[dict[str, str]] = {
    "call": f"SELECT c.id FROM hotline.call c WHERE c.id = ANY(%(keys)s) AND NOT {_TAKES_PART}",
    "call_id": f"SELECT c.call_id FROM hotline.call c WHERE c.call_id = ANY(%(keys)s) AND NOT {_TAKES_PART}",
    "callback": (
        f"SELECT k.id FROM hotline.callback k JOIN hotline.call c ON c.id = k.call WHERE k.id = ANY(%(keys)s) AND NOT {_TAKES_PART}"
    ),
    "handover": f"SELECT o.id FROM hotline.handover o WHERE o.id = ANY(%(keys)s) AND NOT {_MADE}",
    "attachment": f"SELECT o.id FROM hotline.attachment o WHERE o.id = ANY(%(keys)s) AND NOT {_MADE}",
}


def out_of_reach(conn: Connection, kind: Kind, keys: Sequence[int | str], *, floor: Floor) -> set[int | str]:
    """Which of these are the other floor's; what is not there is nobody's."""
    if floor is Floor.OWN or not keys:
        return set()
    return {row[0] for row in conn.execute(_THE_OTHERS[kind], {"keys": list(keys)}).fetchall()}


def newest_calls(
    conn: Connection, *, floor: Floor, since: datetime | None = None, before: int | None = None, limit: int
) -> list[StoredCall]:
    """The calls of a floor, newest first: since a moment, older than the call `before`."""
    rows = conn.execute(
        "SELECT c.id FROM hotline.call c WHERE (%(since)s::timestamptz IS NULL OR c.rang_at >= %(since)s)"
        f" AND (%(before)s::bigint IS NULL OR c.id < %(before)s){'' if floor is Floor.OWN else f' AND {_TAKES_PART}'}"
        " ORDER BY c.id DESC LIMIT %(limit)s",
        {"since": since, "before": before, "limit": limit},
    ).fetchall()
    return calls_by_id(conn, [row[0] for row in rows])
