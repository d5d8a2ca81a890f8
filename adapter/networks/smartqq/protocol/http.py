"""Represent SmartQQ's HTTP calls: requests, responses, redirects. Pure."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

from adapter.errors import ProtocolError, TransportError

# Constants of the official web client.
CLIENTID: Final = 53999199
APPID: Final = "501004106"
DAID: Final = "164"

Pairs = tuple[tuple[str, str], ...]


class TransportTimeoutError(TransportError):
    """Report that the server did not answer a sent request in time."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """Describe one HTTP call. URL, params and form may hold tokens: only `safe_name` is shown."""

    method: Literal["GET", "POST"]
    url: str
    params: Pairs = ()
    form: Pairs | None = None
    referer: str = ""
    origin: str = ""
    # The server answers when there is a message.
    long_poll: bool = False

    @property
    def safe_name(self) -> str:
        """Host and path: what may appear in a log or an error."""
        parts = urlsplit(self.url)
        return f"{parts.hostname or ''}{parts.path}"

    @property
    def target(self) -> str:
        """The whole URL, its parameters percent-encoded."""
        if not self.params:
            return self.url
        return f"{self.url}?{urlencode(self.params, quote_via=quote, safe='')}"

    @property
    def body(self) -> bytes | None:
        """The form as `application/x-www-form-urlencoded`, or None without one."""
        if self.form is None:
            return None
        return urlencode(self.form, quote_via=quote, safe="").encode()

    def __repr__(self) -> str:
        return f"<{self.method} {self.safe_name}>"


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """Hold an answer. The body may hold a token: only status and size are shown."""

    status: int
    body: bytes = b""
    content_type: str = ""
    location: str = ""

    @property
    def text(self) -> str:
        """The body as text; invalid bytes become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<response {self.status}, {len(self.body)} bytes>"


def resolve_redirect(base: str, location: str) -> str:
    """Return the target of a redirect. Raises ProtocolError if it is no address."""
    try:
        target = urljoin(base, location)
        parts = urlsplit(target)
        is_valid = parts.port != 0 and parts.netloc.isascii()  # an invalid port raises ValueError
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ProtocolError("the target of a redirect is not a valid address")
    return target
