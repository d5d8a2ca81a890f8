"""The guard before all handlers: turns away who may not, and puts the strict headers on every answer."""

import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.ops.page.auth import PageAuth, csrf_error

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# Probes of an orchestrator carry no token; what these say is no secret.
OPEN: Final = frozenset({"/healthz", "/readyz"})
# What the login form itself is made of.
FORM: Final = frozenset({"/login", "/login.js", "/net.js", "/page.css", "/icon.svg"})


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, access: PageAuth) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] != "http":
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (self._turned_away(scope) or self._app)(scope, receive, strict)

    def _turned_away(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if words := self._access.deny_reason(headers):
            return JSONResponse({"error": words}, 403)
        if path in OPEN:
            return None
        if scope["method"] not in {"GET", "HEAD"} and (words := csrf_error(headers)):
            return JSONResponse({"error": words}, 403)
        if path in FORM or self._access.is_authenticated(headers, time.time()):
            return None
        if path == "/":
            return RedirectResponse("/login", 303)
        return JSONResponse({"error": "the token is wanted"}, 401, headers={"WWW-Authenticate": "Bearer"})
