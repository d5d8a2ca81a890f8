"""Proof of adapter/http_content.py: bodies within their limit, however they are compressed."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest

from adapter.http_content import ContentError, read_body

pytestmark = pytest.mark.anyio

TEXT = b"hello " * 1_000


async def pieces(data: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("X-GZip ", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
    # Compressed bytes hold the time of their making: names of their own keep the tests of all processes the same.
    ids=["none", "identity", "gzip", "x-gzip", "zlib", "raw deflate"],
)
async def test_one_coding_is_undone_up_to_the_limit(coding: str, body: bytes) -> None:
    assert await read_body(pieces(body), coding, len(TEXT)) == TEXT
    with pytest.raises(ContentError, match="longer"):
        await read_body(pieces(body), coding, len(TEXT) - 1)


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,deflate", "br", "gzip, identity", "é"])
async def test_more_codings_and_unknown_ones_are_refused(coding: str) -> None:
    with pytest.raises(ContentError, match="not asked for"):
        await read_body(pieces(TEXT), coding, 10_000)


async def test_a_broken_stream_is_an_error() -> None:
    for coding in ("gzip", "deflate"):
        with pytest.raises(ContentError, match="compressed"):
            await read_body(pieces(b"\xffno such thing"), coding, 10_000)


async def test_a_bomb_takes_no_more_than_the_limit() -> None:
    bomb, limit = gzip.compress(bytes(200 * 2**20)), 2**20
    tracemalloc.start()
    try:
        with pytest.raises(ContentError, match="longer"):
            await read_body(pieces(bomb, 2**20), "gzip", limit)
        assert tracemalloc.get_traced_memory()[1] < 8 * limit
    finally:
        tracemalloc.stop()
