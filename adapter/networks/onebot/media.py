"""Fetch pictures of OneBot messages by the address in their segment.

The sender of a message can put any address into it. Only hosts of Tencent and the host of the implementation
are asked, and a redirection leads nowhere else: else a stranger could make the adapter call machines behind
it. An address holds a signature, which no error names.

httpx is imported by the first fetch: it takes a tenth of the start of an adapter that was killed, and such a
network keeps nothing for it.
"""
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import anyio

from adapter.content import Image
from adapter.errors import ProtocolError, TransportError
from adapter.events import ImageData

if TYPE_CHECKING:
    import httpx

# Where QQ keeps pictures.
STORAGE_DOMAINS: Final = (".qq.com", ".qq.com.cn", ".qpic.cn")
# Redirections to a storage host: there was one.
MAX_REDIRECTS: Final = 3
# Bytes of a picture: what a message may carry.
MAX_PICTURE_BYTES: Final = 10 * 1024 * 1024
# Seconds of one picture in all.
FETCH_SECONDS: Final = 30.0


class PictureClient:
    """Fetches pictures; `url` is the address of the implementation, whose host is asked too."""

    def __init__(self, url: str) -> None:
        self._own_host = urlsplit(url).hostname

    async def fetch(self, image: Image) -> ImageData:
        """Return the picture of a segment. Raises ProtocolError and TransportError."""
        if not self._is_trusted(image.url):
            raise ProtocolError("this picture has no address at Tencent or at the implementation")
        import httpx

        try:
            with anyio.fail_after(FETCH_SECONDS):
                async with httpx.AsyncClient(timeout=FETCH_SECONDS) as client:
                    return await self._follow(client, image.url)
        except TimeoutError as exc:
            text = f"no picture within {FETCH_SECONDS:g} s"
            raise TransportError(text, may_have_sent=True) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            text = f"the picture cannot be fetched: {type(exc).__name__}"
            raise TransportError(text, may_have_sent=True) from exc

    async def _follow(self, client: "httpx.AsyncClient", url: str) -> ImageData:
        for _ in range(MAX_REDIRECTS + 1):
            async with client.stream("GET", url) as response:
                if not response.is_redirect:
                    return await _read(response)
                url = urljoin(url, response.headers.get("location", ""))
            if not self._is_trusted(url):
                raise ProtocolError("the picture leads to a host that is none of Tencent's")
        raise ProtocolError("the picture leads from one address to the next without an end")

    def _is_trusted(self, url: str) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_known = host == self._own_host or f".{host}".endswith(STORAGE_DOMAINS)
        return is_known and parts.scheme in {"http", "https"}


async def _read(response: "httpx.Response") -> ImageData:
    if not response.is_success:
        raise ProtocolError(f"the picture is answered with status {response.status_code}")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_PICTURE_BYTES:
            raise ProtocolError(f"the picture is larger than {MAX_PICTURE_BYTES} bytes")
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    return ImageData(kind, bytes(body))
