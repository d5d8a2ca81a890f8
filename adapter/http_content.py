"""Read the body of an HTTP answer within a limit, also where it is compressed.

Compression multiplies: a kilobyte of `gzip, gzip` becomes gigabytes. Therefore one coding is undone at most,
and never beyond the limit: zlib is asked for no more bytes than are still allowed.
"""

import zlib
from collections.abc import AsyncIterable
from typing import Final

# Window bits of zlib: 16 more mean the format of gzip, a negative number means no header.
_ZLIB, _GZIP, _RAW = zlib.MAX_WBITS, zlib.MAX_WBITS | 16, -zlib.MAX_WBITS
_GZIP_NAMES: Final = ("gzip", "x-gzip")
# Low four bits of the first byte of a zlib stream.
_DEFLATED: Final = 8


class ContentError(Exception):
    """A body cannot be read; the text quotes none of it."""


async def read_body(chunks: AsyncIterable[bytes], coding: str, limit: int) -> bytes:
    """Return the whole body, at most `limit` bytes. `coding`: the header Content-Encoding.

    Raises ContentError.
    """
    body, decoder = bytearray(), _Decoder(coding)
    async for chunk in chunks:
        body += decoder.decode(chunk, limit + 1 - len(body))
        if len(body) > limit:
            raise ContentError(f"the answer is longer than {limit} bytes")
    return bytes(body)


class _Decoder:
    """Undoes one content coding."""

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        self._zlib: zlib._Decompress | None = None
        if self._coding not in {"", "identity", "deflate", *_GZIP_NAMES}:
            raise ContentError("the answer has a content coding that was not asked for")

    def decode(self, chunk: bytes, limit: int) -> bytes:
        """Return at most `limit` bytes."""
        if self._coding in {"", "identity"} or not chunk:
            return chunk
        if self._zlib is None:
            self._zlib = zlib.decompressobj(self._window_bits(chunk))
        try:
            return self._zlib.decompress(chunk, limit)
        except zlib.error as exc:
            raise ContentError("the answer is not compressed as it says") from exc

    def _window_bits(self, chunk: bytes) -> int:
        if self._coding in _GZIP_NAMES:
            return _GZIP
        # Some servers send the bare stream under the name of the one with a header.
        return _ZLIB if chunk[0] & 0x0F == _DEFLATED else _RAW
