"""What everybody may do to their own account: change the password, and sign out wherever they are signed in."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from hotline.accounts import SHORTEST_PASSWORD, AccountError, set_password
from hotline.audit import CHANGED, SIGN_IN_REFUSED, Actor, Deed, record
from hotline.figures_words import FLOORS
from hotline.privacy_words import refusal
from hotline.roles import Right
from hotline.sessions import Refusal, Session, guess, sessions_beside
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

Program = Annotated[Web, Depends(web)]
Secret = Annotated[str, Form(max_length=1000)]

_STATUSES: Final = {"too_many": 429}


@router.get("/console/account")
def own_account(request: Request, session: Annotated[Session, Depends(Reader(Right.READ))]) -> Response:
    """Who one is here, and since when one is signed in, and where."""
    return _page(request, session)


@router.post("/console/account/password")
def change_own_password(
    request: Request, session: Annotated[Session, Depends(Editor(Right.READ))], program: Program, current: Secret, new: Secret
) -> Response:
    """Change one's own password, knowing the old one; every session ends, this one too.

    An open session is no licence to guess: wrong passwords count as they do at sign-in.
    """
    agent, now = session.agent, program.now()
    actor = Actor(agent.login, agent.id, session.floor)
    address = request.client.host if request.client else ""
    error = ""
    with program.pool.connection() as conn:
        known = guess(conn, login=agent.login, password=current, address=address, now=now)
        if isinstance(known, Refusal):
            error = "current" if known is Refusal.WRONG else "too_many"
            record(conn, [Deed(actor, SIGN_IN_REFUSED, "own password", {"reason": known}, address)], now=now)
        else:
            try:
                set_password(conn, login=agent.login, password=new)
                record(conn, [Deed(actor, CHANGED, "own password changed", {}, address)], now=now)
            except AccountError as wrong:
                error = wrong.field
    return _page(request, session, error=error) if error else RedirectResponse("/sign-in", status_code=303)


def _page(request: Request, session: Session, *, error: str = "") -> Response:
    program = web(request)
    with program.pool.connection() as conn:
        beside = sessions_beside(conn, session, now=program.now())
    return page(
        request,
        "account.html",
        session=session,
        here="account",
        status=_STATUSES.get(error, 422) if error else 200,
        sessions=beside,
        shortest=SHORTEST_PASSWORD,
        floors=FLOORS,
        error=refusal(error, translate=program.pages.translate(session.agent.language)) if error else None,
    )
