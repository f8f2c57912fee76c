"""The console's qualification of a call: a form inside the call, filled by keyboard alone."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from diagnostics.incidents import IncidentError, open_incidents_of
from diagnostics.incidents import incident as find_incident
from diagnostics.typologies import matches, store
from diagnostics.typologies.advice import advice_for
from fleet import registry
from fleet.database import Connection
from hotline.attachments import AttachmentError, attach, attachment_of, undo
from hotline.call_state import State
from hotline.callbacks import callback_of
from hotline.calls import find_call
from hotline.editing import come, leave
from hotline.handovers import handovers_of, waited_in_all
from hotline.opening import ZONE
from hotline.qualification import (
    PROMISED_AFTER,
    Given,
    Outcome,
    QualificationError,
    StaleError,
    Subject,
    qualification_of,
    qualify,
)
from hotline.reach import out_of_reach
from hotline.roles import Right, level_of
from hotline.sessions import Session
from hotline.stored_call import StoredCall
from hotline.web.context import Web, web
from hotline.web.guards import Editor, ForbiddenError, Reader
from hotline.web.layout import fragment
from hotline.work_words import refusal

router = APIRouter(include_in_schema=False)

# A page asks for it by itself.
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
HandlingSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS))]
# A page says by itself that it is still there.
PresentSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS, slide=False))]
Program = Annotated[Web, Depends(web)]
Choice = Annotated[str, Form(max_length=20)]

# Suggested moments fall on whole quarters of an hour.
_QUARTER: Final = timedelta(minutes=15)


@router.get("/console/calls/{call}/qualification")
def qualification(request: Request, call: int, session: PollingSession, program: Program) -> Response:
    """What the call was said to be about, as a form for whoever may say."""
    with program.pool.connection() as conn:
        values = _read(conn, _call(conn, call), session, now=program.now())
    return _fragment(request, session, values)


@router.post("/console/calls/{call}/qualification")
def save_qualification(
    *,
    request: Request,
    call: int,
    session: HandlingSession,
    program: Program,
    seen: Annotated[int, Form()] = 0,
    subject: Choice = "",
    outcome: Choice = "",
    typology: Annotated[int, Form()] = 0,
    callback_at: Choice = "",
    close: Annotated[bool, Form()] = False,
) -> Response:
    """Keep what the agent says; or show the form again with what is wrong, or with what another saved meanwhile."""
    filled = {"subject": subject, "outcome": outcome, "typology": typology, **({"callback_at": callback_at} if callback_at else {})}
    now = program.now()
    error: str | None = None
    stale, status = False, 200
    with program.pool.connection() as conn:
        found = _call(conn, call)
        try:
            with conn.transaction():
                qualify(
                    conn,
                    call=call,
                    given=_given(subject, outcome, typology, callback_at),
                    seen=seen,
                    level=level_of(session.agent.role),
                    author=session.agent.login,
                    agent=session.agent.id,
                    now=now,
                )
        except StaleError:
            stale, status = True, 409
        except QualificationError as wrong:
            error, status = refusal(wrong.field, translate=program.pages.translate(session.agent.language)), 422
        values = _read(conn, found, session, now=now)
    kept = filled if status != 200 else {}
    answer = _fragment(request, session, {**values, **kept}, error=error, stale=stale, saved=status == 200, status=status)
    if status == 200 and close:
        answer.headers["HX-Trigger"] = json.dumps({"vigie:left": {"call": call}})
    return answer


@router.post("/console/calls/{call}/editing")
def hold_form(
    call: int, session: PresentSession, program: Program, gone: Annotated[bool, Form()] = False
) -> dict[str, list[dict[str, object]]]:
    """Say that the agent has the form under their hands, or (`gone`) not any more; the answer names all who have."""
    with program.pool.connection() as conn:
        _call(conn, call)
        note = leave if gone else come
        editors = note(conn, call=call, agent=session.agent.id, now=program.now())
    return {"editors": [{"id": editor.id, "name": editor.name} for editor in editors]}


@router.post("/console/calls/{call}/incident")
def attach_to_incident(
    request: Request, call: int, session: HandlingSession, program: Program, incident: Annotated[int, Form()]
) -> Response:
    """Attach this call to an incident (0: undo that, where it was attached alone)."""
    author, now = session.agent.login, program.now()
    with program.pool.connection() as conn:
        found = _call(conn, call)
        try:
            if incident:
                attach(conn, incident=incident, calls=[call], author=author, agent=session.agent.id, now=now)
            elif (standing := attachment_of(conn, call=call)) and standing.calls == [call]:
                if out_of_reach(conn, "attachment", [standing.id], floor=session.floor):
                    raise ForbiddenError
                undo(conn, attachment_id=standing.id, author=author, now=now)
        except IncidentError:
            raise HTTPException(404) from None
        except AttachmentError:
            # Another was quicker: the fragment shows what stands.
            conn.rollback()
        values = _read(conn, found, session, now=now)
    return _fragment(request, session, values)


def _given(subject: str, outcome: str, typology: int, callback_at: str) -> Given:
    """What the form says; `QualificationError` names the field that says nothing."""
    if subject not in set(Subject):
        raise QualificationError("subject", "is missing")
    if outcome not in set(Outcome):
        raise QualificationError("outcome", "is missing")
    return Given(Subject(subject), Outcome(outcome), typology or None, _moment(callback_at))


def _moment(text: str) -> datetime | None:
    """A local date and time as the browser's field gives it, on the hotline's wall clock."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZONE)
    except ValueError:
        raise QualificationError("callback_at", "is no date and time") from None


def _read(conn: Connection, call: StoredCall, session: Session, *, now: datetime) -> dict[str, Any]:
    """What the fragment shows; the form holds what was saved, else nothing chosen."""
    current = qualification_of(conn, call=call.id)
    callback = callback_of(conn, call=call.id)
    known = store.typologies(conn)
    suggested = _suggested(conn, call)
    due = callback.due_at if callback and not callback.made_by_abandon else _next_quarter(now + PROMISED_AFTER)
    handover = next(iter(handovers_of(conn, call=call.id)[::-1]), None)
    reached = not out_of_reach(conn, "call", [call.id], floor=session.floor)
    return {
        "call": call.id,
        "may_write": session.may(Right.HANDLE_CALLS) and reached,
        **_incidents(conn, call, session),
        "handover": handover,
        "may_withdraw": handover is not None and not out_of_reach(conn, "handover", [handover.id], floor=session.floor),
        "goes_on": call.state is not State.ENDED,
        "waited": waited_in_all(conn, call, now=now),
        "current": current,
        "callback": callback,
        "suggested": [one for one in known if one.id in suggested],
        "known": [one for one in known if one.id not in suggested],
        "names": {one.id: one for one in known},
        "subject": current.subject if current else "",
        "outcome": current.outcome if current else "",
        "typology": current.typology if current else 0,
        "callback_at": due.astimezone(ZONE).replace(tzinfo=None).isoformat(timespec="minutes"),
    }


def _incidents(conn: Connection, call: StoredCall, session: Session) -> dict[str, Any]:
    """The incident that the call is attached to, or those at its shop that it could be."""
    standing = attachment_of(conn, call=call.id)
    if standing is not None:
        may_detach = standing.calls == [call.id] and not out_of_reach(conn, "attachment", [standing.id], floor=session.floor)
        return {"may_detach": may_detach, "incident": find_incident(conn, standing.incident), "incidents": []}
    terminals = registry.terminals_of(conn, points_of_sale=[call.point_of_sale]) if call.point_of_sale else []
    touching = open_incidents_of(conn, [terminal.id for terminal in terminals]).values()
    found = {one.id: one for of_terminal in touching for one in of_terminal if one.parent_id is None and not one.muted}
    return {"may_detach": False, "incident": None, "incidents": sorted(found.values(), key=lambda one: one.began_at)}


def _suggested(conn: Connection, call: StoredCall) -> set[int]:
    """Typologies that the shop's trouble, or the call's note, was found to be of."""
    found = {match.typology_id for match in matches.of_refs(conn, kind="note", refs=[call.id]).values()}
    if call.point_of_sale is not None:
        terminals = [terminal.id for terminal in registry.terminals_of(conn, points_of_sale=[call.point_of_sale])]
        found |= {answer.typology_id for answer in advice_for(conn, terminals=terminals)}
    return {one for one in found if one is not None}


def _next_quarter(moment: datetime) -> datetime:
    past = timedelta(minutes=moment.minute % 15, seconds=moment.second, microseconds=moment.microsecond)
    return moment - past + (_QUARTER if past else timedelta(0))


def _fragment(
    request: Request,
    session: Session,
    values: Mapping[str, Any],
    *,
    error: str | None = None,
    stale: bool = False,
    saved: bool = False,
    status: int = 200,
) -> Response:
    answer = fragment(
        request,
        "call_work.html",
        session=session,
        error=error,
        stale=stale,
        saved=saved,
        **values,
    )
    answer.status_code = status
    return answer


def _call(conn: Connection, call: int) -> StoredCall:
    found = find_call(conn, call=call)
    if found is None:
        raise HTTPException(404)
    return found
