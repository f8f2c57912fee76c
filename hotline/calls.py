"""The calls: what the telephone system told, stored in one transaction per event, and read back for screens and programs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

from psycopg.rows import class_row

from fleet import registry
from fleet.database import Connection
from fleet.errors import VigieError
from hotline import callbacks, handovers, matching
from hotline.accounts import Agent, agents
from hotline.call_events import CallEvent, Happening
from hotline.call_state import Call, Reason, State, Step, apply
from hotline.notes import pass_on
from hotline.opening import USUAL_END
from hotline.phone_numbers import caller_of
from hotline.stored_call import LONGEST_FINISH, LONGEST_TALK, LONGEST_WAIT, StoredCall, is_live
from hotline.stored_legs import finish_wrap_up, save_legs, told_legs

# The channel that tells web processes of a call's change; the payload is the call's id.
CHANNEL = "vigie_call"
# The event by which who passed a call on is released, where the telephone system tells of no releases.
PASSED_ON = "passed on"


class CallError(VigieError):
    """A call cannot be changed so: the text says why."""


_COLUMNS = (
    "c.id, c.call_id, c.version, c.direction, c.state, c.from_number, c.to_number, c.queue, c.rang_at, c.answered_at, c.ended_at,"
    " c.cause, c.users, c.answered_as, c.called, c.answered_by, a.name AS answered_by_name, c.point_of_sale, c.offers,"
    " ARRAY(SELECT l.agent FROM hotline.leg l WHERE l.call = c.id AND l.agent IS NOT NULL AND l.answered_at IS NULL"
    " AND l.ended_at IS NULL) AS ringing,"
    " ARRAY(SELECT l.agent FROM hotline.leg l WHERE l.call = c.id AND l.agent IS NOT NULL AND l.answered_at IS NOT NULL"
    " AND (l.ended_at IS NULL OR l.wrapped_at IS NULL)) AS handling,"
    " ARRAY(SELECT p.point_of_sale FROM hotline.call_point_of_sale p WHERE p.call = c.id ORDER BY 1) AS candidates"
)
_FROM = "FROM hotline.call c LEFT JOIN hotline.agent a ON a.id = c.answered_by"

_UPSERT = """
    INSERT INTO hotline.call (call_id, direction, state, from_number, to_number, queue, rang_at, answered_at, ended_at, cause,
                              users, answered_as, called, answered_by, offers)
    VALUES (%(call_id)s, %(direction)s, %(state)s, %(from_number)s, %(to_number)s, %(queue)s, %(rang_at)s, %(answered_at)s,
            %(ended_at)s, %(cause)s, %(users)s, %(answered_as)s, %(called)s, %(answered_by)s, %(offers)s)
    ON CONFLICT (call_id) DO UPDATE SET
        version = call.version + 1, direction = excluded.direction, state = excluded.state, from_number = excluded.from_number,
        to_number = excluded.to_number, queue = excluded.queue, answered_at = excluded.answered_at,
        ended_at = excluded.ended_at, cause = excluded.cause, users = excluded.users, answered_as = excluded.answered_as,
        called = excluded.called, answered_by = excluded.answered_by, offers = excluded.offers
    RETURNING id
"""


def record_event(conn: Connection, *, event: CallEvent, now: datetime, usual_end: time = USUAL_END) -> Reason:
    """Store one event, of whatever source, and what it does to its call; says what became of it.

    `usual_end` is when the hotline closes on days that the race calendar does not name. The screens are told when the caller
    commits.
    """
    take_turn(conn, call_id=event.call_id)
    event = replace(event, from_number=caller_of(event.from_number), to_number=caller_of(event.to_number))
    stored = _find(conn, "c.call_id = %(key)s", event.call_id)
    told = _told(conn, stored) if stored else None
    staff = agents(conn, active_only=True)
    step = apply(told, event, now=now, who=_who(event, staff))
    conn.execute(
        "INSERT INTO hotline.call_event (call_id, received_at, event, applied, reason)"
        " VALUES (%(call_id)s, %(now)s, %(event)s, %(applied)s, %(reason)s)",
        {"call_id": event.call_id, "now": now, "event": event.name, "applied": step.applied, "reason": step.reason},
    )
    if step.applied:
        call = _save(conn, before=stored, step=step, staff=staff)
        assert step.call is not None
        save_legs(conn, call=call, before=told.legs if told else (), after=step.call.legs, staff=staff)
        callbacks.after(conn, call=call, now=now, usual_end=usual_end)
        handovers.taken_by_telephone(conn, call=call)
        for giver in handovers.still_holding(conn, call=call):
            release = CallEvent(Happening.RELEASED, event.call_id, PASSED_ON, agent=giver)
            record_event(conn, event=release, now=now, usual_end=usual_end)
    return step.reason


def take_turn(conn: Connection, *, call_id: str) -> None:
    """Have two events of one call at the same moment take their turns; other calls do not wait."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%(id)s, 0))", {"id": call_id})


def find_call(conn: Connection, *, call: int) -> StoredCall | None:
    """One call by Vigie's id."""
    return _find(conn, "c.id = %(key)s", call)


def calls_by_id(conn: Connection, ids: Sequence[int]) -> list[StoredCall]:
    """These calls, newest first; one that is not there is left out."""
    return _select(conn, "WHERE c.id = ANY(%(ids)s) ORDER BY c.id DESC", {"ids": list(ids)})


def live_calls(conn: Connection, *, now: datetime) -> list[StoredCall]:
    """Calls that ring or are spoken, oldest first."""
    found = _select(
        conn,
        "WHERE c.state <> 'ended' AND c.rang_at > %(since)s ORDER BY c.rang_at, c.id",
        {"since": now - LONGEST_TALK - LONGEST_WAIT},
    )
    return [call for call in found if is_live(call, now=now)]


def standing_calls(conn: Connection, *, now: datetime) -> list[StoredCall]:
    """Calls that stand on somebody's screens: those whose agent has not finished the work after them, then the live ones."""
    ended = _select(
        conn,
        "WHERE c.state = 'ended' AND c.ended_at > %(since)s AND c.id IN ("
        " SELECT l.call FROM hotline.leg l WHERE l.agent IS NOT NULL AND l.answered_at IS NOT NULL AND l.wrapped_at IS NULL"
        " AND l.ended_at > %(since)s) ORDER BY c.ended_at, c.id",
        {"since": now - LONGEST_FINISH},
    )
    return [*ended, *live_calls(conn, now=now)]


def list_calls(
    conn: Connection,
    *,
    point_of_sale: str | None = None,
    number: str | None = None,
    state: State | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[StoredCall]:
    """Calls, newest first: of one shop, of one number, in one state, since a moment, older than the call `before`."""
    conditions = ["true"]
    if point_of_sale is not None:
        conditions.append("c.id IN (SELECT p.call FROM hotline.call_point_of_sale p WHERE p.point_of_sale = %(point_of_sale)s)")
        # Of several shops that share a number, a call counts for the one that was picked.
        conditions.append("coalesce(c.point_of_sale, %(point_of_sale)s) = %(point_of_sale)s")
    if number is not None:
        conditions.append("(c.from_number = %(number)s OR c.to_number = %(number)s)")
    if state is not None:
        conditions.append("c.state = %(state)s")
    if since is not None:
        conditions.append("c.rang_at >= %(since)s")
    if before is not None:
        conditions.append("c.id < %(before)s")
    parameters = {
        "point_of_sale": point_of_sale,
        "number": number,
        "state": state,
        "since": since,
        "before": before,
        "limit": limit,
    }
    return _select(conn, f"WHERE {' AND '.join(conditions)} ORDER BY c.id DESC LIMIT %(limit)s", parameters)


def calls_of_incident(
    conn: Connection, *, incident: int, since: datetime, until: datetime | None, limit: int
) -> tuple[int, list[StoredCall]]:
    """How many calls came from shops that an incident touches, from `since` to `until` (None: now), and the newest of them.

    A shop counts where a terminal of it was hit; for an incident that a person declared, where one is in scope.
    """
    condition = (
        "WHERE c.rang_at >= %(since)s AND (%(until)s::timestamptz IS NULL OR c.rang_at <= %(until)s)"
        " AND c.direction IS DISTINCT FROM 'out' AND c.point_of_sale IN ("
        " SELECT t.point_of_sale FROM diagnostics.incident_terminal n JOIN fleet.terminal t ON t.id = n.terminal_id"
        " JOIN diagnostics.incident i ON i.id = n.incident_id"
        " WHERE n.incident_id = %(incident)s AND (n.hit_at IS NOT NULL OR i.trouble IS NULL))"
    )
    parameters = {"incident": incident, "since": since, "until": until, "limit": limit}
    row = conn.execute(f"SELECT count(*)::integer FROM hotline.call c {condition}", parameters).fetchone()
    return (row[0] if row else 0), _select(conn, f"{condition} ORDER BY c.rang_at DESC, c.id DESC LIMIT %(limit)s", parameters)


def calls_before(conn: Connection, *, call: StoredCall, within: timedelta) -> int:
    """How many calls came in from the call's shop so shortly before it."""
    row = conn.execute(
        "SELECT count(*)::integer FROM hotline.call c JOIN hotline.call_point_of_sale p ON p.call = c.id"
        " WHERE p.point_of_sale = %(shop)s AND coalesce(c.point_of_sale, %(shop)s) = %(shop)s"
        " AND c.rang_at BETWEEN %(since)s AND %(until)s AND c.id <> %(call)s AND c.direction IS DISTINCT FROM 'out'",
        {"shop": call.point_of_sale, "since": call.rang_at - within, "until": call.rang_at, "call": call.id},
    ).fetchone()
    return int(row[0]) if row else 0


def count_calls(conn: Connection, *, since: datetime, until: datetime) -> int:
    """How many calls came in from a moment on, until before another."""
    row = conn.execute(
        "SELECT count(*)::integer FROM hotline.call"
        " WHERE rang_at >= %(since)s AND rang_at < %(until)s AND direction IS DISTINCT FROM 'out'",
        {"since": since, "until": until},
    ).fetchone()
    return int(row[0]) if row else 0


def choose_point_of_sale(conn: Connection, *, call: int, code: str) -> StoredCall:
    """Say which shop a call is from; `CallError` where there is no such call.

    What was signalled of another shop's terminals is taken back.
    """
    stored = find_call(conn, call=call)
    if stored is None:
        raise CallError(f"no call {call}")
    _add_candidates(conn, call=call, codes=[code])
    conn.execute(
        "UPDATE hotline.call SET point_of_sale = %(code)s, version = version + 1 WHERE id = %(call)s", {"call": call, "code": code}
    )
    _take_back_signal(conn, call=call, at=stored.rang_at)
    if stored.direction != "out":
        _signal(conn, call=call, code=code, at=stored.rang_at)
    pass_on(conn, call=call)
    callbacks.belongs_to(conn, call=call, code=code)
    _tell(conn, call=call)
    after = find_call(conn, call=call)
    assert after is not None
    return after


def end_wrap_up(conn: Connection, *, call: int, agent: int, now: datetime) -> None:
    """Say that an agent has finished the work after a call; said once, it stays."""
    if finish_wrap_up(conn, call=call, agent=agent, now=now):
        conn.execute("UPDATE hotline.call SET version = version + 1 WHERE id = %(call)s", {"call": call})
        _tell(conn, call=call)


def events_of(conn: Connection, *, call_id: str) -> list[tuple[datetime, str, bool, str]]:
    """What the telephone system sent of a call, in order: when, which event, whether it changed the call, and why."""
    return conn.execute(
        "SELECT received_at, event, applied, reason FROM hotline.call_event WHERE call_id = %(call_id)s ORDER BY id",
        {"call_id": call_id},
    ).fetchall()


def _find(conn: Connection, condition: str, key: object) -> StoredCall | None:
    found = _select(conn, f"WHERE {condition}", {"key": key})
    return found[0] if found else None


def _select(conn: Connection, rest: str, parameters: Mapping[str, object]) -> list[StoredCall]:
    with conn.cursor(row_factory=class_row(StoredCall)) as cursor:
        return cursor.execute(f"SELECT {_COLUMNS} {_FROM} {rest}", parameters).fetchall()


def _who(event: CallEvent, staff: Sequence[Agent]) -> dict[str, int]:
    """Which of our agents the names in an event stand for."""
    meant = {name: matching.agents_meant([name], staff) for name in (*event.users, event.agent)}
    return {name: found[0] for name, found in meant.items() if found}


def _told(conn: Connection, stored: StoredCall) -> Call:
    """What was told of the call."""
    return Call(
        call_id=stored.call_id,
        state=stored.state,
        rang_at=stored.rang_at,
        direction=stored.direction,
        from_number=stored.from_number,
        to_number=stored.to_number,
        queue=stored.queue,
        users=tuple(stored.users),
        offers=stored.offers,
        answered_at=stored.answered_at,
        ended_at=stored.ended_at,
        cause=stored.cause,
        legs=told_legs(conn, call=stored.id),
    )


def _save(conn: Connection, *, before: StoredCall | None, step: Step, staff: Sequence[Agent]) -> int:
    """Store the call as it is after the step, with whom and which shop it means, tell the screens, and return its id."""
    told = step.call
    assert told is not None
    called = matching.agents_meant(told.users, staff)
    # Calls of a release before legs have none.
    answered_as = told.answered_as or (before.answered_as if before else "")
    answered = matching.agents_meant([answered_as], staff)
    if told.answered_at is not None and not answered_as and len(called) == 1:
        # It rang for one agent of ours only, and somebody answered without a name.
        answered = called
    row = conn.execute(
        _UPSERT,
        {
            "call_id": told.call_id,
            "direction": told.direction,
            "state": told.state,
            "from_number": told.from_number,
            "to_number": told.to_number,
            "queue": told.queue,
            "rang_at": told.rang_at,
            "answered_at": told.answered_at,
            "ended_at": told.ended_at,
            "cause": told.cause,
            "users": list(told.users),
            "answered_as": answered_as,
            "called": called,
            "answered_by": answered[0] if answered else None,
            "offers": told.offers,
        },
    ).fetchone()
    assert row is not None
    number = told.to_number if told.direction == "out" else told.from_number
    candidates = before.candidates if before else []
    if before is not None and candidates and before.direction is None and told.direction == "out":
        # It was taken for a call that comes in: what was found belongs to our own number.
        candidates = _forget_shops(conn, before)
    if number and (before is None or before.number != number) and not candidates:
        _match_shops(conn, call=row[0], told=told, number=number)
    _tell(conn, call=row[0])
    return int(row[0])


def _match_shops(conn: Connection, *, call: int, told: Call, number: str) -> None:
    """Remember the shops this number belongs to; where it is one, the call is its, and its terminals carry the signal."""
    codes = [shop.code for shop in registry.find_points_of_sale(conn, phone=number)]
    _add_candidates(conn, call=call, codes=codes)
    if len(codes) == 1:
        conn.execute("UPDATE hotline.call SET point_of_sale = %(code)s WHERE id = %(call)s", {"call": call, "code": codes[0]})
        if told.direction != "out":
            _signal(conn, call=call, code=codes[0], at=told.rang_at)


def _forget_shops(conn: Connection, call: StoredCall) -> list[str]:
    """Forget the shops that a call's number brought; returns those that people said, which stay."""
    wrong = [shop.code for shop in registry.find_points_of_sale(conn, phone=call.number)]
    known = {"call": call.id, "wrong": wrong}
    conn.execute("DELETE FROM hotline.call_point_of_sale WHERE call = %(call)s AND point_of_sale = ANY(%(wrong)s)", known)
    conn.execute("UPDATE hotline.call SET point_of_sale = NULL WHERE id = %(call)s AND point_of_sale = ANY(%(wrong)s)", known)
    _take_back_signal(conn, call=call.id, at=call.rang_at)
    return [code for code in call.candidates if code not in wrong]


def _add_candidates(conn: Connection, *, call: int, codes: Sequence[str]) -> None:
    conn.execute(
        "INSERT INTO hotline.call_point_of_sale (call, point_of_sale)"
        " SELECT %(call)s, unnest(%(codes)s::text[]) ON CONFLICT DO NOTHING",
        {"call": call, "codes": list(codes)},
    )


def _signal(conn: Connection, *, call: int, code: str, at: datetime) -> None:
    """Let each terminal of the shop tell that its shop rang: diagnostics and rollout gates read calls beside telemetry."""
    terminals = [terminal.id for terminal in registry.terminals_of(conn, points_of_sale=[code])]
    conn.execute(
        "INSERT INTO fleet.signal (at, terminal_id, kind, ref)"
        " SELECT %(at)s, unnest(%(terminals)s::text[]), 'call', %(ref)s ON CONFLICT DO NOTHING",
        {"at": at, "ref": str(call), "terminals": terminals},
    )


def _take_back_signal(conn: Connection, *, call: int, at: datetime) -> None:
    conn.execute("DELETE FROM fleet.signal WHERE kind = 'call' AND ref = %(ref)s AND at = %(at)s", {"ref": str(call), "at": at})


def _tell(conn: Connection, *, call: int) -> None:
    conn.execute("SELECT pg_notify(%(channel)s, %(call)s)", {"channel": CHANNEL, "call": str(call)})
