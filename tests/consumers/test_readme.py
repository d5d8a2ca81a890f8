"""Each code block of consumers/README.md is run, and each public name stands on the page.

consumers/README.zh-CN.md has the same blocks: tests/integration/test_readmes.py compares them.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from adapter import render
from adapter.codec.example import example_event
from adapter.contract.acl import ROLES
from adapter.contract.tables import CODES, OUTBOUND, RESULTS
from qqbus import Event, Request, Worker, WorkerOptions
from tests.support import ROOT
from tests.support.bus_events import Desk, desk_at, message, program
from tests.support.helpers import clean_environment, wait_until
from tests.support.npm import check_installed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

PAGE = (ROOT / "consumers" / "README.md").read_text(encoding="utf-8")
_FENCE = r"(?ms)^```(\w+)\n(.*?)^```$"
# What follows the programs is of other packages: the client of an agent, and FastStream.
BLOCKS, FOREIGN = (re.findall(_FENCE, part) for part in PAGE.split("\n## Programs"))
GOCODE = Path("/usr/share/gocode")


def blocks(kind: str) -> list[str]:
    return [code for name, code in BLOCKS if name == kind]


def test_there_is_no_block_that_no_test_runs() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "json", "js", "go", "bash"}
    assert [len(blocks(kind)) for kind in ("json", "js", "go", "bash")] == [1, 1, 1, 1]
    assert [kind for kind, _ in FOREIGN] == ["json", "python"]


@pytest.mark.parametrize(
    "name",
    [
        *(name for kind in (Worker, Event) for name in dir(kind) if not name.startswith("_")),
        *WorkerOptions.__dataclass_fields__,
    ],
)
def test_each_public_name_stands_on_the_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE), name


def test_fields_codes_and_roles_are_those_of_the_contract() -> None:
    prose = re.sub(r"(?ms)^```.*?^```$", "", PAGE)
    words = set(re.findall(r"`([^`]+)`", prose))
    inner = {"traceparent", "scheduled"}
    for field in (*OUTBOUND.fields, *RESULTS.fields):
        assert field.name in inner or any(field.name in word for word in words), field.name
    assert {code for codes in CODES.values() for code in codes} <= words
    assert set(ROLES) <= words


def test_the_decoded_body_is_that_of_an_event() -> None:
    event = example_event(
        "hello", kind="", chat="group:1", sender="10001", name="林", own=False, data={}, number=1, now=1.0
    )
    assert json.loads(blocks("json")[0]) == event.body


@pytest.mark.parametrize(
    "code", blocks("python")[1:], ids=lambda code: re.findall(r'Worker\("(\w+)', code)[0]
)
async def test_a_recipe_answers_as_its_comments_say(code: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, "recipe", "exec"), names)  # noqa: S102 – a block of the page
    talk = re.findall(r"(?m)^# heard: (.+?) → (.+)$", code)
    assert talk
    for heard, said in talk:
        requests = await names["worker"].say(heard)
        assert [_text(request) for request in requests] == [said.replace("⏎", "\n")]


async def test_the_timer_and_the_moderator_do_what_no_comment_says() -> None:
    clock, moderator = (_worker_named(name) for name in ("clock", "moderator"))
    assert [_text(request) for request in await clock.tick("morning")] == ["good morning"]
    recall, warning = await moderator.say("spam", chat="group:1", sender="10002")
    assert (recall.op, warning.to, _text(warning)) == ("recall", "group:1", "@10002 no spam, please")
    (approval,) = await moderator.say("I am Lin", type="request.friend", chat="")
    assert approval.op == "approve"


def _worker_named(name: str) -> Worker:
    code = next(code for code in blocks("python") if f'Worker("{name}")' in code)
    names: dict[str, Any] = {}
    exec(compile(code, "recipe", "exec"), names)  # noqa: S102 – a block of the page
    return names["worker"]  # type: ignore[no-any-return]


async def test_the_configuration_of_an_agent_starts_its_tools(redis_url: str, prefix: str) -> None:
    (server,) = json.loads(FOREIGN[0][1])["mcpServers"].values()
    assert server["command"] == "python"
    settings = clean_environment(REDIS_URL=redis_url, QQBUS_PREFIX=prefix)
    settings.pop("PYTHONWARNINGS", None)  # those of foreign packages are not ours
    command = StdioServerParameters(command=sys.executable, args=server["args"], env=settings)
    async with Client(command) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"send_message", "read_messages"}


def test_the_lines_for_faststream_are_those_of_the_bot_that_the_figures_run() -> None:
    bot = (ROOT / "tests/bench/bots/faststream_bot.py").read_text(encoding="utf-8")
    # The figures claim sooner, and the bot has its types.
    bot = bot.replace("5_000", "30_000").replace('os.environ["REDIS_URL"]', "url")
    bot = re.sub(r"  # noqa.*", "", bot)
    for line in filter(None, FOREIGN[1][1].splitlines()):
        assert line in bot.splitlines(), line


def _text(request: Request) -> str:
    return request.content if isinstance(request.content, str) else render(tuple(request.content))


async def test_the_first_worker_runs(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, program(desk, "-c", blocks("python")[0]) as worker:
        await worker.says("hello reads")
        await _answers(desk, "hello", "hello yourself [微笑]")


async def test_the_shell_worker_runs(redis_url: str, prefix: str) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed here (Debian: redis-tools)")
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, "/bin/sh", "-c", blocks("bash")[0]) as worker,
    ):
        await worker.says("hello-shell reads")
        await _answers(desk, "hello-shell", "hello from the shell")


async def test_the_node_worker_runs(redis_url: str, prefix: str, tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("Node and npm are not installed here")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "hello.js").write_text(blocks("js")[0], encoding="utf-8")
    line = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "ioredis"]
    done = await asyncio.to_thread(
        subprocess.run, line, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    check_installed(done)
    async with desk_at(redis_url, prefix) as desk, program(desk, node, str(tmp_path / "hello.js")) as worker:
        await worker.says("hello-node reads")
        await _answers(desk, "hello-node", "hello from Node")


async def test_the_go_worker_runs(redis_url: str, prefix: str, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None or not (GOCODE / "src/github.com/gomodule/redigo/redis").is_dir():
        pytest.skip(
            "Go or redigo is not installed here (Debian: golang-go golang-github-gomodule-redigo-dev)"
        )
    (tmp_path / "main.go").write_text(blocks("go")[0], encoding="utf-8")
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(GOCODE),
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    built = await asyncio.to_thread(
        subprocess.run,
        [go, "build", "-o", "hello", "main.go"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    async with desk_at(redis_url, prefix) as desk, program(desk, str(tmp_path / "hello")) as worker:
        await worker.says("hello-go reads")
        await _answers(desk, "hello-go", "hello from Go")


async def _answers(desk: Desk, group: str, text: str) -> None:
    said = message("hello you")
    await desk.publish(message("something else"), message("hello me", own=True), said)
    await wait_until(lambda: desk.all_done(group), "all acknowledged", 30)
    (row,) = await desk.rows("outbound")
    assert (row["to"], row["text"].decode(), row["id"].decode()) == (b"group:2", text, f"{group}/{said.id}")
