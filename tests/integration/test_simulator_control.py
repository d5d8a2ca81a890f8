"""The simulator from another process: its control API and its command line."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulator import Simulator
from tests.simulator.visitor import Visitor, logged_in

pytestmark = pytest.mark.anyio


class Remote:
    """Speaks to the control API."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def post(self, name: str, body: Any = None) -> tuple[int, Any]:
        """Return status and answer."""
        async with self._http.post(f"{self._url}/sim/{name}", json={} if body is None else body) as answer:
            return answer.status, await answer.json()

    async def get(self, name: str, **query: Any) -> Any:
        """Return the answer."""
        async with self._http.get(f"{self._url}/sim/{name}", params=query) as answer:
            return await answer.json()


async def test_everything_can_be_done_by_http() -> None:
    async with (
        Simulator(auto_scan=False) as sim,
        aiohttp.ClientSession() as http,
        Visitor(sim.url) as visitor,
    ):
        remote = Remote(http, sim.url)
        assert (await remote.post("scan"))[0] == 409
        await visitor.show_qr()
        await remote.post("scan")
        await remote.post("confirm")
        await remote.post("options", {"auto_scan": True, "poll_seconds": 0.05})
        await visitor.log_in()
        assert (await remote.get("state"))["state"] == "online"
        assert (await remote.post("say", [{"chat": "friend:10001", "text": "a"}] * 3))[1]["said"] == 3
        assert (await remote.post("push", {"poll_type": "tips", "value": {}}))[0] == 200
        assert len((await visitor.poll())["result"]) == 4
        await remote.post(
            "answer", {"path": "/channel/poll2", "answers": [{"status": 504}, {"base64": "e30="}]}
        )
        assert (await visitor.fetch("d1.web2.qq.com", "/channel/poll2", form={"r": "{}"})).status == 504
        assert await visitor.poll() == {}
        waiting = asyncio.create_task(remote.get("received", after=0, wait=5))
        await visitor.send("send_buddy_msg2", "to", sim.uin_of(10001), ["x"])
        assert [(one["chat"], one["text"]) for one in await waiting] == [("friend:10001", "x")]
        assert [one["path"] for one in await remote.get("requests", path="/ptqrshow")] == ["/ptqrshow"] * 2
        await remote.post("kick", {"reason": "bye"})
        assert (await visitor.poll())["result"][0]["value"]["reason"] == "bye"


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("say", {"chat": "nobody", "text": "x"}, "not a chat"),
        ("say", {"chat": "friend:5", "text": "x"}, "no friend"),
        ("say", {"chat": "friend:10001"}, "either text or content"),
        ("options", {"nonsense": 1}, "no such option"),
        ("options", {"max_batch": "1"}, "must be of type int"),
        ("answer", {"answers": [{"cut": "off"}]}, "cut must be"),
        ("answer", {"answers": [{"code": 1}]}, "an answer has no code"),
    ],
)
async def test_mistakes_are_answered_400_in_words(name: str, body: Any, words: str) -> None:
    async with Simulator() as sim, aiohttp.ClientSession() as http:
        status, answer = await Remote(http, sim.url).post(name, body)
        assert (status, words in answer["error"]) == (400, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "nonsense=1"), "no such option for --set: nonsense"),
        (("--set", "port=1"), "no such option for --set: port"),
        (("--set", "profile=e1"), "no such option for --set: profile"),
        (("--set", "poll_seconds=soon"), "poll_seconds must be of type float"),
        (("--faults", "no-such-file.json"), "no-such-file.json"),
        (("--faults", "{script}"), "not a chat"),
    ],
)
async def test_a_mistake_on_the_command_line_ends_it_with_2(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"steps": [{"do": "say", "with": {"chat": "moon", "text": "x"}}]}), "utf-8")
    given = [argument.format(script=script) for argument in arguments]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulator", *given),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    assert (process.returncode, words in errors.decode()) == (2, True), errors


async def test_notices_renewals_and_rules_by_http() -> None:
    async with logged_in() as (sim, visitor), aiohttp.ClientSession() as http:
        remote = Remote(http, sim.url)
        assert (await remote.post("notice", {"kind": "typing", "qq": 10001}))[1]["item"][
            "poll_type"
        ] == "input_notify"
        assert (await remote.post("notice", {"kind": "dance"}))[0] == 400
        assert (await visitor.poll())["result"][0]["poll_type"] == "input_notify"
        renewed = (await remote.post("renew"))[1]["ptwebqq"]
        assert (await visitor.poll())["p"] == renewed
        await remote.post(
            "rule", {"path": "/channel/poll2", "every": 1, "answer": {"json": {"retcode": 110}}}
        )
        assert (await visitor.poll())["retcode"] == 110
        await remote.post("clear")
        await remote.post("drop", {"code": 100012, "cookies": True})
        assert (await visitor.poll())["retcode"] == 100000
        assert (await remote.get("nothing"))["error"] == "no GET /sim/nothing"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_prints_its_address_and_ends_with_0(number: signal.Signals) -> None:
    command = (sys.executable, "-m", "tests.simulator", "--profile", "e1", "--auto-scan")
    command = (*command, "--poll-seconds", "2", "--set", "poll_seconds=3")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as http, Visitor(url, channel="d.web2.qq.com") as visitor:
            await visitor.log_in()
            polling = asyncio.create_task(visitor.poll())
            state = await Remote(http, url).get("state")
            assert (state["state"], state["options"]["poll_seconds"]) == ("online", 3.0)
            process.send_signal(number)
            assert await process.wait() == 0
            await asyncio.wait([polling])
            assert polling.exception() is not None
