"""The console's releases: which firmware there is, what each fits and where it runs; adding one with its file, withdrawing one."""

from contextlib import closing
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from firmware_rollout.artifacts import open_store
from firmware_rollout.campaigns import list_campaigns
from firmware_rollout.harm import by_release, harms
from firmware_rollout.release_deeds import take_in, withdraw
from firmware_rollout.releases import ReleaseError, list_releases, release_of, terminals_by_version
from firmware_rollout.trust.metadata_store import newest
from firmware_rollout.trust.online import expiring
from fleet.errors import VigieError
from hotline.refusal_words import refused
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader, Uploader
from hotline.web.layout import fragment, language_of, page
from hotline.web.uploads import LARGEST_UPLOAD_BYTES, Upload, spool

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.SEE_ROLLOUT))]
ActingSession = Annotated[Session, Depends(Editor(Right.MANAGE_ROLLOUT))]
UploadingSession = Annotated[Session, Depends(Uploader(Right.MANAGE_ROLLOUT))]
Uploaded = Annotated[Upload, Depends(spool)]
Program = Annotated[Web, Depends(web)]
Reason = Annotated[str, Form(max_length=500)]


@router.get("/console/releases")
def releases(request: Request, session: ReadingSession, program: Program) -> Response:
    """Every release, the latest version first."""
    with program.pool.connection() as conn:
        found = list_releases(conn)
        running = terminals_by_version(conn)
        ending = expiring(newest(conn), now=program.now())
        found_harms = by_release(harms(conn))
    return page(
        request,
        "releases.html",
        session=session,
        here="rollout",
        releases=found,
        harms=found_harms,
        running=running,
        ending=ending,
        acts=session.may(Right.MANAGE_ROLLOUT),
    )


# Who sends it is asked before anything of it is read: the guard stands before the spool.
@router.post("/console/releases", max_body_size=LARGEST_UPLOAD_BYTES)
def add_release(request: Request, session: UploadingSession, upload: Uploaded, program: Program) -> Response:
    """Take in a signed release; or say what is wrong with it."""
    try:
        with closing(open_store(program.settings)) as store, program.pool.connection() as conn:
            release = take_in(
                conn, store, file=upload.file, targets=upload.read_targets(), actor=session.agent.login, now=program.now()
            )
    except VigieError as error:
        language = language_of(request, session)
        translate = program.pages.translate(language)
        why = refused(error, translate=translate, language=language)
        said = fragment(request, "upload_refused.html", session=session, error=why)
        said.status_code = 422
        return said
    return Response(status_code=204, headers={"HX-Redirect": f"/console/releases/{release.version if release else ''}"})


@router.get("/console/releases/{version}")
def release_page(request: Request, version: str, session: ReadingSession, program: Program) -> Response:
    """One release."""
    return _page(request, session, program, version)


@router.post("/console/releases/{version}/withdraw")
def withdraw_release(request: Request, version: str, session: ActingSession, program: Program, why: Reason = "") -> Response:
    """Offer and serve it no more; campaigns that bring it halt."""
    try:
        with program.pool.connection() as conn:
            release_of(conn, version)
            withdraw(conn, version, why=why, actor=session.agent.login, now=program.now())
    except ReleaseError as error:
        language = language_of(request, session)
        why_not = refused(error, translate=program.pages.translate(language), language=language)
        return _page(request, session, program, version, status=422, error=why_not)
    return RedirectResponse(f"/console/releases/{version}", status_code=303)


def _page(
    request: Request, session: Session, program: Web, version: str, *, status: int = 200, error: str | None = None
) -> Response:
    with program.pool.connection() as conn:
        try:
            release = release_of(conn, version)
        except ReleaseError:
            raise HTTPException(404) from None
        running = terminals_by_version(conn).get(version, 0)
        campaigns = [one for one in list_campaigns(conn) if one.release == version]
        found_harms = harms(conn, release=version)
    return page(
        request,
        "release.html",
        session=session,
        here="rollout",
        status=status,
        release=release,
        running=running,
        campaigns=campaigns,
        harms=found_harms,
        acts=session.may(Right.MANAGE_ROLLOUT),
        error=error,
    )
