"""Whole pages: what the frame around every page needs besides the page's own values."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
from fastapi import Request
from fastapi.responses import HTMLResponse

from fleet.database import Connection
from fleet.feed import last_received
from hotline import translations
from hotline.manual_calls import open_gap
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import session_of

# Terminals report every 30 s and there are thousands: a minute without one is ours.
TELEMETRY_LATE = timedelta(seconds=60)


def page(
    request: Request, template: str, *, session: Session | None, here: str = "", status: int = 200, **values: Any
) -> HTMLResponse:
    """A page in the reader's language, in its frame."""
    program = web(request)
    now = program.now()
    banners = telemetry_banner(program, now=now) if session else {}
    html = program.pages.render(
        template,
        language=language_of(request, session),
        session=session,
        here=here,
        back=request.url.path + (f"?{request.url.query}" if request.url.query else "") if request.method == "GET" else "/console",
        clock_offset_s=program.settings.clock_offset_s,
        **{"now": now, **banners, **values},
    )
    return HTMLResponse(html, status_code=status)


def fragment(request: Request, template: str, *, session: Session, **values: Any) -> HTMLResponse:
    """A part of a page in the reader's language, without the frame."""
    program = web(request)
    html = program.pages.render(
        template, language=language_of(request, session), session=session, **{"now": program.now(), **values}
    )
    return HTMLResponse(html)


def error_page(request: Request, status: int) -> HTMLResponse:
    """A page that says why there is none; it needs no database."""
    try:
        session = session_of(request, slide=False)
    except psycopg.OperationalError:
        session = None
    program = web(request)
    html = program.pages.render(
        "error.html",
        language=language_of(request, session),
        session=session,
        here="",
        back="/console",
        clock_offset_s=0,
        telemetry_since=None,
        telemetry_never=False,
        telephony_gap=None,
        now=program.now(),
        status=status,
    )
    return HTMLResponse(html, status_code=status)


def language_of(request: Request, session: Session | None) -> str:
    """The agent's language; before signing in, the one asked for or the browser's."""
    if session is not None:
        return session.agent.language
    asked = request.query_params.get("language", "")
    return asked if asked in translations.LANGUAGES else translations.preferred(request.headers.get("Accept-Language", ""))


def telemetry_banner(program: Web, *, now: datetime) -> dict[str, Any]:
    """Whether our own pipeline is late, as the banners' template takes it."""
    with program.pool.connection() as conn:
        return telemetry_state(conn, now=now)


def telemetry_state(conn: Connection, *, now: datetime) -> dict[str, Any]:
    """Since when no telemetry came, if that is too long, and whether telephony is down."""
    received = last_received(conn)
    late = received is not None and now - received > TELEMETRY_LATE
    return {
        "telemetry_since": received if late else None,
        "telemetry_never": received is None,
        "telephony_gap": open_gap(conn),
    }
