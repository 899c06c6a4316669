"""Who may see the page and who may change marks; what every answer tells the browser to refuse."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from feint.app.gate import from_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER = "/enter"
PUBLIC = "/static/"
LONGEST_FORM = 4096
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@final
class Door:
    """Lets through who may ask, and tells browsers to trust nothing but this page.

    Without a token the page is for this machine alone and answers only to its loopback names, so that no other site
    reaches it by a name of its own that leads here. With a token, a browser shows it once and then holds a cookie.
    Whatever changes something needs `key` in the header X-Feint-Key, which only this page knows, and no foreign origin.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, key: str, ask: Callable[[bool], str]) -> None:
        self._app, self._token, self._key, self._ask = app, token, key, ask
        secret = secrets.token_bytes(32)
        self._cookie = None if token is None else hmac.new(secret, token.encode(), hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        request = Request(scope, receive)
        answer = await self._refusal(request)
        await (answer or self._app)(scope, receive, guarded)

    async def _refusal(self, request: Request) -> Response | None:
        path = request.scope["path"]
        if self._token is None:
            if not from_here(request.headers):
                return PlainTextResponse("Open this page as http://localhost or http://127.0.0.1.", 403)
        elif path == ENTER and request.method == "POST":
            return await self._enter(request)
        elif not (path.startswith(PUBLIC) or self._known(request)):
            return HTMLResponse(self._ask(False), 401)
        if request.method not in {"GET", "HEAD"} and not self._own(request.headers):
            return PlainTextResponse("This page was opened before the program was started: load it anew.", 403)
        return None

    def _known(self, request: Request) -> bool:
        headers = request.headers
        bearer = headers.get("authorization", "").encode("utf-8", "replace")
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(request))
        except CookieError:
            held = None
        given = "" if held is None else held.value
        return hmac.compare_digest(bearer, f"Bearer {self._token}".encode()) or hmac.compare_digest(
            given.encode("utf-8", "replace"), (self._cookie or "").encode()
        )

    def _own(self, headers: Headers) -> bool:
        """Tell whether a request comes from this page, as it was served by this process."""
        origin = headers.get("origin")
        same = origin is None or urlsplit(origin).netloc == headers.get("host", "")
        given = headers.get("x-feint-key", "").encode("utf-8", "replace")
        return same and hmac.compare_digest(given, self._key.encode())

    async def _enter(self, request: Request) -> Response:
        """Exchange the token for a cookie."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                return PlainTextResponse("The form is too long.", 413)
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if not hmac.compare_digest(given.strip().encode(), (self._token or "").encode()):
            return HTMLResponse(self._ask(True), 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(_cookie_name(request), self._cookie or "", httponly=True, samesite="strict")
        return answer


def _cookie_name(request: Request) -> str:
    """Return a name with the port that is listened on: to a browser the cookies of all ports of a host are one lot."""
    _, port = request.scope.get("server") or ("", "")
    return f"feint-review-{port}"
