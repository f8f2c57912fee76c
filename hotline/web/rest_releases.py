"""REST: firmware releases; adding one with its file, withdrawing one."""

from contextlib import closing
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from firmware_rollout.artifacts import open_store
from firmware_rollout.release_deeds import take_in, withdraw
from firmware_rollout.releases import Release, ReleaseError, list_releases, parse_version, release_of
from fleet.database import Connection
from fleet.errors import VigieError
from hotline.refusal_words import faulty_field
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_campaigns import actor_of
from hotline.web.rest_models import Page, from_cursor, page_of
from hotline.web.rest_rollout_models import ReleaseOut, Why, release_out
from hotline.web.uploads import LARGEST_UPLOAD_BYTES, Upload, spool

router = APIRouter(prefix="/api/v1", tags=["releases"])

Program = Annotated[Web, Depends(web)]
Reading = Depends(ApiGuard(Right.SEE_ROLLOUT))
Acting = Annotated[Caller, Depends(ApiGuard(Right.MANAGE_ROLLOUT))]
Uploaded = Annotated[Upload, Depends(spool)]
_UPLOAD_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["targets"],
                    "properties": {
                        "targets": {"type": "string", "format": "binary", "description": "The maker's signed targets.json."},
                        "file": {"type": "string", "format": "binary", "description": "The firmware file."},
                    },
                }
            }
        },
    }
}


@router.get("/releases", summary="Releases, latest version first", dependencies=[Reading])
def get_releases(
    *, program: Program, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Page[ReleaseOut]:
    """Every release, page by page."""
    last = parse_version(from_cursor(cursor)) if cursor else None
    if cursor and last is None:
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    with program.pool.connection() as conn:
        found = [one for one in list_releases(conn) if last is None or (parse_version(one.version) or (0, 0, 0)) < last]
    return page_of([release_out(one) for one in found[: limit + 1]], limit=limit, last_key="version")


@router.get("/releases/{version}", summary="One release", dependencies=[Reading])
def get_release(version: str, program: Program) -> ReleaseOut:
    """One release, withdrawn or not."""
    with program.pool.connection() as conn:
        return release_out(_find(conn, version))


# Who sends it is asked before anything of it is read: the guard stands before the spool.
@router.post(
    "/releases",
    status_code=201,
    summary="Add a signed release",
    max_body_size=LARGEST_UPLOAD_BYTES,
    openapi_extra=_UPLOAD_FORM,
)
def post_release(caller: Acting, upload: Uploaded, program: Program) -> ReleaseOut | None:
    """Take in what the maker signed, and its file; null where the metadata brings no new release."""
    try:
        with closing(open_store(program.settings)) as store, program.pool.connection() as conn:
            made = take_in(conn, store, file=upload.file, targets=upload.read_targets(), actor=actor_of(caller), now=program.now())
    except VigieError as error:
        field = faulty_field(error)
        raise ProblemError(409 if field == "settings" else 422, str(error), field=field) from None
    return release_out(made) if made else None


@router.post("/releases/{version}/withdraw", summary="Withdraw a release")
def post_withdraw(version: str, why: Why, program: Program, caller: Acting) -> ReleaseOut:
    """Offer and serve it no more; campaigns that bring it halt. 409 where it was withdrawn before."""
    with program.pool.connection() as conn:
        _find(conn, version)
        try:
            return release_out(withdraw(conn, version, why=why.why, actor=actor_of(caller), now=program.now()))
        except ReleaseError as error:
            raise ProblemError(422 if error.field == "why" else 409, str(error), field=error.field) from None


def _find(conn: Connection, version: str) -> Release:
    try:
        return release_of(conn, version)
    except ReleaseError as error:
        raise ProblemError(404, str(error), field="version") from None
