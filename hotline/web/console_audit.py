"""The page of the audit: who saw and changed what, for those who answer for it."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hotline.accounts import agents
from hotline.audit import ACTIONS, entries
from hotline.figures_words import FLOORS
from hotline.opening import day_bounds
from hotline.privacy_words import ACTIONS as ACTION_WORDS
from hotline.privacy_words import SUBJECTS
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.figures_query import read_day
from hotline.web.guards import Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

SHOWN: Final = 100
Short = Annotated[str, Query(max_length=100)]


@router.get("/console/audit")
def audit(
    *,
    request: Request,
    session: Annotated[Session, Depends(Reader(Right.READ_AUDIT))],
    program: Annotated[Web, Depends(web)],
    actor: Short = "",
    action: Short = "",
    what: Short = "",
    day: Short = "",
    before: int | None = None,
) -> Response:
    """Rows that meet every filter given, newest first."""
    chosen = read_day(day)
    since, until = day_bounds(chosen) if chosen else (None, None)
    with program.pool.connection() as conn:
        found = entries(
            conn,
            actor=actor.strip(),
            action=action if action in ACTIONS else "",
            containing=what.strip(),
            since=since,
            until=until,
            before=before,
            limit=SHOWN + 1,
        )
        staff = agents(conn)
    return page(
        request,
        "audit.html",
        session=session,
        here="administration",
        rows=found[:SHOWN],
        older=found[SHOWN - 1].id if len(found) > SHOWN else None,
        staff=staff,
        action_words=ACTION_WORDS,
        subject_words=SUBJECTS,
        floors=FLOORS,
        asked={"actor": actor, "action": action, "what": what, "day": chosen.isoformat() if chosen else ""},
    )
