"""The console's search: one box for shops, terminals, calls, incidents and articles."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from fleet import registry
from hotline.knowledge.article_text import passage
from hotline.look_up import Found, look_up
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Reader
from hotline.web.layout import page
from hotline.work_words import SUBJECTS

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
Program = Annotated[Web, Depends(web)]


@router.get("/console/search")
def search(request: Request, session: ReadingSession, program: Program, q: Annotated[str, Query(max_length=100)] = "") -> Response:
    """What was found of each kind; a whole terminal id, or a shop's whole code, leads straight there."""
    with program.pool.connection() as conn:
        found = look_up(conn, q, viewer=session, now=program.now())
        if there := _exact(found, q):
            return RedirectResponse(there, status_code=303)
        codes = {one.point_of_sale for one in found.terminals} | {one.point_of_sale for one in found.calls if one.point_of_sale}
        shops = {shop.code: shop.name for shop in registry.points_of_sale(conn, sorted(codes))}
    return page(request, "search.html", session=session, q=q.strip(), found=found, shops=shops, passage=passage, subjects=SUBJECTS)


def _exact(found: Found, typed: str) -> str:
    """The page of the one thing that is called exactly so."""
    name = typed.strip().upper()
    if [one.id for one in found.terminals] == [name]:
        return f"/console/terminals/{name}"
    codes = [shop.code for shop in found.shops if shop.code.upper() == name]
    return f"/console/points-of-sale/{codes[0]}" if len(codes) == 1 else ""
