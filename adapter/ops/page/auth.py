"""Who may see the page: this machine alone, or whoever has the token. Pure but for the token's file.

A QR code is a credential, and whoever can send can impersonate: bound to a loopback address the page
answers only to loopback names (a hostile web page that rebinds its own name to 127.0.0.1 is refused);
bound anywhere else, or with a token set, everything but the health checks wants the token.
"""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from adapter.errors import ConfigError

COOKIE: Final = "qqbus"
COOKIE_SECONDS: Final = 30 * 86_400
HEADER: Final = "x-qqbus"
"""Posts carry it: a form of a foreign site cannot, and asking for leave is never answered."""

TOKEN_FILE: Final = "http-token"  # noqa: S105 – a name
LEAST: Final = 16
_PROXIED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PageAuth:
    """The rules of one page. `token` is "" where this machine is trusted."""

    token: str = field(default="", repr=False)

    def deny_reason(self, headers: Headers) -> str:
        """Why a request must not be answered at all; "" if it may be."""
        if self.token:
            return ""
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if host not in _LOCAL and not is_loopback(host):
            return "this page answers to localhost alone: set QQBUS_HTTP_TOKEN to use it under another name"
        if any(name in headers for name in _PROXIED):
            return "this page was reached through a proxy: set QQBUS_HTTP_TOKEN to allow that"
        return ""

    def is_authenticated(self, headers: Headers, now: float) -> bool:
        """Whether a request comes from somebody who had the token."""
        if not self.token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.matches(given.strip())
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        until, _, seal = (morsel.value if morsel else "").partition(".")
        if not re.fullmatch(r"\d{1,12}", until, re.ASCII) or int(until) < now:
            return False
        return hmac.compare_digest(seal.encode(), self._seal(until).encode())

    def matches(self, given: str) -> bool:
        """Whether this is the token, in a time that tells nothing about it."""
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())

    def cookie(self, now: float, *, secure: bool) -> str:
        """The Set-Cookie value for somebody who gave the token; it does not hold the token."""
        until = str(int(now) + COOKIE_SECONDS)
        flags = "; Secure" if secure else ""
        value = f"{until}.{self._seal(until)}"
        return f"{COOKIE}={value}; Max-Age={COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Strict{flags}"

    def _seal(self, until: str) -> str:
        return hmac.new(self.token.encode(), f"page {until}".encode(), hashlib.sha256).hexdigest()


def csrf_error(headers: Headers) -> str:
    """Why a post is not taken for one of this page's own; "" if it is."""
    if headers.get("authorization", "").lower().startswith("bearer "):
        return ""  # a program: a browser adds no such header by itself
    if HEADER not in headers:
        return f"the header {HEADER} is missing"
    origin = urlsplit(headers.get("origin", ""))
    if not origin.netloc or origin.netloc.lower() != headers.get("host", "").lower():
        return "the request comes from another site"
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return "the request comes from another site"
    return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def access(host: str, token: str, folder: Path) -> tuple[PageAuth, Path | None]:
    """The rules for a page bound to `host`, and the file with the token where we had to make one.

    Raises ConfigError.
    """
    if token:
        if len(token) < LEAST or not token.isascii() or not token.isprintable():
            raise ConfigError(
                f"QQBUS_HTTP_TOKEN is too weak: give at least {LEAST} printable ASCII characters"
            )
        return PageAuth(token), None
    if is_loopback(host):
        return PageAuth(), None
    file = folder / TOKEN_FILE
    try:
        return PageAuth(_kept(file)), file
    except OSError as exc:
        raise ConfigError(f"{file} cannot be used: {exc.strerror}; or set QQBUS_HTTP_TOKEN") from exc


def _kept(file: Path) -> str:
    """The token in the file; made, for the owner's eyes only, where there is none."""
    if file.exists() and len(token := file.read_text(encoding="utf-8").strip()) >= LEAST:
        return token
    token = secrets.token_urlsafe(32)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(token + "\n")
    return token
