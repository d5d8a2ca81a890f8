"""Proof of adapter/ops/page over HTTP, with a real server and a real Redis."""

import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgpack
import pytest

from adapter.bus.streams import Bus
from adapter.config import Config
from adapter.contract.acl import ROLES, hashed, line
from adapter.envelope import pack
from adapter.errors import ConfigError
from adapter.ops.metrics import Metrics
from adapter.ops.page import served
from adapter.ops.page.hub import QUEUE
from tests.helpers import wait_until

pytestmark = pytest.mark.anyio

TOKEN = "correct-horse-battery"
PNG = b"\x89PNG\r\n\x1a\n and so on"


def config(prefix: str, folder: Path, **settings: str) -> Config:
    given = {"QQBUS_HTTP": "127.0.0.1:0", "QQBUS_PREFIX": prefix, "QQBUS_STATE_DIR": str(folder)}
    return Config.read(given | settings)


@asynccontextmanager
async def page(
    bus: Bus, redis_url: str, folder: Path, metrics: Metrics | None = None, **settings: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A page and somebody who looks at it."""
    made = config(bus.keys.prefix, folder, **settings)
    async with served(made, redis_url, metrics or Metrics()) as url:
        port = url.rpartition(":")[2]
        own = {"X-QQBus": "1", "Origin": f"http://127.0.0.1:{port}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=own, trust_env=False, timeout=10.0
        ) as http:
            yield http


async def event(bus: Bus, text: str, **changes: str | bytes) -> str:
    fields: dict[Any, Any] = {
        "v": "1",
        "id": f"1.f1.2.3.4.{len(text):04x}",
        "type": "message.friend",
        "time": "2026-01-02T03:04:05.000Z",
        "account": "305419896",
        "epoch": "1",
        "seq": "1",
        "chat": "friend:1",
        "sender": "1",
        "self": "0",
        "text": text,
        "body": pack({"chat": {"name": "林晓"}, "sender": {"name": "林晓"}}),
    }
    entry: bytes = await bus.client.xadd(bus.keys("inbound"), fields | changes)
    return entry.decode()


class Listener:
    """One open page's end of the stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self, kind: str) -> Any:
        """The next message of a kind."""
        with anyio.fail_after(10):
            found = ""
            async for line in self._lines:
                if line.startswith("event: "):
                    found = line[7:]
                elif line.startswith("data: ") and found == kind:
                    return json.loads(line[6:])
        raise AssertionError(f"the stream ended without {kind}")

    async def news(self, name: str) -> Any:
        """The next news that have something of this name."""
        while True:
            news = await self.next("news")
            if name in news:
                return news[name]


@asynccontextmanager
async def listening(http: httpx.AsyncClient) -> AsyncIterator[Listener]:
    async with http.stream("GET", "/api/stream") as response:
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        yield Listener(response)


# --- what it shows -----------------------------------------------------------------------------


async def test_a_page_gets_the_whole_picture_and_then_the_news(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    await event(bus, "before")
    async with page(bus, redis_url, tmp_path) as http, listening(http) as stream:
        picture = await stream.next("all")
        assert [row["text"] for row in picture["events"]] == ["before"]
        assert picture["held"] is False
        assert await stream.next("clock") > 1_700_000_000
        await event(bus, "after", seq="2")
        [row] = await stream.news("events")
        assert (row["text"], row["chat_name"], row["chat"]) == ("after", "林晓", "friend:1")
        entry = await bus.client.xadd(bus.keys("outbound"), {"to": "friend:1", "text": "yes"})
        [request] = await stream.news("requests")
        assert (request["entry"], request["text"]) == (entry.decode(), "yes")


async def test_a_flood_is_counted_and_its_newest_shown(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http, listening(http) as stream:
        await stream.next("all")
        await event(bus, "first")
        assert await stream.news("events")
        pipe = bus.client.pipeline(transaction=True)
        template = await bus.client.xrevrange(bus.keys("inbound"), count=1)
        for seq in range(2, 502):
            pipe.xadd(bus.keys("inbound"), template[0][1] | {b"seq": str(seq).encode()})
        await pipe.execute()
        news = await stream.next("news")
        while "events" not in news:
            news = await stream.next("news")
        assert news["events"][-1]["seq"] == 501
        assert len(news["events"]) + news["skipped"] == 500


async def test_long_texts_are_clipped_and_whole_on_demand(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    text = "<img src=x onerror=alert(1)>\u202e" + "x" * 100_000
    entry = await event(bus, text)
    async with page(bus, redis_url, tmp_path) as http:
        async with listening(http) as stream:
            [row] = (await stream.next("all"))["events"]
        assert len(row["text"]) == 600
        assert row["length"] == len(text)
        query = {"stream": "inbound", "entry": entry}
        assert (await http.get("/api/text", params=query)).json()["text"] == text
        assert (await http.get("/api/text", params=query | {"stream": "session"})).status_code == 400
        assert (await http.get("/api/text", params=query | {"entry": "-"})).status_code == 400
        assert (await http.get("/api/text", params=query | {"entry": "1-1"})).status_code == 404


async def test_a_code_is_shown_while_it_is_the_newest_and_never_in_the_stream(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    session = bus.keys("session")
    fields: dict[Any, Any] = {"v": "1", "state": "qr", "png": PNG, "text": "https://secret.example/k"}
    entry = (await bus.client.xadd(session, fields)).decode()
    async with page(bus, redis_url, tmp_path) as http:
        async with listening(http) as stream:
            told = (await stream.next("all"))["session"]
        assert (told["entry"], told["picture"]) == (entry, True)
        assert "secret" not in json.dumps(told)
        picture = await http.get("/api/picture", params={"entry": entry})
        assert (picture.content, picture.headers["content-type"]) == (PNG, "image/png")
        assert picture.headers["cache-control"] == "no-store"
        await bus.client.xadd(session, {"v": "1", "state": "online"})
        assert (await http.get("/api/picture", params={"entry": entry})).status_code == 404


async def test_groups_dead_letters_and_status_are_told(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    await bus.make_group("inbound", "echo")
    entry = await event(bus, "one")
    await event(bus, "two")
    await bus.client.xreadgroup("echo", "echo-1", {bus.keys("inbound"): ">"}, count=1)
    await bus.client.hset(bus.keys("status"), mapping={"state": "online", "account": "305419896"})
    async with page(bus, redis_url, tmp_path) as http, listening(http) as stream:
        picture = await stream.next("all")
        [group] = picture["groups"]
        assert (group["name"], group["pending"], group["lag"]) == ("echo", 1, 1)
        assert 0 <= group["oldest"] < 60
        assert picture["status"]["state"] == "online"
        await bury(bus, entry)
        [letter] = await stream.news("dead")
        assert (letter["reason"], letter["chat"], letter["text"]) == ("handler.failed", "friend:1", "hello")


async def bury(bus: Bus, entry: str, stream: str = "outbound") -> str:
    original = {"to": b"friend:1", "text": b"hello", "id": b"echo/1"}
    fields: dict[Any, Any] = {
        "v": "1",
        "stream": bus.keys(stream),
        "entry": entry,
        "reason": "handler.failed",
        "fields": msgpack.packb(original),
    }
    letter: bytes = await bus.client.xadd(bus.keys("dead"), fields)
    return letter.decode()


async def test_contacts_are_found_by_name_mark_and_number(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    key = bus.keys
    await bus.put(key("friends"), {"1": pack({"name": "小林", "nick": "林晓", "qq": "10001"}), "2": b"\xc1"})
    await bus.put(key("groups"), {"7": pack({"name": "读书会 <一>"})})
    await bus.put(key.members("group:7"), {"3": pack({"name": "Tom", "card": "猫 & 鼠"})})
    await bus.client.expire(key.members("group:7"), 60)
    async with page(bus, redis_url, tmp_path) as http:

        async def found(**query: str) -> list[str]:
            return [row["address"] for row in (await http.get("/api/contacts", params=query)).json()["rows"]]

        assert await found() == ["friend:1", "group:7", "friend:2"]
        assert await found(q="林晓") == ["friend:1"]
        assert await found(q="10001") == ["friend:1"]
        assert await found(kind="groups") == ["group:7"]
        assert await found(chat="group:7") == ["temp:3@group:7"]
        assert (await http.get("/api/contacts", params={"chat": "friend:1"})).status_code == 400


# --- what it does ------------------------------------------------------------------------------


async def test_a_message_becomes_a_request_or_is_refused_in_words(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        body = {"to": "friend:1", "text": "hi", "id": "page/1"}
        assert (await http.post("/api/send", json=body)).json()["id"] == "page/1"
        [(_, fields)] = await bus.client.xrange(bus.keys("outbound"))
        assert fields == {b"to": b"friend:1", b"text": b"hi", b"id": b"page/1"}
        for wrong, words in (
            ({"to": "moon", "text": "x"}, "is not one of"),
            ({"to": "friend:1", "text": " "}, "nothing to say"),
            ({"to": "friend:1", "text": 7}, "text is not a text"),
            (["friend:1"], "not an object"),
        ):
            refused = await http.post("/api/send", json=wrong)
            assert refused.status_code == 400
            assert words in refused.json()["error"]
        surrogate = await http.post("/api/send", content=b'{"to": "friend:1", "text": "\\ud800"}')
        assert surrogate.status_code == 400
        assert (await http.post("/api/send", content=b"x" * 300_000)).status_code == 413
        assert await bus.client.xlen(bus.keys("outbound")) == 1


async def test_commands_reach_the_control_stream(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        assert (await http.post("/api/control", json={"cmd": "login"})).status_code == 200
        assert (await http.post("/api/control", json={"cmd": "captcha", "text": "abcd"})).status_code == 200
        for wrong in ({"cmd": "explode"}, {"cmd": "captcha"}, {"cmd": "login", "text": "x"}, {"cmd": ""}):
            assert (await http.post("/api/control", json=wrong)).status_code == 400
        told = [fields for _, fields in await bus.client.xrange(bus.keys("control"))]
        assert told == [
            {b"cmd": b"login", b"by": b"page"},
            {b"cmd": b"captcha", b"by": b"page", b"text": b"abcd"},
        ]


async def test_dead_letters_are_redriven_once_or_dropped(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    first, second = await bury(bus, "1-1"), await bury(bus, "1-2")
    foreign = await bury(bus, "1-3", "session")
    async with page(bus, redis_url, tmp_path) as http:

        async def act(entry: str, action: str) -> tuple[int, Any]:
            answer = await http.post("/api/dead", json={"entry": entry, "action": action})
            return answer.status_code, answer.json()

        assert await act(first, "redrive") == (200, {"done": True})
        assert (await act(first, "redrive"))[0] == 404
        assert await act(second, "drop") == (200, {"done": True})
        assert await act(second, "drop") == (200, {"done": False})
        assert (await act(foreign, "redrive"))[0] == 409
        assert (await act("all", "drop"))[0] == 400
        [(_, fields)] = await bus.client.xrange(bus.keys("outbound"))
        assert fields == {b"to": b"friend:1", b"text": b"hello", b"id": b"echo/1"}


# --- who may -----------------------------------------------------------------------------------


async def test_every_answer_carries_the_strict_headers(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        for path in ("/", "/page.js", "/healthz", "/api/contacts", "/nothing", "/api/picture"):
            headers = (await http.get(path)).headers
            policy = headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] in {"no-store", "no-cache"}


async def test_the_page_holds_no_foreign_address_and_no_inline_code(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        for path in ("/", "/login"):
            text = (await http.get(path)).text
            assert "http:" not in text
            assert "https:" not in text
            assert " style=" not in text
            assert "onclick" not in text
            assert "<script>" not in text
        etag = (await http.get("/page.js")).headers["etag"]
        assert (await http.get("/page.js", headers={"If-None-Match": etag})).status_code == 304


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8710", "127.0.0.1.evil.example", ""])
async def test_a_rebound_name_is_refused(bus: Bus, redis_url: str, tmp_path: Path, host: str) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        for path in ("/", "/api/stream", "/api/picture", "/metrics"):
            refused = await http.get(path, headers={"Host": host})
            assert refused.status_code == 403
            assert "QQBUS_HTTP_TOKEN" in refused.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8710"])
async def test_loopback_names_are_served_also_through_a_tunnel(
    bus: Bus, redis_url: str, tmp_path: Path, host: str
) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        assert (await http.get("/", headers={"Host": host})).status_code == 200


async def test_a_proxy_needs_a_token(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        assert (await http.get("/", headers={"X-Forwarded-For": "203.0.113.7"})).status_code == 403


async def test_a_post_from_another_site_is_refused(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        own = str(http.headers["Origin"])
        for wrong in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": own.replace("http://", "http://evil.")},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            answer = await http.post("/api/control", json={"cmd": "logout"}, headers=wrong)
            assert answer.status_code == 403
        del http.headers["X-QQBus"]
        assert (await http.post("/api/control", json={"cmd": "logout"})).status_code == 403
        http.headers["X-QQBus"] = "1"
        del http.headers["Origin"]
        assert (await http.post("/api/control", json={"cmd": "logout"})).status_code == 403
        assert await bus.client.xlen(bus.keys("control")) == 0
        asked = await http.options("/api/control", headers={"Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in asked.headers


async def test_with_a_token_nothing_but_health_and_the_door_is_open(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN=TOKEN) as http:
        assert (await http.get("/")).headers["location"] == "/login"
        for path in ("/api/stream", "/api/picture", "/api/contacts", "/metrics", "/page.js", "/api/text"):
            assert (await http.get(path)).status_code == 401
        assert (await http.post("/api/send", json={"to": "friend:1", "text": "x"})).status_code == 401
        for path in ("/healthz", "/login", "/page.css", "/login.js", "/net.js"):
            assert (await http.get(path)).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
        assert await bus.client.xlen(bus.keys("outbound")) == 0


async def test_the_token_is_a_cookie_that_scripts_cannot_read_or_a_bearer(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN=TOKEN) as http:
        for wrong in ("", "wrong", TOKEN[:-1], TOKEN + "x", "é"):
            assert (await http.post("/login", json={"token": wrong})).status_code == 403
        given = await http.post("/login", json={"token": TOKEN})
        cookie = given.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/", headers={"Host": "bot.example"})).status_code == 200
        http.cookies.clear()
        assert (await http.get("/")).status_code == 303
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.get("/metrics", headers=bearer)).status_code == 200
        assert (await http.get("/metrics", headers={"Authorization": "Bearer wrong"})).status_code == 401


async def test_bound_elsewhere_it_makes_a_token_only_the_owner_can_read(
    bus: Bus, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP="0.0.0.0:0") as http:
        assert (await http.get("/api/contacts")).status_code == 401
        file = tmp_path / "http-token"
        token = file.read_text().strip()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (await http.get("/metrics", headers={"Authorization": f"Bearer {token}"})).status_code == 200
        assert str(file) in caplog.text
        assert token not in caplog.text
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP="0.0.0.0:0"):
        assert file.read_text().strip() == token


async def test_a_weak_token_and_a_taken_port_are_named(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="QQBUS_HTTP_TOKEN"):
        async with page(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN="short"):
            pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"QQBUS_HTTP={address}"):
            async with page(bus, redis_url, tmp_path, QQBUS_HTTP=address):
                pass


async def test_the_adapters_own_rights_are_enough(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    prefix = bus.keys.prefix
    granted = line(ROLES["adapter"], prefix, user=prefix, secret=hashed("pw"))
    await bus.client.execute_command("ACL", "SETUSER", *granted.split())  # type: ignore[no-untyped-call]
    await bus.make_group("inbound", "echo")
    await event(bus, "hello")
    try:
        url = redis_url.replace("redis://", f"redis://{prefix}:pw@")
        async with page(bus, url, tmp_path) as http:
            async with listening(http) as stream:
                picture = await stream.next("all")
                assert (picture["bus"], len(picture["events"]), len(picture["groups"])) == ("", 1, 1)
            sent = await http.post("/api/send", json={"to": "friend:1", "text": "x"})
            told = await http.post("/api/control", json={"cmd": "refresh"})
            again = await http.post("/api/dead", json={"entry": await bury(bus, "1-1"), "action": "redrive"})
            assert [answer.status_code for answer in (sent, told, again)] == [200, 200, 200]
            assert "qqbus_redis_up 1.0" in (await http.get("/metrics")).text
    finally:
        await bus.client.execute_command("ACL", "DELUSER", prefix)  # type: ignore[no-untyped-call]


async def test_off_means_off(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with served(config(bus.keys.prefix, tmp_path, QQBUS_HTTP="off"), redis_url, Metrics()) as url:
        assert url == ""


# --- how it ends -------------------------------------------------------------------------------


async def test_it_ends_at_once_though_pages_are_open(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
        async with served(config(bus.keys.prefix, tmp_path), redis_url, Metrics()) as url:
            request = http.build_request("GET", f"{url}/api/stream")
            response = await http.send(request, stream=True)
            lines = response.aiter_lines()
            assert await anext(lines) == "event: all"
            began = anyio.current_time()
        assert anyio.current_time() - began < 1.5
        with anyio.fail_after(5):
            assert [line async for line in lines][-1] == ""
        await response.aclose()


async def test_redis_away_is_said_and_the_page_stays(redis_url: str, prefix: str, tmp_path: Path) -> None:
    del redis_url
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
    async with (
        served(config(prefix, tmp_path), url, Metrics()) as address,
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=10.0) as http,
    ):
        async with listening(http) as stream:
            assert (await stream.next("all"))["bus"] == "Redis is away"
        assert (await http.get("/api/contacts")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["redis"]) == (503, "BusUnavailable")
        assert b"qqbus_redis_up 0.0" in (await http.get("/metrics")).content


async def test_a_page_that_takes_nothing_holds_up_nobody(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    await event(bus, "x" * 500)
    template = (await bus.client.xrevrange(bus.keys("inbound"), count=1))[0][1]

    async def flood(first: int) -> None:
        for seq in range(first, first + 40):
            await bus.client.xadd(bus.keys("inbound"), template | {b"seq": str(seq).encode()})

    async with page(bus, redis_url, tmp_path) as http:
        deaf = socket.create_connection((http.base_url.host, http.base_url.port or 0))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with deaf:
            host = f"127.0.0.1:{http.base_url.port}"
            deaf.sendall(f"GET /api/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            async with listening(http) as stream:
                await stream.next("all")
                for turn in range(QUEUE + 4):
                    await flood(2 + 40 * turn)
                    assert await stream.news("events")


async def test_pages_that_close_are_forgotten(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:

        async def pages(count: int) -> bool:
            return f"qqbus_page_clients {count}.0" in (await http.get("/metrics")).text

        async with listening(http) as one:
            await one.next("all")
            assert await pages(1)
        await wait_until(lambda: pages(0), "the page is forgotten")
