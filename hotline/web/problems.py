"""Errors of the REST API as RFC 9457 problem documents that name the field at fault."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """A request that cannot be served; `field` names the parameter or member at fault, where there is one."""

    def __init__(self, status: int, detail: str, *, field: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = headers


def problem_response(
    status: int, detail: str, *, errors: Sequence[Mapping[str, str]] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem document; `errors` lists each field with what is wrong with it."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if errors:
        body["errors"] = [dict(error) for error in errors]
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def on_problem(_request: Request, problem: Exception) -> Response:
    """Answer a `ProblemError`."""
    assert isinstance(problem, ProblemError)
    errors = [{"field": problem.field, "detail": problem.detail}] if problem.field else []
    return problem_response(problem.status, problem.detail, errors=errors, headers=problem.headers)


def on_validation_error(_request: Request, error: Exception) -> Response:
    """Answer parameters and bodies that do not fit, every field named."""
    assert isinstance(error, RequestValidationError)
    errors = [{"field": _field(e["loc"]), "detail": str(e["msg"])} for e in error.errors()]
    detail = "; ".join(f"{e['field']}: {e['detail']}" for e in errors)
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def on_http_exception(_request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses (no such route, wrong method)."""
    assert isinstance(error, HTTPException)
    return problem_response(error.status_code, str(error.detail), headers=error.headers)


def _field(location: Sequence[Any]) -> str:
    """The field's name without the part of the request it came in."""
    inside = [str(part) for part in location if part not in {"body", "query", "path", "header", "cookie"}]
    return ".".join(inside) or "body"
