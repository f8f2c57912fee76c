"""Forgets what is older than the settings say: shopkeepers' numbers, what was written of their calls, who was there, the audit.

The calls themselves stay, for the figures: when one rang, how long it waited, which shop it was, how it ended.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.alone import Repeating
from fleet.clock import Clock
from fleet.database import Connection
from hotline.masking import FORGOTTEN, NUMBER_IN_TEXT
from hotline.sessions import GUESS_WINDOW
from hotline.settings import RetentionOfCalls

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK = 0x7661_6769_0071
FORGET_EVERY_S = 6 * 3600.0

# A text without the telephone numbers in it.
_CLEARED = "regexp_replace({0}, %(number)s, %(forgotten)s, 'g')"
# Texts that agents wrote, with when: numbers in them go earlier than they do.
_WRITTEN = (
    ("hotline.call_note", "text", "at"),
    ("hotline.handover", "reason", "at"),
    ("diagnostics.incident_event", "detail", "at"),
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many numbers, numbers in texts, notes, rows of who was there, and rows of the audit are gone."""

    numbers: int
    texts: int
    notes: int
    attendance: int
    audit: int


def forget(conn: Connection, *, settings: RetentionOfCalls, now: datetime) -> Forgotten:
    """Forget what is past its time; doing so again forgets nothing more.

    Each kind goes in a transaction of its own, or of the caller's: that one cannot go keeps none of the others back.
    """
    numbers_before = now - timedelta(days=settings.keep_numbers_days)
    with conn.transaction():
        conn.execute("DELETE FROM hotline.sign_in_failure WHERE at < %(before)s", {"before": now - GUESS_WINDOW})
        conn.execute("DELETE FROM hotline.session WHERE expires_at < %(now)s", {"now": now})
    with conn.transaction():
        notes = _forget_notes(conn, before=now - timedelta(days=settings.keep_notes_days))
    with conn.transaction():
        numbers = _forget_numbers(conn, before=numbers_before)
    with conn.transaction():
        texts = _forget_numbers_in_texts(conn, before=numbers_before)
    with conn.transaction():
        attendance = conn.execute(
            "DELETE FROM hotline.attendance WHERE seen_at < %(before)s",
            {"before": now - timedelta(days=settings.keep_attendance_days)},
        ).rowcount
    with conn.transaction():
        audit = _forget_audit(conn, before=now - timedelta(days=settings.keep_audit_days))
    return Forgotten(numbers=numbers, texts=texts, notes=notes, attendance=attendance, audit=audit)


def retention(url: str, *, clock: Clock, settings: RetentionOfCalls) -> Repeating:
    """The thread of `vigie web` that forgets, at its start and every few hours; of several programs one does it."""

    def step(conn: Connection) -> None:
        gone = forget(conn, settings=settings, now=clock())
        log.info(
            "forgotten: %s numbers, numbers in %s texts, %s notes, %s rows of who was there, %s rows of the audit",
            gone.numbers,
            gone.texts,
            gone.notes,
            gone.attendance,
            gone.audit,
            extra={"action": "forget"},
        )

    return Repeating(url, step, every_s=FORGET_EVERY_S, program="retention of calls", lock=LOCK)


def _forget_numbers(conn: Connection, *, before: datetime) -> int:
    """The shop's side of old calls, and the numbers of old callbacks that are no longer to be made, or long overdue."""
    parameters = {"before": before, "forgotten": FORGOTTEN}
    calls = conn.execute(
        "UPDATE hotline.call SET"
        " from_number = CASE WHEN direction IS DISTINCT FROM 'out' AND from_number <> '' THEN %(forgotten)s ELSE from_number END,"
        " to_number = CASE WHEN direction = 'out' AND to_number <> '' THEN %(forgotten)s ELSE to_number END"
        " WHERE rang_at < %(before)s"
        " AND (CASE WHEN direction = 'out' THEN to_number ELSE from_number END) NOT IN ('', %(forgotten)s)",
        parameters,
    ).rowcount
    callbacks = conn.execute(
        "UPDATE hotline.callback SET number = %(forgotten)s"
        " WHERE made_at < %(before)s AND (state <> 'open' OR due_at < %(before)s) AND number NOT IN ('', %(forgotten)s)",
        parameters,
    ).rowcount
    return calls + callbacks


def _forget_notes(conn: Connection, *, before: datetime) -> int:
    """What was written of old calls, also as signals of terminals, which others read."""
    conn.execute("DELETE FROM fleet.signal WHERE kind = 'note' AND at < %(before)s", {"before": before})
    conn.execute("UPDATE hotline.handover SET reason = '' WHERE at < %(before)s AND reason <> ''", {"before": before})
    return conn.execute("DELETE FROM hotline.call_note WHERE at < %(before)s", {"before": before}).rowcount


def _forget_numbers_in_texts(conn: Connection, *, before: datetime) -> int:
    """Numbers in what stays longer than they do: in texts, and where a telephone outside stands for an agent.

    The terminals' signals never carried them.
    """
    parameters = {"before": before, "number": NUMBER_IN_TEXT, "forgotten": FORGOTTEN}
    changed = 0
    for table, column, at in _WRITTEN:
        changed += conn.execute(
            f"UPDATE {table} SET {column} = {_CLEARED.format(column)} WHERE {at} < %(before)s AND {column} ~ %(number)s", parameters
        ).rowcount
    changed += conn.execute(
        f"UPDATE hotline.call SET answered_as = {_CLEARED.format('answered_as')},"
        f" users = ARRAY(SELECT {_CLEARED.format('u')} FROM unnest(users) WITH ORDINALITY named (u, place) ORDER BY place)"
        " WHERE rang_at < %(before)s"
        " AND (answered_as ~ %(number)s OR EXISTS (SELECT FROM unnest(users) named (u) WHERE u ~ %(number)s))",
        parameters,
    ).rowcount
    changed += conn.execute(
        f"UPDATE hotline.leg SET agent_as = {_CLEARED.format('agent_as')} WHERE began_at < %(before)s AND agent_as ~ %(number)s",
        parameters,
    ).rowcount
    return changed


def _forget_audit(conn: Connection, *, before: datetime) -> int:
    """Old rows of the audit; the database refuses younger ones by its own clock, which ours may be ahead of."""
    return conn.execute(
        "DELETE FROM hotline.audit WHERE at < least(%(before)s, now() - interval '180 days')", {"before": before}
    ).rowcount
