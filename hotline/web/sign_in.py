"""Signing in and out, and the language of the console."""

import logging
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from hotline.accounts import set_language
from hotline.audit import SIGN_IN_REFUSED, SIGNED_IN, Actor, Deed, record
from hotline.floors import Floor
from hotline.roles import Right
from hotline.sessions import Refusal, Session, known_login, sign_in, sign_out, sign_out_everywhere
from hotline.translations import LANGUAGES
from hotline.web.context import Web, web
from hotline.web.guards import Editor, ForbiddenError, cookie_name, session_of
from hotline.web.layout import page

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)
ROUTE = "POST /sign-in"


@router.get("/")
def root() -> Response:
    """The console is where everybody goes."""
    return RedirectResponse("/console", status_code=303)


@router.get("/sign-in")
def sign_in_form(request: Request, next: str = "/console") -> Response:  # noqa: A002 -- the address's parameter has this name
    """The form; who is signed in already goes on."""
    if session_of(request) is not None:
        return RedirectResponse(own_path(next), status_code=303)
    return page(request, "sign_in.html", session=None, refusal=None, next=own_path(next), login="")


@router.post("/sign-in")
def sign_in_here(
    request: Request,
    program: Annotated[Web, Depends(web)],
    login: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form()] = "/console",  # noqa: A002 -- the form's field has this name
) -> Response:
    """Open a session, or say what is wrong."""
    if not _from_our_page(request):
        raise ForbiddenError
    address = request.client.host if request.client else ""
    with program.pool.connection() as conn:
        result = sign_in(
            conn,
            login=login,
            password=password,
            address=address,
            lifetime=program.session_lifetime,
            longest=program.session_longest,
            now=program.now(),
        )
        if isinstance(result, Refusal):
            # What is no login of ours may be a password typed into the wrong field.
            known = known_login(conn, login=login)
            deed = Deed(Actor(known or "?", None, Floor.OWN), SIGN_IN_REFUSED, ROUTE, {"reason": result}, address, 401)
        else:
            agent = result[1]
            deed = Deed(Actor(agent.login, agent.id, agent.floor), SIGNED_IN, ROUTE, {}, address, 303)
        record(conn, [deed], now=program.now())
    if isinstance(result, Refusal):
        log.warning("a sign-in was refused: %s", result, extra={"action": "sign_in", "reason": result})
        status = 429 if result is Refusal.TOO_MANY else 401
        return page(request, "sign_in.html", session=None, status=status, refusal=result, next=own_path(next), login=login)
    token, _ = result
    answer = RedirectResponse(own_path(next), status_code=303)
    secure = program.settings.secure
    answer.set_cookie(cookie_name(secure=secure), token, httponly=True, secure=secure, samesite="lax", path="/")
    return answer


@router.post("/sign-out")
def sign_out_here(
    request: Request, _session: Annotated[Session, Depends(Editor(Right.READ))], program: Annotated[Web, Depends(web)]
) -> Response:
    """End the session, here and in every other tab."""
    name = cookie_name(secure=program.settings.secure)
    with program.pool.connection() as conn:
        sign_out(conn, token=request.cookies[name])
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(name, path="/", secure=program.settings.secure, httponly=True, samesite="lax")
    return answer


@router.post("/sign-out-everywhere")
def sign_out_everywhere_here(
    session: Annotated[Session, Depends(Editor(Right.READ))], program: Annotated[Web, Depends(web)]
) -> Response:
    """End every session of this agent, on whatever machine one was left open."""
    with program.pool.connection() as conn:
        sign_out_everywhere(conn, agent_id=session.agent.id)
    answer = RedirectResponse("/sign-in", status_code=303)
    secure = program.settings.secure
    answer.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
    return answer


@router.post("/language")
def choose_language(
    session: Annotated[Session, Depends(Editor(Right.READ))],
    program: Annotated[Web, Depends(web)],
    language: Annotated[str, Form()],
    back: Annotated[str, Form()] = "/console",
) -> Response:
    """Change the language and show the same page again."""
    if language in LANGUAGES:
        with program.pool.connection() as conn:
            set_language(conn, agent_id=session.agent.id, language=language)
    return RedirectResponse(own_path(back), status_code=303)


def own_path(target: str) -> str:
    """A path of ours to go to; anything else becomes the console."""
    parts = urlsplit(target)
    ours = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if ours and "\\" not in target else "/console"


def _from_our_page(request: Request) -> bool:
    """Whether a browser sent the form from our own page; there is no session yet that a token could belong to."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host")
