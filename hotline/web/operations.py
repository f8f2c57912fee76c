"""For those who run Vigie: whether it lives, and its figures."""

from ipaddress import ip_address
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard
from hotline.web.problems import problem_response

router = APIRouter(include_in_schema=False)

# A connection that was cut is back sooner.
DEAF_FOR_S = 15.0
_GUARD = ApiGuard(Right.READ)


@router.get("/healthz")
def healthz(program: Annotated[Web, Depends(web)]) -> Response:
    """Whether the program answers and reaches its database; without it, a 503 problem comes from the error handler."""
    with program.pool.connection(timeout=2.0) as conn:
        conn.execute("SELECT 1")
    if program.hub.deaf_s > DEAF_FOR_S:
        return problem_response(503, "changes of calls are not heard of: no call comes up by itself", headers={"Retry-After": "5"})
    return JSONResponse({"status": "ok"})


@router.get("/metrics")
def metrics(request: Request, program: Annotated[Web, Depends(web)]) -> Response:
    """Prometheus metrics: to this machine without further ado, to others with a token."""
    if not _from_this_machine(request):
        _GUARD(request)
    return Response(generate_latest(program.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _from_this_machine(request: Request) -> bool:
    """Whether no proxy stands between and the other end is this machine."""
    if request.client is None or "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
