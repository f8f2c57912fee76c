"""The console's search: one box for shops, terminals, calls, incidents and articles."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from fleet import registry
from fleet.database import Connection
from hotline.knowledge.article_text import passage
from hotline.look_up import look_up
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
        # First, for it costs next to nothing: what people type most is what a shop reads from its terminal.
        if there := _exact(conn, q.strip()):
            return RedirectResponse(there, status_code=303)
        found = look_up(conn, q, viewer=session, now=program.now())
        codes = {one.point_of_sale for one in found.terminals} | {one.point_of_sale for one in found.calls if one.point_of_sale}
        shops = {shop.code: shop.name for shop in registry.points_of_sale(conn, sorted(codes))}
    return page(request, "search.html", session=session, q=q.strip(), found=found, shops=shops, passage=passage, subjects=SUBJECTS)


def _exact(conn: Connection, typed: str) -> str:
    """The page of the one thing that is called exactly so, whatever the case; empty where there is none, or several."""
    terminals, codes = registry.called(conn, typed)
    if terminals:
        return f"/console/terminals/{terminals[0]}"
    return f"/console/points-of-sale/{codes[0]}" if len(codes) == 1 else ""
