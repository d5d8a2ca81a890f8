"""Proof of adapter/ops/page over HTTP, with a real server and a real Redis."""

import io
import json
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from adapter.bus.bus import Bus
from adapter.codec.inbound import pack
from adapter.events import SessionState
from adapter.ops.metrics import Metrics, Snapshot
from adapter.ops.page import run_page
from adapter.ops.supervisor import Supervisor
from tests.support.helpers import wait_until
from tests.support.page_client import bearer, bury, config, event, listening, page

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n and so on"

# --- what it shows -----------------------------------------------------------------------------


async def test_a_page_gets_the_whole_picture_and_then_the_news(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    await event(bus, "before")
    async with page(bus, redis_url, tmp_path) as http, listening(http) as stream:
        picture = await stream.next("all")
        assert [row["text"] for row in picture["events"]] == ["before"]
        assert picture["held"] is False
        assert picture["summary"] == {
            "level": "bad",
            "headline": "no adapter has run yet",
            "hint": "Start one with: qqbus run",
        }
        assert await stream.next("clock") > 1_700_000_000
        await event(bus, "after", seq="2")
        [row] = await stream.news("events")
        assert (row["text"], row["chat_name"], row["chat"]) == ("after", "林晓", "friend:1")
        entry = await bus.client.xadd(bus.keys("outbound"), {"to": "friend:1", "text": "yes"})
        [request] = await stream.news("requests")
        assert (request["entry"], request["text"]) == (entry.decode(), "yes")


class Terminal(io.StringIO):
    """A screen."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("is_terminal", [True, False])
async def test_the_link_that_signs_in_is_for_a_person_and_not_for_a_log(
    bus: Bus,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_terminal: bool,  # noqa: FBT001 – a parameter of pytest
) -> None:
    screen = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with caplog.at_level("INFO"):
        async with page(bus, redis_url, tmp_path):
            pass
    assert ("/login?code=" in screen.getvalue()) is is_terminal
    assert "/login?code=" not in caplog.text
    assert "qqbus page" in caplog.text


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
    await bus.ensure_group("inbound", "echo")
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


async def test_contacts_are_found_by_name_mark_and_number(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    key = bus.keys
    await bus.hset(key("friends"), {"1": pack({"name": "小林", "nick": "林晓", "qq": "10001"}), "2": b"\xc1"})
    await bus.hset(key("groups"), {"7": pack({"name": "读书会 <一>"})})
    await bus.hset(key.members("group:7"), {"3": pack({"name": "Tom", "card": "猫 & 鼠"})})
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
            ({"to": "friend:1", "text": " "}, "nothing to send"),
            ({"to": "friend:1", "text": 7}, "text is not a text"),
            (["friend:1"], "not a JSON object"),
        ):
            refused = await http.post("/api/send", json=wrong)
            assert refused.status_code == 400
            assert words in refused.json()["error"]
        surrogate = await http.post("/api/send", content=b'{"to": "friend:1", "text": "\\ud800"}')
        assert surrogate.status_code == 400
        assert (await http.post("/api/send", content=b"x" * 300_000)).status_code == 413
        assert await bus.client.xlen(bus.keys("outbound")) == 1


async def test_a_name_or_a_qq_number_stands_for_an_address(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    await bus.hset(bus.keys("friends"), {"41": pack({"name": "小林", "qq": "10001"})})
    async with page(bus, redis_url, tmp_path) as http:
        for to in ("小林", "10001", "friend:10001"):
            answer = await http.post("/api/send", json={"to": to, "text": "hi"})
            assert answer.json()["to"] == "friend:41"
        refused = await http.post("/api/send", json={"to": "moon", "text": "hi"})
        assert "no contact has that name" in refused.json()["error"]


async def test_a_result_on_a_stream_of_the_workers_own_settles_its_request(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async def ask(name: str) -> str:
        fields: dict[Any, Any] = {"to": "friend:1", "text": "hi", "results": bus.keys(f"results:{name}")}
        return (await bus.client.xadd(bus.keys("outbound"), fields)).decode()

    async def settle(name: str, entry: str) -> None:
        await bus.client.xadd(bus.keys(f"results:{name}"), {"entry": entry, "status": "sent", "code": "ok"})
        await bus.client.expire(bus.keys(f"results:{name}"), 60)

    before = await ask("mine")
    await settle("mine", before)
    async with page(bus, redis_url, tmp_path) as http, listening(http) as stream:
        picture = await stream.next("all")
        assert [row["entry"] for row in picture["results"]] == [before]
        for number in range(20):  # more streams than are followed: the newest are
            entry = await ask(f"own{number}")
        assert await stream.news("requests")
        await settle("own19", entry)
        assert [row["entry"] for row in await stream.news("results")] == [entry]


async def test_a_request_is_approved_or_denied(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    event_id = "305419896.-.10010.:1445653507.1445653507.5c2e"
    async with page(bus, redis_url, tmp_path) as http:
        body = {"op": "approve", "event": event_id, "id": "page/9"}
        assert (await http.post("/api/answer", json=body)).status_code == 200
        [(_, fields)] = await bus.client.xrange(bus.keys("outbound"))
        assert fields == {b"op": b"approve", b"event": event_id.encode(), b"id": b"page/9"}
        for wrong in ({"op": "call", "event": event_id}, {"op": "deny"}, {"op": "deny", "event": "x"}):
            assert (await http.post("/api/answer", json=wrong)).status_code == 400


async def test_a_standby_says_so(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    await bus.client.set(bus.keys("lease"), "other:1:x", ex=60)
    async with page(bus, redis_url, tmp_path) as http, listening(http) as stream:
        assert (await stream.next("all"))["standby"] is True
        await bus.client.delete(bus.keys("lease"))
        assert await stream.news("standby") is False


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


# --- how it ends -------------------------------------------------------------------------------


async def test_it_ends_at_once_though_pages_are_open(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
        async with run_page(
            config(bus.keys.prefix, tmp_path), redis_url, Metrics(), Supervisor(Metrics())
        ) as url:
            request = http.build_request("GET", f"{url}/api/stream", headers=bearer(tmp_path))
            response = await http.send(request, stream=True)
            lines = response.aiter_lines()
            assert await anext(lines) == "event: all"
        # Ended as it should be: one that the server had cut when it would wait no longer raises here.
        with anyio.fail_after(5):
            assert [line async for line in lines][-1] == ""
        await response.aclose()


async def test_redis_away_is_said_and_the_page_stays(redis_url: str, prefix: str, tmp_path: Path) -> None:
    del redis_url
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
    async with (
        run_page(config(prefix, tmp_path), url, Metrics(), Supervisor(Metrics())) as address,
        httpx.AsyncClient(base_url=address, headers=bearer(tmp_path), trust_env=False, timeout=10.0) as http,
    ):
        async with listening(http) as stream:
            assert (await stream.next("all"))["bus"] == "Redis does not answer"
        assert (await http.get("/api/contacts")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["redis"]) == (503, "BusUnavailable")
        assert b"qqbus_redis_up 0.0" in (await http.get("/metrics")).content


FULL = "the spool cannot be written: No space left on device"


async def test_a_full_disk_is_shown_and_not_ready(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    reading = Snapshot(SessionState.ONLINE, "", "1", True, 1, False, 0, False)
    metrics = Metrics()
    metrics.snapshot = lambda: reading
    async with page(bus, redis_url, tmp_path, metrics) as http, listening(http) as stream:
        assert (await stream.next("all"))["disk"] == ""
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["disk"]) == (200, "ok")
        reading = replace(reading, stuck=FULL)
        assert await stream.news("disk") == FULL
        await bus.client.hset(bus.keys("status"), "state", "online")
        await bus.client.set(bus.keys("lease"), "host:1:x", ex=60)
        while (summary := await stream.news("summary"))["headline"] != "the disk is full":
            assert summary["level"] == "bad"
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["disk"]) == (503, FULL)
        assert (await http.get("/healthz")).status_code == 200
        reading = replace(reading, stuck="")
        assert await stream.news("disk") == ""


async def test_who_stands_by_shows_the_disk_of_the_other_one(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    await bus.client.hset(bus.keys("status"), mapping={"state": "online", "disk": FULL})
    async with page(bus, redis_url, tmp_path) as http, listening(http) as stream:
        assert (await stream.next("all"))["disk"] == FULL


async def test_a_full_disk_is_shown_while_redis_is_away(prefix: str, tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.snapshot = lambda: Snapshot(SessionState.ONLINE, "", "1", True, 1, False, 0, True, FULL)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
    async with (
        run_page(config(prefix, tmp_path), url, metrics, Supervisor(metrics)) as address,
        httpx.AsyncClient(base_url=address, headers=bearer(tmp_path), trust_env=False, timeout=10.0) as http,
        listening(http) as stream,
    ):
        picture = await stream.next("all")
        assert (picture["bus"], picture["disk"]) == ("Redis does not answer", FULL)


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
            host, proof = f"127.0.0.1:{http.base_url.port}", bearer(tmp_path)["Authorization"]
            deaf.sendall(
                f"GET /api/stream HTTP/1.1\r\nHost: {host}\r\nAuthorization: {proof}\r\n\r\n".encode()
            )
            async with listening(http) as stream:
                await stream.next("all")
                for turn in range(8):
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
