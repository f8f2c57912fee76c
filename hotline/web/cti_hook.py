"""The call hook: where the telephone system tells of calls, in Zammad's generic CTI form."""

import json
import logging
import math
import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qs

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hotline.accounts import find_token
from hotline.calls import record_event
from hotline.cti import CtiError, parse_event
from hotline.web.context import Web, web
from hotline.web.problems import ProblemError

log = logging.getLogger(__name__)
router = APIRouter()
# An exchange that comes back after an outage tells all at once what it kept: so many seconds' worth pass.
BURST_S = 10


async def spared(request: Request) -> None:
    """Refuse an address that sends more than any exchange would; async, so that one thread counts."""
    address = request.client.host if request.client else ""
    wait_s = web(request).cti_limit.wait_s(address, now_s=time.monotonic())
    if wait_s > 0:
        raise ProblemError(429, "too many events from this address", headers={"Retry-After": str(math.ceil(wait_s))})


async def posted_fields(request: Request) -> Mapping[str, object]:
    """The posted fields, from JSON or a form; some bridges send either without saying which."""
    kind = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await request.form()
        return {name: [part for part in form.getlist(name) if isinstance(part, str)] for name in form}
    body = await request.body()
    try:
        text = body.decode()
        if kind.endswith("json") or (kind != "application/x-www-form-urlencoded" and text.lstrip().startswith("{")):
            fields: Any = json.loads(text)
        else:
            fields = parse_qs(text, keep_blank_values=True, max_num_fields=200)
    except (ValueError, RecursionError):
        raise ProblemError(400, "the body is neither JSON nor a form in UTF-8") from None
    if not isinstance(fields, dict):
        raise ProblemError(422, "the body must be an object with the event's fields", field="event")
    return fields


@router.post(
    "/api/v1/cti/{token}",
    tags=["calls"],
    summary="One event of a call, from the telephone system",
    response_description="Always an empty object",
    dependencies=[Depends(spared)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {
                    "schema": {
                        "type": "object",
                        "required": ["event", "callId"],
                        "properties": {
                            "event": {"type": "string", "examples": ["newCall", "answer", "hangup"]},
                            "callId": {"type": "string", "maxLength": 250, "description": "Also call_id or callid."},
                            "direction": {"type": "string", "enum": ["in", "out"]},
                            "from": {"type": "string"},
                            "to": {"type": "string"},
                            "user": {
                                "type": "array",
                                "items": {"type": "string"},
                                "description": "Also user[]; one text, or several.",
                            },
                            "answeringNumber": {"type": "string"},
                            "queue": {"type": "string"},
                            "cause": {"type": "string"},
                        },
                    }
                }
                for kind in ("application/json", "application/x-www-form-urlencoded")
            },
        }
    },
)
async def hook(
    token: str, fields: Annotated[Mapping[str, Any], Depends(posted_fields)], program: Annotated[Web, Depends(web)]
) -> JSONResponse:
    """Store the event and tell the screens; the answer is empty, and never an inner error for what was posted."""
    # In threads of its own: a crowd of page views does not delay a ring.
    await to_thread.run_sync(_store, program, token, fields, limiter=program.hook.threads)
    return JSONResponse({})


def _store(program: Web, token: str, fields: Mapping[str, Any]) -> None:
    with program.hook.pool.connection() as conn:
        if find_token(conn, token=token, purpose="cti") is None:
            raise HTTPException(404, "no such hook")
        try:
            event = parse_event(fields)
        except CtiError as error:
            raise ProblemError(422, error.detail, field=error.field) from None
        reason = record_event(conn, event=event, now=program.now(), usual_end=program.settings.usual_end)
    log.info("%s: %s", event.kind, reason, extra={"action": "cti", "call_id": event.call_id, "reason": reason})
    program.metrics.cti_events.labels(event.kind, reason).inc()
