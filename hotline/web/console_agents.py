"""The administrators' pages about accounts: who may sign in, as what, and on which floor."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from fleet.database import Connection
from hotline.accounts import AccountError, Agent, add_agent, agents, change_agent, find_agent, generate_password
from hotline.accounts import set_active as open_or_close
from hotline.accounts import set_password as store_password
from hotline.audit import CHANGED, Actor, Deed, record
from hotline.figures_words import FLOORS
from hotline.floors import Floor
from hotline.privacy_words import refusal
from hotline.roles import Right, Role
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

Managing = Annotated[Session, Depends(Reader(Right.MANAGE_AGENTS))]
Changing = Annotated[Session, Depends(Editor(Right.MANAGE_AGENTS))]
Program = Annotated[Web, Depends(web)]
Text = Annotated[str, Form(max_length=200)]


@router.get("/console/agents")
def accounts(request: Request, session: Managing) -> Response:
    """Every account, and a form for a new one."""
    return _list(request, session)


@router.post("/console/agents")
def make_account(
    *,
    request: Request,
    session: Changing,
    program: Program,
    login: Text,
    name: Text,
    role: Annotated[Role, Form()],
    floor: Annotated[Floor, Form()],
    extension: Text = "",
    language: Annotated[str, Form(pattern="^(fr|en)$")] = "fr",
) -> Response:
    """Make an account and show its password, this once."""
    password = generate_password()
    try:
        with program.pool.connection() as conn:
            made = add_agent(
                conn, login=login, name=name, role=role, password=password, extension=extension, language=language, floor=floor
            )
            record(conn, [_deed(session, "account made", made, {"role": made.role, "floor": made.floor})], now=program.now())
    except AccountError as error:
        filled = {"login": login, "name": name, "role": role, "floor": floor, "extension": extension, "language": language}
        return _list(request, session, error=error.field, filled=filled)
    return _one(request, session, made.id, password=password)


@router.get("/console/agents/{agent}")
def account(request: Request, agent: int, session: Managing) -> Response:
    """One account."""
    return _one(request, session, agent)


@router.post("/console/agents/{agent}")
def change_account(
    *,
    request: Request,
    agent: int,
    session: Changing,
    program: Program,
    name: Text,
    role: Annotated[Role, Form()],
    floor: Annotated[Floor, Form()],
    extension: Text = "",
) -> Response:
    """Change what an account says of its person; nobody changes their own role or floor."""
    if agent == session.agent.id and (role, floor) != (session.agent.role, session.floor):
        return _one(request, session, agent, error="self")
    with program.pool.connection() as conn:
        found = _account(conn, agent)
        try:
            changed = change_agent(conn, agent_id=agent, name=name, extension=extension, role=role, floor=floor)
        except AccountError as error:
            return _one(request, session, agent, error=error.field)
        if changed:
            record(conn, [_deed(session, "account changed", found, changed)], now=program.now())
    return RedirectResponse(f"/console/agents/{agent}", status_code=303)


@router.post("/console/agents/{agent}/password")
def new_password(request: Request, agent: int, session: Changing, program: Program) -> Response:
    """Give an account a new password, show it this once, and end the account's sessions."""
    if agent == session.agent.id:
        return _one(request, session, agent, error="self")
    password = generate_password()
    with program.pool.connection() as conn:
        found = _account(conn, agent)
        store_password(conn, login=found.login, password=password)
        record(conn, [_deed(session, "password renewed", found, {})], now=program.now())
    return _one(request, session, agent, password=password)


@router.post("/console/agents/{agent}/state")
def open_or_close_account(
    request: Request, agent: int, session: Changing, program: Program, active: Annotated[bool, Form()]
) -> Response:
    """Let the person in again, or no more; nobody closes their own account."""
    if agent == session.agent.id:
        return _one(request, session, agent, error="self")
    with program.pool.connection() as conn:
        found = _account(conn, agent)
        open_or_close(conn, login=found.login, active=active)
        record(conn, [_deed(session, "account opened" if active else "account closed", found, {})], now=program.now())
    return RedirectResponse(f"/console/agents/{agent}", status_code=303)


def _account(conn: Connection, agent: int) -> Agent:
    found = find_agent(conn, agent_id=agent)
    if found is None:
        raise HTTPException(404)
    return found


def _deed(session: Session, act: str, whose: Agent, changed: Mapping[str, str]) -> Deed:
    """What the audit says of a change; it is written in the transaction that changes it."""
    actor = Actor(session.agent.login, session.agent.id, session.floor)
    return Deed(actor, CHANGED, act, {"login": whose.login, **changed})


def _choices() -> dict[str, Any]:
    return {"roles": list(Role), "floors": FLOORS}


def _list(request: Request, session: Session, *, error: str = "", filled: Mapping[str, str] | None = None) -> Response:
    program = web(request)
    with program.pool.connection() as conn:
        found = agents(conn)
    return page(
        request,
        "agents.html",
        session=session,
        here="administration",
        status=422 if error else 200,
        agents=found,
        error=refusal(error, translate=program.pages.translate(session.agent.language)) if error else None,
        filled=filled or {},
        **_choices(),
    )


def _one(request: Request, session: Session, agent: int, *, error: str = "", password: str = "") -> Response:
    program = web(request)
    with program.pool.connection() as conn:
        found = _account(conn, agent)
    return page(
        request,
        "agent.html",
        session=session,
        here="administration",
        status=422 if error else 200,
        agent=found,
        own=found.id == session.agent.id,
        error=refusal(error, translate=program.pages.translate(session.agent.language)) if error else None,
        password=password,
        **_choices(),
    )
