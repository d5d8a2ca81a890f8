"""Echo in Node, in Go and in the shell: real programs, which also take over from a killed Python worker."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter.bus.embedded import run_server
from adapter.codec.dead_letters import MAX_FIELD
from adapter.content import Face, Text
from tests.support import ROOT
from tests.support.bus_events import Cutter, Desk, Program, desk_at, fields, message, notice, program
from tests.support.helpers import wait_until
from tests.support.npm import check_installed
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

CONSUMERS = ROOT / "consumers"
# Where Debian puts the sources of Go packages, and the one that the Go consumer is built on.
GOCODE = Path("/usr/share/gocode")
REDIGO = GOCODE / "src/github.com/gomodule/redigo/redis"
# Takes three events, answers none.
STUCK = """
import asyncio
from consumers.worker import Event, Worker
worker = Worker("taken-over")

@worker.on("message")
async def wait(event: Event) -> None:
    print("took", event.text, flush=True)
    await asyncio.sleep(60)

worker.main()
"""


@pytest.fixture(scope="session")
def node_echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the Node consumer with its packages in a folder of its own."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node and npm are not installed here")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "echo.js"):
        shutil.copy(CONSUMERS / "node" / name, folder)
    line = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    check_installed(done)
    yield folder / "echo.js"
    shutil.rmtree(folder / "node_modules", ignore_errors=True)


@pytest.fixture(scope="session")
def go_echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Go consumer with the packages of Debian: nothing is fetched."""
    go = shutil.which("go")
    if go is None or not REDIGO.is_dir():
        pytest.skip(
            "Go or redigo is not installed here (Debian: golang-go golang-github-gomodule-redigo-dev)"
        )
    program = tmp_path_factory.mktemp("go") / "echo"
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(GOCODE),
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    for line in (["vet", "."], ["build", "-o", str(program), "."]):
        done = subprocess.run(
            [go, *line],
            cwd=CONSUMERS / "go",
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return program


@asynccontextmanager
async def go_worker(desk: Desk, built: Path, application: str = "echo-go") -> AsyncIterator[Program]:
    """Run the Go consumer."""
    async with program(desk, str(built), application, QQBUS_CLAIM_MS="1000") as running:
        await running.says("echo-go reads")
        yield running


@asynccontextmanager
async def shell_echo(desk: Desk, application: str = "echo-shell") -> AsyncIterator[Program]:
    """Run the shell consumer, where there is a redis-cli."""
    if shutil.which("redis-cli") is None and shutil.which("valkey-cli") is None:
        pytest.skip("redis-cli is not installed here (Debian: redis-tools)")
    async with program(
        desk, "/bin/sh", str(CONSUMERS / "shell" / "echo.sh"), application, QQBUS_CLAIM_MS="1000"
    ) as shell:
        await shell.says("echo-shell reads")
        yield shell


@asynccontextmanager
async def node(desk: Desk, script: Path, application: str = "echo-node") -> AsyncIterator[Program]:
    """Run the Node consumer."""
    path = shutil.which("node")
    assert path
    async with program(desk, path, str(script), application, QQBUS_CLAIM_MS="1000") as running:
        await running.says("echo-node reads")
        yield running


async def test_node_answers_with_the_same_pieces_and_ends_well(
    redis_url: str, prefix: str, node_echo: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk, node(desk, node_echo) as echo:
        said = message((Text('hi "😀"\n'), Face(14, "微笑")))
        await desk.publish(said, message("mine", own=True), notice())
        await wait_until(lambda: desk.all_done("echo-node"), "all acknowledged", 20)
        (row,) = await desk.rows("outbound")
        assert (row["to"], row["id"].decode()) == (b"group:2", f"echo-node/{said.id}")
        assert msgpack.unpackb(row["body"])["segments"] == [
            {"type": "text", "data": {"text": 'hi "😀"\n'}},
            {"type": "face", "data": {"id": 14, "name": "微笑"}},
        ]
        echo.terminate()
        assert await echo.ended() == 0


async def test_node_makes_a_vanished_group_again_and_buries_what_it_cannot_read(
    redis_url: str, prefix: str, node_echo: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk, node(desk, node_echo):
        await desk.publish(message("before"))
        await wait_until(lambda: desk.all_done("echo-node"), "the first acknowledged", 20)
        await desk.client.delete(desk.key("inbound"))
        garbage = fields(message("garbage"))
        garbage[-1] = b"\xc1" * 100_000
        await desk.client.execute_command("XADD", desk.key("inbound"), "*", *garbage)  # type: ignore[no-untyped-call]
        await desk.publish(message("after"))
        await wait_until(lambda: desk.all_done("echo-node"), "the others acknowledged", 30)
        assert len(await desk.rows("outbound")) == 2
        (letter,) = await desk.rows("dead")
        assert letter["reason"] == b"handler.failed"
        assert msgpack.unpackb(letter["fields"])["body"] == b"\xc1" * MAX_FIELD
        rest = hashlib.sha256(b"\xc1" * (100_000 - MAX_FIELD)).hexdigest()
        assert json.loads(letter["clipped"]) == {
            "fields": {"body": {"bytes": 100_000, "sha256": rest}},
            "omitted": 0,
        }


async def test_node_takes_over_from_a_python_worker_that_was_killed(
    redis_url: str, prefix: str, node_echo: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        events = [message(text, f"group:{chat}") for chat, text in enumerate(("one", "two", "three"), 1)]
        await desk.publish(*events)
        async with program(desk, "-c", STUCK) as stuck:
            await stuck.says("took three")
            stuck.kill()
            await stuck.ended()
        async with node(desk, node_echo, "taken-over"):
            await wait_until(lambda: desk.all_done("taken-over"), "the three acknowledged", 20)
            assert {row["id"].decode() for row in await desk.rows("outbound")} == {
                f"taken-over/{event.id}" for event in events
            }


async def answers_and_ends(desk: Desk, echo: Program, name: str, text: str) -> None:
    """Repeat what others say, under ids made from the events', and end on request."""
    said = [message(text), message("two", "friend:7")]
    await desk.publish(*said, message("mine", own=True), notice())
    await wait_until(lambda: desk.all_done(name), "all acknowledged", 20)
    rows = await desk.rows("outbound")
    assert [(row["to"].decode(), row["text"].decode(), row["id"].decode()) for row in rows] == [
        ("group:2", text, f"{name}/{said[0].id}"),
        ("friend:7", "two", f"{name}/{said[1].id}"),
    ]
    echo.terminate()
    assert await echo.ended() == 0


def test_the_shell_echo_can_be_started_by_its_name() -> None:
    assert os.access(CONSUMERS / "shell" / "echo.sh", os.X_OK)


async def test_the_shell_answers_with_the_same_text_and_ends_well(redis_url: str, prefix: str) -> None:
    text = 'a "quoted" \\ line\nand 中文 [微笑] $HOME `id` \x01'
    async with desk_at(redis_url, prefix) as desk, shell_echo(desk) as echo:
        await answers_and_ends(desk, echo, "echo-shell", text)


async def test_the_shell_takes_over_from_a_killed_worker_and_survives_a_lost_stream(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("one"))
        async with program(desk, "-c", STUCK) as stuck:
            await stuck.says("took one")
            stuck.kill()
            await stuck.ended()
        async with shell_echo(desk, "taken-over"):
            await wait_until(lambda: desk.all_done("taken-over"), "it is acknowledged", 20)
            await desk.client.delete(desk.key("inbound"))
            await desk.publish(message("two"))
            await wait_until(lambda: desk.all_done("taken-over"), "the second, too", 20)
            assert await desk.texts() == ["one", "two"]


async def test_the_shell_loses_no_reply_wherever_its_connection_is_cut(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk, Cutter.before(redis_url) as cutter:
        desk.url = cutter.url
        async with shell_echo(desk):
            # The answer that brings the event, and each of those after it.
            for later in range(8):
                cutter.later, cutter.cut_at = later, b"message.group"
                await desk.publish(message(str(later)))
                await wait_until(lambda: cutter.cut_at is None, "cut", 20)
                await wait_until(lambda: desk.all_done("echo-shell"), "acknowledged", 20)
        assert cutter.cuts == 8
        assert list(dict.fromkeys(await desk.texts())) == [str(later) for later in range(8)]


async def test_go_answers_with_the_same_text_and_ends_well(
    redis_url: str, prefix: str, go_echo: Path
) -> None:
    text = 'a "quoted" \\ line\r\nand 中文 [微笑] \x01'
    async with desk_at(redis_url, prefix) as desk, go_worker(desk, go_echo) as echo:
        await answers_and_ends(desk, echo, "echo-go", text)


async def test_go_takes_over_from_a_killed_worker_and_survives_a_lost_stream(
    redis_url: str, prefix: str, go_echo: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("one"))
        async with program(desk, "-c", STUCK) as stuck:
            await stuck.says("took one")
            stuck.kill()
            await stuck.ended()
        async with go_worker(desk, go_echo, "taken-over"):
            await wait_until(lambda: desk.all_done("taken-over"), "it is acknowledged", 20)
            await desk.client.delete(desk.key("inbound"))
            await desk.publish(message("two"))
            await wait_until(lambda: desk.all_done("taken-over"), "the second, too", 20)
            assert await desk.texts() == ["one", "two"]


def started(language: str, desk: Desk, request: pytest.FixtureRequest, application: str) -> Any:
    """Run the consumer of a language."""
    if language == "shell":
        return shell_echo(desk, application)
    start = {"node": node, "go": go_worker}[language]
    return start(desk, request.getfixturevalue(f"{language}_echo"), application)


def descendants(pid: int) -> Iterator[list[str]]:
    """Return the command lines of a process and of all below it, as every user of the machine sees them."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            line = (stat.parent / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if parent == pid:
                yield from descendants(int(stat.parent.name))
            if parent == pid or stat.parent.name == str(pid):
                yield line


@pytest.mark.parametrize("language", ["node", "shell", "go"])
async def test_redis_is_found_behind_a_user_a_password_and_a_database(
    redis_url: str, prefix: str, language: str, request: pytest.FixtureRequest
) -> None:
    async with desk_at(redis_url, prefix) as owner:
        rights = ("on", ">%/ 中 hidden", "~*", "&*", "+@all")
        await owner.client.execute_command("ACL", "SETUSER", prefix, *rights)  # type: ignore[no-untyped-call]
        address = redis_url.replace("redis://", f"redis://{prefix}:%25%2F%20%e4%b8%ad%20hidden@") + "/3"
        async with desk_at(address, prefix) as desk, started(language, desk, request, "behind") as echo:
            await desk.publish(said := message("one"))
            await wait_until(lambda: desk.all_done("behind"), "acknowledged", 20)
            assert [row["cause"].decode() for row in await desk.rows("outbound")] == [said.id]
            assert "hidden" not in echo.output
            if language == "shell":
                lines = await wait_until(
                    lambda: [line for line in descendants(echo.process.pid) if "XREADGROUP" in line],
                    "redis-cli waits",
                )
                assert not [word for line in lines for word in line if "hidden" in word]
        await owner.client.execute_command("ACL", "DELUSER", prefix)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("language", ["node", "shell", "go"])
async def test_no_event_is_acknowledged_whose_reply_redis_refuses(
    redis_url: str, prefix: str, language: str, request: pytest.FixtureRequest
) -> None:
    async with desk_at(redis_url, prefix) as desk, started(language, desk, request, "refused") as echo:
        # The last id there is: an XADD behind it fails when it is run, also inside of a MULTI.
        await desk.client.xadd(desk.key("outbound"), {"x": "y"}, id=f"{2**64 - 1}-{2**64 - 1}")
        await desk.publish(said := message("one"))
        await echo.says("exhausted")
        assert await desk.pending("refused") == 1
        await desk.client.delete(desk.key("outbound"))
        await wait_until(lambda: desk.all_done("refused"), "acknowledged", 20)
        assert {row["cause"].decode() for row in await desk.rows("outbound")} == {said.id}


@pytest.mark.parametrize("language", ["node", "shell", "go"])
async def test_a_server_that_restarts_is_found_again(
    tmp_path: Path, prefix: str, language: str, request: pytest.FixtureRequest
) -> None:
    port = free_port()
    async with AsyncExitStack() as stack:
        async with run_server(tmp_path / "redis", port) as url, desk_at(url, prefix) as desk:
            running = await stack.enter_async_context(started(language, desk, request, "again"))
            await desk.publish(message("one"))
            await wait_until(lambda: desk.all_done("again"), "the first", 20)
        async with run_server(tmp_path / "redis", port) as url, desk_at(url, prefix) as desk:
            await desk.publish(message("two"))
            await wait_until(lambda: desk.all_done("again"), "the second", 30)
            assert len(await desk.rows("outbound")) == 2
            running.terminate()
            assert await running.ended() == 0


@pytest.mark.skipif(shutil.which("gofmt") is None, reason="Go is not installed here (Debian: golang-go)")
def test_the_go_is_formatted_as_go_is() -> None:
    done = subprocess.run(
        ["gofmt", "-l", str(CONSUMERS / "go")], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_the_lock_file_pins_by_digest_and_names_no_registry() -> None:
    lock = json.loads((CONSUMERS / "node" / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((CONSUMERS / "node" / "package.json").read_text(encoding="utf-8"))
    itself = lock["packages"].pop("")
    assert itself["dependencies"] == wanted["dependencies"]
    assert all(package["integrity"].startswith("sha512-") for package in lock["packages"].values())
    for file in (CONSUMERS / "node").iterdir():
        assert "http" not in file.read_text(encoding="utf-8"), file.name
    assert {path.name for path in (CONSUMERS / "go").iterdir()} == {"go.mod", "main.go"}
