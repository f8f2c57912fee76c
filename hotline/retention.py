"""Forgets what is older than the settings say: shopkeepers' numbers, what was written of their calls, and the audit.

The calls themselves stay, for the figures: when one rang, how long it waited, which shop it was, how it ended.
"""

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.alone import run_alone
from fleet.clock import Clock
from fleet.database import Connection
from hotline.masking import FORGOTTEN, NUMBER_IN_TEXT
from hotline.sessions import GUESS_WINDOW
from hotline.settings import RetentionOfCalls

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK = 0x7661_6769_0071
FORGET_EVERY_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many numbers, numbers in texts, notes and rows of the audit are gone."""

    numbers: int
    texts: int
    notes: int
    audit: int


def forget(conn: Connection, *, settings: RetentionOfCalls, now: datetime) -> Forgotten:
    """Forget what is past its time, once the caller commits; doing so again forgets nothing more."""
    numbers_before = now - timedelta(days=settings.keep_numbers_days)
    notes_before = now - timedelta(days=settings.keep_notes_days)
    conn.execute("DELETE FROM hotline.sign_in_failure WHERE at < %(before)s", {"before": now - GUESS_WINDOW})
    conn.execute("DELETE FROM hotline.session WHERE expires_at < %(now)s", {"now": now})
    notes = _forget_notes(conn, before=notes_before)
    return Forgotten(
        numbers=_forget_numbers(conn, before=numbers_before),
        texts=_forget_numbers_in_notes(conn, before=numbers_before),
        notes=notes,
        audit=conn.execute(
            "DELETE FROM hotline.audit WHERE at < %(before)s", {"before": now - timedelta(days=settings.keep_audit_days)}
        ).rowcount,
    )


def _forget_numbers(conn: Connection, *, before: datetime) -> int:
    """The shop's side of old calls, and the numbers of old callbacks that are no longer to be made."""
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
        " WHERE made_at < %(before)s AND state <> 'open' AND number NOT IN ('', %(forgotten)s)",
        parameters,
    ).rowcount
    return calls + callbacks


def _forget_notes(conn: Connection, *, before: datetime) -> int:
    """What was written of old calls, also as signals of terminals, which others read."""
    conn.execute("DELETE FROM fleet.signal WHERE kind = 'note' AND at < %(before)s", {"before": before})
    conn.execute("UPDATE hotline.handover SET reason = '' WHERE at < %(before)s AND reason <> ''", {"before": before})
    return conn.execute("DELETE FROM hotline.call_note WHERE at < %(before)s", {"before": before}).rowcount


def _forget_numbers_in_notes(conn: Connection, *, before: datetime) -> int:
    """Numbers that agents wrote into texts, which stay longer than numbers do; the terminals' signals never carried them."""
    parameters = {"before": before, "number": NUMBER_IN_TEXT, "forgotten": FORGOTTEN}
    notes = conn.execute(
        "UPDATE hotline.call_note SET text = regexp_replace(text, %(number)s, %(forgotten)s, 'g')"
        " WHERE at < %(before)s AND text ~ %(number)s",
        parameters,
    ).rowcount
    handovers = conn.execute(
        "UPDATE hotline.handover SET reason = regexp_replace(reason, %(number)s, %(forgotten)s, 'g')"
        " WHERE at < %(before)s AND reason ~ %(number)s",
        parameters,
    ).rowcount
    return notes + handovers


class Retention:
    """The thread of `vigie web` that forgets, at its start and every few hours; of several programs one does it."""

    def __init__(self, url: str, *, clock: Clock, settings: RetentionOfCalls) -> None:
        """Prepare without connecting."""
        self._url = url
        self._clock = clock
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End after the step under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        run_alone(self._url, self._work, program="retention of calls", lock=LOCK, stop=self._stop)

    def _work(self, conn: Connection) -> None:
        while not self._stop.is_set():
            with conn.transaction():
                gone = forget(conn, settings=self._settings, now=self._clock())
            log.info(
                "forgotten: %s numbers, numbers in %s texts, %s notes, %s rows of the audit",
                gone.numbers,
                gone.texts,
                gone.notes,
                gone.audit,
                extra={"action": "forget"},
            )
            self._stop.wait(FORGET_EVERY_S)
