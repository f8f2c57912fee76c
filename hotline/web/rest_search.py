"""REST: search over shops, terminals, calls, incidents and articles."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from hotline.incident_words import incident_title
from hotline.look_up import look_up
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.rest_incident_models import Language

router = APIRouter(prefix="/api/v1", tags=["search"])

Program = Annotated[Web, Depends(web)]
Reading = Annotated[Caller, Depends(ApiGuard(Right.READ))]


class Hit(BaseModel):
    """One thing that was found: its kind (as the API's paths name it), its id there, and what it is called."""

    kind: str
    id: str
    name: str


@router.get("/search", summary="Shops, terminals, calls, incidents and articles by what a person would type")
def get_found(
    q: Annotated[str, Query(max_length=100, description="A code, a number or a part of it, words.")],
    program: Program,
    caller: Reading,
    language: Language,
) -> list[Hit]:
    """Of each kind the best first, no more than a page would show."""
    with program.pool.connection() as conn:
        found = look_up(conn, q, viewer=caller, now=program.now())
    return [
        *(Hit(kind="points-of-sale", id=one.code, name=one.name) for one in found.shops),
        *(Hit(kind="terminals", id=one.id, name=one.id) for one in found.terminals),
        *(Hit(kind="calls", id=str(one.id), name=one.call_id) for one in found.calls),
        *(Hit(kind="incidents", id=str(one.id), name=incident_title(one, language)) for one in found.incidents),
        *(Hit(kind="articles", id=str(one.id), name=one.title(language)) for one in found.articles),
    ]
