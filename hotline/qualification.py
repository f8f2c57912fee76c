"""What a call was about and how it ended, as its agent says; whoever saves must have seen what was saved before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline import callbacks, editing
from hotline.calls import end_wrap_up

# A promise without a time is for an hour from now; none is for the past or for next season.
PROMISED_AFTER: Final = timedelta(hours=1)
LATEST_PROMISE: Final = timedelta(days=30)
# The version of a call's first qualification, in SQL: one more than there were that went with an undone attachment, so that
# no version is ever given twice and who saw one of those cannot overwrite what was said since.
FIRST_VERSION: Final = (
    "1 + (SELECT count(*) FROM hotline.call_incident n WHERE n.call = %(call)s AND n.qualified AND n.detached_at IS NOT NULL)"
)


class Subject(StrEnum):
    """What a call is about."""

    TECHNICAL = "technical"
    ADMINISTRATIVE = "administrative"
    COMMERCIAL = "commercial"


class Outcome(StrEnum):
    """How a call ended for the shopkeeper."""

    SOLVED = "solved"
    ESCALATED = "escalated"
    FIELD_VISIT = "field_visit"
    CALLBACK = "callback"


class QualificationError(VigieError):
    """A call cannot be qualified so; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Qualification:
    """A call's qualification; `author_name` is the agent's name, or the program's."""

    call: int
    version: int
    subject: Subject
    typology: int | None
    outcome: Outcome
    level: int
    agent: int | None
    author: str
    author_name: str
    at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", Subject(self.subject))
        object.__setattr__(self, "outcome", Outcome(self.outcome))


class StaleError(VigieError):
    """Somebody saved since this was read; `current` is what stands now."""

    def __init__(self, current: Qualification | None) -> None:
        super().__init__(f"saved by {current.author_name} since" if current else "there is no such version")
        self.current = current


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody says of a call; `callback_at` counts with the outcome callback alone (None: an hour from now)."""

    subject: Subject
    outcome: Outcome
    typology: int | None = None
    callback_at: datetime | None = None


def promised_for(given: Given, *, stands: datetime | None, now: datetime) -> datetime | None:
    """When the shop is to be called back, None where nothing is promised; `stands` is what was promised before.

    Raises:
        QualificationError: the moment is past, or too far ahead.
    """
    if given.outcome is not Outcome.CALLBACK:
        return None
    # A correction of something else leaves the promise alone, past or not; forms know no seconds.
    if stands is not None and (given.callback_at is None or abs(given.callback_at - stands) < timedelta(minutes=1)):
        return stands
    due = given.callback_at or now + PROMISED_AFTER
    # A form holds whole minutes.
    if due < now - timedelta(minutes=1):
        raise QualificationError("callback_at", "is past")
    if due > now + LATEST_PROMISE:
        raise QualificationError("callback_at", f"is more than {LATEST_PROMISE.days} days ahead")
    return due


def qualify(
    conn: Connection, *, call: int, given: Given, seen: int, level: int, author: str, agent: int | None, now: datetime
) -> Qualification:
    """Keep what somebody says of a call in place of what was said before; a promise becomes a callback.

    `seen` is the version that was read before (0: none).

    Raises:
        StaleError: somebody saved since.
        QualificationError: no such call or typology, or a promise that cannot be kept.
    """
    if conn.execute("SELECT FROM hotline.call WHERE id = %(call)s FOR UPDATE", {"call": call}).fetchone() is None:
        raise QualificationError("call", f"no call {call}")
    before = qualification_of(conn, call=call)
    if (before.version if before else 0) != seen:
        raise StaleError(before)
    due = promised_for(given, stands=callbacks.promised_at(conn, call=call), now=now)
    known = {"typology": given.typology}
    in_use = "SELECT FROM diagnostics.typology WHERE id = %(typology)s AND state = 'known'"
    if given.typology is not None and conn.execute(in_use, known).fetchone() is None:
        raise QualificationError("typology", f"no typology {given.typology} in use")
    conn.execute(
        "INSERT INTO hotline.qualification AS q (call, version, subject, typology, outcome, level, author, agent, at)"
        f" VALUES (%(call)s, {FIRST_VERSION}, %(subject)s, %(typology)s, %(outcome)s, %(level)s, %(author)s, %(agent)s, %(now)s)"
        " ON CONFLICT (call) DO UPDATE SET version = q.version + 1, subject = excluded.subject, typology = excluded.typology,"
        " outcome = excluded.outcome, level = excluded.level, author = excluded.author, agent = excluded.agent, at = excluded.at",
        {
            **known,
            "call": call,
            "subject": given.subject,
            "outcome": given.outcome,
            "level": level,
            "author": author,
            "agent": agent,
            "now": now,
        },
    )
    if agent is not None:
        # Who says how it ended has finished with it.
        end_wrap_up(conn, call=call, agent=agent, now=now)
    if due is not None:
        callbacks.promise(conn, call=call, due=due, agent=agent, now=now)
    else:
        callbacks.take_back_promise(conn, call=call, now=now)
    after = qualification_of(conn, call=call)
    assert after is not None
    editing.saved(conn, call=call, version=after.version, by=after.author_name, now=now)
    return after


def qualification_of(conn: Connection, *, call: int) -> Qualification | None:
    """A call's qualification, None while it has none."""
    return qualifications_of(conn, calls=[call]).get(call)


def qualifications_of(conn: Connection, *, calls: Sequence[int]) -> dict[int, Qualification]:
    """The qualifications of those of these calls that have one."""
    with conn.cursor(row_factory=class_row(Qualification)) as cursor:
        found = cursor.execute(
            "SELECT q.call, q.version, q.subject, q.typology, q.outcome, q.level, q.agent, q.author,"
            " coalesce(a.name, q.author) AS author_name, q.at FROM hotline.qualification q"
            " LEFT JOIN hotline.agent a ON a.id = q.agent WHERE q.call = ANY(%(calls)s)",
            {"calls": list(calls)},
        ).fetchall()
    return {one.call: one for one in found}
