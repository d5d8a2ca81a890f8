"""Parse, match and expire cookies by domain and path (RFC 6265). Pure.

check_sig sets `p_skey` for web2.qq.com and deletes it for qq.com in one answer (1.5): a jar keyed by name
alone loses the login.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

# Cookies of one jar and bytes of one cookie: SmartQQ stays far below both.
MAX_COOKIES: Final = 300
MAX_SIZE: Final = 4096

_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Cookie:
    """Represent one cookie. `expires`: seconds since 1970, None for a session cookie."""

    name: str
    value: str = field(repr=False)
    domain: str
    path: str = "/"
    host_only: bool = False
    secure: bool = False
    expires: float | None = None

    def goes_to(self, host: str, path: str, *, secure: bool) -> bool:
        """Return whether the cookie is sent with a request to this host and path."""
        return (
            (host == self.domain or (not self.host_only and host.endswith("." + self.domain)))
            and (path == self.path or path.startswith(self.path.rstrip("/") + "/"))
            and (secure or not self.secure)
        )


@dataclass(slots=True)
class Jar:
    """Hold all cookies of one login."""

    _cookies: dict[tuple[str, str, str], Cookie] = field(default_factory=dict, repr=False)

    def store_response(self, url: str, headers: Iterable[str], now: float) -> None:
        """Store the Set-Cookie headers of a response from this URL."""
        for header in headers:
            cookie = parse(header, url, now)
            if cookie is not None:
                self.put(cookie, now)

    def put(self, cookie: Cookie, now: float) -> None:
        """Replace the cookie of the same name, domain and path; an expired one only deletes it."""
        key = (cookie.domain, cookie.path, cookie.name)
        self._cookies.pop(key, None)
        if (cookie.expires is None or cookie.expires > now) and len(self._cookies) < MAX_COOKIES:
            self._cookies[key] = cookie

    def header(self, url: str, now: float) -> str:
        """Return the Cookie header for a URL, "" for none; longer paths first."""
        parts = urlsplit(url)
        host, path = (parts.hostname or "").lower(), parts.path or "/"
        chosen = [
            cookie
            for cookie in self._alive(now)
            if cookie.goes_to(host, path, secure=parts.scheme == "https")
        ]
        chosen.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in chosen)

    def get(self, name: str, domain: str) -> str:
        """Return the value of a cookie of exactly this domain, "" if there is none."""
        for cookie in self._cookies.values():
            if cookie.name == name and cookie.domain == domain:
                return cookie.value
        return ""

    def find(self, name: str) -> str:
        """Return the value under a name in any domain: eras differ in where they set it."""
        return next((c.value for c in self._cookies.values() if c.name == name and c.value), "")

    def retain(self, *names: str) -> None:
        """Delete all cookies but those of these names."""
        self._cookies = {key: cookie for key, cookie in self._cookies.items() if cookie.name in names}

    def __len__(self) -> int:
        return len(self._cookies)

    def _alive(self, now: float) -> Iterator[Cookie]:
        return (c for c in self._cookies.values() if c.expires is None or c.expires > now)

    def dump(self) -> list[dict[str, object]]:
        """Return all cookies as plain values, session cookies included: they are the login."""
        return [asdict(cookie) for cookie in self._cookies.values()]

    @classmethod
    def restore(cls, rows: Iterable[Mapping[str, object]], now: float) -> "Jar":
        """Return the jar that `dump` described. Raises TypeError or ValueError."""
        jar = cls()
        for row in rows:
            jar.put(_restore_cookie(row), now)
        return jar


def _restore_cookie(row: Mapping[str, object]) -> Cookie:
    match row:
        case {
            "name": str() as name,
            "value": str() as value,
            "domain": str() as domain,
            "path": str() as path,
            "host_only": bool() as host_only,
            "secure": bool() as secure,
            "expires": (int() | float() | None) as expires,
        } if _is_printable(name, value):
            return Cookie(name, value, domain, path, host_only, secure, expires)
    raise ValueError("a stored cookie has another form than this version writes")


def _is_printable(*texts: str) -> bool:
    return all(_PRINTABLE.fullmatch(text) for text in texts)


def parse(header: str, url: str, now: float) -> Cookie | None:
    """Return the cookie of a Set-Cookie header, or None if this URL may not set it."""
    pair, *attributes = header.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(), value.strip()
    if not name or not equals or len(pair) > MAX_SIZE or not _is_printable(name, value):
        return None
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    given: dict[str, str] = {}
    for attribute in attributes:  # some are empty
        key, _, text = attribute.partition("=")
        given[key.strip().lower()] = text.strip()
    domain = given.get("domain", "").lower().lstrip(".")
    if domain and ("." not in domain or not (host == domain or host.endswith("." + domain))):
        return None
    path = given.get("path", "")
    return Cookie(
        name,
        value,
        domain=domain or host,
        path=path if path.startswith("/") else _parent(parts.path),
        host_only=not domain,
        secure="secure" in given,
        expires=_parse_expiry(given, now),
    )


def _parent(path: str) -> str:
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


_AGE: Final = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_DATE: Final = re.compile(
    r"(?:\w+,? )?([0-9]{1,2})[- ](\w{3})[- ]([0-9]{2,4}) ([0-9]{1,2}):([0-9]{2}):([0-9]{2})", re.ASCII
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _parse_expiry(given: Mapping[str, str], now: float) -> float | None:
    if _AGE.fullmatch(age := given.get("max-age", "")):
        return now + int(age)
    found = _DATE.match(given.get("expires", ""))
    if found is None or found[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[index]) for index in (1, 3, 4, 5, 6))
    if year < 100:  # noqa: PLR2004 – years of two digits, as RFC 6265 reads them
        year += 1900 if year >= 70 else 2000  # noqa: PLR2004
    try:
        month = _MONTHS.index(found[2].lower()) + 1
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
