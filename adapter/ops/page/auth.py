"""Decide who may use the page: this machine alone, or a bearer of the token.

A QR code is a credential, and sending is impersonation. Bound to a loopback address, the page answers only to
loopback names: a hostile web page that rebinds its own name to 127.0.0.1 is refused. Bound anywhere else, or
with a token set, everything but the health checks needs the token.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from itsdangerous import TimestampSigner

from adapter.errors import ConfigError

COOKIE: Final = "qqbus"
# Seconds until the token must be typed again: a month.
COOKIE_SECONDS: Final = 30 * 86_400
# Posts carry this header. A form of a foreign site cannot, and a preflight request is never allowed.
HEADER: Final = "x-qqbus"
TOKEN_FILE: Final = "http-token"  # noqa: S105 – a name
# Characters of a token: fewer can be guessed.
MIN_TOKEN_LENGTH: Final = 16
_PROXIED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PageAuth:
    """The rules of one page. `token` is "" if every user of this machine is trusted."""

    token: str = field(default="", repr=False)

    def deny_reason(self, headers: Headers) -> str:
        """Return why a request must not be answered at all; "" if it may be."""
        if self.token:
            return ""
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if host not in _LOCAL and not is_loopback(host):
            return "this page answers to localhost alone: set QQBUS_HTTP_TOKEN to use it under another name"
        if any(name in headers for name in _PROXIED):
            return "this page was reached through a proxy: set QQBUS_HTTP_TOKEN to allow that"
        return ""

    def is_authenticated(self, headers: Headers) -> bool:
        """Return whether a request carries the token, or the cookie that was given for it."""
        if not self.token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.matches(given.strip())
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and self._signer().validate(morsel.value, COOKIE_SECONDS)

    def matches(self, given: str) -> bool:
        """Return whether this is the token, in a time that does not depend on it."""
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())

    def cookie(self) -> str:
        """Return the value of a cookie for a bearer of the token: dated and signed, without the token."""
        return self._signer().sign("page").decode()

    def _signer(self) -> TimestampSigner:
        return TimestampSigner(
            self.token, salt="qqbus.page", key_derivation="hmac", digest_method=hashlib.sha256
        )


def csrf_error(headers: Headers) -> str:
    """Return why a post cannot come from this page; "" if it may."""
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
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def page_auth(host: str, token: str, folder: Path) -> tuple[PageAuth, Path | None]:
    """Return the rules for a page bound to `host`, and the file of the token if one was made.

    Raises ConfigError.
    """
    if token:
        if len(token) < MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable():
            raise ConfigError(
                f"QQBUS_HTTP_TOKEN is too weak: give at least {MIN_TOKEN_LENGTH} printable ASCII characters"
            )
        return PageAuth(token), None
    if is_loopback(host):
        return PageAuth(), None
    file = folder / TOKEN_FILE
    try:
        return PageAuth(_load_token(file)), file
    except OSError as exc:
        raise ConfigError(f"{file} cannot be used: {exc.strerror}; or set QQBUS_HTTP_TOKEN") from exc


def _load_token(file: Path) -> str:
    """Read the token from its file; make both, readable by the owner alone, if there is none."""
    if file.exists() and len(token := file.read_text(encoding="utf-8").strip()) >= MIN_TOKEN_LENGTH:
        return token
    token = secrets.token_urlsafe(32)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(token + "\n")
    return token
