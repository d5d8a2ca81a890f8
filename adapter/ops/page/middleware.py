"""Check each request before the handlers, and put the strict headers on every answer."""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.i18n import CATALOGUES
from adapter.ops.page.auth import PageAuth

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
# Paths without a token: the probes of an orchestrator carry none, and get no secret.
OPEN: Final = frozenset({"/healthz", "/readyz"})
# Paths of the login form itself.
FORM: Final = frozenset(
    {
        *("/login", "/login.js", "/net.js", "/i18n.js", "/page.css", "/icon.svg"),
        *(f"/texts-{language}.json" for language in CATALOGUES.values()),
    }
)


class Guard:
    """ASGI middleware that refuses what `PageAuth` denies."""

    def __init__(self, app: ASGIApp, auth: PageAuth) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            return

        async def send_strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (self._refuse(scope) or self._app)(scope, receive, send_strict)

    def _refuse(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if reason := self._auth.host_error(headers):
            return JSONResponse({"error": reason}, 403)
        if path in OPEN:
            return None
        if reason := self._auth.foreign_site_error(scope["method"], path, headers):
            return JSONResponse({"error": reason}, 403)
        if path in FORM or self._auth.is_authenticated(headers):
            return None
        if path == "/":
            return RedirectResponse("/login", 303)
        return JSONResponse(
            {"error": "give the token: Authorization: Bearer …"}, 401, headers={"WWW-Authenticate": "Bearer"}
        )
