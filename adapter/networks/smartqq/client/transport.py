"""Carry requests to SmartQQ and responses back. The only module that knows httpx.

Foreign exceptions stop here: callers see a `Response` or a `TransportError`. The error's text holds host and
path, and no token.
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
from adapter.http_content import ContentError, read_body
from adapter.networks.smartqq.limits import MAX_BODY_BYTES, Limits
from adapter.networks.smartqq.protocol.http import Request, Response, TransportTimeoutError
from adapter.networks.smartqq.session.cookies import Jar

# httpx logs every address at INFO, tokens included; httpcore does at DEBUG.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

HEADERS: Final = {
    # The server refused some browsers; this one was the newest when it closed.
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
    max_connections=20,  # sends and look-ups, several times what `Limits` allows
    max_keepalive_connections=8,
    keepalive_expiry=10.0,  # less than any server's: a connection that is about to be closed is not reused
)
# Polls have a connection of their own, so that it is known which one to abort.
POLL_POOL: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=10.0)


class HttpTransport:
    """Hold one account's connections. `origin`: send all requests there, whatever their host."""

    def __init__(self, jar: Jar, limits: Limits, clock: Callable[[], float], origin: str | None) -> None:
        self.jar = jar
        self._limits = limits
        self._clock = clock
        self._origin = origin
        # A transport without httpx's client: cookies and redirects are handled here, and the client would
        # cost a tenth of the time that the adapter spends on a sent message.
        self._http: httpx.AsyncHTTPTransport | None = None
        self._poll_pool: httpx.AsyncHTTPTransport | None = None
        self._stream: Any = None
        self._poll_scope: anyio.CancelScope | None = None
        self._is_aborted = False

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncHTTPTransport(verify=True, http2=False, limits=POOL, trust_env=False)
        self._poll_pool = httpx.AsyncHTTPTransport(
            verify=True, http2=False, limits=POLL_POOL, trust_env=False
        )
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
        """Send a request and return the whole response. Raises TransportError."""
        with (
            _map_httpx_errors(request),
            anyio.fail_after(self._limits.call_timeout + self._limits.body_timeout),
        ):
            response = await self._send(request)
            return await self._read(request, response)

    async def long_poll(self, request: Request) -> Response | None:
        """Poll until the server answers. Returns None after `abort_poll`. Raises TransportError.

        Before the answer begins, a cancellation ends the poll at once. An answer that has begun is read to
        its end, whatever happens: the server has forgotten its messages.
        """
        self._is_aborted = False
        with _map_httpx_errors(request):
            with anyio.CancelScope() as waiting:
                self._poll_scope = waiting
                try:
                    response = await self._send(request)
                except httpx.TransportError:
                    if not self._is_aborted:
                        raise
                    return None
                finally:
                    self._poll_scope = None
            if waiting.cancelled_caught:
                return None
            hit(Failpoint.ARRIVED)
            with anyio.fail_after(self._limits.body_timeout, shield=True):
                try:
                    return await self._read(request, response)
                finally:
                    if self._is_aborted:  # the writing half of this connection is closed
                        await self._stream.aclose()

    def abort_poll(self) -> bool:
        """End the open poll. Returns whether there was one.

        Closes only the writing half of the connection: the server then gives this poll no new answer, and an
        answer that is on its way still arrives. Closing both halves would discard it.
        """
        if self._poll_scope is None:
            return False
        if self._is_aborted:
            return True  # an answer may be on its way: wait for it
        self._is_aborted = True
        try:
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except (AttributeError, OSError):  # there is no connection yet, or no longer
            self._poll_scope.cancel()
        else:
            self._poll_scope.deadline = anyio.current_time() + self._limits.abort_grace
        return True

    async def _connected(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the poll's connection, and the TLS stream within it (httpcore's trace)."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = info["return_value"]

    async def _send(self, request: Request) -> httpx.Response:
        transport = self._poll_pool if request.long_poll else self._http
        if transport is None:
            raise RuntimeError("the transport is used outside of its `async with`")
        limits = self._limits
        timeout = httpx.Timeout(
            connect=limits.connect_timeout,
            read=limits.poll_timeout if request.long_poll else limits.call_timeout,
            write=limits.call_timeout,
            pool=limits.call_timeout,
        )
        # URLs without parameters repeat: the parsed ones are cached.
        locate = _locate if request.params else _locate_cached
        built = httpx.Request(
            request.method,
            locate(request.target, self._origin),
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
        # httpx would undo any number of nested codings, and look at the size afterwards.
        coding = response.headers.get("content-encoding", "")
        try:
            body = await read_body(response.aiter_raw(), coding, MAX_BODY_BYTES)
        except ContentError as exc:
            raise TransportError(f"{request.safe_name}: {exc}", may_have_sent=True) from exc
        finally:
            await response.aclose()
        self.jar.store_response(request.url, response.headers.get_list("set-cookie"), self._clock())
        return Response(
            response.status_code,
            body,
            content_type=response.headers.get("content-type", "").lower(),
            location=response.headers.get("location", ""),
        )


def _locate(url: str, origin: str | None) -> httpx.URL:
    """Return the URL to connect to: at `origin` if given, while Host and cookies stay true."""
    parsed = httpx.URL(url)
    if origin is None:
        return parsed
    other = httpx.URL(origin)
    return parsed.copy_with(scheme=other.scheme, host=other.host, port=other.port)


_locate_cached = lru_cache(maxsize=32)(_locate)


@contextmanager
def _map_httpx_errors(request: Request) -> Iterator[None]:
    """Turn httpx's exceptions into ours, without the addresses in their texts."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.LocalProtocolError) as exc:
        raise TransportError(
            f"{request.safe_name}: cannot connect ({type(exc).__name__})", may_have_sent=False
        ) from exc
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise TransportError(f"{request.safe_name}: not a valid address", may_have_sent=False) from None
    except (httpx.TimeoutException, TimeoutError) as exc:
        raise TransportTimeoutError(f"{request.safe_name}: no answer in time", may_have_sent=True) from exc
    except httpx.HTTPError as exc:
        raise TransportError(f"{request.safe_name}: {type(exc).__name__}", may_have_sent=True) from exc
