"""The console's campaigns: which there are, how far each is, what the gate says of it, and what people do to it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from firmware_rollout.actors import person
from firmware_rollout.campaigns import CampaignError, create_campaign, list_campaigns
from firmware_rollout.deeds import Deed, do
from firmware_rollout.harm import harms
from firmware_rollout.releases import list_releases
from firmware_rollout.states import CampaignState
from fleet.errors import FieldError
from fleet.registry import all_terminals
from hotline.accounts import agents
from hotline.refusal_words import finding, refused
from hotline.roles import Right
from hotline.rollout_form import FIGURES, LABELS, PLACES, FormError, field_of, figures_of, known_values, read_form, suggested
from hotline.rollout_page import campaign_by_id, is_unwanted, read_campaign_page
from hotline.rollout_plots import RolloutPlots
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment, language_of, page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.SEE_ROLLOUT))]
PollingSession = Annotated[Session, Depends(Reader(Right.SEE_ROLLOUT, slide=False))]
MakingSession = Annotated[Session, Depends(Reader(Right.MANAGE_ROLLOUT))]
ActingSession = Annotated[Session, Depends(Editor(Right.MANAGE_ROLLOUT))]
Program = Annotated[Web, Depends(web)]
Reason = Annotated[str, Form(max_length=500)]


async def form_fields(request: Request) -> Mapping[str, str]:
    """The fields of a form that has many; the guard's own field has had it read already."""
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


Fields = Annotated[Mapping[str, str], Depends(form_fields)]


@router.get("/console/campaigns")
def campaigns(request: Request, session: ReadingSession, program: Program) -> Response:
    """Every campaign, newest first."""
    return page(request, "campaigns.html", session=session, here="rollout", **_list(program, session))


@router.get("/console/campaigns/now")
def campaigns_now(request: Request, session: PollingSession, program: Program) -> Response:
    """The part of the list that renews itself."""
    return fragment(request, "campaign_list.html", session=session, **_list(program, session))


@router.get("/console/campaigns/new")
def new_campaign(request: Request, session: MakingSession) -> Response:
    """The form that makes one."""
    return _form(request, session, suggested(language_of(request, session)))


@router.post("/console/campaigns")
def make_campaign(request: Request, session: ActingSession, program: Program, form: Fields) -> Response:
    """Draft a campaign, for somebody else to approve; or show the form again, with the field that is wrong."""
    try:
        with program.pool.connection() as conn:
            wanted = read_form(form, all_terminals(conn))
            made = create_campaign(
                conn,
                name=wanted.name,
                release=wanted.release,
                where=wanted.where,
                seed=wanted.seed,
                actor=session.agent.login,
                now=program.now(),
                policy=wanted.policy,
                waves=wanted.waves,
            )
    except FormError as refused_form:
        return _form(request, session, form, wrong=refused_form.wrong)
    except FieldError as error:
        return _form(request, session, form, wrong={field_of(error): error})
    return _to(made.id)


@router.get("/console/campaigns/{campaign}")
def campaign_page(request: Request, campaign: int, session: ReadingSession, program: Program) -> Response:
    """One campaign."""
    return _page(request, session, program, campaign)


@router.get("/console/campaigns/{campaign}/now")
def campaign_now(request: Request, campaign: int, session: PollingSession, program: Program) -> Response:
    """The part of the page that renews itself."""
    return fragment(request, "campaign_now.html", session=session, renews=True, **_read(request, session, program, campaign))


@router.post("/console/campaigns/{campaign}/{deed}")
def do_deed(*, request: Request, campaign: int, deed: Deed, session: ActingSession, program: Program, why: Reason = "") -> Response:
    """Approve, pause, resume, let pass, halt, abort or roll back; or show the page again, with what stands against it."""
    try:
        with program.pool.connection() as conn:
            found = campaign_by_id(conn, campaign)
            do(conn, found.name, deed, actor=session.agent.login, why=why, now=program.now())
    except CampaignError as error:
        if error.field == "campaign":
            raise HTTPException(404) from None
        language = language_of(request, session)
        why_not = refused(error, translate=program.pages.translate(language), language=language)
        return _page(request, session, program, campaign, status=422, error=why_not)
    return _to(campaign)


def _to(campaign: int) -> Response:
    return RedirectResponse(f"/console/campaigns/{campaign}", status_code=303)


def _page(
    request: Request, session: Session, program: Web, campaign: int, *, status: int = 200, error: str | None = None
) -> Response:
    values = _read(request, session, program, campaign)
    return page(request, "campaign.html", session=session, here="rollout", status=status, error=error, **values)


def _read(request: Request, session: Session, program: Web, campaign: int) -> dict[str, Any]:
    """What the page's templates take."""
    with program.pool.connection() as conn:
        try:
            view = read_campaign_page(conn, campaign)
        except CampaignError:
            raise HTTPException(404) from None
    language = language_of(request, session)
    translate = program.pages.translate(language)
    plots = RolloutPlots(translate=translate, language=language)
    return {
        "view": view,
        "campaign": view.campaign,
        "deeds": Deed,
        "figures": FIGURES,
        "policy_figures": figures_of(view.policy) if view.policy else {},
        "metrics": plots.metrics(view.story, [one.wave for one in view.waves]) if view.story else [],
        "acts": session.may(Right.MANAGE_ROLLOUT),
        "made_it": session.agent.login.casefold() == person(view.campaign.created_by).casefold(),
    }


def _list(program: Web, session: Session) -> dict[str, Any]:
    with program.pool.connection() as conn:
        found = list_campaigns(conn)
        harmful = {one.campaign_id for one in harms(conn)}
        names = {agent.login: agent.name for agent in agents(conn)}
    unwanted = {one.id for one in found if is_unwanted(one, harmful=one.id in harmful and one.state is not CampaignState.RUNNING)}
    return {"campaigns": found, "unwanted": unwanted, "names": names, "acts": session.may(Right.MANAGE_ROLLOUT)}


def _form(
    request: Request, session: Session, filled: Mapping[str, str], *, wrong: Mapping[str, FieldError] = MappingProxyType({})
) -> Response:
    """The form, with what is wrong beside each field that it is wrong with."""
    program = web(request)
    with program.pool.connection() as conn:
        releases = [one for one in list_releases(conn) if one.file is not None and one.withdrawn_at is None]
        known = known_values(all_terminals(conn))
        harmful = {one.release for one in harms(conn)}
    # The first one is chosen where nobody chooses.
    releases.sort(key=lambda one: one.version in harmful)
    language = language_of(request, session)
    translate = program.pages.translate(language)
    return page(
        request,
        "campaign_form.html",
        session=session,
        here="rollout",
        status=422 if wrong else 200,
        releases=releases,
        harmful=harmful,
        figures=FIGURES,
        filled=filled,
        known=known,
        labels=LABELS,
        at=PLACES,
        # In the order of the page: the first is where people begin.
        wrong={field: finding(wrong[field], translate=translate, language=language) for field in LABELS if field in wrong},
    )
