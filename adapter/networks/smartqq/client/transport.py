"""The door to the network: carries requests out and answers in. The only file that knows httpx.

Foreign exceptions stop here: what comes out is an `Answer` or a `TransportError`, whose text holds
host and path and nothing that could be a token.
"""

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import anyio
import httpx

from adapter.errors import TransportError
from adapter.failpoints import Failpoint, hit
from adapter.networks.smartqq.limits import MAX_BODY_BYTES, Limits
from adapter.networks.smartqq.protocol.http import Request, Response, TransportTimeoutError
from adapter.networks.smartqq.session.cookies import Jar

# httpx logs every address at INFO, tokens included; httpcore does at DEBUG.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

HEADERS: Final = {
    # Upstream refused browsers it did not like; this one was the newest when it closed.
    "User-Agent": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/71.0.3578.98 Safari/537.36"
    ),
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8",
    "Connection": "keep-alive",
}
FORM: Final = "application/x-www-form-urlencoded; charset=UTF-8"

POOL: Final = httpx.Limits(
    max_connections=20,  # the poll, a send, and the few look-ups `Limits.together` allows, many times over
    max_keepalive_connections=8,
    keepalive_expiry=10.0,  # less than any server's: a connection about to be closed is not used again
)
ONE: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=10.0)


class HttpTransport:
    """One account's connections. `origin`: reach all hosts there, with their true names inside."""

    def __init__(self, jar: Jar, limits: Limits, clock: Callable[[], float], origin: str | None) -> None:
        self.jar = jar
        self._limits = limits
        self._clock = clock
        self._origin = origin
        # The transport without a client round it: cookies, redirects and passwords are our own business,
        # and asking a client about them costs a tenth of what the adapter spends on a message sent.
        self._http: httpx.AsyncHTTPTransport | None = None
        # Polls have a connection of their own, so that it is known which one to hang up.
        self._poll_pool: httpx.AsyncHTTPTransport | None = None
        self._watch = {"trace": self._connected}
        self._stream: Any = None
        self._parked: anyio.CancelScope | None = None
        self._hung_up = False

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncHTTPTransport(verify=True, http2=False, limits=POOL, trust_env=False)
        self._poll_pool = httpx.AsyncHTTPTransport(verify=True, http2=False, limits=ONE, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            for transport in (self._http, self._poll_pool):
                if transport is not None:
                    await transport.aclose()
        self._http = self._poll_pool = None

    async def request(self, request: Request) -> Response:
        """Ask and wait for the whole answer. Raises TransportError."""
        with _mapped(request), anyio.fail_after(self._limits.call_timeout + self._limits.body_timeout):
            response = await self._send(request)
            return await self._read(request, response)

    async def long_poll(self, request: Request) -> Response | None:
        """A long poll. Until the answer begins, `cut` ends it soon and a cancellation at once.

        An answer that has begun is read to its end whatever happens: what it brings is gone from
        upstream. None means that it was cut.
        """
        self._hung_up = False
        with _mapped(request):
            with anyio.CancelScope() as waiting:
                self._parked = waiting
                try:
                    response = await self._send(request)
                except httpx.TransportError:
                    if not self._hung_up:
                        raise
                    return None
                finally:
                    self._parked = None
            if waiting.cancelled_caught:
                return None
            hit(Failpoint.ARRIVED)
            with anyio.fail_after(self._limits.body_timeout, shield=True):
                try:
                    return await self._read(request, response)
                finally:
                    if self._hung_up:  # nothing more can be asked there: its writing half is closed
                        await self._stream.aclose()

    def abort_poll(self) -> bool:
        """End the parked poll, if there is one; an answer that is on its way is still taken.

        Only our half of the connection is closed: upstream, which sees it, gives that poll no answer any
        more, and what it gave before arrives. Closing both halves would throw that away.
        """
        if self._parked is None:
            return False
        if self._hung_up:
            return True  # upstream may have answered and gone since: the answer is still to be read
        self._hung_up = True
        try:
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except (AttributeError, OSError):  # there is no connection, or none any more
            self._parked.cancel()
        else:
            self._parked.deadline = anyio.current_time() + self._limits.abort_grace
        return True

    async def _connected(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore tells of a poll's way: its connection, and that within TLS."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = info["return_value"]

    async def _send(self, request: Request) -> httpx.Response:
        transport = self._poll_pool if request.long_poll else self._http
        if transport is None:
            raise RuntimeError("the client is used outside of its `async with`")
        limits = self._limits
        timeout = httpx.Timeout(
            connect=limits.connect_timeout,
            read=limits.poll_timeout if request.long_poll else limits.call_timeout,
            write=limits.call_timeout,
            pool=limits.call_timeout,
        )
        # What has no parameters is asked again and again.
        place = _place if request.params else _known_place
        built = httpx.Request(
            request.method,
            place(request.target, self._origin),
            content=request.body,
            headers=self._headers(request),
            extensions={"timeout": timeout.as_dict()}
            | ({"trace": self._connected} if request.long_poll else {}),
        )
        return await transport.handle_async_request(built)

    def _headers(self, request: Request) -> dict[str, str]:
        cookies = self.jar.header(request.url, self._clock())
        given = {"Referer": request.referer, "Origin": request.origin, "Cookie": cookies}
        if request.form is not None:
            given["Content-Type"] = FORM
        host = {"Host": urlsplit(request.url).netloc}
        return host | HEADERS | {name: value for name, value in given.items() if value}

    async def _read(self, request: Request, response: httpx.Response) -> Response:
        body = b""
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise TransportError(f"{request.safe_name}: the answer has no end", sent=True)
        finally:
            await response.aclose()
        self.jar.store_response(request.url, response.headers.get_list("set-cookie"), self._clock())
        return Response(
            response.status_code,
            body,
            content_type=response.headers.get("content-type", "").lower(),
            location=response.headers.get("location", ""),
        )


def _place(url: str, origin: str | None) -> httpx.URL:
    """Where to connect to and what to ask there. With an origin that is there; Host and cookies stay true."""
    parsed = httpx.URL(url)
    if origin is None:
        return parsed
    other = httpx.URL(origin)
    return parsed.copy_with(scheme=other.scheme, host=other.host, port=other.port)


_known_place = lru_cache(maxsize=32)(_place)


@contextmanager
def _mapped(request: Request) -> Iterator[None]:
    """Turn what httpx raises into what we say, without its addresses."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.LocalProtocolError) as exc:
        raise TransportError(
            f"{request.safe_name}: cannot connect ({type(exc).__name__})", sent=False
        ) from exc
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise TransportError(f"{request.safe_name}: not an address", sent=False) from None
    except (httpx.TimeoutException, TimeoutError) as exc:
        raise TransportTimeoutError(f"{request.safe_name}: no answer in time", sent=True) from exc
    except httpx.HTTPError as exc:
        raise TransportError(f"{request.safe_name}: {type(exc).__name__}", sent=True) from exc
