"""Who may ask: refused before anything of a request but its head has been read."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from feint.app.counters import Counters
from feint.app.messages import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = "/healthz"
ROUTES = frozenset({"/v1/score", "/v1/model", "/healthz", "/metrics", "/openapi.json"})
OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@final
class Gate:
    """Lets requests with the token through, and counts all of them.

    Without a token the service listens on loopback alone, and answers only who calls it by a loopback name: a page of
    another site that a browser here has open cannot reach it, whatever name it lets lead to this machine.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, counters: Counters) -> None:
        self._app, self._counters = app, counters
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal or self._app)(scope, receive, noted)
        finally:
            route = scope["path"] if scope["path"] in ROUTES else "other"
            self._counters.request(route, status or 500, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if self._expected is None:
            return None if from_here(headers) else _refused(403, "call this service as localhost, or give it a token")
        if scope["path"] == OPEN:
            return None
        given = headers.get("authorization", "").encode("utf-8", "replace")
        if hmac.compare_digest(given, self._expected):
            return None
        what = "the token is wrong" if given else "a token is needed"
        return _refused(401, f"{what}: send the header 'Authorization: Bearer TOKEN'")


def from_here(headers: Headers) -> bool:
    """Tell whether host and, where there is one, origin are names of this machine."""
    origin = headers.get("origin")
    named = [f"//{headers.get('host', '')}", *([] if origin is None else [origin])]
    try:
        return all(urlsplit(each).hostname in OWN_NAMES for each in named)
    except ValueError:
        return False


def _refused(status: int, reason: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(Problem(reason=reason).model_dump(), status, headers)
