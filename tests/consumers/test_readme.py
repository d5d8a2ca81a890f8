"""Each code block of consumers/README.md is run, and each public name stands on the page."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from adapter import render
from adapter.codec.example import example_event
from adapter.contract.acl import ROLES
from adapter.contract.tables import CODES, OUTBOUND, RESULTS
from qqbus import Event, Request, Worker, WorkerOptions
from tests.support import ROOT
from tests.support.bus_events import Desk, desk_at, message, program
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

PAGE = (ROOT / "consumers" / "README.md").read_text(encoding="utf-8")
# What follows the programs is of other packages, with tests of their own.
BLOCKS = re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", PAGE.partition("\n## Programs")[0])
GOCODE = Path("/usr/share/gocode")


def blocks(kind: str) -> list[str]:
    return [code for name, code in BLOCKS if name == kind]


def test_there_is_no_block_that_no_test_runs() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "json", "js", "go", "bash"}
    assert [len(blocks(kind)) for kind in ("json", "js", "go", "bash")] == [1, 1, 1, 1]


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
    if done.returncode:
        pytest.skip(f"npm cannot install ioredis here: {done.stderr.strip().splitlines()[-1:]}")
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
