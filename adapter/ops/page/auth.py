"""Decide who may use the page: a bearer of the token, on loopback too.

A QR code is a credential, and sending is impersonation. Other users of this machine, a proxy and a port
forward reach a loopback address as well. Everything but the health checks needs the token, a cookie that was
given for it, or once a link. A browser that another site sends here is refused by what its headers say.
"""

import hashlib
import hmac
import ipaddress
import re
import time
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final

from itsdangerous import TimestampSigner

from adapter.ops.page.tokens import PageToken, SignInLinks

# Seconds until a browser must sign in again: a month.
COOKIE_SECONDS: Final = 30 * 86_400
# Posts carry this header. A form of a foreign site cannot, and a preflight request is never allowed.
HEADER: Final = "x-qqbus"
# Wrong tokens of one address within this time in seconds; more are not looked at.
WRONG_TRIES: Final = 10
TRIES_SECONDS: Final = 60.0
# Addresses whose tries are counted; the oldest gives way.
MAX_ADDRESSES: Final = 1_000
# Paths to which a link on another site may lead.
PAGES: Final = frozenset({"/", "/login"})
_HOST: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]*))(?::\d{1,5})?", re.ASCII
)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")

Headers = Mapping[str, str]


class TryLimiter:
    """Counts wrong tokens by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, list[float]] = {}

    def is_blocked(self, address: str) -> bool:
        """Return whether an address has tried too often."""
        return len(self._recent(address)) >= WRONG_TRIES

    def record(self, address: str) -> None:
        """Count a wrong token."""
        self._wrong[address] = [*self._recent(address), self._clock()]
        if len(self._wrong) > MAX_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]

    def _recent(self, address: str) -> list[float]:
        return [at for at in self._wrong.get(address, ()) if self._clock() - at < TRIES_SECONDS]


class PageAuth:
    """The rules of one page.

    `answers_local_names_alone`: a hostile web page that rebinds its own name to 127.0.0.1 is refused before
    it can try a token.
    """

    def __init__(self, token: PageToken, port: int, *, answers_local_names_alone: bool = False) -> None:
        self._token = token
        self._answers_local_names_alone = answers_local_names_alone
        # Cookies know no port: each adapter of a machine needs a name of its own.
        self.cookie_name = f"qqbus-{port}"
        self.links = SignInLinks(token)
        self.tries = TryLimiter()

    def host_error(self, headers: Headers) -> str:
        """Return why the name under which the page is asked is refused; "" if it is not."""
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None:
            return "the header Host is not a host and a port"
        name = host["ipv6"] or host["name"] or ""
        if self._answers_local_names_alone and name not in _LOCAL and not is_loopback(name):
            return "this page answers to localhost alone: set QQBUS_HTTP_TOKEN to use it under another name"
        return ""

    def is_authenticated(self, headers: Headers) -> bool:
        """Return whether a request carries the token, or the cookie that was given for it."""
        if "authorization" in headers:
            return self.is_bearer(headers)
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and self._signer().validate(morsel.value, COOKIE_SECONDS)

    def is_bearer(self, headers: Headers) -> bool:
        """Return whether a program sends the token: a browser adds no such header by itself."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.matches(given.strip())

    def matches(self, given: str) -> bool:
        """Return whether this is the token, in a time that does not depend on it."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.value.encode())

    def cookie(self) -> str:
        """Return the value of a cookie for a bearer of the token: dated and signed, without the token."""
        return self._signer().sign("page").decode()

    def foreign_site_error(self, method: str, path: str, headers: Headers) -> str:
        """Return why a request cannot come from this page itself; "" if it may."""
        if self.is_bearer(headers):
            return ""
        is_foreign = headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
        if method in {"GET", "HEAD"}:
            is_navigation = headers.get("sec-fetch-mode") == "navigate" and path in PAGES
            return "the request comes from another site" if is_foreign and not is_navigation else ""
        if HEADER not in headers:
            return f"the header {HEADER} is missing"
        host = headers.get("host", "").lower()
        own = {f"http://{host}", f"https://{host}"} if host else set()
        if is_foreign or headers.get("origin", "").lower() not in own:
            return "the request comes from another site"
        return ""

    def _signer(self) -> TimestampSigner:
        return TimestampSigner(
            self._token.value, salt="qqbus.page", key_derivation="hmac", digest_method=hashlib.sha256
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
