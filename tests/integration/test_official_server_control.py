"""The official server from another process: control interface, QR portal, command line."""

import asyncio
import base64
import json
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.official_server import OfficialServer
from tests.official_server.visitor import Visitor

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))


class Remote:
    """Speaks to the control interface and the portal."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and answer."""
        answer = await self._http.post(f"{self._url}{path}", json={} if body is None else body)
        return answer.status_code, answer.json()

    async def get(self, name: str, **query: Any) -> Any:
        """Return the answer."""
        return (await self._http.get(f"{self._url}/sim/{name}", params=query)).json()


async def test_all_can_be_done_by_http() -> None:
    async with (
        OfficialServer() as server,
        httpx.AsyncClient(trust_env=False) as http,
        Visitor(server) as bot,
    ):
        remote = Remote(http, server.url)
        await bot.identify()
        status, said = await remote.post("/sim/say", [{"chat": "friend:ann", "text": "hi"}] * 2)
        assert (status, len(said["said"])) == (200, 2)
        assert [(await bot.frame())["d"]["id"] for _ in range(2)] == said["said"]
        assert await remote.get("openid", chat="friend:ann") == {"openid": server.openid("friend:ann")}
        waiting = asyncio.create_task(remote.get("received", after=0, wait=5))
        await bot.send("friend:ann", "yes", msg_id=said["said"][1])
        assert [(one["chat"], one["text"], one["anchor"]) for one in await waiting] == [
            ("friend:ann", "yes", said["said"][1])
        ]
        events = await remote.get("events")
        assert [one["copies"][0]["sent"] for one in events] == [1, 1]
        assert (await remote.post("/sim/repeat", {"n": 1}))[1] == {"n": 1}
        assert (await bot.frame())["s"] == 4
        assert (await remote.post("/sim/notice", {"kind": "FRIEND_DEL", "chat": "friend:ann"}))[0] == 200
        assert (await bot.frame())["t"] == "FRIEND_DEL"
        assert (await remote.post("/sim/push", {"type": "NEW_THING", "body": {"id": "x"}}))[0] == 200
        assert (await bot.frame())["d"] == {"id": "x"}
        assert (await remote.post("/sim/frame", {"op": 1}))[1] == {"sent": 1}
        assert await bot.frame() == {"op": 1}
        changed = await remote.post("/sim/chat", {"chat": "group:lab", "receives": "all"})
        assert changed[1]["receives"] == "all"
        assert (await remote.post("/sim/kill", {"code": 4009}))[1] == {"closed": 1}
        assert (await bot.closed())[0] == 4009
        assert [one["code"] for one in await remote.get("connections")] == [4009]
        assert [one["end_reason"] for one in await remote.get("sessions")] == [""]
        secrets = await remote.get("secrets")
        assert server.secret in secrets
        assert bot.token in secrets
        assert (await remote.get("state"))["counts"]["events"] == 4
        assert {one["op"] for one in await remote.get("frames") if one["direction"] == "in"} == {2}
        await remote.post("/sim/options", {"token_seconds": 60})
        await remote.post("/sim/advance", {"seconds": 10})
        await remote.post("/sim/revoke")
        await remote.post("/sim/answer", {"endpoint": "gateway", "answers": [{"status": 504}]})
        await remote.post("/sim/rule", {"endpoint": "me", "every": 1, "answer": {"code": 11265}})
        assert (await bot.call("GET", "/gateway")).status_code == 504
        assert (await bot.call("GET", "/users/@me")).json()["code"] == 11265
        await remote.post("/sim/clear")
        await bot.fetch_token()
        assert (await bot.call("GET", "/users/@me")).status_code == 200
        assert [one["status"] for one in await remote.get("requests", after=3, limit=1)] == [401]


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("say", {"chat": "nobody", "text": "x"}, "a chat is"),
        ("say", {"chat": "friend:a", "attachments": [{"kind": "x"}]}, "kind is one of"),
        ("say", {"chat": "group:a", "text": "x"}, "has a sender"),
        ("chat", {"chat": "friend:a", "receives": "all"}, "has no switch"),
        ("chat", {"chat": "group:a", "receives": "none"}, "must be one of"),
        ("notice", {"kind": "NONE", "chat": "friend:a"}, "no notice"),
        ("options", {"nonsense": 1}, "no such option"),
        ("options", {"api_qps": "1"}, "must be of type int"),
        ("options", {"full_at": "none"}, "must be one of"),
        ("answer", {"endpoint": "none", "answers": [{}]}, "endpoint must be"),
        ("answer", {"endpoint": "send", "answers": [{"cut": "off"}]}, "cut must be"),
        ("kill", {"how": "softly"}, "how must be"),
        ("repeat", {"n": 9}, "no event 9"),
    ],
)
async def test_mistakes_are_answered_400_in_words(name: str, body: Any, words: str) -> None:
    async with OfficialServer() as server, httpx.AsyncClient(trust_env=False) as http:
        status, answer = await Remote(http, server.url).post(f"/sim/{name}", body)
        assert status == 400
        assert words in answer["error"]


async def test_a_scanned_code_brings_the_secret() -> None:
    async with OfficialServer() as server, httpx.AsyncClient(trust_env=False) as http:
        remote = Remote(http, server.url)
        assert (await remote.post("/sim/scan"))[0] == 409
        assert (await remote.post("/lite/create_bind_task", {"key": "short"}))[1]["retcode"] != 0
        _, created = await remote.post("/lite/create_bind_task", {"key": base64.b64encode(KEY).decode()})
        task = created["data"]
        assert (await remote.post("/lite/poll_bind_result", task))[1]["data"] == {"status": 0}
        await remote.post("/sim/scan", {"state": "scanned"})
        assert (await remote.post("/lite/poll_bind_result", task))[1]["data"] == {"status": 1}
        await remote.post("/sim/scan")
        bound = (await remote.post("/lite/poll_bind_result", task))[1]["data"]
        sealed = base64.b64decode(bound["bot_encrypt_secret"])
        assert (bound["status"], bound["bot_appid"]) == (2, server.appid)
        assert AESGCM(KEY).decrypt(sealed[:12], sealed[12:], None).decode() == server.secret


async def test_a_code_expires() -> None:
    async with OfficialServer() as server, httpx.AsyncClient(trust_env=False) as http:
        remote = Remote(http, server.url)
        _, created = await remote.post("/lite/create_bind_task", {"key": base64.b64encode(KEY).decode()})
        server.advance(301)
        assert (await remote.post("/lite/poll_bind_result", created["data"]))[1]["data"] == {"status": 3}
        assert (await remote.post("/lite/poll_bind_result", {"task_id": "none"}))[1]["retcode"] != 0


async def run(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.official_server",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_runs_as_a_program_until_it_is_ended(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"endpoint": "token", "every": 1, "answer": {"code": 100001}}]))
    program = await run("--rules", str(rules), "--set", "full_at=both", "--set", "heartbeat_ms=50")
    assert program.stdout is not None
    url = (await program.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(trust_env=False) as http:
        options = (await Remote(http, url).get("state"))["options"]
        assert (options["full_at"], options["heartbeat_ms"]) == ("both", 50)
        token = await http.post(f"{url}/app/getAppAccessToken", json={})
        assert (token.status_code, token.json()["code"]) == (200, 100001)
    program.send_signal(signal.SIGTERM)
    assert await program.wait() == 0


@pytest.mark.parametrize("arguments", [("--set", "none=1"), ("--rules", "/does/not/exist")])
async def test_a_mistake_in_the_arguments_ends_it(arguments: tuple[str, str]) -> None:
    program = await run(*arguments)
    _, error = await program.communicate()
    assert program.returncode == 2
    assert error.startswith(b"official_server: ")
