"""Ends calls whose hangup was lost, so that figures and callbacks go on: screens disbelieve them long before.

A call that seems to ring is left alone for as long as any caller may wait, since one that has ended never opens again: should
somebody answer it after all, it must still come to their screen.
"""

import logging
from datetime import datetime, time
from typing import Final

import psycopg

from fleet.alone import Repeating
from fleet.clock import Clock
from fleet.database import Connection
from hotline.call_events import CallEvent, Happening
from hotline.call_state import State
from hotline.calls import find_call, record_event, take_turn
from hotline.opening import USUAL_END
from hotline.stored_call import LONGEST_TALK, LONGEST_WAIT, StoredCall, believed_until

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0072
LOOK_EVERY_S: Final = 60.0
# What the calls so ended have for a cause, and the name of the event.
CAUSE: Final = "unheard"
NAME: Final = "lost hangup"
# In one look; the next goes on.
_AT_ONCE: Final = 500

_LOST = """
    SELECT id, call_id FROM hotline.call
    WHERE state <> 'ended' AND rang_at <= %(waited)s AND (state = 'ringing' OR coalesce(answered_at, rang_at) <= %(talked)s)
    ORDER BY rang_at, id LIMIT %(limit)s
"""
# Who has taken another call has ended the one before; NULL where somebody else may still have it, or nobody took another.
_NEXT_CALL = """
    SELECT CASE WHEN bool_and(found.next_at IS NOT NULL) THEN max(found.next_at) END FROM (
        SELECT (SELECT min(o.answered_at) FROM hotline.leg o
                WHERE o.agent = l.agent AND o.call <> l.call AND o.answered_at > l.answered_at
                AND o.began_at BETWEEN l.answered_at - %(wait)s AND l.answered_at + %(talk)s) AS next_at
        FROM hotline.leg l
        WHERE l.call = %(call)s AND l.kind = 'agent' AND l.answered_at IS NOT NULL AND l.ended_at IS NULL
    ) found
"""


def end_lost(conn: Connection, *, now: datetime, usual_end: time = USUAL_END) -> int:
    """End the calls that go on for longer than any does, each in a transaction of its own, and return how many.

    One that cannot be ended must not keep the others: it is logged, and tried again at the next look.
    """
    known = {"waited": now - LONGEST_WAIT, "talked": now - LONGEST_TALK, "limit": _AT_ONCE}
    ended = 0
    for call, call_id in conn.execute(_LOST, known).fetchall():
        try:
            with conn.transaction():
                ended += _end(conn, call=call, call_id=call_id, now=now, usual_end=usual_end)
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            log.exception("a call whose hangup was lost could not be ended", extra={"action": "end_lost", "call": call})
    return ended


def sweep(url: str, *, clock: Clock, usual_end: time) -> Repeating:
    """The thread of `vigie web` that ends them, every minute."""

    def look(conn: Connection) -> None:
        ended = end_lost(conn, now=clock(), usual_end=usual_end)
        if ended:
            log.info("%s calls ended whose hangup was lost", ended, extra={"action": "end_lost", "calls": ended})

    return Repeating(url, look, every_s=LOOK_EVERY_S, program="lost hangups", lock=LOCK)


def _end(conn: Connection, *, call: int, call_id: str, now: datetime, usual_end: time) -> bool:
    take_turn(conn, call_id=call_id)
    # Its answer, or its hangup, may have come meanwhile.
    found = find_call(conn, call=call)
    if found is None or now < (found.rang_at + LONGEST_WAIT if found.state is State.RINGING else believed_until(found)):
        return False
    event = CallEvent(Happening.ENDED, call_id, NAME, cause=CAUSE)
    record_event(conn, event=event, now=_last_believed(conn, found), usual_end=usual_end)
    return True


def _last_believed(conn: Connection, call: StoredCall) -> datetime:
    """The last moment at which the call can have gone on."""
    row = conn.execute(_NEXT_CALL, {"call": call.id, "wait": LONGEST_WAIT, "talk": LONGEST_TALK}).fetchone()
    next_call = row[0] if row else None
    return min(believed_until(call), next_call) if next_call else believed_until(call)
