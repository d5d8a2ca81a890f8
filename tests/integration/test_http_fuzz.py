"""10,000 requests of raw bytes to the page: nothing but answers of the page, and no error in its log."""

import logging
import random
import re
from collections import Counter
from pathlib import Path

import anyio
import pytest

from adapter.bus.bus import Bus
from tests.support.page_client import event, page, token_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

SEED = 20151024
CASES = 10_000
# Connections of the fuzz at a time: fewer than the page takes of one address.
LINES = 8
# Seconds for an answer: a head that is not whole is closed after five.
ANSWER_SECONDS = 30.0

METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"TRACE", b"G\x00T", b"get", b"", b"PRI", b"x" * 300)
PATHS = (
    *(b"/", b"/healthz", b"/readyz", b"/metrics", b"/login", b"/login?code=%00", b"/api/stream"),
    *(
        b"/api/picture?entry=1-1",
        b"/api/image?entry=9-9&number=" + b"9" * 5000,
        b"/api/text?stream=inbound&entry=-",
    ),
    *(b"/api/contacts?q=%ff&kind=friends", b"/api/contacts?chat=group:" + b"9" * 5000, b"/api/send"),
    *(b"/api/answer", b"/api/control", b"/api/dead", b"/static/../../etc/passwd", b"/%2e%2e/x", b"//x", b"*"),
    *(
        b"http://evil/",
        b"/\xff\xfe",
        b"/" + b"a" * 70_000,
        b"",
        b"/page.js?v=%",
        b"/api/text?" + b"a=b&" * 500,
    ),
)
HEADERS = (
    *(
        b"Host: 127.0.0.1",
        b"Host: [",
        b"Host: evil@localhost",
        b"Host: \xff",
        b"Host:",
        b"Host: x\r\nHost: y",
    ),
    *(
        b"Origin: http://[",
        b"Origin: null",
        b"Sec-Fetch-Site: cross-site",
        b"Sec-Fetch-Mode: \x01",
        b"X-QQBus: 1",
    ),
    *(b"Cookie: =; ;;=\xff", b"Cookie: " + b"a" * 9000, b"Authorization: Bearer", b"Authorization: \xe4"),
    *(b"Content-Length: -1", b"Content-Length: " + b"9" * 400, b"Content-Length: 5\r\nContent-Length: 6"),
    *(
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Content-Encoding: gzip",
        b"Expect: 100-continue",
    ),
    *(
        b"Connection: Upgrade\r\nUpgrade: websocket",
        b"Upgrade: h2c",
        b"Range: bytes=5-1",
        b" folded: x",
        b": x",
    ),
    *(
        b"If-None-Match: *",
        b"Accept-Language: zh;q=9",
        b"Content-Type: \xff",
        b"a" * 70_000 + b": b",
        b"\x00: x",
    ),
)
BODIES = (
    *(
        b"",
        b"{",
        b"[" * 20_000,
        b'{"entry":' + b"9" * 5000 + b"}",
        b'{"to":"friend:1","text":"\\ud800"}',
        b"\xff",
    ),
    *(
        b'{"token":null}',
        b'{"entry":"1-1","action":"redrive"}',
        b'{"cmd":"image"}',
        b"5\r\nhello\r\nzz\r\n",
        b"0\r\n\r\n",
    ),
    *(
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"to":["friend:1"],"text":{"a":1}}',
        b"NaN",
        b'{"command":"logout \xff"}',
    ),
)


def damaged(chance: random.Random, data: bytes) -> bytes:
    """Cut or change some bytes."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randrange(4)) + data[at + chance.randrange(3) :]


def request(chance: random.Random, token: bytes) -> bytes:
    """Return a request that is nearly right: half of them may do what the page can do."""
    body = chance.choice(BODIES)
    lines = [chance.choice(METHODS[:2] if chance.random() < 0.7 else METHODS) + b" " + chance.choice(PATHS)]
    lines[0] += chance.choice(
        (b" HTTP/1.1", b" HTTP/1.1", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/9.9", b"", b" \xff")
    )
    if chance.random() < 0.8:
        lines.append(b"Host: 127.0.0.1")
    if chance.random() < 0.6:
        lines.append(b"Authorization: Bearer " + token)
    if chance.random() < 0.6:
        lines.append(b"Content-Length: %d" % len(body))
    lines += chance.sample(HEADERS, chance.randrange(4))
    lines.append(b"Connection: close")
    made = chance.choice((b"\r\n", b"\r\n", b"\r\n", b"\n")).join(lines) + b"\r\n\r\n" + body
    return damaged(chance, made) if chance.random() < 0.25 else made


async def answer(port: int, sent: bytes) -> bytes:
    """Send a request and the end of the stream; returns the start of what comes back."""
    try:
        async with await anyio.connect_tcp("127.0.0.1", port) as connection:
            await connection.send(sent)
            await connection.send_eof()
            return await connection.receive(400)
    except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
        return b""


async def test_raw_requests_get_answers_of_the_page(
    bus: Bus, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await event(bus, "hello")
    seen: Counter[str] = Counter()
    async with page(bus, redis_url, tmp_path) as http:
        port, token = http.base_url.port or 0, token_of(tmp_path).encode()

        async def line(seed: int) -> None:
            chance = random.Random(seed)
            for case in range(CASES // LINES):
                sent = request(chance, token)
                with anyio.fail_after(ANSWER_SECONDS):
                    got = await answer(port, sent)
                status = re.match(rb"HTTP/1\.1 (\d{3}) ", got)
                assert status or not got, f"seed {seed}, case {case}: {sent[:200]!r} {got!r}"
                code = status[1].decode() if status else "closed"
                assert code != "500", f"seed {seed}, case {case}: {sent[:300]!r} {got!r}"
                seen[code] += 1

        async with anyio.create_task_group() as tasks:
            for number in range(LINES):
                tasks.start_soon(line, SEED + number)
        assert (await http.get("/healthz")).status_code == 200
    assert sum(seen.values()) == CASES
    assert {"200", "400", "401", "403", "404", "405", "closed"} <= seen.keys(), seen
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    await bus.client.delete(*[key async for key in bus.client.scan_iter(f"{bus.keys.prefix}:*")])
