"""The OneBot server from another process: its control interface, command line, and reverse mode."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from tests.onebot_server import OneBotServer
from tests.support.onebot_client import onebot_client

pytestmark = pytest.mark.anyio


class Remote:
    """Speaks to the control interface."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def post(self, name: str, body: Any = None) -> Any:
        """Return the result of an operation that succeeds."""
        status, answer = await self.try_post(name, body)
        assert status == 200, answer
        return answer["result"]

    async def try_post(self, name: str, body: Any) -> tuple[int, Any]:
        """Return status and answer."""
        async with self._http.post(f"{self._url}/sim/{name}", json={} if body is None else body) as answer:
            return answer.status, await answer.json()

    async def get(self, name: str, **query: Any) -> Any:
        """Return the answer of a question."""
        async with self._http.get(f"{self._url}/sim/{name}", params=query) as answer:
            return await answer.json()


async def test_everything_can_be_done_by_http() -> None:
    async with OneBotServer(token="hidden") as server, aiohttp.ClientSession() as http:
        remote = Remote(http, server.control_url)
        async with onebot_client(server.url, "hidden") as client:
            await server.wait_connections(1)
            said = await remote.post("say", {"chat": "friend:10001", "text": "hi"})
            assert (await client.event())["message_id"] == said["event"]["message_id"]
            assert len(await remote.post("say", [{"chat": "group:30001", "text": "a"}] * 3)) == 3
            await remote.post("notice", {"kind": "poke", "user": 10001})
            await remote.post("event", {"notice_type": "of the future", "x": 1})
            events = [await client.event() for _ in range(5)]
            assert (events[-1]["post_type"], events[-1]["x"]) == ("notice", 1)
            waiting = asyncio.create_task(remote.get("received", after=0, wait=5))
            await client.call("send_private_msg", user_id=10001, message="answer")
            assert [(one["chat"], one["text"]) for one in await waiting] == [("friend:10001", "answer")]
            events = await remote.get("events", after=4, limit=1)
            assert [(one["n"], one["event"]["sub_type"], one["written"]) for one in events] == [
                (5, "poke", [1])
            ]
            await remote.post("options", {"report_self": True, "heartbeat_ms": 50})
            state = await remote.get("state")
            assert (state["options"]["token"], state["connections"][0]["role"]) == ("…", "universal")
            assert await remote.post("reset") == 1
            await client.end()
        await server.wait_connections(0)
        await remote.post("down")
        assert (await remote.get("state"))["is_down"]
        await remote.post("up")
        whole = json.dumps(
            [await remote.get(name) for name in ("handshakes", "closings", "actions", "state")]
        )
        assert "hidden" not in whole
        assert "reset" in whole


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("nonsense", {}, "no operation 'nonsense'"),
        ("say", {"chat": "friend:5", "text": "x"}, "no friend"),
        ("say", {"chat": "friend:10001", "words": "x"}, "unexpected keyword argument 'words'"),
        ("say", "x", "say"),
        ("say", [1], "say"),
        ("event", [], "an event is an object"),
        ("notice", {"kind": "poke", "colour": 1}, "unexpected keyword argument 'colour'"),
        ("flood", {"chat": "friend:10001", "count": 0}, "count is 1 to"),
        ("flood", {"chat": "friend:10001", "count": 1_000_000}, "more than"),
        ("options", {"nonsense": 1}, "no such option"),
        ("reset", {"connection": 9}, "no connection 9"),
        ("reset", [], "the body is an object"),
        ("answer", {"action": "x"}, "missing a required argument: 'faults'"),
        ("rule", {"path": "x"}, "a rule has no path"),
        ("group", {"number": 1, "members": 10**9}, "at most"),
        ("up", {}, "open already"),
        ("frame", {"size": -1}, "size is 0 to"),
        ("reverse", {"url": "ws://192.0.2.1/"}, "on loopback"),
        ("stop", {}, "no operation"),
    ],
)
async def test_mistakes_are_answered_400_in_words(name: str, body: Any, words: str) -> None:
    async with OneBotServer() as server, aiohttp.ClientSession() as http:
        status, answer = await Remote(http, server.control_url).try_post(name, body)
        assert status == 400
        assert words in answer["error"]


async def test_a_body_that_is_no_json_and_a_question_that_is_none_are_named() -> None:
    async with OneBotServer() as server, aiohttp.ClientSession() as http:
        async with http.post(f"{server.control_url}/sim/say", data=b"{") as answer:
            assert (answer.status, "not JSON" in await answer.text()) == (400, True)
        remote = Remote(http, server.control_url)
        assert "known: state" in (await remote.get("nonsense"))["error"]
        assert "numbers" in (await remote.get("events", after="x"))["error"]


async def test_the_record_is_bounded_and_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.onebot_server.record.MAX_ENTRIES", 10)
    async with OneBotServer() as server, aiohttp.ClientSession() as http:
        for _ in range(25):
            server.say("friend:10001", "x")
        events = await Remote(http, server.control_url).get("events", after=3)
        assert [one["n"] for one in events] == list(range(16, 26))
        assert [one["n"] for one in await Remote(http, server.control_url).get("events", after=23)] == [
            24,
            25,
        ]


async def test_long_texts_of_actions_are_recorded_as_digests() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await client.ask("send_private_msg", user_id=10001, message="x" * 100_000)
        entry = server.record.actions.entries[0]
        assert entry.params["message"].startswith("<100000 characters, sha256 ")


async def test_it_connects_to_a_client_that_listens_and_comes_again() -> None:
    headers: list[dict[str, str]] = []

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        headers.append(dict(socket.request.headers.raw_items()))
        assert json.loads(await socket.recv())["sub_type"] == "connect"
        await socket.send(json.dumps({"action": "get_login_info", "echo": 1}))
        assert json.loads(await socket.recv())["data"]["user_id"] == 20001
        if len(headers) < 2:
            socket.transport.abort()
        else:
            assert json.loads(await socket.recv())["raw_message"] == "hi"
            await socket.send(
                json.dumps({"action": "send_private_msg", "params": {"user_id": 10001, "message": "yo"}})
            )
            await socket.wait_closed()

    for dialect, scheme in (("napcat", "Bearer"), ("go-cqhttp", "Token")):
        headers.clear()
        async with OneBotServer(dialect, token="t") as server, serve(handle, "127.0.0.1", 0) as listener:
            port = listener.sockets[0].getsockname()[1]
            server.do.reverse(f"ws://127.0.0.1:{port}/onebot", seconds=0.01)
            actions = server.record.actions.entries
            await server.record.until(
                lambda seen=actions: sum(one.answered is not None for one in seen) == 2,
                10.0,
                lambda: "no second connection was answered",
            )
            server.say("friend:10001", "hi")
            assert (await server.wait_received(1))[0].text == "yo"
        assert headers[1]["X-Self-ID"] == "20001"
        assert headers[1]["X-Client-Role"] == "Universal"
        assert headers[1]["Authorization"] == f"{scheme} t"


async def test_a_listener_that_refuses_is_recorded() -> None:
    async def refuse(_: web.BaseRequest) -> web.Response:
        return web.Response(status=403)

    runner = web.ServerRunner(web.Server(refuse))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with OneBotServer() as server:
            server.do.reverse(f"ws://127.0.0.1:{runner.addresses[0][1]}/", seconds=0.01)
            log = server.record.handshakes
            await server.record.until(lambda: log.count >= 2, 10.0, lambda: "no second try")
            assert "403" in log.entries[0].refusal
    finally:
        await runner.cleanup()


async def started(*arguments: str) -> tuple[asyncio.subprocess.Process, str, str]:
    """Start the program; return it with its two addresses."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.onebot_server", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url, control = (await process.stdout.readline()).decode().split()
    return process, url, control


async def test_the_program_plays_a_script_narrates_and_ends_at_sigterm(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps(
            [
                {"do": "friend", "with": {"user": 777}},
                {"after": 0.01, "do": "options", "with": {"report_self": False}},
            ]
        )
    )
    process, url, control = await started(
        "--dialect",
        "llbot",
        "--group",
        "30009=50",
        "--script",
        str(script),
        "--narrate",
        "--talk",
        "你好",
        "--set",
        "token=t",
    )
    assert process.stdout is not None
    async with onebot_client(url, "t") as client, aiohttp.ClientSession() as http:
        await client.call("get_login_info")
        assert (await client.event())["raw_message"] == "你好"
        await client.call("send_private_msg", user_id=10001, message="答")
        assert (await process.stdout.readline()).decode().strip() == "小明 (10001) says: 你好"
        assert (await process.stdout.readline()).decode().strip() == "friend:10001 receives: 答"
        assert len(await client.call("get_group_member_list", group_id=30009)) == 50
        assert (await Remote(http, control).get("state"))["options"]["dialect"] == "llbot"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dialect", "x"], "dialect must be one of"),
        (["--set", "nonsense=1"], "no such option"),
        (["--group", "x"], "--group is NUMBER=MEMBERS"),
        (["--script", "/nowhere"], "/nowhere"),
    ],
)
async def test_mistakes_on_the_command_line_end_it_with_2(arguments: list[str], words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.onebot_server", *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert (process.returncode, words in said.decode()) == (2, True)
