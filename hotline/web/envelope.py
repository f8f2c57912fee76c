"""What every answer carries: security headers; and what every request leaves: its time, under its route's path."""

import time
from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hotline.web.metrics import WebMetrics
from hotline.web.problems import problem_response

# Everything comes from ourselves; nothing inline, so that text which slips into a page cannot run.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; img-src 'self'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
HSTS: Final = "max-age=31536000; includeSubDomains"
_KEPT_FOR_GOOD: Final = "public, max-age=31536000, immutable"


class Envelope:
    """The outermost layer of the web program; plain ASGI, since a wrapped response would hold event streams back."""

    def __init__(
        self, app: ASGIApp, *, metrics: WebMetrics, secure: bool, largest_body_bytes: int, larger: Mapping[str, int]
    ) -> None:
        self._app = app
        self._largest_body_bytes = largest_body_bytes
        # The paths that take more.
        self._larger = larger
        self._metrics = metrics
        self._headers = {**HEADERS, **({"Strict-Transport-Security": HSTS} if secure else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", _caching(scope))
            await send(message)

        try:
            # A body of unknown length is cut by the framework when it grows too large.
            most = self._larger.get(scope["path"], self._largest_body_bytes)
            if _declared_length(scope) > most:
                too_large = problem_response(413, f"the body is longer than {most} bytes")
                await too_large(scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        finally:
            # The route's path, never the address: that may hold a token.
            route = path_of(scope)
            if route != "/console/stream":
                self._metrics.requests.labels(route, f"{status // 100}xx").observe(time.monotonic() - begun)


def path_of(scope: Mapping[str, Any]) -> str:
    """The path of the route that took the request, with its parameters' names; `none` where none did."""
    path = getattr(scope.get("route"), "path", None)
    return str(path) if path else "none"


def _declared_length(scope: Scope) -> int:
    value = Headers(scope=scope).get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() else 0


def _caching(scope: Scope) -> str:
    """Static files carry their digest in the address; everything else is somebody's own and kept nowhere."""
    if scope["path"].startswith("/static/"):
        return _KEPT_FOR_GOOD if scope["query_string"].startswith(b"v=") else "no-cache"
    return "no-store"
