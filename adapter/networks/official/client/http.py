"""HTTP: carry requests to the API and answers back. The only module of this network that knows httpx.

Foreign exceptions stop here: callers see an Answer or a TransportError. Its text holds the name of the call,
and neither address, body nor header.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import anyio
import httpx

from adapter.errors import TransportError
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.return_codes import Answer
from adapter.networks.official.protocol.values import Object

# httpx logs every address at INFO, httpcore the headers at DEBUG.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_POOL: Final = httpx.Limits(
    max_connections=20,  # sends, uploads, pictures and the calls of the session
    max_keepalive_connections=8,
    keepalive_expiry=10.0,  # less than any server's: a connection that is about to be closed is not reused
)
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}


class AnswerTimeoutError(TransportError):
    """A call was written and not answered in time."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: no answer in time", may_have_sent=True)


class HttpClient:
    """The connections to the hosts of the API. Use it as `async with HttpClient(limits) as http`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(limits=_POOL, trust_env=False, follow_redirects=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            with anyio.CancelScope(shield=True):
                await self._client.aclose()
            self._client = None

    async def post(self, name: str, url: str, body: Object, *, seconds: float) -> Answer:
        """Post an object; see `request`."""
        return await self.request(name, "POST", url, body, {}, seconds=seconds)

    async def request(
        self,
        name: str,
        method: str,
        url: str,
        body: Object | None,
        headers: Mapping[str, str],
        *,
        seconds: float,
        max_bytes: int = 0,
    ) -> Answer:
        """Return the answer to a request. Raises TransportError, which names it by `name`."""
        if self._client is None:
            raise RuntimeError("the client is used outside of its `async with`")
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        timeout = httpx.Timeout(seconds, connect=self._limits.connect_seconds)
        with _map_errors(name), anyio.fail_after(self._limits.connect_seconds + seconds):
            async with self._client.stream(
                method, url, content=content, headers={**_JSON, **headers}, timeout=timeout
            ) as response:
                received = bytearray()
                async for chunk in response.aiter_bytes():
                    received += chunk
                    if len(received) > (max_bytes or self._limits.answer_bytes):
                        raise TransportError(f"{name}: the answer is too large", may_have_sent=True)
                return Answer(response.status_code, bytes(received), response.headers.get("content-type", ""))


@contextmanager
def _map_errors(name: str) -> Iterator[None]:
    """Turn httpx's exceptions into ours, without the addresses in their texts."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.LocalProtocolError) as exc:
        raise TransportError(f"{name}: cannot connect ({type(exc).__name__})", may_have_sent=False) from exc
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise TransportError(f"{name}: not a valid address", may_have_sent=False) from None
    except (httpx.TimeoutException, TimeoutError) as exc:
        raise AnswerTimeoutError(name) from exc
    except httpx.HTTPError as exc:
        raise TransportError(f"{name}: {type(exc).__name__}", may_have_sent=True) from exc
