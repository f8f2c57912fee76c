"""The routes of the web program, as tests go through them: which there are, which rights they ask for, what a path names."""

from collections import defaultdict
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from hotline.roles import Right
from hotline.web.app import ROUTERS
from hotline.web.guards import ApiGuard, Editor, Reader
from tests.running_web import PORT_BAR

# Whoever may come without signing in, and why.
PUBLIC = {
    "GET /": "leads to the console",
    "GET /sign-in": "the form",
    "POST /sign-in": "guarded by the password",
    "POST /api/v1/cti/{token}": "guarded by its token",
    "GET /healthz": "says nothing of anybody",
    "GET /metrics": "guards itself: this machine, or a token",
}
# What a path names; where nothing is said, the number 1 will do.
PARAMETERS = defaultdict(
    lambda: "1", {"code": PORT_BAR, "terminal_id": "T00012", "token": "x", "day": "2026-11-23", "deed": "halt", "version": "4.3.0"}
)


def routes() -> dict[str, APIRoute]:
    found = {}
    for module in ROUTERS:
        app = FastAPI()
        app.include_router(module.router)
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for method in (route.methods or set()) - {"HEAD"}:
                found[f"{method} {route.path}"] = route
    return found


def guarded() -> dict[str, APIRoute]:
    return {name: route for name, route in routes().items() if name not in PUBLIC}


def rights_of(route: APIRoute) -> set[Right]:
    """The rights its guards ask for, wherever they hang."""

    def guards(dependant: Dependant) -> Iterator[Right]:
        if isinstance(dependant.call, Reader | Editor | ApiGuard):
            yield dependant.call.right
        for inner in dependant.dependencies:
            yield from guards(inner)

    return set(guards(route.dependant))
