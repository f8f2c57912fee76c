"""Who is asking, and may they: the one dependency that every route of the console and of the REST API carries.

People come with a session's cookie; what they change must carry the session's CSRF token besides. Programs come with a
bearer token. A route without a guard is public, and a test lists those.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Form, Request

from hotline.accounts import Agent, find_token
from hotline.audit import Actor
from hotline.floors import Floor
from hotline.reach import Kind, out_of_reach
from hotline.roles import Right, Role, may
from hotline.sessions import Session, find_session
from hotline.web.context import web
from hotline.web.problems import ProblemError
from hotline.web.witness import tell_actor

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
# What the overflow floor may change only where it is its own, by its name in a path.
_WHOSE: Final[tuple[Kind, ...]] = ("call", "call_id", "callback", "handover", "attachment")
_LONGEST_ID = 18


class SignInNeededError(Exception):
    """Nobody is signed in: the page sends them to the sign-in form, and back afterwards."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target


class ForbiddenError(Exception):
    """Signed in, but without the right, or without proof that the request is meant; shown as a page."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks by REST: a person's session or a program's token."""

    role: Role
    floor: Floor
    name: str
    agent: Agent | None

    def may(self, right: Right) -> bool:
        """Whether they have the right."""
        return may(self.role, right, self.floor)


def cookie_name(*, secure: bool) -> str:
    """The session cookie's name; under TLS the `__Host-` prefix lets no other host or path set it."""
    return "__Host-vigie" if secure else "vigie"


def session_of(request: Request, *, slide: bool = True) -> Session | None:
    """The session this request's cookie belongs to."""
    program = web(request)
    token = request.cookies.get(cookie_name(secure=program.settings.secure))
    if not token:
        return None
    with program.pool.connection() as conn:
        return find_session(
            conn,
            token=token,
            lifetime=program.session_lifetime,
            longest=program.session_longest,
            now=program.now(),
            slide=slide,
        )


class Reader:
    """The guard of a console page: somebody signed in whose role has the right.

    `slide` False is for what a page asks by itself: it does not count as use of the session.
    """

    def __init__(self, right: Right, *, slide: bool = True) -> None:
        self.right = right
        self._slide = slide

    def __call__(self, request: Request) -> Session:
        """The session, or the way to sign in."""
        session = session_of(request, slide=self._slide)
        if session is None:
            raise SignInNeededError(_back_to(request))
        tell_actor(request, Actor(session.agent.login, session.agent.id, session.floor), by_itself=not self._slide)
        if not session.may(self.right):
            raise ForbiddenError
        return session


class Editor:
    """The guard of a console route that changes something: the request must also prove that our own page sent it."""

    def __init__(self, right: Right, *, slide: bool = True) -> None:
        self.right = right
        self._reader = Reader(right, slide=slide)

    def __call__(self, request: Request, csrf: Annotated[str, Form()] = "") -> Session:
        """The session; `csrf` comes in a form's hidden field, or in the header."""
        session = self._reader(request)
        if not _meant(request, session, csrf) or _is_the_others(request, session.floor):
            raise ForbiddenError
        return session


class Uploader(Reader):
    """The guard of a console route that takes a large file: the proof comes in the header only.

    A field of the form would have the whole body read before anybody asks who sends it.
    """

    def __call__(self, request: Request) -> Session:
        """The session."""
        session = super().__call__(request)
        if not _meant(request, session, ""):
            raise ForbiddenError
        return session


class ApiGuard:
    """The guard of a REST route: a bearer token made for the API, or somebody signed in, whose role has the right."""

    def __init__(self, right: Right) -> None:
        self.right = right

    def __call__(self, request: Request) -> Caller:
        """Who asks, or a problem."""
        found = _by_token(request) or _by_session(request)
        if found is None:
            raise ProblemError(401, "a bearer token or a session is needed", headers={"WWW-Authenticate": "Bearer"})
        name = found.name if found.agent else f"[{found.name}]"
        tell_actor(request, Actor(name, found.agent.id if found.agent else None, found.floor))
        if not found.may(self.right):
            where = " on the overflow floor" if found.floor == Floor.OVERFLOW else ""
            raise ProblemError(403, f"the role {found.role} may not do this{where}")
        if request.method not in SAFE_METHODS and _is_the_others(request, found.floor):
            raise ProblemError(403, "this is the other floor's")
        return found


def _by_token(request: Request) -> Caller | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    with web(request).pool.connection() as conn:
        found = find_token(conn, token=token.strip(), purpose="api")
    return Caller(found.role, found.floor, found.name, None) if found else None


def _by_session(request: Request) -> Caller | None:
    session = session_of(request)
    if session is None:
        return None
    if request.method not in SAFE_METHODS and not _meant(request, session, ""):
        raise ProblemError(403, f"the header {CSRF_HEADER} must carry the session's token", field=CSRF_HEADER)
    return Caller(session.agent.role, session.floor, session.agent.login, session.agent)


def _meant(request: Request, session: Session, csrf: str) -> bool:
    """Whether the request comes from our own page: it knows the session's CSRF token."""
    sent = request.headers.get(CSRF_HEADER) or csrf
    return hmac.compare_digest(sent.encode(), session.csrf.encode())


def _is_the_others(request: Request, floor: Floor) -> bool:
    """Whether the path names something of the other floor's, which this one may not change."""
    if floor is Floor.OWN:
        return False
    named: list[tuple[Kind, int | str]] = []
    for kind in _WHOSE:
        text = request.path_params.get(kind, "")
        if kind == "call_id" and text:
            named.append((kind, text))
        elif text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID:
            named.append((kind, int(text)))
        # What is no id of ours, the route refuses.
    with web(request).pool.connection() as conn:
        return any(out_of_reach(conn, kind, [key], floor=floor) for kind, key in named)


def _back_to(request: Request) -> str:
    """Where to go after signing in: the page asked for, if it was a page."""
    if request.method != "GET" or request.headers.get("HX-Request") or not request.url.path.startswith("/console"):
        return "/sign-in"
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/sign-in?next={quote(path, safe='')}"
