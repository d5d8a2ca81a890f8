"""Represent SmartQQ's HTTP calls: requests, responses, redirects. Pure."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

from adapter.errors import ProtocolError, TransportError

CLIENTID: Final = 53999199

APPID: Final = "501004106"

DAID: Final = "164"

Pairs = tuple[tuple[str, str], ...]


class TransportTimeoutError(TransportError):
    """Upstream did not answer in time; the request had left."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One HTTP call. `url` may hold a signature, `params` and `form` tokens: shown is `name` only."""

    method: Literal["GET", "POST"]
    url: str
    params: Pairs = ()
    form: Pairs | None = None
    referer: str = ""
    origin: str = ""
    long_poll: bool = False
    """A long poll: upstream answers when there is something to say."""

    @property
    def safe_name(self) -> str:
        """Host and path: what may stand in a log or an error."""
        parts = urlsplit(self.url)
        return f"{parts.hostname or ''}{parts.path}"

    @property
    def target(self) -> str:
        """The whole URL; parameters are encoded here so that every byte is ours."""
        if not self.params:
            return self.url
        return f"{self.url}?{urlencode(self.params, quote_via=quote, safe='')}"

    @property
    def body(self) -> bytes | None:
        """The form as `application/x-www-form-urlencoded`, or None."""
        if self.form is None:
            return None
        return urlencode(self.form, quote_via=quote, safe="").encode()

    def __repr__(self) -> str:
        return f"<{self.method} {self.safe_name}>"


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """What came back. The body may hold a token: shown are status and size only."""

    status: int
    body: bytes = b""
    content_type: str = ""
    location: str = ""

    @property
    def text(self) -> str:
        """The body as text, whatever bytes it holds."""
        return self.body.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<answer {self.status}, {len(self.body)} bytes>"


def resolve_redirect(base: str, location: str) -> str:
    """Where a redirect leads. Raises ProtocolError where that is no address."""
    try:
        target = urljoin(base, location)
        parts = urlsplit(target)
        sound = parts.port != 0 and parts.netloc.isascii()  # a port that is none raises here
    except ValueError:
        sound = False
    if not sound:
        raise ProtocolError("a redirect leads to what is no address")
    return target
