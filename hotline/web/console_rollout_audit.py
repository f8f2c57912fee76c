"""The page of the rollout's audit: who did what and every automatic decision with its inputs, and whether the chain holds."""

import json
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from firmware_rollout.audit import deeds_known, entries_of, verify
from firmware_rollout.campaigns import list_campaigns
from hotline.accounts import agents
from hotline.roles import Right
from hotline.rollout_page import Step
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

SHOWN: Final = 100
Short = Annotated[str, Query(max_length=100)]
Number = Annotated[int | None, Query(ge=0, le=2**62)]


def number_or_none(campaign: Short = "") -> int | None:
    """A campaign's number; a filter that was left empty, or is none, asks for all."""
    return int(campaign) if campaign.isascii() and campaign.isdigit() and len(campaign) < 18 else None


@router.get("/console/rollout-audit")
def rollout_audit(
    *,
    request: Request,
    session: Annotated[Session, Depends(Reader(Right.SEE_ROLLOUT))],
    program: Annotated[Web, Depends(web)],
    campaign: Annotated[int | None, Depends(number_or_none)],
    actor: Short = "",
    deed: Short = "",
    before: Number = None,
    check: bool = False,
) -> Response:
    """Rows that meet every filter given, newest first; `check`: the whole chain is followed besides."""
    with program.pool.connection() as conn:
        found = entries_of(conn, campaign, actor=actor.strip(), deed=deed, before=before, limit=SHOWN + 1)
        campaigns, known = list_campaigns(conn), deeds_known(conn)
        verified = verify(conn) if check else None
        names = {agent.login: agent.name for agent in agents(conn)}
    return page(
        request,
        "rollout_audit.html",
        session=session,
        here="rollout",
        rows=[Step(entry, json.loads(entry.details)) for entry in found[:SHOWN]],
        older=found[SHOWN - 1].number if len(found) > SHOWN else None,
        campaigns={one.id: one.name for one in campaigns},
        deeds=known,
        names=names,
        verified=verified,
        asked={"campaign": campaign or "", "actor": actor, "deed": deed},
    )
