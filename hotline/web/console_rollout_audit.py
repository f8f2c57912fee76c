"""The page of the rollout's audit: who did what and every automatic decision with its inputs, and whether the chain holds."""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from firmware_rollout.audit import ROUTINE, deeds_known, entries_of, verify
from firmware_rollout.campaigns import list_campaigns
from hotline.accounts import agents
from hotline.audit_lines import lines_of
from hotline.roles import Right
from hotline.rollout_page import Step
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Reader
from hotline.web.layout import language_of, page

router = APIRouter(include_in_schema=False)

SHOWN: Final = 100
# In place of a kind of deed: what people did and what was decided, without each step's moves and readings.
DECISIONS: Final = "decisions"
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
    only: dict[str, Any] = {"without": ROUTINE} if deed == DECISIONS else {"deed": deed}
    with program.pool.connection() as conn:
        found = entries_of(conn, campaign, actor=actor.strip(), before=before, limit=SHOWN + 1, **only)
        campaigns, known = list_campaigns(conn), deeds_known(conn)
        verified = verify(conn) if check else None
        names = {agent.login: agent.name for agent in agents(conn)}
    rows = [Step(entry, json.loads(entry.details)) for entry in found[:SHOWN]]
    translate = program.pages.translate(language_of(request, session))
    return page(
        request,
        "rollout_audit.html",
        session=session,
        here="rollout",
        rows=rows,
        inputs={one.entry.number: lines_of(one.details, translate=translate) for one in rows},
        decisions=DECISIONS,
        older=found[SHOWN - 1].number if len(found) > SHOWN else None,
        campaigns={one.id: one.name for one in campaigns},
        deeds=known,
        names=names,
        verified=verified,
        asked={"campaign": campaign or "", "actor": actor, "deed": deed},
    )
